// @ts-check
/** The requests as a table: the running ones on top; a row opens its details. */

import { byId, make, notice, setAttr, setName, setText } from "./dom.js";
import { clockTime, duration, NONE, short, whole } from "./format.js";

/** @typedef {import("./requests.js").Entry} Entry */
/** @typedef {import("./requests.js").RequestLog} RequestLog */

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {(entry: Entry, now: number, requests: RequestLog) => string | number | undefined} value  the sort key
 * @property {(value: any) => string} [text]
 */

const EVERY_S = 0.2;

/** @type {Column[]} */
const columns = [
  { title: "Time", value: (entry) => entry.at, text: clockTime },
  { title: "Status", value: (entry, _, requests) => stateText(entry, requests) },
  { title: "Model", value: ({ last }) => last.model },
  { title: "Client", value: ({ last }) => last.client },
  { title: "Route", value: ({ last }) => last.route },
  { title: "In", value: ({ last }) => field(last, "prompt_tokens"), text: whole },
  { title: "Out", value: (entry) => field(entry.running ? {} : entry.last, "completion_tokens") ?? (entry.live || undefined), text: whole },
  { title: "First token", value: ({ last }) => field(last, "ttft_ms"), text: duration },
  { title: "Prefill /s", value: ({ last }) => field(last, "prefill_tokens_per_second"), text: short },
  { title: "Decode /s", value: (entry, now) => field(entry.last, "decode_tokens_per_second") ?? liveRate(entry, now), text: short },
  { title: "Duration", value: (entry, now) => field(entry.last, "duration_ms") ?? (entry.running ? Math.max(0, now - entry.at) * 1000 : undefined), text: duration },
];
const STATUS = 1;
const MODEL = 2;
const ROUTE = 4;
const IN = 5;
const OUT = 6;
const DECODE = 9;
const FIND_FROM = 8; // requests before there is a search field

/** What became of a request: in a word, and what that means. */
const STATES = {
  running: ["running", "The engine is working on it."],
  queued: ["queued", "It waits until the engine is free."],
  finished: ["finished", "The answer is complete."],
  left: ["client left", "The client closed the connection before the answer was complete."],
  cut: ["broken off", "The engine's answer ended too early, or a viewer cancelled the request."],
  cancelled: ["cancelled", "A viewer cancelled the request from this page."],
  refused: ["refused", "The queue was full, or the engine refused the request."],
  failed: ["engine failed", "The engine could not be reached, or answered with an error."],
};

/** @type {[label: string, name: string, text: (value: any) => string][]} */
const details = [
  ["Request", "id", String],
  ["Status", "status", String],
  ["Cached prompt tokens", "cached_tokens", whole],
  ["Waited", "queue_ms", duration],
  ["Between tokens, p50", "itl_p50_ms", duration],
  ["p95", "itl_p95_ms", duration],
  ["longest", "itl_max_ms", duration],
  ["Finish reason", "finish_reason", String],
];

/**
 * @typedef {object} Line
 * @property {HTMLTableRowElement} row
 * @property {HTMLTableCellElement[]} cells
 * @property {HTMLElement[]} texts  the element of each cell that holds its text
 * @property {HTMLButtonElement} open
 * @property {HTMLButtonElement} cancel
 * @property {HTMLTableRowElement | null} more
 */

/** @param {import("./app.js").Context} context */
export function mountRequests({ frame, session }) {
  const { requests } = session;
  const panel = byId("requests", HTMLElement);
  const body = byId("requests-body", HTMLTableSectionElement);
  const search = byId("requests-search", HTMLInputElement);
  search.addEventListener("input", () => {
    version = -1;
    frame.request();
  });
  /** @type {Map<number, Line>} */
  const lines = new Map();
  let sortBy = 0;
  let descending = true;
  let drawn = 0;
  let version = -1;

  byId("requests-head", HTMLTableRowElement).append(...columns.map((column, i) => heading(column.title, i)));
  frame.add((now) => {
    if (requests.version !== version || (requests.active > 0 && now - drawn >= EVERY_S)) {
      version = requests.version;
      drawn = now;
      panel.hidden = !requests.any;
      drawRows(now);
    }
    return requests.active > 0 ? 1000 * EVERY_S : Infinity;
  });

  /**
   * @param {string} title
   * @param {number} index
   */
  function heading(title, index) {
    const button = make("button", { type: "button", class: "plain" }, title);
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

  /** @param {number} now */
  function drawRows(now) {
    const wanted = search.value.trim().toLowerCase();
    search.hidden = requests.entries.size < FIND_FROM && !wanted;
    const entries = requests.list().filter((entry) => matches(entry, wanted)).sort((a, b) => Number(b.running) - Number(a.running) || compare(a, b, now));
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
    cells[STATUS].className = "status";
    rest[0].className = "name";
    cells[MODEL].className = "wide"; // on a small screen, where a row is a card
    cells[ROUTE].className = "route";
    const row = make("tr", {}, ...cells);
    /** @type {Line} */
    const line = { row, cells, texts: [open, status, ...rest], open, cancel, more: null };
    lines.set(id, line);
    open.addEventListener("click", () => toggle(id, line));
    cancel.addEventListener("click", async () => {
      cancel.disabled = true;
      const problem = await session.send({ action: "cancel", request: id });
      cancel.disabled = false;
      const entry = requests.entries.get(id);
      if (entry && !problem) {
        entry.cancelled = true;
      }
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
      if (i === IN && entry.running && field(entry.last, "prompt_processed") !== undefined) {
        shown = `${whole(field(entry.last, "prompt_processed"))} of ${shown}`;
      }
      (i === MODEL ? setName : setText)(line.texts[i], shown);
    });
    setAttr(line.open, "aria-label", `${line.open.textContent}, details of request ${Math.abs(entry.last.id)}`);
    setAttr(line.texts[STATUS], "title", stateOf(entry)[1]);
    line.cancel.hidden = !entry.running;
    if (line.more) {
      fillDetails(line.more, entry);
    }
  }

  /**
   * @param {number} id
   * @param {Line} line
   */
  function toggle(id, line) {
    const entry = requests.entries.get(id);
    if (line.more || !entry) {
      line.more?.remove();
      line.more = null;
    } else {
      const list = make("dl", {}, ...details.map(([label]) => make("div", {}, make("dt", {}, label), make("dd", { class: "number" }))));
      line.more = make("tr", { class: "more" }, make("td", { colspan: String(columns.length) }, list));
      fillDetails(line.more, entry);
      line.row.after(line.more);
    }
    setAttr(line.open, "aria-expanded", String(line.more !== null));
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
 * @param {HTMLTableRowElement} more
 * @param {Entry} entry
 */
function fillDetails(more, entry) {
  const values = more.querySelectorAll("dd");
  details.forEach(([, name, text], i) => {
    const value = name === "status" ? stateOf(entry).join(": ") : field(entry.last, name);
    setText(values[i], value === undefined ? NONE : text(value));
  });
}

/** @param {Entry} entry */
function stateOf({ cancelled, last }) {
  return STATES[cancelled && (last.status === "cut" || last.status === "left") ? "cancelled" : last.status];
}

/**
 * @param {Entry} entry
 * @param {RequestLog} requests
 */
function stateText(entry, requests) {
  const [word] = stateOf(entry);
  return entry.last.status === "queued" ? `${word}, place ${requests.place(entry.id)}` : word;
}

/**
 * Tokens per second of a running request since its first token.
 *
 * @param {Entry} entry
 * @param {number} now
 */
function liveRate({ running, firstAt, live }, now) {
  return running && live > 1 && now > firstAt ? (live - 1) / (now - firstAt) : undefined;
}

/**
 * @param {Entry} entry
 * @param {string} wanted  in lower case
 */
function matches(entry, wanted) {
  const { model, client, route, id } = entry.last;
  return [model, client, route, stateOf(entry)[0], String(id)].some((text) => text.toLowerCase().includes(wanted));
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
