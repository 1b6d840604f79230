// @ts-check
/**
 * The one place that draws. However many messages arrive, everything is drawn
 * at most once per animation frame, and nothing while the page is hidden.
 */

/** @typedef {(now: number) => number} Draw  now: Unix seconds */

export class Frame {
  /** @type {Draw[]} */ #draws = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #queued = false;

  constructor() {
    document.addEventListener("visibilitychange", () => this.request());
  }

  /**
   * Add a panel's part of each frame. It returns after how many milliseconds it
   * wants to be drawn again (Infinity: only after a change).
   *
   * @param {Draw} draw
   */
  add(draw) {
    this.#draws.push(draw);
    this.request();
  }

  /** Something has changed: draw in the next animation frame. */
  request() {
    if (!this.#queued && !document.hidden) {
      this.#queued = true;
      requestAnimationFrame(() => this.#drawAll());
    }
  }

  #drawAll() {
    this.#queued = false;
    clearTimeout(this.#timer);
    const now = Date.now() / 1000;
    let wait = Infinity;
    for (const draw of this.#draws) {
      wait = Math.min(wait, draw(now));
    }
    if (wait !== Infinity) {
      this.#timer = setTimeout(() => this.request(), wait);
    }
  }
}
