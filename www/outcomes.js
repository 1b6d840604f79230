// @ts-check
/** What became of a request, in words. */

import * as texts from "./texts.js";

/** @typedef {import("./contract").RequestStart | import("./contract").Request} Last */

/** In a few words, and what that means. @type {Record<string, string[]>} */
export const STATES = texts.outcomes;

/**
 * @param {string} status
 * @param {string} [by]  who ended it
 */
export function meaningOf(status, by) {
  if (status === "cut" && by !== "engine" && by !== undefined) {
    return by === "viewer" ? STATES.viewer : STATES.limit;
  }
  return status === "refused" && by === "aidash" ? STATES.full : STATES[status];
}

/**
 * The same. If the engine or aidash said what went wrong, its own sentence stands
 * for the word.
 *
 * @param {Last} last
 * @returns {string[]} the word, and the meaning
 */
export function stateOf(last) {
  const { status } = last;
  const [by, code, error] = ["ended_by", "http_status", "error"].map((name) => Reflect.get(last, name));
  const [word, meaning] = meaningOf(status, by);
  if ((status !== "refused" && status !== "failed") || (!error && !code)) {
    return [word, meaning];
  }
  return [code >= 400 ? `${code}: ${error || word}` : error || word, meaning];
}
