// @ts-check
/** One or two times that are pinned in the charts, by a click, or by Enter at the cursor: A, and B. */

import { cursorTime } from "./chart-input.js";
import { byId } from "./dom.js";

/**
 * The pins after another one: a second makes it two, a third begins anew.
 *
 * @param {readonly number[]} pins
 * @param {number} time
 * @returns {number[]} ascending
 */
export function pinned(pins, time) {
  return pins.length === 1 ? [...pins, time].sort((a, b) => a - b) : [time];
}

/**
 * @param {import("./store.js").Store} store
 * @param {import("./charts.js").Chart[]} charts
 */
export function mountPins(store, charts) {
  const plots = byId("plots", HTMLElement);
  /** @type {readonly number[]} */
  let before = [];
  const pin = (/** @type {number | null} */ time) => {
    before = store.state.pins;
    if (time !== null) {
      store.set({ pins: pinned(before, time) });
    }
  };
  plots.addEventListener("click", ({ target, detail, clientX }) => {
    const plot = charts.find((chart) => chart.plot.over === (target instanceof Element ? target.closest(".u-over") : null))?.plot;
    if (plot && detail > 1) {
      store.set({ pins: before }); // it resets the zoom
    } else if (plot) {
      pin(plot.posToVal(clientX - plot.over.getBoundingClientRect().left, "x"));
    }
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
      ctx.fillText("AB"[i], left(time), bbox.top + bbox.height - size / 2);
    }
  });
  ctx.restore();
}
