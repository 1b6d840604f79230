// @ts-check
/** What is known of the models beside their ticks: context, share on the CPU, loading, prompt cache. */

import { byId, setHidden, setText } from "./dom.js";
import { age, percent, whole } from "./format.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

/** @typedef {import("./contract").ModelFacts[number]} Facts */

/**
 * How much of a model is on the CPU; "" if nothing is, or nobody knows.
 *
 * @param {Facts | undefined} facts
 */
export function cpuText(facts) {
  return facts?.cpu_share ? put(texts.onTheCpu, { share: percent(facts.cpu_share) }) : "";
}

/**
 * How long a model has been loading: "12 s", "12 s, 45 %".
 *
 * @param {import("./contract").Loading} loading
 * @param {number} since  the same in the browser's clock
 * @param {number} now
 */
export function loadingText({ fraction }, since, now) {
  return [age(now - since), fraction === undefined ? "" : percent(fraction)].filter(Boolean).join(", ");
}

/**
 * The line below the active model's name: what loads, else what is known of it.
 *
 * @param {import("./app.js").Context} context
 */
export function mountModelFacts({ store, frame, session: { feed } }) {
  const line = byId("model-facts", HTMLElement);
  frame.add((now) => {
    const { facts, model, hello, connection } = store.state;
    const loading = connection.phase === "live" ? facts.filter((one) => one.loading) : [];
    setHidden(line, hello?.source !== "meter");
    setText(line, loading.length ? loading.map((one) => put(texts.loadingModel, { model: one.model || texts.itsModel,
      time: loadingText(/** @type {import("./contract").Loading} */ (one.loading), feed.clock.toBrowser(one.loading?.since ?? now), now) })).join(" · ")
      : factsText(facts.find((one) => one.model === model)));
    return loading.length ? 1000 : Infinity;
  });
}

/** @param {Facts | undefined} facts */
export function factsText(facts) {
  const { context_length: context, prompt_tokens: prompt, cached_tokens: cached = 0 } = facts ?? {};
  return [context ? put(texts.context, { n: whole(context) }) : "", cpuText(facts), prompt ? put(texts.promptsCached, { share: percent(cached / prompt) }) : ""]
    .filter(Boolean).join(" · ");
}
