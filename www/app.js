// @ts-check
/**
 * The page. Each panel is a module of its own that mounts itself on its part of
 * index.html: it subscribes to the store, and draws from the feed when the
 * frame calls. A new panel is a new module and a line here.
 *
 *   aidash-client   socket, retry, sequence numbers     (for other pages too)
 *   session         server events -> feed, requests, store; it connects before the panels are here
 *   feed, ring      ticks in fixed memory; clock: the board's against ours
 *   store           all other state; frame: draws once, and only when seen
 *   view, decimate  which time is shown, and which ticks of it
 */

import { mountConnection } from "./connection.js";
import { mountControl } from "./control.js";
import { mountGlance } from "./glance.js";
import { mountRequests } from "./requests-panel.js";
import { mountSettings } from "./settings-panel.js";
import { store } from "./store.js";

mountConnection();
mountGlance();
mountControl();
mountRequests();
mountSettings();

// uPlot takes its time to start: the first numbers do not wait for it.
await new Promise((go) => {
  store.on(["filled", "connection"], ({ filled, connection }) => {
    if (filled || connection.phase === "waiting") {
      requestAnimationFrame(() => setTimeout(go));
    }
  });
  setTimeout(go, 1000);
});
const [{ mountCharts }, { mountExport }] = await Promise.all([import("./charts.js"), import("./export.js")]);
mountCharts();
mountExport();
