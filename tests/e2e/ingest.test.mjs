/* Ticks pushed from outside: stdin, UDP datagrams, POST and PUT /ingest. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import WebSocket from 'ws';
import {
    Raw, SLOW, assertGrownAtMost, assertRefused, connect, exchange, ingest, isStatus, isTick, poll, post,
    request, residentKb, serve, sleep, status, statusWhen, udpPort, validate, within,
} from './aidash.mjs';

const none = (t, ...args) => serve(t, ['--source', 'none', ...args]);

function assertTaken({ accepted, rejected, errors }, count) {
    assert.deepEqual([accepted, rejected, errors], [count, 0, []]);
}

async function piped(t, ...args) {
    const server = await serve(t, ['--stdin', ...args], { input: '' });
    const viewer = await connect(server);
    return { server, viewer, stdin: server.proc.stdin };
}

/* ---- what a line may hold ------------------------------------------------------------- */

test('a whole tick passes as it is', async (t) => {
    const server = await none(t);
    const viewer = await connect(server);
    const tick = { model: 'llama3', tokens_generated: 47, latency_ms: 118.3, tokens_per_second: 3.82,
        timestamp: 1741478400.123456 };
    assertTaken((await ingest(server, tick)).json, 1);
    assert.deepEqual(await viewer.tick(), { event: 'inference_tick', ...tick });
    assert.deepEqual(Object.keys(viewer.events.at(-1)), ['event', ...Object.keys(tick)]);
    await ingest(server, { event: 'inference_tick', ...tick, tokens_generated: 40 });
    assert.equal((await viewer.tick()).tokens_generated, 40, 'a given count replaces');
});

test('tokens add up for each model, with latency, rate and time completed', async (t) => {
    const server = await none(t);
    const viewer = await connect(server);
    const before = Date.now() / 1000;
    await ingest(server, { tokens: 3, latency_ms: 41.5, model: 'yolo' });
    const first = await viewer.tick();
    assert.deepEqual([first.model, first.tokens_generated, first.latency_ms], ['yolo', 3, 41.5]);
    assert.ok(first.timestamp >= before - 0.01 && first.timestamp <= Date.now() / 1000 + 0.01);
    await ingest(server, { tokens: 4, model: 'other' });
    assert.equal((await viewer.tick()).tokens_generated, 4);
    await sleep(600);
    await ingest(server, { tokens: 2, model: 'yolo' });
    const second = await viewer.tick();
    assert.equal(second.tokens_generated, 5);
    assert.ok(second.latency_ms >= 590);
    assert.ok(Math.abs(second.latency_ms - (second.timestamp - first.timestamp) * 1000) < 300,
        `latency ${second.latency_ms} since the previous tick`);
    await ingest(server, { tokens_generated: 100, model: 'yolo' });
    await ingest(server, { tokens: 1, model: 'yolo' });
    assert.equal((await viewer.tick()).tokens_generated, 100);
    assert.equal((await viewer.tick()).tokens_generated, 101, 'tokens add to a count that was given');
});

test('a latency alone is a tick that adds no tokens', async (t) => {
    const server = await none(t);
    const viewer = await connect(server);
    await ingest(server, { latency_ms: 20.5 });
    const tick = await viewer.tick();
    assert.deepEqual([tick.model, tick.latency_ms, tick.tokens_generated], ['default', 20.5, 0]);
    await ingest(server, { tokens: 0 }, { latency_ms: 0 }, { tokens_generated: 0 });
    for (let i = 0; i < 3; i++) {
        assert.equal((await viewer.tick()).tokens_generated, 0);
    }
});

test('a line without a model counts for the active one', async (t) => {
    const server = await none(t, '--models', 'a,b');
    const viewer = await connect(server);
    await ingest(server, { tokens: 1 });
    assert.equal((await viewer.tick()).model, 'a');
    await viewer.command({ action: 'switch_model', model: 'b' });
    await ingest(server, { tokens: 1 });
    assert.equal((await viewer.tick()).model, 'b');
});

test('a new model is told to all and can be switched to', async (t) => {
    const server = await none(t);
    const viewer = await connect(server);
    assert.deepEqual([viewer.hello.model, viewer.hello.models], ['', []]);
    await ingest(server, { tokens: 1, model: 'yolo' });
    const told = await viewer.next(isStatus);
    assert.deepEqual([told.model, told.models], ['yolo', ['yolo']]);
    await ingest(server, { tokens: 1, model: 'späti-✓' });
    assert.deepEqual((await viewer.next(isStatus)).models, ['yolo', 'späti-✓']);
    assert.equal((await viewer.command({ action: 'switch_model', model: 'späti-✓' })).event, 'ack');
    await ingest(server, { tokens: 1 });
    assert.equal((await viewer.tick((tick) => tick.tokens_generated === 2)).model, 'späti-✓');
});

test('ticks that name a node are a board of GET /nodes; one that has a link speaks for itself', async (t) => {
    const server = await serve(t, ['--source', 'none', '--ingest', 'open', '--udp', '127.0.0.1:0']);
    const nodes = async () => validate((await request(server, '/nodes')).json, 'NodesAnswer').nodes;
    assert.equal((await ingest(server, { tokens: 5, model: 'yolo', node: 'pi' })).json.accepted, 1);
    const socket = dgram.createSocket('udp4');
    t.after(() => socket.close());
    const port = await udpPort(server);
    await poll(async () => {
        socket.send('{"tokens":1,"node":"esp"}', port, '127.0.0.1');
        return (await nodes()).length === 2;
    }, 'both boards');
    const [pi, esp] = await nodes();
    assert.deepEqual([pi.node, pi.state, pi.model, pi.tokens, esp.node, esp.state], ['pi', 'live', 'yolo', 5, 'esp', 'live']);
    assert.equal((await status(server)).nodes, 2);

    const link = new WebSocket(`ws://127.0.0.1:${server.port}/forward?node=jetson&run=a`);
    t.after(() => link.terminate());
    await once(link, 'message');
    const { accepted, errors } = (await ingest(server, { tokens: 5, node: 'jetson' }, { tokens: 1, node: 'pi' })).json;
    assert.equal(accepted, 1);
    assert.match(errors[0].message, /sends its own events; give these ticks another name/);
    assert.equal((await status(server)).counters.relay_ignored, 1);
});

test('a node is named after the six fields and has a series of its own', async (t) => {
    const server = await none(t);
    const viewer = await connect(server);
    await ingest(server, { tokens: 5, latency_ms: 1, model: 'yolo', node: 'pi-2' },
        { tokens: 1, latency_ms: 1, model: 'yolo' }, { tokens: 1, latency_ms: 1, model: 'yolo', node: 'pi-2' });
    const [first, own, second] = [await viewer.tick(), await viewer.tick(), await viewer.tick()];
    assert.deepEqual(Object.keys(first), ['event', 'model', 'tokens_generated', 'latency_ms',
        'tokens_per_second', 'timestamp', 'node']);
    assert.deepEqual([first.node, first.tokens_generated], ['pi-2', 5]);
    assert.deepEqual([own.node, own.tokens_generated], [undefined, 1]);
    assert.deepEqual([second.node, second.tokens_generated], ['pi-2', 6]);
});

test('while paused, pushed ticks count but are not sent', async (t) => {
    const server = await none(t);
    const viewer = await connect(server);
    await ingest(server, { tokens: 1, latency_ms: 1 });
    await viewer.command({ action: 'pause' });
    await ingest(server, { tokens: 10, latency_ms: 1 }, { tokens: 20, latency_ms: 1 });
    assert.equal((await statusWhen(server, (now) => now.counters.paused_dropped === 2)).paused, true);
    await viewer.command({ action: 'resume' });
    await ingest(server, { tokens: 1, latency_ms: 1 });
    await viewer.tick((tick) => tick.tokens_generated === 32);
    assert.deepEqual(viewer.events.filter(isTick).map((tick) => tick.tokens_generated), [1, 32]);
});

const BAD_LINES = ['x', '{', '[]', '1', 'null', '"x"', '{}', '{"model":"a"}', '{"latency_ms":"1"}', '{"latency_ms":null}',
    '{"latency_ms":-1}', '{"latency_ms":1e10}', '{"latency_ms":1e400}', '{"latency_ms":NaN}', '{"latency_ms":01}',
    '{"tokens":-1}', '{"tokens":1.5}', '{"tokens":1000000001}', '{"tokens":1e30}', '{"tokens":true}', '{"tokens":[1]}',
    '{"tokens_generated":-1}', '{"tokens_generated":9007199254740994}', '{"tokens_generated":0.5}',
    '{"tokens":1,"model":""}', '{"tokens":1,"model":5}', `{"tokens":1,"model":"${'m'.repeat(64)}"}`,
    '{"tokens":1,"model":"a\\u0000b"}', '{"tokens":1,"model":"a\\nb"}', '{"tokens":1,"model":"\\ud800"}',
    '{"tokens":1,"model":"\\u007f"}', '{"tokens":1,"node":""}', '{"tokens":1,"node":7}',
    `{"tokens":1,"node":"${'n'.repeat(32)}"}`, '{"tokens":1,"timestamp":"now"}', '{"tokens":1,"timestamp":-1}',
    '{"tokens":1,"timestamp":1e400}', '{"tokens":1,"tokens_per_second":-1}', '{"tokens":1,"tokens_per_second":1e999}',
    '{"tokens":1}}', '{"tokens":1,}', '{"tokens":1}{"tokens":1}', `{"tokens":1,"x":"${'x'.repeat(4096)}"}`,
    '['.repeat(2000)];

test('each bad line is refused with a reason and stops nothing', async (t) => {
    const server = await none(t);
    const viewer = await connect(server);
    for (const line of BAD_LINES) {
        const answer = await ingest(server, line);
        const what = line.slice(0, 60);
        assert.equal(answer.status, 400, what);
        assert.deepEqual([answer.json.accepted, answer.json.rejected], [0, 1], what);
        assert.equal(answer.json.errors[0].line, 1);
        assert.ok(answer.json.errors[0].message.length > 5);
    }
    await ingest(server, { tokens: 1 });
    assert.equal((await viewer.tick()).tokens_generated, 1);
    const now = await status(server);
    assert.deepEqual(now.models, ['default']);
    assert.equal(now.counters.ingest_errors, BAD_LINES.length);
    assert.equal(now.counters.ingest_lines, BAD_LINES.length + 1);
});

test('names at their longest, escaped and not, come out as they went in', async (t) => {
    const server = await none(t);
    const viewer = await connect(server);
    for (const model of ['m'.repeat(63), 'é'.repeat(31), '😀'.repeat(15), 'a b', '"\\/', '</script>', '\u2028']) {
        await ingest(server, `{"tokens":1,"model":${JSON.stringify(model)},"node":"${'n'.repeat(31)}"}`);
        assert.equal((await viewer.tick()).model, model);
    }
    await ingest(server, '{"tokens":1,"model":"\\u00e9\\ud83d\\ude00"}');
    assert.equal((await viewer.tick()).model, 'é😀');
    await ingest(server, { latency_ms: 1e9, tokens: 1e9, model: 'max' });
    const tick = await viewer.tick();
    assert.deepEqual([tick.latency_ms, tick.tokens_generated], [1e9, 1e9]);
    await ingest(server, { tokens_generated: 2 ** 53, model: 'max' });
    assert.equal((await viewer.tick()).tokens_generated, 2 ** 53);
});

test('more model names than there is room for neither grow memory nor stop the stream', async (t) => {
    const server = await none(t);
    const viewer = await connect(server);
    await ingest(server, ...Array.from({ length: 10_000 }, () => '{"latency_ms":1}')); /* touches all that is kept */
    const names = (from) => Array.from({ length: 500 }, (_, i) => ({ tokens: 1, model: `model-${from + i}` }));
    await ingest(server, ...names(0));
    const kb = residentKb(server);
    for (let from = 500; from < 5000; from += 500) {
        await ingest(server, ...names(from));
    }
    assertGrownAtMost(server, kb, 256);
    const { models, model } = await status(server);
    assert.ok(models.length >= 8 && models.length <= 500, `${models.length} models`);
    assert.equal(new Set(models).size, models.length);
    await ingest(server, { tokens: 1, model });
    await viewer.tick((tick) => tick.model === model && tick.tokens_generated === 1);
});

/* ---- stdin -------------------------------------------------------------------------------- */

test('stdin: lines may come in pieces, end in CRLF, be empty, or lack the last newline', async (t) => {
    const { server, viewer, stdin } = await piped(t);
    assert.equal(viewer.hello.source, 'stdin');
    stdin.write('{"tokens":');
    await statusWhen(server, (now) => now.uptime_s > 0.05);
    stdin.write('1}\n{"tokens":2}\r\n\n\r\n   \n{"tokens"');
    assert.equal((await viewer.tick()).tokens_generated, 1);
    assert.equal((await viewer.tick()).tokens_generated, 3);
    stdin.end(':4}');
    assert.equal((await viewer.tick()).tokens_generated, 7);
    assert.equal((await viewer.next((e) => isStatus(e) && e.source_state === 'ended')).source, 'stdin');
    const now = await status(server);
    assert.equal(now.source_state, 'ended');
    assert.equal(now.counters.ingest_errors, 0);
    assert.equal(now.counters.ingest_lines, 3);
    assert.equal((await viewer.command({ action: 'pause' })).event, 'ack', 'it still serves');
});

test('stdin: a line of 4096 bytes is read, longer ones are skipped whole', async (t) => {
    const { server, viewer, stdin } = await piped(t);
    const line = (length) => `{"tokens":1,"x":"${'x'.repeat(length - 19)}"}`;
    stdin.write(`${[4096, 4097, 100000].map(line).join('\n')}\n${line(4096)}\r\n${line(4097)}\r\n{"tokens":1}\n`);
    await viewer.tick((tick) => tick.tokens_generated === 3);
    const { counters } = await status(server);
    assert.deepEqual([counters.ingest_lines, counters.ingest_errors], [6, 3]);
});

test('stdin: bad lines are logged with their number, and garbage does no harm', async (t) => {
    const { server, viewer, stdin } = await piped(t);
    stdin.write('{"tokens":1}\n{"tokens":\n');
    await server.logged(/stdin.*line 2\b|line 2\b.*stdin|stdin:2\b/);
    const garbage = Buffer.alloc(300000);
    for (let i = 0; i < garbage.length; i++) {
        garbage[i] = (i * 7919 + (i >> 3)) & 0xff;
    }
    stdin.write(garbage);
    stdin.write('\n{"tokens":41}\n');
    await viewer.tick((tick) => tick.tokens_generated === 42);
    assert.ok(server.stderr().length < 20000, 'the log is bounded');
});

test('stdin: 100,000 lines are all counted', async (t) => {
    const { viewer, server, stdin } = await piped(t, '--backlog', '500');
    stdin.end('{"tokens":1,"latency_ms":1}\n'.repeat(100000));
    await viewer.next((e) => isStatus(e) && e.source_state === 'ended', 'end of stdin', 20000 * SLOW);
    assert.equal((await request(server, '/ticks?last=1')).json.ticks[0].tokens_generated, 100000);
    const { counters } = await status(server);
    assert.deepEqual([counters.ingest_lines, counters.ingest_errors, counters.inbox_dropped], [100000, 0, 0]);
});

test('stdin: a closed pipe at the start ends the source, not the server', async (t) => {
    const server = await serve(t, ['--stdin']);
    assert.equal((await statusWhen(server, (now) => now.source_state === 'ended')).source, 'stdin');
    await ingest(server, { tokens: 1 });
    assert.equal((await status(server)).counters.ticks, 1);
});

test('a shell pipeline feeds it with one line', async (t) => {
    const server = await none(t);
    if (spawnSync('curl', ['--version']).error) {
        t.skip('curl is not installed');
        return;
    }
    const feeder = spawn('sh', ['-c', `printf '{"tokens":1}\\n{"tokens":2}\\n' | curl -sS -T - ${server.url}/ingest`],
        { stdio: ['ignore', 'pipe', 'inherit'] });
    const [[answer]] = await Promise.all([once(feeder.stdout, 'data'), once(feeder, 'close')]);
    assertTaken(JSON.parse(answer), 2);
});

/* ---- UDP ------------------------------------------------------------------------------------- */

async function sender(t, server) {
    const port = await udpPort(server);
    const socket = dgram.createSocket('udp4');
    t.after(() => socket.close());
    return (bytes) => new Promise((done) => { socket.send(bytes, port, '127.0.0.1', done); });
}

test('UDP: a datagram holds one line or many, with or without a last newline', async (t) => {
    const server = await none(t, '--udp', '127.0.0.1:0');
    const viewer = await connect(server);
    const send = await sender(t, server);
    for (const [datagram, count] of [['{"tokens":1}', 1], ['{"tokens":1}\n', 2], ['{"tokens":1}\r\n{"tokens":1}', 4],
        ['\n\n{"tokens":1}\n\n', 5], ['{"tokens":1}\n'.repeat(40), 45]]) {
        await send(datagram);
        await viewer.tick((tick) => tick.tokens_generated === count);
    }
    const { counters } = await status(server);
    assert.deepEqual([counters.ticks, counters.ingest_errors], [45, 0]);
});

test('UDP: bad datagrams are counted and the next good one is read', async (t) => {
    const server = await none(t, '--udp', '127.0.0.1:0');
    const viewer = await connect(server);
    const send = await sender(t, server);
    const bad = ['x', '{', Buffer.from([0, 1, 2, 255]), 'x'.repeat(5000), '{"tokens":1', `{"tokens":1,"x":"${'x'.repeat(60000)}"}`];
    for (const datagram of bad) {
        await send(datagram);
    }
    await send('');
    await send('{"tokens":1}\nbad\n{"tokens":1}');
    await viewer.tick((tick) => tick.tokens_generated === 2);
    assert.equal((await status(server)).counters.ingest_errors, bad.length + 1);
});

test('UDP: of a datagram with more ticks than are kept, a viewer gets all or is told exactly what it lost', async (t) => {
    const server = await none(t, '--udp', '127.0.0.1:0');
    const viewer = await connect(server);
    const send = await sender(t, server);
    await send('{"tokens":1}\n'.repeat(5000));
    await viewer.tick((tick) => tick.tokens_generated === 5000);
    const { next_seq: end } = await status(server);
    const lost = viewer.events.findLast((event) => event.dropped !== undefined)?.dropped ?? 0;
    const shared = viewer.events.filter((event) => event.event !== 'hello' && event.dropped === undefined);
    assert.equal(shared.length + lost, end - viewer.events[0].next_seq);
    assert.equal((await status(server)).counters.dropped, lost);
});

test('UDP: a flood harms nobody', async (t) => {
    const server = await none(t, '--udp', '127.0.0.1:0');
    const viewer = await connect(server);
    const send = await sender(t, server);
    for (let i = 0; i < 200; i++) {
        await Promise.all(Array.from({ length: 50 }, () => send('{"tokens":1}')));
    }
    assert.equal((await viewer.command({ action: 'resume' })).event, 'ack');
    /* The system drops what a busy machine has no time to read. */
    await poll(async () => {
        await Promise.all(Array.from({ length: 50 }, () => send('{"tokens":1}')));
        return (await status(server)).counters.ticks > 1000;
    }, 'a thousand of them');
});

/* ---- HTTP ------------------------------------------------------------------------------------ */

test('POST: counts and the first five errors are answered with their line numbers', async (t) => {
    const server = await none(t);
    const answer = await ingest(server, '{"tokens":1}', '', 'x', '{"tokens":1}', '{}', 'x', 'x', 'x', 'x', '{"tokens":1}');
    assert.equal(answer.status, 200);
    assert.deepEqual([answer.json.accepted, answer.json.rejected], [3, 6]);
    assert.deepEqual(answer.json.errors.map((error) => error.line), [3, 5, 6, 7, 8]);
});

test('POST: an empty body is accepted as nothing', async (t) => {
    const server = await none(t);
    for (const body of ['', '\n', '\r\n \n']) {
        const answer = await post(server, '/ingest', body);
        assert.equal(answer.status, 200, JSON.stringify(body));
        assertTaken(answer.json, 0);
    }
});

test('POST: one object printed over several lines is one tick', async (t) => {
    const server = await none(t);
    const body = JSON.stringify({ tokens: 3, latency_ms: 1.5, model: 'yolo' }, null, 2);
    assertTaken((await post(server, '/ingest', body, { 'Content-Type': 'application/json' })).json, 1);
});

test('POST: lines are taken under any content type', async (t) => {
    const server = await none(t);
    for (const type of ['application/json', 'application/x-ndjson', 'text/plain', 'application/x-www-form-urlencoded']) {
        assertTaken((await post(server, '/ingest', '{"tokens":1}', { 'Content-Type': type })).json, 1);
        assertTaken((await post(server, '/ingest', '{"tokens":1}\n{"tokens":2}\n', { 'Content-Type': type })).json, 2);
    }
});

const CHUNKED = 'POST /ingest HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n';
const chunk = (data) => `${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`;
const answerOf = (bytes) => JSON.parse(bytes.slice(bytes.indexOf('\r\n\r\n')));

test('POST: chunks may cut lines anywhere', async (t) => {
    const server = await none(t);
    const body = '{"tokens":1,"model":"é"}\n{"tokens":2}\nbad\n{"tokens":3}';
    for (const size of [1, 2, 7, 13, 1000]) {
        const pieces = Buffer.from(body).toString('latin1').match(new RegExp(`[^]{1,${size}}`, 'g'));
        const bytes = Buffer.from(`${CHUNKED}${pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`)
            .join('')}0\r\n\r\n`, 'latin1');
        const { accepted, rejected, errors } = answerOf(await exchange(server, bytes));
        assert.deepEqual([accepted, rejected, errors[0].line], [3, 1, 3], `chunks of ${size}`);
    }
});

test('POST: a chunked request sent byte by byte is read, trailers and extensions too', async (t) => {
    const server = await none(t);
    const raw = await Raw.connect(server);
    await raw.dribble(`${CHUNKED}d;x=y\r\n{"tokens":1}\n\r\nC\r\n{"tokens":2}\r\n0\r\nX-Sum: 1\r\n\r\n`);
    assertTaken(answerOf(await raw.rest()), 2);
});

test('POST: broken chunks end the request and harm nobody', async (t) => {
    const server = await none(t);
    for (const bad of ['zz\r\n{"tokens":1}\r\n', '-5\r\nhello\r\n', 'ffffffffffffffff\r\nx', '5\r\n{"tokens":1}\n\r\n0\r\n\r\n',
        `${'0'.repeat(5000)}1\r\nx\r\n`, '7fffffffffffffff\r\nx']) {
        const raw = await Raw.connect(server);
        raw.write(CHUNKED + bad);
        raw.socket.end();
        await within(raw.closed, `end after ${bad.slice(0, 20)}`);
    }
    assert.equal((await ingest(server, { tokens: 1 })).json.accepted, 1);
});

test('POST: Expect: 100-continue is answered before the body', async (t) => {
    const server = await none(t);
    const raw = await Raw.connect(server);
    raw.write('POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n');
    await raw.until((bytes) => bytes.includes('HTTP/1.1 100 Continue\r\n\r\n'));
    raw.write('{"tokens":1}');
    assert.match(await raw.rest(), /HTTP\/1\.1 200 [^]*"accepted":1/);
});

test('POST: the ticks of an endless stream arrive while it is open', async (t) => {
    const server = await none(t);
    const viewer = await connect(server);
    const streams = [];
    for (let i = 0; i < 12; i++) {
        const raw = await Raw.connect(server);
        raw.write(CHUNKED);
        streams.push(raw);
    }
    for (let round = 1; round <= 3; round++) {
        for (const [i, raw] of streams.entries()) {
            raw.write(chunk(`{"tokens":1,"model":"m${i}"}\n`));
        }
        const got = new Set();
        while (got.size < streams.length) {
            const tick = await viewer.tick((each) => each.tokens_generated === round);
            got.add(tick.model);
        }
        assert.equal((await request(server, '/healthz')).status, 200, 'others are still answered');
    }
    for (const raw of streams) {
        raw.write('0\r\n\r\n');
        assertTaken(answerOf(await raw.rest()), 3);
    }
});

test('POST: a stream that breaks off keeps its whole lines', async (t) => {
    const server = await none(t);
    const viewer = await connect(server);
    const raw = await Raw.connect(server);
    raw.write(`${CHUNKED}${chunk('{"tokens":1}\n{"tok')}`);
    await viewer.tick();
    raw.reset();
    await ingest(server, { tokens: 1 });
    assert.equal((await viewer.tick()).tokens_generated, 2);
    const cut = await Raw.connect(server);
    cut.write('POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"tokens":1}\n{"tokens":1}');
    cut.socket.end();
    assert.match(await cut.rest(), /^HTTP\/1\.1 400 [^]*"the body ended before its end"/);
    assert.equal((await viewer.tick()).tokens_generated, 3);
});

test('POST: who waits for 100 Continue and shuts its sending side is answered, RFC 9112 8', async (t) => {
    const server = await none(t);
    for (const [fields, body] of [['Content-Length: 12', ''], ['Content-Length: 12', '{"tokens":1'], ['Transfer-Encoding: chunked', 'c\r\n{"tokens":1}\r\n'],
        ['Content-Type: application/json\r\nContent-Length: 13', '{"tokens":1}']]) {
        for (const where of ['/ingest', '/command']) {
            for (const early of [true, false]) {
                const raw = await Raw.connect(server);
                raw.write(`POST ${where} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\nExpect: 100-continue\r\n\r\n`);
                if (!early) {
                    await raw.until((bytes) => bytes.includes('HTTP/1.1 100 Continue\r\n\r\n'));
                }
                raw.write(body);
                raw.socket.end();
                assert.match(await raw.rest(), /HTTP\/1\.1 400 [^]*Connection: close[^]*"the body ended before its end"/, `${where} ${fields} ${body}`);
                assert.equal((await raw.closed).reset, false);
            }
        }
    }
});

test('POST: ten thousand lines in one body are all taken', async (t) => {
    const server = await none(t, '--backlog', '500');
    const answer = await post(server, '/ingest', '{"tokens":1,"latency_ms":1}\n'.repeat(10000));
    assertTaken(answer.json, 10000);
    const now = await statusWhen(server, (each) => each.counters.ticks + each.counters.inbox_dropped >= 10000);
    assert.equal(now.counters.inbox_dropped, 0, 'a body waits for room instead of losing lines');
});

test('POST: an unfinished body is not waited for for ever by others', async (t) => {
    const server = await none(t);
    for (let i = 0; i < 8; i++) {
        const raw = await Raw.connect(server);
        raw.write('POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{');
    }
    assertRefused(await request(server, '/nowhere'), 404);
});

test('PUT works like POST', async (t) => {
    const server = await none(t);
    const answer = await request(server, '/ingest', { method: 'PUT', body: '{"tokens":1}' });
    assert.deepEqual([answer.status, answer.json.accepted], [200, 1]);
});

test('all ways in feed one stream', async (t) => {
    const { server, viewer, stdin } = await piped(t, '--udp', '127.0.0.1:0');
    const send = await sender(t, server);
    stdin.write('{"tokens":1,"model":"m"}\n');
    await viewer.tick((tick) => tick.tokens_generated === 1);
    await send('{"tokens":1,"model":"m"}');
    await viewer.tick((tick) => tick.tokens_generated === 2);
    await ingest(server, { tokens: 1, model: 'm' });
    await viewer.tick((tick) => tick.tokens_generated === 3);
});

test('whole numbers in any form, null and a byte order mark are taken', async (t) => {
    const server = await serve(t, ['--source', 'none', '--udp', '127.0.0.1:0']);
    const viewer = await connect(server);
    const lines = ['{"tokens":3.0,"model":"m"}', '{"tokens":3e0,"latency_ms":20.0}', '{"tokens_generated":1.5e2,"model":"m"}',
        '{"tokens":1,"model":null,"node":null,"latency_ms":null,"tokens_generated":null,"tokens_per_second":null,"timestamp":null}'];
    for (const line of lines) {
        validate(JSON.parse(line), 'IngestLine');
    }
    assert.equal((await ingest(server, ...lines)).json.accepted, 4);
    assert.deepEqual([(await viewer.tick()).tokens_generated, (await viewer.tick()).tokens_generated,
        (await viewer.tick()).tokens_generated, (await viewer.tick()).tokens_generated], [3, 6, 150, 151]);
    const marked = '\ufeff{"tokens":1,"model":"bom"}\r\n{"tokens":1}\r\n';
    assert.equal((await post(server, '/ingest', marked, { 'Content-Type': 'application/x-ndjson' })).json.accepted, 2);
    assert.equal((await post(server, '/ingest', '\ufeff{\n"tokens":1}', { 'Content-Type': 'application/json' })).json.accepted, 1);
    const socket = dgram.createSocket('udp4');
    t.after(() => socket.close());
    socket.send('\ufeff{"tokens":5,"model":"udp"}', await udpPort(server), '127.0.0.1');
    assert.equal((await viewer.tick((e) => e.model === 'udp')).tokens_generated, 5);
    const command = { action: 'pause', id: null };
    validate(command, 'Command');
    const answer = await post(server, '/command', JSON.stringify(command));
    assert.deepEqual(validate(answer.json), { event: 'ack', action: 'pause' });
});

test('standard input may begin with a byte order mark', async (t) => {
    const server = await serve(t, ['--stdin'], { input: '' });
    const viewer = await connect(server);
    server.proc.stdin.write('\ufeff{"tokens":2,"model":"m"}\r\n');
    assert.equal((await viewer.tick()).tokens_generated, 2);
});

test('a compressed body is refused with 415, which names what is taken', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    for (const where of ['/ingest', '/command']) {
        const answer = await post(server, where, gzipSync('{"tokens":1}\n'), { 'Content-Encoding': 'gzip' });
        assertRefused(answer, 415);
        assert.equal(answer.headers['accept-encoding'], 'identity');
    }
    assert.equal((await post(server, '/ingest', '{"tokens":1}', { 'Content-Encoding': 'identity' })).json.accepted, 1);
});
