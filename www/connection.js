// @ts-check
/** The connection's state in the header, with the countdown to the next attempt. */

import { announce, byId, setAttr, setText } from "./dom.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

/** @param {import("./app.js").Context} context */
export function mountConnection({ store, frame, session }) {
  const [words, attempts] = byId("connection-text", HTMLElement).children;
  const box = byId("connection", HTMLElement);
  const retry = byId("retry", HTMLButtonElement);
  retry.addEventListener("click", () => session.client.retry());
  setText(byId("host", HTMLElement), location.host);

  let said = "connecting";
  store.on(["connection", "refusal"], ({ connection, refusal }) => {
    retry.hidden = connection.phase !== "waiting";
    setAttr(box, "title", (connection.phase === "waiting" && refusal) || connection.reason || null);
    const say = connection.phase === "connecting" ? said : connection.phase;
    if (say !== said) {
      said = say;
      announce(say === "live" ? texts.saidConnected : put(texts.saidLost, { reason: connection.reason }));
    }
  });

  frame.add(() => {
    const { connection, cause } = store.state;
    setAttr(box, "data-phase", connection.phase);
    setText(attempts, connection.phase === "waiting" && connection.attempt > 1 ? put(texts.attempt, { n: connection.attempt }) : "");
    switch (connection.phase) {
      case "live":
        setText(words, texts.connected);
        return Infinity;
      case "connecting":
        setText(words, connection.attempt ? put(texts.connectingAgain, { n: connection.attempt }) : texts.connecting);
        return Infinity;
      case "closed":
        setText(words, texts.closed);
        return Infinity;
      default: {
        const left = Math.max(0, connection.retryAt - Date.now());
        setText(words, `${texts.causes[cause]} ${put(texts.reconnecting, { n: Math.ceil(left / 1000) })}`.trim());
        return left % 1000 || 1000;
      }
    }
  });
}
