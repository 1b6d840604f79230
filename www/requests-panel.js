// @ts-check
/** The requests as a table: the running ones on top; a row opens its details. */

import { byId, make, notice, setAttr, setHidden, setName, setText } from "./dom.js";
import { clockTime, duration, NONE, percent, short, whole } from "./format.js";
import { isDue, untilNext } from "./frame.js";
import { loadingText } from "./model-facts.js";
import { meaningOf, STATES, stateOf } from "./outcomes.js";
import * as texts from "./texts.js";
import { makeWaterfall, phases } from "./waterfall.js";
import { counted, put } from "./words.js";

/** @typedef {import("./requests.js").Entry} Entry */
/** @typedef {import("./requests.js").RequestLog} RequestLog */

/**
 * @typedef {object} Column
 * @property {string} name   that a browser remembers
 * @property {string} title
 * @property {string} [what]  it is
 * @property {(entry: Entry, now: number, requests: RequestLog) => string | number | undefined} value  the sort key
 * @property {(value: any) => string} [text]
 */

const EVERY_S = 0.5; // nobody can read digits that change faster
const MANY = 8; // running requests: more count once a second, as each draw of a table costs

/** @type {Column[]} */
const columns = [
  { name: "time", title: texts.time, what: texts.timeWhat, value: (entry) => entry.at, text: clockTime },
  { name: "status", title: texts.state, value: (entry, _, requests) => stateText(entry, requests) },
  { name: "model", title: texts.model, value: ({ last }) => last.model },
  { name: "client", title: texts.client, value: ({ last }) => last.client },
  { name: "route", title: texts.route, value: ({ last }) => last.route },
  { name: "in", title: texts.promptIn, what: texts.promptInWhat, value: ({ last }) => field(last, "prompt_tokens"), text: whole },
  { name: "out", title: texts.answerOut, what: texts.answerOutWhat, value: (entry) => field(entry.running ? {} : entry.last, "completion_tokens") ?? (entry.live || undefined), text: whole },
  { name: "ttft", title: texts.firstToken, what: texts.ttftWhat, value: ({ last }) => field(last, "ttft_ms"), text: duration },
  { name: "prefill", title: texts.prefill, what: texts.prefillWhat, value: ({ last }) => field(last, "prefill_tokens_per_second"), text: short },
  { name: "decode", title: texts.decode, what: texts.decodeWhat, value: (entry, now) => field(entry.last, "decode_tokens_per_second") ?? liveRate(entry, now), text: short },
  { name: "duration", title: texts.duration, what: texts.durationWhat, value: (entry, now) => (entry.running ? elapsed(entry, now) : field(entry.last, "duration_ms")), text: duration },
  { name: "context", title: texts.contextFill, what: texts.contextFillWhat, value: ({ last }) => fillOf(last), text: percent },
];
/** The names of the columns. The first one is always there. */
export const COLUMNS = columns.map(({ name }) => name);
const STATUS = 1;
const MODEL = 2;
const CLIENT = 3;
const ROUTE = 4;
const IN = 5;
const OUT = 6;
const DECODE = 9;
const CONTEXT = 11;
const SHOW_ROOM = 0.1; // beside a request's span, in spans

/** @type {[label: string, text: (last: any, entry: Entry) => string | undefined, what?: string][]} those that are known are shown */
const details = [
  [texts.request, ({ id }) => String(Math.abs(id))],
  [texts.state, ({ status, ended_by: by }) => meant(meaningOf(status, by))],
  [texts.error, ({ error }) => error],
  [texts.route, ({ route }) => route],
  [texts.cachedTokens, ({ cached_tokens: n }) => known(n, whole), texts.cachedTokensWhat],
  [texts.cacheWritten, ({ cache_write_tokens: n }) => known(n, whole), texts.cacheWrittenWhat],
  [texts.thinking, (last) => joined(known(last.thinking_share, percent), known(last.reasoning_tokens, (n) => counted(texts.thinkingTokens, n)), known(last.think_ms, duration)),
    texts.thinkingWhat],
  [texts.draftAccepted, ({ draft_tokens: n, draft_accepted_tokens: of }) => known(n, () => put(texts.draftOf, { share: percent(of / n), n: whole(of), all: whole(n) })),
    texts.draftAcceptedWhat],
  [texts.betweenTokens, ({ itl_p50_ms: ms }) => known(ms, duration), texts.betweenTokensWhat],
  [texts.p95, ({ itl_p95_ms: ms }) => known(ms, duration), texts.betweenP95What],
  [texts.betweenLongest, ({ itl_max_ms: ms }) => known(ms, duration), texts.betweenLongestWhat],
  [texts.tokensInAll, (last, { running }) => (running ? undefined : known(last.tokens_per_second, short)), texts.tokensInAllWhat],
  [texts.audio, (last) => joined(known(last.audio_s, (s) => duration(s * 1000)), known(last.real_time_factor, (f) => put(texts.realTime, { n: short(1 / f) }))), texts.audioWhat],
  [texts.webSocket, (last) => known(last.bytes_received, (n) => put(texts.webSocketBytes, { received: whole(n), sent: whole(last.bytes_sent) })), texts.webSocketWhat],
  [texts.contextUsed, (last) => known(last.context_tokens, () => fillText(last)), texts.contextFillWhat],
  [texts.prompt, ({ prompt_cut: cut }) => (cut ? meant(texts.signs.prompt_cut) : undefined)],
  [texts.promptCache, ({ cache_broke: broke }) => (broke ? meant(texts.signs.cache_broke) : undefined)],
  [texts.energy, ({ joules: j }) => known(j, (n) => put(texts.energyOf, { n: short(n) })), texts.energyOfWhat],
  [texts.slow, ({ slow }) => known(slow, (cause) => Reflect.get(texts.slowCauses, cause) ?? cause)],
  [texts.finishReason, ({ finish_reason: reason }) => reason],
  [texts.readAs, ({ dialect }) => dialect],
  [texts.counts, ({ counts, counts_reason: why }) => known(counts, () => countsText(counts, why)), texts.countsWhat],
  [texts.httpStatus, ({ http_status: code }) => known(code, String)],
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
  let sortBy = 0; // index of a column
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
  const boxes = columns.slice(1).map(({ name, title }) => { // the first one opens the row
    const box = make("input", { type: "checkbox", name });
    box.addEventListener("change", () => {
      const hidden = [...(store.state.hidden ?? []).filter((one) => one !== name), ...(box.checked ? [] : [name])];
      settings.save({ hidden });
      store.set({ hidden });
    });
    byId("columns", HTMLElement).append(make("label", {}, box, title));
    return box;
  });
  store.on(["hidden"], ({ hidden }) => {
    boxes.forEach((box) => {
      box.checked = !hidden?.includes(box.name);
    });
    [head, ...[...lines.values()].map(({ row }) => row)].forEach(choose);
    setAttr(panel, "data-chosen", hidden ? "" : null);
  });
  store.on(["sort"], ({ sort }) => {
    sortBy = Math.max(0, COLUMNS.indexOf(sort.split(",")[0]));
    descending = !sort.endsWith(",up");
    [...head.cells].forEach((cell, i) => setAttr(cell, "aria-sort", i === sortBy ? (descending ? "descending" : "ascending") : null));
    version = -1;
    frame.request();
  });
  frame.add((now) => {
    if (version < 0 || ((requests.version !== version || requests.active > 0) && isDue(drawn, pace(), now))) {
      version = requests.version;
      drawn = now;
      setHidden(panel, !requests.any);
      drawRows(lostAt || now);
    }
    return requests.active > 0 || requests.version !== version ? untilNext(pace(), now) : Infinity;
  });

  /** Seconds between two draws. */
  function pace() {
    return requests.active > MANY ? 2 * EVERY_S : EVERY_S;
  }

  /**
   * @param {Column} column
   * @param {number} index
   */
  function heading({ name, title, what }, index) {
    const button = make("button", { type: "button", class: "plain", ...(what && { class: "plain what", title: what }) }, title);
    const head = make("th", { scope: "col", ...amount(index) }, button);
    button.addEventListener("click", () => {
      const up = index === sortBy && descending;
      store.set({ sort: up ? `${name},up` : index === 0 ? "" : name });
    });
    return head;
  }

  /**
   * Show the chosen cells of a row.
   *
   * @param {HTMLTableRowElement} row
   */
  function choose(row) {
    [...row.cells].forEach((cell, i) => setAttr(cell, "hidden", store.state.hidden?.includes(COLUMNS[i]) ? "" : null));
  }

  /** @param {number} now */
  function drawRows(now) {
    const { opened } = store.state;
    const entries = requests.list().filter((entry) => filter.entry(entry)).sort((a, b) => Number(b.running) - Number(a.running) || compare(a, b, now));
    setText(note, filter.on ? put(texts.passOf, { n: entries.length, all: requests.entries.size }) : "");
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
    const cancel = make("button", { type: "button", class: "small", "aria-label": put(texts.cancelRequest, { id }) }, texts.cancel);
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
        notice(put(texts.notCancelled, { id, reason: problem }));
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
        setAttr(line.cells[i], "title", why ? countsText(field(entry.last, "counts"), why) : null);
      }
      if (i === IN && entry.running && field(entry.last, "prompt_processed") !== undefined) {
        shown = put(texts.promptRead, { n: whole(field(entry.last, "prompt_processed")), all: shown });
      }
      if (i === STATUS) {
        shown = waitText(entry, now) || shown;
      }
      (i === MODEL ? setName : setText)(line.texts[i], shown);
      if (i === MODEL || i === CLIENT) {
        setAttr(line.cells[i], "title", shown); // it may be cut
      }
    });
    setAttr(line.open, "aria-label", put(texts.detailsOf, { time: line.open.textContent ?? "", id: Math.abs(entry.last.id) }));
    const odd = entry.running && lostAt ? "lost" : entry.last.status === "running" && store.state.down ? "stuck" : "";
    setAttr(line.row, "data-stuck", odd === "stuck" ? "" : null);
    setAttr(line.row, "data-lost", odd === "lost" ? "" : null);
    if (odd) {
      setText(line.texts[STATUS], STATES[odd][0]);
    }
    setAttr(line.texts[STATUS], "title", meant(odd ? STATES[odd] : stateOf(entry.last)));
    setHidden(line.cancel, !entry.running || odd === "lost");
    for (const [name, [words, meaning]] of Object.entries(texts.signs)) {
      if (field(entry.last, name) && !line.cells[STATUS].querySelector(`[data-sign=${name}]`)) {
        line.cells[STATUS].append(make("b", { class: "mark", "data-sign": name, title: meaning }, words));
      }
    }
    line.texts[CONTEXT].style.setProperty("--fill", `${Math.min(100, (fillOf(entry.last) ?? 0) * 100)}%`);
    setAttr(line.texts[CONTEXT], "title", fillOf(entry.last) === undefined ? null
      : put(texts.tokensOf, { n: whole(field(entry.last, "context_tokens")), all: whole(field(entry.last, "context_length")) }));
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
    return loading ? put(texts.loadingFor, { time: loadingText(loading, feed.clock.toBrowser(loading.since), now) })
      : prefill ? put(texts.readingPrompt, { share: percent(prefill.fraction) }) : "";
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
    const list = make("dl", {}, ...details.map(([label, , what]) => make("div", what ? { title: what } : {},
      make("dt", {}, label), make("dd", what ? { class: "number" } : {}))));
    const show = make("button", { type: "button", class: "small" }, texts.showInCharts);
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
  return put(texts.usedOf, { used: whole(field(event, "context_tokens")), total: whole(field(event, "context_length")) });
}

/**
 * @template T
 * @param {T | undefined} value
 * @param {(value: T) => string} text
 */
function known(value, text) {
  return value === undefined ? undefined : text(value);
}

/** @param {string[]} outcome  the word, and what it means */
function meant([word, meaning]) {
  return put(texts.withMeaning, { word, meaning });
}

/** @param {keyof typeof texts.countsAre} counts @param {keyof typeof texts.countsReasons | undefined} why  they are not exact */
function countsText(counts, why) {
  const word = texts.countsAre[counts] ?? counts;
  return why ? put(texts.countsBecause, { counts: word, reason: texts.countsReasons[why] ?? why }) : word;
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
  return entry.last.status === "queued" ? put(texts.queuedAt, { state: word, n: requests.place(entry.id) }) : word;
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
