// @ts-check
/**
 * The board's clock against the browser's. A small board often has no clock of
 * its own: it may be hours off at first, and jump once the network tells it
 * the time. Charts therefore use the browser's time.
 */

const SAMPLES = 8;

export class Clock {
  /** Server minus browser, seconds. */
  skew = 0;
  /** Half the round trip of the sample that skew is from, seconds: its error at the most. */
  error = Infinity;
  /** @type {{skew: number, error: number}[]} the latest samples, oldest first */
  #samples = [];

  /**
   * The server's answer to "what time is it". Of the latest samples the one
   * with the shortest round trip counts. One that contradicts it shows that a
   * clock was set: what was measured before is void.
   *
   * @param {number} server    its clock, Unix seconds
   * @param {number} sent      the browser's clock when asked, Unix seconds
   * @param {number} received  and when the answer came
   */
  sample(server, sent, received) {
    const sample = { skew: server - (sent + received) / 2, error: Math.max(0, received - sent) / 2 };
    if (Math.abs(sample.skew - this.skew) > sample.error + this.error) {
      this.#samples = [];
    }
    this.#samples = [...this.#samples, sample].slice(-SAMPLES);
    const best = this.#samples.reduce((a, b) => (b.error <= a.error ? b : a));
    this.skew = best.skew;
    this.error = best.error;
  }

  /** @param {number} server Unix seconds by the server's clock */
  toBrowser(server) {
    return server - this.skew;
  }
}
