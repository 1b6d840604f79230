// @ts-check
/** The engine's own commands on its card: buttons, switches, numbers. And what it says of itself and of a command that takes its time. */

import { byId, make, setAttr, setText } from "./dom.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

/** @param {import("./app.js").Context} context */
export function mountOwnCommands({ store, session }) {
  const box = byId("own-commands", HTMLElement);
  const problem = byId("control-problem", HTMLElement);
  let names = "";

  /** @param {string} command @param {number} [value] */
  async function run(command, value) {
    setText(problem, "");
    const why = await session.send({ action: "own", command, ...(value === undefined ? {} : { value }) });
    if (why) { // else what was wrong with an earlier one stays
      setText(problem, why);
    }
  }

  store.on(["commands"], ({ commands }) => {
    const now = JSON.stringify(commands.map(({ value, ...rest }) => rest));
    if (now !== names) { // else a number that is being typed stays
      names = now;
      box.replaceChildren(...commands.map((own) => control(own, run)));
    }
    commands.forEach(({ kind, value = 0 }, i) => {
      const node = box.children[i];
      const input = node.querySelector("input");
      if (kind === "switch") {
        setAttr(node, "aria-pressed", String(value === 1));
      } else if (input && document.activeElement !== input) {
        input.value = String(value);
      }
    });
  });

  store.on(["commands", "connection"], ({ connection }) => {
    for (const node of box.querySelectorAll("button, input")) {
      node.toggleAttribute("disabled", connection.phase !== "live");
    }
  });

  store.on(["command", "reason"], ({ command, commands, reason }) => {
    const own = commands.find((one) => one.command === command?.command);
    const what = command ? (own ? own.label || own.command : doing(command)) : "";
    const how = command?.state === "running" ? put(texts.underWay, { what }) : command?.state !== "failed" ? ""
      : command.message ? put(texts.failedBecause, { what, reason: command.message }) : put(texts.failed, { what });
    setText(byId("engine-reason", HTMLElement), [how, reason].filter(Boolean).join(" · "));
  });
}

/** @param {import("./contract").CommandEvent} command */
function doing({ action, model }) {
  return action === "switch_model" ? put(texts.switchingTo, { model: model ?? "" }) : Reflect.get(texts.doing, action) ?? action;
}

/**
 * @param {import("./contract").OwnCommand} own
 * @param {(command: string, value?: number) => void} run
 */
function control({ command, kind, label, min, max }, run) {
  const name = label || command;
  if (kind !== "number") {
    const button = make("button", { type: "button", "data-command": command }, name);
    button.addEventListener("click", () => run(command, kind === "switch" ? Number(button.getAttribute("aria-pressed") !== "true") : undefined));
    return button;
  }
  const input = make("input", { type: "number", min: String(min), max: String(max), step: "any", required: "", inputmode: "decimal" });
  const form = make("form", { "data-command": command }, make("label", {}, `${name} `, input), make("button", { "aria-label": put(texts.setName, { name }) }, texts.set));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(command, input.valueAsNumber);
  });
  return form;
}
