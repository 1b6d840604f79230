// @ts-check
/** The panel below the charts: the values at the pins and between them, what ran then, and what changed. */

import { changes, difference, mean, meanOf, PERCENT, SERIES, sign } from "./changes.js";
import { laneName } from "./chart-lines.js";
import { Rows } from "./decimate.js";
import { announce, byId, make } from "./dom.js";
import { duration, moment, NONE, rate, span } from "./format.js";
import { valueText } from "./gauges.js";
import { stateOf } from "./outcomes.js";
import { elapsed } from "./requests-panel.js";
import { meanLatency, quantiles, rates } from "./statistics.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

/** @typedef {import("./charts.js").Metric} Metric */

const NEAR_S = 2; // a value so near to a pin is the pin's
const NEAR = 0.02; // or so, in windows
const BEFORE = 4; // what is held against a window is so many times as long, and before it
const FINE = 1e6; // columns: each tick by itself
const RAN_MAX = 50;

/** @type {[metric: Metric, name: string, text: (value: number) => string][]} */
const METRICS = [["latency", texts.laneLatency, duration], ["rate", texts.laneRate, (value) => put(texts.rateOnly, { n: rate(value) })], ["ttft", texts.laneFirstToken, duration]];

/**
 * @param {import("./app.js").Context} context
 * @param {(metric: Metric, from: number, to: number, columns: number, rows: Rows) => void} fill  what a chart draws
 */
export function mountCompare({ store, lines, view, filter, session }, fill) {
  const { feed, requests, gauges } = session;
  const [panel, pinned, changed] = ["compare", "compare-pins", "compare-changes"].map((id) => byId(id, HTMLElement));
  byId("changed", HTMLButtonElement).addEventListener("click", ({ target }) => {
    /** @type {Element} */ (target).closest("details")?.removeAttribute("open");
    showChanges();
  });
  byId("compare-clear", HTMLButtonElement).addEventListener("click", clear);
  panel.addEventListener("keydown", ({ key }) => key === "Escape" && clear());
  store.on(["pins", "find"], showPins);
  store.on(["filled", "status"], ({ pins, filled }) => { // of a link: the charts have to be drawn first
    if (filled && pins.length && !pinned.querySelector("tbody tr")) {
      requestAnimationFrame(() => requestAnimationFrame(showPins));
    }
  });

  function clear() {
    show(changed);
    store.set({ pins: [] });
    byId("plots", HTMLElement).focus();
  }

  /**
   * @param {HTMLElement} part  of the panel
   * @param {string} [title]  none: it is empty
   * @param {(Node | string)[]} nodes
   * @param {string} [words]  that are said, too
   */
  function show(part, title, nodes = [], words = "") {
    part.replaceChildren(...(title ? [make("h3", {}, title), ...nodes] : []));
    panel.hidden = !pinned.firstChild && !changed.firstChild;
    if (title) {
      announce(`${title}. ${words}`);
    }
  }

  /**
   * The value at a time, or the mean of a span.
   *
   * @param {Metric} metric
   * @param {number} line
   * @param {number} from  Unix seconds
   * @param {number} to
   */
  function valueOf(metric, line, from, to) {
    const { ring } = feed;
    const passes = filter.ticks();
    const own = (/** @type {number} */ k) => lines.lineOf[ring.lane[k]] === line && (!passes || passes(k));
    if (from < to && !view.past()) {
      if (metric === "rate") {
        return rates(ring, from, to, feed.tokenless, own).mean;
      }
      if (metric === "latency") {
        return meanLatency(ring, from, to, own);
      }
    }
    const rows = new Rows();
    const [left, right] = view.range(to);
    const near = from < to ? 0 : Math.max(NEAR_S, NEAR * (right - left));
    fill(metric, from - near, to + near, FINE, rows);
    const found = rows.x.map((x, i) => [Math.abs(x - to), rows.y[line][i] ?? NaN]).filter(([far, value]) => value === value && far <= to - from + near);
    return near ? (found.sort(([a], [b]) => a - b)[0] ?? [0, NaN])[1] : mean(found.map(([, value]) => value));
  }

  function showPins() {
    const { pins } = store.state;
    const [from, to = from] = pins;
    if (!pins.length) {
      show(pinned);
      return;
    }
    const both = to > from;
    /** @param {Metric} metric @param {number} line @param {string} name @param {(value: number) => string} text */
    const row = (metric, line, name, text) => {
      const [a, b = NaN] = pins.map((time) => valueOf(metric, line, time, time));
      const values = both ? [a, b, valueOf(metric, line, from, to)] : [a];
      return { name, known: values.some((value) => value === value),
        cells: [...values.map((value) => (value === value ? text(value) : NONE)), ...(both ? [b === b && a ? `${sign(b - a)}${text(Math.abs(b - a))}, ${difference({ before: a, after: b })}` : NONE] : [])] };
    };
    const rows = [
      ...METRICS.flatMap(([metric, name, text]) => lines.lanes.flatMap((lane, line) => (lane ? [row(metric, line, put(name, { name: laneName(lane) }), text)] : []))),
      ...gauges.list.map(({ name, unit }, i) => row(`gauge-${i}`, 0, name, (value) => `${valueText(value)} ${unit}`)),
    ].filter(({ known }) => known);
    const heads = texts.pinHeads.slice(0, both ? 4 : 1);
    const [a, b = ""] = pins.map((time) => moment(time, to - from));
    show(pinned, both ? put(texts.pinsTitle, { a, b, span: span(to - from) }) : put(texts.pinTitle, { a }), [
      make("table", {}, make("thead", {}, make("tr", {}, make("td"), ...heads.map((head, i) => make("th", { scope: "col", class: "amount", title: texts.pinHeadsWhat[i] }, head)))),
        make("tbody", {}, ...rows.map(({ name, cells }) => make("tr", {}, make("th", { scope: "row" }, name),
          ...cells.map((text, i) => make("td", { class: "amount", "data-title": heads[i] }, text)))))),
      ...ran(from, to),
    ], rows.map(({ name, cells }) => `${name} ${cells.join(", ")}`).slice(0, 4).join(". "));
  }

  /**
   * The requests that ran in a time.
   *
   * @param {number} from
   * @param {number} to
   */
  function ran(from, to) {
    const now = Date.now() / 1000;
    const all = requests.list().filter((entry) => filter.entry(entry) && entry.at <= to && entry.at + elapsed(entry, now) / 1000 >= from);
    return requests.any ? [make("h3", {}, all.length ? texts.ranThen : texts.noneRanThen), make("ul", {}, ...all.slice(-RAN_MAX).map((entry) => {
      const { id, last } = entry;
      const open = make("button", { type: "button", class: "small" }, [Math.abs(last.id), last.model, last.client, stateOf(last)[0], duration(elapsed(entry, now))].join(" · "));
      open.addEventListener("click", () => {
        store.set({ opened: id });
        document.getElementById(`request-${id}`)?.querySelector("button")?.focus();
      });
      return make("li", {}, open);
    }))] : [];
  }

  /** What moved in the window, or between the pins, held against the time before. */
  async function showChanges() {
    const { ring, clock } = feed;
    const { pins, status } = store.state;
    const [from, to] = pins.length > 1 ? pins : view.range(Date.now() / 1000);
    const start = from - BEFORE * (to - from);
    const passes = filter.ticks();
    /** @type {import("./changes.js").Measure[]} */
    const measures = [];
    /** @type {(name: string, of: (from: number, to: number) => number, text: (value: number) => string, unit?: string) => void} */
    const add = (name, of, text, unit) => {
      measures.push({ name, before: of(start, from), after: of(from, to), text, unit });
    };
    const live = filter.on || (ring.end > 0 && ring.time[ring.first & ring.mask] <= start);
    if (live) {
      add(texts.tokensS, (a, b) => rates(ring, a, b, feed.tokenless, passes).mean, rate);
      add(texts.latency, (a, b) => quantiles(ring, ring.find(a), ring.find(b), [0.5], passes)[0], duration);
    }
    const among = (/** @type {number} */ a, /** @type {number} */ b) => requests.list().filter((entry) => entry.at >= a && entry.at < b && filter.entry(entry))
      .map(({ last }) => /** @type {any} */ (last));
    add(texts.firstToken, (a, b) => mean(among(a, b).map((last) => last.ttft_ms).filter((ms) => ms >= 0)), duration);
    add(texts.promptFromCache, (a, b) => {
      const all = among(a, b).filter((last) => last.cached_tokens >= 0 && last.prompt_tokens > 0);
      return (100 * mean(all.map((last) => last.cached_tokens))) / mean(all.map((last) => last.prompt_tokens));
    }, ...PERCENT);
    gauges.list.forEach(({ name, unit }, i) => add(name, (a, b) => valueOf(`gauge-${i}`, 0, a, b), (value) => `${valueText(value)} ${unit}`));
    try {
      const answer = status?.history && session.node === "" && await session.get(`history?from=${Math.floor(start + clock.skew)}&to=${Math.ceil(to + clock.skew)}`);
      for (const [name, [label, ...rest]] of Object.entries(SERIES)) {
        if (answer && !(live && /^(tok|lat)/.test(name))) {
          add(label, (a, b) => meanOf(answer, name, a + clock.skew, b + clock.skew), ...rest);
        }
      }
    } catch {
      // then without the board's
    }
    const moves = changes(measures);
    show(changed, put(texts.changedTitle, { from: moment(from, to - from), to: moment(to, to - from), span: span(from - start) }),
      [make("ul", {}, ...(moves.length ? moves : [texts.nothingMoved]).map((text) => make("li", {}, text)))], moves[0]);
    changed.scrollIntoView({ block: "nearest" });
  }
}
