// @ts-check
/** The program that embeds aidash: its title, its logo, and a panel of its own. */

import { byId, make, setAttr, setText } from "./dom.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

/**
 * What the module's default export gets, mount(element, api). See "Your own pages" in docs/embed.md.
 *
 * @typedef {object} PanelApi
 * @property {(event: string, run: (data: any) => void) => () => void} on  call run with each event of this name, such as
 *   "inference_tick" or "gauge", and at once with the latest "hello"; returns what ends that
 * @property {(command: import("./contract").Command) => Promise<void>} send  what is refused is an Error with its sentence
 */

/** @param {import("./app.js").Context} context */
export function mountOwnPanel({ store, session }) {
  const logo = byId("logo", HTMLImageElement);
  const section = byId("own-panel", HTMLElement);
  /** @typedef {{event: string, run: (data: any) => void}} Listener @type {Set<Listener>} */
  const listeners = new Set();
  let shown = "";

  logo.addEventListener("load", () => logo.removeAttribute("hidden"));

  store.on(["status"], ({ status }) => {
    const { title = "aidash", logo: picture, panel = "" } = status?.page ?? {};
    setText(byId("title", HTMLElement), title);
    if (picture) {
      setAttr(logo, "src", `.${picture}`);
    }
    if (status && panel !== shown) {
      shown = panel;
      listeners.clear();
      section.hidden = !panel;
      setAttr(section, "aria-label", title);
      section.replaceChildren();
      if (panel) {
        mount(panel);
      }
    }
  });

  /** @param {string} path */
  async function mount(path) {
    const element = make("div");
    section.append(element);
    /** @type {PanelApi} */
    const api = {
      on(event, run) {
        const listener = { event, run };
        listeners.add(listener);
        if (event === "hello" && store.state.hello) {
          tell(listener, store.state.hello);
        }
        return () => void listeners.delete(listener);
      },
      async send(command) {
        const problem = await session.send(command);
        if (problem) {
          throw new Error(problem);
        }
      },
    };
    try {
      await (await import(`.${path}`)).default(element, api);
    } catch (error) {
      if (element.isConnected) {
        fail(error);
      }
    }
  }

  /** @param {unknown} error */
  function fail(error) {
    listeners.clear();
    section.replaceChildren(make("p", { role: "alert" }, put(texts.panelFailed, { path: shown, reason: String(error instanceof Error ? error.message : error) })));
  }

  /** @param {Listener} listener @param {any} data */
  function tell(listener, data) {
    try {
      listener.run(data);
    } catch (error) {
      fail(error);
    }
  }

  session.tap = (event, data) => listeners.forEach((listener) => listener.event === event && tell(listener, data));
}
