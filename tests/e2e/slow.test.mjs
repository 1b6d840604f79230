/* The limits that are counted in tens of seconds, all waited for at once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
    OP, Raw, RawViewer, SLOW, assertGrownAtMost, connect, ingest, numbered, poll, residentKb, serve, sleep,
    status, within,
} from './aidash.mjs';
import { answer, metered, replay } from './engine.mjs';

/* It took so many seconds at least. That it came at all, within LATE_MS, is waited for: each limit here is far shorter than
 * that, but a busy machine is late. */
function assertLasted(since, least, what) {
    const seconds = (performance.now() - since) / 1000;
    assert.ok(seconds >= least, `${what} after ${seconds.toFixed(1)} s`);
}
const LATE_MS = 60_000 * SLOW;

describe('limits of time', { concurrency: true, timeout: 170_000 * SLOW }, () => {
    test('a head that is not complete within 10 s is answered with 408', async (t) => {
        const server = await serve(t, ['--source', 'none']);
        const since = performance.now();
        const half = await Raw.connect(server);
        half.write('GET /healthz HTTP/1.1\r\nHost: x\r\n');
        const drip = await Raw.connect(server);
        drip.write('GET /');
        const timer = setInterval(() => drip.over || drip.write('x'), 200);
        t.after(() => clearInterval(timer));
        for (const raw of [half, drip]) {
            await within(raw.closed, 'answer to half a head', LATE_MS);
            assert.match(raw.bytes.toString(), /^HTTP\/1\.1 408 [^]*"code":408/);
            assertLasted(since, 9, '408');
        }
    });

    test('a connection that had an answer of the meter and asks nothing more for 10 s is closed in silence', async (t) => {
        const engine = await replay(t);
        const server = await metered(t, engine);
        const raw = await Raw.connect(server);
        const late = await Raw.connect(server);
        for (const client of [raw, late]) {
            client.write('GET /props HTTP/1.1\r\nHost: a\r\n\r\n');
            (await engine.next()).socket.end(answer('{}'));
            await client.until((bytes) => bytes.includes('{}'));
        }
        const since = performance.now();
        late.write('GET /props HTTP/1.1\r\n');
        await within(Promise.all([raw.closed, late.closed]), 'end of the connections', LATE_MS);
        assertLasted(since, 9, 'its end');
        assert.match(raw.bytes.toString(), /\{\}$/);
        assert.match(late.bytes.toString(), /\{\}HTTP\/1\.1 408 /, 'half a head is told so');
    });

    test('the rate is that of the last two seconds and falls when the engine slows down', async (t) => {
        const server = await serve(t, ['--source', 'none']);
        const viewer = await connect(server);
        const ticks = [];
        for (let i = 0; i < 24; i++) {
            await ingest(server, { tokens: 10, latency_ms: 1 });
            ticks.push(await viewer.tick());
            await sleep(100);
        }
        for (const tick of ticks.slice(21)) {
            const tokens = 10 * ticks.filter(({ timestamp: at }) => at > tick.timestamp - 2 && at <= tick.timestamp).length;
            assert.ok(Math.abs(tick.tokens_per_second - tokens / 2) <= 10.1, `${tick.tokens_per_second} for ${tokens / 2}`);
        }
        await sleep(2100);
        await ingest(server, { tokens: 10 });
        assert.equal((await viewer.tick()).tokens_per_second, 5, 'what is older than two seconds is forgotten');
    });

    test('a silent connection is closed', async (t) => {
        const server = await serve(t, ['--source', 'none']);
        const raw = await Raw.connect(server);
        const since = performance.now();
        await within(raw.closed, 'end of a silent connection', LATE_MS);
        assertLasted(since, 5, 'closed');
    });

    test('an idle viewer is pinged after 20 s, an idle stream gets a comment', async (t) => {
        const server = await serve(t, ['--source', 'none']);
        const since = performance.now();
        const viewer = await RawViewer.open(server);
        const sse = await Raw.connect(server);
        sse.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
        await viewer.until(() => viewer.frames.some((f) => f.op === OP.PING), 'ping', LATE_MS);
        assertLasted(since, 18, 'ping');
        await sse.until((bytes) => /\n:[^\n]*\n/.test(bytes.toString()), 'comment', LATE_MS);
    });

    test('a request that stops in its body is answered with 408 after 10 s, a stream may be silent', async (t) => {
        const server = await serve(t, ['--source', 'none']);
        const stuck = [];
        const since = performance.now();
        const open = async (where, fields, body) => {
            const raw = await Raw.connect(server);
            raw.write(`POST ${where} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n\r\n${body}`);
            return raw;
        };
        const json = 'Content-Type: application/json\r\n';
        for (const [where, fields, body] of [['/command', `${json}Content-Length: 100`, '{'],
            ['/command', `${json}Transfer-Encoding: chunked`, '1\r\n{\r\n'], ['/ingest', `${json}Content-Length: 100`, '{'],
            ['/ingest', `${json}Transfer-Encoding: chunked`, '1\r\n{\r\n'],
            ['/ingest', 'Content-Type: text/plain\r\nContent-Length: 100', '{']]) {
            stuck.push(await open(where, fields, body));
        }
        const stream = await open('/ingest', 'Transfer-Encoding: chunked', 'd\r\n{"tokens":1}\n\r\n');
        await poll(async () => (await status(server)).clients.http === stuck.length + 1, 'requests under way');
        for (const raw of stuck) {
            await within(raw.closed, 'end of a stuck request', LATE_MS);
            assert.match(raw.bytes.toString(), /^HTTP\/1\.1 408 [^]*"code":408/);
        }
        assertLasted(since, 9, '408');
        await poll(async () => (await status(server)).clients.http === 1, 'the slots, free again');
        stream.write('d\r\n{"tokens":1}\n\r\n0\r\n\r\n');
        assert.match(await stream.rest(), /^HTTP\/1\.1 200 [^]*"accepted":2/);
    });

    test('the body of one that drips is answered with 408', async (t) => {
        const server = await serve(t, ['--source', 'none']);
        const since = performance.now();
        const raw = await Raw.connect(server);
        raw.write('POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n');
        const timer = setInterval(() => raw.over || raw.write('\n'.repeat(1000)), 1000);
        t.after(() => clearInterval(timer));
        await within(raw.closed, 'end of a slow request', LATE_MS);
        assert.match(raw.bytes.toString(), /^HTTP\/1\.1 408 [^]*16 KiB a second/);
        assertLasted(since, 9, '408');
    });

    test('the body of a request to the engine that drips is answered with 408, short or long', async (t) => {
        const engine = await replay(t, { early: true });
        const server = await metered(t, engine);
        const since = performance.now();
        const clients = [];
        for (const begun of [0, 20_000]) {
            const raw = await Raw.connect(server);
            raw.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: ${begun + 1_000_000 * (begun > 0) + 16_000}\r\n\r\n${'x'.repeat(begun)}`);
            clients.push(raw);
        }
        const call = await engine.next();
        const timer = setInterval(() => clients.forEach((raw) => raw.over || raw.write('x'.repeat(1000))), 1000);
        t.after(() => clearInterval(timer));
        for (const raw of clients) {
            await within(raw.closed, 'end of a slow request', LATE_MS);
            assert.match(raw.bytes.toString(), /^HTTP\/1\.1 408 [^]*did not arrive/);
        }
        assertLasted(since, 9, '408');
        await within(call.closed, 'end of the engine\'s connection');
    });

    test('a viewer that does not answer pings is closed after 60 s, one that does stays', async (t) => {
        const server = await serve(t, ['--source', 'none']);
        const since = performance.now();
        const gone = await RawViewer.open(server);
        const there = await connect(server);
        await within(gone.closed, 'end of the silent viewer', 60_000 + LATE_MS);
        assertLasted(since, 58, 'closed');
        assert.equal((await there.command({ action: 'resume' })).event, 'ack');
    });

    test('a viewer that reads nothing for 30 s is closed, while others get every tick', async (t) => {
        const server = await serve(t, ['--rate', '1000', '--backlog', '2000']);
        const good = await connect(server);
        const since = performance.now();
        const deaf = await RawViewer.open(server, { reading: false });
        await poll(async () => (await status(server)).counters.ticks > 10_000, 'all that is kept touched', LATE_MS);
        const kb = residentKb(server);
        const now = await poll(async () => {
            const each = await status(server);
            return each.counters.stalled === 1 && each;
        }, 'end of the stalled viewer', 30_000 + LATE_MS);
        assertLasted(since, 30, 'closed');
        assert.equal(now.clients.websocket, 1);
        assertGrownAtMost(server, kb, 64);
        assert.ok(now.counters.dropped > 5000, `${now.counters.dropped} events counted as dropped`);
        const seqs = numbered(good.events).map(({ seq }) => seq);
        assert.ok(seqs.length > 500 * 25);
        assert.ok(seqs.every((seq, i) => seq === seqs[0] + i), 'the other viewer lost nothing');
        deaf.socket.destroy();
    });
});
