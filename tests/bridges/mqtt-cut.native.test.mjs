/* aidash-mqtt while packets between a board and the broker are lost in silence: real machines, of namespaces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { poll, status } from '../e2e/aidash.mjs';
import { CUTS, away, network, noNetwork } from '../network/network.mjs';
import { assertWhole, board, bridge, caught, gateway, said, stream, watch } from './bridge.mjs';
import { mosquitto, noMosquitto } from './mosquitto.mjs';

const BIN = bridge('mqtt');
const SILENT = CUTS[1];
const noServer = noMosquitto();
const skip = noServer ? `no Mosquitto: ${noServer}` : noNetwork() ?? false;

test(`MQTT: ${SILENT[0]}: the board notices it; nothing is lost, nothing comes twice`, { skip }, async (t) => {
  const lan = await network(t);
  const [jetson, other] = [await lan.machine('jetson'), await lan.machine('broker')];
  const broker = await mosquitto(t, undefined, other);
  const args = ['--mqtt', broker.url];
  const hub = await other.reach(await gateway(t, BIN, args, other.start(BIN)));
  const viewer = await watch(t, hub);
  await hub.logged(/connected to/);
  const server = await jetson.reach(await board(t, BIN, 'jetson', args, jetson.start(BIN)));
  await stream(server, viewer, 'jetson', 500);
  await caught(viewer, 'jetson', 500);
  await away(SILENT, jetson, other, 0, async () => {
    await server.send(1000);
    await poll(async () => (await status(server)).counters.ticks === server.sent, 'ticks of the board');
    await poll(() => said(server, /the broker is away/g) > 0, 'the log to say that the broker is away', 120_000); // up to two times its keep-alive
  });
  // From here on the system's connect(), which waits for an answer that was lost, sends again by itself.
  await caught(viewer, 'jetson', 1500);
  await stream(server, viewer, 'jetson', 500);
  await caught(viewer, 'jetson', 2000);
  assertWhole(viewer, 'jetson', 1, 2000);
  assert.equal(said(server, /events were lost/g), 0);
});
