// @ts-check
/** Why the page has no connection, as far as an answer over HTTP tells: from the server, or from a proxy in between. */

/** @typedef {"" | "full" | "busy" | "locked" | "refused" | "proxy" | "socket" | "unreachable" | "offline"} Cause */

/** What the header says in front of the countdown. */
export const CAUSES = {
  "": "", unreachable: "", full: "Server full. ", busy: "Server busy. ", locked: "Sign in to watch. ", refused: "Refused. ", proxy: "Proxy error. ",
  socket: "No WebSocket. ", offline: "Browser offline. ",
};

/**
 * What a status means that comes without a sentence of the server's.
 *
 * @type {Record<number, {cause: Cause, sentence: string}>}
 */
const STATUSES = {
  401: { cause: "proxy", sentence: "A proxy in between asks for a sign-in: reload the page." },
  407: { cause: "proxy", sentence: "A proxy in between asks for a sign-in: reload the page." },
  431: { cause: "refused", sentence: "The browser sends more cookies for this host name than the server takes (431): clear them, or open the page by the board's IP address." },
  502: { cause: "proxy", sentence: "A proxy in between can't reach the server (502)." },
  503: { cause: "full", sentence: "" },
  504: { cause: "proxy", sentence: "A proxy in between gets no answer from the server (504)." },
};

/** What a status means that comes with a sentence of the server's. @type {Record<number, Cause>} */
const OWN = { 401: "locked", 503: "busy" };

/** The server answers over HTTP, and lets this page in, but a WebSocket can't be opened. */
export const NO_SOCKET = { cause: /** @type {Cause} */ ("socket"), sentence: "The server answers, but no WebSocket can be opened: a proxy in between must pass WebSockets on." };

/**
 * @param {Response} response  an answer that is not ok
 * @returns {Promise<{cause: Cause, sentence: string}>}
 */
export async function causeOf(response) {
  const { status } = response;
  const known = STATUSES[status] ?? { cause: "refused", sentence: `The server, or a proxy in between, answers ${status}.` };
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
