// @ts-check
/**
 * The charts: one time axis, one cursor, a line for each model (and node).
 * uPlot draws. This module decides when and what: it decimates the ticks to the
 * pixels that there are.
 */

import { drawEmpty } from "./chart-empty.js";
import { addTouch, mountInput, zoomToSelection } from "./chart-input.js";
import { drawLegend, mountLegend } from "./chart-legend.js";
import { drawMarks, drawOutliers } from "./chart-marks.js";
import { chartOptions } from "./chart-options.js";
import { decimate, DENSE, FALL_S, RANGE_PX, Rows } from "./decimate.js";
import { byId, make, setAttr } from "./dom.js";
import { BEAT_MS, isDue, untilNext } from "./frame.js";
import { GAUGE_CHARTS } from "./gauges.js";
import { drawPins, mountPins } from "./pins.js";
import { sums } from "./statistics.js";
import * as texts from "./texts.js";
import { put } from "./words.js";
import { mountYesterday } from "./yesterday.js";

/** @import uPlot from "uplot" */
/** @typedef {"latency" | "rate" | "ttft" | `gauge-${number}`} Metric */

/**
 * @typedef {object} Chart
 * @property {Metric} metric
 * @property {HTMLElement} figure
 * @property {HTMLElement} area   of the figure, where the plot is
 * @property {uPlot} plot
 * @property {Rows} rows
 */

const LEGEND_EVERY_S = 0.25;
const FASTEST_MS = BEAT_MS;
const DENSE_MS = 250; // so much to draw, so seldom
const SLOWEST_MS = 1000;

/**
 * @param {import("./app.js").Context} context
 * @param {typeof uPlot} Plot
 * @returns the canvases that are shown, for a picture of them; what a chart draws
 */
export function mountCharts(context, Plot) {
  const { settings, store, frame, colours, lines, view, filter, session } = context;
  const { feed, past, requests, gauges } = session;
  const yesterday = mountYesterday(context, redraw);
  const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
  /** @type {Chart[]} always this array: legend and input hold it too */
  const charts = [];
  let builtFor = 0; // root font size, px
  let dirty = true;
  let drawn = 0; // when, ms
  let drawnRange = [0, 0];
  let drawnEnd = 0;
  let drawnGauges = 0;
  let drawnMarks = 0;
  let drawnPast = 0;
  let legendDrawn = 0; // when, s
  const logScale = byId("log-scale", HTMLButtonElement);

  function redraw() {
    dirty = true;
    frame.request();
  }

  /** Create the charts again. */
  function build() {
    const shown = /** @type {Metric[]} */ (["latency", "rate", "ttft", ...gaugeFigures()]).filter((metric) => !figureOf(metric).hidden);
    charts.forEach(({ plot }) => plot.destroy());
    builtFor = rootSize();
    const look = { rem: builtFor, colours, lines, log: store.state.log, joined: Plot.paths.linear?.() };
    setAttr(logScale, "aria-pressed", String(store.state.log));
    charts.splice(0, charts.length, ...shown.map((metric) => {
      const figure = figureOf(metric);
      const area = figure.querySelector(".area");
      if (!(area instanceof HTMLElement)) {
        throw new Error(`the page has no place for ${metric}`);
      }
      const rows = new Rows();
      const plot = new Plot(chartOptions(metric, area, metric === shown[shown.length - 1], look, rows, {
        select: (selected) => zoomToSelection(selected, view),
        cursor: () => { legendDrawn = 0; frame.request(); },
        reset: () => view.resetZoom(),
        axes: (drawing) => {
          drawMarks(drawing, feed.marks, store.state.lit, limitOf(metric), look, metric === "latency");
          drawPins(drawing, store.state.pins, look);
          yesterday.draw(drawing, metric);
        },
        edge: (drawing) => drawOutliers(drawing, rows, metric !== "rate", look),
      }), [[], ...rows.y], area);
      addTouch(plot, view, charts);
      return { metric, figure, area, rows, plot };
    }));
    redraw();
  }

  /** @param {Metric} metric */
  function limitOf(metric) {
    return metric === "latency" ? settings.limitLatency : metric === "rate" ? settings.limitRate : null;
  }

  /** Fit the charts to their place. */
  function fit() {
    if (rootSize() !== builtFor) {
      build();
    }
    for (const { plot, area } of charts) {
      if (plot.width !== area.clientWidth || plot.height !== area.clientHeight) {
        plot.setSize({ width: area.clientWidth, height: area.clientHeight });
      }
    }
    redraw();
  }

  /** @param {number} now */
  function draw(now) {
    showTtft();
    showGauges();
    const [from, to] = view.range(now);
    const seconds = view.past(now);
    if (seconds && store.state.status?.history) {
      past.update(seconds, now).then(() => past.version !== drawnPast && redraw());
    }
    const width = charts[0]?.plot.bbox.width || 1;
    // A movement by less than a pixel is not drawn.
    const pixel = (1000 * (to - from) * devicePixelRatio) / width;
    const fastest = charts.some(({ rows }) => rows.dense) ? DENSE_MS : FASTEST_MS;
    const every = reducedMotion.matches ? SLOWEST_MS : Math.min(Math.max(pixel, fastest), SLOWEST_MS);
    const changed = from !== drawnRange[0] || to !== drawnRange[1] || feed.marksVersion !== drawnMarks
      || ((feed.ring.end !== drawnEnd || gauges.version !== drawnGauges) && to > drawn / 1000);
    if (dirty || (changed && isDue(drawn / 1000, every / 1000, now))) {
      dirty = false;
      drawn = now * 1000;
      drawnRange = [from, to];
      drawnEnd = feed.ring.end;
      drawnGauges = gauges.version;
      drawnMarks = feed.marksVersion;
      drawnPast = past.version;
      drawCharts(from, to);
    }
    if (isDue(legendDrawn, LEGEND_EVERY_S, now)) {
      legendDrawn = now;
      drawLegend(context, charts, [from, to], now);
      drawEmpty(context, now);
    }
    return untilNext((view.moving ? every : SLOWEST_MS) / 1000, now);
  }

  /** The third chart appears with the first request. */
  function showTtft() {
    const figure = figureOf("ttft");
    if (figure.hidden && requests.ttft.count) {
      figure.hidden = false;
      build();
    }
  }

  /** A figure for each of the first gauges. Returns their names. */
  function gaugeFigures() {
    return gauges.list.slice(0, GAUGE_CHARTS).map((_, i) => {
      const metric = /** @type {Metric} */ (`gauge-${i}`);
      if (!document.getElementById(`plot-${metric}`)) {
        byId("tip", HTMLElement).before(make("figure", { class: "plot gauge", id: `plot-${metric}` },
          make("figcaption", { title: put(texts.gaugeWhat, { name: gauges.list[i].name }) }, make("span"), make("b", { class: "number" })), make("div", { class: "area" })));
      }
      return metric;
    });
  }

  /** Its chart appears with a gauge's first value. */
  function showGauges() {
    if (charts.filter(({ metric }) => metric.startsWith("gauge")).length < Math.min(gauges.list.length, GAUGE_CHARTS)) {
      build();
    }
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  function drawCharts(from, to) {
    const long = view.past() > 0;
    lines.choose(long ? past.lanes : feed.lanes, from, filter.on ? (lane) => (long ? filter.whole(lane) : filter.lane(lane)) : undefined);
    for (const { metric, rows, plot } of charts) {
      fill(metric, from, to, Math.max(1, plot.bbox.width / devicePixelRatio), rows);
      rows.least = yesterday.update(metric, from, to);
      plot.batch(() => {
        plot.setData([rows.x, ...rows.y], false);
        plot.setScale("x", { min: from, max: to });
      });
    }
  }

  /**
   * What a chart draws of a time.
   *
   * @param {Metric} metric
   * @param {number} from  Unix seconds
   * @param {number} to
   * @param {number} columns  that there is room for
   * @param {Rows} rows
   */
  function fill(metric, from, to, columns, rows) {
    const { ring } = feed;
    const passes = filter.ticks();
    // One more tick on each side, so that lines reach the edges.
    const first = Math.max(ring.find(from) - 1, ring.first);
    const last = Math.min(ring.find(to) + 1, ring.end);
    if (metric === "ttft") {
      ttftRows(requests.ttft, from, to, (entry) => (filter.entry(entry) ? lineOfModel(entry.last.model) : -1), rows);
    } else if (metric.startsWith("gauge")) {
      gauges.list[Number(metric.slice(6))].rows(from, to, rows);
    } else if (view.past()) {
      past.rows(/** @type {"latency" | "rate"} */ (metric), from, to, lines.lineOf, rows);
    } else {
      const dense = last - first > DENSE * columns * lines.count;
      decimate(ring, {
        values: metric === "latency" ? ring.latency : passes ? sums(ring, first, last, feed.tokenless, passes, true) : ring.rate,
        from: first, to: last, lineOf: lines.lineOf, width: ((to - from) / columns) * (dense ? RANGE_PX : 1), dense, passes,
      }, rows);
      if (metric === "rate" && store.state.connection.phase === "live") {
        lines.lanes.forEach((lane, line) => lane && (feed.silentAt(lane, to) || (passes && !filter.whole(lane) && !(to - rows.latest(line) < FALL_S)))
          && rows.fall(to, line, from));
      }
    }
  }

  /** @param {string} model */
  function lineOfModel(model) {
    return lines.lanes.findIndex((lane) => lane?.model === model);
  }

  logScale.addEventListener("click", () => {
    settings.save({ log: !store.state.log });
    store.set({ log: settings.log });
  });
  store.on(["log"], build);
  new ResizeObserver(fit).observe(byId("plots", HTMLElement));
  mountInput(context, charts, lines);
  mountLegend(lines, redraw);
  mountPins(store, charts);
  store.on(["restyled", "span", "frozenAt", "zoom", "lit", "paused", "connection", "sourceState", "filled", "find", "pins", "yesterday"], redraw);
  store.on(["hello"], () => past.reset());
  frame.add(draw);
  const pictures = () => charts.filter(({ figure }) => !figure.hidden)
    .map(({ figure, plot }) => ({ title: figure.querySelector("figcaption")?.textContent ?? "", canvas: plot.ctx.canvas }));
  return { pictures, fill };
}

/** The root's font size, px: it grows with the screen. */
function rootSize() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize);
}

/** @param {Metric} metric */
function figureOf(metric) {
  return byId(`plot-${metric}`, HTMLElement);
}

/**
 * @param {import("./requests.js").RequestLog["ttft"]} ttft
 * @param {number} from
 * @param {number} to
 * @param {(entry: import("./requests.js").Entry) => number} lineOf  -1: not drawn
 * @param {Rows} rows
 */
function ttftRows({ count, time, value, entries }, from, to, lineOf, rows) {
  rows.clear();
  const order = Array.from({ length: Math.min(count, time.length) }, (_, i) => i)
    .filter((i) => time[i] >= from && time[i] <= to && lineOf(entries[i]) >= 0).sort((a, b) => time[a] - time[b]);
  for (const i of order) {
    rows.add(time[i], lineOf(entries[i]), value[i], false);
  }
}
