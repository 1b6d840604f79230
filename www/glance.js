// @ts-check
/** The present: the cards at the top, the page's title and its icon. */

import { laneName } from "./chart-lines.js";
import { announce, byId, setAttr, setHidden, setText } from "./dom.js";
import { LANES_MAX } from "./feed.js";
import { age, duration, milliseconds, NONE, percent, rate, short, span, whole } from "./format.js";
import { isDue, untilNext } from "./frame.js";
import { Limit } from "./limits.js";
import { loadingText } from "./model-facts.js";
import { isPast } from "./past.js";
import { drawSpark, SPARK_S } from "./spark.js";
import { quantiles, rates, sums } from "./statistics.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

const EVERY_S = 0.25; // nobody can read digits that change faster
const STATISTICS_EVERY_S = 1;
const SPARK_EVERY_S = 1; // a minute moves by a few pixels in it
const MEDIAN_S = 2; // the latency shown is the median of this time
const QUIET_S = 60; // between two notifications about the same limit
const LOOK_BACK = 100; // ticks in which the last rate that is not 0 is searched
const LIVE_S = 300; // beside charts of hours
const FILL_S = 1; // without history after this time, the page counts as empty
const STILL_S = 0.5; // ticks may come so late after the engine has stopped

/** @typedef {keyof typeof texts.states} EngineState */

/** The states that are announced, and the return from them. */
const SAID = new Set(["down", "loading", "draining", "paused", "ended"]);
const allInOne = new Int8Array(LANES_MAX); // the line of each lane: one for all

/** @param {import("./app.js").Context} context */
export function mountGlance({ settings, store, frame, colours, lines, view, filter, session: { node: board, feed, requests } }) {
  const card = { rate: byId("card-rate", HTMLElement), latency: byId("card-latency", HTMLElement) };
  const spark = { rate: byId("rate-spark", HTMLCanvasElement), latency: byId("latency-spark", HTMLCanvasElement) };
  const node = Object.fromEntries([
    "rate", "rate-label", "rate-unit", "rate-about", "rate-note", "rate-mean", "rate-peak", "rate-over",
    "latency", "latency-unit", "latency-note", "latency-p50", "latency-p95", "latency-over",
    "state", "tokens", "tokens-label", "ttft", "tile-ttft", "inflight", "tile-requests",
    "viewers", "lost", "tile-lost", "uptime", "about", "skew",
  ].map((id) => [id, byId(id, HTMLElement)]));

  let drawn = 0;
  let counted = 0;
  let sparked = 0;
  let any = false; // there were ticks
  let connectedAt = 0;
  let still = false; // the engine makes nothing, as the server knows
  let stillAt = 0; // since when, Unix seconds
  /** @type {EngineState | ""} */
  let state = "";
  /** @type {Limits} */
  const limits = { latency: { limit: new Limit(), told: 0 }, rate: { limit: new Limit(), told: 0 } };

  store.on(["connection"], ({ connection }) => {
    if (connection.phase === "live") {
      connectedAt = Date.now() / 1000;
    }
    drawn = sparked = 0;
  });
  store.on(["paused", "pending", "down", "sourceState"], () => {
    stillAt = Date.now() / 1000;
  });
  store.on(["paused", "span", "zoom", "frozenAt", "status", "dropped", "filled", "find"], () => {
    drawn = counted = sparked = 0;
  });

  frame.add((now) => {
    if (!isDue(drawn, EVERY_S, now) && any === feed.ring.end > 0) {
      return untilNext(EVERY_S, now);
    }
    if (any !== feed.ring.end > 0) {
      any = !any;
      sparked = 0;
    }
    drawn = now;
    const { paused, down, sourceState } = store.state;
    const stopped = down || sourceState === "ended" || (paused && !requests.inState("running"));
    if (!stopped || !still || store.state.pending) {
      stillAt = now;
    }
    still = stopped;
    const present = feed.now(now, (lane) => (ticking(lane) ? lane.rate : NaN));
    const next = engineState(present, now);
    drawNumbers(filter.on ? passing(now) : present, next, now);
    if (isDue(counted, STATISTICS_EVERY_S, now)) {
      counted = now;
      drawStatistics(now);
      drawTitle(present, next);
    }
    setText(node.state, next === "draining" ? put(texts.drainingLeft, { n: requests.inState("running") }) : texts.states[next]);
    if (next !== state) {
      if (SAID.has(next) || (SAID.has(state) && (next === "running" || next === "idle"))) {
        announce(put(texts.engineIs, { state: texts.states[next] }));
      }
      state = next;
      document.documentElement.dataset.state = next;
      setAttr(byId("favicon", HTMLLinkElement), "href", icon(next));
      drawTitle(present, next);
    }
    return untilNext(EVERY_S, now);
  });

  /**
   * Whether a lane's latest ticks tell of the present. Of an engine that has stopped they do not: its rate does not fall, it is 0.
   *
   * @param {import("./feed.js").Lane} lane
   */
  function ticking({ node: of, time }) {
    return !still || of !== board || time > stillAt + STILL_S;
  }

  /**
   * The present of what passes the filter.
   *
   * @param {number} now
   */
  function passing(now) {
    const passes = filter.ticks();
    return feed.now(now, (lane) => (!ticking(lane) ? NaN : filter.whole(lane) ? lane.rate
      : filter.lane(lane) ? rates(feed.ring, now - MEDIAN_S, now, feed.tokenless, (k) => feed.ring.lane[k] === lane.index && passes?.(k) !== false).mean || NaN : NaN));
  }

  /**
   * @param {import("./feed.js").Now} present
   * @param {number} now
   * @returns {EngineState}
   */
  function engineState(present, now) {
    const { connection, paused, sourceState, down, loading, filled, hello } = store.state;
    if (connection.phase !== "live") {
      return connection.phase;
    }
    if (down) {
      return "down";
    }
    if (loading) {
      return "loading";
    }
    if (paused) {
      return requests.inState("running") ? "draining" : "paused";
    }
    // What the meter's requests do is known; of others, only ticks tell.
    if (requests.inState("running") || (hello?.source === "meter" ? present.nodes : present.running)) {
      return "running";
    }
    if (sourceState === "ended") {
      return "ended";
    }
    return feed.ring.end || requests.any || (!filled && now - connectedAt < FILL_S) ? "idle" : "empty";
  }

  /**
   * @param {import("./feed.js").Now} present
   * @param {EngineState} state
   * @param {number} now
   */
  function drawNumbers(present, state, now) {
    const { status, dropped, hello, connection, cause } = store.state;
    const { lane } = present;
    const steps = feed.tokenless;
    const live = connection.phase === "live";
    const fresh = present.running > 0 && (state === "running" || state === "draining");
    setText(node["rate-label"], steps ? texts.inferencesPerSecond : texts.tokensPerSecond);
    setText(node["rate-unit"], steps ? "" : texts.perSecondUnit);
    setText(node["tokens-label"], steps ? texts.inferences : texts.tokens);
    setText(node.rate, lane && live ? rate(present.rate) : NONE);
    setAttr(node["rate-about"], "data-off", present.estimated && live ? null : "");
    const slowest = fresh ? slowestLane(now) : null;
    const [latency, unit] = milliseconds(slowest ? slowest.latency : NaN);
    setText(node.latency, latency);
    setText(node["latency-unit"], unit);
    drawNotes(slowest, fresh, state, now);
    setText(node.tokens, lane ? (present.estimated ? "~" : "") + whole(feed.lanes.reduce((sum, one) => sum + (steps ? one.steps : one.tokens), 0)) : NONE);
    setText(node.lost, whole(dropped));
    setAttr(node["tile-lost"], "data-bad", dropped ? "" : null);
    setText(node.viewers, status && (live || cause === "full") ? whole(Math.max(1, status.clients.websocket + status.clients.sse)) : NONE); // this page is one
    setText(node.uptime, status && live ? age(now - feed.clock.toBrowser(status.started)) : NONE);
    for (const tile of [node["tile-ttft"], node["tile-requests"]]) {
      setHidden(tile, !requests.any && hello?.source !== "meter");
    }
    setText(node.ttft, duration(requests.latestTtft));
    const line = status?.requests;
    const full = live && line && requests.inState("queued") >= line.queue;
    setText(node.inflight, live ? put(full ? texts.runningWaitingFull : "{running} / {waiting}", { running: requests.inState("running"), waiting: requests.inState("queued") }) : NONE);
    setAttr(node["tile-requests"], "data-bad", full ? "" : null);
    const stale = fresh && !present.late ? null : "";
    setAttr(card.rate, "data-stale", stale);
    setAttr(card.latency, "data-stale", stale);
    checkLimits(limits, settings, fresh ? { rate: present.rate, latency: slowest?.latency ?? NaN } : null, now);
    if (lane && isDue(sparked, SPARK_EVERY_S, now)) {
      sparked = now;
      const end = live ? now : Math.min(now, feed.lastTime);
      const { ring } = feed;
      const passes = filter.ticks();
      drawSpark(spark.rate, ring, passes ? sums(ring, ring.find(end - SPARK_S), ring.end, feed.tokenless, passes) : ring.total, end, allInOne, [colours.accent]);
      drawSpark(spark.latency, ring, ring.latency, end, lines.lineOf, colours.lanes, passes);
    }
  }

  /**
   * The running lane whose median latency of the last seconds is the highest.
   *
   * @param {number} now
   */
  function slowestLane(now) {
    const { ring } = feed;
    const from = ring.find(now - MEDIAN_S);
    const passes = filter.ticks();
    const running = feed.lanes.filter((lane) => feed.runs(lane, now) && (!filter.on || filter.lane(lane))).map((lane) => {
      const [median] = quantiles(ring, from, ring.end, [0.5], (k) => ring.lane[k] === lane.index && (!passes || passes(k)));
      return { lane, latency: Number.isNaN(median) && (!passes || filter.whole(lane)) ? lane.latency : median }; // one that ticks more seldom
    }).filter(({ latency }) => !Number.isNaN(latency));
    running.sort((a, b) => b.latency - a.latency);
    return running.length ? { ...running[0], of: running.length } : null;
  }

  /**
   * What is to be said of the two numbers: what runs without a token so far; else,
   * where there is no number, the last one.
   *
   * @param {ReturnType<typeof slowestLane>} slowest
   * @param {boolean} fresh
   * @param {EngineState} state
   * @param {number} now
   */
  function drawNotes(slowest, fresh, state, now) {
    const { ring, lastTime } = feed;
    if (filter.on && !fresh) {
      setText(node["rate-note"], "");
      setText(node["latency-note"], "");
      return; // the last number may be of something else
    }
    const streams = requests.inState("running");
    const silent = requests.silent(now);
    let last = ring.end - 1; // an engine that broke off ends with a rate of 0
    for (const least = Math.max(ring.first, ring.end - LOOK_BACK); last > least && !ring.total[last & ring.mask]; last--);
    setText(node["rate-note"], store.state.connection.phase === "live" && silent.entries.length && !fresh ? waitText(silent, now)
      : fresh || !ring.end ? "" : state === "idle" ? put(texts.idleFor, { age: age(now - lastTime) })
      : put(texts.lastWas, { value: rate(ring.total[last & ring.mask]), age: age(now - ring.time[last & ring.mask]) }));
    const latest = feed.now(now).latency;
    setText(node["latency-note"], slowest && slowest.of > 1 ? put(texts.slowestOf, { n: slowest.of, name: laneName(slowest.lane) })
      : slowest && streams > 1 ? put(texts.perStreamOf, { n: streams })
      : fresh || Number.isNaN(latest) ? "" : put(texts.lastWas, { value: duration(latest), age: age(now - lastTime) }));
  }

  /**
   * What the requests without a token wait for, if it is known of one.
   *
   * @param {ReturnType<typeof requests.silent>} silent
   * @param {number} now
   */
  function waitText({ entries, seconds }, now) {
    for (const { last } of entries) {
      if ("loading" in last && last.loading) {
        return put(texts.loadingFor, { time: loadingText(last.loading, feed.clock.toBrowser(last.loading.since), now) });
      }
      if ("prefill" in last && last.prefill) {
        return put(texts.readingPrompt, { share: percent(last.prefill.fraction) });
      }
    }
    return put(texts.noTokenYet, { age: age(seconds) });
  }

  /** @param {number} now */
  function drawStatistics(now) {
    const { ring } = feed;
    const { connection, span: shown, zoom: part, hello } = store.state;
    const chosen = isPast(shown) ? LIVE_S : shown; // the cards tell the present
    const zoom = isPast(shown) ? null : part;
    const [from, to] = isPast(shown) ? [now - LIVE_S, now] : view.range(now);
    const end = connection.phase === "live" ? to : Math.min(to, feed.lastTime); // what came then is not known
    const [p50, p95] = quantiles(ring, ring.find(from), ring.find(end), [0.5, 0.95], filter.ticks());
    setText(node["latency-p50"], duration(p50));
    setText(node["latency-p95"], duration(p95));
    const { mean, peak } = rates(ring, from, end, feed.tokenless, filter.ticks());
    setText(node["rate-mean"], Number.isNaN(mean) ? NONE : rate(mean));
    setText(node["rate-peak"], Number.isNaN(peak) ? NONE : rate(peak));
    const whole = zoom ? span(to - from) : chosen === Infinity ? texts.allTime : span(chosen);
    const over = filter.on ? put(texts.filtered, { span: whole }) : whole;
    setText(node["rate-over"], over);
    setText(node["latency-over"], over);

    if (hello) {
      const { status } = store.state;
      setText(node.about, put(texts.about, { version: hello.version, source: sourceText(hello, status?.upstreams) }));
      setAttr(node.state, "title", status?.upstreams?.map(engineText).join(", ") ?? null);
    }
    const { skew, error } = feed.clock;
    setText(node.skew, error !== Infinity && Math.abs(skew) > Math.max(1, error)
      ? put(skew > 0 ? texts.clockAhead : texts.clockBehind, { age: age(Math.abs(skew)) }) : "");
  }

  /**
   * @param {import("./feed.js").Now} present
   * @param {EngineState} state
   */
  function drawTitle(present, state) {
    const model = store.state.model || present.lane?.model || "";
    const unit = feed.tokenless ? texts.rateOnly : texts.tokensRate;
    const text = state === "running" ? put(unit, { n: rate(present.rate) }) : texts.states[state];
    document.title = [text, model, store.state.status?.page?.title ?? "aidash"].filter(Boolean).join(" · ");
  }
}

/** @typedef {NonNullable<import("./contract").StatusAnswer["upstreams"]>} Upstreams */

/** @param {Upstreams[number]} upstream */
function engineText({ url, name, engine }) {
  const where = name ? put(texts.engineAt, { name, url }) : url;
  return engine === "down" ? put(texts.engineDown, { engine: where }) : where;
}

/**
 * @param {import("./contract").Hello} hello
 * @param {Upstreams} [upstreams]
 */
function sourceText(hello, upstreams) {
  return put(texts.sources[hello.source] ?? texts.sources.none, { rate: hello.rate_hz, engines: upstreams ? upstreams.map(engineText).join(", ") : texts.theEngine });
}

/**
 * The page's icon, in the colour of the state.
 *
 * @param {EngineState} state
 */
function icon(state) {
  const colour = { running: "#0f766e", idle: "#0f766e", paused: "#b45309", draining: "#b45309", loading: "#b45309", ended: "#b45309",
    down: "#b91c1c", waiting: "#b91c1c", closed: "#b91c1c", connecting: "#475569", empty: "#475569" }[state];
  return `data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="6" fill="${colour}"/>`
    + `<path d="M4 13h3.5l2.5-7 3.5 12 2.5-8 1.2 3H20" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>`)}`;
}

/* ---- limits: a card is highlighted while its number is beyond the limit set for it ---- */

/**
 * For each limit, and when the page notified last, Unix seconds.
 *
 * @typedef {Record<"latency" | "rate", {limit: Limit, told: number}>} Limits
 */

/**
 * @param {Limits} limits
 * @param {import("./settings.js").Settings} settings
 * @param {{latency: number, rate: number} | null} present  null: nothing runs
 * @param {number} now
 */
function checkLimits(limits, { limitLatency, limitRate, notify }, present, now) {
  check("latency", limitLatency, (value, most) => value > most, (value, limit) => put(texts.latencyAlarm, { value: duration(value), limit }));
  check("rate", limitRate, (value, least) => value < least, (value, limit) => put(texts.rateAlarm, { value: short(value), limit }));

  /**
   * @param {"latency" | "rate"} name
   * @param {number | null} bound
   * @param {(value: number, bound: number) => boolean} beyond
   * @param {(value: number, bound: number) => string} text
   */
  function check(name, bound, beyond, text) {
    const own = limits[name];
    if (bound === null || present === null) {
      own.limit.clear();
    } else {
      own.limit.update(beyond(present[name], bound), now);
    }
    setAttr(byId(`card-${name}`, HTMLElement), "data-alarm", own.limit.on ? "" : null);
    setHidden(byId(`${name}-alarm`, HTMLElement), !own.limit.on);
    if (own.limit.on && present && bound !== null && notify && now - own.told >= QUIET_S && canNotify()) {
      own.told = now;
      new Notification("aidash", { body: text(present[name], bound), tag: name });
    }
  }
}

/** Browsers notify only for secure pages, and only with permission. */
function canNotify() {
  return "Notification" in window && isSecureContext && Notification.permission === "granted";
}
