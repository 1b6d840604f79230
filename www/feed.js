// @ts-check
/**
 * What panels draw, made from the server's events: the ring of ticks, the lanes
 * (a model on a node), the marks on the time axis. Nothing here touches the
 * page, and everything is bounded.
 */

import { Clock } from "./clock.js";
import { BEFORE, BREAK, ESTIMATED, FIRST, Ring, SILENT } from "./ring.js";
import * as texts from "./texts.js";

/** @typedef {import("./contract").Tick} Tick */
/** @typedef {import("./contract").Hello} Hello */
/** @typedef {import("./aidash-client.js").Gap} Gap */

/**
 * One model on one node.
 *
 * @typedef {object} Lane
 * @property {number} index
 * @property {string} model
 * @property {string} node       "" for the server's own
 * @property {number} time       of its latest tick, browser's clock, Unix seconds
 * @property {number} interval   between its ticks, smoothed, seconds
 * @property {number} latency    ms, of its latest tick that was no request's first token
 * @property {number} rate       tokens/s at its latest tick; without tokens: steps/s
 * @property {number} tokens     cumulative
 * @property {number} steps      ticks seen
 * @property {boolean} estimated
 * @property {boolean} broken    no line joins its next tick to its latest
 * @property {number} since      when it began to tick after its latest silence
 * @property {number} windowFrom index of the oldest tick in the rate window
 * @property {number} inWindow   its ticks in the rate window
 */

/**
 * Something that happened, shown on the time axis. A span has both times (`to` is
 * Infinity while it lasts). For a moment, `to` equals `from`.
 *
 * @typedef {object} Mark
 * @property {"model" | "dropped" | "restart" | "paused" | "offline" | "bench" | "slow" | "note" | "warn" | "error"} kind  the last three are notes
 * @property {number} from
 * @property {number} to
 * @property {string} text
 */

/**
 * The present.
 *
 * @typedef {object} Now
 * @property {number} rate        of all running lanes together; it falls to 0 within the rate window when ticks stay away
 * @property {number} latency     of the latest tick
 * @property {boolean} estimated
 * @property {number} running     number of lanes that receive ticks
 * @property {boolean} late       none of them has kept its pace
 * @property {number} nodes       of these, the ones of other nodes
 * @property {Lane | null} lane   the latest tick's
 */

export const LANES_MAX = 256; // the ring has a byte for the lane
export const NODE_LANES_MAX = 16; // of another board, where several are shown: one with many models leaves the others theirs
const OTHERS = "(others)"; // the model of all for which no lane is left
const MARKS_MAX = 200;
const RATE_WINDOW_S = 2; // the same as the server's
const GRACE_S = 0.5; // ticks may be so late before the rate falls, and marks so late behind ticks
const LATE_S = 1; // ticks that are later than this, and than three of their intervals, leave old numbers
const LATE_PACES = 3;
const IDLE_S = 3; // a lane is idle after this time, or five intervals, without ticks
const SWITCH_TICKS = 8; // how many ticks before and after are searched for a switch of the model
const STEP_S = 0.2; // timestamps that go back by more show that the server's clock was set
const FOREIGN_S = 10; // if a tick's clock is further off, its arrival counts

export class Feed {
  ring;
  clock = new Clock();
  /** @type {Lane[]} */ lanes = [];
  /** @type {Mark[]} */ marks = [];
  /** Changes with every mark. */
  marksVersion = 0;
  /** Browser's clock at the latest tick, Unix seconds. */
  lastTime = 0;

  /** @type {Lane | null} */ #latest = null;
  #newest = 0; // timestamp of the latest live tick of the server's own
  #retired = -1; // index of the lane that the latest switch stopped; its next tick makes it count again
  #model = "";
  #chosen = false; // a viewer chose that model; else the server shows the model of the latest request
  /**
   * The events to fetch: those after `since` (-1: all) up to `until`. They go
   * before the tick at `index`; `lanes` is a copy of the lanes at that tick.
   *
   * @type {{since: number, until: number, index: number, lanes: Lane[]} | null}
   */
  #missing = null;
  #restartedAt = 0; // the mark of the latest connection, if it has one
  #filledTo = 0; // the fetched history has the events up to this one
  /** @type {Map<string, number>} where another server gave the history: each lane's newest timestamp in it */
  #filledBy = new Map();

  /**
   * @param {number} [capacity]  ticks kept, a power of two
   * @param {string} [node]      keep only the ticks of this board; "": all
   */
  constructor(capacity = 1 << 19, node = "") {
    this.ring = new Ring(capacity);
    this.node = node;
  }

  /** @param {Tick} tick */
  #keeps({ node }) {
    return this.node === "" || node === this.node;
  }

  /**
   * Add live ticks.
   *
   * @param {Tick[]} ticks
   * @param {number} seq  the first one's number
   * @param {number} now  browser's clock, Unix seconds
   */
  add(ticks, seq, now) {
    for (let i = Math.max(0, this.#filledTo + 1 - seq); i < ticks.length; i++) {
      this.#followClock(ticks[i], now);
      if (this.#keeps(ticks[i]) && !(ticks[i].timestamp <= (this.#filledBy.get(laneKey(ticks[i])) ?? -Infinity))) {
        this.#append(ticks[i], seq + i, this.#liveTime(ticks[i], now));
      }
    }
  }

  /**
   * Until the server has told its time, a tick's timestamp is the best guess. And if
   * the timestamps of the server's own ticks go back, its clock was set.
   *
   * @param {Tick} tick
   * @param {number} now  browser's clock
   */
  #followClock({ timestamp, node }, now) {
    if (node) {
      return;
    }
    if (timestamp < this.#newest - STEP_S) {
      this.clock.stepped(timestamp, now);
    } else if (this.clock.error === Infinity) {
      this.clock.skew = timestamp - now;
    }
    this.#newest = timestamp;
  }

  /**
   * The time of a live tick: its own timestamp, unless that comes from a node
   * whose clock is wrong.
   *
   * @param {Tick} tick
   * @param {number} arrival
   */
  #liveTime(tick, arrival) {
    const time = this.clock.toBrowser(tick.timestamp);
    return Math.abs(time - arrival) > FOREIGN_S ? arrival : Math.min(time, arrival);
  }

  /**
   * Connected. fill() may later put what the server kept before the ticks that
   * come from now on.
   *
   * @param {Hello} hello
   * @param {Gap | null} gap
   * @param {number} now
   * @returns {string} the query for GET /ticks
   */
  connected(hello, gap, now) {
    if (!this.node) { // else the board's own status tells
      this.#model = hello.model;
      this.#chosen = hello.override !== false;
    }
    const resume = gap !== null && !gap.restarted;
    this.#filledBy.clear();
    if (!resume) {
      this.#filledTo = 0;
    }
    if (!resume || !this.#missing) {
      this.#missing = {
        since: resume ? gap.since : -1,
        until: hello.next_seq - 1,
        index: this.ring.end,
        lanes: this.lanes.map((lane) => ({ ...lane })),
      };
    }
    this.#restartedAt = gap?.restarted ? now : 0;
    if (gap?.restarted) {
      this.mark("restart", now, texts.markRestart);
    }
    this.breakLines();
    return this.#query();
  }

  #query() {
    const since = this.#missing?.since ?? -1;
    return since < 0 ? "last=10000" : `since=${since}&limit=10000`;
  }

  /**
   * Put what the server kept before the ticks that came since the connection.
   *
   * Several gateways may give the same ticks, each with numbers of its own. What is
   * here already, by its model, node and timestamp, is not taken again; and where
   * some of it is, the stream has gone on at another gateway: no server restarted.
   *
   * @param {import("./contract").TicksAnswer} answer
   * @param {number} now
   * @param {boolean} [elsewhere]  another server than the one that sends the live ticks has answered
   * @returns {string} the query for the rest, or "" when everything is here
   */
  fill(answer, now, elsewhere = false) {
    const missing = this.#missing;
    if (!missing) {
      return "";
    }
    const { ring } = this;
    const resume = missing.since >= 0 && !elsewhere;
    const first = Math.max(missing.index, ring.first);
    const had = resume ? new Set() : this.#keys(Math.max(ring.first, first - answer.ticks.length), first);
    const known = answer.ticks.some((tick) => had.has(tickKey(tick)));
    const all = answer.ticks.filter((tick) => this.#keeps(tick));
    const kept = new Set(elsewhere ? all.map(tickKey) : []);
    if (elsewhere && !known && this.#differs(first, all, kept)) {
      return "";
    }
    const live = this.#take(first);
    this.lanes = missing.lanes;
    this.#latest = this.lanes.reduce((a, b) => (a && a.time > b.time ? a : b), /** @type {Lane | null} */ (null));
    if (known) {
      this.#forgetRestart();
    }
    if (elsewhere) {
      all.forEach((tick) => this.#filledBy.set(laneKey(tick), tick.timestamp));
    } else {
      this.#filledTo = answer.last_seq;
    }
    if ((!resume && !known) || answer.missed > 0) {
      this.breakLines();
    }
    const ticks = known ? all.filter((tick) => !had.has(tickKey(tick))) : all;
    for (let i = 0; i < ticks.length; i++) {
      const switched = this.#chosen && switchedAt(ticks, i);
      if (switched && this.#latest) {
        this.#retired = this.#latest.index;
      }
      this.#append(ticks[i], 0, this.#pastTime(ticks, i, now));
      if (switched) {
        this.mark("model", this.lastTime, ticks[i].model);
      }
    }
    const more = resume && answer.ticks.length > 0 && answer.last_seq < missing.until;
    this.#missing = more
      ? { ...missing, since: answer.last_seq, index: ring.end, lanes: this.lanes.map((lane) => ({ ...lane })) }
      : null;
    if (more) {
      this.breakLines();
    }
    for (const { tick, seq, time } of live) {
      if (elsewhere ? !kept.has(tickKey(tick)) : seq > answer.last_seq) {
        this.#append(tick, seq, this.#liveTime(tick, time)); // the clocks may have been compared meanwhile
      }
    }
    return more ? this.#query() : "";
  }

  /**
   * @param {number} from  index
   * @param {number} to
   * @returns {Set<string>}
   */
  #keys(from, to) {
    return new Set(Array.from({ length: to - from }, (_, i) => tickKey(this.tickAt(from + i))));
  }

  /**
   * Whether fetched ticks are of another stream than the live ones: they are of the same time, and have none in common. So
   * are those that each server stamped by itself.
   *
   * @param {number} index  of the first live tick
   * @param {Tick[]} fetched
   * @param {Set<string>} keys  of the fetched ones
   */
  #differs(index, fetched, keys) {
    /** @type {Map<string, number>} */
    const newest = new Map(fetched.map((tick) => [laneKey(tick), tick.timestamp]));
    let together = false;
    for (let i = index; i < this.ring.end; i++) {
      const tick = this.tickAt(i);
      if (keys.has(tickKey(tick))) {
        return false;
      }
      together ||= (newest.get(laneKey(tick)) ?? -Infinity) >= tick.timestamp;
    }
    return together;
  }

  /** What looked like a restart of the server was a change to another gateway. */
  #forgetRestart() {
    this.marks = this.marks.filter(({ kind, from }) => kind !== "restart" || from !== this.#restartedAt);
    this.marksVersion++;
  }

  /** The server's history could not be fetched: what is missing stays missing. */
  giveUpFill() {
    this.#missing = null;
  }

  /**
   * Another model is active. If a viewer chose it, that is marked, and the one
   * before no longer counts as running.
   *
   * @param {string} model
   * @param {number} now
   * @param {boolean} [chosen]  by a viewer; else it is the latest request's
   */
  modelChanged(model, now, chosen = true) {
    const switched = chosen && (model !== this.#model || !this.#chosen);
    if (switched && this.#model && model) {
      this.mark("model", now, model);
    }
    if (switched && model !== this.#model) {
      this.#retired = this.lanes.findIndex((lane) => lane.model === this.#model && lane.node === this.node);
    }
    this.#model = model;
    this.#chosen = chosen;
  }

  /**
   * Mark a moment.
   *
   * @param {Mark["kind"]} kind
   * @param {number} time
   * @param {string} text
   */
  mark(kind, time, text) {
    this.#addMark({ kind, from: time, to: time, text });
  }

  /**
   * Mark the start of a time without ticks, or of a benchmark.
   *
   * @param {Mark["kind"]} kind
   * @param {number} time
   * @param {string} text
   */
  open(kind, time, text) {
    if (!this.marks.some((mark) => mark.kind === kind && mark.to === Infinity)) {
      this.#addMark({ kind, from: time, to: Infinity, text });
    }
  }

  /**
   * Mark its end.
   *
   * @param {Mark["kind"]} kind
   * @param {number} time
   */
  close(kind, time) {
    for (const mark of this.marks) {
      if (mark.kind === kind && mark.to === Infinity) {
        mark.to = time;
        this.marksVersion++;
      }
    }
  }

  /** From now on, no line joins new ticks to those before. */
  breakLines() {
    for (const lane of this.lanes) {
      lane.broken = true;
    }
  }

  /**
   * @param {number} time  Unix seconds
   * @param {(lane: Lane) => number} [rateOf]  of a lane; NaN: it does not count
   * @returns {Now}
   */
  now(time, rateOf = (lane) => lane.rate) {
    const result = { rate: 0, latency: this.#latest?.latency ?? NaN, estimated: false, running: 0, late: true, nodes: 0, lane: this.#latest };
    for (const lane of this.lanes) {
      const rate = this.runs(lane, time) ? this.rateAt(lane, time, rateOf(lane)) : NaN;
      if (!Number.isNaN(rate)) {
        result.rate += rate;
        result.estimated ||= lane.estimated;
        result.running++;
        result.late &&= time - lane.time > Math.max(LATE_S, LATE_PACES * lane.interval);
        result.nodes += Number(lane.node !== "");
      }
    }
    return result;
  }

  /**
   * now().rate, for each tick that comes.
   *
   * @param {number} time  Unix seconds
   */
  #total(time) {
    let total = 0;
    for (const lane of this.lanes) {
      total += this.rateAt(lane, time) || 0;
    }
    return total;
  }

  /**
   * A lane's rate, which falls to 0 within the rate window when ticks stay away.
   *
   * @param {Lane} lane
   * @param {number} time  Unix seconds
   * @param {number} [rate]  while ticks come
   */
  rateAt(lane, time, rate = lane.rate) {
    const late = Math.max(0, time - lane.time - Math.max(GRACE_S, 1.5 * lane.interval));
    return this.runs(lane, time) ? rate * Math.max(0, 1 - late / RATE_WINDOW_S) : 0;
  }

  /**
   * Whether a lane receives ticks at this time.
   *
   * @param {Lane} lane
   * @param {number} time  Unix seconds
   */
  runs(lane, time) {
    return lane.index !== this.#retired && time - lane.time <= Math.max(IDLE_S, 5 * lane.interval);
  }

  /**
   * Whether a lane has been silent for long at this time: then its rate is 0.
   *
   * @param {Lane} lane
   * @param {number} time  Unix seconds
   */
  silentAt(lane, time) {
    return time - lane.time > longFor(lane);
  }

  /** True if no tick has ever counted a token: the engine is a pipeline of steps, such as vision. */
  get tokenless() {
    return this.lanes.length > 0 && this.lanes.every((lane) => lane.tokens === 0);
  }

  /**
   * @param {Tick} tick
   * @param {number} seq
   * @param {number} time  browser's clock
   */
  #append(tick, seq, time) {
    const { ring } = this;
    const first = tick.first === true;
    const lane = this.#lane(tick.model, tick.node ?? "");
    time = Math.max(time, this.lastTime); // the axis never goes back
    const step = time - lane.time;
    const silent = !lane.broken && (step > longFor(lane) || this.#paused(lane.time, time));
    const broken = lane.broken || silent;
    const isNew = countsAnew(lane, tick);
    const more = newTokens(lane, tick, isNew);
    if (!broken) {
      lane.interval += (step - lane.interval) / Math.min(lane.steps, 10);
    } else if (lane.steps > 0) { // after a gap the interval grows at most twofold: the lane may have become slow, or have paused
      lane.interval = Math.min(step, lane.interval * 2 || RATE_WINDOW_S);
    }
    if (broken) {
      lane.since = time;
    }
    lane.broken = false;
    lane.steps++;
    lane.time = time;
    if (!first) {
      lane.latency = tick.latency_ms;
    }
    lane.tokens = tick.tokens_generated;
    lane.estimated = tick.estimated === true;
    if (lane.tokens > 0) {
      lane.rate = tick.tokens_per_second;
      lane.windowFrom = ring.end + 1;
      lane.inWindow = 0;
    } else {
      lane.rate = this.#stepRate(lane);
    }
    this.lastTime = time;
    this.#latest = lane;
    if (lane.index === this.#retired) {
      this.#retired = -1;
    }
    ring.push(time, tick.timestamp, tick.latency_ms, lane.rate, this.#total(time), tick.tokens_generated, more, seq,
      lane.index, (broken ? BREAK : 0) | (silent ? SILENT : 0) | (lane.estimated ? ESTIMATED : 0) | (first ? FIRST : 0) | (isNew ? BEFORE : 0), tick.request);
  }

  /**
   * Whether a pause lay between two ticks, however short it was: what the engine
   * still does while it drains is no gap. The ticks may be live, or come from fill().
   *
   * @param {number} from
   * @param {number} to
   */
  #paused(from, to) {
    for (let i = this.marks.length - 1; i >= 0 && this.marks[i].to > from; i--) {
      const mark = this.marks[i];
      if (mark.kind === "paused" && mark.from >= from && mark.from < to && mark.to <= to + GRACE_S) {
        return true;
      }
    }
    return false;
  }

  /**
   * Steps per second, for a lane without tokens, from its ticks in the last 2 s.
   * The tick at lane.time is included: it is not in the ring yet.
   *
   * @param {Lane} lane
   */
  #stepRate(lane) {
    const { ring } = this;
    let i = Math.max(lane.windowFrom, ring.first);
    for (; i < ring.end && ring.time[i & ring.mask] <= lane.time - RATE_WINDOW_S; i++) {
      if (ring.lane[i & ring.mask] === lane.index) {
        lane.inWindow--;
      }
    }
    lane.windowFrom = i;
    lane.inWindow++;
    const ran = lane.time - lane.since; // the first ticks after a silence can't fill the window
    return ran > 0 && ran < RATE_WINDOW_S ? (lane.inWindow - 1) / ran : lane.inWindow / RATE_WINDOW_S;
  }

  /**
   * The time of a fetched tick: its own timestamp, unless that comes from a node
   * whose clock is ahead of the next tick's.
   *
   * @param {Tick[]} ticks
   * @param {number} i
   * @param {number} now
   */
  #pastTime(ticks, i, now) {
    const own = ticks[i].timestamp;
    const next = ticks[Math.min(i + 1, ticks.length - 1)].timestamp;
    return own - next > FOREIGN_S ? this.lastTime : Math.min(this.clock.toBrowser(own), now);
  }

  /**
   * Remove the ticks from `index` on from the ring.
   *
   * @param {number} index
   */
  #take(index) {
    const { ring } = this;
    /** @type {{tick: Tick, seq: number, time: number}[]} */
    const taken = [];
    for (let i = index; i < ring.end; i++) {
      taken.push({ tick: this.tickAt(i), seq: ring.seq[i & ring.mask], time: ring.time[i & ring.mask] });
    }
    ring.rewind(index);
    this.lastTime = index > ring.first ? ring.time[(index - 1) & ring.mask] : 0;
    return taken;
  }

  /**
   * A tick of the ring as it was received, its latency and rate with seven digits.
   *
   * @param {number} index
   * @returns {Tick}
   */
  tickAt(index) {
    const { ring } = this;
    const k = index & ring.mask;
    const lane = this.lanes[ring.lane[k]];
    return {
      event: "inference_tick",
      model: lane.model,
      tokens_generated: ring.tokens[k],
      latency_ms: Number(ring.latency[k].toPrecision(7)),
      tokens_per_second: ring.tokens[k] > 0 ? Number(ring.rate[k].toPrecision(7)) : 0,
      timestamp: ring.stamp[k],
      ...(lane.node ? { node: lane.node } : {}),
      ...(ring.flags[k] & ESTIMATED ? { estimated: true } : {}),
      ...(ring.request[k] ? { request: ring.request[k] } : {}),
      ...(ring.flags[k] & FIRST ? { first: true } : {}),
    };
  }

  /**
   * @param {string} model
   * @param {string} node
   * @returns {Lane}
   */
  #lane(model, node) {
    const known = this.#latest?.model === model && this.#latest.node === node
      ? this.#latest
      : this.lanes.find((lane) => lane.model === model && lane.node === node);
    if (known) {
      return known;
    }
    if (this.lanes.length === LANES_MAX) {
      return this.lanes[LANES_MAX - 1];
    }
    const full = this.lanes.length === LANES_MAX - 1;
    const left = node && !this.node ? NODE_LANES_MAX - this.lanes.reduce((sum, lane) => sum + Number(lane.node === node), 0) : Infinity;
    if (left <= 1 && model !== OTHERS) {
      return this.#lane(OTHERS, node);
    }
    const lane = {
      index: this.lanes.length, model: full ? OTHERS : model, node: full ? "" : node,
      time: 0, interval: 0, latency: NaN, rate: 0, tokens: 0, steps: 0, estimated: false, broken: true,
      since: 0, windowFrom: this.ring.end, inWindow: 0,
    };
    this.lanes.push(lane);
    return lane;
  }

  /** @param {Mark} mark */
  #addMark(mark) {
    this.marks.push(mark);
    this.marksVersion++;
    this.marks.sort((a, b) => a.from - b.from);
    if (this.marks.length > MARKS_MAX) {
      this.marks.shift();
    }
  }
}

/** @param {Tick} tick */
function laneKey({ model, node = "" }) {
  return `${node}\n${model}`;
}

/** @param {Tick} tick */
function tickKey(tick) {
  return `${laneKey(tick)}\n${tick.timestamp}`;
}

/**
 * The longest time without ticks that is no silence of the lane, seconds.
 *
 * @param {Lane} lane
 */
function longFor({ interval }) {
  return Math.max(RATE_WINDOW_S, 5 * interval);
}

/**
 * How many tokens a tick adds to its lane. A lane's first tick tells only how
 * many there are; its rate tells how many of them are new.
 *
 * @param {Lane} lane  before the tick
 * @param {Tick} tick
 * @param {boolean} isNew
 */
function newTokens(lane, { tokens_generated: tokens, tokens_per_second: rate }, isNew) {
  return isNew ? Math.min(tokens, Math.max(1, Math.round(rate * RATE_WINDOW_S))) : tokens - lane.tokens;
}

/**
 * Whether a tick is its lane's first one, or another server counts from 0.
 *
 * @param {Lane} lane  before the tick
 * @param {Tick} tick
 */
function countsAnew(lane, { tokens_generated: tokens }) {
  return lane.steps === 0 || (lane.broken && tokens < lane.tokens);
}

/**
 * Whether a fetched tick is the first after a switch of the server's own model:
 * the old model has no ticks soon after it, and the new one none shortly before.
 * If both models ran, they would.
 *
 * @param {Tick[]} ticks
 * @param {number} i
 */
function switchedAt(ticks, i) {
  const before = ticks[i - 1];
  return i > 0 && !before.node && !ticks[i].node && before.model !== ticks[i].model
    && ticks.slice(i, i + SWITCH_TICKS).every((tick) => tick.model !== before.model)
    && ticks.slice(Math.max(0, i - SWITCH_TICKS), i).every((tick) => tick.model !== ticks[i].model);
}
