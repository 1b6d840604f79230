// @ts-check
/** The field of the filter, above the charts. It proposes what there is to ask for. */

import { byId, make } from "./dom.js";

/** @param {import("./app.js").Context} context */
export function mountFilter({ store, frame, session: { feed, requests } }) {
  const input = byId("filter", HTMLInputElement);
  const terms = byId("filter-terms", HTMLDataListElement);
  input.addEventListener("input", () => store.set({ find: input.value }));
  input.addEventListener("focus", () => {
    const found = new Set(feed.lanes.flatMap(({ model, node }) => [`model:"${model}"`, ...(node ? [`node:"${node}"`] : [])]));
    for (const { last } of requests.list()) {
      found.add(`client:"${last.client}"`).add(`route:"${last.route}"`).add(`outcome:${last.status}`);
    }
    terms.replaceChildren(...[...found].sort().map((value) => make("option", { value })));
  });
  store.on(["find"], ({ find }) => {
    if (input.value !== find) {
      input.value = find;
    }
    document.documentElement.toggleAttribute("data-filtered", find.trim() !== "");
    frame.request();
  });
}
