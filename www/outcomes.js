// @ts-check
/** What became of a request, in words. */

/** @typedef {import("./contract").RequestStart | import("./contract").Request} Last */

/**
 * In a few words, and what that means.
 *
 * @type {Record<string, [word: string, meaning: string]>}
 */
export const STATES = {
  running: ["running", "The engine is working on it."],
  queued: ["queued", "It waits until the engine is free."],
  finished: ["finished", "The answer is complete."],
  left: ["client left", "The client closed the connection before the answer was complete."],
  cut: ["engine broke off", "The engine's answer ended without its end."],
  viewer: ["cancelled by viewer", "Somebody cancelled the request on this page."],
  limit: ["stopped: too slow", "aidash ended it, as a peer was silent or too slow for too long."],
  refused: ["refused", "The engine refused the request."],
  full: ["refused", "aidash refused the request."],
  failed: ["engine failed", "The engine could not be reached, or it reported an error."],
  lost: ["not known", "It ran when the connection was lost."],
  stuck: ["no answer", "The engine does not answer now. The request goes on when it does, or ends after --upstream-timeout."],
};

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
 * @returns {[word: string, meaning: string]}
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
