/* What the page says of states that are not "all is well": each with its words, looked at by axe and as a screenshot. Events are put
 * into the stream of a real server, each valid by the contract. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { connect, ROOT, status, statusWhen } from '../e2e/aidash.mjs';
import { metered, replay } from '../e2e/engine.mjs';
import { assertAccessible, drawn, ingest, inside, open, says, screenshots, serve, system, text, until } from './browser.mjs';
import { stage } from './stage.mjs';

/* A meter's page; page.line is its queue. */
async function metersPage(t, options = {}) {
  const { page, server } = await stage(t, { ...options, heard: (event) => (event.event === 'hello' ? { ...event, source: 'meter' } : event), before: async (opened) => {
    opened.line = { running: 0, queued: 0, refused: 0, max_inflight: 4, queue: 16 };
    await opened.route('**/status', async (route) => {
      try {
        const response = await route.fetch();
        await route.fulfill({ response, json: { ...await response.json(), requests: opened.line } });
      } catch { // the test, and with it the server or the page, has ended meanwhile
        await route.abort().catch(() => {});
      }
    });
  } });
  await until(page, () => app.store.state.status);
  return { page, server };
}

const start = (id, more = {}) => ({ event: 'request_start', id, model: 'llama3', route: '/v1/chat/completions', client: '192.168.1.20', status: 'running', ...more });
const end = (id, more = {}) => ({ ...start(id), event: 'request', status: 'finished', prompt_tokens: 812, completion_tokens: 96, ttft_ms: 412.5, duration_ms: 4361.7, ...more });
const said = (more) => ({ event: 'status', model: 'llama3', models: ['llama3'], paused: false, source: 'meter', source_state: 'none', rate_hz: 0, ...more });

/* Nothing for axe to find, and a picture to look at. */
async function looked(page, name) {
  for (const theme of ['light', 'dark']) {
    await system(page, theme);
    await drawn(page);
    await assertAccessible(page);
  }
  await screenshots(page, `state-${name}`);
  await page.setViewportSize({ width: 360, height: 740 });
  await until(page, () => innerWidth === 360 && document.documentElement.scrollWidth === 360);
  await page.setViewportSize({ width: 1280, height: 860 });
}

test('the engine: loading, down, paused by whom, draining', async (t) => {
  const { page } = await metersPage(t);
  page.say(said({ engine: 'loading', reason: 'weights: 45 %' }));
  await says(page, 'state', 'Loading');
  await says(page, 'engine-reason', 'weights: 45 %');
  await looked(page, 'loading');
  page.say(said({ engine: 'down' }));
  await says(page, 'state', 'Engine down');
  await says(page, 'engine-reason', /^No answer since \d\d:\d\d:\d\d$/);
  const since = await text(page, 'engine-reason');
  await looked(page, 'down');
  page.say(said({ engine: 'down', models: ['llama3', 'mistral'] }));
  await until(page, () => app.store.state.models.length === 2);
  assert.equal(await text(page, 'engine-reason'), since, 'told again, it is down since the same time');
  page.say(start(1));
  page.say(said({ engine: 'up', paused: true, reason: 'paused by Anna\'s phone' }));
  await says(page, 'state', 'Pausing, 1 left');
  await looked(page, 'draining');
  page.say(end(1));
  await says(page, 'state', 'Paused');
  await says(page, 'engine-reason', 'paused by Anna\'s phone');
  await looked(page, 'paused');
});

test('requests: a full line, a cut prompt, unknown counts; and what a connection that is lost leaves', async (t) => {
  const { page, server } = await metersPage(t, { reducedMotion: 'reduce', args: ['--rate', '20', '--alert', 'hot: gauge:x > 80'] });
  page.line.queue = 2;
  page.say(end(1, { prompt_cut: true, counts: 'none', counts_reason: 'compressed', completion_tokens: undefined }));
  page.say(end(2, { status: 'refused', ended_by: 'aidash', http_status: 503, error: 'the queue is full (2 waiting)' }));
  for (const id of [3, 4]) page.say(start(id, { status: 'queued' }));
  page.say(start(5));
  await says(page, 'inflight', /^1 \/ 2( full)?$/);
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange'))); // it asks for the line's length again
  await says(page, 'inflight', '1 / 2 full');
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 5);
  const cells = await page.locator('#requests-body tr').evaluateAll((rows) => rows.map((row) => [row.querySelector('.status').textContent, row.querySelector('[data-title=Out]').title]));
  assert.deepEqual(cells.map(([status]) => status.replace('Cancel', '')).sort(), ['503: the queue is full (2 waiting)', 'finishedprompt cut', 'queued, place 1', 'queued, place 2', 'running']);
  assert.deepEqual(cells.map(([, title]) => title).filter(Boolean), ['none: the answer is compressed']);
  await ingest(server, { gauge: 'x', value: 85 });
  await says(page, 'alerts', 'hot gauge x is 85, above 80');
  await looked(page, 'full-line');

  await page.cut();
  await says(page, 'state', 'No connection');
  await page.locator('#alerts[data-stale]').waitFor();
  await says(page, 'inflight', '–');
  await until(page, () => document.querySelectorAll('#requests-body [data-lost]').length === 3);
  assert.deepEqual(await page.locator('[data-lost] .status span').allTextContents(), ['not known', 'not known', 'not known']);
  assert.equal(await page.locator('#requests-body .status button:visible').count(), 0, 'nothing can be cancelled');
  const took = () => page.locator('[data-lost] [data-title=Duration]').allTextContents();
  const [before, ended] = [await took(), await inside(page, () => Date.now())];
  await until(page, (at) => Date.now() > at + 1200, ended);
  assert.deepEqual(await took(), before, 'no clock runs on');
  await looked(page, 'lost');
});

test('nothing to show yet: what to type, for each source', async (t) => {
  const empty = await open(t, await serve(t, ['--source', 'none']));
  await says(empty, 'empty-code', /^curl -d '\{"model":"demo".*\/ingest$/);
  await looked(empty, 'no-data');
  const replayed = await replay(t, { models: ['alpha'] });
  const server = await metered(t, replayed);
  const page = await open(t, server);
  await says(page, 'empty-code', /^curl -d '\{"model":"alpha".*\/v1\/chat\/completions$/);
  await looked(page, 'no-request');
  await page.evaluate(() => app.store.set({ down: true }));
  await until(page, () => {
    app.store.set({ down: true }); // again, if a status came after it
    return /^Start it at http:\/\/.*\. This page shows it as soon as it answers\.$/.test(document.querySelector('#empty-text').textContent);
  });
  assert.equal(await page.isVisible('#empty-code'), false);
});

/* A proxy that does not pass on under which name it is asked, as nginx without proxy_set_header Host. Returns its port. */
async function nameless(t, { port }) {
  const proxy = http.createServer((req, res) => {
    const passed = http.request({ host: '127.0.0.1', port, path: req.url, method: req.method, headers: { ...req.headers, host: `127.0.0.1:${port}` } }, (found) => {
      res.writeHead(found.statusCode, found.headers);
      found.pipe(res);
    });
    passed.on('error', () => res.destroy());
    req.pipe(passed);
  });
  proxy.on('upgrade', (req, down) => {
    const up = net.connect(port, '127.0.0.1', () => {
      const headers = { ...req.headers, host: `127.0.0.1:${port}` };
      up.write(`GET ${req.url} HTTP/1.1\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}`).join('\r\n')}\r\n\r\n`);
    });
    for (const [from, to] of [[down, up], [up, down]]) from.on('error', () => to.destroy()).on('close', () => to.destroy()).pipe(to);
  });
  await new Promise((done) => { proxy.listen(0, '127.0.0.1', done); });
  t.after(() => { proxy.close(); proxy.closeAllConnections(); });
  return proxy.address().port;
}

test('no way in: refused, with the server\'s sentence; full', async (t) => {
  const server = await serve(t, []);
  const origin = `http://board.example:${await nameless(t, server)}`;
  const refused = await open(t, { url: origin }, { expected: /40\d \(|50\d \(/ });
  await says(refused, 'connection-text', /^Refused\. Reconnecting in \d+\ss/);
  await says(refused, 'empty-text', `Refused: pages of ${origin} may not use this server; to allow them: --allow-origin ${origin}`);
  await looked(refused, 'refused');

  const tiny = await serve(t, [], { bin: path.join(ROOT, 'build/tiny/aidash') });
  const { max } = (await status(tiny)).clients;
  for (let i = 0; i < max; i++) await connect(tiny, '/ws/test?batch=1');
  await statusWhen(tiny, ({ clients }) => clients.websocket === max);
  const page = await open(t, tiny);
  await says(page, 'empty-text', `The server is full (${max} of ${max} viewers).`);
  await looked(page, 'full');
});

test('no rights: the page says so, and how to get a code; stale: numbers of an engine that fell silent look old', async (t) => {
  const locked = await serve(t, ['--allow-host', 'board.example', '--view', 'key', '--control', 'key']);
  const page = await open(t, { url: `http://board.example:${locked.port}` }, { locale: 'en-GB', expected: /40[13]/ });
  await until(page, () => document.querySelector('#access').open);
  assert.match(await text(page, 'access-sign-in'), /aidash pair/);
  await looked(page, 'no-rights-asked');
  await page.click('#access-close');
  await says(page, 'connection-text', /^Sign in to watch\. Reconnecting in \d+\ss/);
  await says(page, 'empty-lead', 'Sign in to watch.');
  await says(page, 'empty-code', 'aidash pair');
  await looked(page, 'no-rights');
  await page.click('#empty-sign-in');
  await until(page, () => document.querySelector('#access').open);

  const server = await serve(t, ['--source', 'none']);
  const at = Date.now() / 1000;
  await ingest(server, ...Array.from({ length: 50 }, (_, i) => ({ model: 'llama3', tokens: 3, latency_ms: 40, timestamp: at - 10 + i / 5 })));
  const stale = await open(t, server);
  await until(stale, () => app.feed.ring.end === 50 && document.documentElement.dataset.state === 'idle');
  await stale.locator('#card-latency[data-stale]').waitFor();
  await says(stale, 'rate', '0');
  await says(stale, 'rate-note', /^idle for \d+/);
  await looked(stale, 'stale');
});
