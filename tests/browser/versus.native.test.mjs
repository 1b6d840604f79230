/* Two models, or one in two times, laid over each other: from the page's ticks and from the server's history, by a link, as Markdown. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { assertAccessible, assertAccessibleInThemes, drawn, ingest, inside, open, screenshots, serve, until } from './browser.mjs';

const NAMES = ['Tokens/s', 'Tokens/s, without idle time', 'Between tokens, p50', 'Between tokens, p95', 'First token, median', 'Energy per token, the whole board', 'Requests ended'];
const table = (page) => page.locator('#versus-result tbody tr').evaluateAll((rows) => rows.map((row) => [...row.children].map(({ textContent }) => textContent)));
const told = (page, pattern) => until(page, (wanted) => new RegExp(wanted).test(document.querySelector('#versus-result table')?.textContent ?? ''), pattern);
/* How many pixels of a chart have its line's colour. */
const coloured = (page, figure, lane) => page.evaluate(([n, name]) => {
  const [r, g, b] = getComputedStyle(document.documentElement).getPropertyValue(name).trim().match(/[0-9a-f]{2}/gi).map((hex) => parseInt(hex, 16));
  const canvas = document.querySelectorAll('#versus-result canvas')[n];
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) count += Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 12 && data[i + 3] > 200;
  return count;
}, [figure, `--lane-${lane}`]);

/* llama3 for a minute, 20 tokens/s; then mistral for a minute, 10 tokens/s. */
const ticks = () => {
  const now = Math.floor(Date.now() / 1000) + 0.3; // what the form shows of a time has no such digits
  return Array.from({ length: 240 }, (_, i) => (i < 120 ? { model: 'llama3', tokens: 10, latency_ms: 50 } : { model: 'mistral', tokens: 5, latency_ms: 100 }))
    .map((line, i) => ({ ...line, timestamp: now - 121 + i / 2 }));
};

const copying = (page) => page.addInitScript(() => {
  Object.defineProperty(navigator, 'clipboard', { value: undefined }); // as on a page that is not secure
  document.execCommand = () => { window.copied = document.activeElement.value; return true; };
});

test('two models of different times, by the keyboard alone: lines from 0, and what differs', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  await ingest(server, ...ticks());
  const page = await open(t, server, { before: copying });
  await until(page, () => app.store.state.filled && app.feed.ring.end === 240 && app.store.state.status);
  await page.locator('summary[aria-label=Compare]').focus();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Models or times');
  await page.keyboard.press('Enter');
  await told(page, 'mistral');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'versus-a');
  assert.deepEqual(await page.evaluate(() => ['versus-a', 'versus-b', 'versus-length'].map((id) => document.getElementById(id).value)), ['llama3', 'mistral', '60']);
  const rows = await table(page);
  assert.deepEqual(rows.map(([name]) => name), NAMES);
  const near = (cell, wanted) => assert.ok(Math.abs(parseFloat(cell) / wanted - 1) < 0.03, `${cell}, not ${wanted}`);
  near(rows[0][1], 20);
  near(rows[0][2], 10);
  assert.match(rows[0][3], /^-(49|50|51) %$/);
  assert.deepEqual(rows[2].slice(1), ['50.0 ms', '100 ms', '+100 %']);
  assert.equal(rows[4][1], '–', 'there was no request');
  assert.ok(await coloured(page, 0, 0) > 50 && await coloured(page, 0, 1) > 50 && await coloured(page, 1, 0) > 50 && await coloured(page, 1, 1) > 50, 'both lines in both charts');
  await page.click('#versus-copy');
  await until(page, () => window.copied);
  const [head, , first] = (await page.evaluate(() => window.copied)).split('\n');
  assert.match(head, /^\| {2}\| A: llama3, .+ \| B: mistral, .+ \| A to B \|$/);
  assert.match(first, /^\| Tokens\/s \| [\d.]+ \| [\d.]+ \| -\d+ % \|$/);

  // A link to it: the same numbers, in another time zone.
  await until(page, () => /^#a=[\d.]+,llama3&b=[\d.]+,mistral&l=60$/.test(location.hash));
  const other = await open(t, server, { where: new URL(page.url()).hash, timezoneId: 'Pacific/Auckland', width: 360, height: 740 });
  await told(other, 'llama3');
  const theirs = await table(other);
  near(theirs[0][1], 20);
  near(theirs[0][2], 10);
  assert.deepEqual(theirs[2].slice(1), rows[2].slice(1));
  assert.ok(await other.evaluate(() => document.documentElement.scrollWidth) <= 360);

  // The same model in both: of another time.
  await page.selectOption('#versus-a', 'mistral');
  await until(page, () => document.querySelector('#versus-result th:nth-child(2)')?.textContent.startsWith('A: mistral'));
  await until(page, () => document.querySelector('#versus-result tbody td:nth-of-type(3)').textContent === '0 %'
    && app.store.state.versus.a.from === app.store.state.versus.b.from); // what was not changed in the form is still the same, to the millisecond
  await page.selectOption('#versus-length', '300');
  await until(page, () => /&l=300$/.test(location.hash));
  await page.locator('#versus-b').focus();
  await page.keyboard.press('Escape');
  await page.locator('#versus').waitFor({ state: 'hidden' });
  assert.equal(await page.evaluate(() => document.activeElement.id), 'plots');
});

test('now and days ago, from the server\'s history: with energy, and marked as an estimate', async (t) => {
  const DAY = 86_400;
  const asked = [];
  const page = await open(t, await serve(t, ['--source', 'none']), { before: async (opened) => {
    await copying(opened);
    await opened.route(/\/history\?/, (route) => {
      const query = new URL(route.request().url()).searchParams;
      asked.push(query);
      const series = ['time', ...query.get('series').split(',')];
      const [now, from, to] = [Date.now() / 1000, Number(query.get('from')), Number(query.get('to'))];
      const of = { ticks: 100, tokens: 200, latency_p50_ms: 40, latency_p95_ms: 80, requests: 1, watts: 10 };
      if (query.get('model') === 'fast') Object.assign(of, { tokens: 400, latency_p50_ms: 20, latency_p95_ms: 40 });
      const begin = from < 0 ? now - DAY : from;
      const rows = begin > now - 60 ? [] : Array.from({ length: to ? Math.floor((to - begin) / 10) : 3 }, (_, i) => series.map((name) => (name === 'time' ? begin + 10 * i : of[name])));
      return route.fulfill({ json: { step: 10, models: ['slow', 'fast'], series, rows } });
    });
  } });
  await until(page, () => app.store.state.filled && app.store.state.status);
  await page.locator('summary[aria-label=Compare]').click();
  await page.click('#versus-open');
  await told(page, 'all models');
  await page.selectOption('#versus-a', 'slow');
  await until(page, () => app.store.state.versus.a.model === 'slow');
  await page.selectOption('#versus-b', 'fast');
  await until(page, () => app.store.state.versus.b.model === 'fast');
  await page.selectOption('#versus-length', '900');
  await told(page, 'slow.*fast.*Requests ended90');
  assert.deepEqual(await table(page), [[NAMES[0], '20.0', '40.0', '+100 %'], [NAMES[1], '20.0', '40.0', '+100 %'], [NAMES[2], '~40.0 ms', '~20.0 ms', '-50 %'],
    [NAMES[3], '~80.0 ms', '~40.0 ms', '-50 %'], [NAMES[4], '–', '–', '–'], [NAMES[5], '0.50 J', '0.25 J', '-50 %'], [NAMES[6], '90', '90', '0 %']]);
  assert.match(await page.textContent('#versus-result'), /~: an estimate, from the rows of the server's history$/);
  const { a, b } = await inside(page, ({ store }) => store.state.versus);
  assert.ok(asked.some((query) => query.get('model') === 'slow' && Number(query.get('to')) - Number(query.get('from')) >= 900));
  assert.ok(Date.now() / 1000 - a.from > 3600 && Date.now() / 1000 - b.from > 3600, 'where it ran last');
  await assertAccessibleInThemes(page);
  await screenshots(page, 'versus');
  await page.setViewportSize({ width: 360, height: 740 });
  await drawn(page);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 360);
  assert.deepEqual(await page.locator('#versus td').evaluateAll((cells) => cells.filter((cell) => cell.scrollWidth > cell.clientWidth).map(({ textContent }) => textContent)), [], 'no number is cut');
  await assertAccessible(page);
});
