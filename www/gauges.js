// @ts-check
/** Named values, such as temperatures: the latest of each, and its history in fixed memory. */

import { short } from "./format.js";

/** So many gauges have a chart; all of them have a tile. */
export const GAUGE_CHARTS = 6;
const GAUGES_MAX = 64;
const KEPT = 4096; // values of a gauge
const SILENCE_S = 30; // a line does not cross a longer one

/** @typedef {import("./contract").Gauge} Event */

/** One gauge. */
export class Gauge {
  unit = "";
  value = NaN;
  count = 0;
  time = new Float64Array(KEPT); // a ring, browser's clock, Unix seconds, never decreasing
  values = new Float64Array(KEPT);

  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }

  /**
   * @param {number} at
   * @param {number} value
   */
  add(at, value) {
    const last = this.count ? this.time[(this.count - 1) % KEPT] : 0;
    if (at === last && value === this.value) {
      return; // fetched, and also told by an event
    }
    this.value = value;
    this.time[this.count % KEPT] = Math.max(at, last);
    this.values[this.count++ % KEPT] = value;
  }

  /**
   * What a chart draws of it.
   *
   * @param {number} from  Unix seconds
   * @param {number} to
   * @param {import("./decimate.js").Rows} rows
   */
  rows(from, to, rows) {
    rows.clear();
    let before = 0;
    for (let i = Math.max(0, this.count - KEPT); i < this.count; i++) {
      const time = this.time[i % KEPT];
      const next = i + 1 < this.count ? this.time[(i + 1) % KEPT] : Infinity;
      if (next >= from) { // one more on each side, so that the line reaches the edges
        rows.add(time, 0, this.values[i % KEPT], before > 0 && time - before > SILENCE_S);
      }
      if (time > to) {
        break;
      }
      before = time;
    }
  }
}

export class Gauges {
  /** @type {Gauge[]} in the order in which they came */
  list = [];
  /** Changes with every value. */
  version = 0;

  /**
   * @param {Event} event
   * @param {number} at  browser's clock, Unix seconds
   */
  add({ gauge: name, unit, value }, at) {
    let gauge = this.list.find((one) => one.name === name);
    if (!gauge) {
      if (this.list.length === GAUGES_MAX) {
        return;
      }
      this.list.push(gauge = new Gauge(name));
    }
    gauge.unit = unit;
    gauge.add(at, value);
    this.version++;
  }
}

/** @param {number} value */
export function valueText(value) {
  return Number.isInteger(value) && Math.abs(value) < 1e5 ? String(value) : short(value);
}
