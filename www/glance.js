// @ts-check
/** The cards at the top, the page's title and its icon: how it stands now. */

import { laneColour } from "./colours.js";
import { byId, setAttr, setText, announce } from "./dom.js";
import { quantiles } from "./decimate.js";
import { age, duration, milliseconds, NONE, short, whole } from "./format.js";
import { onFrame } from "./frame.js";
import { checkLimits } from "./limits.js";
import { feed, requests } from "./session.js";
import { drawSpark } from "./spark.js";
import { store } from "./store.js";

const EVERY_S = 0.2; // digits that change faster can't be read
const STATISTICS_EVERY_S = 1;
const FILL_S = 1; // after so long without history the page counts as empty

const STATES = {
  connecting: "Connecting",
  waiting: "No connection",
  closed: "Closed",
  paused: "Paused",
  running: "Running",
  ended: "Input ended",
  empty: "No data yet",
  idle: "Idle",
};

/** @typedef {keyof typeof STATES} EngineState */

export function mountGlance() {
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
  let connectedAt = 0;
  /** @type {EngineState | ""} */
  let state = "";

  store.on(["connection"], ({ connection }) => {
    if (connection.phase === "live") {
      connectedAt = Date.now() / 1000;
    }
    drawn = 0;
  });
  store.on(["paused", "span", "status", "dropped", "filled"], () => {
    drawn = counted = 0;
  });

  onFrame((now) => {
    const wait = drawn + EVERY_S - now;
    if (wait > 0) {
      return wait * 1000;
    }
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
    const { connection, paused, status, filled } = store.state;
    if (connection.phase !== "live") {
      return connection.phase;
    }
    if (paused) {
      return "paused";
    }
    if (present.running) {
      return "running";
    }
    if (status?.source_state === "ended") {
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
    const { status, dropped } = store.state;
    const { lane } = present;
    const steps = feed.tokenless;
    setText(node["rate-label"], steps ? "Steps per second" : "Tokens per second");
    setText(node["rate-unit"], steps ? "/s" : "tok/s");
    setText(node["tokens-label"], steps ? "Steps" : "Tokens");
    setText(node.rate, lane ? short(state === "idle" ? 0 : present.running ? present.rate : lane.rate) : NONE);
    node["rate-about"].hidden = !present.estimated;
    const [latency, unit] = milliseconds(present.latency);
    setText(node.latency, latency);
    setText(node["latency-unit"], unit);
    setText(node.tokens, lane ? whole(steps ? lane.steps : totalTokens()) : NONE);
    setText(node.lost, whole(dropped));
    setAttr(node["tile-lost"], "data-bad", dropped ? "" : null);
    setText(node.viewers, status ? whole(Math.max(1, status.clients.websocket + status.clients.sse)) : NONE); // this page is one
    setText(node.uptime, status ? age(now - feed.clock.toBrowser(status.started)) : NONE);
    node["tile-ttft"].hidden = node["tile-requests"].hidden = !requests.any;
    setText(node.ttft, duration(requests.latestTtft));
    setText(node.inflight, `${requests.inState("running")} / ${requests.inState("queued")}`);
    const fresh = state === "running";
    setAttr(card.rate, "data-stale", fresh ? null : "");
    setAttr(card.latency, "data-stale", fresh ? null : "");
    checkLimits(fresh ? present : null, now);
    if (lane) {
      const end = present.running ? now : Math.min(now, feed.lastTime);
      drawSpark(spark.rate, feed.ring, feed.ring.rate, lane.index, end, laneColour(lane.index));
      drawSpark(spark.latency, feed.ring, feed.ring.latency, lane.index, end, laneColour(lane.index));
    }
  }

  /** All that the active model has generated, on every node; without an active one: all. */
  function totalTokens() {
    const { model } = store.state;
    const own = feed.lanes.filter((lane) => lane.model === model);
    return (own.length ? own : feed.lanes).reduce((sum, lane) => sum + lane.tokens, 0);
  }

  /** @param {number} now */
  function drawStatistics(now) {
    const { ring } = feed;
    const { span, hello, status } = store.state;
    const from = span === Infinity ? ring.first : ring.find(now - span);
    const [p50, p95] = quantiles(ring, ring.latency, from, ring.end, [0.5, 0.95]);
    setText(node["latency-p50"], duration(p50));
    setText(node["latency-p95"], duration(p95));
    let sum = 0;
    let peak = 0;
    for (let i = from; i < ring.end; i++) {
      const rate = ring.rate[i & ring.mask];
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
      setText(node.about, `aidash ${hello.version} · ${sourceText(hello, status)}`);
    }
    const { skew, error } = feed.clock;
    setText(node.skew, error !== Infinity && Math.abs(skew) > Math.max(1, error)
      ? `board's clock is ${age(Math.abs(skew))} ${skew > 0 ? "ahead" : "behind"}; times are this browser's` : "");
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
    const colour = state === "running" || state === "idle" ? "#0f766e"
      : state === "paused" || state === "ended" ? "#b45309" : state === "waiting" || state === "closed" ? "#b91c1c" : "#475569";
    setAttr(byId("favicon", HTMLLinkElement), "href", icon(colour));
  }
}

/**
 * @param {import("./contract").Hello} hello
 * @param {import("./contract").StatusAnswer | null} status
 */
function sourceText(hello, status) {
  switch (hello.source) {
    case "sim": return `simulated engine, ${hello.rate_hz} Hz`;
    case "stdin": return status?.source_state === "ended" ? "standard input, ended" : "standard input";
    case "meter": return "proxy";
    default: return "pushed ticks";
  }
}

/** The page's icon with another background. @param {string} colour */
function icon(colour) {
  return `data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="6" fill="${colour}"/>`
    + `<path d="M4 13h3.5l2.5-7 3.5 12 2.5-8 1.2 3H20" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>`)}`;
}
