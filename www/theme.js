// @ts-check
/** Gives the page its theme before the first paint. */

import { Settings } from "./settings.js";

new Settings().applyTheme();
