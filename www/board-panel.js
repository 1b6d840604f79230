// @ts-check
/** The board's sensors: small numbers of what it has, and in words what slows it down. */

import { byId, make, setAttr, setText } from "./dom.js";
import { fixed, short, whole } from "./format.js";
import * as texts from "./texts.js";
import { counted, put } from "./words.js";

/** @typedef {import("./contract").Board} Board */
/** @typedef {number | string} Value  a number, or a word that says why there is none */

/** Seconds without a report until its numbers look old. */
const STALE_S = 5;

/**
 * A value with its unit; "" if it is none.
 *
 * @param {Value | undefined} value
 * @param {string} unit  such as "{n} W"
 * @param {(value: number) => string} [text]
 */
const of = (value, unit, text = whole) => (typeof value === "number" ? unit.replace("{n}", text(value)) : "");

/** @param {string} text @param {string} value  its only one; "": there is none, and no text */
const with1 = (text, value) => value && text.replace(/\{\w+\}/, () => value);

/** @param {Value | undefined} value */
export function bytes(value) {
  const power = typeof value === "number" && value >= 1 ? Math.min(4, Math.floor(Math.log10(value) / 3)) : 0;
  return of(value, texts.bytes[power], (n) => {
    const scaled = n / 1000 ** power;
    return power && scaled < 99.95 ? fixed(scaled, 1) : whole(scaled);
  });
}

/** @param {...string} parts */
const join = (...parts) => parts.filter(Boolean).join(" · ");

/** @typedef {[name: string, number: string, note: string, what: string]} Tile */

/**
 * The tiles of what the board has: their names, numbers and small print, and what they are.
 *
 * @param {Board} board
 * @returns {Tile[]}
 */
export function tiles({ cpu, memory: m, temperatures, gpus, npus, power, rails, fans, disk, networks }) {
  const used = typeof m.total_bytes === "number" && typeof m.available_bytes === "number" ? m.total_bytes - m.available_bytes : "";
  const hot = temperatures.filter(({ celsius }) => typeof celsius === "number").sort((a, b) => Number(b.celsius) - Number(a.celsius));
  const busy = (/** @type {typeof npus[number]} */ unit) => of(unit.percent, texts.percent) || (unit.percent === "asleep" ? texts.off : "");
  const name = (/** @type {string} */ kind, /** @type {string} */ own) => (own ? put(texts.named, { kind, name: own }) : kind);
  const what = texts.tileWhat;
  const share = (/** @type {Value | undefined} */ value, /** @type {string} */ text) => with1(text, of(Number(value) >= 1 ? value : "", texts.percent));
  /** @type {Tile[]} */
  const all = [
    [texts.cpu, of(cpu.percent, texts.percent), join(of(cpu.clock_mhz, texts.megahertz), share(cpu.iowait_percent, texts.diskWait), share(cpu.steal_percent, texts.stolen)), what.cpu],
    [texts.memory, bytes(used), join(with1(texts.ofTotal, bytes(m.total_bytes)), with1(texts.swap, Number(m.swap_used_bytes) > 0 ? bytes(m.swap_used_bytes) : "")), what.memory],
    [texts.temperature, of(hot[0]?.celsius, texts.celsius, (n) => fixed(n, 1)), hot[0]?.name, what.temperature],
    ...gpus.map((gpu) => /** @type {Tile} */ ([name(texts.gpu, gpu.name === "gpu" ? "" : gpu.name), busy(gpu) || of(gpu.clock_mhz, texts.megahertz),
      join(busy(gpu) ? of(gpu.clock_mhz, texts.megahertz) : "", with1(texts.computing, of(gpu.compute_percent, texts.percent)),
        typeof gpu.memory_total_bytes === "number" ? put(texts.usedOf, { used: bytes(gpu.memory_used_bytes), total: bytes(gpu.memory_total_bytes) }) : "",
        of(gpu.celsius, texts.celsius), of(gpu.watts, texts.watts)), what.gpu])),
    ...npus.map((npu) => /** @type {Tile} */ ([name(texts.npu, npu.name), busy(npu) || of(npu.clock_mhz, texts.megahertz), busy(npu) ? of(npu.clock_mhz, texts.megahertz) : "", what.gpu])),
    typeof power.watts === "number" ? [texts.power, of(power.watts, texts.watts, short), join(power.scope ?? "", power.estimate ? texts.isEstimate : ""), what.power]
      : [texts.power, of(rails[0]?.watts, texts.watts, short), rails[0]?.name, what.power],
    [texts.fan, of(fans.find(({ rpm }) => typeof rpm === "number")?.rpm, texts.rpm), of(fans.find(({ percent }) => typeof percent === "number")?.percent, texts.percent), what.fan],
    [texts.diskFree, bytes(disk.free_bytes), with1(texts.ofTotal, bytes(disk.total_bytes)), what.disk],
    ...networks.slice(0, 1).map(({ name: own, received_bytes_per_second: down, sent_bytes_per_second: up }) => /** @type {Tile} */ (
      [name(texts.network, own), with1(texts.bytesRate, bytes(down)), with1(texts.sent, with1(texts.bytesRate, bytes(up))), what.network])),
  ];
  return all.filter(([, number]) => number !== "");
}

/**
 * What slows the board down, and what did since it was started.
 *
 * @param {Board["throttling"]} throttling
 * @returns {{bad: string[], past: string}}
 */
export function complaints({ now: flags, since_boot: since, events, cooling }) {
  const at = Array.isArray(flags) ? flags : [];
  const cooled = cooling.filter(({ state }) => Number(state) > 0).map(({ name, state, max }) => put(texts.coolingBy, { name, state, max }));
  const over = Number(events.over_current_average ?? 0) + Number(events.over_current_instant ?? 0) || 0;
  const under = Number(events.under_voltage) || 0;
  const was = (Array.isArray(since) ? since : []).filter((flag) => !at.includes(flag)).map((flag) => texts.throttledBefore[flag]);
  return {
    bad: [...at.map((flag) => texts.throttledNow[flag]), ...(cooled.length ? [put(texts.cooledBy, { names: cooled.join(", ") })] : [])],
    past: join(...was, over ? counted(texts.overCurrents, over) : "", under ? counted(texts.underVoltages, under) : ""),
  };
}

/** @param {import("./app.js").Context} context */
export function mountBoard({ store, frame }) {
  const panel = byId("board", HTMLElement);
  const list = byId("board-tiles", HTMLElement);
  const name = byId("board-name", HTMLElement);
  const words = byId("board-words", HTMLElement);
  let told = 0;

  store.on(["board"], ({ board }) => {
    panel.hidden = board === null;
    if (board === null) {
      return;
    }
    told = Date.now() / 1000;
    const shown = tiles(board);
    while (list.children.length > shown.length) {
      list.lastElementChild?.remove();
    }
    shown.forEach(([title, number, note, what], i) => {
      const tile = list.children[i] ?? list.appendChild(make("div", { class: "what" }, make("dt"), make("dd", { class: "number" }), make("dd", { class: "note" })));
      [title, number, note ?? ""].forEach((text, k) => setText(tile.children[k], text));
      setAttr(tile, "title", what);
    });
    setText(name, board.name ?? texts.board);
    const { bad, past } = complaints(board.throttling);
    setText(words, [...bad, past && put(texts.sinceStart, { what: past })].filter(Boolean).join(". "));
    setAttr(panel, "data-bad", bad.length ? "" : null);
    frame.request();
  });

  frame.add((time) => {
    setAttr(panel, "data-stale", time - told > STALE_S || store.state.connection.phase !== "live" ? "" : null);
    return panel.hidden ? Infinity : 1000;
  });
}
