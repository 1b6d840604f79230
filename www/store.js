// @ts-check
/**
 * What the page knows, apart from the ticks. Panels read it and subscribe to the
 * parts that they show: a change runs only the panels that show it.
 */

/**
 * @typedef {object} PageState
 * @property {import("./aidash-client.js").State} connection
 * @property {import("./causes.js").Cause} cause  why there is no connection, if known
 * @property {string} refusal      the sentence about it; "": the cause says all
 * @property {import("./contract").Hello | null} hello    the latest one
 * @property {string} model        the active model, or the one just asked for
 * @property {string[]} models
 * @property {string[]} loaded     the models in memory, if the engine reports them
 * @property {import("./contract").ModelFacts} facts  what the engines told of their models
 * @property {boolean} paused      as reported, or as just asked for
 * @property {import("./contract").SourceState} sourceState
 * @property {boolean} down        the meter can't reach the engine, or the firmware says so
 * @property {boolean} loading     the firmware says that the engine loads a model
 * @property {string} reason       why the engine is so, as the firmware says
 * @property {import("./contract").CommandsAnswer["commands"]} commands  the engine's own
 * @property {import("./contract").CommandEvent | null} command  the latest one that takes its time
 * @property {boolean | null} override  the meter sends every request to `model`; null: there is no meter
 * @property {number} benchRuns    the number of the benchmark that runs, or 0
 * @property {import("./contract").Bench | null} bench  the latest event of a benchmark
 * @property {import("./contract").Board | null} board  what the board's sensors said last
 * @property {import("./contract").Verdict | null} verdict  the latest one
 * @property {import("./contract").Energy | null} energy  what the answers take of energy, the latest
 * @property {{name: string, sentence?: string}[]} alerts  those that fire
 * @property {import("./credentials.js").Access | null} access  who this browser is to the server, if known
 * @property {string} wanted       a right that this browser was refused just now, or ""
 * @property {boolean} pending     a command waits for its answer
 * @property {import("./contract").StatusAnswer | null} status  the latest GET /status
 * @property {boolean} filled      the server's history is here, or could not be fetched
 * @property {number} dropped      events lost by this page since it was opened
 * @property {number} restyled     changes when the theme or a limit changes
 * @property {number} span         seconds that the charts show; Infinity: all
 * @property {number} frozenAt     the charts stopped at this Unix time; 0: they run
 * @property {[number, number] | null} zoom  the part that the charts show, Unix seconds
 * @property {[number, number] | null} lit   a part that the charts mark, Unix seconds
 * @property {string} find         the filter's text
 * @property {string} sort         the requests' column by which they are sorted, and ",up" from its lowest value on; "": the newest first
 * @property {readonly string[] | null} hidden  the requests' columns that are left out; null: nobody has chosen
 * @property {readonly number[]} pins  A, or A and B, Unix seconds
 * @property {import("./versus.js").Versus | null} versus  two models or times that are laid over each other
 * @property {boolean} log         the charts' scales are logarithmic
 * @property {boolean} yesterday   the charts show that, too
 * @property {number} opened       the request that was opened last, or 0
 */

export class Store {
  /** @type {PageState} */
  #state = {
    connection: { phase: "connecting", attempt: 0, retryAt: 0, reason: "" },
    cause: "",
    refusal: "",
    hello: null,
    model: "",
    models: [],
    loaded: [],
    facts: [],
    paused: false,
    sourceState: "none",
    down: false,
    loading: false,
    reason: "",
    commands: [],
    command: null,
    override: null,
    benchRuns: 0,
    bench: null,
    board: null,
    verdict: null,
    energy: null,
    alerts: [],
    access: null,
    wanted: "",
    pending: false,
    status: null,
    filled: false,
    dropped: 0,
    restyled: 0,
    span: 60,
    frozenAt: 0,
    zoom: null,
    lit: null,
    find: "",
    sort: "",
    hidden: null,
    pins: [],
    versus: null,
    log: false,
    yesterday: false,
    opened: 0,
  };
  /** @type {{keys: (keyof PageState)[], run: (state: Readonly<PageState>) => void}[]} */
  #subscribers = [];

  /** @type {Readonly<PageState>} */
  get state() {
    return this.#state;
  }

  /**
   * Change some values, then run the subscribers of those that differ now.
   *
   * @param {Partial<PageState>} patch
   */
  set(patch) {
    const state = this.#state;
    /** @type {Set<string>} */
    const changed = new Set();
    for (const [key, value] of Object.entries(patch)) {
      if (!Object.is(state[/** @type {keyof PageState} */ (key)], value)) {
        changed.add(key);
      }
    }
    Object.assign(state, patch);
    for (const subscriber of this.#subscribers) {
      if (subscriber.keys.some((key) => changed.has(key))) {
        subscriber.run(state);
      }
    }
  }

  /**
   * Call run now, and each time that one of the keys changes.
   *
   * @param {(keyof PageState)[]} keys
   * @param {(state: Readonly<PageState>) => void} run
   */
  on(keys, run) {
    this.#subscribers.push({ keys, run });
    run(this.#state);
  }
}
