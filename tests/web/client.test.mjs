/* aidash-client.js against a socket that does what the test says, on a clock that the test turns. */
import { afterEach, beforeEach, mock, test } from 'node:test';
import assert from 'node:assert/strict';
import { AidashClient, CommandError, retryDelay, Sequence } from '../../www/aidash-client.js';

const clock = {
  now: 1e12,
  timers: [],

  install() {
    this.timers = [];
    mock.method(Date, 'now', () => this.now);
    mock.method(Math, 'random', () => 0);
    mock.method(globalThis, 'setTimeout', (run, ms) => {
      const timer = { at: this.now + ms, run };
      this.timers.push(timer);
      return timer;
    });
    mock.method(globalThis, 'clearTimeout', (timer) => { this.timers = this.timers.filter((one) => one !== timer); });
  },

  tick(ms) {
    const end = this.now + ms;
    for (;;) {
      const [next] = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (!next) break;
      clearTimeout(next);
      this.now = next.at;
      next.run();
    }
    this.now = end;
  },
};

class FakeSocket {
  static opened = [];
  sent = [];
  closed = null;

  constructor(url) {
    this.url = String(url);
    FakeSocket.opened.push(this);
  }

  send(text) { this.sent.push(JSON.parse(text)); }
  close(code) { this.closed = code ?? 1005; }
  receive(event) { this.onmessage({ data: typeof event === 'string' ? event : JSON.stringify(event) }); }
  lose(code = 1006, reason = '') { this.onclose({ code, reason }); }
}

const hello = (more = {}) => ({ event: 'hello', server: 'aidash', started: 100, next_seq: 1, model: 'a', models: ['a'], ...more });
const tick = (tokens) => ({ event: 'inference_tick', model: 'a', tokens_generated: tokens, latency_ms: 1, tokens_per_second: 1, timestamp: 1 });

function connect(options = {}) {
  const seen = { states: [], ticks: [], hellos: [], dropped: [], statuses: [], events: [] };
  const client = new AidashClient({
    base: 'http://board:8080/dash/', clientId: 'a b', WebSocket: FakeSocket,
    onState: (state) => seen.states.push(state),
    onTicks: (ticks, seq) => seen.ticks.push([seq, ticks.map((one) => one.tokens_generated)]),
    onHello: (event, gap) => seen.hellos.push(gap),
    onDropped: (gap, total) => seen.dropped.push([gap, total]),
    onStatus: (status) => seen.statuses.push(status),
    onEvent: (event) => seen.events.push(event),
    ...options,
  });
  return { client, seen, socket: () => FakeSocket.opened.at(-1) };
}

beforeEach(() => {
  FakeSocket.opened = [];
  clock.install();
});
afterEach(() => mock.restoreAll());

test('the delay doubles from 1 s to 30 s, and jitter takes up to half of it', () => {
  const most = [1, 2, 3, 4, 5, 6, 7, 50].map((attempt) => retryDelay(attempt, () => 0));
  assert.deepEqual(most, [1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
  assert.equal(retryDelay(3, () => 0.5), 3000);
  assert.ok(retryDelay(3, () => 0.999) >= 2000);
});

test('the address is relative to the base, asks for batches, and is escaped', () => {
  const { client, socket } = connect();
  assert.equal(socket().url, 'ws://board:8080/dash/ws/a%20b?batch=1');
  client.close();
  connect({ base: 'https://x/', batch: false, clientId: 'k' }).client.close();
  assert.equal(socket().url, 'wss://x/ws/k');
});

test('lost connections are tried again after 1, 2, 4 s; a steady one begins at 1 s again', () => {
  const { client, seen, socket } = connect();
  socket().receive(hello());
  assert.equal(client.state.phase, 'live');
  clock.tick(6000);
  socket().lose();
  for (const [attempt, delay] of [[1, 1000], [2, 2000], [3, 4000]]) {
    assert.deepEqual([client.state.phase, client.state.attempt, client.state.retryAt], ['waiting', attempt, Date.now() + delay]);
    clock.tick(delay - 1);
    assert.equal(client.state.phase, 'waiting');
    clock.tick(1);
    assert.equal(client.state.phase, 'connecting');
    if (attempt < 3) socket().lose();
  }
  socket().receive(hello());
  clock.tick(1000);
  socket().lose(); // too soon: it counts on
  assert.deepEqual([client.state.attempt, client.state.reason], [4, 'The connection broke off.']);
  clock.tick(8000);
  socket().receive(hello());
  clock.tick(5000);
  socket().lose(1001, 'the server stops');
  assert.deepEqual([client.state.attempt, client.state.reason], [1, 'The server was stopped.']);
  assert.equal(seen.states.filter((state) => state.phase === 'live').length, 3);
  client.close();
});

test('retry() does not wait for the countdown, and the countdown is then off', () => {
  const { client, socket } = connect();
  socket().lose();
  client.retry();
  assert.equal(FakeSocket.opened.length, 2);
  socket().receive(hello());
  clock.tick(20_000);
  assert.equal(FakeSocket.opened.length, 2);
  client.close();
});

test('a server that says no hello is left after 10 s', () => {
  const { client, socket } = connect();
  const first = socket();
  clock.tick(9999);
  assert.equal(client.state.phase, 'connecting');
  clock.tick(1);
  assert.deepEqual([client.state.phase, client.state.reason], ['waiting', 'The server did not answer.']);
  assert.notEqual(first.closed, null);
  assert.equal(first.onmessage, null);
  client.close();
});

test('a silent connection is asked, kept if anything answers, and replaced if nothing does', () => {
  const { client, socket } = connect({ silenceMs: 1000 });
  const first = socket();
  first.receive(hello());
  clock.tick(900);
  first.receive({ event: 'board', seq: 1 }); // not silent
  clock.tick(999);
  assert.deepEqual(first.sent, []);
  clock.tick(1);
  assert.deepEqual(first.sent, [{ action: 'ping', id: 1 }]);
  first.receive({ event: 'ack', action: 'ping', id: 1 });
  clock.tick(5000);
  assert.equal(client.state.phase, 'live');
  assert.deepEqual(first.sent.at(-1), { action: 'ping', id: 2 }, 'the next silence');
  first.receive({ event: 'error', code: 'unknown_action', message: 'An older server.', id: 2 });
  clock.tick(5000);
  assert.equal(client.state.phase, 'live');
  clock.tick(5000);
  assert.deepEqual([client.state.phase, client.state.reason], ['waiting', 'The server has gone silent.']);
  assert.equal(first.onmessage, null);
  clock.tick(1000);
  assert.equal(FakeSocket.opened.length, 2);
  client.close();
});

test('ticks that stay away are missed after five of their paces', () => {
  const { client, socket } = connect();
  socket().receive(hello());
  for (let i = 0; i < 50; i++) {
    clock.tick(1000);
    socket().receive(tick(i));
  }
  clock.tick(4999);
  assert.deepEqual(socket().sent, []);
  clock.tick(1);
  assert.deepEqual(socket().sent, [{ action: 'ping', id: 1 }]);
  socket().receive({ event: 'ack', action: 'ping', id: 1 });
  clock.tick(24_999); // the engine is idle: now once in 25 s
  assert.equal(socket().sent.length, 1);
  clock.tick(5001);
  assert.equal(socket().sent.length, 2);
  client.close();
});

test('a page that is shown again asks at once', () => {
  const listeners = {};
  globalThis.document = { hidden: false, addEventListener: (name, run) => { listeners[name] = run; }, removeEventListener() {} };
  try {
    const { client, socket } = connect();
    socket().receive(hello());
    clock.tick(100);
    listeners.visibilitychange();
    assert.deepEqual(socket().sent, [{ action: 'ping', id: 1 }]);
    clock.tick(5000);
    assert.equal(client.state.phase, 'waiting');
    client.close();
  } finally {
    delete globalThis.document;
  }
});

test('only a server that says so was stopped', () => {
  const { client, socket } = connect();
  for (const [reason, said] of [['the server stops', 'The server was stopped.'], ['', 'The server closed the connection.'],
    ['no answer to a ping', 'The server closed the connection: no answer to a ping.']]) {
    socket().receive(hello());
    socket().lose(1001, reason);
    assert.equal(client.state.reason, said);
    client.retry();
  }
  client.close();
});

test('another run is a restart; another start time is a clock that was set', () => {
  const sequence = new Sequence();
  sequence.hello({ started: 100, next_seq: 50, run: 'a' });
  assert.deepEqual(sequence.hello({ started: 1.7e9, next_seq: 60, run: 'a' }), { since: 49, missed: 10, restarted: false });
  assert.equal(sequence.hello({ started: 1.7e9, next_seq: 70, run: 'b' }).restarted, true);
});

test('ticks and batches have their numbers; an event with a number sets it', () => {
  const { client, seen, socket } = connect();
  socket().receive(hello({ next_seq: 10 }));
  socket().receive(tick(1));
  socket().receive({ event: 'batch', seq: 11, ticks: [tick(2), tick(3)] });
  socket().receive({ event: 'status', seq: 13, model: 'b', models: [], paused: false });
  socket().receive(tick(4));
  socket().receive({ event: 'board', seq: 15 }); // unknown as yet
  socket().receive(tick(5));
  assert.deepEqual(seen.ticks, [[10, [1]], [11, [2, 3]], [14, [4]], [16, [5]]]);
  assert.equal(seen.statuses.length, 1);
  assert.equal(seen.events.length, 1);
  client.close();
});

test('what a reconnect and a drop left out is known', () => {
  const { client, seen, socket } = connect();
  socket().receive(hello({ next_seq: 10 }));
  socket().receive(tick(1));
  socket().receive({ event: 'status', dropped: 5, next_seq: 16 });
  assert.deepEqual(seen.dropped, [[{ since: 10, missed: 5, restarted: false }, 5]]);
  socket().receive(tick(2));
  socket().lose();
  clock.tick(1000);
  socket().receive(hello({ next_seq: 40 }));
  socket().lose();
  clock.tick(2000);
  socket().receive(hello({ started: 200, next_seq: 3 }));
  assert.deepEqual(seen.hellos, [null, { since: 16, missed: 23, restarted: false }, { since: 39, missed: 0, restarted: true }]);
  client.close();
});

test('numbers that go back mean another server, whatever its start time says', () => {
  const sequence = new Sequence();
  assert.equal(sequence.hello({ started: 1, next_seq: 50 }), null);
  assert.equal(sequence.hello({ started: 1, next_seq: 7 }).restarted, true);
});

test('a command is its ack, its error, or a time-out', async () => {
  const { client, seen, socket } = connect();
  await assert.rejects(client.send({ action: 'pause' }), { code: 'disconnected' });
  socket().receive(hello());
  const paused = client.send({ action: 'pause' });
  const switched = client.send({ action: 'switch_model', model: 'x' });
  const silent = client.send({ action: 'resume' });
  assert.deepEqual(socket().sent, [
    { action: 'pause', id: 1 }, { action: 'switch_model', model: 'x', id: 2 }, { action: 'resume', id: 3 }]);
  socket().receive({ event: 'error', code: 'unknown_model', message: 'No x.', id: 2 });
  socket().receive({ event: 'ack', action: 'pause', id: 1 });
  socket().receive({ event: 'ack', action: 'pause', id: 99 }); // nobody's
  assert.equal((await paused).action, 'pause');
  await assert.rejects(switched, (error) => error instanceof CommandError && error.code === 'unknown_model' && error.message === 'No x.');
  assert.equal(seen.events.length, 1);
  clock.tick(5000);
  await assert.rejects(silent, { code: 'timeout' });
  const lost = client.send({ action: 'pause' });
  socket().lose();
  await assert.rejects(lost, { code: 'disconnected' });
  client.close();
});

test('commands without an answer are bounded', async () => {
  const { client, socket } = connect();
  socket().receive(hello());
  const waiting = Array.from({ length: 64 }, () => client.send({ action: 'pause' }));
  await assert.rejects(client.send({ action: 'pause' }), { code: 'busy' });
  client.close();
  assert.ok((await Promise.allSettled(waiting)).every(({ status }) => status === 'rejected'));
});

test('what is no event is passed over', () => {
  const { client, seen, socket } = connect();
  socket().receive(hello());
  for (const odd of ['', 'null', '[]', '{"event":5}', '{']) socket().receive(odd);
  socket().receive(tick(1));
  assert.deepEqual(seen.ticks, [[1, [1]]]);
  client.close();
});

test('close() is for good', () => {
  const { client, socket } = connect();
  socket().receive(hello());
  client.close();
  assert.deepEqual([client.state.phase, socket().closed], ['closed', 1000]);
  clock.tick(60_000);
  assert.equal(FakeSocket.opened.length, 1);
});
