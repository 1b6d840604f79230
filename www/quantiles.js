// @ts-check
/** Quantiles of the ticks in the ring. */

/** @typedef {import("./ring.js").Ring} Ring */

const SAMPLE = 1 << 15; // ticks sorted at the most
const scratch = new Float32Array(SAMPLE);

/**
 * Quantiles by the nearest-rank method: each is the value of a real tick. Above
 * 32,768 ticks it takes every n-th one, which bounds the work.
 *
 * @param {Ring} ring
 * @param {Float32Array} values  one of the ring's columns
 * @param {number} from          index of the first tick
 * @param {number} to            index after the last tick
 * @param {number[]} wanted      0..1
 * @returns {number[]} NaN where there are no ticks
 */
export function quantiles(ring, values, from, to, wanted) {
  const step = Math.max(1, Math.ceil((to - from) / SAMPLE));
  let count = 0;
  for (let i = from; i < to; i += step) {
    scratch[count++] = values[i & ring.mask];
  }
  const sorted = scratch.subarray(0, count).sort();
  return wanted.map((q) => (count ? sorted[Math.max(0, Math.ceil(q * count) - 1)] : NaN));
}
