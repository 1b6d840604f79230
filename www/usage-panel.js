// @ts-check
/** What clients have used of the models, as a table. It is asked for while the panel is open. */

import { byId, make, setAttr, setName, setText } from "./dom.js";
import { age, clockTime, duration, NONE, whole } from "./format.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

/** @typedef {import("./contract").Usage} Usage */
/** @typedef {import("./contract").UsageAnswer} UsageAnswer */

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {string} [what]  it is
 * @property {(row: Usage) => string} text  "": there is nothing
 * @property {string} [kind]  class of its cells
 */

const EVERY_MS = 10_000;

/** @type {Column[]} */
const counts = [
  { title: texts.requests, what: texts.usageRequestsWhat, kind: "amount", text: ({ requests }) => whole(requests) },
  { title: texts.promptIn, what: texts.usageInWhat, kind: "amount", text: ({ prompt_tokens: n }) => whole(n) },
  { title: texts.cached, what: texts.cachedWhat, kind: "amount", text: ({ cached_tokens: n }) => whole(n) },
  { title: texts.answerOut, what: texts.usageOutWhat, kind: "amount", text: (row) => `${row.estimated_tokens ? "~" : ""}${whole(row.completion_tokens + row.estimated_tokens)}` },
  { title: texts.time, what: texts.usageTimeWhat, kind: "amount", text: ({ seconds }) => (seconds < 60 ? duration(seconds * 1000) : age(seconds)) },
  { title: texts.failedCount, what: texts.failedCountWhat, kind: "amount", text: ({ errors }) => whole(errors) },
  { title: texts.refusedCount, what: texts.refusedCountWhat, kind: "amount", text: ({ refused }) => whole(refused) },
];
/** @type {Record<string, Column[]>} */
const columnsBy = {
  client: [{ title: texts.client, text: ({ client }) => client || NONE }, { title: texts.key, text: ({ key }) => key ?? "" },
    { title: texts.program, kind: "wide", text: ({ agent }) => agent ?? "" }, ...counts],
  model: [{ title: texts.model, text: ({ model }) => model || NONE }, ...counts],
};

/** @param {import("./app.js").Context} context */
export function mountUsage({ store, session }) {
  const panel = byId("usage", HTMLElement);
  const details = byId("usage-details", HTMLDetailsElement);
  const note = byId("usage-note", HTMLElement);
  const link = byId("usage-csv", HTMLAnchorElement);
  const head = byId("usage-head", HTMLTableRowElement);
  const body = byId("usage-body", HTMLTableSectionElement);
  let by = "client";
  let span = "today";
  let asked = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  store.on(["override"], ({ override }) => {
    panel.hidden = override === null; // there is no meter
  });
  details.addEventListener("toggle", () => void load());
  document.addEventListener("visibilitychange", () => void load());
  for (const [name, choose] of /** @type {const} */ ([["by", (/** @type {string} */ value) => { by = value; }], ["span", (/** @type {string} */ value) => { span = value; }]])) {
    const buttons = [...panel.querySelectorAll(`[data-usage-${name}]`)];
    for (const button of buttons) {
      button.addEventListener("click", () => {
        choose(button.getAttribute(`data-usage-${name}`) ?? "");
        buttons.forEach((other) => setAttr(other, "aria-pressed", String(other === button)));
        void load();
      });
    }
  }

  /** Ask now, and again in a while: as long as somebody looks. */
  async function load() {
    clearTimeout(timer);
    if (!details.open || document.hidden) {
      return;
    }
    const mine = ++asked;
    const query = `by=${by}&span=${span}`;
    setAttr(link, "href", `./usage?${query}&format=csv`);
    try {
      const answer = await session.usage(query);
      if (mine === asked) {
        draw(answer);
      }
    } catch (error) {
      if (mine === asked) {
        setText(note, error instanceof Response ? put(texts.usageFailedStatus, { status: error.status }) : texts.usageFailed);
      }
    }
    if (mine === asked) {
      clearTimeout(timer);
      timer = setTimeout(() => void load(), EVERY_MS);
    }
  }

  /** @param {UsageAnswer} answer */
  function draw({ by: what, rows, others, total, since, time }) {
    const columns = columnsBy[what];
    const tokens = (/** @type {Usage} */ row) => row.prompt_tokens + row.completion_tokens + row.estimated_tokens;
    const sorted = [...rows].sort((a, b) => tokens(b) - tokens(a) || b.requests - a.requests);
    const older = time - since >= 86_400;
    setText(note, total.requests ? put(texts.usageSince, { time: older ? put(texts.ago, { age: age(time - since) }) : clockTime(Date.now() / 1000 - (time - since)) })
      : texts.noUsage);
    head.replaceChildren(...columns.map(({ title, what, kind }) => make("th", { scope: "col", ...(kind === "amount" && { class: "amount what", title: what ?? "" }) }, title)));
    body.replaceChildren(...sorted.map((row) => line(columns, row)),
      ...(others.requests ? [line(columns, others, texts.others)] : []), ...(sorted.length + (others.requests ? 1 : 0) > 1 ? [line(columns, total, texts.total)] : []));
  }

  /**
   * @param {Column[]} columns
   * @param {Usage} row
   * @param {string} [name]  of a sum
   */
  function line(columns, row, name) {
    return make("tr", name ? { class: "sum" } : {}, ...columns.map(({ title, text, kind }, i) => {
      const shown = i === 0 && name ? name : text(row);
      const cell = make(i === 0 ? "th" : "td", { "data-title": title, ...(i === 0 && { scope: "row" }), ...(kind && { class: kind }),
        ...((shown === "" || shown === "0") && { "data-none": "" }) });
      if (i === 0 && !name) {
        const label = make("span", { class: "cell" });
        setName(label, shown);
        cell.append(label);
      } else {
        setText(cell, shown || NONE);
      }
      return cell;
    }));
  }
}
