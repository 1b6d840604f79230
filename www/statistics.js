// @ts-check
/** What the ticks in the ring amount to: quantiles, medians and means. */

import { FIRST } from "./ring.js";

/** @typedef {import("./ring.js").Ring} Ring */

const SAMPLE = 1 << 15; // ticks sorted at the most
const scratch = new Float32Array(SAMPLE);

/**
 * Quantiles of the latency by the nearest-rank method: each is the value of a
 * real tick. First tokens do not count. Above 32,768 ticks it takes every n-th
 * one, which bounds the work.
 *
 * @param {Ring} ring
 * @param {number} from      index of the first tick
 * @param {number} to        index after the last tick
 * @param {number[]} wanted  0..1
 * @param {number} [lane]    only of this lane
 * @returns {number[]} NaN where there are no ticks
 */
export function quantiles(ring, from, to, wanted, lane = -1) {
  const step = Math.max(1, Math.ceil((to - from) / SAMPLE));
  let count = 0;
  for (let i = from; i < to; i += step) {
    const k = i & ring.mask;
    if (!(ring.flags[k] & FIRST) && (lane < 0 || ring.lane[k] === lane)) {
      scratch[count++] = ring.latency[k];
    }
  }
  const sorted = scratch.subarray(0, count).sort();
  return wanted.map((q) => (count ? sorted[Math.max(0, Math.ceil(q * count) - 1)] : NaN));
}

/**
 * The mean and the highest rate. The mean is what was made in a time, divided by
 * that time: time in which nothing ran counts.
 *
 * @param {Ring} ring
 * @param {number} from     Unix seconds
 * @param {number} to
 * @param {boolean} steps   count ticks, not tokens
 * @returns {{mean: number, peak: number}} NaN: nothing is known of this time
 */
export function rates(ring, from, to, steps) {
  const start = Math.max(from, ring.time[ring.first & ring.mask]); // before, nothing is known
  if (ring.end === ring.first || to <= start) {
    return { mean: NaN, peak: NaN };
  }
  let sum = 0;
  let peak = 0;
  const end = ring.find(to);
  for (let i = ring.find(start); i < end; i++) {
    const k = i & ring.mask;
    if (i > ring.first) { // what the first one counts was made before
      sum += steps ? 1 : ring.more[k];
    }
    peak = Math.max(peak, ring.total[k]);
  }
  return { mean: Math.max(0, sum) / (to - start), peak };
}
