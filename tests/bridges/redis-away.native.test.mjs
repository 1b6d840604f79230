/* aidash-redis while its broker is stopped, comes back empty, or is away for longer than the buffer holds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { poll, sleep } from '../e2e/aidash.mjs';
import { assertWhole, bridge, caught, fleet, said, stream } from './bridge.mjs';
import { noRedis, redis } from './redis.mjs';

const BIN = bridge('redis');
const why = noRedis();
const skip = why && `no Redis: ${why}`;
const AWAY_MS = Number(process.env.FLEET_AWAY_MS ?? 2000); // `make fleet-bench` takes 20 s
const args = (broker) => ['--redis', broker.url, '--stream-length', '1000000'];

test('Redis is stopped, and comes back empty: nothing is lost, nothing comes twice', { skip }, async (t) => {
  const broker = await redis(t);
  const { hub, viewer, jetson } = await fleet(t, BIN, args(broker));
  const acks = (await broker.ask('KEYS', 'aidash:*')).length;
  assert.ok(acks >= 1);

  const linked = (server) => said(server, /connected to/g) > said(server, /the broker is away/g);
  for (let round = 1; round <= 2; round++) {
    for (const server of [jetson, hub]) await poll(() => linked(server), 'the log to say that both are connected');
    await broker.stop();
    await jetson.send(500);
    const end = Date.now() + AWAY_MS;
    for (const server of [jetson, hub]) await poll(() => !linked(server), 'the log to say that the broker is away');
    await jetson.send(500);
    while (Date.now() < end) await sleep(50);
    viewer.send({ action: 'pause', node: 'jetson', id: round });
    const answer = await viewer.event((event) => event.event === 'error' && event.id === round);
    assert.match(answer.message, /broker is not reached/);
    await broker.start();
    await caught(viewer, 'jetson', 1000 + round * 1000);
    assertWhole(viewer, 'jetson', 1, 1000 + round * 1000);
  }
  assert.equal(said(jetson, /events were lost/g), 0);
  await stream(jetson, viewer, 'jetson', 1000);
  await caught(viewer, 'jetson', 4000);
  assertWhole(viewer, 'jetson', 1, 4000);
});

test('beyond the buffer the oldest events are lost, and counted', { skip }, async (t) => {
  const broker = await redis(t);
  const { viewer, jetson } = await fleet(t, BIN, [...args(broker), '--buffer', '64'], 100);
  const had = await broker.ask('XREVRANGE', 'aidash:events:jetson', '+', '-');

  await broker.stop();
  await poll(() => said(jetson, /the broker is away/g) > 0, 'the log to say that the broker is away');
  await jetson.send(2000);
  // The board has read all of them before Redis is back.
  await poll(async () => (await (await fetch(`${jetson.url}/status`)).json()).counters.ticks === 2100, 'ticks of the board');
  await broker.start();
  await caught(viewer, 'jetson', 2100);

  // The numbers in the ids say how many are missing in Redis: as many as the log says, which it does when the next ones have gone out.
  let lost;
  await poll(async () => {
    lost = [...jetson.stderr().matchAll(/(\d+) events were lost:/g)].reduce((sum, [, n]) => sum + Number(n), 0);
    const ids = [...had, ...await broker.ask('XRANGE', 'aidash:events:jetson', '-', '+')].map(([, [, id]]) => id).filter((id) => id !== '');
    const there = new Set(ids.map((id) => Number(id.split('-')[1])));
    return lost > 1000 && there.size + lost === Math.max(...there);
  }, 'a count of what was lost that is what is missing');
  const list = viewer.of('jetson');
  list.slice(1).forEach((number, i) => assert.ok(number > list[i], 'in order'));
  assert.ok(list.length < 2100 && list.length >= 2100 - lost);
});
