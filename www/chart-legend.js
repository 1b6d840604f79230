// @ts-check
/** The legend: the name of each line, and its values at the cursor or, without a cursor, the latest. */

import { cursorTime, valueAt } from "./chart-input.js";
import { laneName } from "./chart-lines.js";
import { byId, make, setAttr, setHidden, setName, setText } from "./dom.js";
import { age, duration, moment, NONE, rate as rateText, span } from "./format.js";
import { valueText } from "./gauges.js";
import * as texts from "./texts.js";
import { counted, put } from "./words.js";

/**
 * A click on a name hides its line, or shows it again.
 *
 * @param {import("./chart-lines.js").Lines} lines
 * @param {() => void} redraw
 */
export function mountLegend(lines, redraw) {
  byId("legend", HTMLUListElement).addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("button");
    if (button && button.dataset.lane !== undefined) {
      lines.toggle(button.dataset.lane);
      redraw();
    }
  });
}

/**
 * @param {import("./app.js").Context} context
 * @param {import("./charts.js").Chart[]} charts
 * @param {[number, number]} range  the edges of the charts, Unix seconds
 * @param {number} now
 */
export function drawLegend({ colours, lines, store, view, filter, session: { feed, past, gauges } }, charts, [from, to], now) {
  const legend = byId("legend", HTMLUListElement);
  const long = view.past() > 0;
  const seen = (long ? past.lanes : feed.lanes).filter((lane) => lane.time >= from && (!filter.on || filter.lane(lane)));
  const lanes = seen.filter((lane) => lines.lineOf[lane.index] >= 0 || lines.hides(lane));
  while (legend.children.length > lanes.length) {
    legend.lastElementChild?.remove();
  }
  while (legend.children.length < lanes.length) {
    legend.append(make("li", {}, make("button", { type: "button" },
      make("span", { class: "lane", "aria-hidden": "true" }), make("span", { class: "name" }),
      make("b", { class: "number" }), make("b", { class: "number" }))));
  }
  const time = cursorTime(charts);
  const live = store.state.connection.phase === "live";
  const unit = feed.tokenless ? texts.rateOnly : texts.tokensRate;
  lanes.forEach((lane, i) => {
    const button = legend.children[i].firstElementChild;
    if (!(button instanceof HTMLButtonElement)) {
      return;
    }
    const [swatch, name, latency, rate] = button.children;
    const line = lines.lineOf[lane.index];
    const runs = live && feed.runs(lane, now);
    const latencyValue = time !== null ? valueAt(charts, "latency", line) : runs ? lane.latency : NaN;
    const rateValue = time !== null ? valueAt(charts, "rate", line) : runs ? lane.rate : live ? 0 : NaN;
    button.dataset.lane = laneName(lane);
    setAttr(button, "aria-pressed", String(!lines.hides(lane)));
    if (swatch instanceof HTMLElement) {
      swatch.style.background = colours.lane(line);
    }
    setName(name, laneName(lane));
    setAttr(button, "title", laneName(lane));
    setText(latency, duration(latencyValue));
    setText(rate, rateValue === undefined || Number.isNaN(rateValue) ? NONE : put(unit, { n: rateText(rateValue) }));
  });
  const more = seen.length - lanes.length;
  setText(byId("legend-more", HTMLElement), more ? counted(texts.notDrawn, more)
    : filter.on && store.state.filled && !seen.length ? texts.nothingPasses : "");
  const ttft = time === null ? undefined : lines.lanes.map((_, line) => valueAt(charts, "ttft", line)).find((value) => value !== undefined);
  setText(byId("plot-ttft-value", HTMLElement), ttft === undefined ? "" : duration(ttft));
  setText(byId("plot-rate-caption", HTMLElement), feed.tokenless ? texts.inferencesPerSecond : texts.tokensPerSecond);
  setText(byId("legend-time", HTMLElement), time === null ? texts.latest : moment(time, to - from));
  const { zoom, frozenAt } = store.state;
  setText(byId("behind", HTMLElement), zoom ? put(texts.shownEnded, { span: span(to - from), age: age(now - to) }) : frozenAt ? put(texts.behind, { age: age(now - frozenAt) }) : long ? past.problem : "");
  for (const { metric, figure } of charts) {
    const gauge = metric.startsWith("gauge") && gauges.list[Number(metric.slice(6))];
    const [name, value] = figure.querySelectorAll("figcaption > *");
    if (gauge) {
      setText(name, gauge.unit ? `${gauge.name}, ${gauge.unit}` : gauge.name);
      setText(value, time === null ? valueText(gauge.value) : valueText(valueAt(charts, metric, 0) ?? NaN));
    }
  }
  drawTip(charts, lines, colours, time, to - from, unit);
}

/**
 * The values at the cursor, beside it.
 *
 * @param {import("./charts.js").Chart[]} charts
 * @param {import("./chart-lines.js").Lines} lines
 * @param {import("./colours.js").Colours} colours
 * @param {number | null} time
 * @param {number} window  that the charts show, seconds
 * @param {typeof texts.rateOnly | typeof texts.tokensRate} unit  of the rate
 */
function drawTip(charts, lines, colours, time, window, unit) {
  const tip = byId("tip", HTMLElement);
  const rows = lines.lanes.flatMap((lane, line) => {
    const [latency, rate, ttft] = /** @type {const} */ (["latency", "rate", "ttft"]).map((metric) => valueAt(charts, metric, line));
    const values = [latency !== undefined && duration(latency), rate !== undefined && put(unit, { n: rateText(rate) }),
      ttft !== undefined && put(texts.firstTokenIs, { time: duration(ttft) })].filter(Boolean).join("  ");
    return lane && values ? [make("div", {}, swatch(colours.lane(line)), nameOf(lane), make("b", {}, values))] : [];
  });
  setHidden(tip, time === null || rows.length === 0);
  if (tip.hidden || time === null) {
    return;
  }
  tip.replaceChildren(moment(time, window), ...rows);
  const { over, cursor } = charts[0].plot;
  const area = byId("plots", HTMLElement).getBoundingClientRect();
  const x = over.getBoundingClientRect().left - area.left + (cursor.left ?? 0);
  tip.style.left = `${x + tip.offsetWidth + 24 > area.width ? Math.max(0, x - tip.offsetWidth - 12) : x + 12}px`;
  tip.style.top = `${over.getBoundingClientRect().top - area.top + 4}px`;
}

/** @param {string} colour */
function swatch(colour) {
  const node = make("span", { class: "lane" });
  node.style.background = colour; // a style attribute is against the content security policy
  return node;
}

/** @param {import("./chart-lines.js").Lane} lane */
function nameOf(lane) {
  const node = make("span", { class: "name" });
  setName(node, laneName(lane));
  return node;
}
