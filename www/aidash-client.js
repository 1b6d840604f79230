// @ts-check
/**
 * aidash-client.js: a WebSocket client for aidash that comes back by itself.
 *
 * It needs nothing but this file, and any page may import it from a board:
 *
 *     import { AidashClient } from "http://board:8080/aidash-client.js";
 *
 *     const client = new AidashClient({
 *       onTicks: (ticks) => console.log(ticks.at(-1).tokens_per_second),
 *       onState: (state) => console.log(state.phase, state.retryAt),
 *     });
 *     await client.send({ action: "switch_model", model: "mistral" });
 *     client.close();
 *
 * It connects to the server that it was loaded from, unless `base` says
 * another. (A page of another origin must be allowed: aidash --allow-origin.)
 *
 *   - A lost connection is tried again after 1, 2, 4 ... 30 s with jitter, and
 *     at once when the browser is back online or the page is shown again.
 *   - A connection that has gone silent is asked whether it still leads to the
 *     server, and replaced if no answer comes: a pulled cable, a forgotten NAT
 *     entry or a laptop that slept is noticed soon after the ticks stay away,
 *     and within half a minute where none were expected.
 *   - Batches are unpacked. Sequence numbers are counted, so onHello and
 *     onDropped say exactly which events were missed; GET /ticks?since= has
 *     them, if they are still kept.
 *   - A command is a promise: the ack, or a CommandError.
 *
 * The events are described in /contract.json.
 *
 * @typedef {import("./contract").Tick} Tick
 * @typedef {import("./contract").Batch} Batch
 * @typedef {import("./contract").Hello} Hello
 * @typedef {import("./contract").Status} Status
 * @typedef {import("./contract").Dropped} Dropped
 * @typedef {import("./contract").Ack} Ack
 * @typedef {import("./contract").Event} AidashEvent
 * @typedef {import("./contract").Command} Command
 */

/**
 * Where the connection stands.
 *
 *   connecting  a connection is being made, or its hello is awaited
 *   live        events come
 *   waiting     the connection is gone; the next attempt is at `retryAt`
 *   closed      close() was called
 *
 * @typedef {object} State
 * @property {"connecting" | "live" | "waiting" | "closed"} phase
 * @property {number} attempt  which try to come back this is, or will be; 0 for the first connection
 * @property {number} retryAt  when the next attempt is made, as Date.now(); 0 unless waiting
 * @property {string} reason   why the last connection ended; "" at first
 */

/**
 * What a new connection, or a drop, left out.
 *
 * @typedef {object} Gap
 * @property {number} since       the last event that was had: GET /ticks?since=
 * @property {number} missed      how many were missed after it
 * @property {boolean} restarted  it is another run of the server: it counts from 1 again
 */

/**
 * @typedef {object} Options
 * @property {string | URL} [base]   the server's root; default: where this file came from
 * @property {string} [clientId]     1..64 of [A-Za-z0-9._~-]; default: a random one
 * @property {boolean} [batch]       ask for batches above 100 events/s; default true
 * @property {number} [silenceMs]    ask whether the server is there when nothing came for so long; default 25,000
 * @property {(ticks: Tick[], seq: number) => void} [onTicks]  ticks as they come; seq numbers the first
 * @property {(hello: Hello, gap: Gap | null) => void} [onHello]  connected; gap is null the first time
 * @property {(gap: Gap, total: number) => void} [onDropped]  this viewer was too slow; total: since it connected
 * @property {(status: Status) => void} [onStatus]  the model, the list or the pause changed
 * @property {(event: AidashEvent) => void} [onEvent]  every other event, such as request
 * @property {(state: State) => void} [onState]
 * @property {Partial<typeof SENTENCES>} [sentences]  what `reason` and a CommandError say, in another language
 * @property {typeof WebSocket} [WebSocket]  for tests
 */

const HELLO_MS = 10_000; // from the attempt to hello
const ANSWER_MS = 5_000; // to a command, to a ping
const PACES = 5; // ticks are missed after so many times their pace,
const PACE_LEAST_MS = 2_000; // but not sooner
const PACE_SHARE = 0.1; // of the newest gap between two ticks in their pace
const STEADY_MS = 5_000; // a connection that lasted so long resets the delay
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/** What `reason` and a CommandError say, where the server said nothing. */
const SENTENCES = {
  disconnected: "Not connected.",
  busy: "Too many commands await their answer.",
  timeout: "The server did not answer.",
  lost: "The connection was lost before the answer.",
  closed: "Closed by this page.",
  silent: "The server has gone silent.",
  stopped: "The server was stopped.",
  ended: "The server closed the connection.",
  endedBecause: "The server closed the connection: {reason}.",
  endedCode: "The server closed the connection ({code}).",
  tooLong: "A message was too long.",
  broke: "The connection broke off.",
  unreachable: "The server can't be reached.",
};
const STOPS = "the server stops"; // what its close frame says then
const COMMANDS_MAX = 64; // commands without an answer yet

/**
 * How long to wait before attempt n (1, 2, ...): between half and all of 1, 2,
 * 4 ... 30 s, so that a thousand pages don't come back in the same moment.
 *
 * @param {number} attempt
 * @param {() => number} [random]  0 to below 1
 * @returns {number} milliseconds
 */
export function retryDelay(attempt, random = Math.random) {
  const full = Math.min(RETRY_FIRST_MS * 2 ** (attempt - 1), RETRY_MAX_MS);
  return full * (1 - random() / 2);
}

/** Why a command was not carried out: `code` is one of the error event's, or disconnected, timeout, busy. */
export class CommandError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "CommandError";
    this.code = code;
  }
}

/** Counts shared events, so that what is missing is known. */
export class Sequence {
  /** Number of the next shared event; 0 before the first hello. */
  next = 0;
  /** The server's run: in another one it counts anew. */
  run = "";

  /**
   * @param {{started: number, next_seq: number, run?: string}} hello
   * @returns {Gap | null} null the first time
   */
  hello(hello) {
    const first = this.next === 0;
    const run = hello.run ?? String(hello.started); // the start time changes, too, when the board's clock is set
    const restarted = run !== this.run || hello.next_seq < this.next;
    const gap = { since: this.next - 1, missed: restarted ? 0 : hello.next_seq - this.next, restarted };
    this.run = run;
    this.next = hello.next_seq;
    return first ? null : gap;
  }

  /**
   * @param {Dropped} dropped
   * @returns {Gap}
   */
  dropped(dropped) {
    const gap = { since: this.next - 1, missed: Math.max(0, dropped.next_seq - this.next), restarted: false };
    this.next = dropped.next_seq;
    return gap;
  }

  /**
   * Take the numbers of `count` events, the first of which says `seq` or comes next.
   *
   * @param {number} count
   * @param {number} [seq]
   * @returns {number} the first one's number
   */
  take(count, seq = this.next) {
    this.next = seq + count;
    return seq;
  }
}

export class AidashClient {
  /** @type {State} */
  state = { phase: "connecting", attempt: 0, retryAt: 0, reason: "" };
  sequence = new Sequence();

  /** @type {Options} */ #options;
  /** @type {URL} */ #base;
  /** @type {URL} */ #url;
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer; // hello's, then silence's, or the retry's
  /** @type {Map<number, {resolve: (ack: Ack) => void, reject: (error: CommandError) => void, timer: ReturnType<typeof setTimeout>}>} */
  #commands = new Map();
  #lastId = 0;
  #liveSince = 0;
  #lastMessage = 0;
  #lastTick = 0;
  #heard = 0; // messages
  #pace = Infinity; // between messages with ticks, smoothed, ms; Infinity: it is not known
  #wake = () => this.#onWake();
  #say = SENTENCES;

  /** @param {Options} [options] */
  constructor(options = {}) {
    this.#options = options;
    this.#say = { ...SENTENCES, ...options.sentences };
    this.#base = new URL(options.base ?? ".", import.meta.url);
    const id = options.clientId ?? randomId();
    this.#url = new URL(`ws/${encodeURIComponent(id)}`, this.#base);
    this.#url.protocol = this.#base.protocol === "https:" ? "wss:" : "ws:";
    if (options.batch ?? true) {
      this.#url.search = "batch=1";
    }
    globalThis.addEventListener?.("online", this.#wake);
    globalThis.addEventListener?.("offline", this.#wake);
    globalThis.document?.addEventListener("visibilitychange", this.#wake);
    this.#connect();
  }

  /**
   * Send a command; it gets an id of its own.
   *
   * @param {Command} command
   * @returns {Promise<Ack>} rejected with a CommandError
   */
  send(command) {
    if (this.state.phase !== "live" || !this.#open) {
      return Promise.reject(new CommandError("disconnected", this.#say.disconnected));
    }
    if (this.#commands.size >= COMMANDS_MAX) {
      return Promise.reject(new CommandError("busy", this.#say.busy));
    }
    return this.#ask(command);
  }

  /** Not so while it closes: the page is told of the end a moment later. */
  get #open() {
    return this.#socket !== null && !(this.#socket.readyState > 1);
  }

  /**
   * @param {Command | {action: "ping"}} command
   * @returns {Promise<Ack>}
   */
  #ask(command) {
    const id = ++this.#lastId;
    if (this.#open) {
      this.#socket?.send(JSON.stringify({ ...command, id }));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#settle(id)?.reject(new CommandError("timeout", this.#say.timeout)), ANSWER_MS);
      this.#commands.set(id, { resolve, reject, timer });
    });
  }

  /** Connect now, without waiting for the countdown. */
  retry() {
    if (this.state.phase === "waiting") {
      this.#connect();
    }
  }

  /** Leave this connection for a new one, at once: with the cookie of a key, say. */
  reconnect() {
    if (this.state.phase !== "closed") {
      this.#leave(1000);
      this.#connect();
    }
  }

  /** Disconnect for good. */
  close() {
    globalThis.removeEventListener?.("online", this.#wake);
    globalThis.removeEventListener?.("offline", this.#wake);
    globalThis.document?.removeEventListener("visibilitychange", this.#wake);
    this.#leave(1000);
    this.#set({ phase: "closed", attempt: 0, retryAt: 0, reason: this.#say.closed });
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#set({ ...this.state, phase: "connecting", retryAt: 0 });
    const Socket = this.#options.WebSocket ?? WebSocket;
    const socket = new Socket(this.#url);
    this.#socket = socket;
    socket.onmessage = (message) => this.#onMessage(message.data);
    socket.onclose = (event) => this.#lost(closeReason(event, this.state.phase, this.#say));
    this.#timer = setTimeout(() => this.#lost(this.#say.timeout), HELLO_MS);
  }

  /**
   * The connection is gone, or given up: wait, then try again.
   *
   * @param {string} reason
   */
  #lost(reason) {
    const steady = this.state.phase === "live" && Date.now() - this.#liveSince >= STEADY_MS;
    const attempt = steady ? 1 : this.state.attempt + 1;
    const delay = retryDelay(attempt);
    this.#leave();
    this.#set({ phase: "waiting", attempt, retryAt: Date.now() + delay, reason });
    this.#timer = setTimeout(() => this.retry(), delay);
  }

  /**
   * Forget the socket and what hangs on it.
   *
   * @param {number} [code]
   */
  #leave(code) {
    clearTimeout(this.#timer);
    if (this.#socket) {
      this.#socket.onmessage = null;
      this.#socket.onclose = null;
      this.#socket.close(code);
      this.#socket = null;
    }
    for (const id of [...this.#commands.keys()]) {
      this.#settle(id)?.reject(new CommandError("disconnected", this.#say.lost));
    }
  }

  /** @param {unknown} data */
  #onMessage(data) {
    const event = parseEvent(data);
    this.#keepPace(event);
    if (!event) {
      return;
    }
    switch (event.event) {
      case "inference_tick":
        this.#options.onTicks?.([event], this.sequence.take(1));
        break;
      case "batch":
        this.#options.onTicks?.(event.ticks, this.sequence.take(event.ticks.length, event.seq));
        break;
      case "hello":
        this.#onHello(event);
        break;
      case "status":
        if ("dropped" in event) {
          this.#options.onDropped?.(this.sequence.dropped(event), event.dropped);
        } else {
          this.sequence.take(1, event.seq);
          this.#options.onStatus?.(event);
        }
        break;
      case "ack":
      case "error":
        this.#onAnswer(event);
        break;
      default: // an event that came after this file was written may have a number too
        if ("seq" in event) {
          this.sequence.take(1, event.seq);
        }
        this.#options.onEvent?.(event);
    }
  }

  /** @param {Hello} hello */
  #onHello(hello) {
    clearTimeout(this.#timer);
    this.#liveSince = Date.now();
    this.#forgetPace();
    this.#watchSilence();
    const gap = this.sequence.hello(hello);
    this.#set({ ...this.state, phase: "live", retryAt: 0, reason: "" });
    this.#options.onHello?.(hello, gap);
  }

  /** @param {Ack | import("./contract").Error} answer */
  #onAnswer(answer) {
    const command = typeof answer.id === "number" ? this.#settle(answer.id) : undefined;
    if (!command) {
      this.#options.onEvent?.(answer);
    } else if (answer.event === "ack") {
      command.resolve(answer);
    } else {
      command.reject(new CommandError(answer.code, answer.message));
    }
  }

  /** @param {number} id */
  #settle(id) {
    const command = this.#commands.get(id);
    clearTimeout(command?.timer);
    this.#commands.delete(id);
    return command;
  }

  /**
   * A message has come. While ticks keep their pace, they show that the connection
   * lives.
   *
   * @param {AidashEvent | null} event
   */
  #keepPace(event) {
    const now = Date.now();
    this.#lastMessage = now;
    this.#heard++;
    if (event?.event !== "inference_tick" && event?.event !== "batch") {
      return;
    }
    const gap = now - this.#lastTick;
    const first = this.#lastTick > 0 && this.#pace === Infinity;
    this.#lastTick = now;
    if (first) {
      this.#pace = gap;
      this.#watchSilence(); // from now on sooner
    } else if (this.#pace !== Infinity) {
      this.#pace += (gap - this.#pace) * PACE_SHARE;
    }
  }

  /** After so long a silence the server is asked. */
  get #patience() {
    const silenceMs = this.#options.silenceMs ?? 25_000;
    return Math.min(silenceMs, Math.max(PACE_LEAST_MS, PACES * this.#pace));
  }

  /**
   * A browser does not show the server's pings, and tells nothing of a connection
   * that has died in silence. So ask over this very connection.
   */
  #watchSilence() {
    clearTimeout(this.#timer);
    const left = this.#lastMessage + this.#patience - Date.now();
    this.#timer = setTimeout(() => {
      if (Date.now() - this.#lastMessage < this.#patience) {
        this.#watchSilence();
      } else {
        this.#probe();
      }
    }, Math.max(left, 0));
  }

  /** Whatever comes now is the answer; if nothing does, the connection is replaced. */
  #probe() {
    const heard = this.#heard;
    this.#forgetPace(); // if it is not the connection, the ticks have ended
    clearTimeout(this.#timer);
    this.#ask({ action: "ping" }).catch(() => {}); // servers without it answer with an error
    this.#timer = setTimeout(() => {
      if (this.#heard === heard) {
        this.#lost(this.#say.silent);
      } else {
        this.#watchSilence();
      }
    }, ANSWER_MS);
  }

  #forgetPace() {
    this.#pace = Infinity;
    this.#lastTick = 0;
  }

  /** The browser went on- or offline, or the page was hidden or shown. */
  #onWake() {
    if (globalThis.document?.hidden) {
      return;
    }
    if (this.state.phase === "live") {
      this.#probe();
    } else if (globalThis.navigator?.onLine !== false) {
      this.retry();
    }
  }

  /** @param {State} state */
  #set(state) {
    this.state = state;
    this.#options.onState?.(state);
  }
}

/**
 * @param {unknown} data
 * @returns {AidashEvent | null}
 */
function parseEvent(data) {
  try {
    const event = JSON.parse(String(data));
    return typeof event?.event === "string" ? event : null;
  } catch {
    return null;
  }
}

/**
 * @param {CloseEvent} event
 * @param {State["phase"]} phase
 * @param {typeof SENTENCES} say
 */
function closeReason({ code, reason }, phase, say) {
  switch (code) {
    case 1001: return reason === STOPS ? say.stopped : reason ? say.endedBecause.replace("{reason}", () => reason) : say.ended;
    case 1009: return say.tooLong;
    case 1006: return phase === "live" ? say.broke : say.unreachable;
    default: return reason || say.endedCode.replace("{code}", String(code));
  }
}

/** crypto.randomUUID is missing where a board is usually seen: on plain HTTP. */
function randomId() {
  const words = crypto.getRandomValues(new Uint32Array(2));
  return `page-${[...words].map((word) => word.toString(36)).join("")}`;
}
