// @ts-check
/**
 * The page's memory of ticks: columns of typed arrays that never grow. Each
 * tick has an index, which only counts up. The ticks from `first` up to, but
 * without, `end` are kept, at `index & mask` in each column.
 */

/** Time is missing before this tick: no line joins it to the one before. */
export const BREAK = 1;
/** The token count is an estimate. */
export const ESTIMATED = 2;
/** Its latency is no time between tokens: the tick says `first`. */
export const FIRST = 4;
/** With BREAK: nothing ran in the missing time, so the rate was 0. */
export const SILENT = 8;
/** The tokens that it adds were made in the window of its rate before it: it is a lane's first. */
export const BEFORE = 16;

export class Ring {
  /** @param {number} capacity  a power of two */
  constructor(capacity) {
    this.mask = capacity - 1;
    this.end = 0;
    this.floor = 0; // ticks below it are lost
    this.rewinds = 0; // how often ticks were taken back
    this.time = new Float64Array(capacity); // browser's clock, Unix seconds, never decreasing
    this.stamp = new Float64Array(capacity); // the timestamp that the tick carries
    this.latency = new Float32Array(capacity); // ms
    this.rate = new Float32Array(capacity); // tokens/s, or steps/s where there are no tokens
    this.total = new Float32Array(capacity); // the rate of all lanes that ran at that time
    this.tokens = new Float64Array(capacity); // cumulative
    this.more = new Float32Array(capacity); // tokens since the lane's tick before (see BEFORE); negative: an estimate is corrected
    this.seq = new Float64Array(capacity); // the event's number; 0: unknown
    this.lane = new Uint8Array(capacity); // which model on which node
    this.flags = new Uint8Array(capacity);
    this.request = new Uint32Array(capacity); // the id of the request that it is of; 0: none
  }

  get first() {
    return Math.max(this.floor, this.end - this.mask - 1);
  }

  /**
   * Discard the ticks from `index` on. The ticks that they overwrote stay lost.
   *
   * @param {number} index  first..end
   */
  rewind(index) {
    this.floor = this.first;
    this.end = index;
    this.rewinds++;
  }

  /**
   * @param {number} time
   * @param {number} stamp
   * @param {number} latency
   * @param {number} rate
   * @param {number} total
   * @param {number} tokens
   * @param {number} more
   * @param {number} seq
   * @param {number} lane
   * @param {number} flags
   * @param {number} [request]
   */
  push(time, stamp, latency, rate, total, tokens, more, seq, lane, flags, request = 0) {
    const k = this.end & this.mask;
    this.time[k] = time;
    this.stamp[k] = stamp;
    this.latency[k] = latency;
    this.rate[k] = rate;
    this.total[k] = total;
    this.tokens[k] = tokens;
    this.more[k] = more;
    this.seq[k] = seq;
    this.lane[k] = lane;
    this.flags[k] = flags;
    this.request[k] = request;
    this.end++;
  }

  /**
   * The index of the first tick at or after `time`.
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
