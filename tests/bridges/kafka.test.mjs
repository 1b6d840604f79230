/* aidash-kafka against librdkafka's mock cluster. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { poll, request, status } from '../e2e/aidash.mjs';
import { assertWhole, board, bridge, caught, folder, gateway, helps, nodes, refuses, stream, watch } from './bridge.mjs';
import { kafka, noKcat } from './kafka.mjs';

const BIN = bridge('kafka');
const skip = noKcat() ?? false;

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
  assert.equal((await viewer.command({ action: 'pause', node: 'jetson' })).state, 'done');
  assert.equal((await status(server)).paused, true);
  assert.equal((await status(second)).paused, false, 'the gateway itself is not paused');
});

test('options', { skip }, async (t) => {
  await helps(BIN, ['--publish', '--subscribe', '--node NAME', '--kafka HOST:PORT', '--kafka-config FILE', '--kafka-group NAME', '--kafka-topics PREFIX', '--buffer KIB', '--no-commands', '--listen ', '--view ']);
  const { dir, file } = folder(t);
  const on = ['--publish', '--kafka', 'x'];
  await refuses(BIN, [
    [['--publish'], /--kafka: which brokers/],
    [[...on, '--kafka-topics', 'a b'], /--kafka-topics: a topic has/],
    [[...on, '--kafka-config', file('a', '# a comment\n\nnonsense\n')], /--kafka-config: line 3 is no NAME=VALUE/],
    [[...on, '--kafka-config', file('b', '# a comment\nsecurity.protocol=s3cret\n')], /does not take line 2: security\.protocol/],
    [[...on, '--kafka-config', path.join(dir, 'none')], /it can't be read/],
  ]);
});
