// @ts-check
/**
 * The charts: one time axis, one cursor, a line for each model (and node).
 * uPlot draws; what it draws is decimated here to the pixels that there are.
 */

import uPlot from "./uPlot.esm.js";
import { decimate, LINES, Rows } from "./decimate.js";
import { announce, byId, colours, laneColour, make, onFrame, requestDraw, setAttr, setText } from "./dom.js";
import { LANES_MAX } from "./feed.js";
import { clockTime, duration, niceCeiling, NONE, short } from "./format.js";
import { feed, requests } from "./session.js";
import { settings } from "./settings.js";
import { store } from "./store.js";
import { moving, range, resetZoom, setSpan, toggleFreeze, zoomTo } from "./view.js";

/** @typedef {import("./feed.js").Lane} Lane */
/** @typedef {"latency" | "rate" | "ttft"} Metric */

/**
 * @typedef {object} Chart
 * @property {Metric} metric
 * @property {HTMLElement} figure
 * @property {HTMLElement} area   of the figure, where the plot is
 * @property {uPlot} plot
 * @property {Rows} rows
 */

const LEGEND_EVERY_S = 0.2;
const FASTEST_MS = 16;
const SLOWEST_MS = 1000;
const SELECT_MIN_PX = 5;
const HOVER_PX = 40; // the cursor shows values that are no further away
const MARK_TEXTS_PX = 60; // marks nearer to each other share a text
const DOUBLE_TAP_MS = 300;

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** @type {Chart[]} */
let charts = [];
/** @type {Set<string>} names of lanes that are not drawn */
const hidden = new Set();
/** The line of each lane, -1: none. */
const lineOf = new Int8Array(LANES_MAX).fill(-1);
/** @type {Lane[]} the lane of each line */
let drawnLanes = [];

let builtFor = 0; // root font size, px
let dirty = true;
let drawn = 0; // when, ms
let drawnRange = [0, 0];
let drawnEnd = 0;
let legendDrawn = 0;

export function mountCharts() {
  const plots = byId("plots", HTMLElement);
  build();
  new ResizeObserver(fit).observe(plots);

  for (const button of document.querySelectorAll("[data-span]")) {
    const span = button instanceof HTMLElement && button.dataset.span === "all" ? Infinity : Number(button.getAttribute("data-span"));
    button.addEventListener("click", () => setSpan(span));
    store.on(["span"], (state) => setAttr(button, "aria-pressed", String(state.span === span)));
  }
  byId("freeze", HTMLButtonElement).addEventListener("click", toggleFreeze);
  byId("reset", HTMLButtonElement).addEventListener("click", resetZoom);
  store.on(["frozenAt", "zoom"], ({ frozenAt, zoom }) => {
    setAttr(byId("freeze", HTMLButtonElement), "aria-pressed", String(frozenAt !== 0));
    byId("reset", HTMLButtonElement).disabled = zoom === null;
  });
  store.on(["restyled", "span", "frozenAt", "zoom", "paused", "connection", "sourceState", "filled", "model"], redraw);
  plots.addEventListener("keydown", onKey);
  plots.addEventListener("blur", () => moveCursor(-1));
  byId("legend", HTMLUListElement).addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("button");
    if (button && button.dataset.lane !== undefined) {
      if (!hidden.delete(button.dataset.lane)) {
        hidden.add(button.dataset.lane);
      }
      redraw();
    }
  });
  onFrame(draw);
}

/** The canvases, for a picture of them. */
export function chartCanvases() {
  return charts.filter(({ figure }) => !figure.hidden)
    .map(({ figure, plot }) => ({ title: figure.querySelector("figcaption")?.textContent ?? "", canvas: plot.ctx.canvas }));
}

function redraw() {
  dirty = true;
  requestDraw();
}

/** Make the charts anew. */
function build() {
  const shown = /** @type {Metric[]} */ (["latency", "rate", "ttft"]).filter((metric) => !figureOf(metric).hidden);
  charts.forEach(({ plot }) => plot.destroy());
  builtFor = rootSize();
  charts = shown.map((metric) => {
    const figure = figureOf(metric);
    const area = figure.querySelector(".area");
    if (!(area instanceof HTMLElement)) {
      throw new Error(`the page has no place for ${metric}`);
    }
    const rows = new Rows();
    const plot = new uPlot(options(metric, area, metric === shown.at(-1)), [[], ...rows.y], area);
    touch(plot);
    return { metric, figure, area, rows, plot };
  });
  redraw();
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

/** The root's font size, px: it grows with the screen. */
function rootSize() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize);
}

/** @param {Metric} metric */
function figureOf(metric) {
  return byId(`plot-${metric}`, HTMLElement);
}

/**
 * @param {Metric} metric
 * @param {HTMLElement} area
 * @param {boolean} times  with the times below it
 * @returns {uPlot.Options}
 */
function options(metric, area, times) {
  const rem = builtFor;
  const font = `${0.75 * rem}px system-ui, sans-serif`;
  /** @type {uPlot.Axis} */
  const axis = {
    font, stroke: () => colours.muted, ticks: { show: false },
    grid: { stroke: () => colours.grid, width: 1 },
  };
  const bottom = times ? 1.6 * rem : 0;
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
      bind: { dblclick: () => () => { resetZoom(); return null; } },
    },
    scales: {
      x: { time: true, auto: false, range: (_, min, max) => [min, max] },
      y: { range: (_, __, max) => [0, niceCeiling(Math.max(max ?? 0, 0))] },
    },
    axes: [
      { ...axis, size: bottom, space: 6 * rem, gap: 0.4 * rem, values: times ? timeLabels : () => [] },
      { ...axis, size: 3.4 * rem, space: 2.4 * rem, gap: 0.5 * rem, values: (_, splits) => splits.map((v) => (v === 0 ? "0" : short(v).replace(/\.0+$|(\.\d)0$/, "$1"))) },
    ],
    series: [{}, ...Array.from({ length: LINES }, () => series(metric))],
    hooks: {
      setSelect: [onSelect],
      setCursor: [() => { legendDrawn = 0; requestDraw(); }],
      drawAxes: [(plot) => drawMarks(plot, metric)],
    },
  };
}

/**
 * @param {Metric} metric
 * @returns {uPlot.Series}
 */
function series(metric) {
  if (metric === "ttft") {
    const colour = () => colours.accent;
    return { stroke: colour, paths: () => null, points: { show: true, size: 6, fill: colour } };
  }
  /** @param {number} i */
  const colour = (i) => laneColour(drawnLanes[i - 1]?.index ?? 0);
  return {
    stroke: (_, i) => colour(i),
    width: 1.5,
    fill: (plot, i) => (drawnLanes.length === 1 ? shade(plot, colour(i)) : "transparent"),
    points: { show: false, size: 5, fill: (_, i) => colour(i), filter: lonePoints },
  };
}

/**
 * Below a single line: its colour, fading.
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
 * A value with nothing to be joined to would not be seen: it gets a point.
 *
 * @param {uPlot} plot
 * @param {number} line
 */
function lonePoints(plot, line) {
  const values = plot.data[line];
  /** @type {number[]} */
  const lone = [];
  let joined = false; // to the value before
  let at = -1; // the latest value's row
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
 */
function timeLabels(plot, splits) {
  const step = splits.length > 1 ? splits[1] - splits[0] : 1;
  const end = plot.bbox.width / devicePixelRatio - builtFor; // a label further to the right would be cut
  return splits.map((at) => (plot.valToPos(at, "x") > end ? ""
    : step < 1 ? clockTime(at, 2) : step < 60 ? clockTime(at) : clockTime(at).slice(0, 5)));
}

/** @param {number} now */
function draw(now) {
  showTtft();
  const [from, to] = range(now);
  const width = charts[0]?.plot.bbox.width || 1;
  // A picture that moves by less than a pixel need not be drawn.
  const pixel = (1000 * (to - from) * devicePixelRatio) / width;
  const every = still.matches ? SLOWEST_MS : Math.min(Math.max(pixel, FASTEST_MS), SLOWEST_MS);
  const changed = from !== drawnRange[0] || to !== drawnRange[1] || (feed.ring.end !== drawnEnd && to > drawn / 1000);
  const wait = drawn + every - now * 1000;
  if (dirty || (changed && wait <= 1)) {
    dirty = false;
    drawn = now * 1000;
    drawnRange = [from, to];
    drawnEnd = feed.ring.end;
    drawCharts(from, to);
  }
  if (now - legendDrawn >= LEGEND_EVERY_S) {
    legendDrawn = now;
    drawLegend(from);
    drawEmpty();
  }
  return moving() ? Math.max(FASTEST_MS, drawn + every - now * 1000) : SLOWEST_MS;
}

/** The third chart comes with the first request. */
function showTtft() {
  const figure = figureOf("ttft");
  if (figure.hidden && requests.ttft.count) {
    figure.hidden = false;
    build();
  }
}

/**
 * @param {number} from
 * @param {number} to
 */
function drawCharts(from, to) {
  const { ring } = feed;
  chooseLanes(from);
  // A tick more at each side, so that lines reach the edges.
  const first = Math.max(ring.find(from) - 1, ring.first);
  const last = Math.min(ring.find(to) + 1, ring.end);
  for (const { metric, rows, plot } of charts) {
    if (metric === "ttft") {
      ttftRows(from, to, rows);
    } else {
      const columns = Math.max(1, plot.bbox.width / devicePixelRatio);
      decimate(ring, metric === "latency" ? ring.latency : ring.rate, first, last, (to - from) / columns, lineOf, rows);
    }
    plot.batch(() => {
      plot.setData([rows.x, ...rows.y], false);
      plot.setScale("x", { min: from, max: to });
    });
  }
}

/**
 * Lanes with something to show get the lines; of too many the latest.
 *
 * @param {number} from
 */
function chooseLanes(from) {
  drawnLanes = feed.lanes.filter((lane) => lane.time >= from && !hidden.has(nameOf(lane)))
    .sort((a, b) => b.time - a.time).slice(0, LINES).sort((a, b) => a.index - b.index);
  lineOf.fill(-1);
  drawnLanes.forEach((lane, line) => {
    lineOf[lane.index] = line;
  });
}

/**
 * @param {number} from
 * @param {number} to
 * @param {Rows} rows
 */
function ttftRows(from, to, rows) {
  rows.clear();
  const { count, time, value } = requests.ttft;
  const order = Array.from({ length: Math.min(count, time.length) }, (_, i) => i)
    .filter((i) => time[i] >= from && time[i] <= to).sort((a, b) => time[a] - time[b]);
  for (const i of order) {
    rows.add(time[i], 0, value[i], false);
  }
}

/**
 * Pauses and lost connections are shaded, moments get a line; the upper chart
 * says what they are.
 *
 * @param {uPlot} plot
 * @param {Metric} metric
 */
function drawMarks(plot, metric) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const { min = 0, max = 0 } = plot.scales.x;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.font = `${0.7 * builtFor * ratio}px system-ui, sans-serif`;
  ctx.textBaseline = "top";
  ctx.textAlign = "left";
  ctx.lineWidth = ratio;
  let textEnd = -Infinity;
  for (const mark of feed.marks) {
    if (mark.to < min || mark.from > max) {
      continue;
    }
    const colour = mark.kind === "model" || mark.kind === "paused" ? colours.muted : colours.bad;
    const left = plot.valToPos(Math.max(mark.from, min), "x", true);
    if (mark.to > mark.from) {
      const right = plot.valToPos(Math.min(mark.to, max), "x", true);
      ctx.fillStyle = colours.shade;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
    }
    ctx.strokeStyle = colour;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(Math.round(left) + 0.5, bbox.top);
    ctx.lineTo(Math.round(left) + 0.5, bbox.top + bbox.height);
    ctx.stroke();
    if (metric === "latency" && left >= textEnd) {
      const widest = MARK_TEXTS_PX * 3 * ratio;
      const width = Math.min(ctx.measureText(mark.text).width, widest) + 8 * ratio;
      ctx.fillStyle = colour;
      ctx.fillText(mark.text, Math.min(left, bbox.left + bbox.width - width) + 4 * ratio, bbox.top + 2 * ratio, widest);
      textEnd = left + Math.max(MARK_TEXTS_PX * ratio, width);
    }
  }
  const limit = metric === "latency" ? settings.limitLatency : metric === "rate" ? settings.limitRate : null;
  if (limit !== null && limit <= (plot.scales.y.max ?? 0)) {
    const y = Math.round(plot.valToPos(limit, "y", true)) + 0.5;
    ctx.strokeStyle = colours.bad;
    ctx.setLineDash([6 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

/** @param {Lane} lane */
function nameOf(lane) {
  return lane.node ? `${lane.model} @ ${lane.node}` : lane.model;
}

/**
 * The lines' names, and their values at the cursor, else the latest.
 *
 * @param {number} from
 */
function drawLegend(from) {
  const legend = byId("legend", HTMLUListElement);
  const lanes = feed.lanes.filter((lane) => lane.time >= from);
  while (legend.children.length > lanes.length) {
    legend.lastElementChild?.remove();
  }
  while (legend.children.length < lanes.length) {
    legend.append(make("li", {}, make("button", { type: "button" },
      make("span", { class: "lane", "aria-hidden": "true" }), make("span", { class: "name" }),
      make("b", { class: "number" }), make("b", { class: "number" }))));
  }
  const time = cursorTime();
  const unit = feed.tokenless ? "/s" : "tok/s";
  lanes.forEach((lane, i) => {
    const button = legend.children[i].firstElementChild;
    if (!(button instanceof HTMLButtonElement)) {
      return;
    }
    const [swatch, name, latency, rate] = button.children;
    const line = lineOf[lane.index];
    const latencyValue = time === null ? lane.latency : valueAt("latency", line);
    const rateValue = time === null ? lane.rate : valueAt("rate", line);
    button.dataset.lane = nameOf(lane);
    setAttr(button, "aria-pressed", String(!hidden.has(nameOf(lane))));
    if (swatch instanceof HTMLElement) {
      swatch.style.background = laneColour(lane.index);
    }
    setText(name, nameOf(lane));
    setText(latency, duration(latencyValue));
    setText(rate, rateValue === undefined ? NONE : `${short(rateValue)} ${unit}`);
  });
  const ttft = time === null ? undefined : valueAt("ttft", 0);
  setText(byId("plot-ttft-value", HTMLElement), ttft === undefined ? "" : duration(ttft));
  setText(byId("plot-rate-caption", HTMLElement), feed.tokenless ? "Steps per second" : "Tokens per second");
  setText(byId("legend-time", HTMLElement), time === null ? "latest" : clockTime(time, 2));
}

/** @returns {number | null} the time at the cursor, null when there is none */
function cursorTime() {
  const plot = charts[0]?.plot;
  const left = plot?.cursor.left ?? -1;
  return left >= 0 ? plot.posToVal(left, "x") : null;
}

/**
 * @param {Metric} metric
 * @param {number} line
 * @returns {number | undefined}
 */
function valueAt(metric, line) {
  const plot = charts.find((chart) => chart.metric === metric)?.plot;
  const index = plot?.cursor.idxs?.[line + 1];
  return line < 0 || index === null || index === undefined ? undefined : plot?.data[line + 1][index] ?? undefined;
}

/** @param {uPlot} plot */
function onSelect(plot) {
  const { left, width } = plot.select;
  if (width >= SELECT_MIN_PX) {
    zoomTo(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
  }
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
}

/** @param {number} left  px from the left of the plotting area; negative: away */
function moveCursor(left) {
  for (const { plot } of charts) {
    plot.setCursor({ left, top: left < 0 ? -10 : 1 });
  }
}

/**
 * One finger moves the cursor, two zoom, a double tap resets; up and down
 * still scrolls the page.
 *
 * @param {uPlot} plot
 */
function touch(plot) {
  const { over } = plot;
  /** @type {Map<number, number>} x of each finger */
  const fingers = new Map();
  /** @type {{at: number, per: number, distance: number} | null} */
  let pinch = null;
  let tapped = 0;

  /** @param {PointerEvent} event */
  const x = (event) => event.clientX - over.getBoundingClientRect().left;

  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") {
      return;
    }
    fingers.set(event.pointerId, x(event));
    if (fingers.size === 2) {
      const [a, b] = fingers.values();
      pinch = { at: plot.posToVal((a + b) / 2, "x"), per: plot.posToVal(1, "x") - plot.posToVal(0, "x"), distance: Math.abs(a - b) };
    } else if (event.timeStamp - tapped < DOUBLE_TAP_MS) {
      resetZoom();
    }
    tapped = event.timeStamp;
  });
  over.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) {
      return;
    }
    fingers.set(event.pointerId, x(event));
    if (pinch && fingers.size === 2) {
      const [a, b] = fingers.values();
      const per = (pinch.per * pinch.distance) / Math.max(Math.abs(a - b), 1);
      const middle = (a + b) / 2;
      zoomTo(pinch.at - per * middle, pinch.at + per * (over.clientWidth - middle));
    } else {
      moveCursor(x(event));
    }
  });
  for (const type of /** @type {const} */ (["pointerup", "pointercancel"])) {
    over.addEventListener(type, (event) => {
      fingers.delete(event.pointerId);
      pinch = null;
    });
  }
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  const plot = charts[0]?.plot;
  if (!plot || event.altKey || event.ctrlKey || event.metaKey) {
    return;
  }
  const width = plot.over.clientWidth;
  const left = (plot.cursor.left ?? -1) >= 0 ? /** @type {number} */ (plot.cursor.left) : width;
  const step = width / (event.shiftKey ? 10 : 100);
  const [from, to] = [plot.posToVal(0, "x"), plot.posToVal(width, "x")];
  const at = plot.posToVal(left, "x");
  switch (event.key) {
    case "ArrowLeft": moveCursor(Math.max(0, left - step)); break;
    case "ArrowRight": moveCursor(Math.min(width, left + step)); break;
    case "Home": moveCursor(0); break;
    case "End": moveCursor(width); break;
    case "+": case "=": zoomTo(at - (at - from) / 2, at + (to - at) / 2); break;
    case "-": zoomTo(at - (at - from) * 2, at + (to - at) * 2); break;
    case "Escape": resetZoom(); moveCursor(-1); break;
    default: return;
  }
  event.preventDefault();
  const values = drawnLanes.map((lane) => {
    const line = lineOf[lane.index];
    return `${nameOf(lane)}: ${duration(valueAt("latency", line))}, ${short(valueAt("rate", line) ?? NaN)} a second`;
  });
  const time = cursorTime();
  announce(time === null ? "" : `${clockTime(time)}. ${values.join(". ")}`);
}

/** An empty chart says why, and how to change it. */
function drawEmpty() {
  const { connection, cause, hello, filled } = store.state;
  const box = byId("empty", HTMLElement);
  const code = byId("empty-code", HTMLElement);
  box.hidden = feed.ring.end > 0 || (connection.phase === "live" && !filled) || (connection.phase === "connecting" && !connection.attempt);
  if (box.hidden) {
    return;
  }
  const live = connection.phase === "live";
  const pushed = live && hello?.source === "none";
  setText(byId("empty-lead", HTMLElement), live ? "No tick yet" : "Not connected");
  setText(byId("empty-text", HTMLElement), !live ? (cause === "full" ? "The server has as many viewers as it takes." : connection.reason)
    : pushed ? "The server waits for ticks. Send one from any program:"
    : hello?.source === "stdin" ? "The server waits for lines on its standard input."
    : hello?.source === "meter" ? "The next request through the proxy will show here."
    : "The next tick will show here.");
  code.hidden = !pushed;
  setText(code, `curl -d '{"model":"demo","tokens":3,"latency_ms":41.5}' ${new URL("ingest", location.href)}`);
}
