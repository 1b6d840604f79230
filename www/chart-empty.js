// @ts-check
/** What stands in place of the charts while there is nothing to draw: why, and how to change it. */

import { byId, setText } from "./dom.js";
import { whole } from "./format.js";

/** @param {import("./app.js").Context} context */
export function drawEmpty({ store, session: { feed } }) {
  const { connection, hello, filled } = store.state;
  const box = byId("empty", HTMLElement);
  const code = byId("empty-code", HTMLElement);
  box.hidden = feed.ring.end > 0 || (connection.phase === "live" && !filled) || (connection.phase === "connecting" && !connection.attempt);
  if (box.hidden) {
    return;
  }
  const live = connection.phase === "live";
  const pushed = live && hello?.source === "none";
  setText(byId("empty-lead", HTMLElement), live ? "No data yet" : "Not connected");
  setText(byId("empty-text", HTMLElement), !live ? reasonText(store.state)
    : pushed ? "The server is waiting for ticks. Send one from any program:"
    : hello?.source === "stdin" ? "The server is waiting for lines on its standard input."
    : hello?.source === "meter" ? "The next request through the proxy will appear here."
    : "The next tick will appear here.");
  code.hidden = !pushed;
  setText(code, `curl -d '{"model":"demo","tokens":3,"latency_ms":41.5}' ${new URL("ingest", location.href)}`);
}

/** @param {Readonly<import("./store.js").PageState>} state */
function reasonText({ connection, cause, refusal, status }) {
  if (cause === "full") {
    return fullText(status?.clients);
  }
  return cause === "refused" && refusal ? `Refused: ${refusal}` : connection.reason;
}

/**
 * @param {import("./contract").StatusAnswer["clients"]} [clients]  as last reported, which may be before it was full
 */
function fullText(clients) {
  const viewers = clients ? clients.websocket + clients.sse : 0;
  return clients && viewers >= clients.max ? `The server is full (${whole(viewers)} of ${whole(clients.max)} viewers).` : "The server is full.";
}
