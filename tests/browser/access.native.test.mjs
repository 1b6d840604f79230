/* Which pages and which names a real browser gets in with: pages elsewhere, DNS rebinding, a reverse proxy in front. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { live, open, says, serve, start, text, until, visit } from './browser.mjs';
import { nginx, noNginx } from './nginx.mjs';

/* Something on a free port of this machine, gone when the test ends. */
async function listen(t, answer) {
  const server = http.createServer(answer);
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  t.after(() => { server.close(); server.closeAllConnections(); });
  return server.address().port;
}

/* An engine that lets in pages of any origin, as llama-server and vLLM do. `seen` has what others than aidash ask it. */
async function engine(t) {
  const seen = [];
  const port = await listen(t, (req, res) => {
    if (req.method !== 'GET') seen.push(`${req.method} ${req.url}`);
    const cors = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Methods': '*', 'Access-Control-Allow-Headers': '*' };
    req.resume().on('end', () => {
      res.writeHead(req.method === 'OPTIONS' ? 204 : 200, { 'Content-Type': 'application/json', ...cors });
      res.end(req.method === 'OPTIONS' ? undefined : '{"object":"list","data":[]}');
    });
  });
  return { seen, url: `http://127.0.0.1:${port}` };
}

/* A page of an origin of its own. */
async function elsewhere(t, name) {
  const port = await listen(t, (req, res) => res.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>elsewhere</title>'));
  const { page } = await visit(t, `http://${name}:${port}/`);
  return { page, origin: `http://${name}:${port}` };
}

/* All that a page can try on a server; runs in the page. Each answer is a status, 'opaque', or 'no'. */
const attempt = async (url) => {
  const ask = (path, options) => fetch(url + path, options).then((answer) => answer.status || 'opaque', () => 'no');
  const chat = { method: 'POST', body: '{"model":"m","messages":[]}' };
  const form = () => new Promise((done) => {
    const frame = document.createElement('iframe');
    frame.name = 'target';
    document.body.append(frame);
    const sent = document.createElement('form');
    Object.assign(sent, { method: 'post', enctype: 'text/plain', action: `${url}/v1/completions`, target: 'target' });
    sent.innerHTML = '<input name=\'{"model":"m","prompt":"\' value=\'"}\'>';
    document.body.append(sent);
    frame.onload = () => { if (sent.sent) done('sent'); };
    sent.sent = true;
    sent.submit();
  });
  const opens = (source, event) => new Promise((done) => {
    source.addEventListener(event, () => { source.close(); done('open'); });
    source.addEventListener('error', () => { source.close(); done('no'); });
  });
  return {
    status: await ask('/status'),
    chat: await ask('/v1/chat/completions', chat),
    blind: await ask('/v1/chat/completions', { ...chat, mode: 'no-cors' }),
    json: await ask('/v1/chat/completions', { ...chat, headers: { 'Content-Type': 'application/json', Authorization: 'Bearer x' } }),
    deletes: await ask('/api/delete', { method: 'DELETE', body: '{"model":"m"}' }),
    form: await form(),
    command: await ask('/command', { method: 'POST', body: '{"action":"pause"}' }),
    events: await opens(new EventSource(`${url}/events`), 'open'),
    socket: await opens(new WebSocket(`${url.replace('http', 'ws')}/ws/elsewhere`), 'open'),
    client: await import(`${url}/aidash-client.js`).then((module) => typeof module.AidashClient, () => 'no'),
  };
};

test('a page elsewhere reads nothing, asks the engine nothing, and may import the client', async (t) => {
  const { seen, url } = await engine(t);
  const { page, origin } = await elsewhere(t, 'evil.example');
  const server = await serve(t, ['--upstream', url]);
  assert.deepEqual(await page.evaluate(attempt, server.url), {
    status: 'no', chat: 'no', blind: 'opaque', json: 'no', deletes: 'no', form: 'sent', command: 'no', events: 'no', socket: 'no',
    client: 'function',
  });
  assert.deepEqual(seen, []);
  await server.logged(new RegExp(`refused: pages of ${origin} may not use this server; to allow them: --allow-origin ${origin}\n`));
  const { page: here } = await visit(t, `${server.url}/status`);
  assert.equal(JSON.parse(await here.textContent('body')).paused, false);
});

test('--allow-origin lets it do all of that, preflights to the engine included', async (t) => {
  const { seen, url } = await engine(t);
  const { page, origin } = await elsewhere(t, 'friend.example');
  const server = await serve(t, ['--upstream', url, '--allow-origin', origin]);
  assert.deepEqual(await page.evaluate(attempt, server.url), {
    status: 200, chat: 200, blind: 'opaque', json: 200, deletes: 200, form: 'sent', command: 200, events: 'open', socket: 'open',
    client: 'function',
  });
  // A form of another site goes on as any other request; the browser asks before a DELETE, and before JSON with a key.
  assert.deepEqual(seen, ['POST /v1/chat/completions', 'POST /v1/chat/completions', 'OPTIONS /v1/chat/completions',
    'POST /v1/chat/completions', 'OPTIONS /api/delete', 'DELETE /api/delete', 'POST /v1/completions']);
});

/* What a page can do with the server that it came from; runs in the page. */
const athome = async () => {
  const ask = (path, options) => fetch(path, options).then(({ status }) => status);
  return {
    status: await ask('/status'),
    ticks: await ask('/ticks'),
    file: await ask('/app.js'),
    models: await ask('/v1/models'),
    chat: await ask('/v1/chat/completions', { method: 'POST', body: '{"model":"m","messages":[]}' }),
    socket: await new Promise((done) => {
      const socket = new WebSocket(`ws://${location.host}/ws/home`);
      socket.onopen = () => done('open');
      socket.onerror = () => done('no');
    }),
  };
};

test('a name of others that leads here (DNS rebinding) gets nothing', async (t) => {
  const { seen, url } = await engine(t);
  const server = await serve(t, ['--upstream', url]);
  const { page, response } = await visit(t, `http://rebind.attacker.com:${server.port}/`);
  assert.equal(response.status(), 421);
  const why = 'rebind.attacker.com is not a name of this server; to allow it: --allow-host rebind.attacker.com';
  assert.deepEqual(await response.json(), { error: { code: 421, message: why } });
  assert.deepEqual(await page.evaluate(athome), { status: 421, ticks: 421, file: 421, models: 421, chat: 421, socket: 'no' });
  assert.deepEqual(seen, []);
  await server.logged(new RegExp(`refused: ${why}\n`));
});

test('--allow-host lets that name in', async (t) => {
  const { seen, url } = await engine(t);
  for (const name of ['rebind.attacker.com', '*.attacker.com']) {
    const server = await serve(t, ['--upstream', url, '--allow-host', name]);
    const page = await open(t, { url: `http://rebind.attacker.com:${server.port}` });
    await until(page, () => app.store.state.connection.phase === 'live');
    assert.deepEqual(await page.evaluate(athome), { status: 200, ticks: 200, file: 200, models: 200, chat: 200, socket: 'open' });
  }
  assert.deepEqual(seen, ['POST /v1/chat/completions', 'POST /v1/chat/completions']);
});

/* ---- nginx in front ---- */

const skip = noNginx();
const behind = { expected: /50[24] \(/ }; // nginx answers when aidash has gone
const hostLine = 'proxy_set_header Host $http_host;';

test('nginx that hides the name: the page tells which option to type, the log does once, and the option helps', { skip }, async (t) => {
  const server = await start(['--source', 'none']);
  const port = await nginx(t, server, (config) => config.replace(hostLine, ''));
  const origin = `http://board.example:${port}`;
  const why = `pages of ${origin} may not use this server; to allow them: --allow-origin ${origin}`;
  const page = await open(t, { url: origin }, { expected: /403 \(|50[24] \(/ });
  await says(page, 'connection-text', /^Refused\. Reconnecting in \d+\ss/);
  await says(page, 'empty-lead', 'Not connected');
  await says(page, 'empty-text', `Refused: ${why}`);
  await until(page, (title) => document.getElementById('connection').title === title, why);
  assert.equal(await text(page, 'notice'), `Refused: ${why}`);
  await page.click('#retry');
  await until(page, () => app.store.state.connection.attempt > 1 && app.store.state.connection.phase === 'waiting');
  assert.deepEqual(server.stderr().match(/refused: .*/g), [`refused: ${why}`], 'once a minute');
  await server.stop();
  const [, option, value] = why.match(/: (--\S+) (\S+)$/);
  await serve(t, [option, value], { listen: ['--listen', `127.0.0.1:${server.port}`] });
  await page.click('#retry');
  await live(page);
  assert.notEqual(await page.getAttribute('#connection', 'title'), why);
});

test('nginx as docs/deploy.md has it is live', { skip }, async (t) => {
  const server = await serve(t, ['--allow-host', 'board.example']);
  const port = await nginx(t, server);
  const page = await live(await open(t, { url: `http://board.example:${port}` }, behind));
  assert.equal(await text(page, 'host'), `board.example:${port}`);
  await page.click('#pause');
  await says(page, 'state', 'Paused');
});

test('nginx whose X-Forwarded fields are trusted is live, and only the trusted one', { skip }, async (t) => {
  const forwarded = (config) => config.replace(hostLine,
    'proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;');
  const server = await serve(t, ['--trust-proxy', '127.0.0.1', '--allow-host', 'board.example']);
  const port = await nginx(t, server, forwarded);
  await live(await open(t, { url: `http://board.example:${port}` }, behind));

  const other = await serve(t, ['--trust-proxy', '127.0.0.2', '--allow-host', 'board.example']);
  const page = await open(t, { url: `http://board.example:${await nginx(t, other, forwarded)}` }, { expected: /403 \(|50[24] \(/ });
  await says(page, 'connection-text', /^Refused\./);
});
