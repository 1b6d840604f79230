// @ts-check
/**
 * A model in a time, to be laid over another: what it did in numbers, and as lines that begin at 0. It is of this page's ticks
 * where they go back so far, else of rows of the server's history.
 */

import { quantiles } from "./statistics.js";

/** @typedef {{model: string, from: number}} Side  model: "" is all of them; from: browser's clock, Unix seconds */
/** @typedef {{a: Side, b: Side, length: number}} Versus  length: of both, seconds */

/**
 * NaN: not known.
 *
 * @typedef {object} Told
 * @property {number[]} x                seconds since its beginning
 * @property {(number | null)[]} rate    tokens/s there
 * @property {(number | null)[]} latency ms: the median there
 * @property {number} tokens
 * @property {number} mean               tokens/s, idle time included
 * @property {number} busy               tokens/s, without idle time
 * @property {number} p50                ms
 * @property {number} p95                ms
 */

const PIECES = 120; // of which a line has a point each

/**
 * @param {import("./feed.js").Feed} feed
 * @param {Side} side
 * @param {number} length
 * @returns {Told}
 */
export function ofTicks({ ring, lanes, tokenless }, { model, from }, length) {
  const passes = (/** @type {number} */ k) => !model || lanes[ring.lane[k]].model === model;
  const piece = length / PIECES;
  const told = begin();
  for (let n = 0; n < PIECES; n++) {
    const first = ring.find(from + n * piece);
    const last = ring.find(from + (n + 1) * piece);
    let made = 0;
    for (let i = first; i < last; i++) {
      made += passes(i & ring.mask) ? (tokenless ? 1 : ring.more[i & ring.mask]) : 0;
    }
    const [p50] = quantiles(ring, first, last, [0.5], passes);
    add(told, (n + 0.5) * piece, piece, Math.max(0, made), p50);
  }
  const [p50, p95] = quantiles(ring, ring.find(from), ring.find(from + length), [0.5, 0.95], passes);
  return end(told, length, p50, p95);
}

/**
 * @param {import("./contract").HistoryAnswer} answer  of its rows in that time
 * @param {number} from      server's clock, Unix seconds
 * @param {number} length
 * @param {boolean} tokenless
 * @returns {Told}
 */
export function ofRows({ series, rows, step }, from, length, tokenless) {
  const told = begin();
  const column = (/** @type {string} */ name) => series.indexOf(/** @type {any} */ (name));
  const [ticks, tokens, p50, p95] = ["ticks", tokenless ? "ticks" : "tokens", "latency_p50_ms", "latency_p95_ms"].map(column);
  const busy = rows.filter((row) => row[ticks]);
  for (const row of rows) {
    add(told, (row[0] ?? 0) - from + step / 2, step, row[tokens] ?? 0, row[p50] ?? NaN);
  }
  const weights = busy.map((row) => row[ticks] ?? 0);
  return end(told, rows.length ? length : NaN, weighted(busy.map((row) => row[p50] ?? NaN), weights), weighted(busy.map((row) => row[p95] ?? NaN), weights));
}

/**
 * @param {import("./contract").HistoryAnswer} answer
 * @param {string} name  of a series
 * @returns {number} the sum of its values; NaN: there are none
 */
export function sumOf({ series, rows }, name) {
  const column = series.indexOf(/** @type {any} */ (name));
  const values = rows.map((row) => row[column]).filter((value) => typeof value === "number");
  return values.length ? values.reduce((sum, value) => sum + value, 0) : NaN;
}

/** @returns {Told} */
function begin() {
  return { x: [], rate: [], latency: [], tokens: 0, mean: NaN, busy: 0, p50: NaN, p95: NaN };
}

/**
 * @param {Told} told
 * @param {number} x
 * @param {number} seconds
 * @param {number} made
 * @param {number} p50
 */
function add(told, x, seconds, made, p50) {
  told.x.push(x);
  told.rate.push(made / seconds);
  told.latency.push(p50 === p50 ? p50 : null);
  told.tokens += made;
  told.busy += made > 0 ? seconds : 0; // until its end, the time
}

/**
 * @param {Told} told
 * @param {number} length
 * @param {number} p50
 * @param {number} p95
 */
function end(told, length, p50, p95) {
  return { ...told, mean: told.tokens / length, busy: told.tokens / told.busy, p50, p95 };
}

/**
 * The median of values that count more or less.
 *
 * @param {number[]} values
 * @param {number[]} weights
 */
export function weighted(values, weights) {
  const order = values.map((value, i) => ({ value, weight: weights[i] })).filter(({ value }) => value === value).sort((a, b) => a.value - b.value);
  let left = order.reduce((sum, { weight }) => sum + weight, 0) / 2;
  return order.find(({ weight }) => (left -= weight) <= 0)?.value ?? NaN;
}
