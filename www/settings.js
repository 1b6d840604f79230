// @ts-check
/**
 * What this browser remembers, and of that the theme, which is set here before
 * the first paint. A browser that keeps nothing gets the defaults.
 */

/**
 * @typedef {object} Settings
 * @property {"auto" | "light" | "dark"} theme
 * @property {number} span                 seconds that the charts show; Infinity: all
 * @property {number | null} limitLatency  ms; above it the card is marked
 * @property {number | null} limitRate     tokens/s; below it the card is marked
 * @property {boolean} notify              with a notification too
 */

const KEY = "aidash";

/** @type {Settings} */
export const settings = { theme: "auto", span: 60, limitLatency: null, limitRate: null, notify: false, ...load() };

/** @param {Partial<Settings>} patch */
export function saveSettings(patch) {
  Object.assign(settings, patch);
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...settings, span: settings.span === Infinity ? "all" : settings.span }));
  } catch {
    // not remembered, that's all
  }
}

/** @returns {Partial<Settings>} only what is as it should be */
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
  if (saved?.span === 300 || saved?.span === "all") {
    good.span = saved.span === "all" ? Infinity : saved.span;
  }
  for (const name of /** @type {const} */ (["limitLatency", "limitRate"])) {
    if (typeof saved?.[name] === "number" && saved[name] > 0) {
      good[name] = saved[name];
    }
  }
  good.notify = saved?.notify === true;
  return good;
}

/** Set the page's theme from the settings. */
export function applyTheme() {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
}

/** Whether the page is dark now. */
export function isDark() {
  return settings.theme === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : settings.theme === "dark";
}

applyTheme();
