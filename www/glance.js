// @ts-check
/** The present: the cards at the top, the page's title and its icon. */

import { announce, byId, setAttr, setText } from "./dom.js";
import { age, duration, milliseconds, NONE, short, whole } from "./format.js";
import { quantiles } from "./quantiles.js";
import { drawSpark } from "./spark.js";

const EVERY_S = 0.2; // nobody can read digits that change faster
const STATISTICS_EVERY_S = 1;
const STEADY_S = 2; // a limit is passed for this long before the page notifies
const QUIET_S = 60; // between two notifications about the same limit
const FILL_S = 1; // without history after this time, the page counts as empty

/** @typedef {keyof typeof STATES} EngineState */

const STATES = {
  connecting: "Connecting",
  waiting: "No connection",
  closed: "Closed",
  down: "Engine down",
  draining: "Draining",
  paused: "Paused",
  running: "Running",
  ended: "Input ended",
  empty: "No data yet",
  idle: "Idle",
};

/** @param {import("./app.js").Context} context */
export function mountGlance({ settings, store, frame, colours, session: { feed, requests } }) {
  const card = { rate: byId("card-rate", HTMLElement), latency: byId("card-latency", HTMLElement) };
  const spark = { rate: byId("rate-spark", HTMLCanvasElement), latency: byId("latency-spark", HTMLCanvasElement) };
  const node = Object.fromEntries([
    "rate", "rate-label", "rate-unit", "rate-about", "rate-mean", "rate-peak", "rate-over",
    "latency", "latency-unit", "latency-p50", "latency-p95", "latency-over",
    "state", "tokens", "tokens-label", "ttft", "tile-ttft", "inflight", "tile-requests",
    "viewers", "lost", "tile-lost", "uptime", "about", "skew",
  ].map((id) => [id, byId(id, HTMLElement)]));

  let drawn = 0;
  let counted = 0;
  let any = false; // there were ticks
  let connectedAt = 0;
  /** @type {EngineState | ""} */
  let state = "";
  /** @type {Limits} */
  const limits = { latency: { since: 0, told: 0 }, rate: { since: 0, told: 0 } };

  store.on(["connection"], ({ connection }) => {
    if (connection.phase === "live") {
      connectedAt = Date.now() / 1000;
    }
    drawn = 0;
  });
  store.on(["paused", "span", "status", "dropped", "filled"], () => {
    drawn = counted = 0;
  });

  frame.add((now) => {
    const wait = drawn + EVERY_S - now;
    if (wait > 0 && any === feed.ring.end > 0) {
      return wait * 1000;
    }
    any = feed.ring.end > 0;
    drawn = now;
    const present = feed.now(now);
    const next = engineState(present, now);
    drawNumbers(present, next, now);
    if (now - counted >= STATISTICS_EVERY_S) {
      counted = now;
      drawStatistics(now);
      drawTitle(present, next);
    }
    if (next !== state) {
      if (state && next !== "connecting" && next !== "waiting") {
        announce(`Engine: ${STATES[next]}.`);
      }
      state = next;
      document.documentElement.dataset.state = next;
      setText(node.state, STATES[next]);
      setAttr(byId("favicon", HTMLLinkElement), "href", icon(next));
      drawTitle(present, next);
    }
    return EVERY_S * 1000;
  });

  /**
   * @param {import("./feed.js").Now} present
   * @param {number} now
   * @returns {EngineState}
   */
  function engineState(present, now) {
    const { connection, paused, sourceState, down, filled } = store.state;
    if (connection.phase !== "live") {
      return connection.phase;
    }
    if (down) {
      return "down";
    }
    if (paused) {
      return requests.inState("running") ? "draining" : "paused";
    }
    if (present.running || requests.inState("running")) {
      return "running";
    }
    if (sourceState === "ended") {
      return "ended";
    }
    return feed.ring.end || (!filled && now - connectedAt < FILL_S) ? "idle" : "empty";
  }

  /**
   * @param {import("./feed.js").Now} present
   * @param {EngineState} state
   * @param {number} now
   */
  function drawNumbers(present, state, now) {
    const { status, dropped, hello } = store.state;
    const { lane } = present;
    const steps = feed.tokenless;
    const still = state !== "idle" && state !== "running"; // the last number stays, shown as stale
    setText(node["rate-label"], steps ? "Inferences per second" : "Tokens per second");
    setText(node["rate-unit"], steps ? "" : "tok/s");
    setText(node["tokens-label"], steps ? "Inferences" : "Tokens");
    setText(node.rate, lane ? short(present.running ? present.rate : still ? lane.rate : 0) : NONE);
    node["rate-about"].hidden = !present.estimated;
    const [latency, unit] = milliseconds(present.latency);
    setText(node.latency, latency);
    setText(node["latency-unit"], unit);
    setText(node.tokens, lane ? (present.estimated ? "~" : "") + whole(steps ? lane.steps : totalTokens()) : NONE);
    setText(node.lost, whole(dropped));
    setAttr(node["tile-lost"], "data-bad", dropped ? "" : null);
    setText(node.viewers, status ? whole(Math.max(1, status.clients.websocket + status.clients.sse)) : NONE); // this page is one
    setText(node.uptime, status ? age(now - feed.clock.toBrowser(status.started)) : NONE);
    node["tile-ttft"].hidden = node["tile-requests"].hidden = !requests.any && hello?.source !== "meter";
    setText(node.ttft, duration(requests.latestTtft));
    setText(node.inflight, `${requests.inState("running")} / ${requests.inState("queued")}`);
    const fresh = present.running > 0 && (state === "running" || state === "draining");
    setAttr(card.rate, "data-stale", fresh ? null : "");
    setAttr(card.latency, "data-stale", fresh ? null : "");
    checkLimits(limits, settings, fresh ? present : null, now);
    if (lane) {
      const end = present.running ? now : Math.min(now, feed.lastTime);
      const colour = present.running > 1 ? colours.accent : colours.lane(lane.index);
      drawSpark(spark.rate, feed.ring, feed.ring.total, end, colour);
      drawSpark(spark.latency, feed.ring, feed.ring.latency, end, colour);
    }
  }

  /** The tokens of the active model on all nodes; if no model is active, of all models. */
  function totalTokens() {
    const { model } = store.state;
    const own = feed.lanes.filter((lane) => lane.model === model);
    return (own.length ? own : feed.lanes).reduce((sum, lane) => sum + lane.tokens, 0);
  }

  /** @param {number} now */
  function drawStatistics(now) {
    const { ring } = feed;
    const { span, hello } = store.state;
    const from = span === Infinity ? ring.first : ring.find(now - span);
    const [p50, p95] = quantiles(ring, ring.latency, from, ring.end, [0.5, 0.95]);
    setText(node["latency-p50"], duration(p50));
    setText(node["latency-p95"], duration(p95));
    let sum = 0;
    let peak = 0;
    for (let i = from; i < ring.end; i++) {
      const rate = ring.total[i & ring.mask];
      sum += rate;
      peak = Math.max(peak, rate);
    }
    const any = ring.end > from;
    setText(node["rate-mean"], any ? short(sum / (ring.end - from)) : NONE);
    setText(node["rate-peak"], any ? short(peak) : NONE);
    const over = span === Infinity ? "all" : `${span / 60} min`;
    setText(node["rate-over"], over);
    setText(node["latency-over"], over);

    if (hello) {
      setText(node.about, `aidash ${hello.version} · ${sourceText(hello)}`);
    }
    const { skew, error } = feed.clock;
    setText(node.skew, error !== Infinity && Math.abs(skew) > Math.max(1, error)
      ? `the board's clock is ${age(Math.abs(skew))} ${skew > 0 ? "ahead" : "behind"}; times shown follow this browser's clock` : "");
  }

  /**
   * @param {import("./feed.js").Now} present
   * @param {EngineState} state
   */
  function drawTitle(present, state) {
    const model = store.state.model || present.lane?.model || "";
    const unit = feed.tokenless ? "/s" : "tok/s";
    const text = state === "running" ? `${short(present.rate)} ${unit}` : STATES[state];
    document.title = [text, model, "aidash"].filter(Boolean).join(" · ");
  }
}

/**
 * @param {import("./contract").Hello} hello
 */
function sourceText(hello) {
  switch (hello.source) {
    case "sim": return `simulated engine, ${hello.rate_hz} Hz`;
    case "stdin": return "standard input";
    case "meter": return "proxy";
    default: return "pushed ticks";
  }
}

/**
 * The page's icon, in the colour of the state.
 *
 * @param {EngineState} state
 */
function icon(state) {
  const colour = { running: "#0f766e", idle: "#0f766e", paused: "#b45309", draining: "#b45309", ended: "#b45309",
    down: "#b91c1c", waiting: "#b91c1c", closed: "#b91c1c", connecting: "#475569", empty: "#475569" }[state];
  return `data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="6" fill="${colour}"/>`
    + `<path d="M4 13h3.5l2.5-7 3.5 12 2.5-8 1.2 3H20" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>`)}`;
}

/* ---- limits: a card is highlighted while its number is beyond the limit set for it ---- */

/**
 * For each limit: since when it is passed (0: it is not), and when the page notified last. Unix seconds.
 *
 * @typedef {Record<"latency" | "rate", {since: number, told: number}>} Limits
 */

/**
 * @param {Limits} limits
 * @param {import("./settings.js").Settings} settings
 * @param {import("./feed.js").Now | null} present  null: nothing runs
 * @param {number} now
 */
function checkLimits(limits, { limitLatency, limitRate, notify }, present, now) {
  check("latency", present !== null && limitLatency !== null && present.latency > limitLatency,
    () => `Latency ${milliseconds(present?.latency ?? 0).join(" ")}, above ${limitLatency} ms`);
  check("rate", present !== null && limitRate !== null && present.rate < limitRate,
    () => `${short(present?.rate ?? 0)} per second, below ${limitRate}`);

  /**
   * @param {"latency" | "rate"} name
   * @param {boolean} beyond
   * @param {() => string} text
   */
  function check(name, beyond, text) {
    const limit = limits[name];
    limit.since = beyond ? limit.since || now : 0;
    setAttr(byId(`card-${name}`, HTMLElement), "data-alarm", beyond ? "" : null);
    byId(`${name}-alarm`, HTMLElement).hidden = !beyond;
    if (beyond && notify && now - limit.since >= STEADY_S && now - limit.told >= QUIET_S && canNotify()) {
      limit.told = now;
      new Notification("aidash", { body: text(), tag: name });
    }
  }
}

/** Browsers notify only for secure pages, and only with permission. */
function canNotify() {
  return "Notification" in window && isSecureContext && Notification.permission === "granted";
}
