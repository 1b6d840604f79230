// @ts-check
/**
 * How high a chart reaches. A few values far above all others would flatten the
 * rest: they are outliers, which the chart marks at its edge. A logarithmic
 * scale has room for all.
 */

import { niceCeiling } from "./format.js";

/** @typedef {Pick<import("./decimate.js").Rows, "x" | "y" | "high" | "dense" | "top" | "bottom">} Rows */

const FAR = 3; // times what is usual
const SHARE = 0.02; // of a line's values: at most so many are outliers
const LEAST = 8; // values of a line with outliers
const ROOM = 1.3; // above what is usual
const DECADES_MAX = 5;

/**
 * @param {Rows} rows
 * @returns {number} the end of a linear scale
 */
export function fairTop(rows) {
  let top = 0;
  for (const line of rows.dense ? rows.high : rows.y) {
    const values = positive(line);
    const max = values[values.length - 1] ?? 0;
    const usual = values[Math.floor((1 - SHARE) * (values.length - 1))] ?? 0;
    top = Math.max(top, values.length >= LEAST && max > FAR * usual ? usual * ROOM : max);
  }
  return niceCeiling(top);
}

/**
 * @param {Rows} rows
 * @returns {[number, number]} a logarithmic scale, in whole powers of ten
 */
export function logRange(rows) {
  const least = Math.min(...rows.y.map((line) => positive(line)[0] ?? Infinity));
  if (least === Infinity) {
    return [1, 10];
  }
  const to = Math.floor(Math.log10(rows.top)) + 1;
  return [10 ** Math.max(Math.floor(Math.log10(least)), to - DECADES_MAX), 10 ** to];
}

/**
 * The values beyond the edge; of those nearer than `gap` to each other the highest.
 *
 * @param {Rows} rows
 * @param {number} edge
 * @param {number} gap  seconds
 * @returns {{x: number, value: number}[]}
 */
export function outliers(rows, edge, gap) {
  /** @type {{x: number, value: number}[]} */
  const found = [];
  if (!(rows.top > edge)) {
    return found;
  }
  rows.x.forEach((x, row) => {
    let value = 0;
    for (const line of rows.dense ? rows.high : rows.y) {
      value = Math.max(value, line[row] ?? 0);
    }
    const last = found[found.length - 1];
    if (value <= edge) {
      return;
    }
    if (!last || x - last.x > gap) {
      found.push({ x, value });
    } else if (value > last.value) {
      Object.assign(last, { x, value });
    }
  });
  return found;
}

let found = new Float64Array(0);

/** @param {(number | null | undefined)[]} values @returns {Float64Array} those above 0, the lowest first, until the next call */
function positive(values) {
  let count = 0;
  if (found.length < values.length) {
    found = new Float64Array(2 * values.length);
  }
  for (const value of values) {
    if (value !== null && value !== undefined && value > 0) {
      found[count++] = value;
    }
  }
  return found.subarray(0, count).sort();
}
