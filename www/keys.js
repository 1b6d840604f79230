// @ts-check
/** Keys for the whole page. They can be switched off, as speech input may type them (WCAG 2.1.4). */

import { isKiosk } from "./kiosk.js";

/** @type {Record<string, number>} */
const SPANS = { 1: 60, 5: 300, a: Infinity };

/** @param {import("./app.js").Context} context */
export function mountKeys({ settings, store, view, session }) {
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (!settings.keys || isKiosk() || event.ctrlKey || event.altKey || event.metaKey || event.repeat
      || !(target instanceof Element) || target.closest("input, textarea, select, dialog, [contenteditable]")) {
      return;
    }
    if (key === " ") {
      if (target.closest("button, summary, a, [tabindex]")) {
        return; // it presses that, or scrolls it
      }
      view.toggleFreeze();
    } else if (key === "?") {
      document.getElementById("settings-open")?.click();
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

  function togglePause() {
    const running = session.requests.inState("running");
    const { paused } = store.state;
    const button = document.getElementById("pause");
    const question = `${running === 1 ? "1 request runs" : `${running} requests run`}, and will finish. New ones will wait. Pause?`;
    if (button && (paused || !running || confirm(question))) {
      button.click();
    }
  }
}
