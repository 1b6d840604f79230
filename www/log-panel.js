// @ts-check
/** What happened, as a list: notes, switches, pauses, lost connections. The same as the marks of the charts. */

import { byId, make, setText } from "./dom.js";
import { age, clockTime } from "./format.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

const SHOWN = 100;

/** @param {import("./app.js").Context} context */
export function mountLog({ frame, session: { feed } }) {
  const list = byId("log-list", HTMLElement);
  const details = byId("log-details", HTMLDetailsElement);
  let version = 0;
  let listed = 0;
  details.addEventListener("toggle", () => frame.request());

  frame.add(() => {
    if (version !== feed.marksVersion) {
      version = feed.marksVersion;
      const latest = feed.marks[feed.marks.length - 1];
      // It comes with the first note: a pause alone does not move what is below.
      byId("log", HTMLElement).hidden &&= !feed.marks.some(({ kind }) => ["note", "warn", "error"].includes(kind));
      setText(byId("log-latest", HTMLElement), latest ? `${clockTime(latest.from)} ${textOf(latest)}` : "");
    }
    if (details.open && listed !== version) {
      listed = version;
      list.replaceChildren(...feed.marks.slice(-SHOWN).reverse().map((mark) => make("li", { "data-kind": mark.kind },
        make("span", { class: "number" }, clockTime(mark.from)), " ", textOf(mark))));
    }
    return Infinity;
  });
}

/** @param {import("./feed.js").Mark} mark */
function textOf({ kind, from, to, text }) {
  return kind === "model" ? put(texts.eventModel, { model: text }) : kind === "warn" || kind === "error" ? put(texts.eventLevels[kind], { text })
    : to > from && to !== Infinity ? put(texts.eventLasted, { text, age: age(to - from) }) : text;
}
