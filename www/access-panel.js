// @ts-check
/** The dialog in which this browser is signed in, lets others in, and sees what it may do; its button in the header. */

import { approve, askOthers, deviceName, pair, signOut, wasApproved, whoAmI } from "./credentials.js";
import { byId, notice, setAttr, setText } from "./dom.js";
import * as texts from "./texts.js";
import { put } from "./words.js";

const ASK_EVERY_MS = 2_000;

/** @typedef {import("./credentials.js").Access} Access */
/** @typedef {Access["rights"][number]} Right */

/** The rights that a browser uses. */
const USED = /** @type {const} */ (["view", "control"]);

/**
 * @param {import("./app.js").Context} context
 * @param {{code: string, problem: string}} address  what the page's address brought
 */
export function mountAccess({ store, session }, address) {
  const dialog = byId("access", HTMLDialogElement);
  const open = byId("access-open", HTMLButtonElement);
  const code = byId("access-code", HTMLInputElement);
  const name = byId("access-name", HTMLInputElement);
  const problem = byId("access-problem", HTMLElement);
  const askButton = byId("access-ask", HTMLButtonElement);
  const asked = byId("access-asked", HTMLElement);
  const approveForm = byId("access-approve", HTMLFormElement);
  const approveCode = byId("access-approve-code", HTMLInputElement);
  const approveProblem = byId("access-approve-problem", HTMLElement);
  const out = byId("access-out", HTMLButtonElement);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer; // until it is asked again whether this device was approved

  name.value = deviceName();
  open.addEventListener("click", show);
  byId("empty-sign-in", HTMLButtonElement).addEventListener("click", show);
  const close = byId("access-close", HTMLButtonElement);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) {
      dialog.close(); // a click outside of it
    }
  });
  dialog.addEventListener("close", stopAsking);

  byId("access-form", HTMLFormElement).addEventListener("submit", async (event) => {
    event.preventDefault();
    setText(problem, "");
    const answer = await pair(code.value.replaceAll(/\D/g, ""), name.value.trim());
    if (answer.problem) {
      setText(problem, answer.problem);
    } else {
      signedIn(answer.body);
    }
  });

  askButton.addEventListener("click", async () => {
    stopAsking();
    const { problem: why, body } = await askOthers(name.value.trim());
    if (why) {
      setText(asked, why);
      return;
    }
    setText(asked, put(texts.typeThere, { code: body.code }));
    timer = setTimeout(() => waitForApproval(body.ask), ASK_EVERY_MS);
  });

  approveForm.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await approve(approveCode.value.trim(), ["view", "control"]);
    setText(approveProblem, answer.problem);
    if (!answer.problem) {
      approveCode.value = "";
      notice(texts.letInDone);
    }
  });

  out.addEventListener("click", async () => {
    const answer = await signOut();
    notice(answer.problem || texts.signedOut);
    if (!answer.problem) {
      dialog.close();
      session.client.reconnect();
      refresh();
    }
  });

  /** @param {string} id */
  async function waitForApproval(id) {
    const { status, problem: why, body } = await wasApproved(id);
    if (!dialog.open) {
      return;
    }
    if (status === 202 || status === 0) {
      timer = setTimeout(() => waitForApproval(id), ASK_EVERY_MS);
    } else if (why) {
      setText(asked, why);
    } else {
      signedIn(body);
    }
  }

  function stopAsking() {
    clearTimeout(timer);
    setText(asked, "");
  }

  /** The next connection has the new cookie. @param {Access} access */
  function signedIn(access) {
    code.value = "";
    store.set({ access, wanted: "" });
    dialog.close();
    notice(put(texts.signedIn, { name: access.name ?? "" }));
    session.client.reconnect();
  }

  async function refresh() {
    const { problem: why, body } = await whoAmI();
    if (!why) {
      store.set({ access: body });
    }
  }

  async function show() {
    setText(problem, "");
    setText(approveProblem, "");
    if (!dialog.open) {
      dialog.showModal();
    }
    focusCode();
    await refresh();
    focusCode(); // only now it may be there
  }

  /** The dialog's first field, if the focus is still where a browser puts it. */
  function focusCode() {
    if (dialog.open && document.activeElement === close && !byId("access-sign-in", HTMLElement).hidden) {
      code.focus();
    }
  }

  /** @param {Access} access */
  function about({ name: key, rights, needs }) {
    /** @param {Record<"view" | "control" | "both", string>} sentences  one for each right, one for both */
    const of = (sentences, /** @type {(right: Right) => boolean} */ which) => {
      const those = USED.filter(which);
      return those.length ? sentences[those.length === 2 ? "both" : those[0]] : "";
    };
    return [put(of(key === null ? texts.browserMay : texts.keyMay, (right) => rights.includes(right)), { name: key ?? "" }),
      of(texts.toDoMore, (right) => !rights.includes(right) && needs[right] !== "local"),
      of(texts.onlyTheBoard, (right) => !rights.includes(right) && needs[right] === "local")].filter(Boolean).join(" ");
  }

  store.on(["access", "status"], ({ access, status }) => {
    const lacks = USED.find((right) => access && !access.rights.includes(right) && access.needs[right] !== "local");
    const state = access?.name ?? (lacks ? texts.lacks[lacks] : "");
    const posture = status?.posture ?? "";
    setAttr(open, "aria-label", state ? put(texts.accessIs, { state }) : texts.access);
    setAttr(open, "title", state || null);
    setAttr(open, "data-lacks", lacks ? "" : null);
    setText(byId("posture", HTMLElement), posture && posture[0].toUpperCase() + posture.slice(1));
    setText(byId("access-about", HTMLElement), access ? about(access) : "");
    byId("access-sign-in", HTMLElement).hidden = !lacks;
    approveForm.hidden = !access?.rights.includes("control") || !(access.name || access.local);
    out.hidden = !access?.name;
  });
  store.on(["filled"], ({ filled }) => {
    if (filled) {
      refresh();
    }
  });
  // Somebody pressed what he may not, or may not even watch.
  store.on(["wanted"], ({ wanted }) => {
    if (wanted) {
      show();
      store.set({ wanted: "" });
    }
  });

  if (address.problem) {
    notice(address.problem);
  }
  if (address.code) {
    code.value = address.code;
    show();
  }
}
