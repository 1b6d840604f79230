// @ts-check
/** How uPlot draws a chart: its axes, scales and lines. */

import { LINES, RANGE_PX } from "./decimate.js";
import { clockTime, day, niceCeiling, scaleText } from "./format.js";
import { fairTop, logRange } from "./scale.js";

/** @import uPlot from "uplot" */
/** @typedef {import("./decimate.js").Rows} Rows */
/** @typedef {import("./charts.js").Metric} Metric */

/**
 * What the options of all charts have in common.
 *
 * @typedef {object} Look
 * @property {number} rem  the root's font size, px
 * @property {import("./colours.js").Colours} colours
 * @property {import("./chart-lines.js").Lines} lines
 * @property {boolean} log  the scale is logarithmic
 * @property {uPlot.Series.PathBuilder} [joined]  a line from value to value
 */

const WIDTH_REM = 0.1; // of a line
const HOVER_PX = 40; // the cursor shows values up to this distance

/**
 * @param {Metric} metric
 * @param {HTMLElement} area
 * @param {boolean} times  with the times below it
 * @param {Look} look
 * @param {Rows} rows     what is drawn
 * @param {{select: (plot: uPlot) => void, cursor: () => void, reset: () => void, axes: (plot: uPlot) => void, edge: (plot: uPlot) => void}} on  what uPlot calls
 * @returns {uPlot.Options}
 */
export function chartOptions(metric, area, times, look, rows, on) {
  const { rem, colours } = look;
  const log = look.log && !metric.startsWith("gauge"); // those may be negative
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
      y: { distr: log ? 3 : 1, range: () => (log ? logRange(rows) : [rows.bottom < 0 ? -niceCeiling(-rows.bottom) : 0, Math.max(fairTop(rows), rows.least)]) },
    },
    axes: [
      { ...axis, size: times ? 1.6 * rem : 0, space: 6 * rem, gap: 0.4 * rem, values: times ? (plot, splits) => timeLabels(plot, splits, rem) : () => [] },
      { ...axis, size: 3.4 * rem, space: 2.4 * rem, gap: 0.5 * rem, values: (_, splits) => splits.map((v) => (v === null || Number.isNaN(rows.top) ? "" : scaleText(v))) },
    ],
    series: [{}, ...Array.from({ length: LINES }, (_, line) => series(metric, line, look, rows))],
    hooks: { setSelect: [on.select], setCursor: [on.cursor], drawAxes: [on.axes], draw: [on.edge] },
  };
}

/**
 * @param {Metric} metric
 * @param {number} line
 * @param {Look} look
 * @param {Rows} rows
 * @returns {uPlot.Series}
 */
function series(metric, line, { rem, colours, lines, joined }, rows) {
  const colour = () => (metric.startsWith("gauge") ? colours.accent : colours.lane(line));
  if (metric === "ttft") {
    return { stroke: colour, paths: () => null, points: { show: true, size: 0.4 * rem, fill: colour } };
  }
  return {
    stroke: colour,
    width: WIDTH_REM * rem,
    fill: (plot) => (rows.dense ? `${colour()}80` : lines.count === 1 && !metric.startsWith("gauge") ? shade(plot, colour()) : "transparent"),
    paths: (plot, i, from, to) => (rows.dense ? range(plot, i, from, to, rows) : joined?.(plot, i, from, to) ?? null),
    points: { show: false, size: 0.33 * rem, fill: colour, filter: lonePoints },
  };
}

/**
 * The paths of a line whose columns are ranges: its medians, and the area from lowest to highest.
 *
 * @param {uPlot} plot
 * @param {number} i     of the series
 * @param {number} from  row
 * @param {number} to    row
 * @param {Rows} rows
 * @returns {uPlot.Series.Paths}
 */
function range(plot, i, from, to, { x, y, low, high }) {
  const [middle, lows, highs] = [y[i - 1], low[i - 1], high[i - 1]];
  const stroke = new Path2D();
  const fill = new Path2D();
  const pixel = Math.round(RANGE_PX * devicePixelRatio);
  /** @type {number[]} rows of the current piece, which ends where the line breaks */
  const piece = [];
  for (let row = from; row <= to + 1; row++) {
    const value = row <= to ? middle[row] : null;
    if (value === null) {
      piece.forEach((at, n) => stroke[n ? "lineTo" : "moveTo"](left(at), up(middle[at] ?? 0)));
      piece.forEach((at, n) => edge(at, up(highs[at] ?? middle[at] ?? 0), n === 0 ? 0 : 1));
      piece.reverse().forEach((at) => edge(at, up(lows[at] ?? middle[at] ?? 0), -1));
      piece.length = 0;
    } else if (value !== undefined) {
      piece.push(row);
    }
  }
  return { stroke, fill };

  /**
   * A step for each column: a single peak is as wide as its column, and seen.
   *
   * @param {number} row
   * @param {number} y
   * @param {0 | 1 | -1} way  the direction of the outline; 0: it begins here
   */
  function edge(row, y, way) {
    const [a, b] = way < 0 ? [pixel, 0] : [0, pixel];
    const x0 = left(row) - Math.round(pixel / 2);
    fill[way === 0 ? "moveTo" : "lineTo"](x0 + a, y);
    fill.lineTo(x0 + b, y);
  }

  /** @param {number} row */
  function left(row) {
    return Math.round(plot.valToPos(x[row], "x", true));
  }

  /** @param {number} value */
  function up(value) {
    return Math.round(plot.valToPos(value, "y", true));
  }
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
    : step < 1 ? clockTime(at, 2) : step < 60 ? clockTime(at)
    : step >= 86_400 || (step > 3600 && clockTime(at) === "00:00:00") ? day(at) : clockTime(at).slice(0, 5)));
}
