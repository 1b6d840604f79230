// @ts-check
/**
 * All texts of the page that a person sees or hears. Another language is a copy of
 * this file in which what stands between the quotes is translated: see "Another
 * language" in docs/build.md.
 *
 * - {name} stands for a value, and stays as it is; it may move within the text.
 * - A text with forms is counted: "one" and "other" are English's. A language has
 *   those of Intl.PluralRules: zero, one, two, few, many, other; "other" must be
 *   there. {n} is the number.
 * - Names on the left stay. So do "aidash", the keys of objects, and `this`.
 * - A line `export const NAME = "TEXT";` may fill {{NAME}} in index.html: it stays
 *   one line.
 *
 * Texts that come from the server, such as errors, names of models and lines of
 * the log, are data and not here.
 */

/* ---- the language: BCP 47; numbers and dates are written as in it ---- */

export const LANGUAGE = "en";

/* ---- units, and short forms of numbers ---- */

export const msUnit = "ms";
export const secondsUnit = "s";
export const perSecondUnit = "tok/s";
export const milliseconds = "{n} ms";
export const seconds = "{n} s";
export const minutes = "{n} min";
export const hours = "{n} h";
export const days = "{n} d";
export const minutesSeconds = "{m} min {s} s";
export const hoursMinutes = "{h} h {m} min";
export const daysHours = "{d} d {h} h";
export const ago = "{age} ago";
export const percent = "{n} %";
export const tokensRate = "{n} tok/s";
export const rateOnly = "{n} /s";
export const tokensRateLong = "{n} tokens/s";
export const celsius = "{n} °C";
export const megahertz = "{n} MHz";
export const watts = "{n} W";
export const rpm = "{n} rpm";
export const bytes = ["{n} B", "{n} kB", "{n} MB", "{n} GB", "{n} TB"];
export const bytesRate = "{bytes}/s";
/** Thousands, millions and so on, behind a number without a space. */
export const powers = ["k", "M", "G", "T"];
export const points = "points";
export const celsiusUnit = "°C";
export const percentUnit = "%";
export const estimate = "An estimate";

/* ---- the head of the page ---- */

export const description = "Live dashboard of an inference engine";
export const needsScript = "This page needs JavaScript. These work without it:";
export const ticks = "ticks";
export const close = "Close";
export const access = "Access";
export const theme = "Theme";
export const settings = "Settings";

/* The connection. */
export const connecting = "Connecting";
export const connectingAgain = "Connecting, attempt {n}";
export const attempt = " (attempt {n})";
export const connected = "Connected";
export const closed = "Closed";
export const reconnecting = "Reconnecting in {n}\u00a0s";
export const retry = "Retry";
export const saidConnected = "Connected.";
export const saidLost = "Connection lost. {reason} The page tries again.";
export const eventsLost = { one: "{n} event was lost: this page could not keep up.", other: "{n} events were lost: this page could not keep up." };

/** Why there is no connection: in front of the countdown. */
export const causes = {
  "": "", unreachable: "", full: "Server full.", busy: "Server busy.", locked: "Sign in to watch.", refused: "Refused.", proxy: "Proxy error.",
  socket: "No WebSocket.", offline: "Browser offline.",
};
export const refusedBecause = "Refused: {reason}";
export const answersStatus = "The server, or a proxy in between, answers {status}.";
export const noAnswer = "The server did not answer.";
export const proxyAsks = "A proxy in between asks for a sign-in: reload the page.";
export const cookiesTooLong = "The browser sends more cookies for this host name than the server takes (431): clear them, or open the page by the board's IP address.";
export const proxyUnreachable = "A proxy in between can't reach the server (502).";
export const proxyTimeout = "A proxy in between gets no answer from the server (504).";
export const noSocket = "The server answers, but no WebSocket can be opened: a proxy in between must pass WebSockets on.";

/** What aidash-client.js says. */
export const clientSentences = {
  disconnected: "Not connected.",
  busy: "Too many commands await their answer.",
  timeout: "The server did not answer.",
  lost: "The connection was lost before the answer.",
  closed: "Closed by this page.",
  silent: "The server has gone silent.",
  stopped: "The server was stopped.",
  ended: "The server closed the connection.",
  endedBecause: "The server closed the connection: {reason}.",
  endedCode: "The server closed the connection ({code}).",
  tooLong: "A message was too long.",
  broke: "The connection broke off.",
  unreachable: "The server can't be reached.",
};

/* ---- signing in ---- */

export const pairHint = "For a code of 8 digits, run this on the board:";
export const code = "Code";
export const eightDigits = "8 digits";
export const deviceName = "Name of this device";
export const signIn = "Sign in";
export const signOut = "Sign out";
export const askOther = "Or ask a device that is signed in";
export const typeThere = "On a device that is signed in, open Access and type {code} there.";
export const approveHint = "A new device shows a code. Type it here, and the device may watch and control.";
export const itsCode = "Its code";
export const letIn = "Let it in";
export const letInDone = "The device may watch and control now.";
export const signedIn = "Signed in as {name}.";
export const signedOut = "This browser is signed out.";
export const signInToControl = "Sign in to control the engine.";
export const accessIs = "Access: {state}";
export const lacks = { view: "sign in to watch", control: "sign in to control the engine" };
/** What this browser, or the key with this name, may do; "both": watch and control. */
export const browserMay = {
  view: "This browser may watch.",
  control: "This browser may control the engine.",
  both: "This browser may watch and control the engine.",
};
export const keyMay = {
  view: "{name} may watch.",
  control: "{name} may control the engine.",
  both: "{name} may watch and control the engine.",
};
export const toDoMore = {
  view: "To watch, sign in.",
  control: "To control the engine, sign in.",
  both: "To watch or control the engine, sign in.",
};
export const onlyTheBoard = {
  view: "Nobody but the board itself may watch.",
  control: "Nobody but the board itself may control the engine.",
  both: "Nobody but the board itself may watch or control the engine.",
};
export const browser = "Browser";
export const browserOn = "{browser} on {system}";

/* ---- boards behind a gateway ---- */

export const boards = "Boards";
export const allBoards = "All boards";
export const ownPage = "Its own page";
export const findBoard = "Find a board";
export const findBoardLabel = "Find a board by its name, model or state";
export const noSuchBoard = "No board has this name, model or state.";
export const sortBy = "Sort by";
export const sortByName = "name";
export const sortByRate = "tokens/s";
export const sortByHeat = "temperature";
export const sortByState = "state";
export const live = "Live";
export const liveBoardsWhat = "Boards that are heard now, of all that are known";
export const fleetRateWhat = "The sum of all live boards";
export const boardRateWhat = "Of all its models, over the last 2 s";
export const boardHeatWhat = "The hottest of its sensors";
export const boardPowerWhat = "Its power now, if it tells it";
export const boardAgeWhat = "Time since its newest event";
export const fleetPowerWhat = "The sum of the live boards that tell their power";
export const power = "Power";
export const liveOf = "{n} of {all}";
export const powerOf = "{n} of the {all} live boards tell their power";
export const boardStates = { live: "Live", stale: "Stale", gone: "Gone" };
export const boardNotKnown = "Not known";
export const boardIs = "{state}, {ago}";
export const boardUnknown = "no event of it is known here";
export const showHere = "Show here";
export const showHereName = "Show {name} here";
export const newestEvent = "Newest event";
export const boardsGone = { one: "{n} board is gone.", other: "{n} boards are gone." };
export const gone = "Gone: {names}.";
export const engineIsDown = "The engine is down.";

/* ---- the cards ---- */

export const atAGlance = "At a glance";
export const tokensPerSecond = "Tokens per second";
export const inferencesPerSecond = "Inferences per second";
export const rateWhat = "Tokens of all running answers per second, over the last 2 s. ~: an estimate, counted from the stream.";
export const mean = "mean";
export const meanWhat = "All tokens of the time shown, divided by that time";
export const peak = "peak";
export const peakWhat = "The highest rate in the time shown";
export const latency = "Latency";
export const latencyWhat = "Time between two tokens of one answer, without the first token: the median of the last 2 s, of the slowest model";
export const p50 = "p50";
export const p50What = "The median: half of the latencies in the time shown are lower";
export const p95 = "p95";
export const p95What = "95 of 100 latencies in the time shown are lower";
export const low = "low";
export const high = "high";
export const filtered = "{span}, filtered";
export const idleFor = "idle for {age}";
export const lastWas = "last {value}, {age} ago";
export const slowestOf = "slowest of {n}: {name}";
export const perStreamOf = "per stream, of {n}";
export const loadingFor = "loading, {time}";
export const readingPrompt = "reading the prompt: {share}";
export const noTokenYet = "no token yet, {age}";
export const latencyAlarm = "Latency {value}, above {limit} ms";
export const rateAlarm = "{value} per second, below {limit}";

/* The engine's card. */
export const engine = "Engine";
export const models = "Models";
export const findModel = "Find a model";
export const pause = "Pause";
export const resume = "Resume";
export const pauseWhat = "Running requests finish, new ones wait";
export const pauseQuestion = {
  one: "{n} request runs, and will finish. New ones will wait. Pause?",
  other: "{n} requests run, and will finish. New ones will wait. Pause?",
};
export const states = {
  connecting: "Connecting",
  waiting: "No connection",
  closed: "Closed",
  down: "Engine down",
  loading: "Loading",
  draining: "Pausing",
  paused: "Paused",
  running: "Running",
  ended: "Input ended",
  empty: "No data yet",
  idle: "Idle",
};
export const drainingLeft = "Pausing, {n} left";
export const engineIs = "Engine: {state}.";
export const downSince = "No answer since {time}";
export const downSinceLeast = "No answer since {time} or earlier";
export const clientsChoice = "Client's choice";
export const loading = "loading";
export const loaded = "loaded";
export const loadedWhat = "in the engine's memory";
export const onTheCpu = "{share} on the CPU";
export const context = "context {n}";
export const promptsCached = "{share} of prompts cached";
export const loadingModel = "Loading {model}, {time}";
export const modelFacts = "Context, CPU, cache";
export const modelFactsWhat = "As the engine tells: tokens that its context holds, share of the model that runs on the CPU, share of all prompts' tokens that came from its cache";
export const itsModel = "its model";
export const switchingTo = "Switching to {model}";
export const doing = { pause: "Pausing", resume: "Resuming" };
export const underWay = "{what}…";
export const failed = "{what}: failed";
export const failedBecause = "{what}: failed: {reason}";
export const set = "Set";
export const setName = "Set {name}";
export const energyWhat = "Power now, and joules above rest for each token of the last 60 s";
export const powerUnknown = "power unknown";
export const perToken = "{n} J per token";
export const powerOfScope = "Power of: {scope}";
export const powerOfScopeEstimate = "Power of: {scope}, an estimate";
export const atRest = "at rest {n} W; joules above that are an estimate";
export const whSince = "{n} Wh since the start";
export const cost = "cost {n}";
export const tokensPerWh = "{n} tokens per Wh";

/* The tiles. */
export const tokens = "Tokens";
export const inferences = "Inferences";
export const tokensWhat = "All tokens since the engine's or the meter's count began. ~: in part an estimate.";
export const firstToken = "First token";
export const latestTtftWhat = "From the arrival at aidash to the first text: of the latest request";
export const runningWaiting = "Running / waiting";
export const runningWaitingWhat = "Requests at the engine, and requests in aidash's queue";
export const runningWaitingFull = "{running} / {waiting} full";
export const viewers = "Viewers";
export const viewersWhat = "Pages and programs that receive ticks";
export const lostEvents = "Lost events";
export const lostEventsWhat = "Events that this page missed, as it or the network could not keep up";
export const uptime = "Uptime";
export const uptimeWhat = "Time since aidash was started";
export const gaugeWhat = "{name}: the latest value that the engine's program sent";

/* ---- the charts ---- */

export const history = "History";
export const goLive = "Go live";
export const filter = "Filter";
export const filterLabel = "Filter what is shown by model, client, route, outcome or node";
export const timeShown = "Time shown";
export const oneMinute = "1 min";
export const fiveMinutes = "5 min";
export const oneHour = "1 h";
export const sixHours = "6 h";
export const oneDay = "24 h";
export const twoWeeks = "14 d";
export const all = "All";
export const allTime = "all";
export const log = "Log";
export const logWhat = "Logarithmic scales";
export const freeze = "Freeze";
export const resetZoom = "Reset zoom";
export const compare = "Compare";
export const whatChanged = "What changed";
export const whatChangedWhat = "This window, or the time from A to B, against the four times as long before";
export const versus = "Models or times";
export const versusWhat = "A model in one time, laid over a model in another";
export const begins = "Begins";
export const length = "Length";
export const tokensBusy = "Tokens/s, without idle time";
export const betweenP95 = "Between tokens, p95";
export const tokensBusyWhat = "All tokens, divided by the time in which some came";
export const firstTokenMedian = "First token, median";
export const firstTokenMedianWhat = "The median of the requests whose first token came in that time";
export const energyPerToken = "Energy per token, the whole board";
export const energyPerTokenWhat = "All that the board took in that time, rest included, divided by its tokens";
export const joules = "{n} J";
export const requestsEnded = "Requests ended";
export const requestsEndedWhat = "Requests that ended in that time, as the server's history has them";
export const versusRows = "~: an estimate, from the rows of the server's history";
export const yesterday = "Yesterday";
export const yesterdayWhat = "Dashed lines of the same time yesterday";
export const exportAs = "Export";
export const exportCharts = "Export charts";
export const dataAsCsv = "Data as CSV";
export const dataAsNdjson = "Data as NDJSON";
export const chartsAsPng = "Charts as PNG";
export const nothingToExport = "There is nothing to export yet.";
export const nothingToCopy = "There is nothing to copy yet.";
export const copied = "Copied.";
export const latest = "latest";
export const lines = "Lines";
export const chartsLabel = "Charts. Arrow keys move the cursor, Enter pins A and then B, plus and minus zoom, Escape resets.";
export const latencyChart = "Latency, ms";
export const latencyChartWhat = "Time between two tokens of one answer; on long times the median and the range";
export const rateChartWhat = "Tokens of each model per second, over 2 s";
export const ttftChart = "Time to the first token, ms";
export const ttftChartWhat = "From a request's arrival at aidash to its first text; a dot for each request, at the time of that text";
export const cursorValues = "{name}: {latency}, {rate} per second";
export const firstTokenIs = "first token {time}";
export const notDrawn = {
  one: "{n} more is not drawn: hide others to see it",
  other: "{n} more are not drawn: hide others to see them",
};
export const nothingPasses = "Nothing in the time shown passes the filter.";
export const shownEnded = "{span} shown, ended {age} ago";
export const behind = "{age} behind";
export const noHistory = "the server's history is not available";
export const allModels = "all models";

/* What stands on the time axis, and in the list of events. */
export const markPaused = "paused";
export const markOffline = "offline";
export const markBenchmark = "benchmark";
export const markRestart = "server restarted";
export const markLost = "{n} lost";
export const markNotKept = "{n} not kept";
export const markSlow = "{model} is slow";
export const markSlowBecause = "{model} is slow: {cause}";
export const slowCauses = {
  under_voltage: "under-voltage", over_current: "over-current", thermal: "thermal", throttled: "throttled", gpu_clock: "GPU clock", cpu_clock: "CPU clock",
  swap: "swap", disk_wait: "disk wait", cpu_steal: "other virtual machines", cpu_share: "partly on the CPU", model_load: "model load", context_full: "context full",
  draft: "drafts refused", cache_broke: "cache broke", thinking: "thinking", streams: "parallel streams", pause: "pause", queue: "queue",
};

/* In place of empty charts. */
export const notConnected = "Not connected";
export const engineSilent = "The engine does not answer";
export const noDataYet = "No data yet";
export const startEngineAt = "Start it at {address}. This page shows it as soon as it answers.";
export const startEngine = "Start it. This page shows it as soon as it answers.";
export const waitingForData = "The server is waiting for data. Put it in front of an engine with aidash --upstream URL, or send some from any program:";
export const waitingForInput = "The server is waiting for lines on its standard input.";
export const waitingForRequest = "The next request through the proxy will appear here. Send it to this address instead of the engine's:";
export const waitingForCount = "The next tokens that the engine counts will appear here.";
export const waitingForTick = "The next tick will appear here.";
export const firstTokenStarts = "Its first token starts the charts.";
export const fullOf = "The server is full ({n} of {most} viewers).";
export const full = "The server is full.";
export const readingPrompts = { one: "{n} request is reading its prompt, {age}", other: "{n} requests are reading their prompts, {age}" };
export const waitingForTokens = { one: "{n} request is waiting for its first token, {age}", other: "{n} requests are waiting for their first tokens, {age}" };

/* ---- pins and comparisons ---- */

export const clear = "Clear";
/** The names of the pins. */
export const pins = ["A", "B"];
export const pinHeads = ["A", "B", "Mean", "A to B"];
/** What each of them is; the pins themselves are times. */
export const pinHeadsWhat = ["The value at A", "The value at B", "From A to B: of latencies over all ticks, of rates over time", "From the value at A to that at B"];
export const pinTitle = "A {a}";
export const pinsTitle = "A {a} to B {b}, {span}";
export const laneLatency = "{name}: latency";
export const laneRate = "{name}: rate";
export const laneFirstToken = "{name}: first token";
export const ranThen = "Ran then";
export const noneRanThen = "No known request ran then";
export const changedTitle = "What changed: {from} to {to}, against the {span} before";
export const nothingMoved = "Nothing known moved by 5 % or more.";
export const moved = "{name} {before} → {after}";
export const movedBy = "{name} {before} → {after} ({by})";
export const tokensS = "Tokens/s";
export const promptFromCache = "Prompt from the cache";
export const requestsPerMinute = "Requests per minute";
export const cpu = "CPU";
export const gpu = "GPU";
export const clock = "Clock";
export const temperature = "Temperature";
export const memory = "Memory";

/* ---- the board ---- */

export const board = "Board";
export const named = "{kind} {name}";
export const npu = "NPU";
export const fan = "Fan";
export const diskFree = "Disk free";
export const network = "Network";
export const off = "off";
export const ofTotal = "of {total}";
export const diskWait = "disk {share}";
export const stolen = "stolen {share}";
export const swap = "swap {bytes}";
export const computing = "{share} compute";
export const usedOf = "{used} of {total}";
export const sent = "sent {rate}";
export const isEstimate = "estimate";
export const tileWhat = {
  cpu: "Share of their time in which the processors worked in the last second. Disk: they waited for it. Stolen: other virtual machines had it.",
  memory: "Memory in use: all, without what is available to programs",
  temperature: "The hottest of the board's sensors",
  gpu: "Share of the time in which it works, as its driver counts it; else its clock",
  power: "Power now, and of what it is",
  fan: "The fan's speed",
  disk: "Free space of the root file system",
  network: "Bytes that come in per second",
};
export const throttledNow = {
  under_voltage: "Under-voltage: the power supply or its cable is too weak",
  clock_capped: "The clock is capped",
  throttled: "Throttled: the board is slowed down",
  soft_limit: "The soft limit of its temperature is reached",
};
export const throttledBefore = { under_voltage: "under-voltage", clock_capped: "clock capped", throttled: "throttled", soft_limit: "soft limit of temperature" };
export const coolingBy = "{name} {state} of {max}";
export const cooledBy = "Slowed down to cool it: {names}";
export const sinceStart = "Since its start: {what}";
export const overCurrents = { one: "{n} time over-current", other: "{n} times over-current" };
export const underVoltages = { one: "{n} time under-voltage", other: "{n} times under-voltage" };
export const alertsLost = "When the connection was lost:";

/* ---- events ---- */

export const events = "Events";
export const eventsLabel = "Events, the latest first";
export const eventModel = "model: {model}";
export const eventLevels = { warn: "warn: {text}", error: "error: {text}" };
export const eventLasted = "{text}, {age}";

/* ---- requests ---- */

export const requests = "Requests";
export const requestsTable = "Table of requests";
export const columns = "Columns";
export const exportRequests = "Export requests";
export const requestsAsCsv = "Requests as CSV";
export const requestsAsNdjson = "Requests as NDJSON";
export const copyAsMarkdown = "Copy as Markdown";
export const passOf = "{n} of {all}";
export const cancel = "Cancel";
export const cancelRequest = "Cancel request {id}";
export const notCancelled = "Request {id} was not cancelled: {reason}";
export const detailsOf = "{time}, details of request {id}";
export const showInCharts = "Show in the charts";
export const queuedAt = "{state}, place {n}";
export const promptRead = "{n} of {all}";
export const tokensOf = "{n} of {all} tokens";

/* Its columns. */
export const time = "Time";
export const timeWhat = "When the request arrived, by this browser's clock";
export const state = "Status";
export const model = "Model";
export const client = "Client";
export const route = "Route";
export const promptIn = "In";
export const promptInWhat = "Tokens of the prompt, cached ones included";
export const answerOut = "Out";
export const answerOutWhat = "Tokens of the answer. ~: counted from the stream.";
export const ttftWhat = "From the arrival at aidash to the first text, the wait in the queue included";
export const prefill = "Prefill /s";
export const prefillWhat = "Tokens of the prompt per second, without cached ones";
export const decode = "Decode /s";
export const decodeWhat = "Tokens of the answer per second, from the first to the last";
export const duration = "Duration";
export const durationWhat = "From the arrival to the end";
export const contextFill = "Context";
export const contextFillWhat = "How much of the model's context prompt and answer fill";

/** What became of a request: in a few words, and what that means. */
export const outcomes = {
  running: ["running", "The engine is working on it."],
  queued: ["queued", "It waits until the engine is free."],
  finished: ["finished", "The answer is complete."],
  left: ["client left", "The client closed the connection before the answer was complete."],
  cut: ["engine broke off", "The engine's answer ended without its end."],
  viewer: ["cancelled by viewer", "Somebody cancelled the request on this page."],
  limit: ["stopped: too slow", "aidash ended it, as a peer was silent or too slow for too long."],
  refused: ["refused", "The engine refused the request."],
  full: ["refused", "aidash refused the request."],
  failed: ["engine failed", "The engine could not be reached, or it reported an error."],
  lost: ["not known", "It ran when the connection was lost."],
  stuck: ["no answer", "The engine does not answer now. The request goes on when it does, or ends after --upstream-timeout."],
};

/** Why the counts are not the engine's own. */
export const countsReasons = {
  not_told: "the engine tells none",
  one_choice: "the engine tells those of one choice",
  compressed: "the answer is compressed",
  invalid_http: "the answer broke HTTP",
  invalid_json: "the answer has broken JSON",
  nested_too_deep: "the answer's JSON is nested too deep",
};
export const countsAre = { exact: "exact", estimated: "estimated", none: "none" };

/** What was found of a request: in two words, and what that means. */
export const signs = {
  prompt_cut: ["prompt cut", "The engine read only a part of the prompt: the context is too short for all of it. Give the model a longer one (num_ctx), or send less."],
  cache_broke: ["cache broke", "The engine had most of this client's latest prompt in its cache, and little of this one: its beginning changed, or something else took the cache."],
};

/* What a row shows when it is open. */
export const request = "Request";
export const error = "Error";
export const cachedTokens = "Cached prompt tokens";
export const cachedTokensWhat = "Tokens of the prompt that the engine had in its cache, by its own count";
export const cacheWritten = "Written to the cache";
export const cacheWrittenWhat = "Tokens of the prompt that the engine put into its cache, by its own count";
export const thinking = "Thinking";
export const thinkingWhat = "The part of the answer that is thinking, its tokens by the engine's count, and its time";
export const thinkingTokens = { one: "{n} token", other: "{n} tokens" };
export const draftAccepted = "Draft accepted";
export const draftAcceptedWhat = "Of the tokens that a smaller model drafted, those that the engine took, by its own count";
export const draftOf = "{share}, {n} of {all}";
export const betweenTokens = "Between tokens, p50";
export const betweenTokensWhat = "Time between two tokens of the answer: the median";
export const betweenP95What = "Time between two tokens: 95 of 100 are shorter";
export const betweenLongest = "longest";
export const betweenLongestWhat = "The longest time between two tokens of the answer";
export const tokensInAll = "Tokens /s in all";
export const tokensInAllWhat = "Tokens of the answer, divided by the time from the arrival to the end";
export const audio = "Audio";
export const audioWhat = "Length of the audio, and how many times faster than that it was made or read";
export const realTime = "{n} × real time";
export const webSocket = "WebSocket";
export const webSocketWhat = "Bytes from the client, and bytes to it";
export const webSocketBytes = "{received} bytes received, {sent} sent";
export const contextUsed = "Context used";
export const prompt = "Prompt";
export const promptCache = "Prompt cache";
export const energy = "Energy";
export const energyOfWhat = "What the board took above rest, its share by tokens where other requests ran";
export const energyOf = "{n} J above rest, an estimate";
export const slow = "Slow";
export const finishReason = "Finish reason";
export const readAs = "Read as";
export const counts = "Counts";
export const countsWhat = "Whether the tokens are the engine's own count";
export const countsBecause = "{counts}: {reason}";
export const httpStatus = "HTTP status";
export const withMeaning = "{word}: {meaning}";

/** The phases of a request, and what each is. */
export const phases = {
  queue: ["Waited", "In aidash's queue, and in the engine as far as it tells"],
  load: ["Loaded the model", "As the engine tells"],
  prefill: ["Read the prompt", "As the engine tells"],
  first: ["Until the first token", "What the engine does not tell by itself"],
  think: ["Thought", "From the first token to the end of thinking"],
  answer: ["Answered", "To the last token"],
  rest: ["Other", "What is left of the time until the end"],
};
export const whereTimeWent = "Where its time went: {phases}";
export const fromCache = "{n} of {all} tokens from the cache";

/* ---- usage ---- */

export const usage = "Usage";
export const usageBy = "Usage by";
export const usageTime = "Time of the usage";
export const usageTable = "Table of usage";
export const csv = "CSV";
export const clients = "Clients";
export const today = "Today";
export const usageSince = "since {time}; ~ is an estimate";
export const noUsage = "No request with a body has ended in this time.";
export const usageFailedStatus = "The usage could not be loaded: status {status}";
export const usageFailed = "The usage could not be loaded: no answer";
export const key = "Key";
export const program = "Program";
export const usageRequestsWhat = "Requests with a body that ended in this time";
export const usageInWhat = "Tokens of all prompts by the engine's count, cached ones included";
export const cached = "Cached";
export const cachedWhat = "Of them, tokens that the engine had in its cache";
export const usageOutWhat = "Tokens of all answers. ~: in part counted from the stream.";
export const usageTimeWhat = "From each request's arrival to its end, added up";
export const failedCount = "Failed";
export const failedCountWhat = "Requests that failed, or were cut off";
export const refusedCount = "Refused";
export const refusedCountWhat = "Requests that aidash or the engine refused";
export const others = "others";
export const total = "all";

/* ---- the benchmark ---- */

export const benchmark = "Benchmark";
export const benchmarkWhat = "Measure the engine with requests of aidash's own";
export const benchmarkHint = "Its requests go to the engine like those of any client, and slow them. It ends by itself.";
export const streams = "Streams";
export const promptTokens = "Prompt tokens";
export const answerTokens = "Answer tokens";
export const start = "Start";
export const stop = "Stop";
export const results = "Results";
export const byTtftNote = "* by the time to the first token, as the engine tells no time for the prompt: less than the truth";
export const streamsWhat = "Requests at the engine at once";
export const benchPrefillWhat = "Tokens of the prompt per second: the mean of the requests";
export const benchDecodeWhat = "Tokens of one answer per second: the mean of the requests";
export const totalRate = "Total /s";
export const totalRateWhat = "Tokens of all answers per second";
export const benchTtft = "First token, p50, p95";
export const benchTtftWhat = "Time to the first token: median, 95th percentile";
export const benchItl = "Per token, p50, p95";
export const benchItlWhat = "Time between tokens: median, 95th percentile";
export const benchOthers = "Others";
export const benchOthersWhat = "Requests of others at the same time: with any, the engine was slower";
export const enginesModel = "the engine's model";
export const benchTokens = "{prompt} → {answer} tokens";
export const benchStep = { one: "step {step} of {steps}, {n} stream", other: "step {step} of {steps}, {n} streams" };
export const benchEnded = { stopped: "stopped: {reason}", failed: "failed: {reason}" };

/* ---- settings, keys, help ---- */

export const themeSystem = "System";
export const themeLight = "Light";
export const themeDark = "Dark";
export const toLight = "Light theme";
export const toDark = "Dark theme";
export const highlightWhen = "Highlight a card when";
export const latencyAbove = "latency (ms) is above";
export const tokensBelow = "tokens/s falls below";
export const inferencesBelow = "inferences/s falls below";
export const notifyMe = "Also notify me";
export const notifyInsecure = "Browsers allow notifications only on HTTPS pages, and on pages from this machine.";
export const notifyDenied = "The browser blocks notifications from this page.";
export const share = "This page on another device";
export const shareAddress = "Address";
export const shareSeen = "With what is seen now";
export const shareCode = "QR code of {address}";
export const shareNowhere = "Only this machine reaches this page: start aidash with --listen '*:8080' for others.";
export const copyAddress = "Copy the address";
export const keyboard = "Keyboard";
export const keysEverywhere = "Keys work on the whole page";
export const keysAndNumbers = "Keys and numbers";
export const help = "Help";
export const howMeasured = "How they are measured";
export const keySpace = "Space";
export const keyEscape = "Esc";
export const keyEnter = "Enter";
export const helpFreeze = "freeze the charts";
export const helpSpans = "show 1 min, 5 min, all";
export const helpMove = "earlier, later; in the charts: the cursor";
export const helpZoom = "zoom";
export const helpEscape = "reset the zoom, close";
export const helpLive = "go live";
export const helpPin = "in the charts: pin a time";
export const helpFilter = "filter what is shown";
export const helpPause = "pause or resume";
export const helpHelp = "this list";
export const stoppedRotating = "Stopped. Reload the page to go on.";

/* ---- the foot of the page ---- */

export const about = "aidash {version} · {source}";
export const sources = {
  sim: "simulated engine, {rate} Hz",
  stdin: "standard input",
  meter: "proxy in front of {engines}",
  scrape: "the engine's page of metrics",
  none: "data sent by other programs",
};
export const theEngine = "the engine";
export const engineAt = "{name} at {url}";
export const engineDown = "{engine} (down)";
export const clockAhead = "the board's clock is {age} ahead; times shown follow this browser's clock";
export const clockBehind = "the board's clock is {age} behind; times shown follow this browser's clock";
export const apiSchema = "API schema";
export const status = "status";
export const panelFailed = "The panel {path} does not work: {reason}";
