// @ts-check
/** What stands in place of the charts while there is nothing to draw: why, and how to change it. */

import { byId, setHidden, setText } from "./dom.js";
import { age, whole } from "./format.js";
import * as texts from "./texts.js";
import { counted, put } from "./words.js";

/**
 * @param {import("./app.js").Context} context
 * @param {number} now  Unix seconds
 */
export function drawEmpty({ store, view, session: { feed, past, requests, gauges } }, now) {
  const { connection, cause, hello, filled, down, status } = store.state;
  const box = byId("empty", HTMLElement);
  const code = byId("empty-code", HTMLElement);
  setHidden(box, feed.ring.end > 0 || (view.past() > 0 && past.lanes.length > 0) || gauges.list.length > 0 || (connection.phase === "live" && !filled) || (connection.phase === "connecting" && !connection.attempt));
  if (box.hidden) {
    return;
  }
  const live = connection.phase === "live";
  const silent = requests.silent(now);
  if (live && silent.entries.length) {
    setText(byId("empty-lead", HTMLElement), silentText(silent.entries, silent.seconds));
    setText(byId("empty-text", HTMLElement), texts.firstTokenStarts);
    code.hidden = true;
    byId("empty-sign-in", HTMLElement).hidden = true;
    return;
  }
  const pushed = live && hello?.source === "none";
  const metered = live && !down && hello?.source === "meter";
  const locked = !live && cause === "locked";
  setText(byId("empty-lead", HTMLElement), locked ? texts.causes.locked : !live ? texts.notConnected : down ? texts.engineSilent : texts.noDataYet);
  setText(byId("empty-text", HTMLElement), locked ? texts.pairHint : !live ? reasonText(store.state)
    : down ? startText(status)
    : pushed ? texts.waitingForData
    : hello?.source === "stdin" ? texts.waitingForInput
    : metered ? texts.waitingForRequest
    : hello?.source === "scrape" ? texts.waitingForCount
    : texts.waitingForTick);
  code.hidden = !pushed && !metered && !locked;
  byId("empty-sign-in", HTMLElement).hidden = !locked;
  setText(code, locked ? "aidash pair" : metered ? `curl -d '{"model":"${store.state.model || "MODEL"}","messages":[{"role":"user","content":"Hi"}]}' ${new URL("v1/chat/completions", location.href)}`
    : `curl -d '{"model":"demo","tokens":3,"latency_ms":41.5}' ${new URL("ingest", location.href)}`);
}

/** @param {import("./contract").StatusAnswer | null} status */
function startText(status) {
  const address = status?.upstreams?.map(({ url }) => url).join(", ");
  return address ? put(texts.startEngineAt, { address }) : texts.startEngine;
}

/** @param {Readonly<import("./store.js").PageState>} state */
function reasonText({ connection, cause, refusal, status }) {
  if (cause === "full") {
    return fullText(status?.clients);
  }
  return refusal ? (cause === "refused" ? put(texts.refusedBecause, { reason: refusal }) : refusal) : connection.reason;
}

/**
 * @param {import("./contract").StatusAnswer["clients"]} [clients]  as last reported, which may be before it was full
 */
function fullText(clients) {
  const viewers = clients ? clients.websocket + clients.sse : 0;
  return clients && viewers >= clients.max ? put(texts.fullOf, { n: whole(viewers), most: whole(clients.max) }) : texts.full;
}

/**
 * Requests that run and have no token so far. Whether they read their prompt, only some engines tell.
 *
 * @param {import("./requests.js").Entry[]} entries
 * @param {number} seconds
 */
function silentText(entries, seconds) {
  const reads = entries.some(({ last }) => "prompt_processed" in last);
  return counted(reads ? texts.readingPrompts : texts.waitingForTokens, entries.length, { age: age(seconds) });
}
