// @ts-check
/**
 * The one filter: which requests, ticks and lanes (a model on a node) are seen in
 * the table, the charts, the cards and the exports. Its text is `find` of the
 * store, and stands in the address.
 *
 * Each word has to be there: in the model, client, route, outcome, node or number.
 * FIELD:VALUE asks one of these; VALUE in quotes is the whole of it. Of several
 * for the same field, one has to be there.
 *
 * A module asks context.filter: lane() for a model on a node, entry() for a
 * request, ticks() for the ticks of the ring; and changes it by
 * store.set({ find: withTerm(store.state.find, "model", name) }). The page of one
 * board behind a gateway (session.node) has only what is of that board: the filter
 * is within it.
 */

import { stateOf } from "./outcomes.js";

/** @typedef {"model" | "client" | "route" | "outcome" | "node"} Field */
/** @typedef {Partial<Record<Field | "id", string>>} Subject  what is known of it */

const TERM = /(model|client|route|outcome|node):("[^"]*"?|\S*)|("[^"]*"?|\S+)/gi;

/**
 * @param {string} text
 * @returns {(subject: Subject) => boolean}  what is not known of it does not pass; so more that is known never hides it
 */
export function parse(text) {
  /** @type {Record<string, ((subject: Subject) => boolean)[]>} */
  const groups = {};
  for (const [, field, value, word = value] of text.toLowerCase().matchAll(TERM)) {
    const wanted = word.replace(/^"|"$/g, "");
    if (field && word) {
      (groups[field] ??= []).push((subject) => {
        const is = subject[/** @type {Field} */ (field)]?.toLowerCase();
        return word[0] === '"' ? is === wanted : is?.includes(wanted) ?? false;
      });
    } else if (wanted) {
      groups[` ${word}`] = [(subject) => Object.values(subject).some((is) => is?.toLowerCase().includes(wanted))];
    }
  }
  const all = Object.values(groups);
  return (subject) => all.every((tests) => tests.some((test) => test(subject)));
}

/**
 * A filter that asks the same, and of one field that it is this.
 *
 * @param {string} text
 * @param {Field} field
 * @param {string | null} value  null: anything
 */
export function withTerm(text, field, value) {
  const rest = [...text.matchAll(TERM)].filter(([, is]) => is !== field).map(([all]) => all);
  return [...rest, ...(value === null ? [] : [`${field}:"${value}"`])].join(" ");
}

export class Filter {
  /** Whether it leaves something out. */
  on = false;
  #passes = parse("");
  #session;

  /**
   * @param {import("./store.js").Store} store
   * @param {Pick<import("./session.js").Session, "feed" | "requests" | "node">} session
   */
  constructor(store, session) {
    this.#session = session;
    store.on(["find"], ({ find }) => {
      this.on = find.trim() !== "";
      this.#passes = parse(find);
    });
  }

  /**
   * Whether a request passes.
   *
   * @param {import("./requests.js").Entry} entry
   */
  entry({ last }) {
    return this.#passes({ model: last.model, client: last.client, route: last.route, outcome: `${last.status}: ${stateOf(last)[0]}`, node: this.#session.node, id: String(last.id) });
  }

  /**
   * Whether all ticks of a lane pass, of whatever request.
   *
   * @param {{model: string, node: string}} lane
   */
  whole({ model, node }) {
    return this.#passes({ model, node });
  }

  /**
   * Whether some of its ticks can pass: as a whole, or those of a request that is known.
   *
   * @param {{model: string, node: string}} lane
   */
  lane(lane) {
    return this.whole(lane) || (lane.node === this.#session.node && this.#session.requests.list().some((entry) => entry.last.model === lane.model && this.entry(entry)));
  }

  /**
   * Which ticks of the ring pass, by their slot; null: all. It is of now: ask again for each drawing.
   *
   * @returns {((slot: number) => boolean) | null}
   */
  ticks() {
    if (!this.on) {
      return null;
    }
    const { feed: { ring, lanes }, requests: { entries } } = this.#session;
    const whole = lanes.map((lane) => this.whole(lane));
    const asked = new Map([[0, false]]);
    const ask = (/** @type {number} */ id) => {
      const entry = entries.get(id);
      const passes = entry !== undefined && this.entry(entry);
      asked.set(id, passes);
      return passes;
    };
    return (slot) => whole[ring.lane[slot]] || (asked.get(ring.request[slot]) ?? ask(ring.request[slot]));
  }
}
