// @ts-check
/** Export: ticks and requests as CSV or NDJSON, the charts as a picture. */

import { laneName } from "./chart-lines.js";
import { make, notice } from "./dom.js";
import { csv, dateTime, markdown } from "./format.js";
import * as texts from "./texts.js";

const TICK_FIELDS = ["timestamp", "model", "node", "latency_ms", "tokens_generated", "tokens_per_second", "estimated", "request", "first"];
const REQUEST_FIELDS = [
  "time", "id", "model", "client", "route", "status", "prompt_tokens", "cached_tokens", "completion_tokens", "ttft_ms", "queue_ms",
  "prefill_tokens_per_second", "decode_tokens_per_second", "itl_p50_ms", "itl_p95_ms", "itl_max_ms", "duration_ms", "finish_reason", "estimated",
  "tokens_per_second", "operation", "dialect", "http_status", "ended_by", "error", "counts", "counts_reason", "cache_write_tokens", "reasoning_tokens",
  "thinking_share", "draft_tokens", "draft_accepted_tokens", "load_ms", "prefill_ms", "think_ms", "decode_ms", "audio_s", "real_time_factor",
  "context_tokens", "context_length", "prompt_cut", "cache_broke", "bytes_received", "bytes_sent", "bench", "key", "joules", "slow",
];

/**
 * @param {import("./app.js").Context} context
 * @param {() => {title: string, canvas: HTMLCanvasElement}[]} pictures  of the charts
 */
export function mountExport({ colours, lines, view, filter, session: { feed, requests } }, pictures) {
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const what = target?.closest("[data-export]")?.getAttribute("data-export");
    for (const menu of document.querySelectorAll("details.menu")) {
      if (what || !target || !menu.contains(target)) {
        menu.removeAttribute("open");
      }
    }
    if (what) {
      exportAs(what);
    }
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (menu) {
      menu.removeAttribute("open");
      menu.querySelector("summary")?.focus();
    }
  });

  /** @param {string} what */
  function exportAs(what) {
    switch (what) {
      case "csv": return save("ticks.csv", "text/csv", csv(TICK_FIELDS, shownTicks(feed, view, filter)));
      case "ndjson": return save("ticks.ndjson", "application/x-ndjson", ndjson(shownTicks(feed, view, filter)));
      case "requests-csv": return save("requests.csv", "text/csv", csv(REQUEST_FIELDS, requestRecords(requests, filter)));
      case "requests-ndjson": return save("requests.ndjson", "application/x-ndjson", ndjson(requestRecords(requests, filter)));
      case "requests-markdown": return copy(shownTable());
      case "png": return savePicture(pictures(), colours, lines);
    }
  }
}

/**
 * The ticks that the charts show.
 *
 * @param {import("./feed.js").Feed} feed
 * @param {import("./view.js").View} view
 * @param {import("./filter.js").Filter} filter
 */
function shownTicks(feed, view, filter) {
  const { ring } = feed;
  const [from, to] = view.range(Date.now() / 1000);
  const passes = filter.ticks();
  const ticks = [];
  for (let i = ring.find(from); i < ring.end && ring.time[i & ring.mask] <= to; i++) {
    if (!passes || passes(i & ring.mask)) {
      ticks.push(feed.tickAt(i));
    }
  }
  return ticks;
}

/** @param {import("./requests.js").RequestLog} requests @param {import("./filter.js").Filter} filter */
function requestRecords(requests, filter) {
  return requests.list().filter((entry) => filter.entry(entry)).map(({ at, last }) => ({ time: new Date(at * 1000).toISOString(), ...last }));
}

/** The table of requests as it is seen: its rows and columns, in their order. */
function shownTable() {
  const head = [...document.querySelectorAll("#requests-head th:not([hidden])")].map(({ textContent }) => textContent ?? "");
  const rows = [...document.querySelectorAll("#requests-body tr:not(.more)")].map((row) => [...row.querySelectorAll("td:not([hidden])")]
    .map(({ children }) => [...children].filter((part) => !part.matches(".small")).map(({ textContent }) => textContent).join(", ")));
  return markdown(head, rows);
}

/** @param {string} text  into the clipboard */
export async function copy(text) {
  if (!text) {
    notice(texts.nothingToCopy);
    return;
  }
  try {
    await navigator.clipboard.writeText(text);
  } catch { // only secure pages have it
    const field = make("textarea", { class: "unseen" });
    field.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(field); // behind a dialog, nothing can be selected
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  notice(texts.copied);
}

/** @param {object[]} records */
function ndjson(records) {
  return records.map((record) => `${JSON.stringify(record)}\n`).join("");
}

/**
 * Save the charts, one below the other, as one picture, with where and when it is from and the models' colours.
 *
 * @param {{title: string, canvas: HTMLCanvasElement}[]} parts
 * @param {import("./colours.js").Colours} colours
 * @param {import("./chart-lines.js").Lines} lines
 */
function savePicture(parts, colours, lines) {
  const ratio = devicePixelRatio;
  const head = 28 * ratio;
  const picture = document.createElement("canvas");
  picture.width = Math.max(...parts.map(({ canvas }) => canvas.width));
  picture.height = parts.reduce((sum, { canvas }) => sum + canvas.height + head, 2 * head);
  const context = picture.getContext("2d");
  if (!context) {
    return;
  }
  context.fillStyle = colours.card;
  context.fillRect(0, 0, picture.width, picture.height);
  context.fillStyle = colours.text;
  context.font = `${14 * ratio}px system-ui, sans-serif`;
  context.fillText(`aidash · ${location.host} · ${dateTime(Date.now() / 1000)}`, 12 * ratio, 20 * ratio);
  let left = 12 * ratio;
  lines.lanes.forEach((lane, line) => {
    if (lane) {
      context.fillStyle = colours.lane(line);
      context.fillRect(left, head + 10 * ratio, 10 * ratio, 10 * ratio);
      context.fillStyle = colours.text;
      context.fillText(laneName(lane), left + 16 * ratio, head + 20 * ratio);
      left += context.measureText(laneName(lane)).width + 36 * ratio;
    }
  });
  let top = 2 * head;
  for (const { title, canvas } of parts) {
    context.fillText(title, 12 * ratio, top + 20 * ratio);
    context.drawImage(canvas, 0, top + head);
    top += canvas.height + head;
  }
  picture.toBlob((blob) => {
    if (blob) {
      download("aidash.png", blob);
    }
  });
}

/** @param {string} name @param {string} type @param {string} text */
function save(name, type, text) {
  if (text) {
    download(name, new Blob([text], { type }));
  } else {
    notice(texts.nothingToExport);
  }
}

/** @param {string} name @param {Blob} blob */
function download(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
