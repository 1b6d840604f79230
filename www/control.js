// @ts-check
/** The engine's card: its model, the models to switch to, pause and resume. */

import { byId, make, setAttr, setHidden, setName, setText } from "./dom.js";
import { NONE } from "./format.js";
import { cpuText, factsText } from "./model-facts.js";
import * as texts from "./texts.js";

const LONG = 20; // characters of a name that are set smaller
const SEARCH_FROM = 8; // models before there is a search field

/** @param {import("./app.js").Context} context */
export function mountControl({ store, frame, colours, lines, session }) {
  const { feed, fleet } = session;
  const card = byId("card-control", HTMLElement);
  const list = byId("models", HTMLUListElement);
  const search = byId("model-search", HTMLInputElement);
  const pause = byId("pause", HTMLButtonElement);
  const problem = byId("control-problem", HTMLElement);
  const name = byId("model", HTMLElement);

  list.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("button");
    if (button && button.dataset.model !== undefined) {
      run({ action: "switch_model", model: button.dataset.model });
    }
  });
  pause.addEventListener("click", () => run({ action: store.state.paused ? "resume" : "pause" }));
  search.addEventListener("input", filter);

  /** @param {import("./contract").Command} command */
  async function run(command) {
    setText(problem, "");
    const why = await session.send(command);
    if (why) { // else what was wrong with an earlier one stays
      setText(problem, why);
    }
  }

  /** The list's end fades while there is more below. */
  function showMore() {
    setAttr(list, "data-more", list.scrollHeight - list.clientHeight - list.scrollTop > 4 ? "" : null);
  }
  list.addEventListener("scroll", showMore);
  new ResizeObserver(showMore).observe(list);

  function filter() {
    const wanted = search.value.trim().toLowerCase();
    for (const item of list.children) {
      item.toggleAttribute("hidden", !item.textContent?.toLowerCase().includes(wanted));
    }
    showMore();
  }

  store.on(["models", "override"], ({ models, override }) => {
    const names = override === null ? models : ["", ...models]; // "": each request gets the model that it names
    list.replaceChildren(...names.map((model) => make("li", {},
      make("button", { type: "button", "data-model": model }))));
    for (const button of list.querySelectorAll("button")) {
      setName(button, button.dataset.model || texts.clientsChoice);
    }
    setAttr(list, "data-alone", names.length === 1 ? "" : null); // the one model stands above
    search.hidden = models.length < SEARCH_FROM;
    filter();
  });

  store.on(["model", "models", "override", "loaded", "facts", "pending", "paused", "connection", "hello"], (state) => {
    const live = state.connection.phase === "live";
    setAttr(card, "aria-busy", state.pending ? "true" : null);
    for (const button of list.querySelectorAll("button")) {
      const { model = "" } = button.dataset;
      const loaded = state.loaded.includes(model);
      setAttr(button, "aria-pressed", String(model === (state.override === false ? "" : state.model)));
      const facts = state.facts.find((one) => one.model === model);
      const note = facts?.loading ? texts.loading : [loaded ? texts.loaded : "", cpuText(facts)].filter(Boolean).join(", ");
      const known = [loaded ? texts.loadedWhat : "", factsText(facts)].filter(Boolean).join(" · ");
      setAttr(button, "data-note", note ? ` ${note}` : null);
      setAttr(button, "title", known ? `${model}: ${known}` : model || null);
      button.disabled = !live;
    }
    pause.disabled = !live;
    setAttr(pause, "title", state.hello?.source === "meter" && !state.paused ? texts.pauseWhat : null);
    setText(byId("pause-text", HTMLElement), state.paused ? texts.resume : texts.pause);
    setAttr(byId("pause-icon", SVGElement), "href", state.paused ? "#i-play" : "#i-pause");
    if (!live) {
      setText(problem, "");
    }
  });

  frame.add((now) => {
    const { hello, models, commands, status } = store.state;
    // Of a gateway, the boards have the engines: what is pressed here would reach none of them.
    const none = !session.node && hello?.source === "none" && (fleet.nodes.size > 0 || (status?.nodes ?? 0) > 0) && !models.length && !commands.length
      && !feed.lanes.some(({ node }) => node === "");
    setHidden(card, none);
    setAttr(document.documentElement, "data-engineless", none ? "" : null);
    const lane = feed.now(now).lane;
    const model = store.state.model || lane?.model || "";
    setName(name, model || NONE);
    setAttr(name, "title", model || null);
    setAttr(name, "data-long", model.length - model.lastIndexOf("/") > LONG ? "" : null);
    const own = feed.lanes.find((known) => known.model === model);
    byId("model-lane", HTMLElement).style.background = own ? colours.lane(lines.lineOf[own.index]) : "";
    return Infinity;
  });
}
