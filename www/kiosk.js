// @ts-check
/** A page on a wall (?kiosk=1): nothing to press (see style.css), and the screen stays on where the browser allows that. */

import { notice } from "./dom.js";
import * as texts from "./texts.js";

const ROTATE_MIN_S = 3;
const ROTATE_MAX_S = 86400; // setInterval() takes 31 bits of milliseconds: a longer time would be none

/** @returns {boolean} */
export function isKiosk() {
  return document.documentElement.hasAttribute("data-kiosk");
}

/** Keep the screen on. Browsers allow it only on HTTPS pages, and forget it when the page is hidden. */
export function mountKiosk() {
  if (!isKiosk()) {
    return;
  }
  const keep = () => {
    if (!document.hidden) {
      navigator.wakeLock?.request("screen").catch(() => {}); // as with a low battery: not now
    }
  };
  document.addEventListener("visibilitychange", keep);
  keep();
  const seconds = rotation(location.search);
  if (seconds > 0) {
    rotate(seconds);
  }
}

/**
 * How long each part is shown, seconds; 0: nothing moves.
 *
 * @param {string} search  of the address
 */
export function rotation(search) {
  const seconds = Number(new URLSearchParams(search).get("rotate"));
  return seconds > 0 ? Math.min(Math.max(seconds, ROTATE_MIN_S), ROTATE_MAX_S) : 0;
}

/**
 * Of a page that is longer than the screen, show the next part every so many seconds, until somebody touches it.
 *
 * @param {number} seconds
 */
function rotate(seconds) {
  const timer = setInterval(() => {
    const { scrollHeight } = document.documentElement;
    scrollTo(0, scrollY + innerHeight >= scrollHeight - 1 ? 0 : nextTop());
  }, seconds * 1000);
  const stop = () => {
    clearInterval(timer);
    kinds.forEach((kind) => removeEventListener(kind, stop));
    notice(texts.stoppedRotating);
  };
  const kinds = ["pointerdown", "keydown", "wheel"];
  kinds.forEach((kind) => addEventListener(kind, stop, { passive: true }));
}

/** The top of the first part that is not seen whole, or of the rest of one that is higher than the screen. */
function nextTop() {
  const next = [...document.querySelectorAll("main > *")].map((part) => part.getBoundingClientRect()).find(({ bottom }) => bottom > innerHeight + 1);
  return scrollY + (next && next.top > 1 ? next.top : innerHeight);
}
