// @ts-check
/** The alerts that fire, in plain words, above all else. */

import { byId, make } from "./dom.js";

/** @param {import("./app.js").Context} context */
export function mountAlerts({ store }) {
  const list = byId("alerts", HTMLElement);
  store.on(["alerts"], ({ alerts }) => {
    list.hidden = alerts.length === 0;
    list.replaceChildren(...alerts.map(({ name, sentence = "" }) => make("div", {}, make("b", {}, name), ` ${sentence}`)));
  });
}
