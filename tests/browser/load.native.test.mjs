/* A thousand ticks a second: everything is taken, memory stays where it is, and the page keeps up.
 *
 *   AIDASH_LOAD_SECONDS   how long it is watched, default 12 (600 for the long run) */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { inside, live, open, says, serve, status, text, until } from './browser.mjs';
import { count, counted, crowd, footprint } from './crowd.mjs';

const SECONDS = Number(process.env.AIDASH_LOAD_SECONDS || 12);
const HEAP_MAX = 1_000_000; // bytes that the heap may differ by, of about 5 MB

test('a thousand ticks a second', { timeout: (SECONDS + 120) * 1000 }, async (t) => {
  const server = await serve(t, ['--rate', '1000']);
  const page = await open(t, server, { before: (opened) => opened.addInitScript(() => {
    window.batches = []; // how long each message took, ms
    const { set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
    Object.defineProperty(WebSocket.prototype, 'onmessage', { set(run) {
      set.call(this, run && ((event) => {
        const at = performance.now();
        run(event);
        window.batches.push(performance.now() - at);
      }));
    } });
  }) });
  await live(page);
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' }); // what others run meanwhile does not count
  const heap = async () => {
    await session.send('HeapProfiler.collectGarbage');
    return (await session.send('Runtime.getHeapUsage')).usedSize;
  };
  const metrics = async () => Object.fromEntries((await session.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
  const later = (seconds) => page.waitForFunction((end) => app.feed.lastTime > end, (Date.now() / 1000) + seconds, { polling: 250, timeout: (seconds + 60) * 1000 });

  await page.click('[data-span="300"]');
  await later(3); // what is made once is made
  const before = { heap: await heap(), end: await inside(page, ({ feed }) => feed.ring.end), ...await metrics() };
  await page.evaluate(() => {
    window.longest = 0;
    window.batches.length = 0;
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => { window.longest = Math.max(window.longest, duration); }))
      .observe({ type: 'longtask' });
  });
  await later(SECONDS);
  const after = { heap: await heap(), end: await inside(page, ({ feed }) => feed.ring.end), ...await metrics() };
  const seconds = after.Timestamp - before.Timestamp;
  const { count, batch } = await page.evaluate(() => ({ count: window.batches.length,
    batch: window.batches.sort((a, b) => a - b)[window.batches.length >> 1] }));
  const per = (name) => `${(1000 * (after[name] - before[name]) / seconds).toFixed(1)} ms`;
  t.diagnostic(`${Math.round((after.end - before.end) / seconds)} ticks/s over ${seconds.toFixed(1)} s in ${count} messages, each ${batch.toFixed(2)} ms of the main thread (median); with all drawing a second takes ${per('TaskDuration')} of the main thread, ${per('ScriptDuration')} of it script; `
    + `longest task ${Math.round(await page.evaluate(() => window.longest))} ms; heap ${(before.heap / 1e6).toFixed(2)} -> ${(after.heap / 1e6).toFixed(2)} MB`);
  assert.ok(Math.abs(after.heap - before.heap) < HEAP_MAX, `heap ${before.heap} -> ${after.heap}`);
  assert.equal(await text(page, 'lost'), '0');
  assert.equal(await text(page, 'connection-text'), 'Connected');
  const seqs = await inside(page, ({ ring }) => ring('seq').filter((seq) => seq > 0));
  assert.ok(seqs.length > 1000, `${seqs.length} ticks`);
  assert.deepEqual(seqs.flatMap((seq, i) => (i === 0 || seq === seqs[i - 1] + 1 ? [] : [`${seqs[i - 1]}, then ${seq}`])), [], 'each tick once, in order');
  await until(page, () => Date.now() / 1000 - app.feed.lastTime < 0.5); // it keeps up
  await says(page, 'rate', /^\d/);
});

test('thirty streams at once: no event is lost, and what the page is made of does not grow', { timeout: 240_000 }, async (t) => {
  const busy = await crowd(t, { tokens: 120 });
  const page = await live(await open(t, busy.server));
  await page.locator('#plot-ttft canvas').waitFor();
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const heard = (events) => until(page, (wanted) => window.heard.ticks >= wanted, events);
  await count(page);
  // The table is full after fifty requests: from then on a new row takes an old one's place.
  await until(page, () => app.requests.entries.size - app.requests.active >= 50);
  await page.locator('#requests-body tr').nth(79).waitFor();
  const before = await footprint(session);
  await heard((await counted(page)).ticks + 5000);
  const after = await footprint(session);
  busy.stop();
  await until(page, () => app.requests.active === 0);
  const { next_seq: next } = await status(busy.server);
  await until(page, (wanted) => app.client.sequence.next >= wanted, next);
  const end = await counted(page);
  assert.deepEqual([end.numbers - end.events, end.dropped], [0, 0]);
  assert.ok(end.ticks > 5000, `${end.ticks} ticks`);
  t.diagnostic(`${end.ticks} ticks; ${before.nodes} -> ${after.nodes} nodes, ${before.listeners} -> ${after.listeners} listeners, heap ${before.heap} -> ${after.heap}`);
  // Rows differ by their marks; a row more or less is there in between.
  assert.ok(Math.abs(after.nodes - before.nodes) < 400, `${before.nodes} -> ${after.nodes} nodes`);
  assert.ok(Math.abs(after.listeners - before.listeners) < 60, `${before.listeners} -> ${after.listeners} listeners`);
});
