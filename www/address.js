// @ts-check
/**
 * What is seen stands in the page's address: a link to it shows the same elsewhere, and a step back in the browser's history
 * goes back to what was seen before.
 *
 *   w=300|all         the window, seconds
 *   t=FROM,TO         the part of it that is zoomed, or frozen
 *   p=A[,B]           what is pinned
 *   a=FROM,MODEL&b=FROM,MODEL&l=SECONDS   what is laid over each other
 *   q=TEXT req=ID     the filter, and the request that is open
 *   s=COLUMN[,up]     the column by which the requests are sorted; from its lowest value on
 *   h=COLUMN,…        the columns of the requests that are left out
 *   y=1 log=1|0       with yesterday's lines; logarithmic scales
 *   node=NAME         the board behind this server that alone is shown
 *
 * Times are Unix seconds by the server's clock: browsers' clocks differ. What is not understood is left out.
 */

import { isPast } from "./past.js";
import { COLUMNS } from "./requests-panel.js";

/** @typedef {Pick<import("./store.js").PageState, "span" | "zoom" | "find" | "opened" | "sort" | "hidden" | "pins" | "yesterday" | "log" | "versus">} Seen */

const WRITE_MS = 400; // browsers count the changes of an address, and refuse too many
const ID_MAX = 2 ** 40;
const NEAR_S = 300; // the window in place of one of hours: those the server keeps of itself alone
const SPAN_MAX_S = 14 * 86_400;
const TIME_MIN = 1e9; // 2001 to 2286
const TIME_MAX = 1e10;
const TEXT_MAX = 500; // characters
const SKEW_S = 0.05; // clocks that differ by less are the same
const FLOWING = ["q", "t"]; // typing a text and moving through the time are one step

/**
 * The board behind this server that the page shows alone, or "".
 *
 * @param {string} hash  of the address
 */
export function nodeOf(hash) {
  const node = new URLSearchParams(hash.slice(1)).get("node") ?? "";
  return node.length > TEXT_MAX ? "" : node;
}

/** @param {import("./app.js").Context} context */
export function mountAddress({ store, settings, view, session: { node, feed: { clock } } }) {
  const { span, log } = settings; // as the page was opened: what a step back leads to
  const hidden = settings.hidden && chosen(settings.hidden);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let fresh = true; // it was read just now: writing it is no step
  let stepped = false; // since it was read
  let latest = ""; // what the latest step changed
  let skew = 0; // with which it was read
  let known = ""; // the hash as it was read or written
  const write = () => {
    if (location.hash !== known) {
      read(); // a step back that is not told yet
      return;
    }
    const { zoom, frozenAt } = store.state;
    const hash = format({ ...store.state, zoom: zoom ?? (frozenAt ? view.range(frozenAt) : null), node }, clock.skew);
    const part = changed(location.hash, hash);
    const step = !fresh && !(part === latest && FLOWING.includes(part));
    fresh = false;
    if (hash !== location.hash && nodeOf(location.hash) === node) { // else another board's page is on its way
      stepped ||= step;
      latest = step ? part : latest;
      history[step ? "pushState" : "replaceState"](history.state, "", hash || location.pathname + location.search);
      known = location.hash;
    }
  };
  const plan = () => {
    clearTimeout(timer);
    timer = setTimeout(write, WRITE_MS);
  };
  const read = () => {
    if (nodeOf(location.hash) !== node) {
      location.reload(); // another board is another page
      return;
    }
    known = location.hash;
    ({ skew } = clock);
    fresh = true;
    stepped = false;
    latest = "";
    store.set({ frozenAt: 0, ...parse(location.hash, span, { log, hidden, skew }) });
    clearTimeout(timer);
    write(); // at once: what somebody does from now on is a step
  };
  read();
  addEventListener("hashchange", () => location.hash !== known && read());
  store.on(["span", "zoom", "frozenAt", "find", "opened", "sort", "hidden", "pins", "yesterday", "log", "versus"], plan);
  store.on(["status"], ({ status }) => {
    if (status && !stepped && Math.abs(clock.skew - skew) > SKEW_S) {
      read(); // now the server's clock is known
    }
    stepped ||= status !== null;
  });
}

/** @param {readonly string[]} names @returns {string[]} those of columns that can be left out, each once */
function chosen(names) {
  return COLUMNS.slice(1).filter((name) => names.includes(name));
}

/** @param {string} before @param {string} after  hashes @returns {string} the names of what differs, without the scale that comes with a time */
function changed(before, after) {
  const [a, b] = [before, after].map((hash) => new URLSearchParams(hash.slice(1)));
  return [...new Set([...a.keys(), ...b.keys()])].filter((name) => a.get(name) !== b.get(name)).join().replace(",log", "");
}

/**
 * @param {Pick<Seen, "span" | "zoom" | "find" | "opened"> & Partial<Seen> & {node?: string}} state  times by the browser's clock
 * @param {number} [skew]  of the server's clock, seconds
 * @returns {string} "": all is as usual
 */
export function format({ span, zoom, find, opened, sort, hidden, pins = [], yesterday, log, versus, node }, skew = 0) {
  const times = (/** @type {readonly number[]} */ list) => list.map((time) => (time + skew).toFixed(3)).join();
  const parts = [
    span === 60 ? "" : `w=${span === Infinity ? "all" : span}`, zoom && `t=${times(zoom)}`, pins.length ? `p=${times(pins)}` : "",
    find && `q=${encodeURIComponent(find)}`, opened > 0 ? `req=${opened}` : "", sort && `s=${sort}`, hidden ? `h=${hidden.join()}` : "", yesterday ? "y=1" : "",
    log ? "log=1" : zoom || pins.length ? "log=0" : "", // what stands still looks the same elsewhere
    ...(versus ? [`a=${times([versus.a.from])},${encodeURIComponent(versus.a.model)}`, `b=${times([versus.b.from])},${encodeURIComponent(versus.b.model)}`, `l=${versus.length}`] : []),
    node && `node=${encodeURIComponent(node)}`,
  ].filter(Boolean);
  return parts.length ? `#${parts.join("&")}` : "";
}

/**
 * @param {string} hash  of the address
 * @param {number} usual  the window where none is given, seconds
 * @param {{log?: boolean, hidden?: readonly string[] | null, skew?: number}} [own]  the scale and the columns where none are given; the skew of the server's clock, seconds
 * @returns {Seen}
 */
export function parse(hash, usual, { log = false, hidden = null, skew = 0 } = {}) {
  const values = new URLSearchParams(hash.slice(1));
  const value = (/** @type {string} */ name) => values.get(name) ?? "";
  const time = (/** @type {string} */ text) => (Number(text) >= TIME_MIN && Number(text) <= TIME_MAX ? Number(text) - skew : NaN);
  const list = (/** @type {string} */ name, /** @type {number} */ most) => {
    const times = value(name).split(",", most + 1).map(time);
    return times.length <= most && times.every((one, i) => !(one <= times[i - 1]) && one === one) ? times : [];
  };
  const side = (/** @type {string} */ name) => {
    const [from, model = ""] = [value(name).split(",", 1)[0], value(name).slice(value(name).indexOf(",") + 1)];
    return { from: time(from), model: model.slice(0, TEXT_MAX) };
  };
  const seconds = (/** @type {string} */ name) => (Number(value(name)) >= 1 && Number(value(name)) <= SPAN_MAX_S ? Number(value(name)) : 0);
  const [from, to] = list("t", 2);
  const opened = Number(value("req"));
  const span = value("w") === "all" ? Infinity : seconds("w") || usual;
  const [by, way, ...more] = value("s").split(",", 3);
  const sorted = COLUMNS.includes(by) && (way === undefined || way === "up") && more.length === 0;
  const out = value("h") ? value("h").split(",", COLUMNS.length) : [];
  const [a, b, length] = [side("a"), side("b"), seconds("l")];
  return {
    span: nodeOf(hash) && isPast(span) ? NEAR_S : span,
    zoom: to - from <= SPAN_MAX_S ? [from, to] : null,
    find: value("q").slice(0, TEXT_MAX),
    opened: Number.isInteger(opened) && opened > 0 && opened < ID_MAX ? opened : 0,
    sort: sorted ? value("s") : "",
    hidden: values.has("h") && chosen(out).length === out.length ? chosen(out) : hidden,
    pins: list("p", 2),
    yesterday: value("y") === "1",
    log: value("log") ? value("log") === "1" : log,
    versus: a.from > 0 && b.from > 0 && length ? { a, b, length } : null,
  };
}
