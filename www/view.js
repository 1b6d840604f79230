// @ts-check
/** Which time the charts show. */

import { feed } from "./session.js";
import { saveSettings, settings } from "./settings.js";
import { store } from "./store.js";

const ZOOM_MIN_S = 0.05;
const SPAN_MIN_S = 10; // of "all", while there is little

store.set({ span: settings.span });

/** @param {number} span  seconds; Infinity: all there is */
export function setSpan(span) {
  saveSettings({ span });
  store.set({ span, zoom: null });
}

/** Stand still, or go on. */
export function toggleFreeze() {
  store.set({ frozenAt: store.state.frozenAt ? 0 : edge(Date.now() / 1000), zoom: null });
}

/**
 * Show only this.
 *
 * @param {number} from
 * @param {number} to
 */
export function zoomTo(from, to) {
  const middle = (from + to) / 2;
  const half = Math.max(to - from, ZOOM_MIN_S) / 2;
  store.set({ zoom: [middle - half, middle + half] });
}

/** Show the usual time again. */
export function resetZoom() {
  store.set({ zoom: null });
}

/** True while the picture moves by itself. */
export function moving() {
  const { connection, paused, frozenAt, zoom, sourceState, hello } = store.state;
  const stopped = sourceState === "ended" || (paused && hello?.source !== "meter"); // the meter's running requests go on
  return !zoom && !frozenAt && !stopped && connection.phase === "live";
}

/**
 * @param {number} now  Unix seconds
 * @returns {[from: number, to: number]}
 */
export function range(now) {
  const { zoom, span } = store.state;
  if (zoom) {
    return zoom;
  }
  const to = edge(now);
  const all = Math.max(to - feed.ring.time[feed.ring.first & feed.ring.mask], SPAN_MIN_S);
  return [to - (span === Infinity ? (feed.ring.end ? all : 60) : span), to];
}

/**
 * The right edge. Without a source that could go on, it stays at the last
 * tick, so that what was is not pushed out by nothing.
 *
 * @param {number} now
 */
function edge(now) {
  const { frozenAt, span } = store.state;
  const room = Math.min(span, 300) * 0.06; // for what ended it to be marked
  return frozenAt || (moving() || !feed.ring.end ? now : Math.min(now, feed.lastTime + room));
}
