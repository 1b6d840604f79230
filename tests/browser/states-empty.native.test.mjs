/* What the page says where there is nothing to show: no data yet, no way in, no rights, numbers that are old. Each with its words, looked
 * at by axe and as a screenshot. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { connect, ROOT, status, statusWhen } from '../e2e/aidash.mjs';
import { metered, replay } from '../e2e/engine.mjs';
import { ingest, looked, open, says, serve, text, until } from './browser.mjs';

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
    return /^Start it at http:\/\/.*. This page shows it as soon as it answers\.$/.test(document.querySelector('#empty-text').textContent);
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
