// @ts-check
/**
 * The past: what the server remembers of hours and days (GET /history), as lanes and rows that the charts draw like those
 * of the live ticks. It is fetched while a long window is shown, and then only what is new.
 */

import { LANES_MAX } from "./feed.js";
import * as texts from "./texts.js";

/** @typedef {import("./feed.js").Lane} Lane */
/** @typedef {import("./contract").HistoryAnswer} Answer */
/** @typedef {{lane: Lane, query: string, series: string[], rows: Answer["rows"]}} Set */

const LONG_S = 3600; // a window of so much is of the past
const FINE_S = 6 * 3600; // up to here, rows are of ten seconds
const RETRY_S = 10;
const SERIES = "ticks,tokens_per_second,latency_min_ms,latency_p50_ms,latency_p95_ms";

/** @param {number} span  seconds that the charts show */
export function isPast(span) {
  return span >= LONG_S && span !== Infinity;
}

export class Past {
  /** Why there is nothing, or "". */
  problem = "";
  /** Changes with what there is. */
  version = 0;

  /** @type {Set[]} */ #sets = [];
  #step = 0; // seconds of a row; 0: nothing was asked for yet
  #span = 0;
  #due = 0; // when the next rows can be there, Unix seconds
  #busy = false;
  #feed;
  #get;

  /**
   * @param {import("./feed.js").Feed} feed
   * @param {(path: string) => Promise<Answer>} get  a path below this page
   */
  constructor(feed, get) {
    this.#feed = feed;
    this.#get = get;
  }

  /** @returns {Lane[]} the models that had ticks */
  get lanes() {
    return this.#sets.map(({ lane }) => lane).filter(({ time }) => time > 0);
  }

  /** Forget all: it may be another server. */
  reset() {
    this.#sets = [];
    this.#step = 0;
    this.version++;
  }

  /**
   * Fetch what is missing of a window.
   *
   * @param {number} span  seconds
   * @param {number} now   Unix seconds
   * @returns {Promise<void>} when it is here
   */
  async update(span, now) {
    const step = span > FINE_S ? 300 : 10;
    if (this.#busy || (step === this.#step && span <= this.#span && now < this.#due)) {
      return;
    }
    if (step !== this.#step || span > this.#span) {
      this.#sets = [];
    }
    this.#busy = true;
    this.#due = now + RETRY_S;
    this.#step = step;
    this.#span = span;
    try {
      await this.#fetch(step, span, now);
      this.problem = "";
      this.#due = now + step;
    } catch {
      this.problem = texts.noHistory;
    }
    this.#busy = false;
    this.version++;
  }

  /**
   * @param {number} step
   * @param {number} span
   * @param {number} now
   */
  async #fetch(step, span, now) {
    const window = `history?step=${step}&series=${SERIES}&from=`;
    const { models = [] } = await this.#get(`${window}${Math.ceil(now + this.#feed.clock.skew)}`);
    const queries = models.length ? models.map((model) => `&model=${encodeURIComponent(model)}`) : [""];
    if (queries.join() !== this.#sets.map(({ query }) => query).join()) {
      this.#sets = queries.map((query, i) => ({ query, lane: this.#lane(models[i] ?? texts.allModels, i, step), series: [], rows: [] }));
    }
    for (const set of this.#sets) {
      const last = set.rows[set.rows.length - 1]?.[0];
      const { series, rows } = await this.#get(`${window}${typeof last === "number" ? Math.floor(last) + 1 : -span}${set.query}`);
      set.series = series;
      set.rows = set.rows.concat(rows).slice(-span / step - 1);
      this.#follow(set);
    }
  }

  /**
   * A model keeps the lane, and so the colour, that it has live.
   *
   * @param {string} model
   * @param {number} i
   * @param {number} step
   * @returns {Lane}
   */
  #lane(model, i, step) {
    const { lanes } = this.#feed;
    const live = lanes.find((lane) => lane.model === model && lane.node === "");
    return {
      index: live?.index ?? Math.min(lanes.length + i, LANES_MAX - 1), model, node: "", time: 0, interval: step, latency: NaN, rate: NaN,
      tokens: 0, steps: 0, estimated: false, broken: false, since: 0, windowFrom: 0, inWindow: 0,
    };
  }

  /**
   * The legend tells the latest row with ticks.
   *
   * @param {Set} set
   */
  #follow({ lane, series, rows }) {
    const [ticks, p50] = ["ticks", "latency_p50_ms"].map((name) => series.indexOf(/** @type {any} */ (name)));
    const busy = rows.filter((row) => row[ticks]).pop();
    if (busy) {
      lane.time = this.#feed.clock.toBrowser(busy[0] ?? 0) + this.#step;
      lane.latency = busy[p50] ?? NaN;
      lane.rate = this.#rate(busy, series);
    }
  }

  /**
   * @param {(number | null)[]} row
   * @param {string[]} series
   */
  #rate(row, series) {
    return (this.#feed.tokenless ? (row[series.indexOf("ticks")] ?? NaN) / this.#step : row[series.indexOf("tokens_per_second")]) ?? NaN;
  }

  /**
   * What a chart draws: of latency the median, in the area from the lowest to p95; of the rate a line. Where no server ran, or
   * nothing came, there is a gap.
   *
   * @param {"latency" | "rate"} metric
   * @param {number} from  Unix seconds
   * @param {number} to
   * @param {ArrayLike<number>} lineOf
   * @param {import("./decimate.js").Rows} out
   */
  rows(metric, from, to, lineOf, out) {
    out.clear();
    out.dense = metric === "latency";
    const step = this.#step;
    const drawn = this.#sets.filter(({ lane }) => lineOf[lane.index] >= 0);
    const at = drawn.map(() => 0);
    const last = drawn.map(() => 0);
    for (;;) { // the rows of all lanes in order of time
      let next = -1;
      drawn.forEach(({ rows }, i) => {
        if (at[i] < rows.length && (next < 0 || (rows[at[i]][0] ?? 0) < (drawn[next].rows[at[next]][0] ?? 0))) {
          next = i;
        }
      });
      if (next < 0) {
        return;
      }
      const { lane, series, rows } = drawn[next];
      const row = rows[at[next]++];
      const time = this.#feed.clock.toBrowser(row[0] ?? 0) + step / 2;
      const value = (name = "") => row[series.indexOf(name)] ?? NaN;
      const middle = metric === "rate" ? this.#rate(row, series) : value("latency_p50_ms");
      if (time >= from - step && time <= to + step && !Number.isNaN(middle)) {
        const broken = time - last[next] > 1.5 * step;
        if (metric === "rate") {
          out.add(time, lineOf[lane.index], middle, broken);
        } else {
          out.addRange(time, lineOf[lane.index], value("latency_min_ms"), middle, value("latency_p95_ms"), broken);
        }
        last[next] = time;
      }
    }
  }
}
