// @ts-check
/**
 * The page: its elements, which are touched only where that makes a difference;
 * its colours; and the one place that draws. However many messages come,
 * everything is drawn at most once an animation frame, and nothing while the
 * page is hidden.
 */

import { LINES } from "./decimate.js";

/* ---- elements ---- */

/**
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const node = document.getElementById(id);
  if (!(node instanceof kind)) {
    throw new Error(`the page has no ${kind.name} #${id}`);
  }
  return node;
}

/**
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

/**
 * @param {Element} node
 * @param {string} name
 * @param {string | null} value  null: without it
 */
export function setAttr(node, name, value) {
  if (node.getAttribute(name) !== value) {
    if (value === null) {
      node.removeAttribute(name);
    } else {
      node.setAttribute(name, value);
    }
  }
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attrs]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attrs = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs)) {
    node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** @param {string} text  for screen readers, once */
export function announce(text) {
  setText(byId("announce", HTMLElement), text);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let noticeTimer;

/**
 * Say something at the bottom of the page for a while.
 *
 * @param {string} text
 */
export function notice(text) {
  const node = byId("notice", HTMLElement);
  setText(node, text);
  node.classList.add("shown");
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => node.classList.remove("shown"), 6000);
}

/* ---- colours ---- */

const names = ["text", "muted", "grid", "card", "bad", "accent", "shade"];

/**
 * What is drawn in canvases, read from the style sheet, so that colours are
 * written in one place.
 *
 * @type {Record<string, string>}
 */
export const colours = {};
/** @type {string[]} by lane */
const lanes = [];

/** Read them again: the theme has changed. */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of names) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  for (let i = 0; i < LINES; i++) {
    lanes[i] = style.getPropertyValue(`--lane-${i}`).trim();
  }
}

readColours();

/** @param {number} index of a lane */
export function laneColour(index) {
  return lanes[index % LINES];
}

/* ---- drawing ---- */

/** @typedef {(now: number) => number} Draw  now: Unix seconds */

/** @type {Draw[]} */
const draws = [];
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let queued = false;

/**
 * A panel's part of each frame. It returns after how many milliseconds it wants
 * to be drawn again by itself (Infinity: only when something has changed).
 *
 * @param {Draw} draw
 */
export function onFrame(draw) {
  draws.push(draw);
  requestDraw();
}

/** Something changed: draw in the next animation frame. */
export function requestDraw() {
  if (!queued && !document.hidden) {
    queued = true;
    requestAnimationFrame(drawAll);
  }
}

function drawAll() {
  queued = false;
  clearTimeout(timer);
  const now = Date.now() / 1000;
  let wait = Infinity;
  for (const draw of draws) {
    wait = Math.min(wait, draw(now));
  }
  if (wait !== Infinity) {
    timer = setTimeout(requestDraw, wait);
  }
}

document.addEventListener("visibilitychange", requestDraw);
