// @ts-check
/**
 * Signing in, as the server does it: a code, a device that is signed in already, or
 * a token in the page's address. Each gives this browser a cookie that no script
 * can read. See "Sign in" in docs/api.md.
 */

import * as texts from "./texts.js";
import { put } from "./words.js";
const FETCH_MS = 8_000;

/** What the server says of who asks. @typedef {import("./contract").AuthAnswer} Access */

/**
 * @typedef {object} Answer
 * @property {number} status    HTTP's; 0: there was no answer
 * @property {string} problem   what is wrong, as a sentence; "": nothing
 * @property {any} body         its JSON; null if there is none
 */

/** @returns {Promise<Answer>} with an Access */
export const whoAmI = () => ask("auth");

/** @param {string} code  8 digits @param {string} name  of this device */
export const pair = (code, name) => ask("auth/pair", { code, name });

/** @param {string} token  a key or a JWT */
export const trade = (token) => ask("auth/token", { token });

/** Ask for a code to be approved on another device. @param {string} name  of this device */
export const askOthers = (name) => ask("auth/ask", { name });

/** Was it approved? 202: not yet. @param {string} id  what askOthers() got */
export const wasApproved = (id) => ask("auth/asked", { ask: id });

/** @param {string} code  that the other device shows @param {string[]} rights */
export const approve = (code, rights) => ask("auth/approve", { code, rights });

export const signOut = () => ask("auth/sign-out", {});

/**
 * @param {string} path
 * @param {object} [body]  of a POST
 * @returns {Promise<Answer>}
 */
async function ask(path, body) {
  const abort = new AbortController(); // AbortSignal.timeout() is missing in Safari 15
  const timer = setTimeout(() => abort.abort(), FETCH_MS);
  /** @type {RequestInit} */
  const options = { cache: "no-store", signal: abort.signal };
  if (body) {
    Object.assign(options, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  }
  try {
    const response = await fetch(`./${path}`, options);
    const text = await response.text();
    const json = text.startsWith("{") ? JSON.parse(text) : null;
    const problem = response.ok ? "" : json?.error?.message ?? put(texts.answersStatus, { status: response.status });
    return { status: response.status, problem, body: json };
  } catch {
    return { status: 0, problem: texts.noAnswer, body: null };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Take a credential out of the page's address, so that it does not stay in the
 * history or in a copied link: ?token=TOKEN is traded at once, #pair=CODE is for
 * the dialog.
 *
 * @returns {Promise<{code: string, problem: string}>}
 */
export async function fromAddress() {
  const url = new URL(location.href);
  const token = url.searchParams.get("token");
  const code = /^#pair=([0-9]{8})$/.exec(url.hash)?.[1] ?? "";
  if (token === null && !code) {
    return { code, problem: "" };
  }
  url.searchParams.delete("token");
  if (code) {
    url.hash = "";
  }
  history.replaceState(history.state, "", url);
  return { code, problem: token === null ? "" : (await trade(token)).problem };
}

/** How this browser may be called in a list of devices. */
export function deviceName() {
  const agent = navigator.userAgent;
  const browser = /Edg|OPR|Firefox|FxiOS|CriOS|Chrome|Safari/.exec(agent)?.[0] ?? texts.browser;
  const system = /iPhone|iPad|Android|Windows|Mac OS|CrOS|Linux/.exec(agent)?.[0] ?? "";
  /** @type {Record<string, string>} */
  const names = { Edg: "Edge", OPR: "Opera", FxiOS: "Firefox", CriOS: "Chrome", "Mac OS": "Mac", CrOS: "Chromebook" };
  const name = names[browser] ?? browser;
  return system ? put(texts.browserOn, { browser: name, system: names[system] ?? system }) : name;
}
