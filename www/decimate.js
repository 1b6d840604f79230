// @ts-check
/**
 * Decimation: which ticks a chart draws. A chart has a thousand columns of
 * pixels, the ring half a million ticks. Each line keeps only the lowest and
 * the highest tick of each column, in order of time. So no peak is lost, every
 * point drawn is a real tick, and a small number of ticks is drawn unchanged.
 */

import { BREAK } from "./ring.js";

/** @typedef {import("./ring.js").Ring} Ring */

/** The most lines that a chart has. */
export const LINES = 8;

/**
 * Rows for uPlot, reused from one draw to the next. x ascends. In each row a
 * line has a value, null (the line breaks here) or undefined (the row belongs
 * to another line).
 */
export class Rows {
  /** @type {number[]} */ x = [];
  /** @type {(number | null | undefined)[][]} */ y = Array.from({ length: LINES }, () => []);
  /** @type {number[]} */ #last = Array(LINES).fill(-1); // each line's latest row

  clear() {
    this.x.length = 0;
    for (const line of this.y) {
      line.length = 0;
    }
    this.#last.fill(-1);
  }

  /**
   * @param {number} x
   * @param {number} line
   * @param {number} value
   * @param {boolean} broken  not joined to the line's latest value
   */
  add(x, line, value, broken) {
    const last = this.#last[line];
    if (broken && last >= 0) {
      if (last + 1 === this.x.length) {
        this.#row(x);
      }
      this.y[line].fill(null, last + 1);
    }
    this.#row(x);
    this.#last[line] = this.x.length - 1;
    this.y[line][this.#last[line]] = value;
  }

  /** @param {number} x */
  #row(x) {
    this.x.push(x);
    for (const line of this.y) {
      line.push(undefined);
    }
  }
}

// For each line, the ticks kept of the current column: indices in the ring, or -1.
const lowest = new Float64Array(LINES);
const highest = new Float64Array(LINES);
const broken = new Uint8Array(LINES);
const points = new Float64Array(2 * LINES);

/**
 * @param {Ring} ring
 * @param {Float32Array} values  one of the ring's columns
 * @param {number} from          index of the first tick
 * @param {number} to            index after the last tick
 * @param {number} width         of a column, seconds
 * @param {Int8Array} lineOf     the line of each lane, or -1: not drawn
 * @param {Rows} rows            the result
 */
export function decimate(ring, values, from, to, width, lineOf, rows) {
  const { mask, time, lane, flags } = ring;
  rows.clear();
  lowest.fill(-1);
  let column = NaN;
  for (let i = from; i < to; i++) {
    const k = i & mask;
    const line = lineOf[lane[k]];
    if (line < 0) {
      continue;
    }
    // Columns start at multiples of their width: otherwise a moving chart would shimmer.
    const its = Math.floor(time[k] / width);
    if (its !== column) {
      column = its;
      flush(ring, values, lineOf, rows);
    }
    const breaks = flags[k] & BREAK;
    if (lowest[line] < 0) {
      lowest[line] = highest[line] = i;
      broken[line] = breaks;
    } else {
      broken[line] |= breaks;
      if (values[k] < values[lowest[line] & mask]) {
        lowest[line] = i;
      } else if (values[k] > values[highest[line] & mask]) {
        highest[line] = i;
      }
    }
  }
  flush(ring, values, lineOf, rows);
}

/**
 * The column is complete: turn it into rows.
 *
 * @param {Ring} ring
 * @param {Float32Array} values
 * @param {Int8Array} lineOf
 * @param {Rows} rows
 */
function flush(ring, values, lineOf, rows) {
  let count = 0;
  for (let line = 0; line < LINES; line++) {
    if (lowest[line] < 0) {
      continue;
    }
    points[count++] = lowest[line];
    if (highest[line] !== lowest[line]) {
      points[count++] = highest[line];
    }
    lowest[line] = -1;
  }
  if (count > 1) {
    points.subarray(0, count).sort();
  }
  for (let i = 0; i < count; i++) {
    const k = points[i] & ring.mask;
    const line = lineOf[ring.lane[k]];
    rows.add(ring.time[k], line, values[k], broken[line] !== 0);
    broken[line] = 0;
  }
}
