// @ts-check
/** What moved between two times, in words. */

import { bytes } from "./board-panel.js";
import { duration, fixed, rate, short, whole } from "./format.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

/**
 * @typedef {object} Measure
 * @property {string} name
 * @property {number} before  NaN: not known
 * @property {number} after
 * @property {(value: number) => string} text
 * @property {string} [unit]  in which its moves are told, as a part of it would say nothing: °C, points
 */

const LEAST = Math.log2(1.05); // a move by less is none
const DOUBLE = 25; // °C or points that are as much as twice or half of another value

/** @type {[text: (value: number) => string, unit: string]} */
export const PERCENT = [(value) => put(texts.percent, { n: whole(value) }), texts.points];

/**
 * The series of GET /history that are compared.
 *
 * @type {Record<string, [name: string, text: (value: number) => string, unit?: string]>}
 */
export const SERIES = {
  tokens_per_second: [texts.tokensS, rate],
  latency_p50_ms: [texts.latency, duration],
  requests: [texts.requestsPerMinute, short],
  cpu_percent: [texts.cpu, ...PERCENT],
  gpu_percent: [texts.gpu, ...PERCENT],
  clock_mhz: [texts.clock, (value) => put(texts.megahertz, { n: whole(value) })],
  celsius: [texts.temperature, (value) => put(texts.celsius, { n: fixed(value, 1) }), texts.celsiusUnit],
  watts: [texts.power, (value) => put(texts.watts, { n: short(value) })],
  memory_used_bytes: [texts.memory, bytes],
};

/**
 * The mean of a series in a time. Of requests it is how many a minute.
 *
 * @param {import("./contract").HistoryAnswer} answer
 * @param {string} name
 * @param {number} from  server's clock, Unix seconds
 * @param {number} to
 * @returns {number} NaN: there is none
 */
export function meanOf({ series, rows, step }, name, from, to) {
  const column = series.indexOf(/** @type {any} */ (name));
  const values = rows.filter(([time]) => time !== null && time >= from && time + step <= to + 1).map((row) => row[column]).filter((value) => typeof value === "number");
  return mean(values) * (name === "requests" ? 60 / step : 1);
}

/** @param {number[]} values @returns {number} NaN: there are none */
export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** @param {number} by */
export function sign(by) {
  return by < 0 ? "-" : "+";
}

/** @param {Pick<Measure, "before" | "after" | "unit">} measure @returns {string} by how much it moved */
export function difference({ before, after, unit }) {
  const by = unit ? after - before : (100 * (after - before)) / before;
  return `${Math.abs(by) < 0.5 ? "" : sign(by)}${whole(Math.abs(by))} ${unit ?? texts.percentUnit}`;
}

/**
 * What moved, the greatest move first.
 *
 * @param {Measure[]} measures
 * @returns {string[]}
 */
export function changes(measures) {
  const size = (/** @type {Measure} */ { before, after, unit }) => Math.abs(unit ? (after - before) / DOUBLE : Math.log2(after / before));
  return measures.filter((measure) => size(measure) >= LEAST).sort((a, b) => size(b) - size(a))
    .map((measure) => put(measure.before ? texts.movedBy : texts.moved,
      { name: measure.name, before: measure.text(measure.before), after: measure.text(measure.after), by: difference(measure) }));
}
