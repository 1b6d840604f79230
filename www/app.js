// @ts-check
/**
 * The page: what its parts are made of, and in which order they start. This
 * module and theme.js are all that index.html runs; importing any other module
 * does nothing by itself.
 *
 * Each panel is a module that mounts itself on its part of index.html. It
 * subscribes to the store, and draws from the feed when the frame calls it. A
 * new panel is a new module and a line below.
 *
 *   theme             the theme, before the first paint
 *   settings          what this browser remembers
 *   aidash-client     socket, retry, sequence numbers (for other pages too)
 *   causes            why there is no connection
 *   contract-check    whether an event of another board is of the contract
 *   session           server events -> feed, requests, store; commands
 *   feed, ring        ticks in fixed memory
 *   past              what the server remembers of hours and days
 *   clock             the board's clock compared with the browser's
 *   requests          the requests through the proxy
 *   gauges            named values, such as temperatures, in fixed memory
 *   fleet             the boards behind a gateway
 *   store             all other state
 *   frame             draws once per animation frame, only while the page is visible
 *   view              which part of the time is shown
 *   filter            which requests, lanes and ticks are seen, in the whole page
 *   outcomes          what became of a request, in words
 *   decimate          which ticks of it are drawn
 *   statistics        of the ticks: quantiles and means
 *   limits            when a number has passed its limit
 *   dom, colours      elements; colours for canvases
 *   texts             all that the page says
 *   words             texts with values in them
 *   format            numbers, times and tables as text
 *   connection        panel: the connection's state
 *   fleet-cards       panel: a card for each board behind a gateway, or the way back from one
 *   glance, spark     panel: the cards at the top, with a small line each
 *   filter-input      panel: the field of the filter
 *   control           panel: the engine
 *   gauge-tiles       panel: the gauges among the tiles
 *   own-commands      panel: the engine's own commands, and those that take their time
 *   own-panel         panel: the embedding program's own; its title and logo
 *   log-panel         panel: what happened, as a list
 *   model-facts       panel: what is known of the models, below the active one's name
 *   requests-panel    panel: the table of requests
 *   waterfall         where a request's time went
 *   address           what is seen, as a link
 *   usage-panel       panel: what clients have used
 *   settings-panel    panel: the settings dialog
 *   share-panel       panel: the page's address for another device
 *   bench-panel       panel: the benchmark's dialog
 *   why-panel         panel: why it is slow; energy
 *   board-panel       panel: what the board's sensors say
 *   alerts-panel      the alerts that fire
 *   credentials       signing in, as the server does it
 *   access-panel      panel: who this browser is, and what it may do
 *   keys              keys for the whole page
 *   kiosk             the page on a wall
 *   charts            panel, after the first numbers: the charts; when and what to draw
 *   chart-options     how uPlot draws
 *   chart-lines       which models are drawn
 *   chart-marks       what happened, on the time axis; values beyond the scale
 *   scale             how high a chart reaches
 *   chart-legend      names and values of the lines
 *   chart-input       buttons, mouse, fingers, keys, cursor
 *   chart-empty       the text in place of empty charts
 *   pins              times that are pinned in the charts
 *   yesterday         what was a day ago, behind the lines
 *   compare-panel     panel: values at the pins, what ran then, what changed
 *   changes           what moved between two times, in words
 *   versus-panel      panel: a model in one time, laid over a model in another
 *   versus            what they did, in numbers and lines
 *   export            ticks and requests as files, the charts as a picture
 */

import { mountAccess } from "./access-panel.js";
import { mountAddress, nodeOf } from "./address.js";
import { mountAlerts } from "./alerts-panel.js";
import { mountBench } from "./bench-panel.js";
import { mountBoard } from "./board-panel.js";
import { Lines } from "./chart-lines.js";
import { mountCharts } from "./charts.js";
import { Colours } from "./colours.js";
import { mountCompare } from "./compare-panel.js";
import { mountConnection } from "./connection.js";
import { mountControl } from "./control.js";
import { fromAddress } from "./credentials.js";
import { mountExport } from "./export.js";
import { Filter } from "./filter.js";
import { mountFilter } from "./filter-input.js";
import { mountFleet } from "./fleet-cards.js";
import { Frame } from "./frame.js";
import { mountGauges } from "./gauge-tiles.js";
import { mountGlance } from "./glance.js";
import { mountKeys } from "./keys.js";
import { mountKiosk } from "./kiosk.js";
import { mountLog } from "./log-panel.js";
import { mountModelFacts } from "./model-facts.js";
import { mountOwnCommands } from "./own-commands.js";
import { mountOwnPanel } from "./own-panel.js";
import { mountRequests } from "./requests-panel.js";
import { Session } from "./session.js";
import { mountSettings } from "./settings-panel.js";
import { Settings } from "./settings.js";
import { Store } from "./store.js";
import { mountShare } from "./share-panel.js";
import { mountUsage } from "./usage-panel.js";
import { mountVersus } from "./versus-panel.js";
import { View } from "./view.js";
import { mountWhy } from "./why-panel.js";

/**
 * What the panels work with. There is one of each.
 *
 * @typedef {object} Context
 * @property {Settings} settings
 * @property {Store} store
 * @property {Frame} frame
 * @property {Colours} colours
 * @property {Lines} lines
 * @property {Session} session
 * @property {View} view
 * @property {Filter} filter
 */

const settings = new Settings();
const store = new Store();
const frame = new Frame();
const address = await fromAddress(); // a token in it is for the connection, too
const session = new Session(store, frame, nodeOf(location.hash)); // it connects while the panels load
/** @type {Context} */
export const context = { settings, store, frame, colours: new Colours(), lines: new Lines(), session, view: new View({ settings, store, session }), filter: new Filter(store, session) };
mountAddress(context);
mountFilter(context);

mountConnection(context);
mountFleet(context);
mountGlance(context);
mountControl(context);
mountModelFacts(context);
mountRequests(context);
mountUsage(context);
mountSettings(context);
mountShare(context);
mountBench(context);
mountBoard(context);
mountWhy(context);
mountAlerts(context);
mountAccess(context, address);
mountKeys(context);
mountKiosk();
mountGauges(context);
mountOwnCommands(context);
mountOwnPanel(context);
mountLog(context);

// uPlot takes its time to start: the first numbers do not wait for it.
await new Promise((go) => {
  store.on(["filled", "connection"], ({ filled, connection }) => {
    if (filled || connection.phase === "waiting") {
      requestAnimationFrame(() => setTimeout(go));
    }
  });
  setTimeout(go, 1000);
});
const { default: Plot } = await import("uplot");
const charts = mountCharts(context, Plot);
mountExport(context, charts.pictures);
mountCompare(context, charts.fill);
mountVersus(context, Plot);
