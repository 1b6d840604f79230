// @ts-check
/** Keys for the whole page. They can be switched off, as speech input may type them (WCAG 2.1.4). */

import { byId, make } from "./dom.js";
import { isKiosk } from "./kiosk.js";
import * as texts from "./texts.js";
import { counted } from "./words.js";

/** @type {Record<string, number>} */
const SPANS = { 1: 60, 5: 300, a: Infinity };

/** @param {import("./app.js").Context} context */
export function mountKeys({ settings, store, view, session }) {
  const help = byId("help", HTMLDialogElement);
  byId("help-open", HTMLButtonElement).addEventListener("click", show);
  byId("help-close", HTMLButtonElement).addEventListener("click", () => help.close());
  help.addEventListener("click", (event) => {
    if (event.target === help) {
      help.close(); // a click outside of it
    }
  });
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (!settings.keys || isKiosk() || event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.repeat
      || !(target instanceof Element) || target.closest("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) {
      return; // a dialog has its own keys, even while nothing in it has the focus
    }
    if (key === " ") {
      if (target.closest("button, summary, a, [tabindex]")) {
        return; // it presses that, or scrolls it
      }
      view.toggleFreeze();
    } else if (key === "?") {
      show();
    } else if (key === "ArrowLeft" || key === "ArrowRight") {
      if (target.closest("summary, .scroll")) {
        return; // it scrolls
      }
      view.move(key === "ArrowLeft" ? -1 : 1);
    } else if (key === "+" || key === "=") {
      view.scale(0.5);
    } else if (key === "-") {
      view.scale(2);
    } else if (key === "Escape") {
      if (!document.querySelector("details.menu[open]")) { // that closes first
        view.resetZoom();
      }
    } else if (key in SPANS) {
      view.setSpan(SPANS[key]);
    } else if (key === ".") {
      view.goLive();
    } else if (key === "/") {
      document.getElementById("filter")?.focus();
    } else if (key === "p") {
      togglePause();
    } else {
      return;
    }
    event.preventDefault();
  });

  /** The keys; and, of each part of the page, what its numbers' titles say, which neither fingers nor keys reach. */
  function show() {
    byId("help-numbers", HTMLElement).replaceChildren(...[...document.querySelectorAll("[data-measure]")].flatMap((part) => {
      /** @type {Map<string, string>} what a number is, by its name */
      const told = new Map();
      for (const node of part.querySelectorAll(".what")) {
        const name = node.getAttribute("data-name") ?? (node.querySelector("dt, h2 span") ?? node.firstChild ?? node).textContent ?? "";
        told.set(name.trim(), node.getAttribute("title") ?? "");
      }
      return told.size ? [
        make("h3", {}, part.getAttribute("aria-label") ?? part.querySelector("h2")?.textContent ?? "", " ",
          make("a", { href: `./measure.html#${part.getAttribute("data-measure")}`, target: "_blank", rel: "noopener" }, texts.howMeasured)),
        make("dl", { class: "keys" }, ...[...told].map(([name, what]) => make("div", {}, make("dt", {}, name), make("dd", {}, what)))),
      ] : [];
    }));
    help.showModal();
  }

  function togglePause() {
    const running = session.requests.inState("running");
    const { paused } = store.state;
    const button = document.getElementById("pause");
    if (button && (paused || !running || confirm(counted(texts.pauseQuestion, running)))) {
      button.click();
    }
  }
}
