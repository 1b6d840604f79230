// @ts-check
/** A sparkline: the last minute. */

import { decimate, Rows } from "./decimate.js";
import { fairTop } from "./scale.js";

export const SPARK_S = 60;
const rows = new Rows();

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import("./ring.js").Ring} ring
 * @param {Float32Array} values    a column of the ring
 * @param {number} end             Unix seconds at the right edge
 * @param {Int8Array} lineOf       the line of each lane
 * @param {string[]} colours       of each line, #rrggbb
 * @param {((slot: number) => boolean) | null} [passes]  which ticks are drawn; null: all
 */
export function drawSpark(canvas, ring, values, end, lineOf, colours, passes = null) {
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
  decimate(ring, { values, from: ring.find(end - SPARK_S), to: ring.end, width: (2 * ratio * SPARK_S) / width, lineOf, passes }, rows);
  const edge = 2 * ratio;
  /** @param {number} x */
  const left = (x) => width * (1 - (end - x) / SPARK_S);
  const top = Math.min(rows.top || 1, fairTop(rows));
  /** @param {number} y */
  const up = (y) => height - edge - (y / top) * (height - 2 * edge);
  const drawn = rows.y.map((line, i) => ({ line, colour: colours[i] })).filter(({ line }) => line.some((value) => value !== undefined));
  for (const { line, colour } of drawn) {
    drawLine(context, line, left, up, height, colour, drawn.length === 1, ratio);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {(number | null | undefined)[]} line
 * @param {(x: number) => number} left
 * @param {(y: number) => number} up
 * @param {number} height
 * @param {string} colour
 * @param {boolean} shaded  the area below it
 * @param {number} ratio
 */
function drawLine(context, line, left, up, height, colour, shaded, ratio) {
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
  if (shaded) {
    context.fillStyle = shade;
    context.fill(fill);
  }
  context.strokeStyle = colour;
  context.lineWidth = 1.5 * ratio;
  context.lineJoin = "round";
  context.stroke(stroke);
}
