// @ts-check
/** The settings dialog, and the theme button. */

import { byId, setAttr, setText } from "./dom.js";
import * as texts from "./texts.js";

/** @param {import("./app.js").Context} context */
export function mountSettings({ settings, store, frame, colours, session }) {
  const dialog = byId("settings", HTMLDialogElement);
  const notify = byId("notify", HTMLInputElement);
  const hint = byId("notify-hint", HTMLElement);
  const themes = [...document.querySelectorAll("input[name=theme]")].filter((node) => node instanceof HTMLInputElement);

  byId("settings-open", HTMLButtonElement).addEventListener("click", () => {
    setText(byId("limit-rate-text", HTMLElement), session.feed.tokenless ? texts.inferencesBelow : texts.tokensBelow);
    show();
    dialog.showModal();
  });
  byId("settings-close", HTMLButtonElement).addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) {
      dialog.close(); // a click outside of it
    }
  });

  byId("theme", HTMLButtonElement).addEventListener("click", () => setTheme(settings.dark ? "light" : "dark"));
  for (const input of themes) {
    input.addEventListener("change", () => setTheme(/** @type {import("./settings.js").Theme} */ (input.value)));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(settings.theme));
  matchMedia("(forced-colors: active)").addEventListener("change", restyle);

  for (const [id, name] of /** @type {const} */ ([["limit-latency", "limitLatency"], ["limit-rate", "limitRate"]])) {
    const input = byId(id, HTMLInputElement);
    input.addEventListener("input", () => {
      settings.save({ [name]: input.valueAsNumber > 0 ? input.valueAsNumber : null });
      restyle();
    });
  }
  notify.addEventListener("change", async () => {
    const granted = notify.checked && (await Notification.requestPermission()) === "granted";
    settings.save({ notify: granted });
    show();
  });
  const keys = byId("keys", HTMLInputElement);
  keys.addEventListener("change", () => settings.save({ keys: keys.checked }));
  showTheme();

  /** @param {import("./settings.js").Theme} theme */
  function setTheme(theme) {
    settings.save({ theme });
    settings.applyTheme();
    restyle();
    showTheme();
  }

  function restyle() {
    colours.read();
    store.set({ restyled: store.state.restyled + 1 });
    frame.request();
  }

  function showTheme() {
    setAttr(byId("theme", HTMLButtonElement), "aria-label", settings.dark ? texts.toLight : texts.toDark);
    for (const input of themes) {
      input.checked = input.value === settings.theme;
    }
  }

  function show() {
    byId("limit-latency", HTMLInputElement).value = String(settings.limitLatency ?? "");
    byId("limit-rate", HTMLInputElement).value = String(settings.limitRate ?? "");
    byId("keys", HTMLInputElement).checked = settings.keys;
    const can = "Notification" in window && isSecureContext;
    notify.disabled = !can;
    notify.checked = can && settings.notify && Notification.permission === "granted";
    setText(hint, !can ? texts.notifyInsecure
      : Notification.permission === "denied" ? texts.notifyDenied : "");
  }
}
