// @ts-check
/**
 * The one place that draws. However many messages come, everything is drawn
 * at most once an animation frame, and nothing while the page is hidden. A
 * panel's draw() says after how many milliseconds it wants to be drawn again
 * by itself (Infinity: only when something changed).
 */

/** @typedef {(now: number) => number} Draw  now: Unix seconds */

/** @type {Draw[]} */
const draws = [];
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let queued = false;

/** @param {Draw} draw */
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
