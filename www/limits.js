// @ts-check
/** A card is marked while its number is beyond the limit that was set for it. */

import { byId, setAttr } from "./dom.js";
import { milliseconds, short } from "./format.js";
import { settings } from "./settings.js";

const STEADY_S = 2; // beyond for so long before anybody is called
const QUIET_S = 60; // and not again before that

/** @type {Record<"latency" | "rate", {since: number, told: number}>} */
const beyond = { latency: { since: 0, told: 0 }, rate: { since: 0, told: 0 } };

/**
 * @param {import("./feed.js").Now | null} present  null: nothing runs
 * @param {number} now
 */
export function checkLimits(present, now) {
  const { limitLatency, limitRate } = settings;
  check("latency", present !== null && limitLatency !== null && present.latency > limitLatency, now,
    () => `Latency ${milliseconds(present?.latency ?? 0).join(" ")}, above ${limitLatency} ms`);
  check("rate", present !== null && limitRate !== null && present.rate < limitRate, now,
    () => `${short(present?.rate ?? 0)} a second, below ${limitRate}`);
}

/**
 * @param {"latency" | "rate"} name
 * @param {boolean} is
 * @param {number} now
 * @param {() => string} text
 */
function check(name, is, now, text) {
  const state = beyond[name];
  state.since = is ? state.since || now : 0;
  setAttr(byId(`card-${name}`, HTMLElement), "data-alarm", is ? "" : null);
  byId(`${name}-alarm`, HTMLElement).hidden = !is;
  if (is && settings.notify && now - state.since >= STEADY_S && now - state.told >= QUIET_S && canNotify()) {
    state.told = now;
    new Notification("aidash", { body: text(), tag: name });
  }
}

/** Browsers notify only for secure pages, and only if they may. */
export function canNotify() {
  return "Notification" in window && isSecureContext && Notification.permission === "granted";
}
