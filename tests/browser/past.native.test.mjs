/* The charts' windows of hours: what GET /history of a real server has, over a restart; without it. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { poll, ROOT, sleep } from '../e2e/aidash.mjs';
import { drawn, ingest, inked, inside, open, request, screenshot, serve, start, until } from './browser.mjs';

const rowsOf = async (server, model) => (await request(server, `/history?step=10&series=ticks,tokens_per_second&model=${model}`)).json.rows;
const legend = (page, names) => until(page, (wanted) => [...document.querySelectorAll('#legend .name')].map(({ textContent }) => textContent).sort().join() === wanted, names);
const tick = (model) => JSON.stringify({ model, tokens: 30, latency_ms: 40 });
/* Ticks until each model has so many whole rows of ten seconds with ticks. */
const fill = (server, n) => poll(async () => {
  await ingest(server, tick('first'), tick('second'), tick('third'));
  const busy = (await rowsOf(server, 'first')).filter(([, ticks]) => ticks > 0);
  return busy.length >= n;
}, `${n} rows`, 120_000);

test('an hour has the rows of before a restart, a gap, and those of after it, for each model', { timeout: 300_000 }, async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-past-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const args = ['--source', 'none', '--history-file', path.join(dir, 'history')];
  const before = await start(args);
  t.after(() => before.proc.kill('SIGKILL'));
  await fill(before, 2);
  await before.stop();
  await sleep(16_000); // so far apart that no line joins their rows
  const server = await serve(t, args);
  await fill(server, (await rowsOf(server, 'first')).filter(([, ticks]) => ticks > 0).length + 4);
  const rows = await rowsOf(server, 'first'); // the one that was open when the first server stopped may have no tick, so the rate 0
  const page = await open(t, server);
  await until(page, () => !document.querySelector('[data-span="3600"]').hidden);
  await page.focus('[data-span="3600"]');
  await page.keyboard.press('Enter');
  await until(page, () => app.past.lanes.length === 3);
  assert.equal(await page.getAttribute('[data-span="3600"]', 'aria-pressed'), 'true');
  assert.deepEqual(await inside(page, ({ past }) => past.lanes.map(({ model }) => model)), ['first', 'second', 'other']);
  const [from, to] = await inside(page, ({ view }) => view.range(Date.now() / 1000));
  assert.equal(Math.round(to - from), 3600);
  await legend(page, 'first,other,second');

  // From the first row's middle to the last one's: what the server has, and nothing where it did not run.
  const starts = rows.map(([time]) => time);
  const [first, last] = [starts[0] + 5, starts[starts.length - 1] + 5];
  await inside(page, ({ view, feed }, [a, b]) => view.zoomTo(a - feed.clock.skew, b - feed.clock.skew), [first, last]);
  await drawn(page);
  const share = (time) => (time - first) / (last - first);
  const apart = starts.findIndex((time, i) => time > starts[i - 1] + 15);
  assert.ok(apart > 1, `a gap in ${starts}`);
  const [end, begin] = [starts[apart - 1], starts[apart]];
  assert.ok(await inked(page, 'plot-rate', share(begin + 6), share(last - 1)) > 0.98, 'a line while the server runs');
  assert.equal(await inked(page, 'plot-rate', share(end + 8), share(begin + 3)), 0, 'a gap while none ran');
  assert.ok(await inked(page, 'plot-latency', share(begin + 6), share(last - 1)) > 0.98);

  // Each window; a telephone; the live ones are as they were.
  await page.setViewportSize({ width: 360, height: 740 });
  for (const [span, seconds] of [['21600', 21600], ['86400', 86400], ['1209600', 1209600], ['60', 60]]) {
    await page.click(`[data-span="${span}"]`);
    await drawn(page);
    const [a, b] = await inside(page, ({ view }) => view.range(Date.now() / 1000));
    assert.equal(Math.round(b - a), seconds);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 360, `${span}: nothing is wider than a telephone`);
    if (process.env.AIDASH_SCREENSHOTS) await screenshot(page, `past-${span}`);
  }
  await ingest(server, tick('first'), tick('second'), tick('third')); // what came before may be older than a minute by now
  await legend(page, 'first,second,third');
  await page.click('[data-span="21600"]');
  await until(page, () => location.hash === '#w=21600'); // the address follows a moment later
  await page.reload();
  await until(page, () => document.querySelector('[data-span="21600"]')?.getAttribute('aria-pressed') === 'true');
});

test('an hour of a gateway has what its boards did before it started', { timeout: 300_000 }, async (t) => {
  const SECONDS = 1800;
  const end = Math.floor(Date.now() / 1000) - 60;
  const boards = [];
  for (const [node, model] of [['jetson', 'first'], ['pi', 'second']]) { // one after the other: the second one's ticks are of the same time
    const board = await serve(t, ['--source', 'stdin', '--models', model], { input: '' });
    board.proc.stdin.write(Array.from({ length: SECONDS }, (_, i) => `${JSON.stringify({ model, tokens: 30, latency_ms: 40, timestamp: end - SECONDS + i })}\n`).join(''));
    await poll(async () => (await request(board, '/status')).json.counters.ticks === SECONDS, 'ticks of a board', 60_000);
    boards.push('--peer', `${node}=http://127.0.0.1:${board.port}`);
  }
  const server = await serve(t, ['--source', 'none', ...boards]);
  await poll(async () => (await request(server, '/status')).json.history.ticks === 2 * SECONDS, 'ticks of both boards', 60_000);
  const page = await open(t, server);
  await until(page, () => !document.querySelector('[data-span="3600"]').hidden);
  await page.focus('[data-span="3600"]');
  await page.keyboard.press('Enter');
  await until(page, () => app.past.lanes.length >= 2);
  await until(page, () => ['first', 'second'].every((name) => app.past.lanes.some(({ model }) => model === name)));
  await inside(page, ({ view, feed }, [a, b]) => view.zoomTo(a - feed.clock.skew, b - feed.clock.skew), [end - SECONDS, end]);
  await drawn(page);
  assert.ok(await inked(page, 'plot-rate', 0.02, 0.98) > 0.98, 'a line of the time before the start');
  assert.ok(await inked(page, 'plot-latency', 0.02, 0.98) > 0.98);
});

test('a server without history has no such windows, and a browser that remembers one shows five minutes', async (t) => {
  const server = await serve(t, ['--source', 'none'], { bin: path.join(ROOT, 'build/tiny/aidash') });
  const asked = [];
  const page = await open(t, server, {
    expected: /404/, // of what else this build is without
    before: (fresh) => {
      fresh.on('request', (one) => asked.push(new URL(one.url()).pathname));
      return fresh.addInitScript(() => localStorage.setItem('aidash', '{"span":86400}'));
    },
  });
  await until(page, () => app.store.state.status && app.store.state.span === 300);
  assert.equal(await page.isVisible('[data-span="3600"]'), false);
  assert.ok(asked.includes('/status') && !asked.includes('/history'), asked.join());
});
