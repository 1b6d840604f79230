// @ts-check
/** The alerts that fire, in plain words, above all else. Without a connection they are the last that were known, and look so. */

import { byId, make, setAttr } from "./dom.js";
import * as texts from "./texts.js";

/** @param {import("./app.js").Context} context */
export function mountAlerts({ store }) {
  const list = byId("alerts", HTMLElement);
  let shown = "";
  store.on(["alerts", "connection"], ({ alerts, connection }) => {
    setAttr(list, "data-stale", connection.phase === "live" ? null : texts.alertsLost);
    const now = JSON.stringify(alerts);
    if (now !== shown) { // else they would be read aloud again
      shown = now;
      list.hidden = alerts.length === 0;
      list.replaceChildren(...alerts.map(({ name, sentence = "" }) => make("div", {}, make("b", {}, name), ` ${sentence}`)));
    }
  });
}
