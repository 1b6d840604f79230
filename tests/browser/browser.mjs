/* The page in Debian's Chromium: one browser a test file, a context a page. Whatever a page must never do (a script error, a
 * broken content security policy, a request to another host) fails the test that it happens in.
 *
 *   CHROMIUM             the browser, default /usr/bin/chromium
 *   LATE_MS              hunts for races: what the page hears by WebSocket and fetch() is so late, in milliseconds; try 300
 *   THROTTLE             hunts for races: the page's processor is so many times slower; try 6
 *   AIDASH_SCREENSHOTS   1: a screenshot of each state in each size and theme, not only one; they are in build/screenshots/
 *
 * Waits are for states of the page, with a limit; nothing sleeps to let something happen. */
import { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { ingest, ROOT, SLOW } from '../e2e/aidash.mjs';

export { ingest, post, serve, start, request, status, statusWhen } from '../e2e/aidash.mjs';

const PATIENCE_MS = 30_000 * SLOW;
const SCREENSHOTS = path.join(ROOT, 'build/screenshots');

let browser;
let shared; // the context of all pages that need none of their own
const idle = []; // pages that their test is done with: a new one costs more than most tests
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--js-flags=--expose-gc',
    '--host-resolver-rules=MAP *.example 127.0.0.1, MAP *.attacker.com 127.0.0.1'] });
  shared = await browser.newContext();
});
after(() => browser.close());

/* In the page: whatever the server says comes late, in its order. */
function hearLate(ms) {
  const later = () => new Promise((done) => setTimeout(done, ms));
  window.WebSocket = class extends WebSocket {
    set onmessage(hear) { super.onmessage = hear && ((event) => setTimeout(() => hear.call(this, event), ms)); }
    set onclose(hear) { super.onclose = hear && ((event) => setTimeout(() => hear.call(this, event), ms)); }
  };
  const { fetch } = window;
  window.fetch = async (...asked) => {
    await later();
    const answer = await fetch(...asked);
    await later();
    return answer;
  };
}

async function newPage(context) {
  const page = await context.newPage();
  if (process.env.THROTTLE) {
    await (await context.newCDPSession(page)).send('Emulation.setCPUThrottlingRate', { rate: Number(process.env.THROTTLE) });
  }
  if (process.env.LATE_MS) {
    await page.addInitScript(hearLate, Number(process.env.LATE_MS));
  }
  page.setDefaultTimeout(PATIENCE_MS);
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.stack));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.host !== page.host && url.protocol !== 'data:' && url.protocol !== 'blob:') page.problems.push(`a request to ${url}`);
  });
  page.on('console', (message) => {
    const expected = /net::ERR_|503 \(|WebSocket connection to .* failed/;
    if (message.type() === 'error' && !expected.test(message.text()) && !page.expected?.test(message.text())) page.problems.push(message.text());
  });
  await page.exposeFunction('reportViolation', (text) => page.problems.push(`content security policy: ${text}`));
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation',
    (event) => window.reportViolation(`${event.violatedDirective} ${event.blockedURI}`)));
  return page;
}

/* Open the page of a server, and wait until all panels stand. `server` is anything with a url; `where` goes
 * behind the address, `before` runs on the page before it loads; `expected` matches the errors on the console that belong to the test. */
export async function open(t, server, { width = 1280, height = 860, theme = 'light', where = '', before, expected, ...options } = {}) {
  const context = Object.keys(options).length ? await browser.newContext(options) : shared;
  const again = context === shared && !before; // what `before` does to a page stays with it
  const page = again && idle.length ? idle.pop() : await newPage(context);
  page.host = new URL(server.url).host;
  page.expected = expected;
  t.after(async () => {
    if (context !== shared) {
      await context.close();
    } else if (!again) {
      await page.close();
    } else {
      await page.evaluate(() => localStorage.clear());
      await page.mouse.move(0, 0);
      await page.goto('about:blank');
      idle.push(page);
    }
    assert.deepEqual(page.problems.splice(0), []);
  });
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme: theme });
  await before?.(page);
  await page.goto(`${server.url}/${where}`);
  await bind(page);
  return page;
}

/* A page of any kind, in a context of its own, and how it was answered. What it does is not watched. */
export async function visit(t, url) {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  return { page, response: await page.goto(url) };
}

/* Wait until all panels stand; from then on window.app has what the panels work with. */
export const bind = (page) => page.evaluate(async () => {
  const { store, view, colours, session: { feed, past, client, requests, gauges } } = (await import('./app.js')).context;
  const ring = (column) => Array.from({ length: feed.ring.end - feed.ring.first },
    (_, i) => feed.ring[column][(feed.ring.first + i) & feed.ring.mask]);
  window.app = { feed, past, client, requests, gauges, store, view, colours, ring };
});

/* Wait until the page says so; the function runs in the page, where window.app has what the panels work with. */
export const until = (page, test, argument) => page.waitForFunction(test, argument, { polling: 'raf', timeout: PATIENCE_MS });

export const text = (page, id) => page.textContent(`#${id}`);

/* Connected, and the engine runs. What the page shows of the engine may be a moment older than its connection. */
export const live = async (page) => {
  await until(page, () => document.documentElement.dataset.state === 'running' && (window.app?.store.state.connection.phase ?? 'live') === 'live');
  return page;
};

/* Wait until an element, by its id, has this text. */
export const says = (page, id, wanted) => until(page, ([which, is, pattern]) => {
  const shown = document.getElementById(which).textContent;
  return pattern === null ? shown === is : new RegExp(pattern).test(shown);
}, [id, wanted, wanted instanceof RegExp ? wanted.source : null]);

/* The function runs in the page and gets window.app, and an argument. */
export const inside = (page, run, argument) => page.evaluate(`(${run})(window.app, ${JSON.stringify(argument)})`);

/* The share of a chart's plotting area, 0..1 from the left, that has a line in it. */
export const inked = (page, plot, from, to) => page.evaluate(([id, a, b]) => {
  const canvas = document.querySelector(`#${id} canvas`);
  const over = document.querySelector(`#${id} .u-over`).getBoundingClientRect();
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  const [left, top] = [(over.left - box.left) * scale, (over.top - box.top) * scale];
  const width = Math.floor(over.width * scale * (b - a));
  const { data } = canvas.getContext('2d').getImageData(Math.ceil(left + over.width * scale * a), top, width, over.height * scale);
  const rows = Math.floor(data.length / 4 / width);
  let columns = 0;
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < rows; y++) {
      const i = 4 * (y * width + x);
      // grey is the grid, the marks and the shade; a line has a colour
      if (data[i + 3] > 200 && Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 60) {
        columns++;
        break;
      }
    }
  }
  return columns / width;
}, [plot, from, to]);

export async function screenshot(page, name, options = {}) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true, ...options });
}

/* NAME-WIDTH-THEME.png: one, or all of them. `ready` is called before each. */
export async function screenshots(page, name, ready = () => {}) {
  const sizes = process.env.AIDASH_SCREENSHOTS ? [[360, 740], [1280, 860], [2560, 1440]] : [[1280, 860]];
  const themes = process.env.AIDASH_SCREENSHOTS ? ['light', 'dark'] : ['light'];
  for (const [width, height] of sizes) {
    for (const theme of themes) {
      await system(page, theme);
      await page.setViewportSize({ width, height });
      await drawn(page);
      await ready(width);
      await screenshot(page, `${name}-${width}-${theme}`);
    }
  }
}

/* The system turns light or dark, and the page with it. */
export async function system(page, theme) {
  await page.emulateMedia({ colorScheme: theme });
  await until(page, (wanted) => document.documentElement.dataset.theme === wanted, theme);
}

/* Three frames later everything that was asked for is drawn. */
export const drawn = (page) => page.evaluate(() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done)));
}));

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/* axe sees the page as it is once what fades has faded. */
export async function assertAccessible(page) {
  await until(page, () => document.getAnimations().every((animation) => animation.effect.getComputedTiming().endTime === Infinity || animation.playState !== 'running'));
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => (await window.axe.run({ resultTypes: ['violations'] })).violations
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, any }) => `${html.slice(0, 200)} ${any[0]?.message ?? ''}`).join(' | ')}`));
  assert.deepEqual(violations, []);
}

/* Axe finds nothing in either theme; the light one stays. */
export async function assertAccessibleInThemes(page) {
  for (const theme of ['dark', 'light']) {
    await system(page, theme);
    await drawn(page);
    await assertAccessible(page);
  }
}

/* Nothing for axe to find, in both themes and as wide as a telephone; and a picture to look at: state-NAME. */
export async function looked(page, name) {
  await assertAccessibleInThemes(page);
  await screenshots(page, `state-${name}`);
  await page.setViewportSize({ width: 360, height: 740 });
  await until(page, () => innerWidth === 360 && document.documentElement.scrollWidth === 360);
  await page.setViewportSize({ width: 1280, height: 860 });
}

/* An engine for POST /ingest: line(at) is its tick of that time, always the same for the same seed. */
export function engine(model, { hz = 5, seed = 1, latency = 120, tokens = 3 } = {}) {
  let state = seed;
  const random = () => { state = (state * 48271) % 2147483647; return state / 2147483647; };
  const window = [];
  let total = 0;
  return {
    line(at) {
      const wave = 1 + 0.35 * Math.sin(at / 9) + 0.15 * Math.sin(at / 2.3);
      const more = Math.round(tokens * wave * (0.6 + 0.8 * random()));
      total += more;
      window.push([at, more]);
      while (window[0][0] <= at - 2) window.shift();
      const peak = random() < 0.012 ? 110 * random() : 0;
      return {
        model, timestamp: Number(at.toFixed(3)), tokens_generated: total,
        latency_ms: Number((latency / (0.75 + 0.25 * wave) + 25 * (random() + random() - 1) + peak).toFixed(1)),
        tokens_per_second: Number((window.reduce((sum, [, n]) => sum + n, 0) / 2).toFixed(2)),
      };
    },
    /* Its last `seconds`, up to now. */
    past(seconds) {
      const now = Date.now() / 1000;
      const count = Math.round(seconds * hz);
      return Array.from({ length: count }, (_, i) => this.line(now - (count - i) / hz));
    },
    /* Let it run on until the test ends. */
    run(t, server) {
      const timer = setInterval(() => ingest(server, this.line(Date.now() / 1000)).catch(() => {}), 1000 / hz);
      t.after(() => clearInterval(timer));
    },
  };
}
