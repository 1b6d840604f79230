// @ts-check
/**
 * The page's memory of ticks: columns of typed arrays that never grow. A tick
 * is known by its index, which counts on for ever; those from `first` to below
 * `end` are still there, at `index & mask` in each column.
 */

/** The line must not be drawn from the tick before to this one: time is missing between them. */
export const BREAK = 1;
/** The token count is an estimate. */
export const ESTIMATED = 2;

export class Ring {
  /** @param {number} capacity  a power of two */
  constructor(capacity) {
    this.mask = capacity - 1;
    this.end = 0;
    this.floor = 0; // nothing below it is left
    this.time = new Float64Array(capacity); // browser's clock, Unix seconds, never decreasing
    this.stamp = new Float64Array(capacity); // the tick's own timestamp, as it came
    this.latency = new Float32Array(capacity); // ms
    this.rate = new Float32Array(capacity); // tokens/s, or steps/s where there are no tokens
    this.tokens = new Float64Array(capacity); // cumulative
    this.seq = new Float64Array(capacity); // the event's number; 0 when it is not known
    this.lane = new Uint8Array(capacity); // which model on which node
    this.flags = new Uint8Array(capacity);
  }

  get first() {
    return Math.max(this.floor, this.end - this.mask - 1);
  }

  /**
   * Forget the ticks from `index` on. What they had overwritten stays lost.
   *
   * @param {number} index  first..end
   */
  rewind(index) {
    this.floor = this.first;
    this.end = index;
  }

  /**
   * @param {number} time
   * @param {number} stamp
   * @param {number} latency
   * @param {number} rate
   * @param {number} tokens
   * @param {number} seq
   * @param {number} lane
   * @param {number} flags
   */
  push(time, stamp, latency, rate, tokens, seq, lane, flags) {
    const k = this.end & this.mask;
    this.time[k] = time;
    this.stamp[k] = stamp;
    this.latency[k] = latency;
    this.rate[k] = rate;
    this.tokens[k] = tokens;
    this.seq[k] = seq;
    this.lane[k] = lane;
    this.flags[k] = flags;
    this.end++;
  }

  /**
   * The first index whose time is not below `time`.
   *
   * @param {number} time
   * @returns {number} first..end
   */
  find(time) {
    let low = this.first;
    let high = this.end;
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2);
      if (this.time[middle & this.mask] < time) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
