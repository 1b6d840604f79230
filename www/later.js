// @ts-check
/** What the page loads after its first numbers, as uPlot takes its time to start. */

export { mountCharts } from "./charts.js";
export { mountCompare } from "./compare-panel.js";
export { mountExport } from "./export.js";
