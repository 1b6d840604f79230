// @ts-check
/** The board's sensors: small numbers of what it has, and in words what slows it down. */

import { byId, make, setAttr, setText } from "./dom.js";
import { short, whole } from "./format.js";

/** @typedef {import("./contract").Board} Board */
/** @typedef {number | string} Value  a number, or a word that says why there is none */

/** Seconds without a report until its numbers look old. */
const STALE_S = 5;

/** @type {Record<string, string>} */
const now = {
  under_voltage: "Under-voltage: the power supply or its cable is too weak",
  clock_capped: "The clock is capped",
  throttled: "Throttled: the board is slowed down",
  soft_limit: "The soft limit of its temperature is reached",
};
/** @type {Record<string, string>} */
const before = { under_voltage: "under-voltage", clock_capped: "clock capped", throttled: "throttled", soft_limit: "soft limit of temperature" };

/**
 * A value with its unit; "" if it is none.
 *
 * @param {Value | undefined} value
 * @param {string} unit
 * @param {(value: number) => string} [text]
 */
const of = (value, unit, text = whole) => (typeof value === "number" ? `${text(value)} ${unit}` : "");

/** @param {Value | undefined} value */
export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = typeof value === "number" && value >= 1 ? Math.min(4, Math.floor(Math.log10(value) / 3)) : 0;
  return of(value, units[power], (n) => {
    const scaled = n / 1000 ** power;
    return power && scaled < 99.95 ? scaled.toFixed(1) : whole(scaled);
  });
}

/** @param {...string} parts */
const join = (...parts) => parts.filter(Boolean).join(" · ");

/**
 * The tiles of what the board has: their names, numbers and small print.
 *
 * @param {Board} board
 * @returns {[name: string, number: string, note: string][]}
 */
export function tiles({ cpu, memory: m, temperatures, gpus, npus, power, rails, fans, disk, networks }) {
  const used = typeof m.total_bytes === "number" && typeof m.available_bytes === "number" ? m.total_bytes - m.available_bytes : "";
  const hot = temperatures.filter(({ celsius }) => typeof celsius === "number").sort((a, b) => Number(b.celsius) - Number(a.celsius));
  const busy = (/** @type {typeof npus[number]} */ unit) => of(unit.percent, "%") || (unit.percent === "asleep" ? "off" : "");
  /** @type {[string, string, string][]} */
  const all = [
    ["CPU", of(cpu.percent, "%"), join(of(cpu.clock_mhz, "MHz"), Number(cpu.iowait_percent) >= 1 ? `disk ${of(cpu.iowait_percent, "%")}` : "",
      Number(cpu.steal_percent) >= 1 ? `stolen ${of(cpu.steal_percent, "%")}` : "")],
    ["Memory", bytes(used), join(`of ${bytes(m.total_bytes)}`, Number(m.swap_used_bytes) > 0 ? `swap ${bytes(m.swap_used_bytes)}` : "")],
    ["Temperature", of(hot[0]?.celsius, "°C", (n) => n.toFixed(1)), hot[0]?.name],
    ...gpus.map((gpu) => /** @type {[string, string, string]} */ ([`GPU ${gpu.name === "gpu" ? "" : gpu.name}`.trim(), busy(gpu) || of(gpu.clock_mhz, "MHz"),
      join(busy(gpu) ? of(gpu.clock_mhz, "MHz") : "", of(gpu.compute_percent, "% compute"),
        typeof gpu.memory_total_bytes === "number" ? `${bytes(gpu.memory_used_bytes)} of ${bytes(gpu.memory_total_bytes)}` : "",
        of(gpu.celsius, "°C"), of(gpu.watts, "W"))])),
    ...npus.map((npu) => /** @type {[string, string, string]} */ ([`NPU ${npu.name}`, busy(npu) || of(npu.clock_mhz, "MHz"), busy(npu) ? of(npu.clock_mhz, "MHz") : ""])),
    typeof power.watts === "number" ? ["Power", of(power.watts, "W", short), join(power.scope ?? "", power.estimate ? "estimate" : "")]
      : ["Power", of(rails[0]?.watts, "W", short), rails[0]?.name],
    ["Fan", of(fans.find(({ rpm }) => typeof rpm === "number")?.rpm, "rpm"), of(fans.find(({ percent }) => typeof percent === "number")?.percent, "%")],
    ["Disk free", bytes(disk.free_bytes), `of ${bytes(disk.total_bytes)}`],
    ...networks.slice(0, 1).map(({ name, received_bytes_per_second: down, sent_bytes_per_second: up }) => /** @type {[string, string, string]} */ (
      [`Network ${name}`, typeof down === "number" ? `${bytes(down)}/s` : "", typeof up === "number" ? `sent ${bytes(up)}/s` : ""])),
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
  const cooled = cooling.filter(({ state }) => Number(state) > 0).map(({ name, state, max }) => `${name} ${state} of ${max}`);
  const over = Number(events.over_current_average ?? 0) + Number(events.over_current_instant ?? 0) || 0;
  const under = Number(events.under_voltage) || 0;
  const was = (Array.isArray(since) ? since : []).filter((flag) => !at.includes(flag)).map((flag) => before[flag]);
  return {
    bad: [...at.map((flag) => now[flag]), ...(cooled.length ? [`Slowed down to cool it: ${cooled.join(", ")}`] : [])],
    past: join(...was, over ? `${whole(over)} times over-current` : "", under ? `${whole(under)} times under-voltage` : ""),
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
    shown.forEach(([title, number, note], i) => {
      const tile = list.children[i] ?? list.appendChild(make("div", {}, make("dt"), make("dd", { class: "number" }), make("dd", { class: "note" })));
      [title, number, note ?? ""].forEach((text, k) => setText(tile.children[k], text));
    });
    setText(name, board.name ?? "Board");
    const { bad, past } = complaints(board.throttling);
    setText(words, [...bad, past && `Since its start: ${past}`].filter(Boolean).join(". "));
    setAttr(panel, "data-bad", bad.length ? "" : null);
    frame.request();
  });

  frame.add((time) => {
    setAttr(panel, "data-stale", time - told > STALE_S || store.state.connection.phase !== "live" ? "" : null);
    return panel.hidden ? Infinity : 1000;
  });
}
