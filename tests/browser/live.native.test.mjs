/* What moves: numbers, the model switch, pause and resume, the state in the title. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { metered, replay } from '../e2e/engine.mjs';
import { ingest, inside, live, open, request, says, serve, status, statusWhen, text, until, visit } from './browser.mjs';

test('the numbers move, and the first one is there at once', async (t) => {
  const server = await serve(t, ['--rate', '20']);
  await statusWhen(server, (status) => status.counters.ticks > 3);
  const page = await open(t, server, { before: (opened) => opened.addInitScript(() => {
    const seen = new MutationObserver(() => {
      if (/^\d/.test(document.querySelector('#latency')?.textContent)) {
        window.numberAt = performance.now();
        seen.disconnect();
      }
    });
    seen.observe(document, { childList: true, characterData: true, subtree: true });
  }) });
  const times = [];
  while (times.length < 5) {
    await page.goto(`${server.url}/`);
    await until(page, () => window.numberAt && performance.getEntriesByName('first-contentful-paint').length);
    times.push(await page.evaluate(() => [performance.getEntriesByName('first-contentful-paint')[0].startTime, window.numberAt]));
  }
  const [paint, number] = [0, 1].map((i) => Math.round(times.map((one) => one[i]).sort((a, b) => a - b)[2]));
  t.diagnostic(`first paint after ${paint} ms, first number after ${number} ms (medians of 5)`);
  const seen = new Set();
  for (let i = 0; i < 20 && seen.size < 3; i++) {
    const before = await text(page, 'latency');
    seen.add(before);
    await until(page, (old) => document.querySelector('#latency').textContent !== old, before);
  }
  assert.ok(seen.size >= 3);
  const tokens = Number((await text(page, 'tokens')).replaceAll(',', ''));
  await until(page, (old) => Number(document.querySelector('#tokens').textContent.replaceAll(',', '')) > old, tokens);
  assert.equal(await text(page, 'connection-text'), 'Connected');
  assert.equal(await text(page, 'model'), 'llama3');
  await says(page, 'state', 'Running');
  await says(page, 'latency-p50', /^\d+(\.\d+)? ms$/);
  await says(page, 'latency-p95', /^\d+(\.\d+)? ms$/);
  await until(page, () => /^[\d.,]+ tok\/s · llama3 · aidash$/.test(document.title));
  assert.match(await page.getAttribute('#favicon', 'href'), /^data:image\/svg/);
});

test('a switch shows within a tick, on every page', async (t) => {
  const server = await serve(t, []);
  const pages = await Promise.all([open(t, server), open(t, server)]);
  await Promise.all(pages.map(live));
  const switched = await pages[0].evaluate(() => new Promise((done) => {
    const { feed, store } = app;
    document.querySelector('[data-model=mistral]').click();
    const shown = document.querySelector('[data-model=mistral]').getAttribute('aria-pressed'); // at once, before the ack
    let end = 0; // of the ring when the ack came
    store.on(['pending'], ({ pending }) => { if (!pending) end = feed.ring.end; });
    const look = () => {
      if (end === 0 || feed.ring.end < end + 5) return requestAnimationFrame(look);
      const models = [];
      for (let i = end; i < feed.ring.end; i++) models.push(feed.tickAt(i).model);
      return done({ shown, models });
    };
    look();
  }));
  assert.equal(switched.shown, 'true');
  assert.ok(switched.models.filter((model) => model !== 'mistral').length <= 1, switched.models.join());
  for (const page of pages) {
    await says(page, 'model', 'mistral');
    await until(page, () => document.querySelector('[data-model=mistral]').getAttribute('aria-pressed') === 'true');
    assert.equal(await page.getAttribute('[data-model=llama3]', 'aria-pressed'), 'false');
    assert.deepEqual(await inside(page, ({ feed }) => feed.marks.map(({ kind, text: words }) => [kind, words])), [['model', 'mistral']]);
  }
});

test('pause stops every page, resume starts them again, and the pause is a gap', async (t) => {
  const server = await serve(t, ['--rate', '20']);
  const pages = await Promise.all([open(t, server), open(t, server)]);
  await Promise.all(pages.map(live));
  for (const page of pages) {
    await page.evaluate(() => { // the big number, from the moment at which the page says that the engine is paused
      window.paused = [];
      new MutationObserver(() => document.documentElement.dataset.state === 'paused' && window.paused.push(document.querySelector('#rate').textContent))
        .observe(document.documentElement, { attributes: true, characterData: true, childList: true, subtree: true });
    });
  }
  await pages[0].click('#pause');
  for (const page of pages) {
    await until(page, () => document.documentElement.dataset.state === 'paused');
    assert.equal(await text(page, 'state'), 'Paused');
    assert.equal(await text(page, 'pause-text'), 'Resume');
    assert.notEqual(await page.getAttribute('#card-rate', 'data-stale'), null);
    await until(page, () => document.title.startsWith('Paused'));
    await says(page, 'rate', '0');
    await says(page, 'latency', '–');
    assert.deepEqual(await page.evaluate(() => [...new Set(window.paused)]), ['0'], 'it does not fall, it is 0 at once');
  }
  const stopped = await Promise.all(pages.map((page) => inside(page, ({ feed }) => feed.ring.end)));
  await pages[1].click('#pause');
  await Promise.all(pages.map(live));
  await Promise.all(pages.map((page, i) => until(page, (end) => app.feed.ring.end > end + 2, stopped[i])));
  const marks = await inside(pages[0], ({ feed, ring }) => ({
    marks: feed.marks, breaks: ring('time').filter((_, i) => ring('flags')[i] & 1) }));
  assert.equal(marks.marks.length, 1);
  assert.equal(marks.marks[0].kind, 'paused');
  assert.ok(marks.marks[0].to > marks.marks[0].from);
  assert.equal(marks.breaks.filter((at) => at >= marks.marks[0].from).length, 1, 'the line is broken there');
});

test('a command that is refused shows where it was given, and what was shown is taken back', async (t) => {
  const server = await serve(t, []);
  const page = await open(t, server);
  await live(page);
  // A model that the server doesn't have, as if it had just lost it.
  await page.evaluate(() => {
    const { store } = app;
    store.set({ models: [...store.state.models, 'gone'] });
    document.querySelector('[data-model=gone]').click();
  });
  await until(page, () => document.querySelector('#control-problem').textContent !== '');
  assert.match(await text(page, 'control-problem'), /not in the list/);
  await says(page, 'model', 'llama3');
  assert.equal(await page.getAttribute('[data-model=llama3]', 'aria-pressed'), 'true');
  await page.click('[data-model="qwen2.5"]');
  await says(page, 'model', 'qwen2.5');
  assert.equal(await text(page, 'control-problem'), '');
});

test('a long list of models can be searched', async (t) => {
  const names = Array.from({ length: 30 }, (_, i) => `model-${i}`);
  const server = await serve(t, ['--models', names.join()]);
  const page = await open(t, server);
  await live(page);
  await page.fill('#model-search', 'L-2');
  assert.deepEqual(await page.locator('#models li:visible').allTextContents(), names.filter((name) => name.includes('l-2')));
  await page.click('[data-model=model-29]');
  await says(page, 'model', 'model-29');
});

test('a server that waits says how to feed it, and learns models as they come', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  const page = await open(t, server);
  await page.locator('#empty').waitFor();
  assert.equal(await text(page, 'empty-lead'), 'No data yet');
  await says(page, 'state', 'No data yet');
  assert.match(await text(page, 'empty-code'), new RegExp(`curl .* ${server.url}/ingest$`));
  await ingest(server, { model: 'yolo', latency_ms: 41.5 });
  await page.locator('#empty').waitFor({ state: 'hidden' });
  await until(page, () => document.querySelector('[data-model=yolo]') !== null);
  await says(page, 'latency', '41.5');
});

test('a pipeline without tokens shows inferences', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  const lines = Array.from({ length: 100 }, (_, i) => ({ model: 'yolo', node: 'cam-1', latency_ms: 30, timestamp: Date.now() / 1000 - 10 + i / 10 }));
  await ingest(server, ...lines);
  const page = await open(t, server);
  await until(page, () => app.store.state.filled && document.querySelector('#tokens').textContent === '100');
  assert.equal(await text(page, 'rate-label'), 'Inferences per second');
  assert.equal(await text(page, 'rate-unit'), '', 'the label has the unit');
  assert.equal(await text(page, 'tokens-label'), 'Inferences');
  await says(page, 'plot-rate-caption', 'Inferences per second');
  assert.equal(await inside(page, ({ feed }) => feed.lanes[0].rate), 10);
  await until(page, () => document.querySelector('#legend .name')?.textContent === 'yolo @ cam-1');
});

test('input that has ended is not idle', async (t) => {
  const server = await serve(t, ['--stdin'], { input: '' });
  const page = await open(t, server);
  server.proc.stdin.end('{"model":"m","tokens":1,"latency_ms":5}\n');
  await says(page, 'state', 'Input ended');
});

test('a silent engine is idle, and its numbers look old', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  await ingest(server, { model: 'm', tokens: 9, tokens_per_second: 8, latency_ms: 5, timestamp: Date.now() / 1000 - 60 });
  const page = await open(t, server);
  await says(page, 'state', 'Idle');
  await says(page, 'rate', '0'); // the past comes after the state
  assert.match(await text(page, 'rate-note'), /^idle for \d min \d\d s$/);
  assert.equal(await text(page, 'latency'), '–');
  assert.match(await text(page, 'latency-note'), /^last 5\.00 ms, \d min \d\d s ago$/);
  assert.notEqual(await page.getAttribute('#card-latency', 'data-stale'), null);
});

test('with eight connections to an address the page loads', async (t) => {
  const server = await serve(t, ['--per-address', '8']);
  const page = await open(t, server);
  await live(page);
  await page.reload();
  await live(page);
  await page.locator('#plot-latency canvas').waitFor();
});

test('each page counts all viewers', async (t) => {
  const server = await serve(t, []);
  await Promise.all([await open(t, server), await open(t, server)].map(live));
  await says(await open(t, server), 'viewers', '3');
  const { clients } = await status(server);
  assert.deepEqual([clients.websocket, clients.batch], [3, 3]);
});

test('viewers, uptime and what the page is made of', async (t) => {
  const server = await serve(t, []);
  const page = await open(t, server);
  await live(page);
  await says(page, 'viewers', '1');
  await says(page, 'uptime', /^\d+ s$/);
  await says(page, 'about', /^aidash \d+\.\d+\.\d+ · simulated engine, 5 Hz$/);
  const files = await page.evaluate(() => performance.getEntriesByType('resource').map((entry) => [entry.name, entry.encodedBodySize]));
  const html = await request(server, '/', { headers: { 'Accept-Encoding': 'gzip' } });
  const pageFiles = files.filter(([name]) => /\.(js|css|svg|webmanifest)$/.test(name));
  const bytes = pageFiles.reduce((sum, [, size]) => sum + size, html.bytes.length);
  t.diagnostic(`${bytes} bytes in ${pageFiles.length + 1} files`);
  assert.ok(bytes <= 90_000, `the page is ${bytes} bytes`);
});

/* Safari 15.4, Chrome 92 and Firefox 98 lack these. */
const NEWER = ['structuredClone', 'AbortSignal.timeout', 'AbortSignal.any', 'Array.prototype.findLast', 'Array.prototype.findLastIndex',
  'Array.prototype.toSorted', 'Array.prototype.toReversed', 'Array.prototype.toSpliced', 'Array.prototype.with', 'Object.hasOwn', 'Object.groupBy',
  'Map.groupBy', 'Promise.withResolvers', 'Array.fromAsync', 'URL.canParse', 'crypto.randomUUID', 'CSS.highlights', 'scheduler', 'navigation',
  'Element.prototype.checkVisibility', 'Element.prototype.showPopover', 'Set.prototype.union', 'Set.prototype.difference', 'navigator.wakeLock',
  'CanvasRenderingContext2D.prototype.roundRect', 'CanvasRenderingContext2D.prototype.reset', 'Intl.Segmenter', 'Response.json',
  'Document.prototype.startViewTransition', 'navigator.userAgentData', 'String.prototype.isWellFormed', 'ReadableStream.from'];

test('the page works without what its oldest browsers lack', async (t) => {
  const before = (opened) => opened.addInitScript((names) => {
    for (const name of names) {
      const parts = name.split('.');
      const last = parts.pop();
      const owner = parts.reduce((at, part) => at?.[part], window);
      if (owner) Object.defineProperty(owner, last, { value: undefined, configurable: true });
    }
  }, NEWER);
  const server = await serve(t, ['--rate', '50']);
  for (const where of ['', '?kiosk=1']) {
    const page = await open(t, server, { where, before });
    await live(page);
    await until(page, () => app.store.state.filled && document.querySelector('#plot-rate canvas') && app.feed.ring.end > 50);
    await says(page, 'rate', /^[1-9]/);
    await says(page, 'uptime', /^\d+ s$/);
  }
  const meter = await open(t, await metered(t, await replay(t)), { before });
  await meter.click('#usage summary');
  await says(meter, 'usage-note', 'No request with a body has ended in this time.');
  await meter.click('#bench-open');
  assert.equal(await meter.isVisible('#bench-form'), true);
});

/* What can be clicked on. */
const pressable = (page) => page.evaluate(() => [...document.querySelectorAll('button, input, select, a, summary')]
  .filter((one) => one.offsetParent && getComputedStyle(one).pointerEvents !== 'none').map((one) => one.outerHTML));

test('on a wall there is nothing to press, larger type, and the screen stays on', async (t) => {
  const server = await serve(t, ['--rate', '20']);
  const wall = await open(t, server, { where: '?kiosk=1', before: (opened) => opened.addInitScript(() => {
    window.asked = [];
    Object.defineProperty(navigator, 'wakeLock', { value: { request: async (kind) => { window.asked.push(kind); } }, configurable: true });
  }) });
  await live(wall);
  assert.deepEqual(await pressable(wall), []);
  assert.deepEqual(await wall.evaluate(() => window.asked), ['screen']);
  await wall.keyboard.press('p');
  const desk = await open(t, server);
  const size = (page) => page.evaluate(() => Number.parseFloat(getComputedStyle(document.documentElement).fontSize));
  assert.ok(await size(wall) > 1.15 * await size(desk));
  assert.equal((await status(server)).paused, false, 'keys are controls, too');
  const engine = await replay(t, { models: ['alpha', 'beta'] });
  engine.answerAll();
  const meter = await metered(t, engine);
  await request(meter, '/v1/chat/completions', { method: 'POST', body: '{}', headers: { 'Content-Length': 2 } });
  const other = await open(t, meter, { where: '?kiosk=1' });
  await other.locator('#requests-body [data-status=finished]').waitFor();
  assert.deepEqual(await pressable(other), [], 'nor where there is a meter');
});

test('keys: freeze, the span, pause and the list of keys; and they can be switched off', async (t) => {
  const server = await serve(t, ['--rate', '20']);
  const page = await live(await open(t, server));
  const pressed = (selector) => page.getAttribute(selector, 'aria-pressed');
  await until(page, () => document.querySelector('#plot-rate canvas'));
  await page.keyboard.press('5');
  assert.equal(await pressed('[data-span="300"]'), 'true');
  await page.keyboard.press('a');
  assert.equal(await pressed('[data-span=all]'), 'true');
  await page.keyboard.press('1');
  assert.equal(await pressed('[data-span="60"]'), 'true');
  await page.keyboard.press(' ');
  assert.equal(await pressed('#freeze'), 'true');
  await page.keyboard.press(' ');
  assert.equal(await pressed('#freeze'), 'false');
  const answered = () => until(page, () => !app.store.state.pending); // until then the next command is not sent
  await page.keyboard.press('Control+p');
  await page.keyboard.press('p');
  await says(page, 'state', 'Paused');
  await answered();
  await page.keyboard.press('p');
  await says(page, 'state', 'Running');
  await answered();
  await page.focus('#pause');
  await page.keyboard.press(' '); // it presses the button that has the focus
  await says(page, 'state', 'Paused');
  await answered();
  assert.equal(await pressed('#freeze'), 'false');
  await page.keyboard.press('?');
  assert.equal(await page.isVisible('#help'), true);
  await page.keyboard.press('p'); // not while a dialog is open
  await page.keyboard.press('Escape');
  await page.click('#settings-open');
  await page.click('#help-open');
  assert.equal(await page.isVisible('#help'), true);
  await page.keyboard.press('Escape');
  await page.uncheck('#keys');
  await page.keyboard.press('Escape');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('5');
  await page.keyboard.press('p');
  assert.deepEqual([await pressed('[data-span="60"]'), (await status(server)).paused], ['true', true]);
});

test('a frame in another page: not without --allow-frame', async (t) => {
  const outer = await serve(t, ['--source', 'none']);
  const origin = `http://127.0.0.1:${outer.port}`;
  const closed = await serve(t, ['--rate', '20']);
  const framed = await serve(t, ['--rate', '20', '--allow-frame', 'http://ha.local:8123', '--allow-frame', origin]);
  const { page } = await visit(t, `${origin}/status`); // any document of that origin will do
  const show = (url) => page.evaluate((src) => new Promise((done) => {
    const frame = document.createElement('iframe');
    frame.onload = () => done();
    frame.src = src;
    document.body.replaceChildren(frame);
  }), url);
  await show(`${framed.url}/`);
  await page.frames()[1].waitForFunction(() => document.documentElement.dataset.state === 'running');
  await show(`${closed.url}/`);
  assert.equal(await page.frames()[1].locator('#connection').count(), 0);
});
