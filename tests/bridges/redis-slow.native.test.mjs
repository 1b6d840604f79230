/* aidash-redis while its broker hangs, or is full. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SLOW, poll, sleep } from '../e2e/aidash.mjs';
import { assertWhole, bridge, caught, fleet, said, stream } from './bridge.mjs';
import { noRedis, redis } from './redis.mjs';

const BIN = bridge('redis');
const why = noRedis();
const skip = why && `no Redis: ${why}`;
const AWAY_MS = Number(process.env.FLEET_AWAY_MS ?? 2000); // `make fleet-bench` takes 20 s
const args = (broker) => ['--redis', broker.url, '--stream-length', '1000000'];

test('Redis hangs: what it had not answered is sent again, and shown once', { skip }, async (t) => {
  const broker = await redis(t);
  const { viewer, jetson } = await fleet(t, BIN, args(broker));

  // For a short while, which nobody takes for its end; then for longer than an answer may take (10 s).
  broker.halt();
  await jetson.send(1000);
  await sleep(AWAY_MS);
  broker.go();
  await caught(viewer, 'jetson', 2000);
  broker.halt();
  await jetson.send(500);
  await poll(() => said(jetson, /the broker is away/g) > 0, 'the log to say that the broker is away', 60_000 * SLOW);
  await jetson.send(500);
  broker.go();
  await caught(viewer, 'jetson', 3000);
  await stream(jetson, viewer, 'jetson', 1000);
  await caught(viewer, 'jetson', 4000);
  assertWhole(viewer, 'jetson', 1, 4000);
  assert.equal(said(jetson, /events were lost/g), 0);
});

test('Redis is full: events wait until it takes them', { skip }, async (t) => {
  const broker = await redis(t, { args: ['--maxmemory-policy', 'noeviction'] });
  const { viewer, jetson } = await fleet(t, BIN, args(broker));

  await broker.ask('CONFIG', 'SET', 'maxmemory', '1');
  await jetson.send(1000);
  await poll(() => said(jetson, /the broker is away: .*(OOM|memory)/g) > 0, 'the log to say that Redis is full');
  await jetson.send(1000);
  await broker.ask('CONFIG', 'SET', 'maxmemory', '0');
  await caught(viewer, 'jetson', 3000);
  assertWhole(viewer, 'jetson', 1, 3000);
  assert.equal(said(jetson, /events were lost/g), 0);
});
