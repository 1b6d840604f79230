// @ts-check
/** Between the server and the page: what arrives goes to the feed, the request log and the store. */

import { AidashClient, CommandError } from "./aidash-client.js";
import { causeOf, NO_SOCKET } from "./causes.js";
import { checker } from "./contract-check.js";
import { notice } from "./dom.js";
import { Feed } from "./feed.js";
import { clockTime } from "./format.js";
import { Fleet } from "./fleet.js";
import { Gauges } from "./gauges.js";
import { Past } from "./past.js";
import { RequestLog } from "./requests.js";
import * as texts from "./texts.js";
import { counted, put } from "./words.js";

/** @typedef {import("./aidash-client.js").Gap} Gap */
/** @typedef {import("./contract").Command} Command */
/** @typedef {import("./contract").Hello} Hello */
/** @typedef {import("./contract").Status} Status */

const STATUS_EVERY_MS = 10_000;
const FETCH_MS = 8_000;
const MUTE_MS = 1_000; // a connection without hello
const FOREIGN_S = 10; // if another board's clock is further off, the arrival counts
const SLOW_MAX = 64; // figures of models that are known to be slow
const ALERTS_MAX = 64; // the same as the server's
const NODES_AGAIN_MS = 1_000; // between two times that the list of boards is asked for

export class Session {
  feed;
  past;
  fleet = new Fleet();
  requests = new RequestLog();
  gauges = new Gauges();
  client;
  /** Hears each event behind the page. @type {(event: string, data: any) => void} */
  tap = () => {};

  #store;
  #frame;
  /**
   * What the server said last, without what was only asked for.
   *
   * @type {Pick<import("./store.js").PageState, "model" | "paused" | "override">}
   */
  #truth = { model: "", paused: false, override: null };
  #unanswered = 0; // commands
  #connections = 0;
  #noteSeq = 0; // of the latest note
  #down = ""; // since when the engine is down, in words
  /** @type {Set<string>} what is slow: figure and model */
  #slow = new Set();
  #clockAsked = 0; // when, after the server's clock was set, Unix seconds
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #statusTimer;
  /** @type {Promise<((event: unknown) => boolean) | null> | null} whether a board's event is of the contract */
  #isRight = null;
  #nodesAsked = 0; // when the list of boards was asked for, as Date.now()
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #nodesTimer;

  /**
   * Connect to the server that the page came from.
   *
   * @param {import("./store.js").Store} store
   * @param {import("./frame.js").Frame} frame
   * @param {string} node  show only this board of those behind the server; "": the server's own, and the ticks of all
   */
  constructor(store, frame, node) {
    this.#store = store;
    this.#frame = frame;
    this.node = node;
    this.feed = new Feed(undefined, node);
    this.past = new Past(this.feed, request);
    this.client = new AidashClient({
      sentences: texts.clientSentences,
      onHello: (hello, gap) => this.#onHello(hello, gap),
      onTicks: (ticks, seq) => this.#onTicks(ticks, seq),
      onStatus: (status) => this.#onStatus(status),
      onDropped: (gap) => this.#onDropped(gap),
      onEvent: (event) => {
        if (event.event === "node") {
          this.#onNode(event);
        } else if (event.event === "command" ? (event.node ?? "") === this.node : this.node === "") { // else it is of another board
          this.#onEvent(event);
        }
        this.tap(event.event, event);
      },
      onState: (state) => this.#onState(state),
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && store.state.connection.phase === "live") {
        this.#pollStatus();
      }
    });
  }

  /**
   * Send a command. The page shows its effect at once, and takes it back if the
   * server refuses. Several may be under way: the server carries them out in
   * their order, and the page shows what came of them when the last is answered.
   *
   * @param {Command} command
   * @returns {Promise<string>} "", or why it was not carried out
   */
  async send(command) {
    const asked = this.#effect(command);
    this.#unanswered++;
    this.#store.set({ ...asked, pending: true });
    let problem = "";
    try {
      const ack = await this.client.send(this.node ? { ...command, node: this.node } : command);
      if (ack.number === undefined) { // else it takes effect later, and an event says so
        this.#truth = { ...this.#truth, ...asked };
      }
    } catch (error) {
      problem = error instanceof CommandError ? error.message : String(error);
      if (error instanceof CommandError && error.code === "unauthorized") {
        problem = texts.signInToControl;
        this.#store.set({ wanted: "control" });
      }
    }
    if (--this.#unanswered === 0) {
      this.#store.set({ ...this.#truth, pending: false });
    }
    return problem;
  }

  /**
   * What a command changes if it is carried out.
   *
   * @param {Command} command
   * @returns {Partial<Pick<import("./store.js").PageState, "model" | "paused" | "override">>}
   */
  #effect(command) {
    const { override, model } = this.#store.state;
    switch (command.action) {
      case "switch_model":
        return { model: command.model || model, override: override === null ? null : command.model !== "" };
      case "pause":
      case "drain":
        return { paused: true };
      case "resume":
        return { paused: false };
      default:
        return {};
    }
  }

  /** @param {import("./contract").Tick[]} ticks @param {number} seq */
  #onTicks(ticks, seq) {
    const now = seconds();
    const empty = this.feed.ring.end === 0;
    this.feed.add(ticks, seq, now);
    this.fleet.ticks(ticks, now);
    this.requests.count(ticks, now, this.node);
    if (this.feed.clock.wanted && now - this.#clockAsked >= 1) {
      this.#clockAsked = now;
      this.#pollStatus();
    }
    ticks.forEach((tick) => this.tap("inference_tick", tick));
    this.#frame[empty ? "request" : "soon"](); // the first number waits for no beat
  }

  /** @param {Hello} hello @param {Gap | null} gap */
  #onHello(hello, gap) {
    const now = seconds();
    if (gap?.restarted) {
      this.requests.restart();
      this.#noteSeq = 0;
    }
    this.feed.close("offline", now);
    const query = this.feed.connected(hello, gap, now);
    this.#store.set({ hello });
    if (this.node) {
      this.#readNodes();
    } else {
      this.#setTruth(hello, now);
      this.#countNodes(hello);
    }
    this.tap("hello", hello);
    this.#fill(query, hello, ++this.#connections);
  }

  /** @param {Status} status */
  #onStatus(status) {
    if (this.node === "") {
      this.#showStatus(status);
    }
    this.#countNodes(status);
    this.tap("status", status);
  }

  /** @param {Status} status  of the board that is shown */
  #showStatus(status) {
    const now = seconds();
    this.feed.modelChanged(status.model, now, status.override !== false);
    this.#setTruth(status, now);
    const { hello } = this.#store.state;
    if (hello && (hello.source !== status.source || hello.rate_hz !== status.rate_hz)) {
      this.#store.set({ hello: { ...hello, source: status.source, rate_hz: status.rate_hz } });
    }
  }

  /**
   * Where the server tells of more boards than are known here, or of fewer, they are asked for.
   *
   * @param {{nodes?: number}} said
   */
  #countNodes({ nodes }) {
    if (nodes !== undefined && nodes !== this.fleet.nodes.size) {
      this.#readNodes();
    }
  }

  /** Fetch what the server knows of the other boards, at most once a second. */
  #readNodes() {
    clearTimeout(this.#nodesTimer);
    this.#nodesTimer = setTimeout(async () => {
      const asked = seconds();
      this.#nodesAsked = Date.now();
      try {
        const { nodes } = /** @type {import("./contract").NodesAnswer} */ (await request("nodes"));
        this.fleet.fill(nodes, seconds(), asked);
        const own = this.fleet.nodes.get(this.node);
        [own?.said, own?.board, own?.energy, ...(own?.verdicts.values() ?? []), ...(own?.requests.values() ?? [])].forEach((event) => event && this.#onBoard(event));
      } catch {
        // a server of before; the boards whose events come are shown
      }
      this.#frame.request();
    }, Math.max(0, this.#nodesAsked + NODES_AGAIN_MS - Date.now()));
  }

  /**
   * An event of another board, or how it is now.
   *
   * @param {import("./contract").Node} event
   */
  #onNode(event) {
    if (!this.fleet.nodes.has(event.node)) {
      this.#readNodes(); // the list has its address
    }
    this.fleet.add(event, seconds());
    if (event.data && event.node === this.node) {
      this.#onBoard(event.data);
    }
    this.#frame.soon();
  }

  /**
   * An event of the board that this page shows, behind the gateway. All of them pass here, in their order; what is not of the
   * contract goes no further. A status that a board sends as a sign of life is no event of its stream, and has no number.
   *
   * @param {any} event
   */
  async #onBoard(event) {
    this.#isRight ??= request("contract.json").then(checker, () => null);
    const isRight = await this.#isRight;
    if (!isRight?.(event?.event === "status" ? { seq: 1, ...event } : event)) {
      this.#isRight = isRight && this.#isRight; // the next event asks again
      return;
    }
    this.#frame.soon();
    if (event.event === "hello" || (event.event === "status" && !("dropped" in event))) {
      this.#showStatus({ models: [], ...event, commands: undefined });
    } else {
      this.#onEvent(event);
    }
  }

  /**
   * When an event was, browser's clock.
   *
   * @param {number} timestamp  by the clock of the board that it is of
   */
  #timeOf(timestamp) {
    const at = this.feed.clock.toBrowser(timestamp);
    return this.node && Math.abs(at - seconds()) > FOREIGN_S ? seconds() : at;
  }

  /** @param {Hello | Status} said @param {number} now */
  #setTruth(said, now) {
    const { state } = this.#store;
    const [models, loaded, facts] = [kept(state.models, said.models), kept(state.loaded, said.loaded ?? []), kept(state.facts, said.model_facts ?? [])];
    const { model, paused, source_state: sourceState, override = null } = said;
    if (paused) {
      this.feed.open("paused", now, texts.markPaused);
    } else {
      this.feed.close("paused", now);
    }
    this.#down = said.engine !== "down" ? "" : this.#down || put(said.event === "hello" ? texts.downSinceLeast : texts.downSince, { time: clockTime(now) });
    this.#truth = { model, paused, override };
    this.#store.set({ ...this.#truth, models, loaded, facts, sourceState, down: said.engine === "down", loading: said.engine === "loading", reason: said.reason ?? this.#down, benchRuns: said.bench ?? 0 });
    if (said.commands) {
      this.#readCommands();
    } else if (this.#store.state.commands.length) {
      this.#store.set({ commands: [] });
    }
    this.#frame.soon();
  }

  /** The engine's own commands have changed, or one that takes its time may run. */
  async #readCommands() {
    try {
      const { commands, running } = /** @type {import("./contract").CommandsAnswer} */ (await request("commands"));
      this.#store.set({ commands, command: running[running.length - 1] ?? null });
    } catch {
      // the next status asks again
    }
  }

  /** @param {import("./contract").CommandEvent} event */
  #onCommand(event) {
    const { commands } = this.#store.state;
    const { command, value, state } = event;
    if (command && state === "done") {
      this.#store.set({ commands: commands.map((own) => (own.command === command && value !== undefined ? { ...own, value } : own)) });
    }
    this.#store.set({ command: event });
  }

  /** @param {import("./contract").Verdict} verdict  it is told again while it lasts */
  #markVerdict({ on, model, figure, cause, since }) {
    const key = `${figure} ${model}`;
    if (!on) {
      this.#slow.delete(key);
    } else if (!this.#slow.has(key)) {
      if (this.#slow.size === SLOW_MAX) {
        this.#slow.clear();
      }
      this.#slow.add(key);
      this.feed.mark("slow", this.#timeOf(since), cause === "unknown" ? put(texts.markSlow, { model }) : put(texts.markSlowBecause, { model, cause: texts.slowCauses[cause] ?? cause }));
    }
  }

  /** @param {import("./contract").Note} note */
  #onNote({ seq, level, text, timestamp }) {
    if (this.node || seq > this.#noteSeq) { // else it was fetched, and also told by an event; of a board, none is fetched
      this.#noteSeq = seq;
      this.feed.mark(level === "info" ? "note" : level, this.#timeOf(timestamp), text);
    }
  }

  /** @param {Gap} gap */
  #onDropped(gap) {
    this.feed.mark("dropped", seconds(), put(texts.markLost, { n: gap.missed }));
    this.feed.breakLines();
    this.#store.set({ dropped: this.#store.state.dropped + gap.missed });
    if (this.fleet.nodes.size) {
      this.#readNodes();
    }
    notice(counted(texts.eventsLost, gap.missed));
  }

  /** @param {import("./contract").Event} event */
  #onEvent(event) {
    if (event.event === "request_start" || event.event === "request") {
      const at = event.timestamp === undefined ? seconds() : this.#timeOf(event.timestamp);
      this.requests.add(event, at, seconds());
      this.#frame.soon();
    } else if (event.event === "note") {
      this.#onNote(event);
      this.#frame.soon();
    } else if (event.event === "command") {
      this.#onCommand(event);
    } else if (event.event === "gauge") {
      this.gauges.add(event, this.#timeOf(event.timestamp));
      this.#frame.soon();
    } else if (event.event === "bench") {
      this.#store.set({ bench: event });
    } else if (event.event === "board") {
      this.#store.set({ board: event });
    } else if (event.event === "verdict") {
      this.#markVerdict(event);
      this.#store.set({ verdict: event });
    } else if (event.event === "energy") {
      this.#store.set({ energy: event });
    } else if (event.event === "alert") {
      const others = this.#store.state.alerts.filter(({ name }) => name !== event.name);
      this.#store.set({ alerts: event.state === "firing" ? [...others, event].slice(-ALERTS_MAX) : others });
    }
  }

  /**
   * @param {string} path  below this page
   * @returns {Promise<any>} what GET answers
   */
  get(path) {
    return request(path);
  }

  /** The results of benchmarks that the server keeps. */
  async benchmarks() {
    return /** @type {import("./contract").BenchAnswer} */ (await request("bench"));
  }

  /**
   * What clients have used.
   *
   * @param {string} query  "by" and "span" of GET /usage
   */
  async usage(query) {
    return /** @type {import("./contract").UsageAnswer} */ (await request(`usage?${query}&format=json`));
  }

  /** @param {import("./aidash-client.js").State} connection */
  #onState(connection) {
    const before = this.#store.state.connection.phase;
    this.#store.set(connection.phase === "live" ? { connection, cause: "", refusal: "" } : { connection });
    if (connection.phase === "waiting") {
      if (before === "live") {
        this.feed.open("offline", this.feed.lastTime || seconds(), texts.markOffline);
      }
      this.#findCause();
    } else if (connection.phase === "connecting") {
      setTimeout(() => { // a server that waits for a key says nothing at first
        if (this.#store.state.connection === connection) {
          this.#findCause();
        }
      }, MUTE_MS);
    }
    this.#frame.request();
  }

  /**
   * Fetch what the server kept: everything at first, later what was missed.
   *
   * @param {string} query
   * @param {Hello} hello
   * @param {number} connection  which one this is for: a later one asks again
   */
  async #fill(query, hello, connection) {
    const { feed } = this;
    const store = this.#store;
    const clock = this.#pollStatus();
    if (this.node === "") {
      if (hello.running !== undefined) {
        this.#fillRequests(hello, connection, clock);
      }
      this.#fillExtras(connection, clock);
      this.#fillAlerts(connection, clock);
    }
    try {
      while (query) {
        const answer = /** @type {import("./contract").TicksAnswer} */ (await request(`ticks?${query}`));
        await clock; // it places the ticks in time
        if (connection !== this.#connections) {
          return;
        }
        if (answer.run !== hello.run) {
          // one of several gateways: its numbers are others, so that it is asked for all
          const other = query.startsWith("last") ? answer : /** @type {import("./contract").TicksAnswer} */ (await request("ticks?last=10000"));
          if (connection === this.#connections) {
            feed.fill(other, seconds(), true);
          }
          break;
        }
        if (answer.missed > 0) {
          store.set({ dropped: store.state.dropped + answer.missed });
          feed.mark("dropped", seconds(), put(texts.markNotKept, { n: answer.missed }));
        }
        query = feed.fill(answer, seconds());
        this.#frame.request();
      }
    } catch {
      // the live ticks go on; what is missing stays a gap
    }
    if (connection === this.#connections) {
      feed.giveUpFill();
      store.set({ filled: true });
      this.#frame.request();
    }
  }

  /**
   * Fetch the latest values of the gauges, and the notes.
   *
   * @param {number} connection  as for #fill()
   * @param {Promise<void>} clock
   */
  async #fillExtras(connection, clock) {
    try {
      const [{ gauges }, { notes }] = /** @type {[import("./contract").GaugesAnswer, import("./contract").NotesAnswer]} */ (
        await Promise.all([request("gauges"), request("notes")]));
      await clock;
      if (connection === this.#connections) {
        [...gauges, ...notes].forEach((event) => this.#onEvent(event));
      }
    } catch {
      // those from now on arrive as events
    }
  }

  /**
   * Fetch the alerts that fire, where there are rules for some.
   *
   * @param {number} connection  as for #fill()
   * @param {Promise<void>} clock
   */
  async #fillAlerts(connection, clock) {
    await clock;
    const { status } = this.#store.state;
    /** @type {{alerts: import("./contract").AlertsAnswer["alerts"]}} */
    const { alerts } = status && !status.alerts ? { alerts: [] } : await request("alerts").catch(() => ({ alerts: [] }));
    if (connection === this.#connections) {
      this.#store.set({ alerts: alerts.filter(({ state }) => state === "firing") });
    }
  }

  /**
   * Fetch the requests that the server knows.
   *
   * @param {Hello} hello
   * @param {number} connection  as for #fill()
   * @param {Promise<void>} clock
   */
  async #fillRequests(hello, connection, clock) {
    try {
      const answer = /** @type {import("./contract").RequestsAnswer} */ (await request("requests"));
      await clock;
      if (connection === this.#connections) {
        const all = [...answer.requests, ...answer.running];
        all.forEach((event) => this.#onEvent(event));
        this.requests.only(new Set(all.map(({ id }) => id)), hello.next_seq);
      }
    } catch {
      // requests from now on arrive as events
    }
  }

  /** Viewers, counters and the clock: now, then every 10 s while the page is seen. */
  async #pollStatus() {
    clearTimeout(this.#statusTimer);
    this.#statusTimer = setTimeout(() => {
      if (!document.hidden && this.#store.state.connection.phase === "live") {
        this.#pollStatus();
      }
    }, STATUS_EVERY_MS);
    try {
      await this.#readStatus();
    } catch {
      // the state of the connection tells why
    }
  }

  async #readStatus() {
    const sent = seconds();
    const status = /** @type {import("./contract").StatusAnswer} */ (await request("status"));
    this.feed.clock.sample(status.time, sent, seconds());
    this.#store.set(this.node ? { status } : { status, facts: kept(this.#store.state.facts, status.model_facts ?? []) });
    this.#countNodes(status);
    this.#frame.soon();
    return status;
  }

  /** A browser does not say why a WebSocket could not be opened: ask over HTTP. */
  async #findCause() {
    const store = this.#store;
    const { attempt } = store.state.connection;
    let found = { cause: /** @type {import("./causes.js").Cause} */ (navigator.onLine ? "unreachable" : "offline"), sentence: "" };
    try {
      const { clients } = await this.#readStatus();
      found.cause = "";
      if (clients.websocket + clients.sse >= clients.max) {
        found.cause = "full";
      } else {
        found = await findRefusal() ?? (attempt > 1 ? NO_SOCKET : found); // the first one may only have been unlucky
      }
    } catch (error) {
      if (error instanceof Response) {
        found = await causeOf(error);
      }
    }
    const { cause, sentence: refusal } = found;
    if (refusal && refusal !== store.state.refusal) {
      if (cause === "locked") {
        store.set({ wanted: "view" });
      } else {
        notice(cause === "refused" ? put(texts.refusedBecause, { reason: refusal }) : refusal);
      }
    }
    store.set({ cause, refusal });
  }
}

/**
 * The list as it was, if it is told again: what shows it need not be made anew.
 *
 * @template T
 * @param {T[]} known
 * @param {T[]} told
 */
function kept(known, told) {
  return JSON.stringify(known) === JSON.stringify(told) ? known : told;
}

/**
 * Does the server refuse this page? Only some requests say which page they come
 * from: a WebSocket handshake does, GET does not, POST does. This one adds nothing,
 * and that a key would be needed to add something is no refusal of the page.
 */
async function findRefusal() {
  try {
    await request("ingest", { method: "POST" });
  } catch (error) {
    return error instanceof Response && !error.headers.has("WWW-Authenticate") ? causeOf(error) : null;
  }
  return null;
}

/**
 * @param {string} path  relative to this page; a refusal is thrown as its Response
 * @param {RequestInit} [options]
 */
async function request(path, options) {
  const abort = new AbortController(); // AbortSignal.timeout() is missing in Safari 15
  const timer = setTimeout(() => abort.abort(), FETCH_MS);
  try {
    const response = await fetch(`./${path}`, { cache: "no-store", signal: abort.signal, ...options });
    if (!response.ok) {
      throw response;
    }
    return await response.json();
  } finally {
    clearTimeout(timer);
  }
}

function seconds() {
  return Date.now() / 1000;
}
