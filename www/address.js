// @ts-check
/**
 * What is seen stands in the page's address: #w=300&t=FROM,TO&q=TEXT&req=ID is the
 * window, the zoomed part of it (Unix seconds), the search of the table, and the
 * request that is open. A link to it shows the same elsewhere.
 */

const WRITE_MS = 400; // browsers count the changes of an address, and refuse too many
const ID_MAX = 2 ** 40;

/** @param {import("./app.js").Context} context */
export function mountAddress({ store, settings }) {
  const read = () => store.set(parse(location.hash, settings.span));
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  read();
  addEventListener("hashchange", read);
  store.on(["span", "zoom", "find", "opened"], () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const hash = format(store.state);
      if (hash !== location.hash) {
        history.replaceState(history.state, "", hash || location.pathname + location.search);
      }
    }, WRITE_MS);
  });
}

/**
 * @param {Pick<import("./store.js").PageState, "span" | "zoom" | "find" | "opened">} state
 * @returns {string} "": all is as usual
 */
export function format({ span, zoom, find, opened }) {
  const parts = [
    span === 60 ? "" : `w=${span === Infinity ? "all" : span}`, zoom && `t=${zoom.map((time) => time.toFixed(3)).join()}`,
    find && `q=${encodeURIComponent(find)}`, opened > 0 ? `req=${opened}` : "",
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
  return {
    span: w === "all" ? Infinity : Number(w) > 0 ? Number(w) : usual,
    zoom: from > 0 && to > from ? [from, to] : null,
    find: values.get("q") ?? "",
    opened: Number.isInteger(opened) && opened > 0 && opened < ID_MAX ? opened : 0,
  };
}
