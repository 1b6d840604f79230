// @ts-check
/**
 * The page's memory of ticks: columns of typed arrays that never grow. A tick
 * is known by its index, which counts on for ever; those from `first` to below
 * `end` are still there, at `index & mask` in each column.
 *
 * What of many ticks is drawn. A chart has a thousand columns of pixels, the
 * ring half a million ticks: of each line and column only the lowest and the
 * highest tick are kept, in their order. So no peak is ever lost, every point
 * that is drawn is a tick that was, and few ticks are drawn as they are.
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
    this.total = new Float32Array(capacity); // the same of all lanes that ran then
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
   * @param {number} total
   * @param {number} tokens
   * @param {number} seq
   * @param {number} lane
   * @param {number} flags
   */
  push(time, stamp, latency, rate, total, tokens, seq, lane, flags) {
    const k = this.end & this.mask;
    this.time[k] = time;
    this.stamp[k] = stamp;
    this.latency[k] = latency;
    this.rate[k] = rate;
    this.total[k] = total;
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

/** Lines in a chart at once. */
export const LINES = 8;

/**
 * Rows for uPlot, reused from draw to draw: x ascending; in each line a value,
 * null (the line is broken here) or undefined (another line's row).
 */
export class Rows {
  /** @type {number[]} */ x = [];
  /** @type {(number | null | undefined)[][]} */ y = Array.from({ length: LINES }, () => []);
  /** @type {number[]} */ #last = Array(LINES).fill(-1); // each line's latest row

  clear() {
    this.x.length = 0;
    for (const line of this.y) {
      line.length = 0;
    }
    this.#last.fill(-1);
  }

  /**
   * @param {number} x
   * @param {number} line
   * @param {number} value
   * @param {boolean} broken  not joined to the line's latest value
   */
  add(x, line, value, broken) {
    const last = this.#last[line];
    if (broken && last >= 0) {
      if (last + 1 === this.x.length) {
        this.#row(x);
      }
      this.y[line].fill(null, last + 1);
    }
    this.#row(x);
    this.#last[line] = this.x.length - 1;
    this.y[line][this.#last[line]] = value;
  }

  /** @param {number} x */
  #row(x) {
    this.x.push(x);
    for (const line of this.y) {
      line.push(undefined);
    }
  }
}

// What one column has of each line: indices in the ring, or -1.
const lowest = new Float64Array(LINES);
const highest = new Float64Array(LINES);
const broken = new Uint8Array(LINES);
const points = new Float64Array(2 * LINES);

/**
 * @param {Ring} ring
 * @param {Float32Array} values  one of the ring's columns
 * @param {number} from          index of the first tick
 * @param {number} to            index after the last tick
 * @param {number} width         of a column, seconds
 * @param {Int8Array} lineOf     the line of each lane, or -1: not drawn
 * @param {Rows} rows            the result
 */
export function decimate(ring, values, from, to, width, lineOf, rows) {
  const { mask, time, lane, flags } = ring;
  rows.clear();
  lowest.fill(-1);
  let column = NaN;
  for (let i = from; i < to; i++) {
    const k = i & mask;
    const line = lineOf[lane[k]];
    if (line < 0) {
      continue;
    }
    // Columns lie on multiples of their width, so that a picture that moves does not shimmer.
    const its = Math.floor(time[k] / width);
    if (its !== column) {
      column = its;
      flush(ring, values, lineOf, rows);
    }
    const breaks = flags[k] & BREAK;
    if (lowest[line] < 0) {
      lowest[line] = highest[line] = i;
      broken[line] = breaks;
    } else {
      broken[line] |= breaks;
      if (values[k] < values[lowest[line] & mask]) {
        lowest[line] = i;
      } else if (values[k] > values[highest[line] & mask]) {
        highest[line] = i;
      }
    }
  }
  flush(ring, values, lineOf, rows);
}

/**
 * One column is complete: make rows of it.
 *
 * @param {Ring} ring
 * @param {Float32Array} values
 * @param {Int8Array} lineOf
 * @param {Rows} rows
 */
function flush(ring, values, lineOf, rows) {
  let count = 0;
  for (let line = 0; line < LINES; line++) {
    if (lowest[line] < 0) {
      continue;
    }
    points[count++] = lowest[line];
    if (highest[line] !== lowest[line]) {
      points[count++] = highest[line];
    }
    lowest[line] = -1;
  }
  if (count > 1) {
    points.subarray(0, count).sort();
  }
  for (let i = 0; i < count; i++) {
    const k = points[i] & ring.mask;
    const line = lineOf[ring.lane[k]];
    rows.add(ring.time[k], line, values[k], broken[line] !== 0);
    broken[line] = 0;
  }
}

const SAMPLE = 1 << 15;
const scratch = new Float32Array(SAMPLE);

/**
 * Quantiles of the ticks from..to, each a value that was (nearest rank). Of
 * more than 32,768 ticks every n-th is taken, to bound the work.
 *
 * @param {Ring} ring
 * @param {Float32Array} values
 * @param {number} from
 * @param {number} to
 * @param {number[]} wanted  0..1
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
