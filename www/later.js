// @ts-check
/** What starts after the page's first numbers, as uPlot takes its time. */

export { mountCharts } from "./charts.js";
export { mountCompare } from "./compare-panel.js";
export { mountExport } from "./export.js";
