// @ts-check
/** When a number has passed its limit. A number near its limit must not make a card flicker. */

const STEADY_S = 2; // it is beyond its limit, or back, for so long before it counts

export class Limit {
  /** The number is beyond its limit. */
  on = false;
  #since = NaN; // when the number came to the other side, Unix seconds

  /**
   * @param {boolean} beyond  the number is beyond its limit now
   * @param {number} now      Unix seconds
   * @returns {boolean} it has just passed it
   */
  update(beyond, now) {
    if (beyond === this.on) {
      this.#since = NaN;
      return false;
    }
    this.#since ||= now;
    if (now - this.#since < STEADY_S) {
      return false;
    }
    this.on = beyond;
    this.#since = NaN;
    return beyond;
  }

  /** There is no limit any more, or no number. */
  clear() {
    this.on = false;
    this.#since = NaN;
  }
}
