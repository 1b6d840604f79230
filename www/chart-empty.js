// @ts-check
/** What stands in place of the charts while there is nothing to draw: why, and how to change it. */

import { byId, setText } from "./dom.js";

/** @param {import("./app.js").Context} context */
export function drawEmpty({ store, session: { feed } }) {
  const { connection, cause, hello, filled } = store.state;
  const box = byId("empty", HTMLElement);
  const code = byId("empty-code", HTMLElement);
  box.hidden = feed.ring.end > 0 || (connection.phase === "live" && !filled) || (connection.phase === "connecting" && !connection.attempt);
  if (box.hidden) {
    return;
  }
  const live = connection.phase === "live";
  const pushed = live && hello?.source === "none";
  setText(byId("empty-lead", HTMLElement), live ? "No tick yet" : "Not connected");
  setText(byId("empty-text", HTMLElement), !live ? (cause === "full" ? "The server has as many viewers as it takes." : connection.reason)
    : pushed ? "The server waits for ticks. Send one from any program:"
    : hello?.source === "stdin" ? "The server waits for lines on its standard input."
    : hello?.source === "meter" ? "The next request through the proxy will show here."
    : "The next tick will show here.");
  code.hidden = !pushed;
  setText(code, `curl -d '{"model":"demo","tokens":3,"latency_ms":41.5}' ${new URL("ingest", location.href)}`);
}
