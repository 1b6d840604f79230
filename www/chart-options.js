// @ts-check
/** How uPlot draws a chart: its axes, scales and lines. */

import { LINES } from "./decimate.js";
import { clockTime, niceCeiling, short } from "./format.js";

/** @import uPlot from "./uPlot.esm.js" */
/** @typedef {import("./charts.js").Metric} Metric */

/**
 * What the options of all charts have in common.
 *
 * @typedef {object} Look
 * @property {number} rem  the root's font size, px
 * @property {import("./colours.js").Colours} colours
 * @property {import("./chart-lines.js").Lines} lines
 */

const HOVER_PX = 40; // the cursor shows values up to this distance

/**
 * @param {Metric} metric
 * @param {HTMLElement} area
 * @param {boolean} times  with the times below it
 * @param {Look} look
 * @param {{select: (plot: uPlot) => void, cursor: () => void, reset: () => void, axes: (plot: uPlot) => void}} on  what uPlot calls
 * @returns {uPlot.Options}
 */
export function chartOptions(metric, area, times, look, on) {
  const { rem, colours } = look;
  /** @type {uPlot.Axis} */
  const axis = {
    // uPlot scales only whole pixels to the screen.
    font: `${Math.round(0.75 * rem)}px system-ui, sans-serif`, stroke: () => colours.muted, ticks: { show: false },
    grid: { stroke: () => colours.grid, width: 1 },
  };
  return {
    width: area.clientWidth,
    height: area.clientHeight,
    legend: { show: false },
    padding: [0.6 * rem, 0.6 * rem, times ? 0 : 0.6 * rem, 0],
    cursor: {
      y: false,
      hover: { prox: HOVER_PX },
      points: { size: 0.5 * rem, width: 2, fill: () => colours.card },
      drag: { x: true, y: false, setScale: false },
      sync: { key: "aidash", setSeries: false },
      bind: { dblclick: () => () => { on.reset(); return null; } },
    },
    scales: {
      x: { time: true, auto: false, range: (_, min, max) => [min, max] },
      y: { range: (_, __, max) => [0, niceCeiling(Math.max(max ?? 0, 0))] },
    },
    axes: [
      { ...axis, size: times ? 1.6 * rem : 0, space: 6 * rem, gap: 0.4 * rem, values: times ? (plot, splits) => timeLabels(plot, splits, rem) : () => [] },
      { ...axis, size: 3.4 * rem, space: 2.4 * rem, gap: 0.5 * rem, values: (_, splits) => splits.map((v) => (v === 0 ? "0" : short(v).replace(/\.0+$|(\.\d)0$/, "$1"))) },
    ],
    series: [{}, ...Array.from({ length: LINES }, () => series(metric, look))],
    hooks: { setSelect: [on.select], setCursor: [on.cursor], drawAxes: [on.axes] },
  };
}

/**
 * @param {Metric} metric
 * @param {Look} look
 * @returns {uPlot.Series}
 */
function series(metric, { colours, lines }) {
  if (metric === "ttft") {
    const colour = () => colours.accent;
    return { stroke: colour, paths: () => null, points: { show: true, size: 6, fill: colour } };
  }
  /** @param {number} i */
  const colour = (i) => colours.lane(lines.lanes[i - 1]?.index ?? 0);
  return {
    stroke: (_, i) => colour(i),
    width: 1.5,
    fill: (plot, i) => (lines.lanes.length === 1 ? shade(plot, colour(i)) : "transparent"),
    points: { show: false, size: 5, fill: (_, i) => colour(i), filter: lonePoints },
  };
}

/**
 * The area below a single line: the line's colour, fading.
 *
 * @param {uPlot} plot
 * @param {string} colour
 */
function shade(plot, colour) {
  const { top, height } = plot.bbox;
  const gradient = plot.ctx.createLinearGradient(0, top, 0, top + height);
  gradient.addColorStop(0, `${colour}40`);
  gradient.addColorStop(1, `${colour}05`);
  return gradient;
}

/**
 * The rows of values that no line joins to another: each gets a point, or it would be invisible.
 *
 * @param {uPlot} plot
 * @param {number} line
 */
function lonePoints(plot, line) {
  const values = plot.data[line];
  /** @type {number[]} */
  const lone = [];
  let joined = false; // to the value before
  let at = -1; // row of the latest value
  for (let i = 0; i <= values.length; i++) {
    const value = i < values.length ? values[i] : null;
    if (value === null) {
      if (at >= 0 && !joined) {
        lone.push(at);
      }
      at = -1;
    } else if (value !== undefined) {
      joined = at >= 0;
      at = i;
    }
  }
  return lone;
}

/**
 * @param {uPlot} plot
 * @param {number[]} splits
 * @param {number} rem
 */
function timeLabels(plot, splits, rem) {
  const step = splits.length > 1 ? splits[1] - splits[0] : 1;
  const end = plot.bbox.width / devicePixelRatio - rem; // a label further to the right would be cut
  return splits.map((at) => (plot.valToPos(at, "x") > end ? ""
    : step < 1 ? clockTime(at, 2) : step < 60 ? clockTime(at) : clockTime(at).slice(0, 5)));
}
