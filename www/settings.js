// @ts-check
/** What this browser remembers, and the theme. A browser that stores nothing gets the defaults. */

/** @typedef {"auto" | "light" | "dark"} Theme */

const KEY = "aidash";

export class Settings {
  /** @type {Theme} */
  theme = "auto";
  /** Seconds that the charts show; Infinity: all. */
  span = 60;
  /** @type {number | null} ms; above it the card is highlighted */
  limitLatency = null;
  /** @type {number | null} tokens/s; below it the card is highlighted */
  limitRate = null;
  /** With a notification as well. */
  notify = false;
  /** Keys work on the whole page. */
  keys = true;
  /** @type {string[] | null} names of the table's columns that are left out; null: nobody has chosen */
  hidden = null;
  /** The charts' scales are logarithmic. */
  log = false;

  constructor() {
    Object.assign(this, load());
  }

  /** @param {Partial<Settings>} patch */
  save(patch) {
    Object.assign(this, patch);
    try {
      localStorage.setItem(KEY, JSON.stringify({ ...this, span: this.span === Infinity ? "all" : this.span }));
    } catch {
      // not remembered
    }
  }

  /** Whether the page is dark now. */
  get dark() {
    return this.theme === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : this.theme === "dark";
  }

  /** Give the page its theme. */
  applyTheme() {
    document.documentElement.dataset.theme = this.dark ? "dark" : "light";
  }
}

/** @returns {Partial<Settings>} the stored values that are valid */
function load() {
  /** @type {Partial<Settings>} */
  const good = {};
  let saved;
  try {
    saved = JSON.parse(localStorage.getItem(KEY) ?? "{}");
  } catch {
    return good;
  }
  if (saved?.theme === "light" || saved?.theme === "dark") {
    good.theme = saved.theme;
  }
  if ([300, 3600, 21_600, 86_400, 1_209_600, "all"].includes(saved?.span)) {
    good.span = saved.span === "all" ? Infinity : saved.span;
  }
  for (const name of /** @type {const} */ (["limitLatency", "limitRate"])) {
    if (typeof saved?.[name] === "number" && saved[name] > 0) {
      good[name] = saved[name];
    }
  }
  if (Array.isArray(saved?.hidden)) {
    good.hidden = saved.hidden.map(String);
  }
  good.notify = saved?.notify === true;
  good.keys = saved?.keys !== false;
  good.log = saved?.log === true;
  return good;
}
