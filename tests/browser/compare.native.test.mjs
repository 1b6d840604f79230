/* The filter, the pins, what ran then, what changed, yesterday's lines; the table's columns and its copy. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { validate } from '../e2e/aidash.mjs';
import {
  assertAccessible, assertAccessibleInThemes, drawn, engine, ingest, inked, inside, open, screenshots, serve, text, until,
} from './browser.mjs';

/* A page of a server that has ticks of these models; the charts stand still. */
async function stopped(t, { lines, models = ['llama3', 'mistral'], ...options } = {}) {
  const server = await serve(t, ['--source', 'none']);
  await ingest(server, ...lines ?? models.flatMap((model, i) => engine(model, { seed: i + 1 }).past(50))
    .sort((a, b) => a.timestamp - b.timestamp));
  const page = await open(t, server, options);
  await until(page, () => app.store.state.filled && app.feed.ring.end > 0);
  await page.click('#freeze');
  await until(page, () => app.store.state.frozenAt > 0);
  await drawn(page);
  return { server, page };
}

/* The same, with events put into its stream by page.say(). */
async function withEvents(t, options = {}) {
  let say;
  const { page } = await stopped(t, { ...options, before: async (opened) => {
    await options.before?.(opened);
    await opened.routeWebSocket(/\/ws\//, (socket) => {
      const upstream = socket.connectToServer();
      let seq = 1e6;
      upstream.onMessage((message) => socket.send(message));
      socket.onMessage((message) => upstream.send(message));
      say = (event) => socket.send(JSON.stringify(validate(event.event === 'inference_tick' ? event : { seq: seq++, ...event })));
    });
  } });
  page.say = say;
  return page;
}

const request = (id, more = {}) => ({
  event: 'request', id, model: 'llama3', route: '/v1/chat/completions', client: 'anna', status: 'finished', prompt_tokens: 800, cached_tokens: 200,
  completion_tokens: 96, ttft_ms: 412.5, duration_ms: 4000, ...more });
const rows = (page) => page.locator('#requests-body tr:not(.more)');
const legend = (page, names) => until(page, (wanted) => [...document.querySelectorAll('#legend .name')].map(({ textContent }) => textContent).sort().join() === wanted, names);
const box = (page, plot = 'plot-latency') => page.locator(`#${plot} .u-over`).boundingBox();
/* A click in a chart, at this share of its width. */
const click = async (page, share, plot) => {
  const { x, y, width, height } = await box(page, plot);
  await page.mouse.click(x + width * share, y + height / 2);
};
const pins = (page, count) => until(page, (wanted) => app.store.state.pins.length === wanted, count);
const download = async (page, what) => {
  const [file] = await Promise.all([page.waitForEvent('download'), page.evaluate((name) => document.querySelector(`[data-export="${name}"]`).click(), what)]);
  return readFileSync(await file.path(), 'utf8');
};

test('one filter: the charts, the cards, the export and the address follow it; / focuses it', async (t) => {
  const { page } = await stopped(t);
  await legend(page, 'llama3,mistral');
  await page.keyboard.press('/');
  await page.keyboard.type('model:mist');
  await legend(page, 'mistral');
  await until(page, () => document.querySelector('#latency-over').textContent === '1 min, filtered');
  await until(page, () => {
    const { ring } = app.feed;
    const own = app.ring('latency').filter((_, i) => app.feed.lanes[app.ring('lane')[i]].model === 'mistral').sort((a, b) => a - b);
    const p50 = own[Math.ceil(own.length / 2) - 1];
    return ring.end > own.length && Math.abs(parseFloat(document.querySelector('#latency-p50').textContent) - p50) <= 1;
  });
  const lines = (await download(page, 'csv')).trim().split('\r\n').slice(1);
  assert.ok(lines.length > 50 && lines.every((line) => line.includes(',mistral,')), lines[0]);
  await until(page, () => /^#t=[\d.]+,[\d.]+&q=model%3Amist&log=0$/.test(location.hash)); // the charts stand still at this time
  await page.reload();
  await legend(page, 'mistral');
  assert.equal(await page.inputValue('#filter'), 'model:mist');
  await page.fill('#filter', 'model:none');
  await until(page, () => document.querySelector('#legend-more').textContent === 'Nothing in the time shown passes the filter.');
  await page.fill('#filter', '');
  await legend(page, 'llama3,mistral');
  assert.equal(await text(page, 'legend-more'), '');
  await page.locator('#filter').focus();
  assert.ok((await page.locator('#filter-terms option').evaluateAll((nodes) => nodes.map(({ value }) => value))).includes('model:"mistral"'));
});

test('a client\'s filter: its requests, their ticks, their first tokens, and no others', async (t) => {
  const page = await withEvents(t, { models: ['llama3'] });
  let tokens = 1000;
  const tick = (id, latency) => page.say({ event: 'inference_tick', model: 'llama3', tokens_generated: ++tokens, latency_ms: latency, tokens_per_second: 20, timestamp: Date.now() / 1000, request: id });
  for (const [id, client] of [[1, 'anna'], [2, 'bob']]) page.say({ event: 'request_start', id, client, model: 'llama3', route: '/api/chat', status: 'running' });
  await until(page, () => app.requests.active === 2);
  const timer = setInterval(() => { tick(1, 11); tick(2, 77); }, 100);
  t.after(() => clearInterval(timer));
  await page.fill('#filter', 'client:bob');
  await until(page, () => document.querySelector('#latency').textContent === '77.0');
  await until(page, () => document.querySelector('#requests-note').textContent === '1 of 2');
  assert.equal(await rows(page).count(), 1);
  await until(page, () => {
    const all = parseFloat(document.querySelector('#rate').textContent);
    return all > 0 && all < 19; // the model makes 20
  });
  await page.fill('#filter', 'client:anna outcome:running');
  await until(page, () => document.querySelector('#latency').textContent === '11.0');
  await page.fill('#filter', 'client:carl');
  await until(page, () => document.querySelector('#rate').textContent === '0' && document.querySelectorAll('#legend li').length === 0);
  assert.equal(await rows(page).count(), 0);
});

test('a click pins A, a second one B: values, differences and means; Escape takes them away', async (t) => {
  const { page } = await stopped(t, { models: ['llama3'] });
  await click(page, 0.4);
  await pins(page, 1);
  assert.match(await text(page, 'compare-pins'), /^A \d\d:\d\d:\d\d\.\d\dAllama3: latency[\d.]+ msllama3: rate[\d.]+ \/s$/);
  await click(page, 0.6, 'plot-rate');
  await pins(page, 2);
  await until(page, () => /^A .* to B .*, \d+ s$/.test(document.querySelector('#compare-pins h3').textContent));
  const table = await page.locator('#compare-pins tbody tr').evaluateAll((all) => all.map((row) => [...row.children].map(({ textContent }) => textContent)));
  assert.deepEqual(table.map(([name]) => name), ['llama3: latency', 'llama3: rate']);
  const truth = await inside(page, ({ store, ring, feed }) => {
    const [a, b] = store.state.pins;
    const [time, latency, more] = ['time', 'latency', 'more'].map(ring);
    const within = time.map((at, i) => i).filter((i) => time[i] >= a && time[i] <= b);
    const sum = (column) => within.reduce((all, i) => all + column[i], 0);
    return { near: [a, b].map((pin) => latency.filter((_, i) => Math.abs(time[i] - pin) < 0.5)), latency: sum(latency) / within.length, rate: sum(more) / (b - a), all: feed.ring.end };
  });
  const [, a, b, mean, by] = table[0];
  [a, b].forEach((cell, i) => assert.ok(truth.near[i].some((value) => Math.abs(value - parseFloat(cell)) <= 0.6), `${cell} of ${truth.near[i]}`));
  assert.ok(Math.abs(parseFloat(mean) - truth.latency) <= 0.6, `${mean}, not ${truth.latency}`);
  assert.match(by, /^[+-][\d.]+ ms, (?:0|[+-]\d+) %$/);
  assert.ok(Math.abs(parseFloat(table[1][3]) - truth.rate) <= 0.2, `${table[1][3]}, not ${truth.rate}`);
  await page.keyboard.press('Tab'); // the focus is in the charts after a click
  await page.locator('#plots').focus();
  await page.keyboard.press('Escape');
  await pins(page, 0);
  await page.locator('#compare').waitFor({ state: 'hidden' });
  // By keyboard alone; what is said.
  await page.keyboard.press('End');
  for (let i = 0; i < 30; i++) await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Enter');
  await pins(page, 1);
  await until(page, () => /^A \d\d:\d\d:\d\d\.\d\d\. llama3: latency [\d.]+ ms/.test(document.querySelector('#announce').textContent));
  for (let i = 0; i < 10; i++) await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Enter');
  await pins(page, 2);
  const [first, second] = await inside(page, ({ store }) => store.state.pins);
  assert.ok(first < second, 'A is the earlier one');
  await page.click('#compare-clear');
  await pins(page, 0);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'plots');
});

test('a second click at the same place takes the pin away; dragging pins nothing', async (t) => {
  const { page } = await stopped(t, { models: ['llama3'] });
  await click(page, 0.5);
  await pins(page, 1);
  const { x, y, width, height } = await box(page);
  await page.mouse.move(x + width * 0.2, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width * 0.3, y + height / 2);
  await page.mouse.move(x + width * 0.4, y + height / 2);
  await page.mouse.up();
  await until(page, () => app.store.state.zoom !== null);
  assert.equal(await inside(page, ({ store }) => store.state.pins.length), 1);
  await page.click('#reset');
  await until(page, () => app.store.state.zoom === null);
  await drawn(page);
  await click(page, 0.5);
  await pins(page, 0);
});

test('a click lists what ran then; each opens its waterfall', async (t) => {
  const page = await withEvents(t, { models: ['llama3'] });
  const [from, to] = await inside(page, ({ view }) => view.range(0));
  const at = (share) => from + (to - from) * share;
  page.say(request(1, { timestamp: at(0.3), duration_ms: (to - from) * 300 }));
  page.say(request(2, { timestamp: at(0.5), duration_ms: (to - from) * 300, client: 'bob' }));
  page.say(request(3, { timestamp: at(0.85), duration_ms: 1000 }));
  await until(page, () => app.requests.list().length === 3);
  await page.locator('#plot-ttft canvas').waitFor();
  await drawn(page);
  await click(page, 0.55);
  await until(page, () => document.querySelectorAll('#compare-pins li').length === 2);
  assert.deepEqual(await page.locator('#compare-pins li').allTextContents(), ['1 · llama3 · anna · finished · 18.0 s', '2 · llama3 · bob · finished · 18.0 s']);
  await page.locator('#compare-pins li button').last().click();
  await page.locator('#request-2 + tr.more .phases').waitFor();
  assert.match(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), /details of request 2$/);
  await page.fill('#filter', 'anna');
  await until(page, () => document.querySelectorAll('#compare-pins li').length === 1);
  await page.fill('#filter', '');
  await click(page, 0.1);
  await click(page, 0.15);
  await until(page, () => document.querySelector('#compare-pins h3:last-of-type').textContent === 'No known request ran then');
});

/* A tick each half second: fast for 100 s, then slow for 20 s. */
const slowed = () => {
  const now = Date.now() / 1000;
  return Array.from({ length: 240 }, (_, i) => ({
    model: 'llama3', tokens: i < 200 ? 10 : 2, latency_ms: i < 200 ? 50 : 250, timestamp: now - 121 + i / 2 }));
};

test('what changed: the window against the four times as long before, the greatest move first, in words', async (t) => {
  const asked = [];
  const { page } = await stopped(t, { lines: slowed(), before: (opened) => opened.route(/\/history\?/, (route) => {
    const query = new URL(route.request().url()).searchParams;
    asked.push(query);
    const from = Number(query.get('from'));
    const rows = Array.from({ length: 100 }, (_, i) => [from + i, i < 80 ? 51 : 78, i < 80 ? 1800 : 600, 10]);
    return route.fulfill({ json: { step: 1, series: ['time', 'celsius', 'clock_mhz', 'watts'], rows } });
  }) });
  await inside(page, ({ view, feed }) => view.zoomTo(feed.lastTime - 19.7, feed.lastTime + 0.2));
  await until(page, () => app.store.state.zoom !== null && app.store.state.status);
  await page.locator('summary[aria-label=Compare]').focus();
  await page.keyboard.press('Enter');
  await page.locator('#changed').focus();
  await page.keyboard.press('Enter');
  await page.locator('#compare-changes li').first().waitFor();
  const moves = await page.locator('#compare-changes li').allTextContents();
  assert.match(await text(page, 'compare-changes'), /^What changed: \S+ to \S+, against the 1 min 20 s before|^What changed: \S+ to \S+, against the 80 s before/);
  assert.equal(asked.length, 1);
  assert.equal(moves.length, 4, moves.join()); // the power was the same; a row at the edge may count for either side
  assert.match(moves[2], /^Clock 1,[78]\d\d MHz → [67]\d\d MHz \(-6\d %\)$/);
  assert.match(moves[3], /^Temperature 5\d\.\d °C → 7\d\.\d °C \(\+2\d °C\)$/);
  assert.match(moves[0], /^(Latency 50\.0 ms → 250 ms \(\+400 %\)|Tokens\/s \S+ → \S+ \(-[78]\d %\))$/);
  assert.match(moves[1], /^(Latency 50\.0 ms → 250 ms \(\+400 %\)|Tokens\/s \S+ → \S+ \(-[78]\d %\))$/);
  assert.equal(await page.isVisible('#changed'), false, 'the menu is closed');
  await until(page, () => document.querySelector('#announce').textContent.startsWith('What changed: '));
  await page.click('#compare-clear');
  await page.locator('#compare').waitFor({ state: 'hidden' });
});

test('yesterday: dashed lines of a day before, from the server\'s history', { timeout: 120_000 }, async (t) => {
  const now = Date.now() / 1000;
  const { page } = await stopped(t, { models: ['llama3'], before: (opened) => opened.route(/\/history\?/, (route) => {
    const rows = Array.from({ length: 400 }, (_, i) => [now - 86_400 - 300 * (200 - i), 10, 400, 30, 50, 90]);
    return route.fulfill({ json: { step: 300, models: ['llama3'], series: ['time', 'ticks', 'tokens_per_second', 'latency_min_ms', 'latency_p50_ms', 'latency_p95_ms'], rows } });
  }) });
  await inside(page, ({ view, feed }) => view.zoomTo(feed.lastTime - 59, feed.lastTime + 1)); // however long the page took to load
  await until(page, () => app.store.state.zoom !== null);
  await drawn(page);
  await page.locator('summary[aria-label=Compare]').click();
  const before = await inked(page, 'plot-rate', 0.02, 0.1); // ten seconds without ticks
  await page.click('#yesterday');
  await until(page, () => document.querySelector('#yesterday').getAttribute('aria-pressed') === 'true');
  const share = async (wanted) => { // the test's limit ends it
    while (!wanted(await inked(page, 'plot-rate', 0.02, 0.1))) await drawn(page);
  };
  assert.equal(before, 0);
  await share((now) => now > 0.3);
  await page.click('#yesterday');
  await share((now) => now === 0);
});

test('columns can be chosen and stay chosen; the table as seen is copied as Markdown', async (t) => {
  const page = await withEvents(t, { models: ['llama3'], before: (opened) => opened.addInitScript(() => {
    Object.defineProperty(navigator, 'clipboard', { value: undefined }); // as on a page that is not secure
    document.execCommand = () => { window.copied = document.activeElement.value; return true; };
  }) });
  page.say(request(1, { client: 'a|b *c*', model: 'own/m_1' }));
  page.say(request(2, { status: 'failed', error: 'out of\nmemory' }));
  page.say(request(3, { client: 'other' }));
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 3);
  await page.locator('summary[aria-label=Columns]').click();
  for (const title of ['Route', 'In', 'Prefill /s', 'Decode /s', 'Context']) {
    await page.locator('#columns').getByLabel(title, { exact: true }).click();
  }
  assert.equal(await page.locator('#columns input').count(), 11, 'all but the one that opens a row');
  const heads = () => page.locator('#requests-head th:visible').allTextContents();
  assert.deepEqual(await heads(), ['Time', 'Status', 'Model', 'Client', 'Out', 'First token', 'Duration']);
  page.say(request(4, { client: 'other' }));
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 4);
  assert.equal(await page.locator('#request-4 td:visible').count(), 7, 'new rows, too');
  await page.fill('#filter', '-nothing');
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 0);
  await page.evaluate(() => document.querySelector('[data-export="requests-markdown"]').click());
  await until(page, () => document.querySelector('#notice').textContent === 'There is nothing to copy yet.');
  await page.fill('#filter', 'llama3 failed');
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 1);
  await page.fill('#filter', '"a|b"');
  await until(page, () => document.querySelector('#requests-body tr')?.id === 'request-1');
  await page.evaluate(() => document.querySelector('[data-export="requests-markdown"]').click());
  await until(page, () => window.copied);
  const [head, line, row] = (await page.evaluate(() => window.copied)).split('\n');
  assert.equal(head, '| Time | Status | Model | Client | Out | First token | Duration |');
  assert.equal(line, '| --- | --- | --- | --- | --- | --- | --- |');
  assert.match(row, /^\| \d\d:\d\d:\d\d \| finished \| own\/m\\_1 \| a\\\|b \\\*c\\\* \| 96 \| 413 ms \| 4\.00 s \|$/);
  await page.reload();
  await until(page, () => document.querySelectorAll('#columns input').length === 11);
  assert.equal(await page.locator('#columns').getByLabel('Route', { exact: true }).isChecked(), false);
});

test('screenshots: pins and changes, with nothing for axe to find', async (t) => {
  const page = await withEvents(t);
  const [from, to] = await inside(page, ({ view }) => view.range(0));
  for (let id = 1; id <= 4; id++) page.say(request(id, { timestamp: from + (to - from) * (0.2 + id / 10), model: id % 2 ? 'llama3' : 'mistral', client: `client-${id}` }));
  await until(page, () => app.requests.list().length === 4);
  await page.locator('#plot-ttft canvas').waitFor();
  await drawn(page);
  await click(page, 0.3);
  await click(page, 0.7);
  await pins(page, 2);
  await page.locator('summary[aria-label=Compare]').click();
  await page.click('#changed');
  await page.locator('#compare-changes li').first().waitFor();
  await page.mouse.move(1, 1);
  await assertAccessibleInThemes(page);
  await screenshots(page, 'compare');
  await page.setViewportSize({ width: 360, height: 740 });
  await drawn(page);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 360);
  assert.deepEqual(await page.locator('#compare td').evaluateAll((cells) => cells.filter((cell) => cell.scrollWidth > cell.clientWidth).map(({ textContent }) => textContent)), [], 'no number is cut');
  await page.locator('summary[aria-label=Columns]').click();
  await drawn(page);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 360);
  await assertAccessible(page);
});
