// @ts-check
/** The connection's state in the header, with the countdown to the next attempt. */

import { CAUSES } from "./causes.js";
import { announce, byId, setAttr, setText } from "./dom.js";

/** @param {import("./app.js").Context} context */
export function mountConnection({ store, frame, session }) {
  const [text, attempts] = byId("connection-text", HTMLElement).children;
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
      announce(say === "live" ? "Connected." : `Connection lost. ${connection.reason} The page tries again.`);
    }
  });

  frame.add(() => {
    const { connection, cause } = store.state;
    setAttr(box, "data-phase", connection.phase);
    setText(attempts, connection.phase === "waiting" && connection.attempt > 1 ? ` (attempt ${connection.attempt})` : "");
    switch (connection.phase) {
      case "live":
        setText(text, "Connected");
        return Infinity;
      case "connecting":
        setText(text, connection.attempt ? `Connecting, attempt ${connection.attempt}` : "Connecting");
        return Infinity;
      case "closed":
        setText(text, "Closed");
        return Infinity;
      default: {
        const left = Math.max(0, connection.retryAt - Date.now());
        setText(text, `${CAUSES[cause]}Reconnecting in ${Math.ceil(left / 1000)} s`);
        return left % 1000 || 1000;
      }
    }
  });
}
