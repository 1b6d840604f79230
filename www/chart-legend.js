// @ts-check
/** The legend: the name of each line, and its values at the cursor or, without a cursor, the latest. */

import { cursorTime, valueAt } from "./chart-input.js";
import { laneName } from "./chart-lines.js";
import { byId, make, setAttr, setName, setText } from "./dom.js";
import { clockTime, duration, NONE, short } from "./format.js";

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
 * @param {number} from  the left edge of the charts, Unix seconds
 */
export function drawLegend({ colours, lines, session: { feed } }, charts, from) {
  const legend = byId("legend", HTMLUListElement);
  const seen = feed.lanes.filter((lane) => lane.time >= from);
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
  const unit = feed.tokenless ? "/s" : "tok/s";
  lanes.forEach((lane, i) => {
    const button = legend.children[i].firstElementChild;
    if (!(button instanceof HTMLButtonElement)) {
      return;
    }
    const [swatch, name, latency, rate] = button.children;
    const line = lines.lineOf[lane.index];
    const latencyValue = time === null ? lane.latency : valueAt(charts, "latency", line);
    const rateValue = time === null ? lane.rate : valueAt(charts, "rate", line);
    button.dataset.lane = laneName(lane);
    setAttr(button, "aria-pressed", String(!lines.hides(lane)));
    if (swatch instanceof HTMLElement) {
      swatch.style.background = colours.lane(line);
    }
    setName(name, laneName(lane));
    setAttr(button, "title", laneName(lane));
    setText(latency, duration(latencyValue));
    setText(rate, rateValue === undefined ? NONE : `${short(rateValue)} ${unit}`);
  });
  const more = seen.length - lanes.length;
  setText(byId("legend-more", HTMLElement), more ? `${more} more ${more > 1 ? "are" : "is"} not drawn: hide others to see ${more > 1 ? "them" : "it"}` : "");
  const ttft = time === null ? undefined : lines.lanes.map((_, line) => valueAt(charts, "ttft", line)).find((value) => value !== undefined);
  setText(byId("plot-ttft-value", HTMLElement), ttft === undefined ? "" : duration(ttft));
  setText(byId("plot-rate-caption", HTMLElement), feed.tokenless ? "Inferences per second" : "Tokens per second");
  setText(byId("legend-time", HTMLElement), time === null ? "latest" : clockTime(time, 2));
}
