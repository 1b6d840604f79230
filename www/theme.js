// @ts-check
/** Light or dark, before the first paint. */

import { settings } from "./settings.js";

/** Set the page's theme from the settings. */
export function applyTheme() {
  const { dataset } = document.documentElement;
  if (settings.theme === "auto") {
    delete dataset.theme;
  } else {
    dataset.theme = settings.theme;
  }
}

/** Whether the page is dark now. */
export function isDark() {
  return settings.theme === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : settings.theme === "dark";
}

applyTheme();
