/* What boards did before a gateway started: it reads that from Redis, and GET /history has it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { poll, request, statusWhen, validate } from '../e2e/aidash.mjs';
import { bridge, gateway, launch } from './bridge.mjs';
import { noRedis, redis } from './redis.mjs';

const BIN = bridge('redis');
const why = noRedis();
const skip = why && `no Redis: ${why}`;
const SECONDS = 3600;

/* A board that was there for an hour, with a tick each second until `end`; of the first one's tokens nobody knows when they were made. */
async function board(t, node, latency, end, args) {
  const server = await launch(t, BIN, ['--publish', '--node', node, '--source', 'stdin', '--models', node, ...args], { input: '' });
  let lines = '';
  for (let i = 1; i <= SECONDS; i++) lines += `{"model":"${node}","tokens":2,"tokens_generated":${2 * i},"latency_ms":${latency},"timestamp":${end - SECONDS + i}}\n`;
  server.proc.stdin.write(lines);
  await statusWhen(server, ({ counters }) => counters.ticks === SECONDS);
  return server;
}

const rowsOf = async (server, step) => {
  const { rows } = validate((await request(server, `/history?step=${step}&series=ticks,tokens,latency_min_ms,latency_p50_ms,latency_max_ms`)).json, 'HistoryAnswer');
  return rows.filter(([, ticks]) => ticks > 0);
};
const sum = (rows, column) => rows.reduce((all, row) => all + row[column], 0);

/* A gateway that has read both boards' hour. */
async function filled(t, args) {
  const server = await gateway(t, BIN, args);
  await statusWhen(server, ({ counters, history }) => counters.ticks === 2 * SECONDS && history.ticks === 2 * SECONDS);
  return server;
}

/* What it tells of that hour. */
async function told(server, begin, end) {
  const tens = await poll(async () => {
    const rows = await rowsOf(server, 10);
    return sum(rows, 1) === 2 * SECONDS && rows;
  }, 'rows of ten seconds with all ticks');
  const whole = tens.filter(([time]) => time >= begin && time + 10 <= end);
  assert.ok(whole.length >= SECONDS / 10 - 2, `${whole.length} rows`);
  assert.ok(tens.every(([time]) => time > begin - 10 && time < end + 10));
  for (const [time, ticks, , min, p50, max] of whole) {
    assert.deepEqual([ticks, min, max], [20, 10, 40], `row ${time}`);
    assert.ok(p50 >= 10 && p50 <= 40, `row ${time}: ${p50}`);
  }
  assert.equal(sum(tens, 2), 2 * 2 * (SECONDS - 1)); // what a board made before its first tick is not known
  const fives = await rowsOf(server, 300);
  assert.equal(sum(fives, 1), 2 * SECONDS);
  assert.equal(sum(fives, 2), sum(tens, 2));
  // The median of both lies between theirs; where, depends on how their ticks came.
  return [...whole.map(([, ticks, tokens, min, , max]) => [ticks, tokens, min, max].join()), sum(tens, 2), sum(fives, 1)];
}

test('an hour before a gateway\'s start is in its history, once; the next one has the same', { skip }, async (t) => {
  const broker = await redis(t);
  const args = ['--redis', broker.url, '--stream-length', '100000'];
  const end = Math.floor(Date.now() / 1000) - 30;
  await board(t, 'jetson', 10, end, args);
  await board(t, 'pi', 40, end, args);
  await poll(async () => {
    const lengths = await Promise.all(['jetson', 'pi'].map((node) => broker.ask('XLEN', `aidash:events:${node}`)));
    return lengths.every((n) => n >= SECONDS);
  }, 'both streams in Redis');

  const first = await filled(t, args);
  const one = await told(first, end - SECONDS + 1, end);
  const { models } = (await request(first, '/history')).json;
  assert.deepEqual(models.slice().sort(), ['jetson', 'other', 'pi']);
  await first.kill();

  const second = await filled(t, args);
  assert.deepEqual(new Set(await told(second, end - SECONDS + 1, end)), new Set(one));
});
