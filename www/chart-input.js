// @ts-check
/** What the user does with the charts: the buttons above them, mouse, fingers, keys, and the cursor that they move. */

import { laneName } from "./chart-lines.js";
import { announce, byId, setAttr } from "./dom.js";
import { duration, moment, short } from "./format.js";
import { isPast } from "./past.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

/** @import uPlot from "uplot" */
/** @typedef {import("./charts.js").Chart} Chart */
/** @typedef {import("./chart-lines.js").Lines} Lines */
/** @typedef {import("./view.js").View} View */

const SELECT_MIN_PX = 5;
const DOUBLE_TAP_MS = 300;

/**
 * @param {import("./app.js").Context} context
 * @param {Chart[]} charts
 * @param {Lines} lines
 */
export function mountInput({ store, view }, charts, lines) {
  for (const button of document.querySelectorAll("[data-span]")) {
    const span = button instanceof HTMLElement && button.dataset.span === "all" ? Infinity : Number(button.getAttribute("data-span"));
    button.addEventListener("click", () => view.setSpan(span));
    store.on(["span", "zoom"], (state) => setAttr(button, "aria-pressed", String(state.span === span && state.zoom === null)));
    if (isPast(span) && button instanceof HTMLElement) {
      store.on(["status"], ({ status, span: shown }) => {
        button.hidden = !status?.history; // a server of before has none, or one without it
        if (status && button.hidden && shown === span) {
          view.setSpan(300);
        }
      });
    }
  }
  const freeze = byId("freeze", HTMLButtonElement);
  const reset = byId("reset", HTMLButtonElement);
  const live = byId("live", HTMLButtonElement);
  live.addEventListener("click", () => {
    view.goLive();
    freeze.focus(); // as the button goes
  });
  freeze.addEventListener("click", () => view.toggleFreeze());
  reset.addEventListener("click", () => view.resetZoom());
  store.on(["frozenAt", "zoom"], ({ frozenAt, zoom }) => {
    setAttr(freeze, "aria-pressed", String(frozenAt !== 0));
    reset.disabled = zoom === null;
    live.hidden = !frozenAt && !zoom;
  });
  const plots = byId("plots", HTMLElement);
  plots.addEventListener("keydown", (event) => onKey(event, view, charts, lines));
  plots.addEventListener("blur", () => moveCursor(charts, -1));
}

/** @param {Chart[]} charts @returns {number | null} the time at the cursor; null: there is no cursor */
export function cursorTime(charts) {
  const plot = charts[0]?.plot;
  const left = plot?.cursor.left ?? -1;
  return left >= 0 ? plot.posToVal(left, "x") : null;
}

/**
 * The value at the cursor.
 *
 * @param {Chart[]} charts
 * @param {import("./charts.js").Metric} metric
 * @param {number} line
 * @returns {number | undefined}
 */
export function valueAt(charts, metric, line) {
  const plot = charts.find((chart) => chart.metric === metric)?.plot;
  const index = plot?.cursor.idxs?.[line + 1];
  return line < 0 || index === null || index === undefined ? undefined : plot?.data[line + 1][index] ?? undefined;
}

/**
 * @param {Chart[]} charts
 * @param {number} left  px from the left of the plotting area; negative: away
 */
function moveCursor(charts, left) {
  for (const { plot } of charts) {
    plot.setCursor({ left, top: left < 0 ? -10 : 1 });
  }
}

/**
 * A span was selected with the mouse: show only that.
 *
 * @param {uPlot} plot
 * @param {View} view
 */
export function zoomToSelection(plot, view) {
  const { left, width } = plot.select;
  if (width >= SELECT_MIN_PX) {
    view.zoomTo(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
  }
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
}

/**
 * One finger moves the cursor, two fingers zoom, a double tap resets the zoom;
 * a vertical movement still scrolls the page.
 *
 * @param {uPlot} plot
 * @param {View} view
 * @param {Chart[]} charts
 */
export function addTouch(plot, view, charts) {
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
      view.resetZoom();
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
      view.zoomTo(pinch.at - per * middle, pinch.at + per * (over.clientWidth - middle));
    } else {
      moveCursor(charts, x(event));
    }
  });
  for (const type of /** @type {const} */ (["pointerup", "pointercancel"])) {
    over.addEventListener(type, (event) => {
      fingers.delete(event.pointerId);
      pinch = null;
    });
  }
}

/**
 * @param {KeyboardEvent} event
 * @param {View} view
 * @param {Chart[]} charts
 * @param {Lines} lines
 */
function onKey(event, view, charts, lines) {
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
    case "ArrowLeft": moveCursor(charts, Math.max(0, left - step)); break;
    case "ArrowRight": moveCursor(charts, Math.min(width, left + step)); break;
    case "Home": moveCursor(charts, 0); break;
    case "End": moveCursor(charts, width); break;
    case "+": case "=": view.zoomTo(at - (at - from) / 2, at + (to - at) / 2); break;
    case "-": view.zoomTo(at - (at - from) * 2, at + (to - at) * 2); break;
    case "Escape": view.resetZoom(); moveCursor(charts, -1); break;
    default: return;
  }
  event.preventDefault();
  const values = lines.lanes.flatMap((lane, line) => (lane === null ? []
    : [put(texts.cursorValues, { name: laneName(lane), latency: duration(valueAt(charts, "latency", line)), rate: short(valueAt(charts, "rate", line) ?? NaN) })]));
  const time = cursorTime(charts);
  announce(time === null ? "" : `${moment(time, to - from)}. ${values.join(". ")}`);
}
