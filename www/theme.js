// @ts-check
/** Gives the page its theme, and its form for a wall (?kiosk=1), before the first paint. */

import { Settings } from "./settings.js";

new Settings().applyTheme();
document.documentElement.toggleAttribute("data-kiosk", new URLSearchParams(location.search).get("kiosk") === "1");
