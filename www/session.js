// @ts-check
/** Between the server and the page: what comes in goes to the feed, the request log and the store. */

import { AidashClient, CommandError } from "./aidash-client.js";
import { notice, requestDraw } from "./dom.js";
import { Feed } from "./feed.js";
import { RequestLog } from "./requests.js";
import { store } from "./store.js";

/** @typedef {import("./aidash-client.js").Gap} Gap */
/** @typedef {import("./contract").Hello} Hello */
/** @typedef {import("./contract").Status} Status */

const STATUS_EVERY_MS = 10_000;
const FETCH_MS = 8_000;

export const feed = new Feed();
export const requests = new RequestLog();

/**
 * What the server said last, without what was only asked for.
 *
 * @type {Pick<import("./store.js").PageState, "model" | "paused" | "override">}
 */
let truth = { model: "", paused: false, override: null };
let connections = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let statusTimer;

export const client = new AidashClient({ onHello, onTicks, onStatus, onDropped, onEvent, onState });

/**
 * Send a command; the page shows its effect at once and takes it back if the
 * server says no.
 *
 * @param {import("./contract").Command} command
 * @returns {Promise<string>} "" or why it was not carried out
 */
export async function command(command) {
  const asked = effect(command);
  store.set({ ...asked, pending: true });
  let problem = "";
  try {
    await client.send(command);
    truth = { ...truth, ...asked };
  } catch (error) {
    problem = error instanceof CommandError ? error.message : String(error);
  }
  store.set({ ...truth, pending: false });
  return problem;
}

/**
 * What a command changes if it is carried out.
 *
 * @param {import("./contract").Command} command
 * @returns {Partial<typeof truth>}
 */
function effect(command) {
  const { override, model } = store.state;
  switch (command.action) {
    case "switch_model":
      return { model: command.model || model, override: override === null ? null : command.model !== "" };
    case "pause":
    case "drain":
      return { paused: true };
    case "resume":
      return { paused: false };
    default:
      return {};
  }
}

/** @param {import("./contract").Tick[]} ticks @param {number} seq */
function onTicks(ticks, seq) {
  feed.add(ticks, seq, seconds());
  requests.count(ticks);
  requestDraw();
}

/** @param {Hello} hello @param {Gap | null} gap */
function onHello(hello, gap) {
  const now = seconds();
  if (gap?.restarted) {
    requests.restart();
  }
  feed.close("offline", now);
  const query = feed.connected(hello, gap, now);
  setTruth(hello, now);
  store.set({ hello });
  fill(query, hello, ++connections);
}

/** @param {Status} status */
function onStatus(status) {
  const now = seconds();
  feed.modelChanged(status.model, now);
  setTruth(status, now);
  const { hello } = store.state;
  store.set({ hello: hello && { ...hello, source: status.source, rate_hz: status.rate_hz } });
}

/** @param {Hello | Status} said @param {number} now */
function setTruth(said, now) {
  const { model, models, loaded = [], paused, source_state: sourceState, override = null } = said;
  if (paused) {
    feed.open("paused", now, "paused");
  } else {
    feed.close("paused", now);
  }
  truth = { model, paused, override };
  store.set({ ...truth, models, loaded, sourceState, down: said.engine === "down" });
  requestDraw();
}

/** @param {Gap} gap */
function onDropped(gap) {
  feed.mark("dropped", seconds(), `${gap.missed} lost`);
  feed.breakLines();
  store.set({ dropped: store.state.dropped + gap.missed });
  notice(`${gap.missed} events were lost: this page could not keep up.`);
}

/** @param {import("./contract").Event} event */
function onEvent(event) {
  if (event.event === "request_start" || event.event === "request") {
    const at = event.timestamp === undefined ? seconds() : feed.clock.toBrowser(event.timestamp);
    requests.add(event, at);
    requestDraw();
  }
}

/** @param {import("./aidash-client.js").State} connection */
function onState(connection) {
  const before = store.state.connection.phase;
  store.set({ connection });
  if (connection.phase === "waiting") {
    if (before === "live") {
      feed.open("offline", feed.lastTime || seconds(), "offline");
    }
    findCause();
  }
  requestDraw();
}

/**
 * Get what the server kept: all of it at first, later what was missed.
 *
 * @param {string} query
 * @param {Hello} hello
 * @param {number} connection  which one this is for: a later one asks again
 */
async function fill(query, hello, connection) {
  const clock = pollStatus();
  if (hello.source === "meter") {
    fillRequests(hello, connection, clock);
  }
  try {
    while (query) {
      const answer = /** @type {import("./contract").TicksAnswer} */ (await get(`ticks?${query}`));
      await clock; // it says when they were
      if (connection !== connections) {
        return;
      }
      if (answer.started !== hello.started) {
        break;
      }
      if (answer.missed > 0) {
        store.set({ dropped: store.state.dropped + answer.missed });
        feed.mark("dropped", seconds(), `${answer.missed} not kept`);
      }
      query = feed.fill(answer, seconds());
      requestDraw();
    }
  } catch {
    // the live ticks go on; what is missing stays a gap
  }
  if (connection === connections) {
    feed.giveUpFill();
    store.set({ filled: true });
    requestDraw();
  }
}

/**
 * Get the requests that the server knows of.
 *
 * @param {Hello} hello
 * @param {number} connection  as for fill()
 * @param {Promise<void>} clock
 */
async function fillRequests(hello, connection, clock) {
  try {
    const answer = /** @type {import("./contract").RequestsAnswer} */ (await get("requests"));
    await clock;
    if (connection === connections) {
      const all = [...answer.requests, ...answer.running];
      all.forEach(onEvent);
      requests.only(new Set(all.map(({ id }) => id)), hello.next_seq);
    }
  } catch {
    // those that come from now on are seen
  }
}

/** Viewers, counters and the clock: now, then every 10 s while somebody looks. */
async function pollStatus() {
  clearTimeout(statusTimer);
  statusTimer = setTimeout(() => {
    if (!document.hidden && store.state.connection.phase === "live") {
      pollStatus();
    }
  }, STATUS_EVERY_MS);
  try {
    await readStatus();
  } catch {
    // the connection's own state tells
  }
}

async function readStatus() {
  const sent = seconds();
  const status = /** @type {import("./contract").StatusAnswer} */ (await get("status"));
  feed.clock.sample(status.time, sent, seconds());
  store.set({ status });
  requestDraw();
  return status;
}

/** A browser does not say why a WebSocket could not be opened: ask over HTTP. */
async function findCause() {
  /** @type {import("./store.js").PageState["cause"]} */
  let cause = navigator.onLine ? "unreachable" : "offline";
  try {
    const { clients } = await readStatus();
    cause = clients.websocket + clients.sse >= clients.max ? "full" : "refused";
  } catch (error) {
    if (error instanceof Response && error.status === 503) {
      cause = "full";
    }
  }
  store.set({ cause });
}

/** @param {string} path  relative to this page; a refusal is thrown as its Response */
async function get(path) {
  const response = await fetch(`./${path}`, { cache: "no-store", signal: AbortSignal.timeout(FETCH_MS) });
  if (!response.ok) {
    throw response;
  }
  return response.json();
}

function seconds() {
  return Date.now() / 1000;
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && store.state.connection.phase === "live") {
    pollStatus();
  }
});
