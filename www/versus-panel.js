// @ts-check
/** The panel that lays a model in one time over a model in another: two charts that begin at 0, and a table of the differences. */

import { difference } from "./changes.js";
import { announce, byId, make } from "./dom.js";
import { copy } from "./export.js";
import { dateTime, duration, markdown, NONE, niceCeiling, rate, scaleText, short, span, whole } from "./format.js";
import * as texts from "./texts.js";
import { ofRows, ofTicks, sumOf, weighted } from "./versus.js";
import { put } from "./words.js";

/** @typedef {import("./versus.js").Side} Side */
/** @typedef {import("./versus.js").Versus} Versus */
/** @typedef {ReturnType<typeof ofTicks> & {about: boolean, ttft: number, joules: number, requests: number}} Told */

const LENGTHS = [60, 300, 900, 3600, 21_600, 86_400];
const STEPS = [1, 5, 10, 20, 60, 120, 300, 600, 1200, 3600, 7200, 14_400, 21_600]; // of the axis, seconds
const DAY_S = 86_400;
const KEPT_S = 14 * DAY_S; // what a server keeps
const NEAR_S = 1; // ticks that begin so much later are all of a time

/** @type {[name: string, value: (told: Told) => number, text: (value: number) => string, what: string][]} */
const MEASURES = [
  [texts.tokensS, ({ mean }) => mean, rate, texts.meanWhat],
  [texts.tokensBusy, ({ busy }) => busy, rate, texts.tokensBusyWhat],
  [texts.betweenTokens, ({ p50 }) => p50, duration, texts.betweenTokensWhat],
  [texts.betweenP95, ({ p95 }) => p95, duration, texts.betweenP95What],
  [texts.firstTokenMedian, ({ ttft }) => ttft, duration, texts.firstTokenMedianWhat],
  [texts.energyPerToken, ({ joules, tokens }) => joules / tokens, (value) => put(texts.joules, { n: short(value) }), texts.energyPerTokenWhat],
  [texts.requestsEnded, ({ requests }) => requests, whole, texts.requestsEndedWhat],
];
const ROWS_ONLY = [2, 3]; // measures that are an estimate where they are of rows

/**
 * @param {import("./app.js").Context} context
 * @param {typeof import("uplot")} Plot
 */
export function mountVersus({ store, colours, session }, Plot) {
  const { feed, requests } = session;
  const panel = byId("versus", HTMLElement);
  const form = byId("versus-form", HTMLFormElement);
  const result = byId("versus-result", HTMLElement);
  const length = byId("versus-length", HTMLSelectElement);
  const sides = /** @type {const} */ (["a", "b"]).map((name) => ({ name, model: byId(`versus-${name}`, HTMLSelectElement), from: byId(`versus-${name}-from`, HTMLInputElement) }));
  /** @type {import("uplot")[]} */
  let plots = [];
  /** @type {string[]} models that have a history of their own */
  let kept = [];
  /** @type {Versus | null} */
  let done = null;
  let table = "";

  byId("versus-open", HTMLButtonElement).addEventListener("click", async ({ target }) => {
    /** @type {Element} */ (target).closest("details")?.removeAttribute("open");
    store.set({ versus: store.state.versus ?? await usual() });
    sides[0].model.focus();
  });
  byId("versus-close", HTMLButtonElement).addEventListener("click", close);
  byId("versus-copy", HTMLButtonElement).addEventListener("click", () => copy(table));
  panel.addEventListener("keydown", ({ key }) => key === "Escape" && close());
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", async ({ target }) => {
    const seconds = Number(length.value);
    const [a, b] = sides.map(({ name, model, from }) => { // now: what is awaited may be late
      const [typed, shown] = [Date.parse(from.value) / 1000, done?.[name].from ?? NaN];
      return { model: model.value, from: typed === Math.floor(shown) ? shown : typed }; // the form has whole seconds
    });
    for (const [side, { model }] of /** @type {const} */ ([[a, sides[0]], [b, sides[1]]])) {
      side.from = model === target ? await latest(side.model) - seconds : side.from; // when it ran last
    }
    if (a.from > 0 && b.from > 0) {
      store.set({ versus: { a, b, length: seconds } });
    }
  });
  store.on(["versus", "filled", "status"], ({ versus, filled, status }) => {
    panel.hidden = !versus;
    if (!versus) {
      done = null;
      clear();
    } else if (versus !== done && filled && status) {
      done = versus;
      show(versus);
    }
  });
  store.on(["restyled"], () => plots.forEach((plot) => plot.redraw()));
  new ResizeObserver(() => plots.forEach((plot) => plot.setSize({ width: plot.root.parentElement?.clientWidth ?? 0, height: plot.height }))).observe(result);

  function close() {
    store.set({ versus: null });
    byId("plots", HTMLElement).focus();
  }

  function clear() {
    plots.splice(0).forEach((plot) => plot.destroy());
    result.replaceChildren();
  }

  /** @returns {Promise<Versus>} the two models that ran last, or one now and a day ago; or the times that are pinned */
  async function usual() {
    const { pins, model } = store.state;
    const [b = model, a = b] = [...new Set([...feed.lanes].filter(({ time }) => time > 0).sort((x, y) => y.time - x.time).map((lane) => lane.model))];
    const { ring } = feed;
    const end = await latest(b);
    const length = LENGTHS[ring.end > ring.first && ring.time[ring.first & ring.mask] > end - LENGTHS[1] ? 0 : 1];
    const from = end - length;
    const [pinA, pinB] = pins;
    return pinB ? { a: { model: b, from: pinA }, b: { model: b, from: pinB }, length: Math.max(1, Math.min(60, Math.round(pinB - pinA))) }
      : { a: { model: a, from: a === b ? from - DAY_S : await latest(a) - length }, b: { model: b, from }, length };
  }

  /**
   * When a model's latest tick came, browser's clock; now if that is not known.
   *
   * @param {string} model
   */
  async function latest(model) {
    const times = feed.lanes.filter((lane) => lane.time > 0 && (!model || lane.model === model)).map(({ time }) => time);
    if (!times.length && kept.includes(model)) {
      const { rows } = await history(["ticks"], -KEPT_S, Infinity, model, 300) ?? { rows: [] };
      times.push(...rows.filter(([, ticks]) => ticks).map(([time]) => feed.clock.toBrowser(time ?? 0) + 300));
    }
    return times.length ? Math.max(...times) : Date.now() / 1000;
  }

  /**
   * @param {string[]} series
   * @param {number} from  server's clock, or -SECONDS
   * @param {number} to
   * @param {string} [model]
   * @param {number} [step]  seconds; 0: the shortest that goes back so far
   * @returns {Promise<import("./contract").HistoryAnswer | null>}
   */
  async function history(series, from, to, model = "", step = 0) {
    if (!store.state.status?.history || session.node) {
      return null; // a gateway keeps its own
    }
    const query = `history?series=${series}&from=${Math.floor(from)}${to < Infinity ? `&to=${Math.ceil(to)}` : ""}${step ? `&step=${step}` : ""}`;
    return session.get(query + (model ? `&model=${encodeURIComponent(model)}` : "")).catch(() => null);
  }

  /**
   * @param {Side} side
   * @param {number} seconds
   * @returns {Promise<Told>}
   */
  async function tell(side, seconds) {
    const { ring, clock } = feed;
    const here = ring.end > ring.first && ring.time[ring.first & ring.mask] <= side.from + NEAR_S;
    const from = side.from + clock.skew;
    const own = !side.model || kept.includes(side.model);
    const [rows, board] = await Promise.all([
      own ? history(["ticks", "tokens", "latency_p50_ms", "latency_p95_ms", "requests"], from, from + seconds, side.model) : null,
      history(["watts"], from, from + seconds),
    ]);
    const { ttft } = requests;
    const first = Array.from(ttft.time.subarray(0, ttft.count)).flatMap((time, i) => (time >= side.from && time < side.from + seconds
      && (!side.model || ttft.entries[i].last.model === side.model) ? [ttft.value[i]] : []));
    const told = here || !rows ? ofTicks(feed, side, seconds) : ofRows(rows, from, seconds, feed.tokenless);
    return { ...told, mean: here || rows ? told.mean : NaN, about: !here, ttft: weighted(first, first.map(() => 1)),
      joules: board ? sumOf(board, "watts") * board.step : NaN, requests: rows ? sumOf(rows, "requests") : NaN };
  }

  /** @param {Versus} versus */
  async function show(versus) {
    const { a, b, length: seconds } = versus;
    kept = (await history(["ticks"], Date.now() / 1000 + feed.clock.skew, Infinity))?.models ?? [];
    if (done !== versus) {
      return; // another was chosen meanwhile: the form has it
    }
    const models = [...new Set([...feed.lanes.map((lane) => lane.model), ...kept, a.model, b.model])].filter(Boolean);
    sides.forEach(({ name, model, from }) => {
      model.replaceChildren(...["", ...models].map((one) => make("option", { value: one }, one || texts.allModels)));
      model.value = versus[name].model;
      from.value = localTime(versus[name].from);
    });
    length.replaceChildren(...[...new Set([...LENGTHS, seconds])].sort((x, y) => x - y).map((one) => make("option", { value: String(one) }, span(one))));
    length.value = String(seconds);
    const told = await Promise.all([tell(a, seconds), tell(b, seconds)]);
    if (done !== versus) {
      return; // another was asked for meanwhile
    }
    const heads = [a, b].map(({ model, from }, i) => `${"AB"[i]}: ${model || texts.allModels}, ${dateTime(from)}`);
    const rows = MEASURES.map(([name, value, text], i) => {
      const [before, after] = told.map(value);
      const cells = [before, after].map((one, k) => (Number.isFinite(one) ? (told[k].about && ROWS_ONLY.includes(i) ? "~" : "") + text(one) : NONE));
      return [name, ...cells, before > 0 && after === after ? difference({ before, after }) : NONE];
    });
    const titles = [...heads, texts.pinHeads[3]];
    table = markdown(["", ...titles], rows);
    clear();
    result.replaceChildren(
      make("p", { class: "hint" }, make("span", { class: "solid-line" }), heads[0], make("br"), make("span", { class: "dashed-line" }), heads[1]),
      figure(texts.tokensPerSecond, told, "rate", seconds), figure(texts.latencyChart, told, "latency", seconds),
      make("table", {}, make("thead", {}, make("tr", {}, make("td"), ...titles.map((head) => make("th", { scope: "col", class: "amount" }, head)))),
        make("tbody", {}, ...rows.map(([name, ...cells], i) => make("tr", { title: MEASURES[i][3] }, make("th", { scope: "row" }, name),
          ...cells.map((text, i) => make("td", { class: "amount", "data-title": ["A", "B", titles[2]][i] }, text)))))),
      ...(told.some(({ about }) => about) ? [make("p", { class: "hint" }, texts.versusRows)] : []),
    );
    plots.forEach((plot) => plot.setSize({ width: plot.root.parentElement?.clientWidth ?? 0, height: plot.height }));
    announce(rows.slice(0, 2).map((row) => row.join(" ")).join(". "));
  }

  /**
   * @param {string} title
   * @param {Told[]} told
   * @param {"rate" | "latency"} what
   * @param {number} seconds
   */
  function figure(title, told, what, seconds) {
    const area = make("div");
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const axis = { font: `${Math.round(0.75 * rem)}px system-ui, sans-serif`, stroke: () => colours.muted, ticks: { show: false }, grid: { stroke: () => colours.grid, width: 1 } };
    const [a, b] = told.map((one) => /** @type {import("uplot").AlignedData} */ ([one.x, one[what]]));
    plots.push(new Plot({
      width: 300, height: 9 * rem, legend: { show: false }, cursor: { show: false }, padding: [0.6 * rem, rem, 0, 0],
      scales: { x: { time: false, range: [0, seconds] }, y: { range: (_, __, max) => [0, niceCeiling(max)] } },
      axes: [{ ...axis, size: 1.6 * rem, space: 4 * rem, incrs: STEPS, values: (_, splits) => splits.map((s) => (s ? span(s) : "0")) },
        { ...axis, size: 3.4 * rem, values: (_, splits) => splits.map(scaleText) }],
      series: [{}, { stroke: () => colours.lane(0), width: 0.1 * rem, points: { show: false } }, { stroke: () => colours.lane(1), width: 0.1 * rem, dash: [6, 4], points: { show: false } }],
    }, Plot.join([a, b]), area));
    return make("figure", { class: "versus-plot" }, make("figcaption", {}, title), area);
  }
}

/** @param {number} unix  seconds @returns {string} as datetime-local has it */
function localTime(unix) {
  return new Date((unix - new Date(unix * 1000).getTimezoneOffset() * 60) * 1000).toISOString().slice(0, 19);
}
