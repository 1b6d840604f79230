// @ts-check
/** The colours that are drawn, read from the style sheet, so that they are written in one place. */

import { LINES } from "./decimate.js";

const names = ["text", "muted", "grid", "card", "bad", "warn", "shade"];

/** @type {Record<string, string>} */
export const colours = {};
/** @type {string[]} by lane */
const lanes = [];

/** Read them again: the theme has changed. */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of names) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  for (let i = 0; i < LINES; i++) {
    lanes[i] = style.getPropertyValue(`--lane-${i}`).trim();
  }
}

/** @param {number} index of a lane */
export function laneColour(index) {
  return lanes[index % LINES];
}
