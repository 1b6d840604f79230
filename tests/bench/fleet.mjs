/* What a fleet costs on this machine: a board (aidash-redis --publish), Debian's Redis, a gateway (--subscribe), a viewer.
 * Prints; asserts nothing but that each event comes once, in order. EVENTS: how many (1,000,000). */
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { sleep } from '../e2e/aidash.mjs';
import { assertWhole, board, bridge, caught, gateway, settle, stream, watch } from '../bridges/bridge.mjs';
import { redis } from '../bridges/redis.mjs';

const EVENTS = Number(process.env.EVENTS || 1_000_000);
const BIN = bridge('redis');
const lines = [];
const say = (what, value) => lines.push(`${what.padEnd(64)} ${value}`);
after(() => console.log(lines.join('\n')));

/* Seconds of CPU that a process took so far; its resident memory in MB. */
const cpu = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};
const resident = (pid) => Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]) / 1000;
const nodeTokens = async (server) => (await (await fetch(`${server.url}/nodes`)).json()).nodes.find(({ node }) => node === 'jetson')?.tokens;

test('fleet', async (t) => {
  const broker = await redis(t);
  const args = ['--redis', broker.url, '--stream-length', `${2 * EVENTS}`];
  const hub = await gateway(t, BIN, args);
  const viewer = await watch(t, hub);
  const jetson = await board(t, BIN, 'jetson', args);
  const all = { board: jetson.pid, redis: broker.proc.pid, gateway: hub.pid };
  const spent = (from = {}) => Object.fromEntries(Object.entries(all).map(([name, pid]) => [name, cpu(pid) - (from[name] ?? 0)]));

  await stream(jetson, viewer, 'jetson', 1000);
  await caught(viewer, 'jetson', 1000);
  let before = spent();
  let began = performance.now();
  await stream(jetson, viewer, 'jetson', EVENTS, 3000);
  await caught(viewer, 'jetson', EVENTS + 1000);
  let seconds = (performance.now() - began) / 1000;
  assertWhole(viewer, 'jetson', 1, EVENTS + 1000);
  say(`board -> Redis -> gateway -> viewer, ${EVENTS} events`, `${Math.round(EVENTS / seconds)} events/s, in order, none twice, none lost`);
  for (const [name, used] of Object.entries(spent(before))) say(`  CPU of the ${name}`, `${(used / EVENTS * 1e6).toFixed(1)} us/event, ${resident(all[name]).toFixed(1)} MB resident`);

  // Ten times a second, as boards do.
  const late = [];
  viewer.onTick = ({ tokens_generated: number }) => { late.push([number, performance.now()]); };
  const sent = new Map();
  for (let i = 0; i < 1000; i++) {
    sent.set(jetson.sent + 1, performance.now());
    await jetson.send(1);
    await sleep(10);
  }
  await caught(viewer, 'jetson', jetson.sent);
  const times = late.map(([number, at]) => at - sent.get(number)).sort((a, b) => a - b);
  say('latency board -> viewer at 100 events/s', `p50 ${times[Math.floor(times.length / 2)].toFixed(2)} ms, p99 ${times[Math.floor(times.length * 0.99)].toFixed(2)} ms, most ${times.at(-1).toFixed(2)} ms`);

  // A gateway that starts reads what Redis has, without a viewer that holds it up.
  began = performance.now();
  const second = await gateway(t, BIN, args);
  all.gateway = second.pid;
  await settle(async () => (await nodeTokens(second)) === jetson.sent, () => cpu(second.pid), 'all events in the second gateway');
  seconds = (performance.now() - began) / 1000;
  say(`a gateway starts with ${jetson.sent} events in Redis`, `${Math.round(jetson.sent / seconds)} events/s, ${(cpu(second.pid) / jetson.sent * 1e6).toFixed(1)} us of CPU an event, ${resident(second.pid).toFixed(1)} MB resident`);
  say('Redis', `${(Number((await broker.ask('INFO', 'memory')).match(/used_memory:(\d+)/)[1]) / jetson.sent).toFixed(0)} bytes an event`);
});
