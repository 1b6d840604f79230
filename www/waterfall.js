// @ts-check
/** Where the time of a request went: its phases, one after the other, as a bar and in words. */

import { make } from "./dom.js";
import { duration, rate, whole } from "./format.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

/**
 * @typedef {object} Phase
 * @property {keyof typeof texts.phases} kind
 * @property {number} ms
 * @property {number} [rate]  tokens a second
 * @property {string} [more]
 */

const LEAST_MS = 0.05;

/**
 * The phases of a request. What the engine did not tell stands between those that
 * it told, so that they are as long as the request in all.
 *
 * @param {any} last  the latest event about it
 * @param {number} elapsed  ms, of one that runs
 * @returns {Phase[]}
 */
export function phases(last, elapsed) {
  const all = last.duration_ms ?? elapsed;
  const first = Math.min(last.ttft_ms ?? (last.decode_ms === undefined ? all : all - last.decode_ms), all);
  /** @type {Phase[]} */
  const list = [];
  let left = first;

  /** @param {Phase["kind"]} kind @param {number | undefined} ms @param {Partial<Phase>} [more] */
  const add = (kind, ms, more) => {
    const length = Math.min(ms ?? 0, left);
    left -= length;
    if (length >= LEAST_MS) {
      list.push({ kind, ms: length, ...more });
    }
  };
  add("queue", last.queue_ms);
  add("load", last.load_ms);
  add("prefill", last.prefill_ms, {
    rate: last.prefill_tokens_per_second,
    more: last.cached_tokens ? put(texts.fromCache, { n: whole(last.cached_tokens), all: whole(last.prompt_tokens) }) : undefined });
  add(first < all ? "first" : "rest", left);
  left = all - first;
  const decode = Math.min(last.decode_ms ?? left, left);
  const think = Math.min(last.think_ms ?? 0, decode);
  add("think", think, { rate: last.reasoning_tokens && last.reasoning_tokens / (think / 1000) });
  add("answer", decode - think, { rate: last.decode_tokens_per_second ?? last.tokens_per_second });
  add("rest", left);
  return list;
}

/** @returns {{bar: HTMLElement, list: HTMLElement, fill: (phases: Phase[]) => void}} */
export function makeWaterfall() {
  const bar = make("div", { class: "fall", role: "img" });
  const list = make("ul", { class: "phases" });
  let shown = "";
  return { bar, list, fill };

  /** @param {Phase[]} phases */
  function fill(phases) {
    const words = phases.map(({ kind, ms, rate: per, more }) => [
      texts.phases[kind][0], duration(ms), [per === undefined ? "" : put(texts.tokensRateLong, { n: rate(per) }), more].filter(Boolean).join(", ")]);
    const text = words.map((parts) => parts.filter(Boolean).join(" ")).join("; ");
    if (text === shown) {
      return;
    }
    shown = text;
    bar.setAttribute("aria-label", put(texts.whereTimeWent, { phases: text }));
    bar.replaceChildren(...phases.map(({ kind, ms }, i) => {
      const part = make("i", { "data-part": kind, title: `${words[i].filter(Boolean).join(" ")}. ${texts.phases[kind][1]}` });
      part.style.flexGrow = String(ms);
      return part;
    }));
    list.replaceChildren(...words.map(([name, time, more], i) => make("li", { title: texts.phases[phases[i].kind][1] }, make("i", { "data-part": phases[i].kind }), `${name} `,
      make("b", { class: "number" }, time), more && ` ${more}`)));
  }
}
