// @ts-check
/**
 * The boards behind a gateway, a card each, with their sums; on the page of one
 * of them the way back. Numbers are drawn four times a second, and the small lines
 * once, however many events come.
 */

import { format } from "./address.js";
import { announce, byId, make, setAttr, setHidden, setName, setText } from "./dom.js";
import { hottest, minutes, modelOf, ratesOf, trouble, wattsOf } from "./fleet.js";
import { age, NONE, rate as rateText, short, whole } from "./format.js";
import { isDue, untilNext } from "./frame.js";
import * as texts from "./texts.js";
import { counted, put } from "./words.js";

/** @typedef {import("./fleet.js").Node} Node */
/** @typedef {import("./fleet.js").State} State */
/** @typedef {"name" | "rate" | "heat" | "state"} Order */

/**
 * A card, and what it shows.
 *
 * @typedef {object} Card
 * @property {HTMLLIElement} item
 * @property {Record<"link" | "here" | "state" | "model" | "rate" | "heat" | "watts" | "age" | "trouble", HTMLElement>} part
 * @property {HTMLCanvasElement} spark
 * @property {boolean} seen    it is in the part of the list that is scrolled to
 * @property {string} name
 * @property {number} rate     tokens/s
 * @property {number} heat     °C; NaN: unknown
 * @property {number} rank     the greater, the worse it is
 * @property {State} told      the state that it had at the last drawing
 * @property {string} text     in which the search looks
 */

const EVERY_S = 0.25; // nobody can read digits that change faster
const SPARK_EVERY_S = 1;
const SORT_EVERY_S = 2; // cards do not jump more often
/** @type {Record<State, number>} */
const RANKS = { live: 0, stale: 2, gone: 3 };
const names = new Intl.Collator(texts.LANGUAGE, { numeric: true });

/** How cards are sorted. @type {Record<Order, (a: Card, b: Card) => number>} */
export const ORDERS = {
  name: byName,
  rate: (a, b) => b.rate - a.rate || byName(a, b),
  heat: (a, b) => known(b.heat) - known(a.heat) || byName(a, b),
  state: (a, b) => b.rank - a.rank || byName(a, b),
};

/** @param {{name: string}} a @param {{name: string}} b */
function byName(a, b) {
  return names.compare(a.name, b.name);
}

/** @param {number} value */
function known(value) {
  return Number.isNaN(value) ? -Infinity : value;
}

/** @param {import("./app.js").Context} context */
export function mountFleet(context) {
  if (context.session.node) {
    mountNarrowed(context);
  } else {
    mountCards(context);
  }
}

/** The page of one board: its name and state, and the way back to all. @param {import("./app.js").Context} context */
function mountNarrowed({ store, frame, session: { node: name, fleet } }) {
  const bar = byId("narrowed", HTMLElement);
  const [back, own] = [byId("narrowed-back", HTMLAnchorElement), byId("narrowed-own", HTMLAnchorElement)];
  const state = byId("narrowed-state", HTMLElement);
  let drawn = 0;
  bar.hidden = false;
  document.documentElement.dataset.narrowed = "";
  setText(byId("narrowed-name", HTMLElement), name);
  store.on(["span"], ({ span }) => setAttr(back, "href", format({ span, zoom: null, find: "", opened: 0 }) || "#"));
  frame.add((now) => {
    if (!isDue(drawn, EVERY_S, now)) {
      return untilNext(EVERY_S, now);
    }
    drawn = now;
    const node = fleet.nodes.get(name);
    const is = node && store.state.connection.phase === "live" ? fleet.state(node, now) : null;
    setAttr(bar, "data-state", is ?? (node ? "lost" : null));
    setText(state, node ? put(texts.boardIs, { state: is ? texts.boardStates[is] : texts.boardNotKnown, ago: ageText(node.heard, now) }) : store.state.filled ? texts.boardUnknown : "");
    own.hidden = !node?.url;
    setAttr(own, "href", node?.url || null);
    return untilNext(EVERY_S, now);
  });
}

/** @param {number} heard @param {number} now */
function ageText(heard, now) {
  return heard > 0 ? put(texts.ago, { age: age(now - heard) }) : NONE;
}

/** @param {import("./app.js").Context} context */
function mountCards({ store, frame, colours, session: { feed, fleet } }) {
  const panel = byId("fleet", HTMLElement);
  const list = byId("fleet-cards", HTMLUListElement);
  const find = byId("fleet-find", HTMLInputElement);
  const order = byId("fleet-sort", HTMLSelectElement);
  const none = byId("fleet-none", HTMLElement);
  const sum = { live: byId("fleet-live", HTMLElement), rate: byId("fleet-rate", HTMLElement), watts: byId("fleet-watts", HTMLElement) };
  /** @type {Map<string, Card>} */
  const cards = new Map();
  const views = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      const card = target instanceof HTMLElement && cards.get(target.dataset.node ?? "");
      if (card) {
        card.seen = isIntersecting;
      }
    }
    sparked = 0;
    frame.request();
  });
  let drawn = 0;
  let sparked = 0;
  let sorted = 0;
  let asked = false; // for another order

  const again = () => { drawn = sparked = sorted = 0; frame.request(); };
  order.addEventListener("change", () => { asked = true; again(); });
  find.addEventListener("input", again);
  store.on(["connection", "restyled"], again);

  frame.add((now) => {
    if (fleet.nodes.size === 0) {
      setHidden(panel, true);
      return Infinity;
    }
    if (!isDue(drawn, EVERY_S, now)) {
      return untilNext(EVERY_S, now);
    }
    drawn = now;
    setHidden(panel, false);
    drawCards(now);
    if (isDue(sorted, SORT_EVERY_S, now)) {
      sort(now);
    }
    if (isDue(sparked, SPARK_EVERY_S, now)) {
      sparked = now;
      drawSparks(now);
    }
    return untilNext(EVERY_S, now);
  });

  /** @param {number} now */
  function drawCards(now) {
    const rates = ratesOf(feed, now);
    const known = store.state.connection.phase === "live";
    const total = { live: 0, rate: 0, watts: 0, metered: 0 };
    /** @type {string[]} */
    const gone = [];
    for (const [name, card] of cards) {
      if (!fleet.nodes.has(name)) {
        views.unobserve(card.item);
        card.item.remove();
        cards.delete(name);
      }
    }
    setAttr(panel, "data-stale", known ? null : "");
    for (const node of fleet.nodes.values()) {
      const card = cards.get(node.name) ?? addCard(node.name);
      const state = fleet.state(node, now);
      drawCard(card, node, known ? state : null, rates.get(node.name), now);
      if (state === "gone" && card.told !== "gone") {
        gone.push(node.name);
      }
      card.told = state;
      const watts = wattsOf(node);
      if (state === "live") {
        total.live++;
        total.rate += card.rate;
        total.watts += Number.isNaN(watts) ? 0 : watts;
        total.metered += Number(!Number.isNaN(watts));
      }
    }
    setText(sum.live, known ? put(texts.liveOf, { n: total.live, all: fleet.nodes.size }) : NONE);
    setText(sum.rate, known ? rateText(total.rate) : NONE);
    setText(sum.watts, known && total.metered ? put(texts.watts, { n: short(total.watts) }) : NONE);
    setAttr(sum.watts, "title", total.metered < total.live ? put(texts.powerOf, { n: total.metered, all: total.live }) : null);
    if (known && gone.length) {
      announce(gone.length > 3 ? counted(texts.boardsGone, gone.length) : put(texts.gone, { names: gone.join(", ") }));
    }
  }

  /** @param {string} name @returns {Card} */
  function addCard(name) {
    const part = {
      link: make("a", { class: "node-name" }), here: make("a", { class: "node-here" }, texts.showHere), state: make("span", { class: "node-state" }),
      model: make("p", { class: "node-model name" }), rate: make("b", { class: "number" }), heat: make("dd"), watts: make("dd"), age: make("dd"),
      trouble: make("p", { class: "node-trouble" }),
    };
    const spark = make("canvas", { class: "node-spark", "aria-hidden": "true" });
    const facts = make("dl", { class: "node-facts number" }, .../** @type {const} */ ([
      [texts.temperature, texts.boardHeatWhat, part.heat], [texts.power, texts.boardPowerWhat, part.watts], [texts.newestEvent, texts.boardAgeWhat, part.age],
    ]).map(([name, title, value]) => make("div", { title }, make("dt", { class: "unseen" }, name), value)));
    const item = make("li", { class: "node", "data-node": name }, make("h3", {}, part.link, part.state), part.model,
      make("p", { class: "node-rate", title: texts.boardRateWhat }, part.rate, ` ${texts.perSecondUnit}`), spark, facts, part.trouble, part.here);
    setText(part.link, name);
    setAttr(part.link, "title", name);
    /** @type {Card} */
    const card = { item, part, spark, seen: true, name, rate: 0, heat: NaN, rank: 0, told: "live", text: "" };
    cards.set(name, card);
    list.append(item);
    views.observe(item);
    sorted = sparked = 0;
    return card;
  }

  /**
   * @param {Card} card
   * @param {Node} node
   * @param {State | null} state  null: without a connection nothing is known
   * @param {{rate: number, running: boolean, time: number} | undefined} lanes  of its ticks
   * @param {number} now
   */
  function drawCard(card, node, state, lanes, now) {
    const { item, part } = card;
    const wrong = trouble(node);
    const watts = wattsOf(node);
    const live = state === "live";
    const here = format({ ...store.state, zoom: null, find: "", opened: 0, node: node.name });
    card.rate = lanes ? lanes.rate : live && node.tokens_per_second > 0 ? node.tokens_per_second : 0;
    card.heat = hottest(node);
    card.rank = state ? RANKS[state] + Number(live && wrong !== "") : card.rank;
    const model = modelOf(node);
    const is = state ? texts.boardStates[state] : texts.boardNotKnown;
    card.text = `${node.name} ${model} ${is}`.toLowerCase();
    setAttr(item, "data-state", state ?? "lost");
    setAttr(part.link, "href", node.url || here);
    part.here.hidden = !node.url;
    setAttr(item, "data-own", node.url ? "" : null);
    setAttr(part.here, "href", here);
    setAttr(part.here, "aria-label", put(texts.showHereName, { name: node.name }));
    setText(part.state, node.said?.paused && live ? texts.states.paused : is);
    setName(part.model, model || NONE);
    setAttr(part.model, "title", model || null);
    setText(part.rate, live ? rateText(card.rate) : NONE);
    setText(part.heat, put(texts.celsius, { n: whole(card.heat) }));
    setText(part.watts, put(texts.watts, { n: short(watts) }));
    setText(part.age, ageText(node.heard, now));
    setText(part.trouble, wrong);
    setAttr(part.trouble, "title", wrong || null);
  }

  /**
   * Put the cards in order. While somebody points at one, or has the focus on it, they stay where they are.
   *
   * @param {number} now
   */
  function sort(now) {
    const wanted = find.value.trim().toLowerCase();
    let shown = 0;
    for (const { item, text } of cards.values()) {
      item.hidden = !text.includes(wanted);
      shown += Number(!item.hidden);
    }
    none.hidden = shown > 0;
    if (!asked && (list.contains(document.activeElement) || list.matches(":hover"))) {
      return;
    }
    sorted = now;
    asked = false;
    const ordered = [...cards.values()].sort(ORDERS[/** @type {Order} */ (order.value)] ?? byName);
    ordered.forEach(({ item }, i) => {
      if (list.children[i] !== item) {
        list.insertBefore(item, list.children[i] ?? null);
      }
    });
  }

  /** @param {number} now */
  function drawSparks(now) {
    const seen = [...cards.values()].filter(({ seen: is, item }) => is && !item.hidden);
    if (!seen.length) {
      return;
    }
    const ratio = devicePixelRatio;
    const { clientWidth, clientHeight } = seen[0].spark; // all cards are alike
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    const lines = minutes(feed, now);
    for (const { name, spark, told } of seen) {
      drawLine(spark, width, height, lines.get(name), told === "live" ? colours.accent : colours.muted, ratio);
    }
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} width   px of the device
 * @param {number} height
 * @param {Float32Array | undefined} values  a second each
 * @param {string} colour
 * @param {number} ratio
 */
function drawLine(canvas, width, height, values, colour, ratio) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const drawing = canvas.getContext("2d");
  if (!drawing || !width) {
    return;
  }
  drawing.clearRect(0, 0, width, height);
  if (!values) {
    return;
  }
  const top = Math.max(...values) || 1;
  drawing.beginPath();
  values.forEach((value, i) => drawing.lineTo((i * width) / (values.length - 1), height - ratio - (value / top) * (height - 2 * ratio)));
  drawing.strokeStyle = colour;
  drawing.lineWidth = 1.5 * ratio;
  drawing.lineJoin = "round";
  drawing.stroke();
}
