// @ts-check
/**
 * The requests that went through the proxy: the running ones and the latest
 * that ended. What is asked in every frame or for every message is kept up to
 * date here, or computed once per change: nothing counts the entries again.
 */

/** @typedef {import("./contract").RequestStart} RequestStart */
/** @typedef {import("./contract").Request} Request */
/** @typedef {import("./contract").Tick} Tick */

/**
 * @typedef {object} Entry
 * @property {number} id
 * @property {number} at        when it arrived, browser's clock, Unix seconds
 * @property {number} began     when it was passed on, if that is known, else as `at`
 * @property {number} firstAt   when its first token came; NaN: not yet, or not known
 * @property {number} live      tokens counted while it runs
 * @property {boolean} running  it has not ended
 * @property {RequestStart | Request} last  the latest event about it
 */

const ENDED_MAX = 50;
const RUNNING_MAX = 256;
const TTFT_MAX = 4096;
const MODELS_MAX = 64;
const OLD = 2 ** 40; // a server that restarts numbers its requests from 1 again

export class RequestLog {
  /** @type {Map<number, Entry>} change it only by the methods below */
  entries = new Map();
  /** Changes with every event. */
  version = 0;
  /** Times to the first token, a ring: the n-th is at n % TTFT_MAX. */
  ttft = { count: 0, time: new Float64Array(TTFT_MAX), value: new Float32Array(TTFT_MAX), entries: /** @type {Entry[]} */ (Array(TTFT_MAX)) };
  /** @type {Map<string, number>} each model's latest token count */
  #tokens = new Map();
  #count = { running: 0, queued: 0 };
  /** @type {Set<Entry>} those in the state "running" */
  #running = new Set();
  /** @type {Entry[] | null} what list() returns; null after a change */
  #list = null;
  /** @type {Map<number, number> | null} what place() returns; null after a change */
  #places = null;
  /** @type {WeakSet<Entry>} whose time to the first token is in `ttft` */
  #timed = new WeakSet();

  /** False until the first request. */
  get any() {
    return this.entries.size > 0;
  }

  /** Requests that have not ended. */
  get active() {
    return this.#count.running + this.#count.queued;
  }

  /**
   * @param {RequestStart | Request} event
   * @param {number} at     when the request arrived, browser's clock
   * @param {number} [now]  browser's clock
   */
  add(event, at, now = at) {
    const known = this.entries.get(event.id);
    if (known && known.last.seq >= event.seq) {
      return; // a fetched event is older than those that came live meanwhile
    }
    const running = event.status === "running" || event.status === "queued";
    /** @type {Entry} */
    const entry = known ?? { id: event.id, at, began: at, firstAt: NaN, live: 0, running, last: event };
    if (known) {
      this.#remove(known);
      if (known.last.status === "queued" && event.status === "running") {
        entry.began = now;
      }
    }
    entry.last = event;
    entry.running = running;
    this.#insert(entry);
    this.#readCounts(entry);
    if (this.entries.size - this.active > ENDED_MAX) {
      this.#forgetOldest(false);
    }
    if (this.active > RUNNING_MAX) {
      this.#forgetOldest(true);
    }
  }

  /** @param {Entry} entry */
  #readCounts(entry) {
    const { last } = entry;
    if ("completion_tokens" in last && last.completion_tokens !== undefined) {
      entry.live = last.completion_tokens; // of all ticks before this event, and also of those that were lost
    }
    if ("ttft_ms" in last && last.ttft_ms !== undefined && !this.#timed.has(entry)) {
      this.#timed.add(entry);
      entry.firstAt ||= entry.at + last.ttft_ms / 1000;
      const { ttft } = this;
      const n = ttft.count % TTFT_MAX;
      ttft.time[n] = entry.firstAt;
      ttft.value[n] = last.ttft_ms;
      ttft.entries[n] = entry;
      ttft.count++;
    }
  }

  /**
   * Count the tokens of running requests, whose ticks name them.
   *
   * @param {Tick[]} ticks
   * @param {number} [now]  browser's clock
   * @param {string} [own]  only those of this node; "": of the server itself
   */
  count(ticks, now = 0, own = "") {
    for (const { model, tokens_generated: tokens, request, node = "" } of ticks) {
      if (node !== own) {
        continue;
      }
      const more = tokens - (this.#tokens.get(model) ?? tokens - 1); // a model's first tick counts as one token
      if (this.#tokens.size < MODELS_MAX || this.#tokens.has(model)) {
        this.#tokens.set(model, tokens);
      }
      const entry = request === undefined ? undefined : this.entries.get(request);
      if (entry?.running) {
        entry.live += Math.max(0, more);
        entry.firstAt ||= now;
      }
    }
  }

  /**
   * The running requests without a token so far.
   *
   * @param {number} now  browser's clock
   */
  silent(now) {
    const entries = [...this.#running].filter(({ firstAt }) => Number.isNaN(firstAt));
    return { entries, seconds: now - Math.min(...entries.map(({ began }) => began)) };
  }

  /** The server has restarted: its running requests are gone; those that ended stay, before all new ones. */
  restart() {
    for (const entry of this.list()) {
      this.#remove(entry);
      if (!entry.running) {
        entry.id -= OLD;
        this.#insert(entry);
      }
    }
  }

  /**
   * These are all the requests that the server knows: a running one that is not
   * among them ended unseen.
   *
   * @param {Set<number>} ids
   * @param {number} seq  number of the first event that came after the server was asked
   */
  only(ids, seq) {
    for (const entry of this.list()) {
      if (entry.running && !ids.has(entry.id) && entry.last.seq < seq) {
        this.#remove(entry);
      }
    }
  }

  /** @returns {readonly Entry[]} in order of arrival */
  list() {
    this.#list ??= [...this.entries.values()].sort((a, b) => a.id - b.id);
    return this.#list;
  }

  /**
   * The position of a waiting request in the queue, from 1.
   *
   * @param {number} id
   */
  place(id) {
    this.#places ??= new Map(this.list().filter((entry) => entry.last.status === "queued").map((entry, i) => [entry.id, i + 1]));
    return this.#places.get(id) ?? 0;
  }

  /** @param {"running" | "queued"} status */
  inState(status) {
    return this.#count[status];
  }

  /** The latest time to the first token, ms; NaN: there is none yet. */
  get latestTtft() {
    return this.ttft.count ? this.ttft.value[(this.ttft.count - 1) % TTFT_MAX] : NaN;
  }

  /** @param {Entry} entry */
  #insert(entry) {
    const { status } = entry.last;
    this.entries.set(entry.id, entry);
    if (status === "running" || status === "queued") {
      this.#count[status]++;
    }
    if (status === "running") {
      this.#running.add(entry);
    }
    this.#changed();
  }

  /** @param {Entry} entry */
  #remove(entry) {
    const { status } = entry.last;
    this.entries.delete(entry.id);
    if (status === "running" || status === "queued") {
      this.#count[status]--;
    }
    this.#running.delete(entry);
    this.#changed();
  }

  #changed() {
    this.version++;
    this.#list = this.#places = null;
  }

  /** @param {boolean} running  of the ones that run, or of those that ended */
  #forgetOldest(running) {
    const oldest = this.list().find((entry) => entry.running === running);
    if (oldest) {
      this.#remove(oldest);
    }
  }
}
