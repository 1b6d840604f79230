// @ts-check
/**
 * The one place that draws. However many messages arrive, what they change is
 * drawn at the next beat, all of it in one animation frame: a frame costs more
 * than most of what is drawn in it. Nothing is drawn while the page is hidden.
 */

/** Between two beats. They are at multiples of it, and panels draw at multiples of their pace, so that they share frames. */
export const BEAT_MS = 125;
const DATA_BEATS = 2; // data alone ask for a frame so often
const EARLY_S = 0.02; // a frame may be so early, by the clock

/** @typedef {(now: number) => number} Draw  now: Unix seconds */

export class Frame {
  /** @type {Draw[]} */ #draws = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #queued = false;
  #due = Infinity; // when the timer fires, as Date.now()

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

  /** Data came: draw at the next beat for them. */
  soon() {
    this.#wait(untilNext((DATA_BEATS * BEAT_MS) / 1000, Date.now() / 1000));
  }

  /** Somebody did something: draw in the next animation frame. */
  request() {
    if (!this.#queued && !document.hidden) {
      this.#queued = true;
      requestAnimationFrame(() => this.#drawAll());
    }
  }

  #drawAll() {
    this.#queued = false;
    clearTimeout(this.#timer);
    this.#due = Infinity;
    const now = Date.now() / 1000;
    let wait = Infinity;
    for (const draw of this.#draws) {
      wait = Math.min(wait, draw(now));
    }
    if (wait !== Infinity) {
      this.#wait(wait);
    }
  }

  /**
   * Draw at the beat that is nearest to that time, but not at one that has passed.
   *
   * @param {number} ms  from now
   */
  #wait(ms) {
    const now = Date.now();
    const at = BEAT_MS * Math.max(Math.floor(now / BEAT_MS) + 1, Math.round((now + ms) / BEAT_MS));
    if (!this.#queued && !document.hidden && at < this.#due) {
      clearTimeout(this.#timer);
      this.#due = at;
      this.#timer = setTimeout(() => this.request(), at - now);
    }
  }
}

/**
 * Whether it is time to draw again.
 *
 * @param {number} drawn  when it was drawn, Unix seconds
 * @param {number} every  seconds: it is drawn at multiples of them
 * @param {number} now
 */
export function isDue(drawn, every, now) {
  return Math.floor((now + EARLY_S) / every) !== Math.floor((drawn + EARLY_S) / every);
}

/**
 * How long until then, milliseconds.
 *
 * @param {number} every
 * @param {number} now
 */
export function untilNext(every, now) {
  return 1000 * (every - ((now + EARLY_S) % every) + EARLY_S);
}
