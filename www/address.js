// @ts-check
/**
 * What is seen stands in the page's address: #w=300&t=FROM,TO&q=TEXT&req=ID&node=NAME
 * is the window, the zoomed part of it (Unix seconds), the search of the table, the
 * request that is open, and the board behind this server that alone is shown. A
 * link to it shows the same elsewhere.
 */

import { isPast } from "./past.js";

const WRITE_MS = 400; // browsers count the changes of an address, and refuse too many
const ID_MAX = 2 ** 40;
const NEAR_S = 300; // the window in place of one of hours: those the server keeps of itself alone

/**
 * The board behind this server that the page shows alone, or "".
 *
 * @param {string} hash  of the address
 */
export function nodeOf(hash) {
  return new URLSearchParams(hash.slice(1)).get("node") ?? "";
}

/** @param {import("./app.js").Context} context */
export function mountAddress({ store, settings, session: { node } }) {
  const read = () => {
    if (nodeOf(location.hash) !== node) {
      location.reload(); // another board is another page
    } else {
      store.set(parse(location.hash, settings.span));
    }
  };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  read();
  addEventListener("hashchange", read);
  store.on(["span", "zoom", "find", "opened"], () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const hash = format({ ...store.state, node });
      if (hash !== location.hash && nodeOf(location.hash) === node) { // else another board's page is on its way
        history.replaceState(history.state, "", hash || location.pathname + location.search);
      }
    }, WRITE_MS);
  });
}

/**
 * @param {Pick<import("./store.js").PageState, "span" | "zoom" | "find" | "opened"> & {node?: string}} state
 * @returns {string} "": all is as usual
 */
export function format({ span, zoom, find, opened, node }) {
  const parts = [
    span === 60 ? "" : `w=${span === Infinity ? "all" : span}`, zoom && `t=${zoom.map((time) => time.toFixed(3)).join()}`,
    find && `q=${encodeURIComponent(find)}`, opened > 0 ? `req=${opened}` : "",
    node && `node=${encodeURIComponent(node)}`,
  ].filter(Boolean);
  return parts.length ? `#${parts.join("&")}` : "";
}

/**
 * @param {string} hash  of the address; what is not understood is left out
 * @param {number} usual  the window where none is given, seconds
 * @returns {Pick<import("./store.js").PageState, "span" | "zoom" | "find" | "opened">}
 */
export function parse(hash, usual) {
  const values = new URLSearchParams(hash.slice(1));
  const [from, to] = (values.get("t") ?? "").split(",").map(Number);
  const w = values.get("w") ?? "";
  const opened = Number(values.get("req"));
  const span = w === "all" ? Infinity : Number(w) > 0 ? Number(w) : usual;
  return {
    span: values.get("node") && isPast(span) ? NEAR_S : span,
    zoom: from > 0 && to > from ? [from, to] : null,
    find: values.get("q") ?? "",
    opened: Number.isInteger(opened) && opened > 0 && opened < ID_MAX ? opened : 0,
  };
}
