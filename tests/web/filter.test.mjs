/* The filter: what a text asks for; which requests, lanes and ticks pass; the rates and quantiles of what passes. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { decimate, Rows } from '../../www/decimate.js';
import { Feed } from '../../www/feed.js';
import { Filter, parse, withTerm } from '../../www/filter.js';
import { RequestLog } from '../../www/requests.js';
import { quantiles, rates, sums } from '../../www/statistics.js';
import { Store } from '../../www/store.js';

test('every word has to be there; of one field, either; in quotes, the whole', () => {
  const is = { model: 'hf.co/Own/llama3:8b', client: 'nightly job', route: '/v1/chat/completions', outcome: 'left: client left', node: '', id: '7' };
  for (const [text, passes] of [
    ['', true], ['  ', true], ['LLAMA', true], ['llama3:8b', true], ['llama mistral', false], ['llama nightly', true], ['7', true],
    ['model:llama', true], ['model:nightly', false], ['client:nightly', true], ['client:"nightly job"', true], ['client:"nightly"', false],
    ['"nightly job"', true], ['"job nightly"', false], ['outcome:left', true], ['outcome:finished', false], ['outcome:finished outcome:left', true],
    ['node:""', true], ['node:jetson', false], ['route:/v1', true], ['Model:LLAMA', true], ['model:', true], ['model:llama client:other', false], ['client:"night', false],
    ['constructor', false], ['__proto__:x', false],
  ]) assert.equal(parse(text)(is), passes, text);
  assert.equal(parse('client:nightly')({ model: 'a', node: '' }), false, 'what is not known does not pass');
});

test('a term of a field is set, and taken away', () => {
  assert.equal(withTerm('a node:x b', 'node', 'two words'), 'a b node:"two words"');
  assert.equal(withTerm('model:"x" model:y', 'model', null), '');
});

/* Two clients of one model, whose ticks alternate; another model on another node. */
function world() {
  const feed = new Feed(1 << 10);
  const requests = new RequestLog();
  const store = new Store();
  const filter = new Filter(store, { feed, requests, node: '' });
  const start = (id, client, status = 'running') => ({ event: 'request_start', id, seq: id, model: 'm', route: '/api/chat', client, status });
  requests.add(start(1, 'anna'), 100);
  requests.add(start(2, 'bob'), 100);
  for (let i = 0; i < 40; i++) {
    const at = 100 + i / 4;
    feed.add([{ model: 'm', tokens_generated: 2 * i + 1, latency_ms: i % 2 ? 50 : 10, tokens_per_second: 8, timestamp: at, request: 1 + (i % 2) },
      { model: 'n', node: 'jetson', tokens_generated: i + 1, latency_ms: 99, tokens_per_second: 4, timestamp: at }], 2 * i + 1, at);
  }
  return { feed, ring: feed.ring, requests, store, filter, end: 109.75, set: (find) => store.set({ find }) };
}
const near = (value, wanted) => assert.ok(Math.abs(value - wanted) < 0.6, `${value}, not ${wanted}`);

test('lanes and ticks pass by their model and node, and ticks by their request', () => {
  const { feed: { ring, lanes: [m, n] }, filter, set } = world();
  const shown = () => { const passes = filter.ticks(); return Array.from({ length: ring.end }, (_, i) => i).filter((i) => passes(i)).length; };
  assert.equal(filter.ticks(), null);
  assert.equal(filter.on, false);
  set('node:"jetson"');
  assert.deepEqual([filter.lane(m), filter.lane(n), shown()], [false, true, 40]);
  set('client:anna');
  assert.deepEqual([filter.lane(m), filter.whole(m), filter.lane(n), shown()], [true, false, false, 20]);
  set('m');
  assert.deepEqual([filter.whole(m), shown()], [true, 40]);
  set('client:carl');
  assert.deepEqual([filter.lane(m), shown()], [false, 0]);
});

test('rates, peaks and quantiles are of what passes', () => {
  const { ring, filter, set, end } = world();
  near(rates(ring, 101, end, false).mean, 12);
  set('client:bob');
  const passes = filter.ticks();
  near(rates(ring, 101, end, false, passes).mean, 4);
  near(rates(ring, 101, end, false, passes).peak, 4);
  near(rates(ring, 101, end, true, passes).mean, 2);
  assert.deepEqual(quantiles(ring, 0, ring.end, [0.5, 1], passes), [50, 50]);
  set('m');
  near(sums(ring, ring.find(105), ring.end, false, filter.ticks())[(ring.end - 1) & ring.mask], 8);
  set('');
  near(sums(ring, ring.find(105), ring.end, false, filter.ticks(), true)[(ring.end - 1) & ring.mask], 4);
  near(sums(ring, ring.find(105), ring.end, false, filter.ticks(), false)[(ring.end - 1) & ring.mask], 12);
});

test('with a filter the rate is right from the first second on, wherever the count of a model stands', () => {
  const { ring, feed, filter, set } = world();
  const from = ring.end;
  for (let i = 0; i < 40; i++) { // a model of 20 tokens/s that ran before the page was opened
    feed.add([{ model: 'late', tokens_generated: 5000 + 5 * i, latency_ms: 20, tokens_per_second: 20, timestamp: 200 + i / 4 }], 2000 + i, 200 + i / 4);
  }
  set('model:late');
  const found = sums(ring, from, ring.end, false, filter.ticks(), true);
  for (let i = from; i < ring.end; i++) {
    assert.ok(Math.abs(found[i & ring.mask] - 20) <= 2.6, `${found[i & ring.mask]} after ${(i - from) / 4} s`);
  }
});

test('where other requests ran, the line of a request is broken', () => {
  const { feed, ring, requests, filter, set } = world();
  requests.add({ event: 'request_start', id: 3, seq: 3, model: 'm', route: '/api/chat', client: 'anna', status: 'running' }, 120);
  for (let i = 0; i < 40; i++) { // bob for ten seconds, then anna
    feed.add([{ model: 'm', tokens_generated: 100 + i, latency_ms: 20, tokens_per_second: 4, timestamp: 110 + i / 4, request: i < 30 ? 2 : 3 }], 1000 + i, 110 + i / 4);
  }
  set('client:anna');
  const rows = new Rows();
  const lineOf = new Int8Array(64).fill(-1);
  lineOf[0] = 0;
  decimate(ring, { values: ring.latency, from: 0, to: ring.end, lineOf, width: 0.01, passes: filter.ticks() }, rows);
  const values = rows.y[0].filter((value) => value !== undefined);
  assert.deepEqual([values.length, values.indexOf(null), values.filter((value) => value === null).length], [31, 20, 1]);
  assert.equal(rows.latest(0), 119.75);
});
