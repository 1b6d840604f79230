// @ts-check
/** Which lanes the charts draw, each as which line. All charts and the legend agree on it. */

import { LINES } from "./decimate.js";
import { LANES_MAX } from "./feed.js";

/** @typedef {import("./feed.js").Lane} Lane */

export class Lines {
  /** The line of each lane; -1: not drawn. */
  lineOf = new Int8Array(LANES_MAX).fill(-1);
  /** @type {(Lane | null)[]} the lane of each line */
  lanes = Array(LINES).fill(null);
  /** @type {Set<string>} names of the lanes that the user has hidden */
  #hidden = new Set();

  /**
   * Give a line to each lane that has ticks after `from`; of too many lanes, to
   * the latest. A lane keeps its line, and with it its colour, while it is drawn.
   *
   * @param {Lane[]} lanes
   * @param {number} from  Unix seconds
   * @param {(lane: Lane) => boolean} [passes]  the filter
   */
  choose(lanes, from, passes = () => true) {
    const shown = lanes.filter((lane) => lane.time >= from && !this.hides(lane) && passes(lane)).sort((a, b) => b.time - a.time).slice(0, LINES);
    const before = this.lineOf.slice();
    this.lineOf.fill(-1);
    this.lanes.fill(null);
    const kept = shown.filter(({ index }) => before[index] >= 0);
    for (const lane of [...kept, ...shown.filter((one) => !kept.includes(one)).sort((a, b) => a.index - b.index)]) {
      const own = before[lane.index] >= 0 ? before[lane.index] : lane.index % LINES;
      const line = this.lanes[own] ? this.lanes.indexOf(null) : own;
      this.lanes[line] = lane;
      this.lineOf[lane.index] = line;
    }
  }

  /** How many lanes are drawn. */
  get count() {
    return this.lanes.reduce((sum, lane) => sum + Number(lane !== null), 0);
  }

  /** @param {Lane} lane */
  hides(lane) {
    return this.#hidden.has(laneName(lane));
  }

  /**
   * Hide a lane, or show it again.
   *
   * @param {string} name
   */
  toggle(name) {
    if (!this.#hidden.delete(name)) {
      this.#hidden.add(name);
    }
  }
}

/** @param {Lane} lane */
export function laneName(lane) {
  return lane.node ? `${lane.model} @ ${lane.node}` : lane.model;
}
