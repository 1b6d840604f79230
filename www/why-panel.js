// @ts-check
/** Why it is slow, in a sentence on top for each model; what the answers take of energy, in the engine's card. */

import { announce, byId, setAttr, setHidden, setText } from "./dom.js";
import { short } from "./format.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

/** Seconds: a verdict that lasts is told again each 10 s, energy each second. */
const STALE_S = 30;

/**
 * @param {import("./contract").Energy} energy
 * @returns {string} "23.4 W · 1.80 J per token"
 */
export function energyText({ watts, joules_per_token: joules }) {
  return [typeof watts === "number" ? put(texts.watts, { n: short(watts) }) : texts.powerUnknown, joules === undefined ? "" : put(texts.perToken, { n: short(joules) })].filter(Boolean).join(" · ");
}

/** @param {import("./contract").Energy} energy */
export function energyNote({ scope, estimate, floor_watts: floor, wh, cost, tokens_per_wh: tokens }) {
  return [scope && put(estimate ? texts.powerOfScopeEstimate : texts.powerOfScope, { scope }), floor === undefined ? "" : put(texts.atRest, { n: short(floor) }),
    put(texts.whSince, { n: short(wh) }), cost === undefined ? "" : put(texts.cost, { n: short(cost) }), tokens === undefined ? "" : put(texts.tokensPerWh, { n: short(tokens) })].filter(Boolean).join(" · ");
}

/** @param {import("./app.js").Context} context */
export function mountWhy({ store, frame }) {
  const top = byId("verdict", HTMLElement);
  const line = byId("energy", HTMLElement);
  /** @type {Map<string, {line: string, told: number}>} those that last, the one that began first in front */
  const on = new Map();
  let told = 0;

  store.on(["verdict"], ({ verdict }) => {
    if (verdict) {
      const key = `${verdict.figure} ${verdict.model}`;
      if (verdict.on) {
        const text = `${verdict.model}: ${verdict.sentence}`;
        if (!on.has(key)) {
          announce(text); // once, however often it is told again
        }
        on.set(key, { line: text, told: Date.now() / 1000 });
      } else {
        on.delete(key);
      }
      frame.request();
    }
  });
  store.on(["energy"], ({ energy }) => {
    if (energy) {
      told = Date.now() / 1000;
      setText(line, energyText(energy));
      setAttr(line, "title", energyNote(energy));
      frame.request();
    }
  });
  frame.add((now) => {
    const live = store.state.connection.phase === "live";
    const lines = [...on.values()].filter((one) => now - one.told < STALE_S).map(({ line: text }) => text);
    setHidden(top, !lines.length || !live);
    setText(top, lines.join("\n"));
    setHidden(line, !live || now - told > STALE_S);
    return on.size || told ? 1000 : Infinity;
  });
}
