// @ts-check
/** Why the page has no connection, as far as an answer over HTTP tells: from the server, or from a proxy in between. */

import * as texts from "./texts.js";
import { put } from "./words.js";

/** @typedef {"" | "full" | "busy" | "locked" | "refused" | "proxy" | "socket" | "unreachable" | "offline"} Cause */

/**
 * What a status means that comes without a sentence of the server's.
 *
 * @type {Record<number, {cause: Cause, sentence: string}>}
 */
const STATUSES = {
  401: { cause: "proxy", sentence: texts.proxyAsks },
  407: { cause: "proxy", sentence: texts.proxyAsks },
  431: { cause: "refused", sentence: texts.cookiesTooLong },
  502: { cause: "proxy", sentence: texts.proxyUnreachable },
  503: { cause: "full", sentence: "" },
  504: { cause: "proxy", sentence: texts.proxyTimeout },
};

/** What a status means that comes with a sentence of the server's. @type {Record<number, Cause>} */
const OWN = { 401: "locked", 503: "busy" };

/** The server answers over HTTP, and lets this page in, but a WebSocket can't be opened. */
export const NO_SOCKET = { cause: /** @type {Cause} */ ("socket"), sentence: /** @type {string} */ (texts.noSocket) };

/**
 * @param {Response} response  an answer that is not ok
 * @returns {Promise<{cause: Cause, sentence: string}>}
 */
export async function causeOf(response) {
  const { status } = response;
  const known = STATUSES[status] ?? { cause: "refused", sentence: put(texts.answersStatus, { status }) };
  if (status === 431) {
    return known; // the server's own sentence does not know whose fault it is
  }
  try {
    const { error } = /** @type {import("./contract").HttpError} */ (await response.json());
    return { cause: OWN[status] ?? "refused", sentence: error.message };
  } catch {
    return known; // it comes from something in between
  }
}
