// @ts-check
/** A sparkline: the last minute of all lanes. */

import { decimate, Rows } from "./decimate.js";
import { LANES_MAX } from "./feed.js";

const SECONDS = 60;
const rows = new Rows();
const lineOf = new Int8Array(LANES_MAX); // all in one line

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import("./ring.js").Ring} ring
 * @param {Float32Array} values  a column of the ring
 * @param {number} end           Unix seconds at the right edge
 * @param {string} colour        #rrggbb
 */
export function drawSpark(canvas, ring, values, end, colour) {
  const ratio = devicePixelRatio;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  if (!context || !width) {
    return;
  }
  context.clearRect(0, 0, width, height);
  decimate(ring, values, ring.find(end - SECONDS), ring.end, (2 * ratio * SECONDS) / width, lineOf, rows);

  const line = rows.y[0];
  let top = 0;
  for (const value of line) {
    top = Math.max(top, value ?? 0);
  }
  const edge = 2 * ratio;
  /** @param {number} x */
  const left = (x) => width * (1 - (end - x) / SECONDS);
  /** @param {number} y */
  const up = (y) => height - edge - (y / (top || 1)) * (height - 2 * edge);

  const stroke = new Path2D();
  const fill = new Path2D();
  let start = 0; // where the segment began; a segment ends at null
  let last = 0;
  let drawing = false;
  for (let i = 0; i <= line.length; i++) {
    const value = line[i];
    if (value === undefined && i < line.length) {
      continue;
    }
    if (value === null || value === undefined) {
      if (drawing) {
        fill.lineTo(last, height);
        fill.lineTo(start, height);
        drawing = false;
      }
      continue;
    }
    last = left(rows.x[i]);
    if (drawing) {
      stroke.lineTo(last, up(value));
      fill.lineTo(last, up(value));
    } else {
      drawing = true;
      start = last;
      stroke.moveTo(last, up(value));
      fill.moveTo(last, height);
      fill.lineTo(last, up(value));
    }
  }
  const shade = context.createLinearGradient(0, 0, 0, height);
  shade.addColorStop(0, `${colour}55`);
  shade.addColorStop(1, `${colour}00`);
  context.fillStyle = shade;
  context.fill(fill);
  context.strokeStyle = colour;
  context.lineWidth = 1.5 * ratio;
  context.lineJoin = "round";
  context.stroke(stroke);
}
