// @ts-check
/**
 * Decimation: which ticks a chart draws. A chart has a thousand columns of
 * pixels, the ring half a million ticks. A small number of ticks is drawn
 * unchanged. Of more, each line keeps the lowest and the highest tick of each
 * column, in order of time. Of very many, a line through all of these would be
 * a block: then a column is a range, from its lowest to its highest tick, and
 * its median. No peak is lost, and every value is a real tick's.
 */

import { BREAK, FIRST, SILENT } from "./ring.js";

/** @typedef {import("./ring.js").Ring} Ring */

/** The most lines that a chart has. */
export const LINES = 8;

/** Above so many ticks a pixel, columns are ranges. */
export const DENSE = 3;

/** Width of such a column, px. */
export const RANGE_PX = 2;

/** In which a rate falls to 0, seconds: the window that it is taken from. */
export const FALL_S = 2;
const SAMPLE = 32; // ticks that the median of a column is of

/**
 * Rows for uPlot, reused from one draw to the next. x ascends. In each row a
 * line has a value, null (the line breaks here) or undefined (the row belongs
 * to another line).
 */
export class Rows {
  /** @type {number[]} */ x = [];
  /** @type {(number | null | undefined)[][]} */ y = Array.from({ length: LINES }, () => []);
  /** @type {(number | undefined)[][]} the ranges, if columns are ranges */ low = Array.from({ length: LINES }, () => []);
  /** @type {(number | undefined)[][]} */ high = Array.from({ length: LINES }, () => []);
  dense = false; // columns are ranges
  top = NaN; // the highest value
  bottom = NaN; // and the lowest
  least = 0; // the scale reaches at least so high
  columns = new Columns();
  /** @type {number[]} */ #last = Array(LINES).fill(-1); // each line's latest row

  clear() {
    this.x.length = 0;
    for (const line of [...this.y, ...this.low, ...this.high]) {
      line.length = 0;
    }
    this.#last.fill(-1);
    this.dense = false;
    this.top = this.bottom = NaN;
  }

  /**
   * @param {number} x
   * @param {number} line
   * @param {number} value
   * @param {boolean} broken  not joined to the line's latest value
   */
  add(x, line, value, broken) {
    const last = this.#last[line];
    const newest = this.x.length - 1;
    const shared = this.dense && this.x[newest] === x && last < newest - Number(broken); // columns are at the same x for all lines
    if (broken && last >= 0) {
      if (last + 1 === this.x.length) {
        this.#row(x);
      }
      this.y[line].fill(null, last + 1);
    }
    if (!shared) {
      this.#row(x);
    }
    this.#last[line] = this.x.length - 1;
    this.y[line][this.#last[line]] = value;
    this.top = value <= this.top ? this.top : value;
    this.bottom = value >= this.bottom ? this.bottom : value;
  }

  /**
   * The same for a range.
   *
   * @param {number} x
   * @param {number} line
   * @param {number} low
   * @param {number} value
   * @param {number} high
   * @param {boolean} broken
   */
  addRange(x, line, low, value, high, broken) {
    this.add(x, line, value, broken);
    const row = this.#last[line];
    this.low[line][row] = low;
    this.high[line][row] = high;
    this.top = Math.max(this.top, high);
  }

  /**
   * The line falls to 0 after its latest value, and stays there up to x.
   *
   * @param {number} x
   * @param {number} line
   * @param {number} from  where it begins if it has no value yet
   */
  fall(x, line, from) {
    const last = this.#last[line];
    if (last + 1 < this.x.length) {
      const own = this.y[line];
      const value = last < 0 ? 0 : own[last] ?? 0;
      for (let row = last + 1; row < this.x.length; row++) { // the rows of other lines
        own[row] = last < 0 ? 0 : value * Math.max(0, 1 - (this.x[row] - this.x[last]) / FALL_S);
      }
    }
    const zero = last < 0 ? from : this.x[last] + FALL_S;
    if (zero < x && zero >= (this.x[this.x.length - 1] ?? zero)) {
      this.add(zero, line, 0, false);
    }
    this.add(x, line, 0, false);
  }

  /**
   * When the line's latest value is; NaN: it has none.
   *
   * @param {number} line
   */
  latest(line) {
    return this.x[this.#last[line]] ?? NaN;
  }

  /** @param {number} x */
  #row(x) {
    this.x.push(x);
    for (const line of this.y) {
      line.push(undefined);
    }
  }
}

/**
 * What one line has in a column that is a range.
 *
 * @typedef {object} Cell
 * @property {number} line
 * @property {number} low
 * @property {number} middle
 * @property {number} high
 * @property {number} flags  of its ticks
 */

/**
 * The columns that are complete: at the next draw, a moment later, they are the
 * same, and only the ticks behind them are read.
 */
class Columns {
  /** @type {{number: number, cells: Cell[]}[]} */ done = [];
  number = NaN; // of the column behind them
  at = 0; // index of its first tick
  broken = new Uint8Array(LINES); // flags of lines that wait for a value there
  #start = 0; // index of the first tick
  /** @type {unknown[]} */ #of = [];
  #lineOf = new Int8Array(0);

  /**
   * Keep those that are still right.
   *
   * @param {Ring} ring
   * @param {Drawn} drawn
   */
  prepare(ring, { values, from, to, width, lineOf }) {
    const of = [ring, ring.rewinds, values, width];
    if (of.some((value, i) => value !== this.#of[i]) || from < this.#start || from > this.at || to < this.at || lineOf.some((line, i) => line !== this.#lineOf[i])) {
      this.#of = of;
      this.#lineOf = lineOf.slice();
      this.#start = this.at = from;
      this.number = NaN;
      this.broken.fill(0);
      this.done.length = 0;
    }
    const first = Math.floor(ring.time[from & ring.mask] / width);
    const left = this.done.findIndex(({ number }) => number >= first);
    this.done.splice(0, left < 0 ? this.done.length : left);
  }
}

// For each line, the ticks kept of the current column: indices in the ring, or -1.
const lowest = new Float64Array(LINES);
const highest = new Float64Array(LINES);
const broken = new Uint8Array(LINES); // flags of the ticks
const before = new Float64Array(LINES); // when the latest tick was that passes
const points = new Float64Array(2 * LINES);
// If columns are ranges: a sample of the column's values, every n-th one.
const sample = Array.from({ length: LINES }, () => new Float32Array(SAMPLE));
const seen = new Uint32Array(LINES);
const every = new Uint32Array(LINES);

/**
 * @typedef {object} Drawn
 * @property {Float32Array} values  one of the ring's columns
 * @property {number} from          index of the first tick
 * @property {number} to            index after the last tick
 * @property {number} width         of a column, seconds
 * @property {Int8Array} lineOf     the line of each lane, or -1: not drawn
 * @property {boolean} [dense]      columns are ranges
 * @property {((slot: number) => boolean) | null} [passes]  which ticks are drawn; null: all. Of others, a line has gaps.
 */

/**
 * @param {Ring} ring
 * @param {Drawn} drawn
 * @param {Rows} rows  the result
 */
export function decimate(ring, drawn, rows) {
  const { values, from, to, width, lineOf, dense = false, passes = null } = drawn;
  const { mask, time, lane, flags } = ring;
  const without = values === ring.latency ? FIRST : 0; // ticks that are no latency
  const silent = values === ring.rate || (passes && !without) ? SILENT : 0; // what ran in a silence is known of the rate alone
  rows.clear();
  rows.dense = dense;
  lowest.fill(-1);
  broken.fill(0);
  seen.fill(0);
  before.fill(Infinity);
  const kept = dense && !passes ? rows.columns : null;
  let column = NaN;
  let i = from;
  if (kept) {
    kept.prepare(ring, drawn);
    kept.done.forEach(({ number, cells }) => emit(cells, (number + 0.5) * width));
    broken.set(kept.broken);
    column = kept.number;
    i = kept.at;
  }
  for (; i < to; i++) {
    const k = i & mask;
    const line = lineOf[lane[k]];
    if (line < 0 || (passes && !passes(k))) {
      continue;
    }
    // Columns start at multiples of their width: otherwise a moving chart would shimmer.
    const its = Math.floor(time[k] / width);
    if (its !== column) {
      const cells = flush();
      if (kept) {
        if (cells.length) {
          kept.done.push({ number: column, cells });
        }
        kept.number = its;
        kept.at = i;
        kept.broken.set(broken);
      }
      column = its;
    }
    if (passes) {
      broken[line] |= time[k] - before[line] > FALL_S ? BREAK | silent : 0;
      before[line] = time[k];
    }
    broken[line] |= flags[k] & (BREAK | silent);
    if (flags[k] & without) {
      broken[line] |= BREAK;
      continue;
    }
    if (lowest[line] < 0) {
      lowest[line] = highest[line] = i;
    } else if (values[k] < values[lowest[line] & mask]) {
      lowest[line] = i;
    } else if (values[k] > values[highest[line] & mask]) {
      highest[line] = i;
    }
    if (dense) {
      keep(line, values[k]);
    }
  }
  flush();

  /** The column is complete: turn it into rows. */
  function flush() {
    const cells = dense ? ranges(values, mask) : [];
    if (dense) {
      emit(cells, (column + 0.5) * width);
    } else {
      flushPoints(ring, drawn, rows);
    }
    return cells;
  }

  /** @param {Cell[]} cells @param {number} x */
  function emit(cells, x) {
    for (const { line, low, middle, high, flags: its } of cells) {
      if (its & SILENT) { // after a silence the line comes from 0
        rows.fall(x, line, time[from & mask]);
      }
      rows.addRange(x, line, low, middle, high, its !== 0 && !(its & SILENT));
    }
  }
}

/**
 * Keep a value in the line's sample, if its turn has come.
 *
 * @param {number} line
 * @param {number} value
 */
function keep(line, value) {
  const own = sample[line];
  if (seen[line] === 0) {
    every[line] = 1;
  } else if (seen[line] === SAMPLE * every[line]) { // full: every other one goes
    for (let i = 1; 2 * i < SAMPLE; i++) {
      own[i] = own[2 * i];
    }
    every[line] *= 2;
  }
  if (seen[line] % every[line] === 0) {
    own[seen[line] / every[line]] = value;
  }
  seen[line]++;
}

/**
 * Few values are sorted faster here than by sort().
 *
 * @param {Float32Array} values  the first ones get sorted
 * @param {number} count
 */
function medianOf(values, count) {
  for (let i = 1; i < count; i++) {
    const value = values[i];
    let at = i;
    for (; at > 0 && values[at - 1] > value; at--) {
      values[at] = values[at - 1];
    }
    values[at] = value;
  }
  return values[(count - 1) >> 1];
}

/**
 * What the lines have in a column that is complete.
 *
 * @param {Float32Array} values
 * @param {number} mask  of the ring
 * @returns {Cell[]}
 */
function ranges(values, mask) {
  /** @type {Cell[]} */
  const cells = [];
  for (let line = 0; line < LINES; line++) {
    if (lowest[line] >= 0) {
      const middle = medianOf(sample[line], Math.ceil(seen[line] / every[line]));
      cells.push({ line, low: values[lowest[line] & mask], middle, high: values[highest[line] & mask], flags: broken[line] });
      lowest[line] = -1;
      seen[line] = broken[line] = 0;
    }
  }
  return cells;
}

/**
 * The lowest and the highest tick of each line in a column, in order of time.
 *
 * @param {Ring} ring
 * @param {Drawn} drawn
 * @param {Rows} rows
 */
function flushPoints({ mask, time, lane }, { values, from, lineOf }, rows) {
  let count = 0;
  for (let line = 0; line < LINES; line++) {
    if (lowest[line] >= 0) {
      points[count++] = lowest[line];
      if (highest[line] !== lowest[line]) {
        points[count++] = highest[line];
      }
      lowest[line] = -1;
    }
  }
  if (count > 1) {
    points.subarray(0, count).sort();
  }
  for (let i = 0; i < count; i++) {
    const k = points[i] & mask;
    const line = lineOf[lane[k]];
    if (broken[line] & SILENT) { // after a silence the line comes from 0
      rows.fall(time[k], line, time[from & mask]);
      broken[line] = 0;
    }
    rows.add(time[k], line, values[k], broken[line] !== 0);
    broken[line] = 0;
  }
}
