// @ts-check
/**
 * The boards behind a gateway: what is known of each, from its ticks, its other
 * events and GET /nodes. Nothing here touches the page, and everything is bounded.
 */

import * as texts from "./texts.js";

/** @typedef {import("./contract").Event} AidashEvent */
/** @typedef {import("./contract").Board} BoardEvent */
/** @typedef {import("./contract").Energy} Energy */
/** @typedef {import("./contract").Verdict} Verdict */
/** @typedef {"live" | "stale" | "gone"} State */
/** @typedef {import("./feed.js").Feed} Feed */

/**
 * What the board said of itself last: the members of its status and hello that the page shows.
 *
 * @typedef {Partial<Pick<import("./contract").Status, "model" | "models" | "loaded" | "model_facts" | "paused" | "override" | "source" | "rate_hz" | "source_state" | "engine" | "reason">>} Said
 */

/**
 * @typedef {object} Node
 * @property {string} name
 * @property {State} state     as the server told; live since its newest event
 * @property {boolean} told    the server tells states: one of before does not
 * @property {number} heard    when its newest event came, browser's clock, Unix seconds
 * @property {string} url      of its own page, or ""
 * @property {string} model    of its newest tick
 * @property {number} tokens_per_second  as GET /nodes told; NaN: it did not
 * @property {Said | null} said
 * @property {BoardEvent | null} board
 * @property {Energy | null} energy
 * @property {Map<string, Verdict>} verdicts  those that last, by figure and model
 * @property {Map<string, number>} kept  when the newest event of each kind came live, browser's clock
 * @property {Map<number, AidashEvent>} requests  the latest event of each of the latest requests
 */

/** @typedef {import("./contract").NodesAnswer["nodes"][number]} Listed */

export const NODES_MAX = 1024;
const REQUESTS_MAX = 50; // of a board
const VERDICTS_MAX = 8; // of a board
const KINDS = new Set(["status", "board", "verdict", "energy"]); // of events that GET /nodes has
const STALE_S = 10; // the same as the server's
const GONE_S = 60;
const SPARK_S = 60;
const HOLD_S = 2; // a rate holds so long, or five intervals between its ticks

export class Fleet {
  /** @type {Map<string, Node>} */
  nodes = new Map();
  /** Names that have no record, as there are too many. */
  left = 0;

  /**
   * A board gave a sign of life. One that is new gets its record.
   *
   * @param {string} name
   * @param {number} now  browser's clock
   * @returns {Node | null} null: there are too many
   */
  #hear(name, now) {
    const known = this.nodes.get(name);
    if (known) {
      known.heard = Math.max(known.heard, now);
      known.state = "live";
      return known;
    }
    return this.#add(name, now);
  }

  /** @param {string} name @param {number} heard @returns {Node | null} */
  #add(name, heard) {
    if (this.nodes.size === NODES_MAX) {
      this.left++;
      return null;
    }
    /** @type {Node} */
    const node = { name, state: "live", told: false, heard, url: "", model: "", tokens_per_second: NaN, said: null, board: null, energy: null,
      verdicts: new Map(), kept: new Map(), requests: new Map() };
    this.nodes.set(name, node);
    return node;
  }

  /** @param {import("./contract").Tick[]} ticks @param {number} now */
  ticks(ticks, now) {
    for (const { node: name, model } of ticks) {
      const node = name ? this.#hear(name, now) : null;
      if (node) {
        node.model = model;
      }
    }
  }

  /**
   * An event of another board, or a change of its state.
   *
   * @param {{node: string, state?: State, data?: object}} event
   * @param {number} now
   */
  add({ node: name, state, data }, now) {
    if (state !== undefined) {
      const node = this.nodes.get(name) ?? this.#add(name, state === "live" ? now : 0);
      if (node) {
        node.state = state;
        node.told = true;
      }
      return;
    }
    const node = this.#hear(name, now);
    if (node && data) {
      const known = /** @type {AidashEvent} */ (data);
      if (KINDS.has(known.event)) {
        node.kept.set(known.event, now);
      }
      this.#keep(node, known);
    }
  }

  /** @param {Node} node @param {AidashEvent} event */
  #keep(node, event) {
    switch (event.event) {
      case "hello":
      case "status":
        if (!("dropped" in event)) {
          node.said = event;
        }
        break;
      case "board":
        node.board = event;
        break;
      case "energy":
        node.energy = event;
        break;
      case "verdict":
        keepLatest(node.verdicts, `${event.figure} ${event.model}`, event, VERDICTS_MAX);
        break;
      case "request":
      case "request_start":
        keepLatest(node.requests, event.id, event, REQUESTS_MAX);
        break;
      default:
    }
  }

  /**
   * GET /nodes: all that the server knows. A board that is not among them is known no longer.
   *
   * @param {Listed[]} listed
   * @param {number} now
   * @param {number} [asked]  when the server was asked: what came live since is newer
   */
  fill(listed, now, asked = now) {
    const names = new Set(listed.map(({ node }) => node));
    for (const { name, heard } of [...this.nodes.values()]) {
      if (!names.has(name) && now - heard > GONE_S) {
        this.nodes.delete(name);
      }
    }
    for (const { node: name, state, age_ms: age, url, model, tokens_per_second: rate = NaN, status, board, verdict, energy } of listed) {
      const heard = now - age / 1000;
      const node = this.nodes.get(name) ?? this.#add(name, heard);
      if (!node) {
        continue;
      }
      if (heard >= node.heard - 1) { // else its newest event came while the answer was on its way
        node.state = state;
      }
      node.told = true;
      node.heard = Math.max(node.heard, heard);
      node.url = ownPage(url);
      node.model ||= model ?? "";
      node.tokens_per_second = rate;
      for (const event of [status, board, verdict, energy]) {
        if (event && (node.kept.get(event.event) ?? 0) <= asked) {
          this.#keep(node, /** @type {any} */ (event));
        }
      }
    }
  }

  /**
   * Where the server tells no states, silence does.
   *
   * @param {Node} node
   * @param {number} now
   * @returns {State}
   */
  state({ state, told, heard }, now) {
    const silent = told ? 0 : now - heard;
    return silent > GONE_S ? "gone" : silent > STALE_S ? "stale" : state;
  }
}

/**
 * Keep the newest entries of a map.
 *
 * @template K, V
 * @param {Map<K, V>} map
 * @param {K} key
 * @param {V} value
 * @param {number} max
 */
function keepLatest(map, key, value, max) {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= max) {
      break;
    }
    map.delete(oldest);
  }
}

/**
 * The address of a board's own page, if it is one that a browser may open.
 *
 * @param {string | undefined} url  as a peer gave it
 */
export function ownPage(url) {
  try {
    const { href, protocol } = new URL(url ?? "");
    return protocol === "http:" || protocol === "https:" ? href : "";
  } catch {
    return "";
  }
}

/**
 * The model of a board: the active one, as on its own page; "": not known.
 *
 * @param {Node} node
 */
export function modelOf({ said, model }) {
  return words(said?.model) || model;
}

/**
 * A text that a board said; "" where it said something else. What a server hands on of
 * another board need not be of the contract, and must not hide the others.
 *
 * @param {unknown} said
 */
function words(said) {
  return typeof said === "string" ? said : "";
}

/**
 * The hottest of a board's sensors, °C; NaN: unknown.
 *
 * @param {Node} node
 */
export function hottest({ board }) {
  const all = /** @type {unknown} */ (board?.temperatures);
  const known = (Array.isArray(all) ? all : []).map((sensor) => sensor?.celsius).filter((celsius) => typeof celsius === "number");
  return known.length ? Math.max(...known) : NaN;
}

/**
 * What a board takes, W; NaN: unknown.
 *
 * @param {Node} node
 */
export function wattsOf({ energy, board }) {
  const all = [energy?.watts, board?.power?.watts, board?.rails?.[0]?.watts];
  return /** @type {number} */ (all.find((watts) => typeof watts === "number") ?? NaN);
}

/**
 * What is wrong with a board, as a sentence; "" if nothing is.
 *
 * @param {Node} node
 */
export function trouble({ verdicts, said }) {
  const slow = [...verdicts.values()].reverse().find(({ on }) => on);
  return slow ? words(slow.sentence) : said?.engine === "down" ? words(said.reason) || texts.engineIsDown : "";
}

/**
 * What each board makes now, tokens/s; a rate falls to 0 when ticks stay away.
 *
 * @param {Feed} feed
 * @param {number} now
 * @returns {Map<string, {rate: number, running: boolean, time: number}>}
 */
export function ratesOf(feed, now) {
  /** @type {Map<string, {rate: number, running: boolean, time: number}>} */
  const rates = new Map();
  for (const lane of feed.lanes) {
    if (lane.node) {
      const known = rates.get(lane.node) ?? { rate: 0, running: false, time: 0 };
      rates.set(lane.node, { rate: known.rate + feed.rateAt(lane, now), running: known.running || feed.runs(lane, now), time: Math.max(known.time, lane.time) });
    }
  }
  return rates;
}

/**
 * The last minute of each board, a value a second: one pass over the ring for all of them.
 *
 * @param {Feed} feed
 * @param {number} now
 * @returns {Map<string, Float32Array>}
 */
export function minutes({ ring, lanes }, now) {
  const end = Math.floor(now);
  const from = end - SPARK_S;
  const last = lanes.map(({ node }) => (node ? new Float32Array(SPARK_S).fill(NaN) : null));
  for (let i = ring.find(from); i < ring.end; i++) {
    const k = i & ring.mask;
    const second = Math.floor(ring.time[k] - from);
    const row = last[ring.lane[k]];
    if (row && second < SPARK_S) {
      row[second] = ring.rate[k];
    }
  }
  /** @type {Map<string, Float32Array>} */
  const all = new Map();
  lanes.forEach(({ node, interval }, i) => {
    const row = last[i];
    if (!row) {
      return;
    }
    const sum = all.get(node) ?? new Float32Array(SPARK_S);
    all.set(node, sum);
    let held = 0;
    let age = Infinity;
    for (let second = 0; second < SPARK_S; second++) {
      if (!Number.isNaN(row[second])) {
        held = row[second];
        age = 0;
      }
      sum[second] += age++ <= Math.max(HOLD_S, 5 * interval) ? held : 0;
    }
  });
  return all;
}
