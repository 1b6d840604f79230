/* Gauges pushed from outside: POST /ingest, UDP; their events, GET /gauges. */
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { test } from 'node:test';
import { connect, ingest, isTick, request, run, serve, status, udpPort, validate } from './aidash.mjs';

const isGauge = (event) => event.event === 'gauge';
const gauges = async (server) => validate((await request(server, '/gauges')).json, 'GaugesAnswer').gauges;
const limit = async () => Number((await run(['--sizes'])).stdout.match(/^gauges +(\d+)/m)[1]);

test('a gauge is an event beside the ticks, and GET /gauges has its latest value', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    const viewer = await connect(server);
    assert.deepEqual(await gauges(server), []);
    const sent = { gauge: 'temperature', unit: 'C', value: -61.5, timestamp: 1741478400.123456 };
    assert.equal((await ingest(server, sent)).json.accepted, 1);
    const told = validate(await viewer.next(isGauge));
    assert.deepEqual(told, { event: 'gauge', seq: 1, ...sent });
    await ingest(server, { tokens: 1, latency_ms: 1 }, { gauge: 'fan', value: 0 });
    assert.equal((await viewer.tick()).tokens_generated, 1);
    const fan = validate(await viewer.next((event) => isGauge(event) && event.gauge === 'fan'));
    assert.deepEqual([fan.unit, fan.value], ['', 0]);
    assert.ok(Math.abs(fan.timestamp - Date.now() / 1000) < 60);
    assert.deepEqual((await gauges(server)).map(({ gauge, unit, value }) => [gauge, unit, value]), [['temperature', 'C', -61.5], ['fan', '', 0]]);
    assert.equal((await request(server, '/gauges', { method: 'HEAD' })).status, 200);
    assert.equal((await request(server, '/gauges', { method: 'POST' })).status, 405);
});

test('of values that come fast, viewers get some and at last the latest', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    const viewer = await connect(server);
    await ingest(server, ...Array.from({ length: 500 }, (_, value) => ({ gauge: 'g', value })));
    assert.equal((await viewer.next(isGauge)).value, 0, 'the first at once');
    await viewer.next((event) => isGauge(event) && event.value === 499, 'latest value');
    assert.ok(viewer.events.filter(isGauge).length < 100, 'and far from all');
});

test('numbers pass with twelve digits, whatever their size', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    const values = [0, -0.000123456789012, 1e-99, -1e99, 123456789012, 0.1];
    await ingest(server, ...values.map((value, i) => ({ gauge: `g${i}`, value })));
    assert.deepEqual((await gauges(server)).map(({ value }) => value), values);
});

test('a gauge that is wrong is refused with a sentence', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    for (const [line, reason] of [
        ['{"gauge":"","value":1}', /^"gauge" must be/], ['{"gauge":7,"value":1}', /^"gauge" must be/],
        [`{"gauge":"${'g'.repeat(32)}","value":1}`, /^"gauge" must be/], ['{"gauge":"a\\u0000b","value":1}', /^"gauge" must be/],
        [`{"gauge":"g","unit":"${'u'.repeat(16)}","value":1}`, /^"unit" must be/],
        ['{"gauge":"g"}', /^"value" must be/], ['{"gauge":"g","value":"1"}', /^"value" must be/], ['{"gauge":"g","value":1e999}', /^"value" must be/],
        ['{"gauge":"g","value":1,"timestamp":-1}', /^"timestamp" must be/],
    ]) {
        const { errors, accepted } = (await ingest(server, line)).json;
        assert.equal(accepted, 0, line);
        assert.match(errors[0].message, reason, line);
    }
    assert.deepEqual(await gauges(server), []);
    await ingest(server, { gauge: 'g'.repeat(31), unit: 'u'.repeat(15), value: 1 });
    assert.equal((await gauges(server)).length, 1, 'the longest names are taken');
});

test('one gauge more than AIDASH_GAUGES replaces the one that was set the longest ago', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    const n = await limit();
    await ingest(server, ...Array.from({ length: n }, (_, i) => ({ gauge: `g${i}`, value: i })), { gauge: 'g0', value: 100 });
    assert.equal((await gauges(server)).length, n);
    await ingest(server, { gauge: 'new', value: 1 });
    const names = (await gauges(server)).map(({ gauge }) => gauge);
    assert.equal(names.length, n);
    assert.deepEqual(['g0', 'g1', 'new'].map((name) => names.includes(name)), [true, false, true]);
});

test('a gauge by UDP does not end the simulator', async (t) => {
    const server = await serve(t, ['--udp', '127.0.0.1:0', '--rate', '50']);
    const viewer = await connect(server);
    const socket = dgram.createSocket('udp4');
    t.after(() => socket.close());
    socket.send('{"gauge":"volt","unit":"V","value":5.02}\n{"gauge":"amp","unit":"A","value":0.7}', await udpPort(server), '127.0.0.1');
    assert.equal((await viewer.next(isGauge)).value, 5.02);
    assert.equal((await viewer.next(isGauge)).value, 0.7);
    await viewer.tick();
    assert.equal((await status(server)).source, 'sim');
    assert.ok(viewer.events.some(isTick));
});
