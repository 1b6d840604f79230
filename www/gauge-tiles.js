// @ts-check
/** The gauges' latest values, among the tiles at the top. */

import { byId, make, setAttr, setText } from "./dom.js";
import { isDue, untilNext } from "./frame.js";
import { valueText } from "./gauges.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

const EVERY_S = 0.25; // nobody can read digits that change faster

/** @param {import("./app.js").Context} context */
export function mountGauges({ store, frame, session: { gauges } }) {
  const tiles = byId("tiles", HTMLElement);
  /** @type {{name: HTMLElement, value: HTMLElement, tile: HTMLElement}[]} */
  const shown = [];
  let drawn = 0;

  frame.add((now) => {
    if (!isDue(drawn, EVERY_S, now)) {
      return gauges.list.length ? untilNext(EVERY_S, now) : Infinity;
    }
    drawn = now;
    const stale = store.state.connection.phase === "live" ? null : "";
    gauges.list.forEach((gauge, i) => {
      if (i === shown.length) {
        const [name, value] = [make("dt"), make("dd", { class: "number" })];
        const tile = make("div", { class: "gauge" }, name, value);
        shown.push({ name, value, tile });
        tiles.append(tile);
        setText(name, gauge.name);
        setAttr(tile, "title", put(texts.gaugeWhat, { name: gauge.name }));
      }
      setText(shown[i].value, gauge.unit ? `${valueText(gauge.value)} ${gauge.unit}` : valueText(gauge.value));
      setAttr(shown[i].tile, "data-stale", stale);
    });
    return gauges.list.length ? untilNext(EVERY_S, now) : Infinity;
  });
}
