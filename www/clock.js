// @ts-check
/**
 * The board's clock compared with the browser's. A small board often has no
 * battery-backed clock: its time may be hours off at first, and jump when the
 * network sets it. Charts therefore use the browser's time.
 */

const SAMPLES = 8;

export class Clock {
  /** Server minus browser, seconds. */
  skew = 0;
  /** The greatest error of skew, seconds: half the round trip of its sample. */
  error = Infinity;
  /** The server's clock was set: a sample is wanted soon. */
  wanted = false;
  /** @type {{skew: number, error: number}[]} the latest samples, oldest first */
  #samples = [];

  /**
   * Add a sample of the server's clock. Of the latest samples, the one with the
   * shortest round trip counts. A sample that contradicts it shows that a clock
   * was set: the samples before are discarded.
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
    this.wanted = false;
  }

  /**
   * The server's clock was set: its time went back, and this is what it shows now.
   * Until the next sample, that is the best guess.
   *
   * @param {number} server   its clock, Unix seconds
   * @param {number} browser  the browser's clock then
   */
  stepped(server, browser) {
    this.#samples = [];
    this.skew = server - browser;
    this.error = Infinity;
    this.wanted = true;
  }

  /** @param {number} server Unix seconds by the server's clock */
  toBrowser(server) {
    return server - this.skew;
  }
}
