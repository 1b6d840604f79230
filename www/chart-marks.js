// @ts-check
/** What happened, on the time axis: pauses, benchmarks and lost connections are shaded, moments and limits get a dashed line. */

import { duration, short } from "./format.js";
import { outliers } from "./scale.js";

/** @import uPlot from "uplot" */

const TEXTS_PX = 60; // only the first of marks nearer to each other has its text

/**
 * @param {uPlot} plot
 * @param {import("./feed.js").Mark[]} marks
 * @param {readonly [number, number] | null} lit  a part of the time that is marked
 * @param {number | null} limit  a value of the y axis
 * @param {{rem: number, colours: import("./colours.js").Colours}} look
 * @param {boolean} texts        with a text beside each mark
 */
export function drawMarks(plot, marks, lit, limit, { rem, colours }, texts) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const { min = 0, max = 0 } = plot.scales.x;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.font = `${0.7 * rem * ratio}px system-ui, sans-serif`;
  ctx.textBaseline = "top";
  ctx.textAlign = "left";
  ctx.lineWidth = ratio;
  if (lit) {
    const [left, right] = lit.map((time) => plot.valToPos(Math.min(Math.max(time, min), max), "x", true));
    ctx.fillStyle = `${colours.accent}33`;
    ctx.fillRect(left, bbox.top, Math.max(right - left, ratio), bbox.height);
  }
  let textEnd = -Infinity;
  for (const mark of marks) {
    if (mark.to < min || mark.from > max) {
      continue;
    }
    const colour = ["model", "paused", "bench", "note"].includes(mark.kind) ? colours.muted : colours.bad;
    const left = plot.valToPos(Math.max(mark.from, min), "x", true);
    if (mark.to > mark.from) {
      const right = plot.valToPos(Math.min(mark.to, max), "x", true);
      ctx.fillStyle = colours.shade;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
    }
    ctx.strokeStyle = colour;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(Math.round(left) + 0.5, bbox.top);
    ctx.lineTo(Math.round(left) + 0.5, bbox.top + bbox.height);
    ctx.stroke();
    if (texts && left >= textEnd) {
      const widest = TEXTS_PX * 3 * ratio;
      const width = Math.min(ctx.measureText(mark.text).width, widest) + 8 * ratio;
      ctx.fillStyle = colour;
      ctx.fillText(mark.text, Math.min(left, bbox.left + bbox.width - width) + 4 * ratio, bbox.top + 2 * ratio, widest);
      textEnd = left + Math.max(TEXTS_PX * ratio, width);
    }
  }
  if (limit !== null && limit <= (plot.scales.y.max ?? 0)) {
    const y = Math.round(plot.valToPos(limit, "y", true)) + 0.5;
    ctx.strokeStyle = colours.bad;
    ctx.setLineDash([6 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

/**
 * The values that are beyond the scale, at its edge.
 *
 * @param {uPlot} plot
 * @param {import("./decimate.js").Rows} rows
 * @param {boolean} times  they are milliseconds
 * @param {{rem: number, colours: import("./colours.js").Colours}} look
 */
export function drawOutliers(plot, rows, times, { rem, colours }) {
  const { ctx, bbox } = plot;
  const size = 0.7 * rem * devicePixelRatio;
  const gap = plot.posToVal(TEXTS_PX, "x") - plot.posToVal(0, "x");
  ctx.save();
  ctx.font = `${size}px system-ui, sans-serif`;
  ctx.textBaseline = "top";
  ctx.textAlign = "left";
  for (const { x, value } of outliers(rows, plot.scales.y.max ?? Infinity, gap)) {
    const text = `▲ ${times ? duration(value) : short(value)}`;
    const width = ctx.measureText(text).width + size;
    const left = Math.min(Math.max(plot.valToPos(x, "x", true) - size / 2, bbox.left), bbox.left + bbox.width - width);
    const top = bbox.top + 1.2 * size; // below the text of a mark
    ctx.fillStyle = colours.card;
    ctx.fillRect(left, top, width, 1.3 * size);
    ctx.fillStyle = colours.text;
    ctx.fillText(text, left + size / 2, top + 0.15 * size);
  }
  ctx.restore();
}
