// @ts-check
/** Numbers and times as short text of a steady width, in the language of the texts. Tables as CSV. */

import * as texts from "./texts.js";
import { put } from "./words.js";

/** Shown in place of a missing number. */
export const NONE = "–";
const SIGNS = new Intl.NumberFormat(texts.LANGUAGE).formatToParts(-1234567.8);
const [DECIMAL, GROUP] = /** @type {const} */ (["decimal", "group"]).map((type) => SIGNS.find((part) => part.type === type)?.value ?? "");

/**
 * Three or four digits: 3.82, 23.4, 118, 1,180, 11.8k, 118k, 1.18M.
 *
 * @param {number} value
 * @returns {string}
 */
export function short(value) {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) {
    return NONE;
  }
  if (size < 9_999.5) {
    return size < 99.95 ? three(value) : whole(value);
  }
  let rest = value / 1000;
  let step = 0;
  for (; Math.abs(rest) >= 999.5 && step < texts.powers.length - 1; step++) {
    rest /= 1000;
  }
  return three(rest) + texts.powers[step];
}

/** @param {number} value */
function three(value) {
  const size = Math.abs(value);
  return fixed(value, size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

/** @param {number} value @param {number} digits  behind the decimal point */
export function fixed(value, digits) {
  return value.toFixed(digits).replace(".", DECIMAL);
}

/** A value of a scale: like short(), without zeros at its end. @param {number} value */
export function scaleText(value) {
  const text = value === 0 ? "0" : short(value);
  const [whole, rest = ""] = DECIMAL ? text.split(DECIMAL) : [text];
  const [, digits, unit] = /^(\d*?)0*(\D*)$/.exec(rest) ?? ["", "", rest];
  return whole + (digits && DECIMAL + digits) + unit;
}

/**
 * @param {number} value
 * @returns {string}
 */
export function whole(value) {
  return Number.isFinite(value) ? value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, GROUP) : NONE;
}

/**
 * A duration in milliseconds with its unit: 8.31 ms, 118 ms, 1.18 s, 12.3 s.
 *
 * @param {number} value
 * @returns {[number: string, unit: string]}
 */
export function milliseconds(value) {
  return value >= 999.5 ? [short(value / 1000), texts.secondsUnit] : [short(value), texts.msUnit];
}

/**
 * @param {number | undefined} value
 * @returns {string}
 */
export function duration(value) {
  return value === undefined || !Number.isFinite(value) ? NONE
    : value >= 999.5 ? put(texts.seconds, { n: short(value / 1000) }) : put(texts.milliseconds, { n: short(value) });
}

/**
 * A rate: like short(), but nothing is 0, without decimals.
 *
 * @param {number | undefined} value
 */
export function rate(value) {
  return value === undefined ? NONE : value < 0.005 ? "0" : short(value);
}

/**
 * A part of a whole: 37 %; what is not nothing is not shown as 0 %, nor what is not all as 100 %.
 *
 * @param {number} fraction
 */
export function percent(fraction) {
  const rounded = Math.round(fraction * 100);
  return put(texts.percent, { n: fraction > 0 && fraction < 1 ? Math.min(99, Math.max(1, rounded)) : rounded });
}

/**
 * A span of time: 0.35 s, 15 s, 5 min.
 *
 * @param {number} seconds
 */
export function span(seconds) {
  return seconds < 9.95 ? put(texts.seconds, { n: String(Number(seconds.toPrecision(2))).replace(".", DECIMAL) })
    : seconds < 600 && seconds % 60 ? put(texts.seconds, { n: Math.round(seconds) })
    : seconds < 5400 ? put(texts.minutes, { n: Math.round(seconds / 60) })
    : seconds < 172_800 ? put(texts.hours, { n: Math.round(seconds / 3600) }) : put(texts.days, { n: Math.round(seconds / 86_400) });
}

/**
 * Seconds as the two largest units: 42 s, 3 min 07 s, 5 h 12 min, 3 d 4 h.
 *
 * @param {number} seconds
 * @returns {string}
 */
export function age(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (!Number.isFinite(s)) {
    return NONE;
  }
  if (s < 60) {
    return put(texts.seconds, { n: s });
  }
  if (s < 3600) {
    return put(texts.minutesSeconds, { m: Math.floor(s / 60), s: two(s % 60) });
  }
  if (s < 86_400) {
    return put(texts.hoursMinutes, { h: Math.floor(s / 3600), m: two(Math.floor(s / 60) % 60) });
  }
  return put(texts.daysHours, { d: Math.floor(s / 86_400), h: Math.floor(s / 3600) % 24 });
}

/**
 * The time of day: 14:03:22, or 14:03:22.4.
 *
 * @param {number} unix  seconds
 * @param {number} [decimals]
 * @returns {string}
 */
export function clockTime(unix, decimals = 0) {
  const date = new Date(unix * 1000);
  const fraction = decimals ? `${DECIMAL}${String(date.getMilliseconds()).padStart(3, "0").slice(0, decimals)}` : "";
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}${fraction}`;
}

/** @param {number} unix  seconds @returns {string} a day: Nov 27 */
export function day(unix) {
  return new Date(unix * 1000).toLocaleDateString(texts.LANGUAGE, { day: "numeric", month: "short" });
}

/** @param {number} unix  seconds @returns {string} Nov 27, 2026, 2:03:22 PM */
export function dateTime(unix) {
  return new Date(unix * 1000).toLocaleString(texts.LANGUAGE, { dateStyle: "medium", timeStyle: "medium" });
}

/**
 * A time in a window: of a long one with the day, of a short one with fractions of a second.
 *
 * @param {number} unix   seconds
 * @param {number} window  seconds
 */
export function moment(unix, window) {
  return window > 43_200 ? `${day(unix)} ${clockTime(unix)}` : clockTime(unix, window < 600 ? 2 : 0);
}

/**
 * The end of a scale that contains the value. Its steps are far apart, so that
 * it seldom changes.
 *
 * @param {number} value
 */
export function niceCeiling(value) {
  if (value <= 0) {
    return 1;
  }
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((s) => s * power >= value * 1.05) ?? 12;
  return step * power;
}

/** @param {number} n */
function two(n) {
  return String(n).padStart(2, "0");
}

/**
 * Comma-separated values (RFC 4180).
 *
 * @param {string[]} fields
 * @param {object[]} records
 * @returns {string} with a header line; "" without records
 */
export function csv(fields, records) {
  if (records.length === 0) {
    return "";
  }
  const lines = records.map((record) => fields.map((field) => cell(Reflect.get(record, field))).join(","));
  return [fields.join(","), ...lines, ""].join("\r\n");
}

/**
 * A text that a spreadsheet would run as a formula gets an apostrophe in front:
 * anybody who sends ticks chooses the names.
 *
 * @param {unknown} value
 */
function cell(value) {
  if (value === undefined || value === null) {
    return "";
  }
  if (typeof value !== "string") {
    return String(value);
  }
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * A table as GitHub's Markdown.
 *
 * @param {string[]} head
 * @param {string[][]} rows
 * @returns {string} "" without rows
 */
export function markdown(head, rows) {
  const line = (/** @type {string[]} */ cells) => `| ${cells.join(" | ")} |\n`;
  const plain = (/** @type {string} */ text) => text.replace(/\s+/g, " ").replace(/[\\|`*_~<>[\]]/g, "\\$&").trim();
  return rows.length ? [head.map(plain), head.map(() => "---"), ...rows.map((row) => row.map(plain))].map(line).join("") : "";
}
