// @ts-check
/** Texts with values in them. */

import { LANGUAGE } from "./texts.js";

/**
 * The names of the values in a text.
 *
 * @template {string} T
 * @typedef {T extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never} Names
 */

/**
 * @template {string} T
 * @typedef {Record<Names<T>, string | number>} Values
 */

/** @typedef {{other: string, one?: string}} Forms  what Intl.PluralRules knows */

const rules = new Intl.PluralRules(LANGUAGE);

/**
 * A text with its values: {name} becomes that one.
 *
 * @template {string} T
 * @param {T} text
 * @param {Values<T>} values
 */
export function put(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => String(Reflect.get(values, name)));
}

/**
 * The form of a text for a number, with its values: {n} becomes the number.
 *
 * @param {Forms} forms
 * @param {number} n
 * @param {Record<string, string | number>} [values]
 */
export function counted(forms, n, values) {
  return put(Reflect.get(forms, rules.select(n)) ?? forms.other, { n: n.toLocaleString(LANGUAGE), ...values });
}
