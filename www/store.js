// @ts-check
/**
 * What the page knows apart from the ticks themselves. Panels read it and
 * subscribe to the parts that they show; nobody else's panel is touched.
 */

/**
 * @typedef {object} PageState
 * @property {import("./aidash-client.js").State} connection
 * @property {"" | "full" | "refused" | "unreachable" | "offline"} cause  why there is no connection, as far as it can be told
 * @property {import("./contract").Hello | null} hello    the latest one
 * @property {string} model        the active model, or the one that was asked for just now
 * @property {string[]} models
 * @property {string[]} loaded     of those, the ones in memory, where the engine tells
 * @property {boolean} paused      as far as known, or as asked for just now
 * @property {import("./contract").SourceState} sourceState
 * @property {boolean} down        the meter's engine can't be reached
 * @property {boolean | null} override  the meter sends every request to `model`; null: there is no meter
 * @property {boolean} pending     a command awaits its answer
 * @property {import("./contract").StatusAnswer | null} status  the latest GET /status
 * @property {boolean} filled      the server's history is here (or could not be had)
 * @property {number} dropped      events lost by this page since it was opened
 * @property {number} restyled     changes with the theme and the limits
 * @property {number} span         seconds that the charts show; Infinity: all there is
 * @property {number} frozenAt     the charts stand still at this Unix time; 0: they run
 * @property {[number, number] | null} zoom  the charts show only this, Unix seconds
 */

/** @type {PageState} */
const state = {
  connection: { phase: "connecting", attempt: 0, retryAt: 0, reason: "" },
  cause: "",
  hello: null,
  model: "",
  models: [],
  loaded: [],
  paused: false,
  sourceState: "none",
  down: false,
  override: null,
  pending: false,
  status: null,
  filled: false,
  dropped: 0,
  restyled: 0,
  span: 60,
  frozenAt: 0,
  zoom: null,
};

/** @type {{keys: (keyof PageState)[], run: (state: Readonly<PageState>) => void}[]} */
const subscribers = [];

export const store = {
  /** @type {Readonly<PageState>} */
  get state() {
    return state;
  },

  /**
   * Change some of it, and tell those who subscribed to what is different now.
   *
   * @param {Partial<PageState>} patch
   */
  set(patch) {
    /** @type {Set<string>} */
    const changed = new Set();
    for (const [key, value] of Object.entries(patch)) {
      if (!Object.is(state[/** @type {keyof PageState} */ (key)], value)) {
        changed.add(key);
      }
    }
    Object.assign(state, patch);
    for (const subscriber of subscribers) {
      if (subscriber.keys.some((key) => changed.has(key))) {
        subscriber.run(state);
      }
    }
  },

  /**
   * Call run now, and each time one of the keys has changed.
   *
   * @param {(keyof PageState)[]} keys
   * @param {(state: Readonly<PageState>) => void} run
   */
  on(keys, run) {
    subscribers.push({ keys, run });
    run(state);
  },
};
