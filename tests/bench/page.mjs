/* What the dashboard costs in a long run: 30 parallel streams of 33 tokens a second, some 1,000 ticks a second, in Chromium, for
 * MINUTES (10). Each minute it prints the heap after a collection, DOM nodes, listeners, and the seconds of CPU per second that
 * Chromium's processes took by /proc: a busy machine changes those little. At the end: the page got every event.
 *
 *   MINUTES    how long, default 10; 0.5 is allowed
 *   STREAMS    default 30
 *   SPAN       what the charts show, seconds: 60 or 300; default 60
 *   GAP_S      how long before the first minute counts, default 20: code is compiled, charts are full
 *   PROFILE    1: the functions of the page that took the most time in the last 10 s
 *   CHROMIUM   the browser, default /usr/bin/chromium */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { residentKb, sleep, status } from '../e2e/aidash.mjs';
import { count, counted, crowd, footprint } from '../browser/crowd.mjs';

const MINUTES = Number(process.env.MINUTES || 10);
const STREAMS = Number(process.env.STREAMS || 30);
const SPAN = process.env.SPAN || '60';
const GAP_S = Number(process.env.GAP_S || 20);
const HERTZ = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100;
const TOP = 20; // functions of the profile

const undo = [];
const t = { after: (run) => undo.unshift(run) };

/* Seconds of CPU that a process has taken; what is gone has taken none. */
function cpu(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
    return (Number(fields[11]) + Number(fields[12])) / HERTZ;
  } catch {
    return 0;
  }
}

/* Chromium's processes by kind: browser, renderer, gpu-process, utility. */
function processes(browserPid) {
  const parents = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)) {
    try {
      parents.set(pid, Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[1]));
    } catch { /* it ended meanwhile */ }
  }
  const below = (pid) => { for (let at = pid; at > 1; at = parents.get(at) ?? 0) if (at === browserPid) return true; return false; };
  const kinds = {};
  for (const pid of [...parents.keys()].filter(below)) {
    let line = '';
    try { line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '); } catch { /* likewise */ }
    const kind = line.match(/--type=([a-z-]+)/)?.[1] ?? 'browser';
    (kinds[kind] ??= []).push(pid);
  }
  return kinds;
}

const taken = (kinds) => Object.fromEntries(Object.entries(kinds).map(([kind, pids]) => [kind, pids.reduce((sum, pid) => sum + cpu(pid), 0)]));

async function main() {
  const busy = await crowd(t, { streams: STREAMS });
  const browser = await chromium.launchServer({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--js-flags=--expose-gc'] });
  t.after(() => browser.close());
  const { pid } = browser.process();
  const page = await (await chromium.connect(browser.wsEndpoint())).newPage({ viewport: { width: 1280, height: 860 } });
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.stack));
  await page.goto(busy.server.url);
  await page.waitForFunction(() => document.documentElement.dataset.state === 'running');
  await page.waitForSelector('#plot-latency canvas');
  await page.click(`[data-span="${SPAN}"]`);
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  await sleep(1000 * Math.max(GAP_S, 1));
  await count(page);

  console.log(`${STREAMS} streams, charts of ${SPAN} s, ${await page.evaluate(() => navigator.userAgent.match(/Chrome\/[\d.]+/)[0])}, ${await page.evaluate(() => {
    const gl = document.createElement('canvas').getContext('webgl');
    const info = gl?.getExtension('WEBGL_debug_renderer_info');
    return info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : 'no GPU';
  })}`);
  console.log('minute  ticks/s  renderer     GPU  browser  aidash   heap MB  nodes  listeners  lost');
  const rows = [];
  const write = (row) => console.log(`${row.minute.toFixed(1).padStart(6)}  ${row.ticks.toFixed(0).padStart(7)}  ${[row.renderer, row.gpu, row.browser].map((part) => `${(100 * part).toFixed(1)} %`.padStart(7)).join('  ')}  ${`${(100 * row.server).toFixed(1)} %`.padStart(6)}  ${(row.heap / 1e6).toFixed(2).padStart(8)}  ${String(row.nodes).padStart(5)}  ${String(row.listeners).padStart(9)}  ${String(row.lost).padStart(4)}`);
  for (let minute = 0, began = performance.now(); minute < MINUTES;) {
    const kinds = processes(pid);
    const [from, own, at, had] = [taken(kinds), cpu(busy.server.pid), performance.now(), await counted(page)];
    minute = Math.min(minute + 1, MINUTES);
    await sleep(Math.max(0, began + 60_000 * minute - performance.now()));
    const [to, seconds, has] = [taken(kinds), (performance.now() - at) / 1000, await counted(page)];
    const share = (kind) => ((to[kind] ?? 0) - (from[kind] ?? 0)) / seconds;
    const { heap, nodes, listeners } = await footprint(session);
    rows.push({ minute, ticks: (has.ticks - had.ticks) / seconds, renderer: share('renderer'), gpu: share('gpu-process'), browser: share('browser') + share('utility'),
      server: (cpu(busy.server.pid) - own) / seconds, heap, nodes, listeners, lost: has.numbers - has.events });
    write(rows.at(-1));
  }
  if (process.env.PROFILE) {
    await profile(session);
  }
  if (process.env.PICTURE) {
    await page.screenshot({ path: process.env.PICTURE, fullPage: true });
  }

  busy.stop();
  await page.waitForFunction(() => document.documentElement.dataset.state !== 'running');
  const { next_seq: next } = await status(busy.server);
  await page.waitForFunction(async (wanted) => (await import('./app.js')).context.session.client.sequence.next >= wanted, next);
  const end = await counted(page);
  const mean = (name) => rows.reduce((sum, row) => sum + row[name], 0) / rows.length;
  console.log(`${end.events} events came, ${end.ticks} of them ticks; the server gave ${end.numbers} numbers; lost: ${end.numbers - end.events}`);
  console.log(`CPU of the page: renderer ${(100 * mean('renderer')).toFixed(1)} % and GPU process ${(100 * mean('gpu')).toFixed(1)} % of a core; heap ${(rows[0].heap / 1e6).toFixed(2)} -> ${(rows.at(-1).heap / 1e6).toFixed(2)} MB; aidash ${(residentKb(busy.server) / 1000).toFixed(1)} MB resident`);
  assert.deepEqual(problems, []);
  assert.equal(end.events, end.numbers, 'every event came');
  assert.equal(end.dropped, 0);
}

/* Where the page's own time goes. */
async function profile(session) {
  await session.send('Profiler.enable');
  await session.send('Profiler.setSamplingInterval', { interval: 500 });
  await session.send('Profiler.start');
  const before = (await footprint(session)).metrics;
  await sleep(10_000);
  const after = (await footprint(session)).metrics;
  const { profile: { nodes, samples, timeDeltas } } = await session.send('Profiler.stop');
  const self = new Map();
  samples.forEach((id, i) => self.set(id, (self.get(id) ?? 0) + timeDeltas[i]));
  const named = new Map();
  for (const { id, callFrame: { functionName, url, lineNumber, columnNumber } } of nodes) {
    const name = `${functionName || '(anonymous)'} ${url.split('/').at(-1)}:${lineNumber + 1}:${columnNumber + 1}`;
    named.set(name, (named.get(name) ?? 0) + (self.get(id) ?? 0));
  }
  for (const [name, us] of [...named].sort((a, b) => b[1] - a[1]).slice(0, TOP)) {
    console.log(`${(us / 100_000).toFixed(2).padStart(6)} %  ${name}`);
  }
  for (const name of ['TaskDuration', 'ScriptDuration', 'LayoutDuration', 'RecalcStyleDuration', 'LayoutCount', 'RecalcStyleCount']) {
    console.log(`${name}: ${((after[name] - before[name]) / 10).toFixed(3)} per second`);
  }
}

try {
  await main();
} finally {
  for (const run of undo) {
    await run();
  }
}
