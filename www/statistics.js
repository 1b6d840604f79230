// @ts-check
/** What the ticks in the ring amount to: quantiles, medians and means. */

import { BEFORE, FIRST } from "./ring.js";

/** @typedef {import("./ring.js").Ring} Ring */
/** @typedef {((slot: number) => boolean) | null} Passes  which ticks count; null: all */

const SAMPLE = 1 << 15; // ticks sorted at the most
const WINDOW_S = 2; // that a rate is taken from
const scratch = new Float32Array(SAMPLE);
let column = new Float32Array(0); // of the size of the ring, once there is a filter

/**
 * Quantiles of the latency by the nearest-rank method: each is the value of a
 * real tick. First tokens do not count. Above 32,768 ticks it takes every n-th
 * one, which bounds the work.
 *
 * @param {Ring} ring
 * @param {number} from      index of the first tick
 * @param {number} to        index after the last tick
 * @param {number[]} wanted  0..1
 * @param {Passes} [passes]
 * @returns {number[]} NaN where there are no ticks
 */
export function quantiles(ring, from, to, wanted, passes = null) {
  const step = Math.max(1, Math.ceil((to - from) / SAMPLE));
  let count = 0;
  for (let i = from; i < to; i += step) {
    const k = i & ring.mask;
    if (!(ring.flags[k] & FIRST) && (!passes || passes(k))) {
      scratch[count++] = ring.latency[k];
    }
  }
  const sorted = scratch.subarray(0, count).sort();
  return wanted.map((q) => (count ? sorted[Math.max(0, Math.ceil(q * count) - 1)] : NaN));
}

/**
 * The mean latency of the ticks of a time.
 *
 * @param {Ring} ring
 * @param {number} from     Unix seconds
 * @param {number} to
 * @param {(slot: number) => boolean} passes
 * @returns {number} ms; NaN: there is none
 */
export function meanLatency(ring, from, to, passes) {
  let sum = 0;
  let n = 0;
  const end = ring.find(to);
  for (let i = ring.find(from); i < end; i++) {
    const k = i & ring.mask;
    if (!(ring.flags[k] & FIRST) && passes(k)) {
      sum += ring.latency[k];
      n++;
    }
  }
  return sum / n;
}

/**
 * The mean and the highest rate. The mean is what was made in a time, divided by
 * that time: time in which nothing ran counts.
 *
 * @param {Ring} ring
 * @param {number} from     Unix seconds
 * @param {number} to
 * @param {boolean} steps   count ticks, not tokens
 * @param {Passes} [passes]
 * @returns {{mean: number, peak: number}} NaN: nothing is known of this time
 */
export function rates(ring, from, to, steps, passes = null) {
  const start = Math.max(from, ring.time[ring.first & ring.mask]); // before, nothing is known
  if (ring.end === ring.first || to <= start) {
    return { mean: NaN, peak: NaN };
  }
  let sum = 0;
  let peak = 0;
  const end = ring.find(to);
  const total = passes ? sums(ring, ring.find(start), end, steps, passes) : ring.total;
  for (let i = ring.find(start); i < end; i++) {
    const k = i & ring.mask;
    if (i > ring.first && (!passes || passes(k))) { // what the first one counts was made before
      sum += steps ? 1 : ring.more[k];
    }
    peak = Math.max(peak, total[k]);
  }
  return { mean: Math.max(0, sum) / (to - start), peak };
}

/**
 * The rate at each tick of those that pass, as a column of the ring: what was made in the two seconds before it. The next call
 * writes over it.
 *
 * @param {Ring} ring
 * @param {number} from       index of the first tick
 * @param {number} to         index after the last tick
 * @param {boolean} steps     count ticks, not tokens
 * @param {Passes} passes
 * @param {boolean} [byLane]  each lane by itself; else all together
 */
export function sums(ring, from, to, steps, passes, byLane = false) {
  const { mask, time, more } = ring;
  if (column.length <= mask) {
    column = new Float32Array(mask + 1);
  }
  const inWindow = new Float64Array(256); // of each lane
  /** @type {number[]} the first ticks of lanes in the window */
  const firsts = [];
  let old = Math.max(ring.first + 1, ring.find(time[from & mask] - WINDOW_S)); // what the first one counts was made before
  for (let i = old; i < to; i++) {
    const k = i & mask;
    for (; time[old & mask] <= time[k] - WINDOW_S; old++) {
      add(old & mask, -1);
    }
    add(k, 1);
    column[k] = Math.max(0, inWindow[byLane ? ring.lane[k] : 0] + before(k)) / WINDOW_S;
  }
  return column;

  /**
   * What was made before the first ticks of lanes, as far as the window still reaches there.
   *
   * @param {number} k
   */
  function before(k) {
    let sum = 0;
    for (const first of firsts) {
      const left = 1 - (time[k] - time[first]) / WINDOW_S;
      if (left > 0 && (!byLane || ring.lane[first] === ring.lane[k])) {
        sum += more[first] * left;
      }
    }
    return sum;
  }

  /** @param {number} k @param {1 | -1} sign */
  function add(k, sign) {
    if (passes && !passes(k)) {
      return;
    }
    if (!steps && ring.flags[k] & BEFORE) {
      if (sign > 0) {
        firsts.push(k);
      } else {
        firsts.shift();
      }
    } else {
      inWindow[byLane ? ring.lane[k] : 0] += sign * (steps ? 1 : more[k]);
    }
  }
}
