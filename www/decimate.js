// @ts-check
/**
 * What of many ticks is drawn. A chart has a thousand columns of pixels, the
 * ring half a million ticks: of each line and column only the lowest and the
 * highest tick are kept, in their order. So no peak is ever lost, every point
 * that is drawn is a tick that was, and few ticks are drawn as they are.
 */

import { BREAK } from "./ring.js";

/** @typedef {import("./ring.js").Ring} Ring */

/** Lines in a chart at once. */
export const LINES = 8;

/**
 * Rows for uPlot, reused from draw to draw: x ascending; in each line a value,
 * null (the line is broken here) or undefined (another line's row).
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

// What one column has of each line: indices in the ring, or -1.
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
    // Columns lie on multiples of their width, so that a picture that moves does not shimmer.
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
 * One column is complete: make rows of it.
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

const SAMPLE = 1 << 15;
const scratch = new Float32Array(SAMPLE);

/**
 * Quantiles of the ticks from..to, each a value that was (nearest rank). Of
 * more than 32,768 ticks every n-th is taken, to bound the work.
 *
 * @param {Ring} ring
 * @param {Float32Array} values
 * @param {number} from
 * @param {number} to
 * @param {number[]} wanted  0..1
 * @returns {number[]} NaN where there are no ticks
 */
export function quantiles(ring, values, from, to, wanted) {
  const step = Math.max(1, Math.ceil((to - from) / SAMPLE));
  let count = 0;
  for (let i = from; i < to; i += step) {
    scratch[count++] = values[i & ring.mask];
  }
  const sorted = scratch.subarray(0, count).sort();
  return wanted.map((q) => (count ? sorted[Math.max(0, Math.ceil(q * count) - 1)] : NaN));
}
