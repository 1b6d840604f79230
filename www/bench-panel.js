// @ts-check
/** The benchmark's dialog: begin one, follow it, compare the last results. And its time on the charts. */

import { byId, make, setText } from "./dom.js";
import { clockTime, duration, rate, whole } from "./format.js";
import * as texts from "./texts.js";
import { counted, put } from "./words.js";

/** @typedef {import("./contract").BenchResult} Result */
/** @typedef {import("./contract").BenchStep} Step */

/** @type {[title: string, hint: string, text: (step: Step) => string][]} */
const COLUMNS = [
  [texts.streams, texts.streamsWhat, (s) => whole(s.streams)],
  [texts.prefill, texts.benchPrefillWhat, (s) => rate(s.prefill_tokens_per_second) + (s.prefill_by_ttft ? "*" : "")],
  [texts.decode, texts.benchDecodeWhat, (s) => rate(s.decode_tokens_per_second)],
  [texts.totalRate, texts.totalRateWhat, (s) => rate(s.tokens_per_second)],
  [texts.benchTtft, texts.benchTtftWhat, (s) => `${duration(s.ttft_p50_ms)}, ${duration(s.ttft_p95_ms)}`],
  [texts.benchItl, texts.benchItlWhat, (s) => `${duration(s.itl_p50_ms)}, ${duration(s.itl_p95_ms)}`],
  [texts.benchOthers, texts.benchOthersWhat, (s) => whole(s.others)],
];

/** @param {import("./app.js").Context} context */
export function mountBench({ store, frame, session }) {
  const { feed } = session;
  const dialog = byId("bench", HTMLDialogElement);
  const form = byId("bench-form", HTMLFormElement);
  const open = byId("bench-open", HTMLButtonElement);
  const start = byId("bench-start", HTMLButtonElement);
  const problem = byId("bench-problem", HTMLElement);
  const model = byId("bench-model", HTMLSelectElement);
  const table = byId("bench-results", HTMLTableElement);
  const byTtft = byId("bench-by-ttft", HTMLElement);
  /** @type {Set<string>} benchmarks whose end is on the charts, as RUN-ID */
  const marked = new Set();
  let asked = 0;

  open.addEventListener("click", () => {
    setText(problem, "");
    dialog.showModal();
  });
  byId("bench-close", HTMLButtonElement).addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) {
      dialog.close(); // a click outside of it
    }
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const numbers = byId("bench-streams", HTMLInputElement).value.split(/[\s,;]+/).filter(Boolean).map(Number);
    setText(problem, await session.send(store.state.benchRuns ? { action: "bench_stop" } : {
      action: "bench",
      model: model.value,
      streams: numbers,
      prompt_tokens: byId("bench-prompt", HTMLInputElement).valueAsNumber,
      max_tokens: byId("bench-tokens", HTMLInputElement).valueAsNumber,
    }));
  });

  /** The results that the server keeps: into the table, and onto the charts. */
  async function refresh() {
    const { hello } = store.state;
    const turn = ++asked;
    if (hello?.source !== "meter") {
      return;
    }
    try {
      const { results } = await session.benchmarks();
      if (turn === asked) {
        show(results);
        results.forEach((result) => mark(result, hello.run));
        frame.request();
      }
    } catch {
      // the next event of the benchmark asks again
    }
  }

  /** @param {Result} result @param {string} run */
  function mark(result, run) {
    const key = `${run}-${result.id}`;
    const from = feed.clock.toBrowser(result.timestamp);
    if (marked.has(key)) {
      return;
    }
    feed.open("bench", from, texts.markBenchmark);
    if (result.state !== "running") {
      feed.close("bench", from + (result.duration_ms ?? 0) / 1000);
      marked.add(key);
    }
  }

  /** @param {Result[]} results */
  function show(results) {
    table.hidden = results.length === 0;
    byTtft.hidden = !results.some(({ steps }) => steps.some((step) => step.prefill_by_ttft));
    table.replaceChildren(
      make("thead", {}, make("tr", {}, ...COLUMNS.map(([title, hint]) => make("th", { class: "amount what", scope: "col", title: hint }, title)))),
      ...results.slice().reverse().map((result) => make("tbody", { "data-state": result.state },
        make("tr", {}, make("th", { colspan: String(COLUMNS.length), scope: "rowgroup" }, ...head(result))),
        ...result.steps.map((step) => make("tr", {}, ...COLUMNS.map(([title, , text]) => make("td", { class: "amount", "data-title": title }, text(step))))))));
  }

  /** @param {Result} result */
  function head(result) {
    const at = clockTime(feed.clock.toBrowser(result.timestamp));
    const words = [at, result.model || texts.enginesModel, put(texts.benchTokens, { prompt: whole(result.prompt_tokens), answer: whole(result.max_tokens) })];
    if (result.engine) {
      words.push(result.engine);
    }
    if (result.state === "running") {
      const { steps, streams } = result;
      words.push(counted(texts.benchStep, streams[steps.length], { step: steps.length + 1, steps: streams.length }));
    }
    const note = result.reason && make("b", { class: "problem" }, ` · ${put(texts.benchEnded[result.state === "stopped" ? "stopped" : "failed"], { reason: result.reason })}`);
    return [words.join(" · "), ...(note ? [note] : [])];
  }

  store.on(["models", "model"], ({ models, model: active }) => {
    const chosen = model.value || active;
    model.replaceChildren(...models.map((name) => make("option", { value: name }, name)));
    model.value = models.includes(chosen) ? chosen : active;
  });
  store.on(["connection", "hello", "benchRuns", "pending"], ({ connection, hello, benchRuns, pending }) => {
    open.hidden = hello?.source !== "meter" || hello.engine === undefined;
    open.disabled = connection.phase !== "live";
    open.setAttribute("aria-pressed", String(benchRuns > 0));
    start.disabled = connection.phase !== "live" || pending;
    setText(start, benchRuns ? texts.stop : texts.start);
  });
  store.on(["bench", "benchRuns", "hello"], refresh);
}
