/* What happens to the page when the connection goes: countdown, retry, what was missed. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ingest, inside, live, open, request, serve, start, text, until } from './browser.mjs';

const waiting = (page) => until(page, () => document.documentElement.dataset.state === 'waiting');
const again = (server) => ['--listen', `127.0.0.1:${server.port}`];

test('a server that was killed and comes back: countdown, reconnect, and the charts keep what they had', async (t) => {
  const first = await start(['--rate', '20', '--seed', '7']);
  const page = await open(t, first);
  await live(page);
  await until(page, () => app.feed.ring.end > 20);
  first.proc.kill('SIGKILL');
  await waiting(page);
  assert.match(await text(page, 'connection-text'), /^Reconnecting in \d+ s/);
  assert.equal(await text(page, 'state'), 'No connection');
  assert.equal(await page.isDisabled('#pause'), true);
  assert.notEqual(await page.getAttribute('#card-latency', 'data-stale'), null);
  const had = await inside(page, ({ feed }) => feed.ring.end);
  // The countdown counts, and the attempts grow.
  await until(page, () => /in 2 s \(attempt 2\)/.test(document.querySelector('#connection-text').textContent));
  await until(page, () => /in 1 s \(attempt 2\)/.test(document.querySelector('#connection-text').textContent));
  await until(page, () => /attempt 3/.test(document.querySelector('#connection-text').textContent));

  const second = await serve(t, ['--rate', '20'], { listen: again(first) });
  await page.click('#retry');
  await live(page);
  assert.equal(await text(page, 'connection-text'), 'Live');
  const after = await inside(page, ({ feed, ring }) => ({ end: feed.ring.end, marks: feed.marks, time: ring('time'), flags: ring('flags') }));
  assert.ok(after.end > had, 'what was there is still there');
  assert.deepEqual(after.marks.map(({ kind }) => kind), ['offline', 'restart']);
  assert.ok(after.marks[0].to < Infinity && after.marks[0].to > after.marks[0].from);
  assert.ok(after.time.every((at, i) => i === 0 || at >= after.time[i - 1]));
  const broken = after.time.filter((_, i) => after.flags[i] & 1);
  assert.equal(broken.length, 2, 'the line has one gap');
  assert.equal(await text(page, 'lost'), '0', 'a new server lost nothing');
  assert.equal(second.proc.exitCode, null);
});

test('it comes back by itself', async (t) => {
  const first = await start([]);
  const page = await open(t, first);
  await live(page);
  await first.stop();
  await waiting(page);
  assert.match(await page.getAttribute('#connection', 'title'), /stopped/);
  await serve(t, [], { listen: again(first) });
  await live(page);
});

test('a page that was cut off fetches what it missed by number', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  const push = (from) => ingest(server, ...Array.from({ length: 20 }, (_, i) => ({ model: 'm', tokens: 1, latency_ms: from + i })));
  const page = await open(t, server, { before: (opened) => opened.routeWebSocket(/\/ws\//, (socket) => {
    opened.cut = () => socket.close({ code: 3000, reason: 'cut' });
    socket.connectToServer();
  }) });
  await push(0);
  await until(page, () => app.feed.ring.end === 20);
  await page.cut();
  await waiting(page);
  await push(20);
  await live(page);
  await push(40);
  await until(page, () => app.feed.ring.end === 60);
  const { latency, breaks } = await inside(page, ({ ring }) => ({ latency: ring('latency'), breaks: ring('flags').map((flag) => flag & 1) }));
  assert.deepEqual(latency, Array.from({ length: 60 }, (_, i) => i));
  assert.equal(breaks.lastIndexOf(1), 0, 'only the first tick begins a line');
  assert.equal(await text(page, 'lost'), '0');
});

test('offline is noticed, online reconnects without waiting', async (t) => {
  const server = await serve(t, []);
  const page = await open(t, server);
  await live(page);
  await page.context().setOffline(true);
  await waiting(page);
  await until(page, () => /Browser offline/.test(document.querySelector('#connection-text').textContent));
  // Far enough that the countdown alone would take long.
  await until(page, () => /attempt 3/.test(document.querySelector('#connection-text').textContent));
  const retryAt = await inside(page, ({ client }) => client.state.retryAt);
  await page.context().setOffline(false);
  await live(page);
  assert.ok(Date.now() < retryAt, 'it did not wait for the countdown');
});

test('a tab that is shown again reconnects without waiting', async (t) => {
  const first = await start([]);
  const page = await open(t, first);
  await live(page);
  first.proc.kill('SIGKILL');
  await until(page, () => /attempt 3/.test(document.querySelector('#connection-text').textContent));
  await serve(t, [], { listen: again(first) });
  const { retryAt, phase } = await inside(page, ({ client }) => {
    document.dispatchEvent(new Event('visibilitychange'));
    return { ...client.state };
  });
  assert.equal(phase, 'connecting', String(retryAt));
  await live(page);
});

test('what the server dropped is told, counted and marked', async (t) => {
  const server = await serve(t, ['--rate', '50']);
  const page = await open(t, server, { before: (opened) => opened.routeWebSocket(/\/ws\//, (socket) => {
    const upstream = socket.connectToServer();
    let next = 0;
    let lose = 0;
    opened.lose = (count) => { lose = count; };
    upstream.onMessage((message) => {
      const event = JSON.parse(message);
      if (event.event === 'hello') next = event.next_seq;
      else next = (event.seq ?? next) + (event.ticks?.length ?? 1);
      if (lose > 0) {
        lose--;
        if (lose === 0) socket.send(JSON.stringify({ event: 'status', dropped: 20, next_seq: next }));
        return;
      }
      socket.send(message);
    });
  }) });
  await live(page);
  page.lose(20);
  await until(page, () => document.querySelector('#lost').textContent === '20');
  await page.locator('#notice.shown').waitFor();
  assert.match(await text(page, 'notice'), /^20 events were lost/);
  assert.deepEqual(await inside(page, ({ feed }) => feed.marks.map(({ kind, text: words }) => [kind, words])), [['dropped', '20 lost']]);
});

test('a full server says that it is full', async (t) => {
  const server = await serve(t, []);
  const page = await open(t, server, { before: async (opened) => {
    const body = (await request(server, '/status')).json;
    await opened.route('**/status', (route) => route.fulfill({ json: { ...body, clients: { ...body.clients, websocket: body.clients.max } } }));
    await opened.routeWebSocket(/\/ws\//, (socket) => socket.close({ code: 3000 }));
  } });
  await until(page, () => /^Server full\. Reconnecting in \d+ s/.test(document.querySelector('#connection-text').textContent));
  assert.equal(await text(page, 'empty-lead'), 'Not connected');
});

test('a board whose clock is wrong: the charts are right, and the page says so', async (t) => {
  const server = await serve(t, []);
  const page = await open(t, server, { before: (opened) => opened.addInitScript(() => {
    const real = Date.now;
    Date.now = () => real() - 7200_000; // the browser is two hours behind, so the board is ahead
  }) });
  await live(page);
  await until(page, () => /clock is 2 h 00 min ahead|clock is 1 h 59 min ahead/.test(document.querySelector('#skew').textContent));
  const { last, now } = await inside(page, ({ feed }) => ({ last: feed.lastTime, now: Date.now() / 1000 }));
  assert.ok(Math.abs(now - last) < 2, `${now - last}`);
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
