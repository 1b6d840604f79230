// @ts-check
/** Which part of the time the charts show. */

import { isPast } from "./past.js";

const HOUR_S = 3600;
const KEPT_S = 14 * 24 * HOUR_S; // by a server
const ZOOM_MIN_S = 0.05;
const SPAN_MIN_S = 10; // the least that "all" shows

export class View {
  #store;
  #settings;
  #feed;
  #node;

  /** @param {Pick<import("./app.js").Context, "store" | "settings" | "session">} context */
  constructor({ store, settings, session }) {
    this.#store = store;
    this.#settings = settings;
    this.#feed = session.feed;
    this.#node = session.node;
    store.set({ span: settings.span });
  }

  /** @param {number} span  seconds; Infinity: all */
  setSpan(span) {
    this.#settings.save({ span });
    this.#store.set({ span, zoom: null });
  }

  /** Stop the charts, or let them run again. */
  toggleFreeze() {
    this.#store.set({ frozenAt: this.#store.state.frozenAt ? 0 : this.#edge(Date.now() / 1000), zoom: null });
  }

  /** Show the present, and let the charts run. */
  goLive() {
    this.#store.set({ frozenAt: 0, zoom: null });
  }

  /**
   * Show only this part.
   *
   * @param {number} from  Unix seconds
   * @param {number} to
   */
  zoomTo(from, to) {
    const middle = (from + to) / 2;
    const half = Math.max(to - from, ZOOM_MIN_S) / 2;
    this.#store.set({ zoom: [middle - half, middle + half] });
  }

  /**
   * Show what is beside it: a quarter of it earlier, or later; up to the present, where it runs on.
   *
   * @param {1 | -1} way
   */
  move(way) {
    const now = Date.now() / 1000;
    const [from, to] = this.range(now);
    const step = (way * (to - from)) / 4;
    if (to + step < now) {
      this.zoomTo(from + step, to + step);
    } else {
      this.goLive();
    }
  }

  /**
   * Show a part of it, or more: the middle stays, of what runs the end.
   *
   * @param {number} factor
   */
  scale(factor) {
    const now = Date.now() / 1000;
    const [from, to] = this.range(now);
    const width = (to - from) * factor;
    const end = Math.min(this.#store.state.zoom ? (from + to + width) / 2 : to, now);
    this.zoomTo(end - width, end);
  }

  /** Show the whole span again. */
  resetZoom() {
    this.#store.set({ zoom: null });
  }

  /** True while the charts move by themselves. */
  get moving() {
    const { connection, paused, frozenAt, zoom, sourceState, hello } = this.#store.state;
    const stopped = sourceState === "ended" || (paused && hello?.source !== "meter"); // the meter's running requests go on
    return !zoom && !frozenAt && !stopped && connection.phase === "live";
  }

  /**
   * Seconds back from now that the charts take from the server's history; 0: they show this page's own ticks. It is so in
   * the long windows, and where a link leads to a time that is, for the most part, before these ticks.
   *
   * @param {number} [now]  Unix seconds
   */
  past(now = Date.now() / 1000) {
    const { span, zoom, filled, status } = this.#store.state;
    const { ring } = this.#feed;
    if (isPast(span)) {
      return span;
    }
    const first = ring.end > ring.first ? ring.time[ring.first & ring.mask] : now;
    return zoom && filled && status?.history && !this.#node && (zoom[0] + zoom[1]) / 2 < first ? Math.min(Math.ceil((now - zoom[0]) / HOUR_S) * HOUR_S, KEPT_S) : 0;
  }

  /**
   * What the charts show.
   *
   * @param {number} now  Unix seconds
   * @returns {[from: number, to: number]}
   */
  range(now) {
    const { zoom, span } = this.#store.state;
    if (zoom) {
      return zoom;
    }
    const { ring } = this.#feed;
    const to = this.#edge(now);
    const all = Math.max(to - ring.time[ring.first & ring.mask], SPAN_MIN_S);
    return [to - (span === Infinity ? (ring.end ? all : 60) : span), to];
  }

  /**
   * The right edge. When no more ticks can come, it stays at the last one, so
   * that the past does not scroll away.
   *
   * @param {number} now
   */
  #edge(now) {
    const { frozenAt, span } = this.#store.state;
    const room = Math.min(span, 300) * 0.06; // for the mark of what ended it
    return frozenAt || (this.moving || isPast(span) || !this.#feed.ring.end ? now : Math.min(now, this.#feed.lastTime + room));
  }
}
