/* aidash-kafka against librdkafka's mock cluster. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { poll, request, run } from '../e2e/aidash.mjs';
import { assertWhole, board, bridge, caught, gateway, stream, watch } from './bridge.mjs';
import { kafka, noKcat } from './kafka.mjs';

const BIN = bridge('kafka');
const skip = noKcat() ?? false;
const status = async (server) => (await request(server, '/status')).json;
const nodes = async (server) => (await request(server, '/nodes')).json.nodes;

test('a gateway\'s viewer sees all ticks of two boards, in order, none twice: over refused batches and a broker that goes and comes back', { skip }, async (t) => {
  const cluster = await kafka(t);
  const options = ['--kafka', cluster.address];
  const one = await board(t, BIN, 'one', options);
  const two = await board(t, BIN, 'two', options);
  const shown = await gateway(t, BIN, options);
  const viewer = await watch(t, shown);
  await one.send(1);
  await two.send(1);
  await caught(viewer, 'one', 1);
  await caught(viewer, 'two', 1);

  await cluster.tell('refuse 3');
  await stream(one, viewer, 'one', 1500);
  await stream(two, viewer, 'two', 500);
  await cluster.tell('down');
  await one.logged(/the broker is away/);
  await one.send(700);
  await two.send(700);
  await cluster.tell('up');
  await caught(viewer, 'one', one.sent);
  await caught(viewer, 'two', two.sent);

  // The same again, as a producer may send it that had no answer.
  const kept = cluster.read('aidash.events').filter(({ key, payload }) => key === 'one' && payload.includes('inference_tick'));
  assert.ok(kept.length >= one.sent);
  assert.equal(new Set(kept.map(({ partition }) => partition)).size, 1, 'a board\'s events are in one partition');
  for (const { key, payload, headers } of kept.slice(-5)) cluster.write('aidash.events', { key, payload, headers });
  // These are behind them in the same partition.
  await one.send(10);
  await caught(viewer, 'one', one.sent);
  assertWhole(viewer, 'one', 1, one.sent);
  assertWhole(viewer, 'two', 1, two.sent);
});

test('a gateway goes on where it was; a command reaches the board, and its own answer the viewer', { skip }, async (t) => {
  const cluster = await kafka(t);
  const options = ['--kafka', cluster.address];
  const server = await board(t, BIN, 'jetson', options);
  const first = await gateway(t, BIN, [...options, '--kafka-group', 'g']);
  await server.send(100);
  await poll(async () => (await nodes(first))[0]?.tokens === 100, 'tick 100');
  await first.stop();
  await server.send(50);
  // All of it is at the broker before another gateway asks.
  await poll(() => cluster.read('aidash.events').filter(({ payload }) => payload.includes('inference_tick')).length >= 150, 'tick 150 at the broker');
  const second = await gateway(t, BIN, [...options, '--kafka-group', 'g']);
  await poll(async () => (await nodes(second))[0]?.tokens === 150, 'tick 150');
  const ticks = (await request(second, '/ticks?last=1000')).json.ticks.map((tick) => tick.tokens_generated);
  assert.deepEqual(ticks, Array.from({ length: 50 }, (_, i) => 101 + i), 'those that it has not had, and no others');

  const viewer = await watch(t, second);
  viewer.send({ action: 'pause', node: 'jetson', id: 1 });
  await poll(async () => (await status(server)).paused, 'pause of the board');
  await viewer.event((event) => event.event === 'command' && event.state === 'done', 'the end of a command');
  assert.equal((await status(second)).paused, false, 'the gateway itself is not paused');
});

test('options', { skip }, async () => {
  const { code, stdout } = await run(['--help'], { bin: BIN });
  assert.equal(code, 0);
  for (const option of ['--publish', '--subscribe', '--node', '--kafka HOST:PORT', '--kafka-config', '--kafka-group', '--kafka-topics', '--listen', '--view']) {
    assert.ok(stdout.includes(option), `${option} in --help`);
  }
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-kafka-'));
  const file = (name, text) => { writeFileSync(path.join(dir, name), text); return path.join(dir, name); };
  for (const [args, pattern] of [
    [['--publish'], /--kafka: which brokers/],
    [['--publish', '--kafka', 'x', '--kafka-topics', 'a b'], /--kafka-topics: a topic has/],
    [['--publish', '--kafka', 'x', '--kafka-config', file('a', 'nonsense\n')], /line 1 is no NAME=VALUE/],
    [['--publish', '--kafka', 'x', '--kafka-config', file('b', '# a comment\nsecurity.protocol=secret\n')], /security\.protocol/],
    [['--publish', '--kafka', 'x', '--kafka-config', path.join(dir, 'none')], /it can't be read/],
  ]) {
    const refused = await run(args, { bin: BIN });
    assert.equal(refused.code, 2, `${args.join(' ')}: ${refused.stderr}`);
    assert.match(refused.stderr, pattern);
    assert.doesNotMatch(refused.stderr, /secret/);
  }
  rmSync(dir, { recursive: true });
});
