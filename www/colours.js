// @ts-check
/** The colours of what is drawn in canvases. The style sheet defines them. */

import { LINES } from "./decimate.js";

const names = /** @type {const} */ (["text", "muted", "grid", "card", "bad", "accent", "shade"]);

export class Colours {
  text = "";
  muted = "";
  grid = "";
  card = "";
  bad = "";
  accent = "";
  shade = "";
  /** @type {string[]} of each line, #rrggbb */ lanes = [];

  constructor() {
    this.read();
  }

  /** Read them again: the theme has changed. */
  read() {
    const style = getComputedStyle(document.documentElement);
    for (const name of names) {
      this[name] = style.getPropertyValue(`--${name}`).trim();
    }
    this.lanes = Array.from({ length: LINES }, (_, i) => style.getPropertyValue(`--lane-${i}`).trim());
  }

  /** @param {number} line */
  lane(line) {
    return this.lanes[line] ?? this.muted;
  }
}
