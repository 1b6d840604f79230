// @ts-check
/** The requests as a table: the running ones on top; a row opens its details. */

import { byId, make, notice, setAttr, setHidden, setName, setText } from "./dom.js";
import { clockTime, duration, NONE, percent, short, whole } from "./format.js";
import { isDue, untilNext } from "./frame.js";
import { loadingText } from "./model-facts.js";
import { meaningOf, STATES, stateOf } from "./outcomes.js";
import { makeWaterfall, phases } from "./waterfall.js";

/** @typedef {import("./requests.js").Entry} Entry */
/** @typedef {import("./requests.js").RequestLog} RequestLog */

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {string} [what]  it is
 * @property {(entry: Entry, now: number, requests: RequestLog) => string | number | undefined} value  the sort key
 * @property {(value: any) => string} [text]
 */

const EVERY_S = 0.5; // many rows may count

/** @type {Column[]} */
const columns = [
  { title: "Time", value: (entry) => entry.at, text: clockTime },
  { title: "Status", value: (entry, _, requests) => stateText(entry, requests) },
  { title: "Model", value: ({ last }) => last.model },
  { title: "Client", value: ({ last }) => last.client },
  { title: "Route", value: ({ last }) => last.route },
  { title: "In", what: "Tokens of the prompt, cached ones included", value: ({ last }) => field(last, "prompt_tokens"), text: whole },
  { title: "Out", what: "Tokens of the answer. ~: counted from the stream.", value: (entry) => field(entry.running ? {} : entry.last, "completion_tokens") ?? (entry.live || undefined), text: whole },
  { title: "First token", what: "From the arrival at aidash to the first text, the wait in line included", value: ({ last }) => field(last, "ttft_ms"), text: duration },
  { title: "Prefill /s", what: "Tokens of the prompt per second, without cached ones", value: ({ last }) => field(last, "prefill_tokens_per_second"), text: short },
  { title: "Decode /s", what: "Tokens of the answer per second, from the first to the last", value: (entry, now) => field(entry.last, "decode_tokens_per_second") ?? liveRate(entry, now), text: short },
  { title: "Duration", what: "From the arrival to the end", value: (entry, now) => (entry.running ? elapsed(entry, now) : field(entry.last, "duration_ms")), text: duration },
  { title: "Context", what: "How much of the model's context prompt and answer fill", value: ({ last }) => fillOf(last), text: percent },
];
const STATUS = 1;
const MODEL = 2;
const CLIENT = 3;
const ROUTE = 4;
const IN = 5;
const OUT = 6;
const DECODE = 9;
const CONTEXT = 11;
const SHOW_ROOM = 0.1; // beside a request's span, in spans

/** Why the counts are not the engine's own. */
const REASONS = {
  not_told: "the engine tells none",
  one_choice: "the engine tells those of one choice",
  compressed: "the answer is compressed",
  invalid_http: "the answer broke HTTP",
  invalid_json: "the answer has broken JSON",
  nested_too_deep: "the answer's JSON is nested too deep",
};

/** What was found of a request, by its field: in two words, and what that means. */
const SIGNS = {
  prompt_cut: ["prompt cut", "The engine read only a part of the prompt: the context is too short for all of it. Give the model a longer one (num_ctx), or send less."],
  cache_broke: ["cache broke", "The engine had most of this client's latest prompt in its cache, and little of this one: its beginning changed, or something else took the cache."],
};

/** @type {[label: string, text: (last: any, entry: Entry) => string | undefined][]} those that are known are shown */
const details = [
  ["Request", ({ id }) => String(Math.abs(id))],
  ["Status", ({ status, ended_by: by }) => meaningOf(status, by).join(": ")],
  ["Error", ({ error }) => error],
  ["Route", ({ route }) => route],
  ["Cached prompt tokens", ({ cached_tokens: n }) => known(n, whole)],
  ["Written to the cache", ({ cache_write_tokens: n }) => known(n, whole)],
  ["Thinking", (last) => joined(known(last.thinking_share, percent), known(last.reasoning_tokens, (n) => `${whole(n)} tokens`), known(last.think_ms, duration))],
  ["Draft accepted", ({ draft_tokens: n, draft_accepted_tokens: of }) => known(n, () => `${percent(of / n)}, ${whole(of)} of ${whole(n)}`)],
  ["Between tokens, p50", ({ itl_p50_ms: ms }) => known(ms, duration)],
  ["p95", ({ itl_p95_ms: ms }) => known(ms, duration)],
  ["longest", ({ itl_max_ms: ms }) => known(ms, duration)],
  ["Tokens /s in all", (last, { running }) => (running ? undefined : known(last.tokens_per_second, short))],
  ["Audio", (last) => joined(known(last.audio_s, (s) => duration(s * 1000)), known(last.real_time_factor, (f) => `${short(1 / f)} × real time`))],
  ["WebSocket", (last) => known(last.bytes_received, (n) => `${whole(n)} bytes received, ${whole(last.bytes_sent)} sent`)],
  ["Context used", (last) => known(last.context_tokens, () => fillText(last))],
  ["Prompt", ({ prompt_cut: cut }) => (cut ? SIGNS.prompt_cut.join(": ") : undefined)],
  ["Prompt cache", ({ cache_broke: broke }) => (broke ? SIGNS.cache_broke.join(": ") : undefined)],
  ["Energy", ({ joules: j }) => known(j, (n) => `${short(n)} J above rest, an estimate`)],
  ["Slow", ({ slow }) => slow?.replaceAll("_", " ")],
  ["Finish reason", ({ finish_reason: reason }) => reason],
  ["Read as", ({ dialect }) => dialect],
  ["Counts", ({ counts, counts_reason: why }) => known(counts, (word) => (why ? `${word}: ${Reflect.get(REASONS, why) ?? why}` : word))],
  ["HTTP status", ({ http_status: code }) => known(code, String)],
];

/**
 * @typedef {object} Line
 * @property {HTMLTableRowElement} row
 * @property {HTMLTableCellElement[]} cells
 * @property {HTMLElement[]} texts  the element of each cell that holds its text
 * @property {HTMLButtonElement} open
 * @property {HTMLButtonElement} cancel
 * @property {HTMLTableRowElement | null} more
 * @property {ReturnType<typeof makeWaterfall> | null} fall  there with `more`
 */

/** @param {import("./app.js").Context} context */
export function mountRequests({ settings, store, frame, view, session, filter }) {
  const { requests, feed } = session;
  const panel = byId("requests", HTMLElement);
  const body = byId("requests-body", HTMLTableSectionElement);
  const note = byId("requests-note", HTMLElement);
  /** @type {Map<number, Line>} */
  const lines = new Map();
  let version = -1;
  store.on(["down", "find", "opened"], () => {
    version = -1;
    frame.request();
  });
  let sortBy = 0;
  let descending = true;
  let drawn = 0;
  let shown = 0; // the request of `opened` that was opened
  let lostAt = 0; // when the connection was lost, Unix seconds; 0: it is there
  store.on(["connection"], ({ connection }) => {
    lostAt = connection.phase === "live" ? 0 : lostAt || Date.now() / 1000;
    version = -1;
    frame.request();
  });

  const head = byId("requests-head", HTMLTableRowElement);
  head.append(...columns.map(heading));
  byId("columns", HTMLElement).append(...columns.slice(1).map(({ title }) => { // the first one opens the row
    const box = make("input", { type: "checkbox", ...(settings.hidden?.includes(title) ? {} : { checked: "" }) });
    box.addEventListener("change", () => {
      settings.save({ hidden: [...(settings.hidden ?? []).filter((one) => one !== title), ...(box.checked ? [] : [title])] });
      [head, ...[...lines.values()].map(({ row }) => row)].forEach(choose);
    });
    return make("label", {}, box, title);
  }));
  choose(head);
  frame.add((now) => {
    if (version < 0 || ((requests.version !== version || requests.active > 0) && isDue(drawn, EVERY_S, now))) {
      version = requests.version;
      drawn = now;
      setHidden(panel, !requests.any);
      drawRows(lostAt || now);
    }
    return requests.active > 0 || requests.version !== version ? untilNext(EVERY_S, now) : Infinity;
  });

  /**
   * @param {Column} column
   * @param {number} index
   */
  function heading({ title, what }, index) {
    const button = make("button", { type: "button", class: "plain", ...(what && { class: "plain what", title: what }) }, title);
    const head = make("th", { scope: "col", ...amount(index) }, button);
    setAttr(head, "aria-sort", index === sortBy ? "descending" : null);
    button.addEventListener("click", () => {
      descending = index === sortBy ? !descending : true;
      sortBy = index;
      for (const [i, other] of [...(head.parentElement?.children ?? [])].entries()) {
        setAttr(other, "aria-sort", i === sortBy ? (descending ? "descending" : "ascending") : null);
      }
      version = -1;
      frame.request();
    });
    return head;
  }

  /**
   * Show the chosen cells of a row.
   *
   * @param {HTMLTableRowElement} row
   */
  function choose(row) {
    [...row.cells].forEach((cell, i) => setAttr(cell, "hidden", settings.hidden?.includes(columns[i].title) ? "" : null));
    setAttr(panel, "data-chosen", settings.hidden ? "" : null);
  }

  /** @param {number} now */
  function drawRows(now) {
    const { opened } = store.state;
    const entries = requests.list().filter((entry) => filter.entry(entry)).sort((a, b) => Number(b.running) - Number(a.running) || compare(a, b, now));
    setText(note, filter.on ? `${entries.length} of ${requests.entries.size}` : "");
    const known = new Set(entries.map((entry) => entry.id));
    for (const [id, line] of lines) {
      if (!known.has(id)) {
        line.row.remove();
        line.more?.remove();
        lines.delete(id);
      }
    }
    /** @type {Element | null} */
    let place = body.firstElementChild;
    for (const entry of entries) {
      const line = lines.get(entry.id) ?? newLine(entry.id);
      fillLine(line, entry, now);
      if (entry.id === opened && opened !== shown) {
        shown = opened;
        open(entry, line, now);
      }
      for (const row of line.more ? [line.row, line.more] : [line.row]) {
        if (row === place) {
          place = place.nextElementSibling;
        } else {
          body.insertBefore(row, place); // the other rows stay in place, and keep the focus
        }
      }
    }
  }

  /**
   * @param {Entry} a
   * @param {Entry} b
   * @param {number} now
   */
  function compare(a, b, now) {
    const { value } = columns[sortBy];
    const [x, y] = [value(a, now, requests), value(b, now, requests)];
    if (x === undefined || y === undefined) {
      return Number(x === undefined) - Number(y === undefined); // unknown values go last
    }
    return (x < y ? -1 : x > y ? 1 : 0) * (descending ? -1 : 1) || b.id - a.id;
  }

  /** @param {number} id */
  function newLine(id) {
    const cells = columns.map(({ title }, i) => make("td", { ...amount(i), "data-title": title }));
    const open = make("button", { type: "button", class: "plain open", "aria-expanded": "false" });
    const status = make("span");
    const cancel = make("button", { type: "button", class: "small", "aria-label": `Cancel request ${id}` }, "Cancel");
    const rest = cells.slice(2).map(() => make("span", { class: "cell" }));
    rest.forEach((text, i) => cells[i + 2].append(text));
    cells[0].append(open);
    cells[STATUS].append(status, cancel);
    cells[CONTEXT].classList.add("fill");
    cells[STATUS].className = "status";
    rest[0].className = "name";
    cells[MODEL].className = cells[CLIENT].className = "wide"; // on a small screen, where a row is a card
    cells[ROUTE].className = "route";
    const row = make("tr", { id: `request-${id}` }, ...cells);
    choose(row);
    /** @type {Line} */
    const line = { row, cells, texts: [open, status, ...rest], open, cancel, more: null, fall: null };
    lines.set(id, line);
    open.addEventListener("click", () => toggle(id, line));
    for (const type of ["pointerenter", "focusin"]) {
      row.addEventListener(type, () => store.set({ lit: spanOf(id) }));
    }
    for (const type of ["pointerleave", "focusout"]) {
      row.addEventListener(type, () => store.set({ lit: null }));
    }
    cancel.addEventListener("click", async () => {
      cancel.disabled = true;
      const problem = await session.send({ action: "cancel", request: id });
      cancel.disabled = false;
      if (problem) {
        notice(`Request ${id} was not cancelled: ${problem}`);
      }
    });
    return line;
  }

  /**
   * @param {Line} line
   * @param {Entry} entry
   * @param {number} now
   */
  function fillLine(line, entry, now) {
    setAttr(line.row, "data-status", entry.last.status);
    columns.forEach(({ value, text }, i) => {
      const raw = value(entry, now, requests);
      let shown = raw === undefined ? NONE : text ? text(raw) : String(raw);
      setAttr(line.cells[i], "data-none", raw === undefined ? "" : null);
      if ((i === OUT || (i === DECODE && entry.running)) && raw !== undefined && (entry.running || field(entry.last, "estimated"))) {
        shown = `~${shown}`;
      }
      if (i === OUT) {
        const why = field(entry.last, "counts_reason");
        setAttr(line.cells[i], "title", why ? `${field(entry.last, "counts")}: ${Reflect.get(REASONS, why) ?? why}` : null);
      }
      if (i === IN && entry.running && field(entry.last, "prompt_processed") !== undefined) {
        shown = `${whole(field(entry.last, "prompt_processed"))} of ${shown}`;
      }
      if (i === STATUS) {
        shown = waitText(entry, now) || shown;
      }
      (i === MODEL ? setName : setText)(line.texts[i], shown);
      if (i === MODEL || i === CLIENT) {
        setAttr(line.cells[i], "title", shown); // it may be cut
      }
    });
    setAttr(line.open, "aria-label", `${line.open.textContent}, details of request ${Math.abs(entry.last.id)}`);
    const odd = entry.running && lostAt ? "lost" : entry.last.status === "running" && store.state.down ? "stuck" : "";
    setAttr(line.row, "data-stuck", odd === "stuck" ? "" : null);
    setAttr(line.row, "data-lost", odd === "lost" ? "" : null);
    if (odd) {
      setText(line.texts[STATUS], STATES[odd][0]);
    }
    setAttr(line.texts[STATUS], "title", (odd ? STATES[odd] : stateOf(entry.last)).join(": "));
    setHidden(line.cancel, !entry.running || odd === "lost");
    for (const [name, [words, meaning]] of Object.entries(SIGNS)) {
      if (field(entry.last, name) && !line.cells[STATUS].querySelector(`[data-sign=${name}]`)) {
        line.cells[STATUS].append(make("b", { class: "mark", "data-sign": name, title: meaning }, words));
      }
    }
    line.texts[CONTEXT].style.setProperty("--fill", `${Math.min(100, (fillOf(entry.last) ?? 0) * 100)}%`);
    setAttr(line.texts[CONTEXT], "title", fillOf(entry.last) === undefined ? null : `${fillText(entry.last)} tokens`);
    if (line.more) {
      fillDetails(line, entry, now);
    }
  }

  /**
   * From when to when it was there.
   *
   * @param {number} id
   * @returns {[number, number] | null}
   */
  function spanOf(id) {
    const entry = requests.entries.get(id);
    return entry ? [entry.at, entry.at + elapsed(entry, Date.now() / 1000) / 1000] : null;
  }

  /**
   * What a running request waits for before its first token, if that is known.
   *
   * @param {Entry} entry
   * @param {number} now
   */
  function waitText({ last, running, firstAt, live }, now) {
    if (!running || live > 0 || !Number.isNaN(firstAt)) {
      return "";
    }
    const loading = field(last, "loading");
    const prefill = field(last, "prefill");
    return loading ? `loading, ${loadingText(loading, feed.clock.toBrowser(loading.since), now)}`
      : prefill ? `reading the prompt: ${percent(prefill.fraction)}` : "";
  }

  /**
   * @param {number} id
   * @param {Line} line
   */
  function toggle(id, line) {
    const entry = requests.entries.get(id);
    shown = line.more || !entry ? 0 : id;
    store.set({ opened: shown });
    if (line.more || !entry) {
      line.more?.remove();
      line.more = line.fall = null;
      setAttr(line.open, "aria-expanded", "false");
    } else {
      open(entry, line, Date.now() / 1000);
    }
  }

  /**
   * @param {Entry} entry
   * @param {Line} line
   * @param {number} now
   */
  function open(entry, line, now) {
    const list = make("dl", {}, ...details.map(([label]) => make("div", {}, make("dt", {}, label), make("dd", label === "Error" ? {} : { class: "number" }))));
    const show = make("button", { type: "button", class: "small" }, "Show in the charts");
    show.addEventListener("click", () => {
      const span = spanOf(entry.id);
      if (span) {
        const room = (span[1] - span[0]) * SHOW_ROOM;
        view.zoomTo(span[0] - room, span[1] + room);
        byId("plots", HTMLElement).scrollIntoView({ block: "nearest" });
      }
    });
    line.fall = makeWaterfall();
    line.more = make("tr", { class: "more" }, make("td", { colspan: String(columns.length) }, make("div", {}, line.fall.bar, line.fall.list, show), list));
    fillDetails(line, entry, now);
    line.row.after(line.more);
    setAttr(line.open, "aria-expanded", "true");
  }
}

/**
 * The attributes of a column's cells.
 *
 * @param {number} index
 * @returns {Record<string, string>}
 */
function amount(index) {
  return index >= IN ? { class: "amount" } : {};
}

/**
 * @param {Line} line  that is open
 * @param {Entry} entry
 * @param {number} now
 */
function fillDetails({ more, fall }, entry, now) {
  const values = more?.querySelectorAll("dd") ?? [];
  fall?.fill(phases(entry.last, elapsed(entry, now)));
  details.forEach(([, text], i) => {
    const shown = text(entry.last, entry);
    setText(values[i], shown ?? "");
    setAttr(values[i].parentElement ?? values[i], "hidden", shown ? null : "");
  });
}

/**
 * How long it took, or takes until now, ms.
 *
 * @param {Entry} entry
 * @param {number} now
 * @returns {number}
 */
export function elapsed({ at, last }, now) {
  return field(last, "duration_ms") ?? Math.max(0, now - at) * 1000;
}

/**
 * How full the context is.
 *
 * @param {object} event
 * @returns {number | undefined}
 */
function fillOf(event) {
  const length = field(event, "context_length");
  return length && field(event, "context_tokens") / length;
}

/** @param {object} event */
function fillText(event) {
  return `${whole(field(event, "context_tokens"))} of ${whole(field(event, "context_length"))}`;
}

/**
 * @template T
 * @param {T | undefined} value
 * @param {(value: T) => string} text
 */
function known(value, text) {
  return value === undefined ? undefined : text(value);
}

/** @param {...(string | undefined)} parts */
function joined(...parts) {
  return parts.filter(Boolean).join(", ");
}

/**
 * @param {Entry} entry
 * @param {RequestLog} requests
 */
function stateText(entry, requests) {
  const [word] = stateOf(entry.last);
  return entry.last.status === "queued" ? `${word}, place ${requests.place(entry.id)}` : word;
}

/**
 * Tokens per second of a running request since its first token: as told once a
 * second, before that by what has come.
 *
 * @param {Entry} entry
 * @param {number} now
 */
function liveRate({ running, firstAt, live, last }, now) {
  return running ? field(last, "tokens_per_second") ?? (live > 1 && now > firstAt ? (live - 1) / (now - firstAt) : undefined) : undefined;
}

/**
 * A field that only some request events have.
 *
 * @param {object} event
 * @param {string} name
 */
function field(event, name) {
  return Reflect.get(event, name);
}
