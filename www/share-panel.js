// @ts-check
/** The page's address for another device, in the settings: as text, and as a QR code that the server draws. */

import { copy } from "./export.js";
import { byId, make, setText } from "./dom.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

const CODE_MAX = 412; // bytes of an address that the server draws

/** @param {import("./app.js").Context} context */
export function mountShare({ session }) {
  const choice = byId("share-address", HTMLSelectElement);
  const seen = byId("share-seen", HTMLInputElement);
  const text = byId("share-text", HTMLElement);
  const code = byId("share-code", HTMLImageElement);
  const button = byId("share-copy", HTMLButtonElement);
  byId("settings-open", HTMLButtonElement).addEventListener("click", async () => {
    const here = /^(localhost|127\..*|\[::1\])$/.test(location.hostname);
    /** @type {{addresses: string[]}} */
    const { addresses } = await session.get("addresses").catch(() => ({ addresses: [] }));
    const own = location.origin + location.pathname; // without what stands behind ?, as a token may
    choice.replaceChildren(...[...new Set([...(here ? [] : [own]), ...addresses])].map((address) => make("option", {}, address)));
    show();
  });
  choice.addEventListener("change", show);
  seen.addEventListener("change", show);
  code.addEventListener("error", () => { code.hidden = true; }); // this server draws none
  button.addEventListener("click", async () => {
    await copy(text.textContent ?? "");
    setText(button, texts.copied);
  });

  function show() {
    const address = choice.value && choice.value + (seen.checked ? location.hash : "");
    const drawn = address !== "" && address.length <= CODE_MAX;
    setText(text, address || texts.shareNowhere);
    setText(button, texts.copyAddress);
    button.hidden = !address;
    choice.closest("label")?.toggleAttribute("hidden", !address);
    seen.closest("label")?.toggleAttribute("hidden", !address);
    code.hidden = !drawn;
    if (drawn) {
      code.alt = put(texts.shareCode, { address });
      code.src = `./qr?text=${encodeURIComponent(address)}`;
    }
  }
}
