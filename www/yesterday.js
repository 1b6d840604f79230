// @ts-check
/** What was a day ago, from the server's history: dashed lines behind those of now. */

import { byId, setAttr } from "./dom.js";
import { Rows } from "./decimate.js";
import { Past } from "./past.js";
import { fairTop } from "./scale.js";

/** @typedef {"latency" | "rate"} Metric */

const DAY_S = 86_400;
const HOUR_S = 3600;

/**
 * @param {import("./app.js").Context} context
 * @param {() => void} redraw
 */
export function mountYesterday({ store, colours, lines, session }, redraw) {
  const past = new Past(session.feed, (path) => session.get(path));
  const rows = new Rows();
  const button = byId("yesterday", HTMLButtonElement);
  button.addEventListener("click", () => store.set({ yesterday: !store.state.yesterday }));
  store.on(["yesterday", "status"], ({ yesterday, status }) => {
    setAttr(button, "aria-pressed", String(yesterday));
    button.hidden = !status?.history || session.node !== ""; // a gateway keeps its own
  });
  return { update, draw };

  /**
   * Fetch it, and say how high a chart of it reaches.
   *
   * @param {string} metric
   * @param {number} from  Unix seconds
   * @param {number} to
   */
  function update(metric, from, to) {
    if (!store.state.yesterday || (metric !== "latency" && metric !== "rate")) {
      return 0;
    }
    const now = Date.now() / 1000;
    const { version } = past;
    past.update(DAY_S + HOUR_S * Math.ceil((now - from) / HOUR_S), now).then(() => past.version !== version && redraw());
    past.rows(metric, from - DAY_S, to - DAY_S, lines.lineOf, rows);
    return fairTop(rows);
  }

  /** @param {import("uplot")} plot @param {string} metric */
  function draw({ ctx, bbox, scales, valToPos }, metric) {
    if (!update(metric, scales.x.min ?? 0, scales.x.max ?? 0)) {
      return;
    }
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.lineWidth = 2 * devicePixelRatio;
    rows.y.forEach((line, i) => {
      let to = "moveTo";
      ctx.strokeStyle = colours.lane(i);
      ctx.beginPath();
      line.forEach((value, row) => {
        if (typeof value === "number") {
          Reflect.get(ctx, to).call(ctx, valToPos(rows.x[row] + DAY_S, "x", true), valToPos(value, "y", true));
        }
        to = value === null ? "moveTo" : value === undefined ? to : "lineTo";
      });
      ctx.stroke();
    });
    ctx.restore();
  }
}
