/* aidash-redis while the network between a board and Redis is cut: real machines, of namespaces. `make fleet-cut` cuts it for longer. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, test } from 'node:test';
import { poll, status } from '../e2e/aidash.mjs';
import { CUTS, away, network, noNetwork } from '../network/network.mjs';
import { assertWhole, board, bridge, caught, gateway, said, stream, watch } from './bridge.mjs';
import { noRedis, redis } from './redis.mjs';

const BIN = bridge('redis');
const noServer = noRedis();
const skip = noServer ? `no Redis: ${noServer}` : noNetwork() ?? false;
const CUT_MS = Number(process.env.FLEET_CUT_MS ?? 12_000); /* a silent server is given up after 10 s */
EventEmitter.defaultMaxListeners = 100; /* all tests run at once, and each program is ended with this one */

async function fleet(t, ...more) {
  const lan = await network(t);
  const [jetson, other] = [await lan.machine('jetson'), await lan.machine('broker')];
  const broker = await redis(t, { machine: other, port: 6379 });
  const args = ['--redis', `redis://${other.address}:6379`, '--stream-length', '1000000', ...more];
  const hub = await other.reach(await gateway(t, BIN, args, other.start(BIN)));
  const viewer = await watch(t, hub);
  const server = await jetson.reach(await board(t, BIN, 'jetson', args, jetson.start(BIN)));
  await stream(server, viewer, 'jetson', 500);
  await caught(viewer, 'jetson', 500);
  return { jetson, other, broker, hub, viewer, server };
}
const read = (server) => poll(async () => (await status(server)).counters.ticks === server.sent, 'ticks of the board');

describe('a network that is cut', { concurrency: true, skip }, () => {
  for (const cut of CUTS) {
    test(`Redis: ${cut[0]}: nothing is lost, nothing comes twice`, async (t) => {
      const { jetson, other, viewer, server } = await fleet(t);
      await away(cut, jetson, other, CUT_MS, async () => {
        await server.send(500);
        await read(server);
        await server.send(1000);
        await poll(() => said(server, /the broker is away/g) > 0, 'the log to say that the broker is away', 60_000);
      });
      await caught(viewer, 'jetson', 2000);
      await stream(server, viewer, 'jetson', 500);
      await caught(viewer, 'jetson', 2500);
      assertWhole(viewer, 'jetson', 1, 2500);
      assert.equal(said(server, /events were lost/g), 0);
    });
  }

  test('Redis: what does not fit the buffer over a cut is lost, counted and said', async (t) => {
    const { jetson, other, broker, hub, viewer, server } = await fleet(t, '--buffer', '64');
    await away(CUTS[1], jetson, other, CUT_MS, async () => {
      await server.send(2000);
      await read(server);
    });
    await caught(viewer, 'jetson', 2500);
    // The numbers in the ids say how many are missing in Redis.
    await poll(async () => {
      const lost = [...server.stderr().matchAll(/(\d+) events were lost:/g)].reduce((sum, [, n]) => sum + Number(n), 0);
      const ids = (await broker.ask('XRANGE', 'aidash:events:jetson', '-', '+')).map(([, [, id]]) => id).filter((id) => id !== '');
      const there = new Set(ids.map((id) => Number(id.split('-')[1])));
      return lost > 1000 && there.size + lost === Math.max(...there);
    }, 'a count of what was lost that is what is missing');
    const list = viewer.of('jetson');
    list.slice(1).forEach((number, i) => assert.ok(number > list[i], 'in order'));
    assert.equal(list.length, (await status(hub)).counters.ticks);
    await viewer.event((event) => event.event === 'node' && event.data?.event === 'note' && event.data.text.includes('were lost'), 'note');
  });
});
