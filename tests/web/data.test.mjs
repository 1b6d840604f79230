/* The page's data: clock, ring, decimation, feed, request log, CSV, number formats. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Lines } from '../../www/chart-lines.js';
import { Clock } from '../../www/clock.js';
import { decimate, LINES, Rows } from '../../www/decimate.js';
import { Feed, LANES_MAX, NODE_LANES_MAX } from '../../www/feed.js';
import { Fleet, hottest, minutes, modelOf, NODES_MAX, ratesOf, trouble, wattsOf } from '../../www/fleet.js';
import { rotation } from '../../www/kiosk.js';
import { age, csv, duration, milliseconds, niceCeiling, percent, rate, short, span, whole } from '../../www/format.js';
import { Gauges } from '../../www/gauges.js';
import { Past } from '../../www/past.js';
import { RequestLog } from '../../www/requests.js';
import { BREAK, FIRST, Ring, SILENT } from '../../www/ring.js';
import { Limit } from '../../www/limits.js';
import { fairTop, logRange, outliers } from '../../www/scale.js';
import { quantiles, rates } from '../../www/statistics.js';
import { format, nodeOf, parse } from '../../www/address.js';
import { ofRows, ofTicks, sumOf, weighted } from '../../www/versus.js';
import { phases } from '../../www/waterfall.js';

const tick = (timestamp, more = {}) => ({
  event: 'inference_tick', model: 'a', tokens_generated: 10, latency_ms: 100, tokens_per_second: 5, timestamp, ...more });
const hello = (more = {}) => ({ event: 'hello', started: 1, next_seq: 1, model: 'a', models: ['a'], paused: false, ...more });
const times = (feed) => Array.from({ length: feed.ring.end - feed.ring.first }, (_, i) => feed.ring.time[(feed.ring.first + i) & feed.ring.mask]);
const broken = (feed) => times(feed).filter((_, i) => feed.ring.flags[(feed.ring.first + i) & feed.ring.mask] & BREAK);

/* ---- clock */

test('of the latest samples the one with the shortest round trip counts', () => {
  const clock = new Clock();
  clock.sample(1010.05, 1000, 1000.2); // skew 9.95 +- 0.1
  clock.sample(1010.01, 1000, 1000.02); // skew 10 +- 0.01
  clock.sample(1010.2, 1000, 1000.3); // skew 10.05 +- 0.15
  assert.ok(Math.abs(clock.skew - 10) < 1e-9);
  assert.ok(Math.abs(clock.toBrowser(1500) - 1490) < 1e-9);
});

test('a clock that was set is noticed with the next sample, even if that one is worse', () => {
  const clock = new Clock();
  clock.sample(1010, 1000, 1000.002);
  clock.sample(5000, 1001, 1001.4);
  assert.ok(Math.abs(clock.skew - 3998.8) < 1e-9);
});

/* ---- ring */

const fill = (ring, count, value = (i) => i) => {
  for (let i = 0; i < count; i++) ring.push(ring.end, 0, value(i), 0, 0, 0, 0, 0, 0, 0);
};

test('the ring keeps the newest, and finds times across its seam', () => {
  const ring = new Ring(8);
  assert.equal(ring.find(5), 0);
  fill(ring, 13);
  assert.deepEqual([ring.first, ring.end], [5, 13]);
  assert.equal(ring.find(0), 5);
  assert.equal(ring.find(9), 9);
  assert.equal(ring.find(9.5), 10);
  assert.equal(ring.find(99), 13);
});

test('what was overwritten stays lost after a rewind', () => {
  const ring = new Ring(8);
  fill(ring, 13);
  ring.rewind(10);
  assert.deepEqual([ring.first, ring.end], [5, 10]);
  fill(ring, 2);
  assert.deepEqual([ring.first, ring.end], [5, 12]);
  fill(ring, 10);
  assert.deepEqual([ring.first, ring.end], [14, 22]);
});

/* ---- decimation */

const one = new Int8Array(64).fill(-1);
one[0] = 0;

test('every column keeps its lowest and highest tick, in their order', () => {
  const ring = new Ring(1024);
  let seed = 1;
  const values = [];
  for (let i = 0; i < 1000; i++) {
    seed = (seed * 16807) % 2147483647;
    values.push(Math.fround((seed % 1000) + (i === 511 ? 1e6 : 0)));
    ring.push(i, 0, values[i], 0, 0, 0, 0, 0, 0, 0);
  }
  const rows = new Rows();
  decimate(ring, { values: ring.latency, from: 0, to: 1000, width: 10, lineOf: one }, rows);
  assert.ok(rows.x.length <= 200);
  for (let column = 0; column < 100; column++) {
    const all = values.slice(column * 10, column * 10 + 10);
    const kept = rows.x.flatMap((x, row) => (Math.floor(x / 10) === column ? [rows.y[0][row]] : []));
    assert.deepEqual([Math.min(...kept), Math.max(...kept)], [Math.min(...all), Math.max(...all)]);
  }
  assert.ok(rows.x.every((x, row) => row === 0 || x > rows.x[row - 1]));
  assert.ok(rows.x.every((x, row) => rows.y[0][row] === values[x]), 'a point is a tick that was');
});

test('few ticks are drawn as they are', () => {
  const ring = new Ring(16);
  fill(ring, 10, (i) => i * i);
  const rows = new Rows();
  decimate(ring, { values: ring.latency, from: 0, to: 10, width: 0.5, lineOf: one }, rows);
  assert.deepEqual(rows.x, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(rows.y[0], [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
});

test('a break is null from the line\'s last value on, also between other lines\' rows', () => {
  const ring = new Ring(16);
  const lineOf = new Int8Array(64).fill(-1);
  lineOf[0] = 0;
  lineOf[1] = 1;
  ring.push(0, 0, 10, 0, 0, 0, 0, 0, 0, BREAK); // the first one: nothing to break from
  ring.push(1, 0, 20, 0, 0, 0, 0, 0, 1, 0);
  ring.push(2, 0, 21, 0, 0, 0, 0, 0, 1, 0);
  ring.push(3, 0, 11, 0, 0, 0, 0, 0, 0, BREAK);
  ring.push(4, 0, 12, 0, 0, 0, 0, 0, 0, BREAK);
  ring.push(5, 0, 22, 0, 0, 0, 0, 0, 1, 0);
  ring.push(6, 0, 99, 0, 0, 0, 0, 0, 2, 0); // not drawn
  const rows = new Rows();
  decimate(ring, { values: ring.latency, from: 0, to: ring.end, width: 0.1, lineOf: lineOf }, rows);
  assert.deepEqual(rows.x, [0, 1, 2, 3, 4, 4, 5]);
  assert.deepEqual(rows.y[0], [10, null, null, 11, null, 12, undefined]);
  assert.deepEqual(rows.y[1], [undefined, 20, 21, undefined, undefined, undefined, 22]);
  assert.equal(rows.y.length, LINES);
});

test('rows are bounded by the columns, not by the ticks', () => {
  const ring = new Ring(1 << 16);
  for (let i = 0; i < 60_000; i++) ring.push(i / 1000, 0, (i * 7919) % 997, 0, 0, 0, 0, 0, 0, 0);
  const rows = new Rows();
  decimate(ring, { values: ring.latency, from: 0, to: ring.end, width: 60 / 600, lineOf: one }, rows);
  assert.ok(rows.x.length > 600 && rows.x.length <= 1202, String(rows.x.length));
});

test('of very many ticks a column is a range and its median', () => {
  const ring = new Ring(1 << 16);
  for (let i = 0; i < 60_000; i++) ring.push(i / 1000, 0, (i * 7919) % 997, 0, 0, 0, 0, 0, 0, i === 30_000 ? BREAK : 0);
  const rows = new Rows();
  decimate(ring, { values: ring.latency, from: 0, to: ring.end, width: 0.125, lineOf: one, dense: true }, rows);
  assert.equal(rows.x.length, 481, 'a row a column, and one for the break');
  const [low, middle, high] = [rows.low[0], rows.y[0], rows.high[0]];
  middle.forEach((value, row) => {
    if (value === null) return;
    const column = Math.floor(rows.x[row] / 0.125);
    const own = Array.from({ length: 125 }, (_, i) => ((125 * column + i) * 7919) % 997).sort((a, b) => a - b);
    assert.deepEqual([low[row], high[row]], [own[0], own[124]]);
    assert.ok(own.includes(value) && value > own[20] && value < own[104], `${value} of ${own}`);
  });
  assert.equal(middle.indexOf(null), 240);
  assert.equal(rows.top, 996);
});

test('a first token is no latency: the line breaks there', () => {
  const ring = new Ring(16);
  [[1, BREAK | FIRST], [2, 0], [3, 0], [4, FIRST], [5, 0]].forEach(([at, flags]) => ring.push(at, 0, at * 10, at, at, 0, 0, 0, 0, flags));
  const rows = new Rows();
  decimate(ring, { values: ring.latency, from: 0, to: 5, width: 0.1, lineOf: one }, rows);
  assert.deepEqual([rows.x, rows.y[0]], [[2, 3, 5, 5], [20, 30, null, 50]]);
  decimate(ring, { values: ring.rate, from: 0, to: 5, width: 0.1, lineOf: one }, rows);
  assert.deepEqual(rows.y[0], [1, 2, 3, 4, 5], 'but it is a token');
});

test('the rate falls to 0 where nothing ran, the latency breaks', () => {
  const ring = new Ring(16);
  [[1, 0], [2, 0], [10, BREAK | SILENT], [11, 0]].forEach(([at, flags]) => ring.push(at, 0, 50, 5, 5, 0, 0, 0, 0, flags));
  const rows = new Rows();
  const all = { from: 0, to: 4, width: 0.1, lineOf: one };
  decimate(ring, { values: ring.rate, ...all }, rows);
  rows.fall(20, 0, 0);
  assert.deepEqual([rows.x, rows.y[0]], [[1, 2, 4, 10, 10, 11, 13, 20], [5, 5, 0, 0, 5, 5, 0, 0]]);
  decimate(ring, { values: ring.latency, ...all }, rows);
  assert.deepEqual([rows.x, rows.y[0]], [[1, 2, 10, 10, 11], [50, 50, null, 50, 50]]);
});

test('a rate falls at its own pace, also between the rows of other lines', () => {
  const rows = new Rows();
  rows.add(10, 0, 8, false);
  rows.add(10.5, 1, 5, false);
  rows.add(11, 1, 5, false);
  rows.fall(20, 0, 0);
  assert.deepEqual([rows.x, rows.y[0]], [[10, 10.5, 11, 12, 20], [8, 6, 4, 0, 0]]);
  rows.fall(30, 2, 5);
  assert.deepEqual(rows.y[2], [0, 0, 0, 0, 0, 0], 'a line without a value was at 0');
});

test('a lane keeps its line, and with it its colour, while it is drawn; no two share one', () => {
  const lines = new Lines();
  const lanes = Array.from({ length: 12 }, (_, index) => ({ index, model: `m${index}`, node: '', time: 100 }));
  lines.choose(lanes.slice(8, 10), 0);
  assert.deepEqual([lines.lineOf[8], lines.lineOf[9]], [0, 1]);
  lines.choose(lanes, 0);
  const drawn = [...lines.lineOf].filter((line) => line >= 0);
  assert.deepEqual(drawn.sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
  const before = lines.lineOf[8];
  lanes[8].time = 101;
  lines.choose(lanes, 0);
  assert.equal(before < 0 || lines.lineOf[8] === before, true);
  lines.choose([lanes[8]], 0);
  assert.equal(lines.count, 1);
});

/* ---- limits */

test('a number near its limit does not flicker: it is beyond after two seconds, and back after two', () => {
  const limit = new Limit();
  let changes = 0;
  for (let i = 0; i < 100; i++) { // as in a card that is drawn five times a second
    const before = limit.on;
    limit.update(i % 3 === 0, 1000 + i / 5);
    changes += Number(limit.on !== before);
  }
  assert.equal(changes, 0);
  limit.update(false, 1020);
  assert.deepEqual([0, 1.9, 2, 2.2].map((at) => [limit.update(true, 2000 + at), limit.on]), [[false, false], [false, false], [true, true], [false, true]]);
  assert.deepEqual([0, 1, 1.5, 3.4, 3.6].map((at) => [limit.update(at === 1, 3000 + at), limit.on]),
    [[false, true], [false, true], [false, true], [false, true], [false, false]]);
});

test('quantiles are ticks that were; of very many a sample serves', () => {
  const ring = new Ring(1 << 17);
  assert.deepEqual(quantiles(ring, 0, 0, [0.5]), [NaN]);
  fill(ring, 100, (i) => 100 - i);
  assert.deepEqual(quantiles(ring, 0, 100, [0, 0.5, 0.95, 1]), [1, 50, 95, 100]);
  fill(ring, 99_900, (i) => (i * 7919) % 99_991);
  const [p50, p95] = quantiles(ring, 100, ring.end, [0.5, 0.95]);
  assert.ok(Math.abs(p50 - 50_000) < 1000 && Math.abs(p95 - 95_000) < 1000, `${p50} ${p95}`);
});

/* ---- feed */

const ready = (feed) => { feed.clock.sample(0, 0, 0); return feed; };
const answer = (ticks, lastSeq, more = {}) => ({ started: 1, ticks, last_seq: lastSeq, missed: 0, ...more });

test('what the server kept goes before what came live, nothing twice', () => {
  const feed = ready(new Feed(64));
  assert.equal(feed.connected(hello({ next_seq: 50 }), null, 10), 'last=10000');
  feed.add([tick(10), tick(10.2)], 50, 10.3); // live: 50, 51
  feed.add([tick(10.4)], 52, 10.5);
  const more = feed.fill(answer([tick(9.6), tick(9.8), tick(10), tick(10.2)], 51), 10.5);
  assert.equal(more, '');
  assert.deepEqual(times(feed), [9.6, 9.8, 10, 10.2, 10.4]);
  assert.deepEqual(broken(feed), [9.6]);
  assert.equal(feed.lanes[0].steps, 5);
  assert.equal(feed.fill(answer([tick(1)], 1), 11), '', 'an answer that nobody awaits changes nothing');
  assert.equal(times(feed).length, 5);
});

test('ticks that the history already had may still come live', () => {
  const feed = ready(new Feed(64));
  feed.connected(hello({ next_seq: 50 }), null, 10);
  feed.fill(answer([tick(9.8), tick(10), tick(10.2)], 51), 10.5);
  feed.add([tick(10), tick(10.2), tick(10.4)], 50, 10.5);
  assert.deepEqual(times(feed), [9.8, 10, 10.2, 10.4]);
  feed.connected(hello({ started: 2, next_seq: 1 }), { since: 52, missed: 0, restarted: true }, 11);
  feed.add([tick(11)], 1, 11);
  assert.deepEqual(times(feed), [9.8, 10, 10.2, 10.4, 11], 'a new server counts anew');
});

test('missed events are fetched by number, page by page, and the line is whole again', () => {
  const feed = ready(new Feed(64));
  feed.connected(hello({ next_seq: 1 }), null, 0);
  feed.fill(answer([], 0), 0);
  feed.add([tick(1), tick(1.2)], 1, 1.2);
  assert.equal(feed.connected(hello({ next_seq: 7 }), { since: 2, missed: 4, restarted: false }, 2.1), 'since=2&limit=10000');
  feed.add([tick(2.2)], 7, 2.2);
  assert.equal(feed.fill(answer([tick(1.4), tick(1.6)], 4), 2.3), 'since=4&limit=10000');
  feed.add([tick(2.4)], 8, 2.4);
  assert.equal(feed.fill(answer([tick(1.8), tick(2), tick(2.2)], 7), 2.5), '');
  assert.deepEqual(times(feed), [1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.4]);
  assert.deepEqual(broken(feed), [1]);
});

test('a pause is a gap however short, and whether it came live or with what the server kept', () => {
  const feed = ready(new Feed(64));
  feed.connected(hello({ next_seq: 50 }), null, 10);
  feed.add([tick(10), tick(10.2)], 50, 10.2);
  feed.open('paused', 10.3, 'paused');
  feed.close('paused', 10.5);
  feed.add([tick(10.6), tick(10.8)], 52, 10.8);
  assert.deepEqual(broken(feed), [10, 10.6]);
  feed.fill(answer([tick(9.8), tick(10), tick(10.2)], 51), 10.9);
  assert.deepEqual(broken(feed), [9.8, 10.6]);
  feed.connected(hello({ next_seq: 55 }), { since: 53, missed: 1, restarted: false }, 11);
  feed.open('paused', 10.9, 'paused');
  feed.close('paused', 11.1);
  feed.fill(answer([tick(11.2)], 54), 11.3);
  feed.add([tick(11.4)], 55, 11.4);
  assert.deepEqual(broken(feed), [9.8, 10.6, 11.2]);
});

test('a pause is no gap while the engine still answers', () => {
  const feed = ready(new Feed(64));
  feed.connected(hello({ next_seq: 50 }), null, 10);
  feed.add([tick(10), tick(10.2)], 50, 10.2);
  feed.open('paused', 10.3, 'paused');
  feed.add([tick(10.4), tick(10.6)], 52, 10.6);
  feed.close('paused', 12);
  assert.deepEqual(broken(feed), [10]);
  feed.fill(answer([tick(9.8), tick(10), tick(10.2)], 51), 12.1);
  assert.deepEqual(broken(feed), [9.8]);
});

test('what is no longer kept, or can\'t be fetched, is a gap', () => {
  const feed = ready(new Feed(64));
  feed.connected(hello(), null, 0);
  feed.giveUpFill();
  feed.add([tick(1)], 1, 1);
  feed.connected(hello({ next_seq: 9 }), { since: 1, missed: 7, restarted: false }, 2);
  feed.add([tick(2)], 9, 2);
  feed.fill(answer([tick(1.8)], 8, { missed: 6 }), 2);
  assert.deepEqual(broken(feed), [1, 1.8]);
  feed.connected(hello({ next_seq: 20 }), { since: 9, missed: 10, restarted: false }, 3);
  feed.giveUpFill();
  feed.add([tick(3)], 20, 3);
  assert.deepEqual(broken(feed), [1, 1.8, 3]);
});

test('a switch in the past is marked; models that take turns are not', () => {
  const feed = ready(new Feed(64));
  feed.connected(hello(), null, 0);
  const of = (model, from) => Array.from({ length: 10 }, (_, i) => tick(from + i / 10, { model }));
  feed.fill(answer([...of('a', 1), ...of('b', 2), ...of('c', 3).flatMap((one) => [one, { ...one, model: 'd' }])], 40), 9);
  assert.deepEqual(feed.marks.map(({ kind, from, text }) => [kind, from, text]), [['model', 2, 'b'], ['model', 3, 'c']]);
});

test('a second reconnect before the first gap was filled asks for all of it', () => {
  const feed = ready(new Feed(64));
  feed.connected(hello(), null, 0);
  feed.fill(answer([], 0), 0);
  feed.add([tick(1)], 1, 1);
  feed.connected(hello({ next_seq: 5 }), { since: 1, missed: 3, restarted: false }, 2);
  feed.add([tick(2)], 5, 2);
  assert.equal(feed.connected(hello({ next_seq: 8 }), { since: 5, missed: 2, restarted: false }, 3), 'since=1&limit=10000');
  feed.fill(answer([tick(1.5), tick(2), tick(2.5)], 7), 3);
  assert.deepEqual(times(feed), [1, 1.5, 2, 2.5]);
});

test('a restarted server is a mark and a gap, and what was before stays', () => {
  const feed = ready(new Feed(64));
  feed.connected(hello(), null, 0);
  feed.fill(answer([tick(1)], 1), 1);
  assert.equal(feed.connected(hello({ started: 2 }), { since: 1, missed: 0, restarted: true }, 2), 'last=10000');
  feed.fill(answer([tick(1.9), tick(2)], 2, { started: 2 }), 2);
  assert.deepEqual(times(feed), [1, 1.9, 2]);
  assert.deepEqual(broken(feed), [1, 1.9]);
  assert.deepEqual(feed.marks.map(({ kind }) => kind), ['restart']);
});

const at = (node, ...stamps) => stamps.map((stamp) => tick(stamp, { node }));

test('where another gateway goes on with the same stream, nothing is doubled, nothing is missing, and no server has restarted', () => {
  const feed = new Feed(64);
  feed.connected(hello(), null, 0);
  feed.fill(answer(at('pi', 1, 2, 3), 3), 3);
  feed.add(at('pi', 4), 4, 4);
  assert.equal(feed.connected(hello({ started: 2, next_seq: 70 }), { since: 4, missed: 0, restarted: true }, 6.5), 'last=10000');
  feed.add(at('pi', 7), 70, 7);
  assert.equal(feed.fill(answer(at('pi', 2, 3, 4, 5, 6, 7), 70), 7), '');
  feed.add(at('pi', 8), 71, 8);
  assert.deepEqual(times(feed), [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(broken(feed), [1]);
  assert.deepEqual(feed.marks, []);
});

test('the history may come from another gateway than the live ticks, each with numbers of its own', () => {
  const feed = new Feed(64);
  feed.connected(hello({ next_seq: 900 }), null, 0);
  feed.add(at('pi', 4, 5), 900, 5);
  feed.fill(answer(at('pi', 1, 2, 3, 4, 5, 6), 6), 6, true);
  feed.add(at('pi', 6, 7), 902, 7); // 6 is here already
  assert.deepEqual(times(feed), [1, 2, 3, 4, 5, 6, 7]);
  feed.mark('restart', 7, 'an older one');
  assert.equal(feed.connected(hello({ next_seq: 910 }), { since: 903, missed: 6, restarted: false }, 9), 'since=903&limit=10000');
  feed.add(at('pi', 10), 910, 10);
  assert.equal(feed.fill(answer(at('pi', 6, 7, 8, 9), 12), 10, true), '');
  feed.add(at('pi', 11), 911, 11);
  assert.deepEqual(times(feed), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.equal(feed.marks.length, 1);
});

test('a history that shares nothing with the live ticks is of another stream', () => {
  const feed = new Feed(64);
  feed.connected(hello(), null, 0);
  feed.add(at('pi', 4, 5), 1, 5);
  assert.equal(feed.fill(answer(at('pi', 3.9, 4.1, 5.1), 2), 6, true), '');
  assert.deepEqual(times(feed), [4, 5]);
  assert.equal(feed.fill(answer(at('pi', 2, 3), 2), 6, true), '');
  assert.deepEqual(times(feed), [2, 3, 4, 5], 'but one that ended before them may be of the same');
});

test('the feed of one board has its ticks alone, fetched and live', () => {
  const feed = new Feed(64, 'pi');
  feed.connected(hello({ next_seq: 4 }), null, 0);
  feed.fill(answer([tick(1), ...at('pi', 2), ...at('nano', 3)], 3), 3);
  feed.add([...at('nano', 4), ...at('pi', 5), tick(6)], 4, 6);
  assert.deepEqual(feed.lanes.map(({ node }) => node), ['pi']);
  assert.deepEqual(times(feed), [2, 5]);
  assert.deepEqual([feed.ring.seq[1], feed.now(5).running], [5, 1]);
});

/* ---- a page on a wall */

test('a page on a wall takes turns as often as its address says, within what a timer can', () => {
  const turns = (/** @type {string} */ text) => rotation(`?kiosk=1&rotate=${text}`);
  assert.deepEqual(['', 'x', '-1', '0', '1', '20', '3000000', 'Infinity'].map(turns), [0, 0, 0, 0, 3, 20, 86400, 86400]);
  assert.equal(rotation('?kiosk=1'), 0);
});

/* ---- boards behind a gateway */

const event = (name, more = {}) => ({ event: name, seq: 1, ...more });

test('boards: one that says what is not of the contract does not hide the others', () => {
  const fleet = new Fleet();
  fleet.ticks([tick(1, { node: 'pi' })], 100);
  const pi = fleet.nodes.get('pi');
  for (const temperatures of [5, 'hot', {}, [null], [5], [{ celsius: {} }]]) {
    fleet.add({ node: 'pi', data: event('board', { temperatures, power: 7, rails: [null] }) }, 101);
    assert.deepEqual([hottest(pi), wattsOf(pi)], [NaN, NaN]);
  }
  for (const odd of [5, {}, [], null, true]) {
    fleet.add({ node: 'pi', data: event('status', { model: odd, engine: 'down', reason: odd }) }, 102);
    assert.deepEqual([modelOf(pi), trouble(pi)], ['a', 'The engine is down.']);
    fleet.add({ node: 'pi', data: event('verdict', { on: true, figure: odd, model: odd, sentence: odd }) }, 103);
    assert.equal(trouble(pi), '');
    pi.verdicts.clear();
  }
  fleet.add({ node: 'pi', data: event('status', { model: 'b' }) }, 104);
  assert.equal(modelOf(pi), 'b');
});

test('boards: known by their ticks, events and the list; live since their newest event', () => {
  const fleet = new Fleet();
  fleet.ticks([tick(1), tick(2, { node: 'pi' })], 100);
  const pi = fleet.nodes.get('pi');
  assert.deepEqual([fleet.nodes.size, pi.model, fleet.state(pi, 105), fleet.state(pi, 111), fleet.state(pi, 161)], [1, 'a', 'live', 'stale', 'gone'], 'a server of before tells no states');
  fleet.fill([{ node: 'pi', state: 'live', age_ms: 500, url: 'javascript:alert(1)' }, { node: 'nano', state: 'gone', age_ms: 90_000, url: 'http://nano:8080',
    status: event('status', { model: 'x', engine: 'down' }) }], 200);
  const nano = fleet.nodes.get('nano');
  assert.deepEqual([pi.url, nano.url, pi.heard, nano.heard, fleet.state(pi, 299)], ['', 'http://nano:8080/', 199.5, 110, 'live']);
  assert.equal(trouble(nano), 'The engine is down.');
  fleet.add({ node: 'pi', state: 'stale' }, 210);
  assert.deepEqual([fleet.state(pi, 210), pi.heard], ['stale', 199.5], 'a change of its state is no sign of life');
  fleet.add({ node: 'pi', data: event('verdict', { on: true, figure: 'decode', model: 'a', sentence: 'hot' }) }, 211);
  assert.deepEqual([fleet.state(pi, 211), trouble(pi)], ['live', 'hot']);
  fleet.add({ node: 'pi', data: event('verdict', { on: false, figure: 'decode', model: 'a', sentence: 'over' }) }, 212);
  assert.equal(trouble(pi), '');
  assert.deepEqual([hottest(pi), wattsOf(pi)], [NaN, NaN]);
  fleet.add({ node: 'pi', data: event('board', { temperatures: [{ name: 'a', celsius: 'asleep' }, { name: 'b', celsius: 50 }], power: { watts: 'absent' }, rails: [{ name: 'in', watts: 4 }] }) }, 212);
  assert.deepEqual([hottest(pi), wattsOf(pi)], [50, 4]);
  const listed = (paused) => [{ node: 'pi', state: 'live', age_ms: 0, status: event('status', { paused }) }];
  fleet.add({ node: 'pi', data: event('status', { paused: true }) }, 213);
  fleet.fill(listed(false), 214, 212.5);
  assert.equal(pi.said.paused, true, 'what came live since the server was asked is newer');
  fleet.fill(listed(false), 215, 214);
  assert.equal(pi.said.paused, false);
  fleet.fill([], 300);
  assert.equal(fleet.nodes.size, 0, 'the server knows them no longer');
});

test('boards are bounded, and so are the requests and verdicts of each', () => {
  const fleet = new Fleet();
  for (let i = 0; i < NODES_MAX + 5; i++) fleet.ticks([tick(i, { node: `n${i}` })], i);
  assert.deepEqual([fleet.nodes.size, fleet.left], [NODES_MAX, 5]);
  for (let i = 0; i < 100; i++) {
    fleet.add({ node: 'n0', data: event('request', { id: i }) }, i);
    fleet.add({ node: 'n0', data: event('verdict', { on: true, figure: 'wait', model: `m${i}`, sentence: '' }) }, i);
  }
  const { requests, verdicts } = fleet.nodes.get('n0');
  assert.deepEqual([requests.size, [...requests.keys()].at(-1), verdicts.size], [50, 99, 8]);
});

test('what boards make now, and the last minute of each', () => {
  const feed = ready(new Feed(256));
  for (let i = 0; i < 20; i++) feed.add([tick(50 + i, { node: 'pi', tokens_per_second: 5 }), tick(50 + i, { node: 'pi', model: 'b', tokens_per_second: 2 }), tick(50 + i)], 1 + 3 * i, 50 + i);
  feed.add([tick(69.5, { node: 'nano', tokens_per_second: 9 })], 100, 69.5);
  const rates = ratesOf(feed, 70);
  assert.deepEqual([[...rates.keys()], rates.get('pi').rate, rates.get('nano').rate], [['pi', 'nano'], 7, 9]);
  const rows = minutes(feed, 80);
  assert.deepEqual([...rows.keys()], ['pi', 'nano']);
  assert.deepEqual([29, 30, 49, 52].map((second) => rows.get('pi')[second]), [0, 7, 7, 7]);
  assert.equal(rows.get('pi')[59], 0, 'after some intervals without a tick there is nothing');
  assert.equal(rows.get('nano')[49], 9);
});

test('a board whose clock is set back by seconds piles no ticks up', () => {
  const feed = new Feed(64);
  feed.clock.sample(1000, 1000, 1000);
  let seq = 1;
  for (let i = 0; i < 10; i++) feed.add([tick(1000 + i / 5)], seq++, 1000 + i / 5);
  for (let i = 10; i < 30; i++) feed.add([tick(1000 + i / 5 - 4)], seq++, 1000 + i / 5); // 4 s back
  assert.equal(feed.clock.wanted, true, 'the server is asked');
  for (let i = 1; i < 30; i++) {
    const step = feed.ring.time[i] - feed.ring.time[i - 1];
    assert.ok(Math.abs(step - 0.2) < 1e-6, `tick ${i}: ${step}`);
  }
  feed.clock.sample(1002, 1006, 1006);
  assert.equal(feed.clock.wanted, false);
  feed.add([tick(1002.2)], seq, 1006.25);
  assert.ok(Math.abs(feed.ring.time[30] - 1006.2) < 1e-6);
});

test('the axis is the browser\'s clock: skew is taken off, a node\'s odd clock is not believed', () => {
  const feed = new Feed(64);
  feed.clock.sample(1000, 0, 0);
  feed.connected(hello(), null, 5);
  feed.fill(answer([tick(1001), tick(999_999, { node: 'odd' }), tick(1002)], 3), 5);
  feed.add([tick(1004), tick(77, { node: 'odd' }), tick(1006)], 4, 5);
  assert.deepEqual(times(feed), [1, 1, 2, 4, 5, 5]);
});

test('before the server was asked for the time, the first tick tells it', () => {
  const feed = new Feed(64);
  feed.add([tick(5000)], 1, 10);
  assert.deepEqual(times(feed), [10]);
});

test('silence breaks the line when it is long for the lane', () => {
  const feed = ready(new Feed(64));
  for (const [i, at] of [1, 1.2, 1.4, 2, 6, 6.2].entries()) feed.add([tick(at)], i + 1, at);
  assert.deepEqual(broken(feed), [1, 6]);
  const slow = ready(new Feed(64));
  for (const [i, at] of [10, 15, 20, 25].entries()) slow.add([tick(at)], i + 1, at);
  assert.deepEqual(broken(slow), [10, 15], 'five seconds are no silence for who ticks each five seconds');
});

test('running lanes add up; the one that was switched away from does not count', () => {
  const feed = ready(new Feed(64));
  feed.connected(hello(), null, 0);
  feed.add([tick(1, { tokens_per_second: 5 }), tick(1, { node: 'pi-2', tokens_per_second: 7, estimated: true })], 1, 1);
  assert.deepEqual([feed.now(1).rate, feed.now(1).estimated, feed.now(1).running], [12, true, 2]);
  feed.modelChanged('b', 1.1);
  feed.add([tick(1.2, { model: 'b', tokens_per_second: 1 })], 3, 1.2);
  assert.equal(feed.now(1.3).rate, 8);
  assert.deepEqual([...feed.ring.total.subarray(0, 3)], [5, 12, 8]);
  assert.deepEqual([feed.now(9).rate, feed.now(9).running, feed.now(9).latency], [0, 0, 100]);
  assert.deepEqual(feed.marks.map(({ kind, text }) => [kind, text]), [['model', 'b']]);
});

test('the rate falls to nothing within the window when ticks stay away, and does not stand', () => {
  const feed = ready(new Feed(64));
  for (let i = 0; i < 20; i++) feed.add([tick(10 + i / 10, { tokens_per_second: 8 })], i + 1, 10 + i / 10);
  assert.deepEqual([12.3, 12.4, 13.4, 14.4, 99].map((at) => Number(feed.now(at).rate.toFixed(2))), [8, 8, 4, 0, 0]);
  const slow = ready(new Feed(64));
  for (let i = 0; i < 5; i++) slow.add([tick(10 + i * 5)], i + 1, 10 + i * 5);
  assert.equal(slow.now(35).rate, 5, 'five seconds are no silence for who ticks each five seconds');
});

test('requests that take turns on two models are no switches, and each model counts', () => {
  const feed = ready(new Feed(256));
  feed.connected(hello({ override: false }), null, 0);
  const of = (model, from) => Array.from({ length: 15 }, (_, i) => tick(from + i / 20, { model, tokens_per_second: 10 }));
  feed.fill(answer([...of('a', 1), ...of('b', 1.75), ...of('a', 2.5)], 45), 3.2);
  feed.modelChanged('b', 3.25, false);
  feed.add(of('b', 3.25), 46, 4);
  assert.deepEqual(feed.marks, []);
  assert.equal(feed.now(4).running, 2);
  feed.modelChanged('b', 4, true); // a viewer's switch to the model that was the latest
  assert.deepEqual(feed.marks.map(({ kind, text }) => [kind, text]), [['model', 'b']]);
});

test('the mean is over time, not over ticks', () => {
  const feed = ready(new Feed(4096));
  feed.connected(hello(), null, 0);
  let tokens = 0;
  const run = (from, seconds) => {
    for (let i = 0; i < seconds * 20; i++) feed.add([tick(from + i / 20, { tokens_generated: ++tokens, tokens_per_second: 20 })], tokens, from + i / 20);
  };
  run(100, 10);
  run(130, 10);
  const { mean, peak } = rates(feed.ring, 100, 160, false);
  assert.ok(Math.abs(mean - 400 / 60) < 0.1, String(mean)); // 20/s for a third of the time
  assert.equal(peak, 20);
  assert.ok(Math.abs(rates(feed.ring, 90, 120, false).mean - 10) < 0.1, 'nothing is known of the time before the first tick');
  assert.deepEqual(rates(feed.ring, 10, 20, false), { mean: NaN, peak: NaN });
  assert.equal(rates(feed.ring, 145, 160, true).mean, 0);
});

test('a lane that is new has made what its rate tells, a corrected estimate is taken off', () => {
  const feed = ready(new Feed(64));
  feed.connected(hello(), null, 0);
  feed.add([tick(1, { tokens_generated: 1000, tokens_per_second: 5 }), tick(2, { tokens_generated: 1006 }), tick(3, { tokens_generated: 1004 }),
    tick(4, { model: 'b', tokens_generated: 100, tokens_per_second: 50 })], 1, 4);
  feed.breakLines();
  feed.add([tick(5, { tokens_generated: 3, tokens_per_second: 1.5 })], 5, 5); // another server
  assert.deepEqual([...feed.ring.more.subarray(0, 5)], [10, 6, -2, 100, 3]);
});

test('steps a second do not ramp up after a silence', () => {
  const feed = ready(new Feed(256));
  for (let i = 0; i < 15; i++) feed.add([tick(10 + i / 30, { tokens_generated: 0, tokens_per_second: 0 })], i + 1, 10 + i / 30);
  assert.ok(Math.abs(feed.lanes[0].rate - 30) < 0.01, String(feed.lanes[0].rate));
  for (let i = 0; i < 15; i++) feed.add([tick(30 + i / 30, { tokens_generated: 0, tokens_per_second: 0 })], i + 16, 30 + i / 30);
  assert.ok(Math.abs(feed.lanes[0].rate - 30) < 0.01, String(feed.lanes[0].rate));
});

test('a first token is no time between tokens', () => {
  const feed = ready(new Feed(64));
  feed.connected(hello(), null, 0);
  const [first, second, third] = [tick(1, { latency_ms: 900.5, request: 7, first: true }), tick(1.1, { latency_ms: 50 }), tick(1.2, { latency_ms: 52 })];
  feed.add([first, second, third], 1, 1.2);
  assert.equal(feed.now(1.2).latency, 52);
  assert.deepEqual(quantiles(feed.ring, 0, 3, [1]), [52]);
  assert.deepEqual([...feed.ring.flags.subarray(0, 3)].map((flags) => flags & FIRST), [FIRST, 0, 0]);
  assert.deepEqual(feed.tickAt(0), first, 'exported as it came');
  feed.fill(answer([tick(0.5, { latency_ms: 700, first: true })], 0), 1.3);
  assert.deepEqual([...feed.ring.flags.subarray(0, 4)].map((flags) => flags & FIRST), [FIRST, FIRST, 0, 0], 'also of the history, and after it came');
  assert.deepEqual(quantiles(feed.ring, 0, 4, [1]), [52]);
});

test('what nothing ran in is a silence, what is not known is none', () => {
  const feed = ready(new Feed(64));
  feed.connected(hello(), null, 0);
  feed.add([tick(1), tick(1.2), tick(9)], 1, 9);
  feed.breakLines();
  feed.add([tick(15)], 4, 15);
  assert.deepEqual([...feed.ring.flags.subarray(0, 4)].map((flags) => flags & SILENT), [0, 0, SILENT, 0]);
});

test('steps a second stand in where there are no tokens', () => {
  const feed = ready(new Feed(64));
  for (let i = 0; i < 40; i++) feed.add([tick(10 + i / 10, { tokens_generated: 0, tokens_per_second: 0 })], i + 1, 10 + i / 10);
  assert.equal(feed.tokenless, true);
  assert.equal(feed.now(14).rate, 10);
  assert.equal(feed.tickAt(39).tokens_per_second, 0);
  feed.add([tick(14, { model: 'b' })], 41, 14);
  assert.equal(feed.tokenless, false);
});

test('nothing grows: lanes, marks and ticks are bounded', () => {
  const feed = ready(new Feed(64));
  for (let i = 0; i < 500; i++) {
    feed.add([tick(i, { model: `m${i}` })], i + 1, i);
    feed.mark('dropped', i, 'x');
  }
  assert.equal(feed.lanes.length, LANES_MAX);
  assert.equal(feed.lanes.at(-1).model, '(others)');
  assert.equal(feed.marks.length, 200);
  assert.equal(times(feed).length, 64);
});

test('a moving chart of ranges, which makes only its new columns, is that which makes all of them', () => {
  const ring = new Ring(1 << 12);
  let seed = 7;
  const random = () => { seed = (seed * 48271) % 2147483647; return seed / 2147483647; };
  const lineOf = new Int8Array(LANES_MAX).fill(-1);
  lineOf.set([2, 0, 1]);
  const [kept, width] = [new Rows(), 0.5];
  let time = 1000;
  const drawn = (rows) => {
    const from = Math.max(ring.find(time - 60) - 1, ring.first);
    decimate(ring, { values: ring.rate, from, to: ring.end, width, lineOf, dense: true }, rows);
    const edge = (Math.floor(ring.time[from & ring.mask] / width) + 1) * width; // the first column may have been cut
    return [0, 1, 2].map((line) => {
      const own = rows.x.flatMap((x, row) => (x > edge && rows.y[line][row] !== undefined ? [[x, rows.y[line][row], rows.low[line][row], rows.high[line][row]]] : []));
      return own.slice(own.findIndex(([, value]) => value !== null)); // whether a line comes from there is seen only there
    });
  };
  for (let draw = 0; draw < 150; draw++) {
    for (let i = 0; i < 40; i++) {
      time += random() < 0.01 ? 5 * random() : 0.02;
      const flags = random() < 0.02 ? BREAK | (random() < 0.5 ? SILENT : 0) : 0;
      ring.push(time, time, 100 * random(), Math.fround(50 * random()), 0, 0, 0, 0, Math.floor(4 * random()), flags);
    }
    if (draw === 70) lineOf.set([0, 2, 1]);
    if (draw === 90) ring.rewind(ring.end - 30);
    if (draw !== 100) assert.deepEqual(drawn(kept), drawn(new Rows()), `draw ${draw}`);
  }
});

test('of several boards, one with many models leaves the others their lines', () => {
  const feed = ready(new Feed(64));
  for (let i = 0; i < 500; i++) feed.add([tick(i / 100, { model: `m${i}`, node: 'loud' })], i + 1, i / 100);
  assert.equal(feed.lanes.filter(({ node }) => node === 'loud').length, NODE_LANES_MAX);
  assert.equal(feed.lanes.at(-1).model, '(others)');
  feed.add([tick(6, { model: 'own', node: 'quiet' }), tick(6, { model: 'own' })], 501, 6);
  assert.deepEqual(feed.lanes.slice(-2).map(({ model, node }) => `${model} ${node}`), ['own quiet', 'own ']);
  const alone = ready(new Feed(64, 'loud'));
  for (let i = 0; i < 500; i++) alone.add([tick(i / 100, { model: `m${i}`, node: 'loud' })], i + 1, i / 100);
  assert.equal(alone.lanes.length, LANES_MAX, 'on its own page it may have all');
});

test('a tick comes out of the ring as it went in', () => {
  const feed = ready(new Feed(64));
  const odd = tick(1741478400.123456, { node: 'pi-2', estimated: true, latency_ms: 118.317, tokens_per_second: 3.82, tokens_generated: 2 ** 53 });
  feed.add([odd], 1, 1741478400.2);
  assert.deepEqual(feed.tickAt(0), odd);
});

test('a span opens once and closes', () => {
  const feed = new Feed(64);
  feed.open('paused', 1, 'paused');
  feed.open('paused', 2, 'paused');
  feed.close('paused', 3);
  feed.close('paused', 4);
  assert.deepEqual(feed.marks, [{ kind: 'paused', from: 1, to: 3, text: 'paused' }]);
});

/* ---- requests */

const start = (id, more = {}) => ({ event: 'request_start', seq: id, id, model: 'a', route: '/v1', client: 'c', status: 'running', ...more });
const end = (id, more = {}) => ({ ...start(id), event: 'request', status: 'finished', ttft_ms: 250, ...more });

test('a running request counts the tokens of its own ticks', () => {
  const log = new RequestLog();
  log.count([tick(1, { tokens_generated: 100, request: 9 })]);
  log.add(start(1), 1);
  log.add(start(2), 1);
  log.add(start(3, { model: 'b', status: 'queued' }), 1);
  log.count([tick(2, { tokens_generated: 103, request: 1 }), tick(2, { tokens_generated: 104, request: 2 }), tick(2, { model: 'b', tokens_generated: 9 }),
    tick(2, { tokens_generated: 105, request: 1 })]);
  assert.deepEqual(log.list().map(({ live }) => live), [4, 1, 0]);
  assert.deepEqual([log.inState('running'), log.inState('queued')], [2, 1]);
  log.add(end(1, { seq: 20, status: 'running', completion_tokens: 7 }), 1, 3); // ticks were lost meanwhile
  assert.deepEqual(log.list().map(({ live }) => live), [7, 1, 0]);
  log.add(end(1, { seq: 30 }), 1, 3);
  log.count([tick(3, { tokens_generated: 110, request: 1 })]);
  assert.equal(log.list()[0].live, 7);
});

test('the last fifty that ended are kept, and all that run', () => {
  const log = new RequestLog();
  log.add(start(1000), 0);
  for (let id = 1; id <= 60; id++) log.add(end(id), id);
  assert.equal(log.list().length, 51);
  assert.ok(log.entries.has(1000) && !log.entries.has(10) && log.entries.has(11));
  assert.equal(log.latestTtft, 250);
  assert.equal(log.ttft.time[0], 1.25);
});

test('a running request is silent until its first token', () => {
  const log = new RequestLog();
  log.add(start(1, { seq: 1 }), 10, 10);
  log.add(start(2, { seq: 2 }), 12, 12);
  assert.deepEqual([log.silent(14).entries.length, log.silent(14).seconds], [2, 4]);
  log.count([tick(13.5, { tokens_generated: 1, request: 1, first: true })], 13.5);
  assert.deepEqual([log.silent(14).entries.length, log.silent(14).seconds], [1, 2]);
  assert.equal(log.list()[0].firstAt, 13.5);
  log.add(end(2, { seq: 9, status: 'running', completion_tokens: 30, ttft_ms: 1900 }), 12, 14);
  assert.equal(log.silent(14).entries.length, 0);
  assert.equal(log.list()[1].firstAt, 13.9, 'it began before the page was there');
});

test('what is told of a running request counts once', () => {
  const log = new RequestLog();
  log.add(start(1, { seq: 5 }), 10, 10);
  log.add(end(1, { seq: 6, status: 'running', completion_tokens: 30, ttft_ms: 200, estimated: true }), 10, 10.2);
  const [one] = log.list();
  assert.deepEqual([one.live, one.firstAt, one.running], [30, 10.2, true]);
  assert.equal(log.latestTtft, 200);
  log.add(end(1, { seq: 9, ttft_ms: 200 }), 10, 12);
  log.add(end(1, { seq: 8, status: 'running', completion_tokens: 31 }), 10, 12); // an answer that comes late
  assert.deepEqual([log.ttft.count, log.list()[0].running], [1, false]);
});

test('a server that restarted counts anew: what ended on the old one stays, what ran is gone', () => {
  const log = new RequestLog();
  log.add(end(1, { seq: 900 }), 1);
  log.add(start(2, { seq: 901 }), 2);
  log.restart();
  log.add(end(1, { seq: 4, model: 'b' }), 3);
  assert.deepEqual(log.list().map(({ at, last }) => [at, last.id, last.model]), [[1, 1, 'a'], [3, 1, 'b']]);
});

test('what the server knows comes to what is known', () => {
  const log = new RequestLog();
  log.add(start(1, { seq: 5 }), 1); // ended while the page was away, and is no longer kept
  log.add(start(2, { seq: 6 }), 2);
  log.add(end(4, { seq: 12 }), 3); // came while the others were fetched
  log.add(start(5, { seq: 13 }), 4);
  for (const event of [end(2, { seq: 8 }), start(3, { seq: 9, event: 'request', completion_tokens: 7, estimated: true }), start(4, { seq: 10, event: 'request' })]) {
    log.add(event, 2);
  }
  log.only(new Set([2, 3, 4]), 11);
  assert.deepEqual(log.list().map(({ id, running, live }) => [id, running, live]),
    [[2, false, 0], [3, true, 7], [4, false, 0], [5, true, 0]]);
});

test('the counts that are kept equal a recount, in any order of events', () => {
  const log = new RequestLog();
  let seed = 7;
  const random = (n) => { seed = (seed * 16807) % 2147483647; return seed % n; };
  const states = ['running', 'queued', 'running', 'queued', 'finished', 'failed', 'left'];
  let most = 0;
  let last = 0;
  for (let seq = 1; seq <= 6000; seq++) {
    // At first many ids, to reach both limits; later few, so that states change.
    const id = seq < 1500 ? 1 + random(900) : 1 + random(300);
    const late = random(20) === 0 ? 400 : 0; // an old event
    log.add(start(id, { seq: seq - late, model: 'abc'[random(3)], status: seq < 900 ? states[random(4)] : states[random(7)] }), seq);
    if (random(500) === 0) log.restart();
    if (random(300) === 0) log.only(new Set([id]), seq);
    const entries = [...log.entries.values()].sort((a, b) => a.id - b.id);
    const of = (status) => entries.filter((entry) => entry.last.status === status);
    assert.deepEqual(log.list().map((entry) => entry.id), entries.map((entry) => entry.id));
    assert.deepEqual([log.inState('running'), log.inState('queued'), log.active],
      [of('running').length, of('queued').length, entries.filter((entry) => entry.running).length]);
    of('queued').forEach((entry, i) => assert.equal(log.place(entry.id), i + 1));
    assert.ok(log.active <= 256 && entries.length - log.active <= 50);
    most = Math.max(most, log.active);
    if (seq % 50 === 0) {
      const before = new Map(entries.map((entry) => [entry, entry.live]));
      last += 5;
      const own = 1 + random(300);
      log.count([tick(1, { model: 'a', tokens_generated: last, request: own })]);
      const more = seq === 50 ? 1 : 5;
      entries.forEach((entry) => assert.equal(entry.live - before.get(entry), entry.id === own && entry.running ? more : 0));
      assert.deepEqual(new Set(log.silent(seq).entries), new Set(of('running').filter((entry) => Number.isNaN(entry.firstAt))));
    }
  }
  assert.equal(most, 256);
});

/* ---- CSV */

test('CSV is quoted where it must be, and holds no formulas', () => {
  const text = csv(['a', 'b', 'c'], [
    { a: 1.5, b: 'x,y', c: true }, { a: 'say "hi"', c: '=1+1' }, { a: '@cmd', b: '-2', c: -2 }, { a: 'two\nlines', b: null, c: 'ü' }]);
  assert.equal(text, 'a,b,c\r\n1.5,"x,y",true\r\n"say ""hi""",,\'=1+1\r\n\'@cmd,\'-2,-2\r\n"two\nlines",,ü\r\n');
  assert.equal(csv(['a'], []), '');
});

/* ---- scales */

const rowsOf = (...lines) => {
  const rows = new Rows();
  lines.forEach((values, line) => values.forEach((value, i) => rows.add(i, line, value, false)));
  return rows;
};
const steady = (n, value = 40) => Array.from({ length: n }, (_, i) => value + (i % 5));

test('an outlier does not flatten the rest, and is told with its value', () => {
  const rows = rowsOf([...steady(60), 4200, ...steady(60)]);
  const top = fairTop(rows);
  assert.ok(top > 44 && top < 100, String(top));
  assert.deepEqual(outliers(rows, top, 5), [{ x: 60, value: 4200 }]);
  assert.deepEqual(outliers(rows, 5000, 5), []);
});

test('what comes more often, or is not far above the rest, is no outlier', () => {
  assert.ok(fairTop(rowsOf([...steady(60), ...Array(10).fill(4200)])) >= 4200, 'a tenth of them');
  assert.ok(fairTop(rowsOf([...steady(60), 120])) >= 120, 'less than three times the rest');
  assert.ok(fairTop(rowsOf([10, 10, 10, 900])) >= 900, 'of too few values nobody knows what is usual');
  assert.ok(fairTop(rowsOf(steady(60), [900, 910])) >= 910, 'a line that has just begun counts by itself');
  assert.equal(fairTop(rowsOf([])), 1);
  assert.equal(fairTop(rowsOf([0, 0, 0])), 1);
});

test('of outliers near to each other the highest is told; ranges have theirs', () => {
  const rows = rowsOf([...steady(100), 500, 900, 700, ...steady(100), 800]);
  assert.deepEqual(outliers(rows, 100, 10), [{ x: 101, value: 900 }, { x: 203, value: 800 }]);
  const dense = new Rows();
  dense.dense = true;
  steady(100).forEach((value, i) => dense.addRange(i, 0, value - 1, value, i === 50 ? 9000 : value + 1, false));
  assert.ok(fairTop(dense) < 100);
  assert.deepEqual(outliers(dense, fairTop(dense), 10), [{ x: 50, value: 9000 }]);
});

test('a logarithmic scale has whole powers of ten, at most five', () => {
  assert.deepEqual(logRange(rowsOf([20, 4200])), [10, 10_000]);
  assert.deepEqual(logRange(rowsOf([0, 40, 42])), [10, 100], 'nothing is left out of it');
  assert.deepEqual(logRange(rowsOf([0.001, 4200])), [0.1, 10_000]);
  assert.deepEqual(logRange(rowsOf([100])), [100, 1000]);
  assert.deepEqual(logRange(rowsOf([0])), [1, 10]);
});

/* ---- numbers */

test('numbers are short and of a steady width', () => {
  assert.deepEqual([0, 3.816, 9.994, 9.996, 23.44, 99.96, 118.3, 1180, 9999.4, 9999.6, 12_340, 99_960, 118_400, 999_400, 999_960, 1_184_000, 99_999_999, 9.9996e8, 1.18e9, 9.9996e11, 5e15, -1180, NaN].map(short),
    ['0.00', '3.82', '9.99', '10.0', '23.4', '100', '118', '1,180', '9,999', '10.0k', '12.3k', '100k', '118k', '999k', '1.00M', '1.18M', '100M', '1.00G', '1.18G', '1.00T', '5000T', '-1,180', '–']);
  assert.deepEqual([999.4, 999.6, 8157, 12_340].map(milliseconds), [['999', 'ms'], ['1.00', 's'], ['8.16', 's'], ['12.3', 's']]);
  assert.deepEqual([0, 0.004, 0.01, 3.816, NaN, undefined].map(rate), ['0', '0', '0.01', '3.82', '–', '–']);
  assert.deepEqual([0, 0.001, 0.37, 0.995, 0.9999, 1].map(percent), ['0 %', '1 %', '37 %', '99 %', '99 %', '100 %']);
  assert.deepEqual([0.354, 5, 15.2, 60, 90, 300, 900].map(span), ['0.35 s', '5 s', '15 s', '1 min', '90 s', '5 min', '15 min']);
  assert.deepEqual([duration(undefined), duration(8.314), whole(1234567), whole(NaN)], ['–', '8.31 ms', '1,234,567', '–']);
  assert.deepEqual([-1, 42.9, 187, 18_720, 273_600, NaN].map(age), ['0 s', '42 s', '3 min 07 s', '5 h 12 min', '3 d 4 h', '–']);
});

test('a scale ends a little above its highest value, at a round number', () => {
  assert.deepEqual([0, -1, 1, 9.6, 118, 203, 4999, 1e6].map(niceCeiling), [1, 1, 1.2, 12, 150, 250, 6000, 1.2e6]);
});

/* ---- gauges */

test('a gauge keeps its latest value and its history, and no line crosses a silence', () => {
  const gauges = new Gauges();
  const set = (value, at, name = 'temperature') => gauges.add({ gauge: name, unit: 'C', value }, at);
  [[50, 100], [-3, 101], [52, 140], [53, 139]].forEach(([value, at]) => set(value, at)); // a clock that goes back
  set(53, 140); // fetched, and told by an event
  set(7, 141, 'fan');
  const [temperature, fan] = gauges.list;
  assert.deepEqual([temperature.value, temperature.count, fan.value], [53, 4, 7]);
  const rows = new Rows();
  temperature.rows(0, 200, rows);
  assert.deepEqual([rows.top, rows.bottom], [53, -3]);
  assert.deepEqual(rows.y[0], [50, -3, null, 52, 53], 'a break before 52');
});

test('a gauge holds no more than its ring, and the page no more gauges than its list', () => {
  const gauges = new Gauges();
  for (let i = 0; i < 10_000; i++) gauges.add({ gauge: 'g', unit: '', value: i }, i);
  for (let i = 0; i < 100; i++) gauges.add({ gauge: `g${i}`, unit: '', value: i }, i);
  assert.ok(gauges.list.length <= 64);
  const rows = new Rows();
  gauges.list[0].rows(0, 1e9, rows);
  assert.deepEqual([rows.x.length, rows.x[0], rows.x.at(-1)], [4096, 5904, 9999]);
});

/* ---- the past */

/* The server's answers: models a and other, each with these rows; what was asked for is noted. */
function server(rows, asked = []) {
  return async (query) => {
    asked.push(query);
    const model = new URLSearchParams(query.split('?')[1]).get('model');
    const from = Number(new URLSearchParams(query.split('?')[1]).get('from'));
    return { step: 10, models: ['a', 'other'], series: ['time', 'ticks', 'latency_min_ms', 'latency_p50_ms', 'latency_p95_ms', 'tokens_per_second'],
      rows: (model === null ? [] : rows[model] ?? []).filter(([time]) => from < 0 || time >= from) };
  };
}

test('long windows have what the server remembers: gaps where none ran, silence as 0, and later only what is new', async () => {
  const rows = { a: [[1000, 5, 1, 10, 20, 3], [1010, 0, null, null, null, 0], [1020, 5, 2, 11, 21, 4], [1100, 5, 3, 12, 22, 5]] };
  const asked = [];
  const feed = new Feed(1024);
  const past = new Past(feed, server(rows, asked));
  await past.update(3600, 1110);
  assert.deepEqual(past.lanes.map(({ model, latency, rate: r, time }) => [model, latency, r, time]), [['a', 12, 5, 1110]], 'other had no tick');
  const lineOf = new Int8Array(LANES_MAX).fill(-1);
  lineOf[past.lanes[0].index] = 2;
  const out = new Rows();
  past.rows('rate', 0, 2000, lineOf, out);
  assert.deepEqual([out.x, out.y[2]], [[1005, 1015, 1025, 1105, 1105], [3, 0, 4, null, 5]]);
  past.rows('latency', 0, 2000, lineOf, out);
  assert.deepEqual(out.y[2].filter((y) => y !== undefined), [10, null, 11, null, 12]);
  assert.deepEqual([out.low[2][0], out.high[2][0], out.top], [1, 20, 22]);
  const before = asked.length;
  await past.update(3600, 1115);
  assert.equal(asked.length, before, 'nothing can be new yet');
  rows.a.push([1110, 1, 4, 13, 23, 6]);
  await past.update(3600, 1120);
  assert.match(asked[before + 1], /from=1101&model=a$/);
  assert.equal(past.lanes[0].latency, 13);
  past.rows('rate', 1095, 2000, lineOf, out);
  assert.deepEqual(out.y[2], [5, 6]);
  await past.update(86_400, 1121);
  assert.match(asked.at(-1), /step=300&.*from=-86400&model=other$/);
  past.reset();
  assert.deepEqual(past.lanes, []);
});

test('a server whose history fails is asked again, and not at once', async () => {
  let n = 0;
  const past = new Past(new Feed(1024), async () => { n++; throw new Error('down'); });
  await past.update(3600, 1000);
  assert.match(past.problem, /history/);
  await past.update(3600, 1005);
  assert.equal(n, 1);
  await past.update(3600, 1011);
  assert.equal(n, 2);
});

/* ---- where a request's time went */

const lengths = (last, elapsed) => phases(last, elapsed).map(({ kind, ms }) => [kind, Math.round(ms * 10) / 10]);

test('the phases of a request are as long as the request, and what nobody told is among them', () => {
  const told = { duration_ms: 1000, ttft_ms: 400, queue_ms: 50, load_ms: 100, prefill_ms: 200, decode_ms: 550, think_ms: 150 };
  assert.deepEqual(lengths(told), [['queue', 50], ['load', 100], ['prefill', 200], ['first', 50], ['think', 150], ['answer', 400], ['rest', 50]]);
  assert.deepEqual(lengths({ duration_ms: 1000, ttft_ms: 400 }), [['first', 400], ['answer', 600]]);
  assert.deepEqual(lengths({ duration_ms: 1000 }), [['rest', 1000]]);
  assert.deepEqual(lengths({ duration_ms: 1000, queue_ms: 10, prefill_ms: 290, decode_ms: 690 }),
    [['queue', 10], ['prefill', 290], ['first', 10], ['answer', 690]], 'an answer that did not stream');
  assert.deepEqual(lengths({}, 250), [['rest', 250]], 'one that waits for its first token');
  assert.deepEqual(lengths({ ttft_ms: 100 }, 250), [['first', 100], ['answer', 150]], 'one that answers');
});

test('phases that were told too long end where the request does', () => {
  assert.deepEqual(lengths({ duration_ms: 100, ttft_ms: 50, queue_ms: 80, prefill_ms: 30, decode_ms: 900, think_ms: 20 }),
    [['queue', 50], ['think', 20], ['answer', 30]]);
  assert.deepEqual(lengths({ duration_ms: 10, ttft_ms: 50 }), [['first', 10]].map(([, ms]) => ['rest', ms]));
});

test('a phase has its rate, and what came from the cache', () => {
  const [prefill, think, answer] = phases({ duration_ms: 1500, ttft_ms: 500, prefill_ms: 500, prefill_tokens_per_second: 800, prompt_tokens: 500,
    cached_tokens: 100, think_ms: 500, reasoning_tokens: 20, decode_ms: 1000, decode_tokens_per_second: 39 }, 0);
  assert.deepEqual(prefill, { kind: 'prefill', ms: 500, rate: 800, more: '100 of 500 tokens from the cache' });
  assert.equal(think.rate, 40);
  assert.equal(answer.rate, 39);
});

/* ---- the address */

const usual = { span: 60, zoom: null, find: '', opened: 0, sort: '', hidden: null, pins: [], yesterday: false, log: false, versus: null };
const AT = 1_741_478_400;

test('what is seen stands in the address, and is read from it', () => {
  assert.equal(format(usual), '');
  const versus = { a: { model: 'own/a,b&c=ü', from: AT }, b: { model: '', from: AT + 86_400.25 }, length: 900 };
  for (const [state, hash] of [
    [{ ...usual, span: Infinity }, '#w=all'], [{ ...usual, span: 300, opened: 7 }, '#w=300&req=7'],
    [{ ...usual, zoom: [AT + 0.5, AT + 2] }, `#t=${AT}.500,${AT + 2}.000&log=0`], [{ ...usual, find: 'a&b=#ü %' }, '#q=a%26b%3D%23%C3%BC%20%25'],
    [{ ...usual, pins: [AT] }, `#p=${AT}.000&log=0`], [{ ...usual, pins: [AT, AT + 1], yesterday: true, log: true }, `#p=${AT}.000,${AT + 1}.000&y=1&log=1`],
    [{ ...usual, sort: 'ttft', hidden: ['client', 'route'] }, '#s=ttft&h=client,route'], [{ ...usual, sort: 'time,up', hidden: [] }, '#s=time,up&h='],
    [{ ...usual, versus }, `#a=${AT}.000,own%2Fa%2Cb%26c%3D%C3%BC&b=${AT + 86_400}.250,&l=900`],
  ]) {
    assert.equal(format(state), hash);
    assert.deepEqual(parse(hash, 60), state);
    // Of a board whose clock is an hour ahead, it is the same time for every browser.
    assert.deepEqual(parse(format(state, 3600), 60, { skew: 3600 }), state);
  }
  assert.equal(format({ ...usual, zoom: [AT, AT + 2] }, -10.5), `#t=${AT - 11}.500,${AT - 9}.500&log=0`);
  assert.equal(parse('', 60, { log: true }).log, true, 'as this browser has it');
  assert.equal(parse('#log=0', 60, { log: true }).log, false, 'as the link has it');
  assert.deepEqual([parse('', 60, { hidden: ['in'] }).hidden, parse('#h=out,model', 60, { hidden: ['in'] }).hidden], [['in'], ['model', 'out']]);
});

test('what is not understood of an address, or is beyond all reason, is left out', () => {
  assert.deepEqual(parse('', 300), { ...usual, span: 300 });
  for (const hash of ['#w=-1', '#w=x', '#w=1e300', '#w=0.001', '#w=NaN', '#w=Infinity', '#t=5', '#t=5,4', '#t=x,y', '#t=1000,2000', `#t=${AT},1e300`, `#t=${AT},${AT}`,
    `#t=-Infinity,Infinity`, `#t=${AT},9999999999`, `#t=NaN,${AT}`, `#t=${AT},${AT + 1},${AT + 2}`, `#t=,${AT}`, '#req=-3', '#req=1.5', '#req=1e99', '#pair=12345678', '#%', '#&&=', '#q=',
    `#p=${AT + 1},${AT}`, '#p=NaN', '#p=,', `#p=${AT},${AT + 1},${AT + 2}`, '#p=1e99', '#y=2', '#log=yes', `#a=${AT},x`, `#a=${AT},x&b=${AT},y`, `#a=${AT},x&b=${AT},y&l=1e99`,
    `#a=NaN,x&b=${AT},y&l=60`, `#a=${AT},x&b=-1,y&l=60`, '#__proto__=1&constructor=x', '#s=', '#s=x', '#s=ttft,down', '#s=ttft,up,up', '#s=,up', '#s=__proto__', '#s=TTFT', '#h=time', '#h=x', '#h=model,x', '#h=,', '#h=model,',
    `#h=${'model,'.repeat(5000)}x`, `#s=${'ttft,'.repeat(5000)}`, `#p=${'1,'.repeat(5000)}`, `#${'x'.repeat(10_000)}`, `#node=${'n'.repeat(501)}`]) {
    assert.deepEqual(parse(hash, 60), usual, hash.slice(0, 80));
  }
  assert.equal(parse(`#q=${'x'.repeat(10_000)}`, 60).find.length, 500);
  assert.equal(parse(`#a=${AT},${'m'.repeat(10_000)}&b=${AT},y&l=60`, 60).versus.a.model.length, 500);
  assert.equal(format({ ...usual, node: 'pi 5/&' }), '#node=pi%205%2F%26');
  assert.deepEqual([nodeOf('#w=300&node=pi%205%2F%26'), nodeOf('#w=300'), nodeOf(`#node=${'n'.repeat(501)}`), parse('#w=86400&node=pi', 60).span, parse('#w=all&node=pi', 60).span],
    ['pi 5/&', '', '', 300, Infinity], 'what a server keeps of days is its own');
});

/* ---- two models, laid over each other */

test('of ticks: a model in a time, its rates, its latencies, and lines from 0', () => {
  const feed = { ring: new Ring(1024), lanes: [{ model: 'a' }, { model: 'b' }], tokenless: false };
  for (let i = 0; i < 100; i++) { // ten a second from AT on: `a` makes 2 tokens in 10 ms, then for 5 s nothing; `b` 1 in 40 ms
    const pause = i >= 50;
    feed.ring.push(AT + i / 10, AT, pause ? 40 : 10, 0, 0, 0, pause ? 1 : 2, i, pause ? 1 : 0, 0);
  }
  const a = ofTicks(feed, { model: 'a', from: AT }, 10);
  assert.deepEqual([a.tokens, a.mean, a.p50, a.p95], [100, 10, 10, 10]);
  assert.ok(a.busy > 19 && a.busy < 26, `${a.busy}: 20 while it made some`);
  assert.equal(a.x.length, a.rate.length);
  assert.ok(a.x[0] > 0 && a.x.at(-1) < 10);
  assert.deepEqual([a.latency[0], a.latency.at(-1), a.rate.at(-1)], [10, null, 0]);
  const all = ofTicks(feed, { model: '', from: AT + 4 }, 2);
  assert.deepEqual([all.tokens, all.p50, all.p95], [30, 10, 40]);
  const none = ofTicks(feed, { model: 'c', from: AT }, 10);
  assert.deepEqual([none.tokens, none.mean, none.busy, none.p50], [0, 0, NaN, NaN]);
});

test('of rows of the history: the same, and medians by how many ticks each row has', () => {
  const answer = { step: 10, series: ['time', 'ticks', 'tokens', 'latency_p50_ms', 'latency_p95_ms', 'requests'],
    rows: [[AT, 100, 200, 10, 20, 1], [AT + 10, 0, 0, null, null, 0], [AT + 20, 10, 20, 90, 100, 2]] };
  const told = ofRows(answer, AT, 30, false);
  assert.deepEqual(told, { x: [5, 15, 25], rate: [20, 0, 2], latency: [10, null, 90], tokens: 220, mean: 220 / 30, busy: 11, p50: 10, p95: 20 });
  assert.equal(ofRows(answer, AT, 30, true).tokens, 110, 'steps where there are no tokens');
  assert.ok(Number.isNaN(ofRows({ ...answer, rows: [] }, AT, 30, false).mean), 'nothing is known, which is not 0');
  assert.deepEqual([sumOf(answer, 'requests'), sumOf(answer, 'latency_p50_ms'), sumOf(answer, 'watts')], [3, 100, NaN]);
  assert.deepEqual([weighted([3, 1, 2], [1, 1, 1]), weighted([3, NaN, 1], [5, 9, 1]), weighted([], [])], [2, 3, NaN]);
});
