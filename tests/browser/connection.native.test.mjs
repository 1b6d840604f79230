/* What happens to the page when the connection goes: countdown, retry, what was missed. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { connect, ROOT } from '../e2e/aidash.mjs';
import { ingest, inside, live, open, says, serve, start, status, statusWhen, text, until } from './browser.mjs';

const waiting = (page) => until(page, () => app.store.state.connection.phase === 'waiting');
const connected = (page) => until(page, () => app.store.state.connection.phase === 'live');
const again = (server) => ['--listen', `127.0.0.1:${server.port}`];

/* Retries come after exactly 1, 2, 4 ... s; with `patience`, only the first one by itself: the others would take hours. */
const retries = (page, patience = 1) => page.addInitScript((times) => {
  Math.random = () => 0;
  const real = window.setTimeout;
  window.setTimeout = (run, ms, ...rest) => real(run, ms > 1500 && ms !== 5000 ? ms * times : ms, ...rest); // 5 s: for an answer
}, patience);
const PATIENT = 3000;

test('a server that was killed and comes back: countdown, reconnect, and the charts keep what they had', async (t) => {
  const first = await start(['--rate', '20', '--seed', '7']);
  const page = await open(t, first, { before: retries });
  await live(page);
  await until(page, () => app.store.state.filled && app.feed.ring.end > 20);
  await page.evaluate(() => {
    const node = document.querySelector('#connection-text');
    window.texts = [];
    window.phases = [];
    new MutationObserver(() => window.texts.push(node.textContent)).observe(node, { childList: true, characterData: true, subtree: true });
    app.store.on(['connection'], ({ connection: { phase, attempt } }) => window.phases.push(`${phase} ${attempt}`));
  });
  first.proc.kill('SIGKILL');
  await says(page, 'state', 'No connection');
  assert.equal(await page.isDisabled('#pause'), true);
  assert.notEqual(await page.getAttribute('#card-latency', 'data-stale'), null);
  await says(page, 'rate', '–');
  await says(page, 'latency', '–');
  await says(page, 'uptime', '–');
  await says(page, 'rate-note', /^last \d.*, \d+ s ago$/);
  const had = await inside(page, ({ feed }) => feed.ring.end);
  // The countdown counts, and the attempts grow.
  await until(page, () => window.texts.some((one, i) => {
    const [now, before] = [one, window.texts[i - 1] ?? ''].map((shown) => shown.match(/^Reconnecting in (\d+)\ss \((attempt \d+)\)$/));
    return now && before && now[2] === before[2] && Number(now[1]) < Number(before[1]);
  }) && window.phases.includes('waiting 3'));
  assert.deepEqual(await page.evaluate(() => window.phases.slice(0, 6)),
    ['live 0', 'waiting 1', 'connecting 1', 'waiting 2', 'connecting 2', 'waiting 3']);

  const second = await serve(t, ['--rate', '20'], { listen: again(first) });
  await page.click('#retry');
  await until(page, (end) => app.feed.ring.end > end, had);
  await says(page, 'connection-text', 'Connected');
  const after = await inside(page, ({ feed, ring }) => ({ marks: feed.marks, time: ring('time'), flags: ring('flags') }));
  assert.deepEqual(after.marks.map(({ kind }) => kind), ['offline', 'restart']);
  assert.ok(after.marks[0].to < Infinity && after.marks[0].to > after.marks[0].from);
  assert.ok(after.time.every((at, i) => i === 0 || at >= after.time[i - 1]));
  assert.ok(after.time.length > had, 'what was there is still there');
  assert.equal(after.flags[had] & 1, 1, 'the line has a gap');
  assert.equal(await text(page, 'lost'), '0', 'a new server lost nothing');
  assert.equal(second.proc.exitCode, null);
});

test('it comes back by itself, and tells why it was away', async (t) => {
  const first = await start([]);
  const page = await open(t, first);
  await live(page);
  const told = until(page, () => /stopped/.test(document.querySelector('#connection').title));
  await first.stop();
  await told;
  await serve(t, [], { listen: again(first) });
  await live(page);
});

test('a page that was cut off fetches what it missed by number', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  const push = (from) => ingest(server, ...Array.from({ length: 20 }, (_, i) => ({ model: 'm', tokens: 1, latency_ms: from + i })));
  const fetched = [];
  let away = false;
  const page = await open(t, server, { before: (opened) => {
    opened.on('request', (asked) => { if (asked.url().includes('/ticks?')) fetched.push(new URL(asked.url()).search); });
    return opened.routeWebSocket(/\/ws\//, (socket) => {
      opened.cut = () => socket.close({ code: 3000, reason: 'cut' });
      if (away) socket.close({ code: 3000, reason: 'still cut' });
      else socket.connectToServer();
    });
  } });
  await push(0);
  await until(page, () => app.store.state.filled && app.feed.ring.end === 20);
  const last = await inside(page, ({ client }) => client.sequence.next - 1);
  away = true;
  await page.cut();
  await waiting(page);
  await push(20);
  away = false;
  await connected(page);
  await until(page, () => app.feed.ring.end === 40);
  await push(40);
  await until(page, () => app.feed.ring.end === 60);
  assert.deepEqual(await inside(page, ({ ring }) => ring('latency')), Array.from({ length: 60 }, (_, i) => i), 'each tick once, in order');
  assert.match(fetched.at(-1), new RegExp(`^\\?since=${last}&`));
  assert.equal(await text(page, 'lost'), '0');
});

/* A link to the server that can be cut without a word, as a NAT, a sleeping laptop or a pulled cable does. */
const link = (opened) => opened.routeWebSocket(/\/ws\//, (socket) => {
  const upstream = socket.connectToServer();
  let dead = false;
  opened.cut = () => { dead = true; };
  socket.onMessage((message) => dead || upstream.send(message));
  upstream.onMessage((message) => dead || socket.send(message));
});

test('offline is noticed, online reconnects without waiting', async (t) => {
  const server = await serve(t, []);
  const page = await open(t, server, { before: async (opened) => { await retries(opened, PATIENT); await link(opened); } });
  t.after(() => page.context().setOffline(false));
  await live(page);
  page.cut();
  await page.context().setOffline(true);
  await says(page, 'connection-text', /Browser offline.*attempt 2/); // the countdown alone would take hours now
  await page.context().setOffline(false);
  await live(page);
});

test('a connection that dies in silence: old numbers look old, then it is replaced', async (t) => {
  const server = await serve(t, ['--rate', '20']);
  const page = await open(t, server, { before: link });
  await live(page);
  await until(page, () => app.feed.ring.end > 20);
  assert.equal(await page.getAttribute('#card-rate', 'data-stale'), null);
  page.cut();
  await until(page, () => document.querySelector('#card-rate').dataset.stale === '' && (window.phaseThen ??= app.client.state.phase));
  assert.equal(await page.evaluate(() => window.phaseThen), 'live', 'before anything else is known');
  await says(page, 'connection-text', /^Reconnecting in/);
  assert.match(await page.getAttribute('#connection', 'title'), /gone silent/);
  assert.equal(await text(page, 'viewers'), '–');
  await live(page);
  assert.deepEqual(await inside(page, ({ feed }) => feed.marks.map(({ kind }) => kind)), ['offline'], 'no restart');
});

test('a server whose clock was set is no other server', async (t) => {
  const server = await serve(t, ['--rate', '20']);
  let starts = 0;
  const page = await open(t, server, { before: (opened) => opened.routeWebSocket(/\/ws\//, (socket) => {
    opened.cut = () => socket.close({ code: 3000, reason: 'cut' });
    socket.connectToServer().onMessage((message) => socket.send(message.replace(/"started":[\d.]+/, () => `"started":${++starts}`)));
  }) });
  await live(page);
  await page.cut();
  await waiting(page);
  await live(page);
  assert.equal(starts, 2);
  assert.deepEqual(await inside(page, ({ feed }) => feed.marks.map(({ kind }) => kind)), ['offline']);
});

test('a tab that is shown again reconnects without waiting', async (t) => {
  const first = await start([]);
  const page = await open(t, first, { before: (opened) => retries(opened, PATIENT) });
  await live(page);
  first.proc.kill('SIGKILL');
  await says(page, 'connection-text', /Reconnecting.*attempt 2/);
  await serve(t, [], { listen: again(first) });
  assert.equal(await inside(page, ({ client }) => {
    document.dispatchEvent(new Event('visibilitychange'));
    return client.state.phase;
  }), 'connecting');
  await live(page);
});

test('what the server dropped is told, counted and marked', async (t) => {
  const server = await serve(t, ['--rate', '50']);
  const page = await open(t, server, { before: (opened) => opened.routeWebSocket(/\/ws\//, (socket) => {
    const upstream = socket.connectToServer();
    let next = 0;
    let lose = 0;
    opened.lost = 0;
    opened.lose = (count) => { lose = count; };
    upstream.onMessage((message) => {
      const event = JSON.parse(message);
      if (event.event === 'hello') {
        next = event.next_seq;
      } else {
        const before = next;
        next = (event.seq ?? next) + (event.ticks?.length ?? 1);
        if (opened.lost < lose) {
          opened.lost += next - before;
          if (opened.lost >= lose) socket.send(JSON.stringify({ event: 'status', dropped: opened.lost, next_seq: next }));
          return;
        }
      }
      socket.send(message);
    });
  }) });
  await live(page);
  page.lose(20);
  await page.locator('#notice.shown').waitFor();
  assert.ok((await text(page, 'notice')).startsWith(`${page.lost} events were lost`));
  await says(page, 'lost', String(page.lost));
  assert.deepEqual(await inside(page, ({ feed }) => feed.marks.map(({ kind, text: words }) => [kind, words])), [['dropped', `${page.lost} lost`]]);
});

test('a full server says that it is full, and how many viewers it has', async (t) => {
  const server = await serve(t, [], { bin: path.join(ROOT, 'build/tiny/aidash') });
  const { max } = (await status(server)).clients;
  const seen = await open(t, server);
  await live(seen);
  for (let i = 1; i < max; i++) await connect(server, '/ws/test?batch=1');
  await statusWhen(server, ({ clients }) => clients.websocket === max);
  const page = await open(t, server);
  await says(page, 'connection-text', /^Server full\. Reconnecting in \d+\ss/);
  await says(page, 'empty-lead', 'Not connected');
  await says(page, 'empty-text', `The server is full (${max} of ${max} viewers).`);
  await says(page, 'viewers', String(max));
});

test('a server that can\'t even tell how many viewers it has is full too', async (t) => {
  const server = await serve(t, []);
  const page = await open(t, server, { before: async (opened) => {
    await opened.route('**/status', (route) => route.fulfill({ status: 503 }));
    await opened.routeWebSocket(/\/ws\//, (socket) => socket.close({ code: 3000 }));
  } });
  await says(page, 'connection-text', /^Server full\. Reconnecting in \d+\ss/);
  await says(page, 'empty-text', 'The server is full.');
});

for (const [status, body, header, sentence] of [
  [431, '', 'Refused', /cookies for this host name.*IP address/],
  [503, '{"error":{"code":503,"message":"there are too many connections from this address (--per-address)"}}', 'Server busy', /^there are too many/],
  [502, '<html>', 'Proxy error', /can't reach the server \(502\)/],
  [404, '<html>', 'Refused', /answers 404/],
]) {
  test(`a page that gets ${status} says what that means`, async (t) => {
    const server = await serve(t, []);
    const page = await open(t, server, { expected: /status of 4\d\d|status of 5\d\d/, before: async (opened) => {
      await opened.route('**/status', (route) => route.fulfill({ status, body }));
      await opened.routeWebSocket(/\/ws\//, (socket) => socket.close({ code: 3000 }));
    } });
    await until(page, (word) => document.querySelector('#connection-text').textContent.startsWith(`${word}. Reconnecting in`), header);
    await says(page, 'empty-text', sentence);
  });
}

test('a proxy that passes no WebSockets on is told apart from a server that is away', async (t) => {
  const server = await serve(t, []);
  const page = await open(t, server, { before: (opened) => opened.routeWebSocket(/\/ws\//, (socket) => socket.close({ code: 3000 })) });
  await says(page, 'connection-text', /^No WebSocket\. Reconnecting in/);
  await says(page, 'empty-text', /proxy in between must pass WebSockets on/);
});

test('a board whose clock is wrong: the charts are right, and the page says so', async (t) => {
  const server = await serve(t, []);
  const page = await open(t, server, { before: (opened) => opened.addInitScript(() => {
    const real = Date.now;
    Date.now = () => real() - 7200_000; // the browser is two hours behind, so the board is ahead
  }) });
  await live(page);
  await says(page, 'skew', /clock is (2 h 00|1 h 59) min ahead/);
  await until(page, () => Math.abs(Date.now() / 1000 - app.feed.lastTime) < 2);
});

test('aidash-client.js serves other pages too, from another origin', async (t) => {
  const server = await serve(t, ['--allow-origin', '*']);
  const other = await serve(t, ['--source', 'none']);
  const page = await open(t, server);
  await live(page);
  // From the other server's origin the module is imported from the first one, and connects to where it came from.
  const guest = await page.context().newPage();
  await guest.goto(`${other.url}/status`); // any document will do
  const got = await guest.evaluate((url) => new Promise((done, fail) => {
    import(`${url}/aidash-client.js`).then(({ AidashClient }) => {
      const client = new AidashClient({
        onTicks: ([tick]) => client.send({ action: 'switch_model', model: 'mistral' }).then((ack) => { client.close(); done([tick.model, ack.action]); }, fail),
      });
    }, fail);
  }), server.url);
  assert.deepEqual(got, ['llama3', 'switch_model']);
  await until(page, () => document.querySelector('#model').textContent === 'mistral');
});
