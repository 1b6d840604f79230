// @ts-check
/** What stands in place of the charts while there is nothing to draw: why, and how to change it. */

import { byId, setHidden, setText } from "./dom.js";
import { age, whole } from "./format.js";
import { isPast } from "./past.js";

/**
 * @param {import("./app.js").Context} context
 * @param {number} now  Unix seconds
 */
export function drawEmpty({ store, session: { feed, past, requests, gauges } }, now) {
  const { connection, hello, filled, down, status } = store.state;
  const box = byId("empty", HTMLElement);
  const code = byId("empty-code", HTMLElement);
  setHidden(box, feed.ring.end > 0 || (isPast(store.state.span) && past.lanes.length > 0) || gauges.list.length > 0 || (connection.phase === "live" && !filled) || (connection.phase === "connecting" && !connection.attempt));
  if (box.hidden) {
    return;
  }
  const live = connection.phase === "live";
  const silent = requests.silent(now);
  if (live && silent.entries.length) {
    setText(byId("empty-lead", HTMLElement), silentText(silent.entries, silent.seconds));
    setText(byId("empty-text", HTMLElement), "Its first token starts the charts.");
    code.hidden = true;
    return;
  }
  const pushed = live && hello?.source === "none";
  const metered = live && !down && hello?.source === "meter";
  setText(byId("empty-lead", HTMLElement), !live ? "Not connected" : down ? "The engine does not answer" : "No data yet");
  setText(byId("empty-text", HTMLElement), !live ? reasonText(store.state)
    : down ? `Start it at ${upstreams(status) || "its address"}: this page shows when it is there.`
    : pushed ? "The server is waiting for data. Put it in front of an engine with aidash --upstream URL, or send some from any program:"
    : hello?.source === "stdin" ? "The server is waiting for lines on its standard input."
    : metered ? "The next request through the proxy will appear here. Send it to this address instead of the engine's:"
    : hello?.source === "scrape" ? "The next tokens that the engine counts will appear here."
    : "The next tick will appear here.");
  code.hidden = !pushed && !metered;
  setText(code, metered ? `curl -d '{"model":"${store.state.model || "MODEL"}","messages":[{"role":"user","content":"Hi"}]}' ${new URL("v1/chat/completions", location.href)}`
    : `curl -d '{"model":"demo","tokens":3,"latency_ms":41.5}' ${new URL("ingest", location.href)}`);
}

/** @param {import("./contract").StatusAnswer | null} status */
function upstreams(status) {
  return status?.upstreams?.map(({ url }) => url).join(", ");
}

/** @param {Readonly<import("./store.js").PageState>} state */
function reasonText({ connection, cause, refusal, status }) {
  if (cause === "full") {
    return fullText(status?.clients);
  }
  return refusal ? (cause === "refused" ? `Refused: ${refusal}` : refusal) : connection.reason;
}

/**
 * @param {import("./contract").StatusAnswer["clients"]} [clients]  as last reported, which may be before it was full
 */
function fullText(clients) {
  const viewers = clients ? clients.websocket + clients.sse : 0;
  return clients && viewers >= clients.max ? `The server is full (${whole(viewers)} of ${whole(clients.max)} viewers).` : "The server is full.";
}

/**
 * Requests that run and have no token so far. Whether they read their prompt, only some engines tell.
 *
 * @param {import("./requests.js").Entry[]} entries
 * @param {number} seconds
 */
function silentText(entries, seconds) {
  const reads = entries.some(({ last }) => "prompt_processed" in last);
  const doing = entries.length === 1 ? (reads ? "is reading its prompt" : "is waiting for its first token")
    : reads ? "are reading their prompts" : "are waiting for their first tokens";
  return `${entries.length === 1 ? "1 request" : `${entries.length} requests`} ${doing}, ${age(seconds)}`;
}
