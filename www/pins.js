// @ts-check
/** One or two times that are pinned in the charts, by a click, or by Enter at the cursor: A, and B. */

import { cursorTime } from "./chart-input.js";
import { byId } from "./dom.js";
import * as texts from "./texts.js";

const SAME_PX = 8; // a second one so near takes the pin away

/**
 * The pins after another one: a second makes it two, a third begins anew.
 *
 * @param {readonly number[]} pins
 * @param {number} time
 * @param {number} same  seconds; a second one so near takes the first away
 * @returns {number[]} ascending
 */
export function pinned(pins, time, same) {
  return pins.length !== 1 ? [time] : Math.abs(pins[0] - time) < same ? [] : [...pins, time].sort((a, b) => a - b);
}

/**
 * @param {import("./store.js").Store} store
 * @param {import("./charts.js").Chart[]} charts
 */
export function mountPins(store, charts) {
  const plots = byId("plots", HTMLElement);
  const pin = (/** @type {number | null} */ time) => {
    const { plot } = charts[0];
    if (time !== null) {
      store.set({ pins: pinned(store.state.pins, time, plot.posToVal(SAME_PX, "x") - plot.posToVal(0, "x")) });
    }
  };
  plots.addEventListener("click", ({ target, clientX }) => {
    const plot = charts.find((chart) => chart.plot.over.contains(/** @type {Node} */ (target)))?.plot;
    pin(plot ? plot.posToVal(clientX - plot.over.getBoundingClientRect().left, "x") : null);
  });
  plots.addEventListener("keydown", ({ key }) => {
    if (key === "Enter") {
      pin(cursorTime(charts));
    } else if (key === "Escape") {
      store.set({ pins: [] });
    }
  });
}

/**
 * @param {import("uplot")} plot
 * @param {readonly number[]} pins
 * @param {{rem: number, colours: import("./colours.js").Colours}} look
 */
export function drawPins({ ctx, bbox, scales, valToPos }, pins, { rem, colours }) {
  const { min = 0, max = 0 } = scales.x;
  const left = (/** @type {number} */ time) => Math.round(valToPos(Math.min(Math.max(time, min), max), "x", true));
  const size = rem * devicePixelRatio;
  ctx.save();
  if (pins.length > 1) {
    ctx.fillStyle = colours.shade;
    ctx.fillRect(left(pins[0]), bbox.top, left(pins[1]) - left(pins[0]), bbox.height);
  }
  ctx.font = `600 ${0.75 * size}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  pins.forEach((time, i) => {
    if (time >= min && time <= max) {
      ctx.fillStyle = colours.text;
      ctx.fillRect(left(time) - devicePixelRatio / 2, bbox.top, 1.5 * devicePixelRatio, bbox.height);
      ctx.fillRect(left(time) - size / 2, bbox.top + bbox.height - size, size, size);
      ctx.fillStyle = colours.card;
      ctx.fillText(texts.pins[i], left(time), bbox.top + bbox.height - size / 2);
    }
  });
  ctx.restore();
}
