/* The boards behind a gateway: a card each, the page of one of them, and fifty at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { poll } from '../e2e/aidash.mjs';
import { assertAccessible, bind, drawn, ingest, live, open, says, screenshot, screenshots, serve, system, until } from './browser.mjs';
import { board, gateway, status, verdict } from './gateway.mjs';

const cards = (page) => page.evaluate(() => [...document.querySelectorAll('#fleet-cards li:not([hidden])')].map((item) => item.dataset.node));
const part = (page, node, what) => page.textContent(`#fleet-cards [data-node="${node}"] .node-${what}`);
const card = (page, node, what, wanted) => until(page, ([name, which, is]) => document.querySelector(`#fleet-cards [data-node="${name}"] .node-${which}`)?.textContent === is, [node, what, wanted]);
const ordered = (page, names) => until(page, (wanted) => [...document.querySelectorAll('#fleet-cards li:not([hidden])')].map((item) => item.dataset.node).join() === wanted, names.join());
const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

/* Three boards: one that works, one that is slow, one that is gone; the first tells where its own page is. */
async function three(t, options) {
  const fleet = await gateway(t, [
    { node: 'jetson', state: 'live', age_ms: 400, url: 'http://127.0.0.1:9/', model: 'llama3', tokens_per_second: 20, tokens: 100, status: { ...status(), seq: 1 }, board: { ...board(), seq: 1 } },
    { node: 'pi-10', state: 'live', age_ms: 100, model: 'hf.co/some-owner/A-Very-Long-Model-Name-Q4_K_M', tokens_per_second: 3, tokens: 5, status: { ...status({ model: '', models: ['a', 'b'] }), seq: 1 } },
    { node: 'pi-9', state: 'gone', age_ms: 300_000, tokens_per_second: 0, tokens: 0 },
  ]);
  const timer = setInterval(() => {
    fleet.tick('jetson', { tokens_per_second: 20 });
    fleet.tick('pi-10', { tokens_per_second: 3, model: 'hf.co/some-owner/A-Very-Long-Model-Name-Q4_K_M' });
  }, 200);
  t.after(() => clearInterval(timer));
  const page = await open(t, fleet, options);
  if (options?.where) {
    return { fleet, page };
  }
  await ordered(page, ['jetson', 'pi-9', 'pi-10']);
  fleet.tell('pi-10', board({ celsius: 84.6, watts: 7.5 }));
  fleet.tell('pi-10', verdict(true));
  await card(page, 'pi-10', 'trouble', 'slower than usual: the board is hot (84 °C).');
  return { fleet, page };
}

test('without other boards there is nothing of them', async (t) => {
  const page = await live(await open(t, await serve(t, ['--rate', '20'])));
  await until(page, () => app.store.state.filled);
  assert.deepEqual(await page.evaluate(() => ['fleet', 'narrowed'].map((id) => document.getElementById(id).hidden)), [true, true]);
});

test('a card for each board: what it makes, how hot it is, what is wrong; live, stale and gone are told apart', async (t) => {
  const { fleet, page } = await three(t);
  await card(page, 'jetson', 'rate', '20.0 tok/s');
  assert.equal(await part(page, 'jetson', 'state'), 'Live');
  assert.match(await part(page, 'jetson', 'facts'), /61 °C.*12\.5 W/);
  assert.equal(await part(page, 'pi-9', 'state'), 'Gone');
  assert.match(await part(page, 'pi-9', 'facts'), /– °C.*– W.*5 min/);
  assert.match(await part(page, 'pi-9', 'rate'), /^–/);
  await says(page, 'fleet-live', '2 of 3');
  await says(page, 'fleet-rate', '23.0');
  await says(page, 'fleet-watts', '20.0 W');
  assert.equal(await page.getAttribute('[data-node=jetson] .node-name', 'href'), 'http://127.0.0.1:9/', 'its own page');
  assert.equal(await page.getAttribute('[data-node=jetson] .node-here', 'href'), '#node=jetson');
  assert.equal(await page.getAttribute('[data-node=pi-10] .node-name', 'href'), '#node=pi-10');

  await until(page, () => { // the last minute is drawn
    const canvas = document.querySelector('[data-node=jetson] canvas');
    return canvas.width > 0 && canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean);
  });
  assert.equal(await fits(page), true);
  await assertAccessible(page);
  await screenshots(page, 'fleet-3');
  await system(page, 'dark');
  await assertAccessible(page);
  await system(page, 'light');

  fleet.state('jetson', 'gone');
  fleet.state('pi-9', 'stale');
  await card(page, 'pi-9', 'state', 'Stale');
  fleet.tick('jetson');
  await card(page, 'jetson', 'state', 'Live'); // a board that comes back is live at once
  fleet.tell('pi-10', verdict(false));
  await card(page, 'pi-10', 'trouble', '');
  fleet.tell('jetson', status({ paused: true }));
  await card(page, 'jetson', 'state', 'Paused');
  fleet.tell('new-one', board());
  await ordered(page, ['jetson', 'new-one', 'pi-9', 'pi-10']);
});

test('cards are sorted and searched, and stay where they are while one has the focus', async (t) => {
  const { fleet, page } = await three(t, { width: 360, height: 740 });
  const sort = (order) => page.selectOption('#fleet-sort', order);
  await sort('rate');
  await ordered(page, ['jetson', 'pi-10', 'pi-9']);
  await sort('heat');
  await ordered(page, ['pi-10', 'jetson', 'pi-9']);
  await sort('state');
  await ordered(page, ['pi-9', 'pi-10', 'jetson']);
  await page.focus('[data-node=pi-9] .node-name');
  fleet.tell('pi-9', board());
  fleet.tick('pi-9');
  await card(page, 'pi-9', 'state', 'Live');
  await drawn(page);
  assert.deepEqual(await cards(page), ['pi-9', 'pi-10', 'jetson'], 'not under the finger');
  await page.evaluate(() => document.activeElement.blur());
  await ordered(page, ['pi-10', 'jetson', 'pi-9']);

  await page.fill('#fleet-find', 'VERY-long');
  await ordered(page, ['pi-10']);
  await page.fill('#fleet-find', 'nobody');
  await until(page, () => !document.getElementById('fleet-none').hidden);
  assert.deepEqual(await cards(page), []);
  await page.fill('#fleet-find', 'pi-');
  await ordered(page, ['pi-10', 'pi-9']);
  assert.equal(await fits(page), true);
  await assertAccessible(page);
  await page.emulateMedia({ forcedColors: 'active' });
  await drawn(page);
  assert.equal(await part(page, 'pi-9', 'state'), 'Live');
  await screenshot(page, 'fleet-forced-colours');
  await page.emulateMedia({ forcedColors: 'none' });
});

test('a link to a board holds, whatever of this page is just being written into the address', async (t) => {
  const { page } = await three(t, { before: (opened) => opened.addInitScript(() => {
    const later = window.setTimeout;
    window.setTimeout = (run, ...rest) => { window.lately = run; return later(run, ...rest); };
  }) });
  const again = page.waitForEvent('load');
  await page.evaluate(() => {
    app.store.set({ find: 'pi' });
    const write = window.lately;
    location.hash = '#node=pi-10'; // what a click does; its hashchange event comes later
    write();
  });
  await again;
  await bind(page);
  await says(page, 'narrowed-name', 'pi-10');
});

test('a board that has no page of its own is shown here alone, with a way back', async (t) => {
  const { fleet, page } = await three(t);
  fleet.tick('', { model: 'of-the-gateway' });
  await until(page, () => app.feed.lanes.some(({ node }) => node === ''));
  await page.focus('[data-node=pi-10] .node-name');
  const again = page.waitForEvent('load');
  await page.keyboard.press('Enter');
  await again;
  await bind(page);
  assert.equal(new URL(page.url()).hash, '#node=pi-10');
  await says(page, 'narrowed-name', 'pi-10');
  await says(page, 'narrowed-state', /^Live, \d+ s ago$/);
  assert.equal(await page.isVisible('#fleet'), false);
  await until(page, () => app.feed.ring.end > 0 && app.store.state.filled);
  assert.deepEqual(await page.evaluate(() => app.feed.lanes.map(({ node }) => node)), ['pi-10'], 'what the server kept, too, and live ticks');
  await until(page, () => document.querySelectorAll('#models button').length === 2 && document.documentElement.dataset.state === 'running');

  fleet.tell('jetson', board({ celsius: 33 }));
  fleet.tell('pi-10', board({ celsius: 85 }));
  await until(page, () => document.getElementById('board-tiles').textContent.includes('85.0 °C'));
  fleet.tell('jetson', { event: 'request_start', id: 7, model: 'x', route: '/v1', client: 'c', status: 'running' });
  fleet.tell('pi-10', { event: 'request_start', id: 8, model: 'y', route: '/v1', client: 'c', status: 'running' });
  await until(page, () => app.requests.any);
  assert.deepEqual(await page.evaluate(() => app.requests.list().map(({ id }) => id)), [8]);
  fleet.tell('pi-10', verdict(true));
  await says(page, 'verdict', /the board is hot/);
  await page.click('#pause');
  await poll(() => fleet.commands.length, 'the command');
  assert.deepEqual(fleet.commands.map(({ action, node }) => [action, node]), [['pause', 'pi-10']]);
  const told = { event: 'command', number: 1, action: 'pause', timestamp: Date.now() / 1000 };
  fleet.send({ ...told, state: 'failed', message: 'of another', node: 'jetson' });
  fleet.send({ ...told, state: 'failed', message: 'the board is away', node: 'pi-10' });
  await says(page, 'engine-reason', 'Pausing: failed: the board is away');
  await says(page, 'pause-text', 'Pause');
  fleet.send({ ...told, state: 'done', node: 'pi-10' });
  fleet.tell('pi-10', status({ paused: true }));
  await says(page, 'pause-text', 'Resume');
  await says(page, 'engine-reason', '');
  await assertAccessible(page);
  await screenshots(page, 'fleet-one');

  fleet.state('pi-10', 'gone'); // its next tick makes it live again
  const back = page.waitForEvent('load');
  await page.click('#narrowed-back');
  await back;
  await bind(page);
  await page.mouse.move(0, 0); // cards stay where they are below it
  assert.equal(new URL(page.url()).hash, '');
  await ordered(page, ['jetson', 'pi-9', 'pi-10']);
  await until(page, () => app.feed.lanes.length === 3);
});

test('a real board that forwards to a gateway: its page has its engine and its models from the first sign of life on', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  await serve(t, ['--rate', '20', '--forward', server.url, '--as-node', 'pi']);
  const page = await open(t, server, { where: '#node=pi' });
  await says(page, 'model', 'llama3');
  await until(page, () => [...document.querySelectorAll('#models button')].map(({ dataset }) => dataset.model).join() === 'llama3,mistral,qwen2.5');
  assert.equal(await page.evaluate(() => app.store.state.sourceState), 'running');
});

test('a board that says odd things: its page stands, shows what is right, and nothing of the rest', async (t) => {
  const { fleet, page } = await three(t, { where: '#node=pi-10' });
  const odd = [null, true, -1, 1e30, '', 'x'.repeat(5000), [], [null], {}, [{}]];
  const kinds = [
    { ...status(), loaded: ['llama3'], model_facts: [{ model: 'llama3' }], reason: 'x', engine: 'up', override: false, bench: 1, commands: 1, nodes: 1 },
    { ...board(), seq: 1 }, { ...verdict(true), seq: 1 },
    { event: 'hello', models: ['a'], model: 'a', paused: false, source: 'meter', source_state: 'none', rate_hz: 0 },
    { event: 'energy', watts: 1, scope: 'module', floor_watts: 1, joules_per_token: 1, wh: 1, known_s: 1 },
    { event: 'request_start', seq: 1, id: 90, model: 'x', route: '/v1', client: 'c', status: 'running', timestamp: 1 },
    { event: 'request', seq: 2, id: 90, model: 'x', route: '/v1', client: 'c', status: 'finished', duration_ms: 1, ttft_ms: 1, error: 'x', context_length: 1, context_tokens: 1 },
    { event: 'gauge', seq: 1, name: 'g', value: 1, unit: 'C', timestamp: 1 }, { event: 'note', seq: 1, level: 'info', text: 'x', timestamp: 1 },
    { event: 'alert', seq: 1, name: 'a', state: 'firing', sentence: 'x' }, { event: 'bench', seq: 1, id: 1, state: 'running', steps: [] },
    { event: 'command', seq: 1, number: 1, state: 'done', action: 'pause' }, { event: 'inference_tick' }, { event: 'unheard_of' },
  ];
  for (const said of kinds) {
    for (const member of Object.keys(said).filter((name) => name !== 'event')) {
      for (const value of odd) fleet.send({ event: 'node', node: 'pi-10', data: { ...said, [member]: value } });
    }
    fleet.send({ event: 'node', node: 'pi-10', data: { event: said.event } });
  }
  fleet.tell('pi-10', { event: 'note', seq: 1, level: 'warn', text: 'the last word', timestamp: Date.now() / 1000 }); // all before it has been taken
  await until(page, () => app.feed.marks.some(({ text }) => text === 'the last word'));
  fleet.tell('pi-10', status({ model: 'mistral' }));
  fleet.tell('pi-10', board({ celsius: 77 }));
  await until(page, () => document.getElementById('model').textContent === 'mistral' && document.getElementById('board-tiles').textContent.includes('77.0 °C'));
  await live(page);
  assert.equal(await fits(page), true);
});

test('a gateway without an engine of its own has no card of one; without a connection no board is live', async (t) => {
  const { fleet, page } = await three(t);
  await page.locator('#card-control').waitFor({ state: 'hidden' });
  await screenshots(page, 'fleet-no-engine');
  const beside = () => page.evaluate(() => document.getElementById('card-latency').getBoundingClientRect().top === document.getElementById('card-rate').getBoundingClientRect().top);
  assert.equal(await beside(), true);
  await page.setViewportSize({ width: 360, height: 740 });
  await drawn(page);
  assert.equal(await beside(), false, 'on a phone each card has the whole width');
  await page.setViewportSize({ width: 1280, height: 860 });
  fleet.tick('', { model: 'own' });
  await page.locator('#card-control').waitFor();
  fleet.cut();
  await card(page, 'jetson', 'state', 'Not known');
  assert.match(await part(page, 'jetson', 'rate'), /^–/);
  await says(page, 'fleet-live', '–');
  await assertAccessible(page);
  await screenshots(page, 'fleet-lost');
});

test('fifty boards with ten events a second each: drawn by time, not by event', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  const nodes = Array.from({ length: 50 }, (_, i) => `board-${i + 1}`);
  let tokens = 0;
  let sent = 0;
  const tell = () => {
    tokens += 3;
    sent += nodes.length;
    return ingest(server, ...nodes.map((node, i) => ({ model: `model-${i % 4}`, node, tokens_generated: tokens, latency_ms: 30 + i, tokens_per_second: 10 + i + Math.sin(tokens / 30) })));
  };
  await tell();
  const timer = setInterval(() => tell().catch(() => {}), 100);
  t.after(() => clearInterval(timer));
  const page = await open(t, server);
  await until(page, () => document.querySelectorAll('#fleet-cards li').length === 50);
  await says(page, 'fleet-live', '50 of 50');
  await until(page, () => app.store.state.filled);
  await page.evaluate(() => {
    window.seen = { changes: 0, ticks: app.feed.ring.end, since: performance.now() };
    new MutationObserver(() => { window.seen.changes += 1; }).observe(document.getElementById('fleet-cards'), { subtree: true, characterData: true, childList: true });
  });
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Performance.enable');
  const metrics = async () => Object.fromEntries((await devtools.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
  const before = await metrics();
  await until(page, () => app.feed.ring.end - window.seen.ticks >= 1500);
  const after = await metrics();
  const { changes, ticks, ms, lost } = await page.evaluate(() => ({ changes: window.seen.changes, ticks: app.feed.ring.end - window.seen.ticks,
    ms: performance.now() - window.seen.since, lost: app.store.state.dropped }));
  const took = (name) => (1000 * (after[name] - before[name])) / (after.Timestamp - before.Timestamp);
  t.diagnostic(`50 boards, ${Math.round(ticks / (after.Timestamp - before.Timestamp))} events/s: script ${took('ScriptDuration').toFixed(0)} ms, layout and style `
    + `${(took('LayoutDuration') + took('RecalcStyleDuration')).toFixed(0)} ms, all tasks ${took('TaskDuration').toFixed(0)} ms a second; of ${sent} events this page lost ${lost}`);
  assert.ok(changes > 0 && changes <= ms / 250 + 2, `the cards changed ${changes} times in ${ms} ms`);
  assert.equal(await page.evaluate(() => app.feed.lanes.length), 50);
  assert.equal(await fits(page), true);
  await assertAccessible(page);
  await screenshots(page, 'fleet-50');
});
