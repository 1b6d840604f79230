// @ts-check
/** The requests that went through the proxy: the running ones and the latest that ended. */

/** @typedef {import("./contract").RequestStart} RequestStart */
/** @typedef {import("./contract").Request} Request */
/** @typedef {import("./contract").Tick} Tick */

/**
 * @typedef {object} Entry
 * @property {number} id
 * @property {number} at        when it came in, browser's clock, Unix seconds
 * @property {number} live      tokens counted while it runs
 * @property {boolean} running  it has not ended
 * @property {RequestStart | Request} last  the latest that was said of it
 */

const ENDED_MAX = 50;
const RUNNING_MAX = 256;
const TTFT_MAX = 4096;
const MODELS_MAX = 64;
const OLD = 2 ** 40; // a server that restarts counts its requests from 1 again

export class RequestLog {
  /** @type {Map<number, Entry>} */
  entries = new Map();
  /** Changes with every event. */
  version = 0;
  /** Times to the first token, a ring: the n-th is at n % TTFT_MAX. */
  ttft = { count: 0, time: new Float64Array(TTFT_MAX), value: new Float32Array(TTFT_MAX) };
  /** @type {Map<string, number>} each model's latest token count */
  #tokens = new Map();

  /** False until the first request was seen. */
  get any() {
    return this.entries.size > 0;
  }

  /**
   * @param {RequestStart | Request} event
   * @param {number} at  when it came in, browser's clock
   */
  add(event, at) {
    const known = this.entries.get(event.id);
    if (known && known.last.seq >= event.seq) {
      return; // the past comes after the present when it is fetched
    }
    this.version++;
    const running = event.status === "running" || event.status === "queued";
    const entry = known ?? { id: event.id, at, live: 0, running, last: event };
    entry.last = event;
    entry.running = running;
    entry.live = Math.max(entry.live, ("completion_tokens" in event && event.completion_tokens) || 0);
    this.entries.set(event.id, entry);
    if (!running && "ttft_ms" in event && event.ttft_ms !== undefined) {
      const { ttft } = this;
      ttft.time[ttft.count % TTFT_MAX] = entry.at + event.ttft_ms / 1000;
      ttft.value[ttft.count % TTFT_MAX] = event.ttft_ms;
      ttft.count++;
    }
    this.#forget(false, ENDED_MAX);
    this.#forget(true, RUNNING_MAX);
  }

  /**
   * Count the tokens of a model for the request that runs on it, if it is the only one.
   *
   * @param {Tick[]} ticks
   */
  count(ticks) {
    const running = this.list().filter((entry) => entry.last.status === "running");
    for (const { model, tokens_generated: tokens } of ticks) {
      const more = tokens - (this.#tokens.get(model) ?? tokens - 1); // the first of a model: one, at least
      if (this.#tokens.size < MODELS_MAX || this.#tokens.has(model)) {
        this.#tokens.set(model, tokens);
      }
      const own = running.filter((entry) => entry.last.model === model);
      if (own.length === 1) {
        own[0].live += Math.max(0, more);
      }
    }
  }

  /** The server is a new one: what ran on the old one runs no more, what ended there keeps its place before the new ones. */
  restart() {
    const ended = this.list().filter((entry) => !entry.running);
    this.entries = new Map(ended.map((entry) => [entry.id -= OLD, entry]));
    this.version++;
  }

  /**
   * The server has told all that it knows: what is not among them has ended unseen.
   *
   * @param {Set<number>} ids
   * @param {number} seq  the first event that came after it was asked
   */
  only(ids, seq) {
    for (const entry of this.list()) {
      if (entry.running && !ids.has(entry.id) && entry.last.seq < seq) {
        this.entries.delete(entry.id);
        this.version++;
      }
    }
  }

  /** @returns {Entry[]} in the order of their arrival */
  list() {
    return [...this.entries.values()].sort((a, b) => a.id - b.id);
  }

  /**
   * Where a waiting one stands in line.
   *
   * @param {number} id
   */
  place(id) {
    return this.list().filter((entry) => entry.last.status === "queued" && entry.id <= id).length;
  }

  /** @param {"running" | "queued"} status */
  inState(status) {
    return this.list().filter((entry) => entry.last.status === status).length;
  }

  /** The latest time to the first token, ms; NaN when there was none. */
  get latestTtft() {
    return this.ttft.count ? this.ttft.value[(this.ttft.count - 1) % TTFT_MAX] : NaN;
  }

  /**
   * Keep the newest `max` of those that run, or don't.
   *
   * @param {boolean} running
   * @param {number} max
   */
  #forget(running, max) {
    const ids = this.list().filter((entry) => entry.running === running).map((entry) => entry.id);
    for (const id of ids.slice(0, Math.max(0, ids.length - max))) {
      this.entries.delete(id);
    }
  }
}
