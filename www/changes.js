// @ts-check
/** What moved between two times, in words. */

import { bytes } from "./board-panel.js";
import { duration, rate, short, whole } from "./format.js";

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
export const PERCENT = [(value) => `${whole(value)} %`, "points"];

/**
 * The series of GET /history that are compared.
 *
 * @type {Record<string, [name: string, text: (value: number) => string, unit?: string]>}
 */
export const SERIES = {
  tokens_per_second: ["Tokens/s", rate],
  latency_p50_ms: ["Latency", duration],
  requests: ["Requests per minute", short],
  cpu_percent: ["CPU", ...PERCENT],
  gpu_percent: ["GPU", ...PERCENT],
  clock_mhz: ["Clock", (value) => `${whole(value)} MHz`],
  celsius: ["Temperature", (value) => `${value.toFixed(1)} °C`, "°C"],
  watts: ["Power", (value) => `${short(value)} W`],
  memory_used_bytes: ["Memory", bytes],
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
  const by = after - before;
  return `${sign(by)}${whole(Math.abs(unit ? by : (100 * by) / before))} ${unit ?? "%"}`;
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
    .map((measure) => `${measure.name} ${measure.text(measure.before)} → ${measure.text(measure.after)}${measure.before ? ` (${difference(measure)})` : ""}`);
}
