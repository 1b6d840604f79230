/* Viewers that do not read, that come by the thousand, or never say a word. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    BIN, Raw, RawViewer, SLOW, assertGrownAtMost, assertRefused, connect, handshakeText, isStatus, isTick,
    numbered, openFiles, poll, post, request, residentKb, serve, start, status, statusWhen, text, validate, within,
} from './aidash.mjs';
import { answer, metered, replay } from './engine.mjs';

const seqsOf = (viewer) => numbered(viewer.events).map(({ seq }) => seq);

/* Every number from the hello on, once. */
function assertWhole(viewer, what) {
    const first = viewer.events[0].next_seq;
    const seqs = seqsOf(viewer);
    assert.deepEqual(seqs, seqs.map((_, i) => first + i), what);
}

/* Stop the ticks, so that all that will ever come has a last number. */
async function pause(server) {
    await post(server, '/command', '{"action":"pause"}');
    return (await status(server)).next_seq;
}

/* More events than the kernel's buffers of one connection can hold. */
const MANY = 20000;
const flood = (server) => post(server, '/ingest', '{"tokens":1,"latency_ms":1}\n'.repeat(MANY));

/* What a raw viewer got and what it was told that it lost are all there was. */
function assertExact(events, end) {
    const seqs = numbered(events).map(({ seq }) => seq);
    const told = events.filter((e) => e.dropped !== undefined);
    assert.ok(told.length > 0, 'it was told that it lost events');
    assert.ok(told.every((e, i) => i === 0 || e.dropped > told[i - 1].dropped));
    assert.equal(new Set(seqs).size, seqs.length, 'nothing comes twice');
    assert.equal(seqs.length + told.at(-1).dropped, end - events[0].next_seq, 'received and dropped are all');
    return told.at(-1).dropped;
}

test('a viewer that never reads loses the oldest, keeps its backlog, and is told so exactly', async (t) => {
    const server = await serve(t, ['--source', 'none', '--backlog', '150']);
    const deaf = await RawViewer.open(server, { reading: false });
    await flood(server);
    const end = await pause(server);
    deaf.socket.resume();
    await deaf.nextEvent((e) => isStatus(e) && e.paused);
    const dropped = assertExact(deaf.events, end);
    assert.equal((await status(server)).counters.dropped, dropped);
    const { next_seq: from } = deaf.events.findLast((e) => e.dropped !== undefined);
    /* The kernel may take some more, and so make it lose the rest, before the event of the pause comes. */
    assert.ok(end - from === 150 || end - from === 151, `${end - from}`);
});

test('a viewer that reads by fits and starts gets whole frames and exact losses', async (t) => {
    const server = await serve(t, ['--source', 'none', '--backlog', '50']);
    const slow = await RawViewer.open(server, { reading: false });
    for (let fit = 1; fit <= 3; fit++) {
        await flood(server);
        slow.socket.resume();
        await slow.nextEvent((e) => e.dropped !== undefined);
        slow.socket.pause();
    }
    const end = await pause(server);
    slow.socket.resume();
    await slow.nextEvent((e) => isStatus(e) && e.paused);
    assertExact(slow.events, end);
});

test('an event stream that is not read loses the oldest and is told so exactly', async (t) => {
    const server = await serve(t, ['--source', 'none', '--backlog', '100']);
    const deaf = await Raw.connect(server);
    deaf.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
    await deaf.until((bytes) => bytes.includes('event: hello'));
    deaf.socket.pause();
    await flood(server);
    const end = await pause(server);
    deaf.socket.resume();
    await deaf.until((bytes) => {
        const newest = bytes.indexOf(`-${end - 1}\nevent: `);
        return newest >= 0 && bytes.indexOf('\n\n', newest + 2) >= 0;
    }, 'newest event, whole');
    const blocks = deaf.bytes.subarray(deaf.bytes.indexOf('\r\n\r\n') + 4).toString().split('\n\n')
        .filter((block) => block.includes('data: '));
    const events = blocks.map((block) => JSON.parse(block.slice(block.indexOf('data: ') + 6)));
    assertExact(events, end);
    const ids = blocks.map((block) => block.match(/^id: [0-9a-f]+-(\d+)$/m)?.[1]).filter(Boolean).map(Number);
    assert.deepEqual(ids, numbered(events).map(({ seq }) => seq), 'ids agree with the numbers that viewers count');
});

test('answers to commands come through while ticks are being dropped', async (t) => {
    const server = await serve(t, ['--source', 'none', '--backlog', '50']);
    const slow = await RawViewer.open(server, { reading: false });
    await flood(server);
    slow.write(Buffer.concat(Array.from({ length: 20 }, (_, id) => text({ action: 'resume', id }))));
    await statusWhen(server, (now) => now.counters.commands > 0);
    await flood(server);
    slow.socket.resume();
    for (let id = 0; id < 20; id++) {
        assert.equal((await slow.nextEvent((e) => e.event === 'ack')).id, id);
    }
    const end = await pause(server);
    await slow.nextEvent((e) => isStatus(e) && e.paused);
    assertExact(slow.events, end);
});

test('a page of /ticks whose reader falls behind the history is still whole JSON', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    await flood(server);
    const slow = await Raw.connect(server);
    slow.socket.pause();
    slow.write('GET /ticks?since=0&limit=10000 HTTP/1.1\r\nHost: x\r\n\r\n');
    await statusWhen(server, (now) => now.clients.http >= 1);
    await flood(server);
    slow.socket.resume();
    const answer = await slow.rest();
    const page = validate(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))), 'TicksAnswer');
    assert.ok(page.ticks.length > 100 && page.missed >= MANY - 8192);
    const counts = page.ticks.map((tick) => tick.tokens_generated);
    assert.ok(counts.every((count, i) => i === 0 || count > counts[i - 1]), 'in order, none twice');
});

/* ---- batches ------------------------------------------------------------------------------ */

test('above 100 events a second ?batch=1 gets batches of at most 4 KiB, each tick once', async (t) => {
    const server = await serve(t, ['--rate', '1000']);
    const single = await connect(server, '/ws/single');
    const batch = await connect(server, '/ws/batch?batch=1');
    await batch.next((e) => e.event === 'batch');
    for (let i = 0; i < 800; i++) {
        await single.tick();
    }
    const end = await pause(server);
    await single.next((e) => isStatus(e) && e.paused);
    await batch.next((e) => isStatus(e) && e.paused);
    assertWhole(batch);
    const events = new Map(numbered(single.events).map(({ seq, event }) => [seq, event]));
    const batched = numbered(batch.events);
    assert.equal(batched.at(-1).seq, end - 1);
    for (const { seq, event } of batched.filter((each) => events.has(each.seq))) {
        assert.deepEqual(event, events.get(seq));
    }
    const frames = batch.events.filter((e) => e.event === 'batch');
    const ticks = frames.reduce((sum, e) => sum + e.ticks.length, 0);
    assert.ok(ticks > 300 && ticks / frames.length >= 5, `${ticks} ticks in ${frames.length} batches`);
    assert.ok(Math.max(...batch.texts.map((text) => Buffer.byteLength(text))) <= 4096);
});

test('below 100 events a second ?batch=1 gets single frames', async (t) => {
    const server = await serve(t, ['--rate', '20']);
    const batch = await connect(server, '/ws/batch?batch=1');
    for (let i = 0; i < 15; i++) {
        await batch.tick();
    }
    assert.ok(!batch.events.some((e) => e.event === 'batch'));
    assertWhole(batch);
});

test('batches keep their order with status events and acks between them', async (t) => {
    const server = await serve(t, ['--rate', '2000', '--backlog', '1000']);
    const batch = await connect(server, '/ws/batch?batch=1');
    await batch.next((e) => e.event === 'batch');
    for (let i = 0; i < 20; i++) {
        const model = ['mistral', 'llama3'][i % 2];
        await batch.command({ action: 'switch_model', model });
        await batch.next((e) => e.event === 'batch' && e.ticks[0].model === model);
    }
    await batch.command({ action: 'pause' });
    await batch.command({ action: 'resume' });
    await batch.next((e) => e.event === 'batch');
    assertWhole(batch);
    let model = 'llama3';
    for (const { event } of numbered(batch.events)) {
        if (isStatus(event)) {
            model = event.model;
        } else {
            assert.equal(event.model, model, 'a tick shows the model of the status before it');
        }
    }
});

test('batch viewers that join in mid-batch or fall behind stay exact', async (t) => {
    const server = await serve(t, ['--rate', '500', '--backlog', '200']);
    const joined = [];
    for (let i = 0; i < 10; i++) {
        joined.push(await connect(server, `/ws/b${i}?batch=1`));
        await joined[0].next((e) => e.event === 'batch');
    }
    const end = await pause(server);
    for (const viewer of joined) {
        await viewer.next((e) => isStatus(e) && e.paused);
        assertWhole(viewer);
        assert.equal(seqsOf(viewer).at(-1), end - 1);
    }
    const flooded = await serve(t, ['--source', 'none', '--backlog', '200']);
    const deaf = await RawViewer.open(flooded, { where: '/ws/deaf?batch=1', reading: false });
    await flood(flooded);
    await flood(flooded);
    const last = await pause(flooded);
    deaf.socket.resume();
    await deaf.nextEvent((e) => isStatus(e) && e.paused);
    assertExact(deaf.events, last);
    assert.ok(deaf.events.some((e) => e.event === 'batch'));
});

/* ---- many connections ------------------------------------------------------------------------ */

test('a full table refuses with 503 and Retry-After, and a freed slot is used again', async () => {
    const server = await start(['--rate', '5']);
    const { max } = (await status(server)).clients;
    const viewers = [];
    /* Again, if one is gone: it has answered no ping for a minute, which is what this may take on a busy machine. */
    const fill = async () => {
        for (let lacking; (lacking = max - (await status(server)).clients.websocket) > 0;) {
            viewers.push(...await Promise.all(Array.from({ length: Math.min(64, lacking) }, () => RawViewer.open(server))));
        }
    };
    const headers = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' };
    const refused = await poll(async () => {
        await fill();
        const late = await request(server, '/ws/late', { headers });
        late.socket?.destroy();
        return late.status !== 101 && late;
    }, 'refusal', 60_000 * SLOW);
    assertRefused(refused, 503);
    assert.match(refused.headers['retry-after'], /^\d+$/);
    assertRefused(await request(server, '/events'), 503);
    assert.ok((await status(server)).counters.refused >= 2);
    await Promise.all(viewers.filter((viewer) => !viewer.over).map((viewer) => viewer.nextEvent(isTick)));
    const before = (await status(server)).clients.websocket;
    viewers.findLast((viewer) => !viewer.over).reset();
    await statusWhen(server, (now) => now.clients.websocket < before);
    const late = await connect(server, '/ws/late');
    await late.tick();
    viewers.forEach((viewer) => viewer.reset());
    await statusWhen(server, (now) => now.clients.websocket === 1);
    await server.stop();
});

test('a thousand silent connections do not delay a good client', async (t) => {
    const server = await serve(t, ['--rate', '50']);
    const silent = [];
    for (let i = 0; i < 10; i++) {
        silent.push(...await Promise.all(Array.from({ length: 100 }, () => Raw.connect(server))));
    }
    for (const where of ['/healthz', '/status', '/']) {
        assert.equal((await request(server, where)).status, 200);
        assert.ok(silent.some((raw) => !raw.over), 'while they are there');
    }
    const viewer = await connect(server);
    await viewer.tick();
    assert.ok((await status(server)).clients.pending >= 100);
    silent.forEach((raw) => raw.reset());
    await statusWhen(server, (now) => now.clients.pending <= 2);
});

test('heads that come byte by byte neither starve others nor fail', async (t) => {
    const server = await serve(t, ['--rate', '50']);
    const slow = await Promise.all(Array.from({ length: 60 }, () => Raw.connect(server)));
    const head = Buffer.from('GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: abc\r\n\r\n');
    for (const [at, byte] of head.entries()) {
        await Promise.all(slow.map((raw) => raw.write(Buffer.of(byte))));
        if (at % 10 === 0) {
            assert.equal((await request(server, '/healthz')).status, 200);
        }
    }
    for (const raw of slow) {
        assert.match(await raw.rest(), /^HTTP\/1\.1 200 [^]*\{"status":"ok"\}/);
    }
});

test('one address gets no more connections than --per-address, others do', async (t) => {
    const server = await serve(t, ['--rate', '50', '--per-address', '3']);
    const from = (localAddress) => ({ localAddress });
    const viewers = [];
    for (const id of ['a', 'b', 'c']) {
        viewers.push(await connect(server, `/ws/${id}`, from('127.0.0.7')));
    }
    const refused = await request(server, '/healthz', from('127.0.0.7'));
    assertRefused(refused, 503);
    assert.match(refused.headers['retry-after'], /^\d+$/);
    await (await connect(server, '/ws/d', from('127.0.0.8'))).tick();
    viewers[0].close();
    await poll(async () => (await request(server, '/healthz', from('127.0.0.7'))).status === 200, 'free place');
    await viewers[1].tick();
});

test('--per-address counts each open socket, whoever serves it, and none that is closed', async (t) => {
    const engine = await replay(t);
    const server = await metered(t, engine, ['--per-address', '8']);
    const from = { localAddress: '127.0.0.7' };
    const open = async (bytes, test) => {
        const raw = await Raw.connect(server, from);
        raw.write(bytes);
        await (test && raw.until((got) => got.includes(test), test));
        return raw;
    };
    const proxied = 'POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
    for (let round = 0; round < 4; round++) {
        const sockets = [
            await Raw.connect(server, from),
            await open('GET /status HTT'),
            await open(handshakeText(server), 'hello'),
            await open('GET /events HTTP/1.1\r\nHost: a\r\n\r\n', 'hello'),
            await open('POST /ingest HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n', ' 100 '),
            await open(`${proxied}Content-Length: 2\r\n\r\n{}`),
        ];
        const asked = await engine.next();
        sockets.push(await open(`${proxied}Content-Length: 2\r\n\r\n{}`));
        (await engine.next()).socket.end(answer('{"kept":1}'));
        await sockets.at(-1).until((bytes) => bytes.includes('"kept":1'), 'the end of a proxied answer');
        const eighth = await open('GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
        assert.match(await eighth.rest(), /^HTTP\/1\.1 200 /); /* to its end: only then has it left its place */
        sockets.push(await open(`${proxied}Content-Length: 200\r\n\r\n{`));
        const refused = await request(server, '/healthz', from);
        assertRefused(refused, 503);
        assert.match(refused.text, /--per-address/);
        assert.equal((await request(server, '/healthz', { localAddress: '127.0.0.8' })).status, 200);
        sockets.forEach((raw, i) => (i % 2 === round % 2 ? raw.reset() : raw.socket.end()));
        await Promise.all(sockets.map((raw) => raw.socket.destroy() && raw.closed));
        asked.socket.destroy();
        /* All eight places are free again: seven silent ones, and one that asks. */
        await poll(async () => {
            const silent = await Promise.all(Array.from({ length: 7 }, () => Raw.connect(server, from)));
            const { status: code } = await request(server, '/healthz', from);
            await Promise.all(silent.map((raw) => raw.socket.destroy() && raw.closed));
            return code === 200;
        }, 'eight free places');
        await statusWhen(server, (now) => now.clients.http + now.clients.websocket + now.clients.sse === 0);
    }
});

test('silent streams take their share of the exchanges and no more', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    const open = async (localAddress) => {
        const raw = await Raw.connect(server, { localAddress });
        raw.write('POST /ingest HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n');
        await raw.until((bytes) => bytes.includes('\r\n\r\n'), 'any answer');
        return raw;
    };
    const refused = async (localAddress, limit) => {
        const text = await (await open(localAddress)).rest();
        assert.match(text, /^HTTP\/1\.1 503 [^]*Retry-After: \d/);
        assert.match(text, limit);
    };
    const streams = [];
    const fill = async (localAddress, n) => {
        for (let i = 0; i < n; i++) {
            streams.push(await open(localAddress));
            assert.match(streams.at(-1).bytes.toString(), /^HTTP\/1\.1 100 /);
        }
    };
    await fill('127.0.0.2', 16);
    await refused('127.0.0.2', /16 endless POST \/ingest already \(AIDASH_STREAMS_PER_ADDRESS\)/);
    await fill('127.0.0.3', 8);
    await refused('127.0.0.3', /24 endless POST \/ingest already \(AIDASH_STREAMS\)/);
    assert.equal((await post(server, '/ingest', '{"tokens":1}')).status, 200);
    assert.equal((await post(server, '/command', '{"action":"resume"}')).status, 200);
    assert.equal((await request(server, '/ticks')).status, 200);
    streams[0].write('d\r\n{"tokens":1}\n\r\n0\r\n\r\n');
    assert.match(await streams[0].rest(), /"accepted":1/);
    streams[1].reset();
    await statusWhen(server, (now) => now.clients.http === 22);
    await fill('127.0.0.2', 1);
    await fill('127.0.0.4', 1);
    await refused('127.0.0.4', /\(AIDASH_STREAMS\)/);
});

test('a command without end is answered with 413 and its connection ends', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    const raw = await Raw.connect(server);
    raw.write('POST /command HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n16345785d8a0000\r\n{');
    const timer = setInterval(() => raw.over || raw.write(' '.repeat(1024)), 20);
    t.after(() => clearInterval(timer));
    await raw.until((bytes) => bytes.includes('a command is longer than the limit'), '413');
    assert.match(raw.bytes.toString(), /^HTTP\/1\.1 413 /);
    await within(raw.closed, 'end of the connection');
    await statusWhen(server, (now) => now.clients.http === 0);
});

test('running out of descriptors harms nobody and is over when some are free again', async (t) => {
    const limited = ['-c', 'ulimit -n 64; exec "$0" "$@"', BIN, '--listen', '127.0.0.1:0', '--rate', '50'];
    const server = await serve(t, limited, { bin: '/bin/sh', listen: [] });
    const viewer = await connect(server);
    const silent = await Promise.all(Array.from({ length: 100 }, () => Raw.connect(server)));
    await server.logged(/ulimit/);
    for (let i = 0; i < 10; i++) {
        await viewer.tick();
    }
    silent.forEach((raw) => raw.reset());
    assert.equal((await request(server, '/healthz')).status, 200);
    await (await connect(server)).tick();
    assertWhole(viewer);
});

test('coming and going leaves no descriptor and no memory behind', async (t) => {
    const server = await serve(t, ['--rate', '200']);
    const round = async () => {
        await Promise.all(Array.from({ length: 10 }, async (_, i) => {
            const viewer = await RawViewer.open(server, { where: i % 2 ? '/ws/x' : '/ws/x?batch=1' });
            await viewer.nextEvent((e) => isTick(e) || e.event === 'batch');
            if (i % 3) {
                viewer.reset();
            } else {
                viewer.socket.end();
            }
            const sse = await Raw.connect(server);
            sse.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
            await sse.until((bytes) => bytes.includes('inference_tick'));
            sse.reset();
            const half = await Raw.connect(server);
            half.write(handshakeText(server).slice(0, 10 * i));
            half.reset();
            assert.equal((await request(server, '/status')).status, 200);
        }));
        await statusWhen(server, (now) => now.clients.websocket + now.clients.sse + now.clients.pending === 0);
    };
    const rounds = async () => {
        for (let i = 0; i < 15; i++) {
            await round();
        }
    };
    await rounds(); /* touches each place that so many connections at once need */
    const files = openFiles(server);
    for (let tries = 5, grown = true; grown; tries--) { /* on a busy machine more are there at once, now and then; what is left behind grows each time */
        const kb = residentKb(server);
        await rounds();
        grown = tries > 1 && residentKb(server) - kb > 128;
        if (!grown) {
            assertGrownAtMost(server, kb, 128);
        }
    }
    await poll(() => openFiles(server) <= files, `at most ${files} open files`);
    const { memory } = await status(server);
    assert.ok(memory.arena_high_water_bytes < memory.arena_bytes);
});

test('requests that stop in their bodies hold no worker', async (t) => {
    const server = await serve(t, ['--rate', '50']);
    const stuck = [];
    for (let i = 0; i < 16; i++) {
        const raw = await Raw.connect(server);
        raw.write('POST /command HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{');
        stuck.push(raw);
    }
    assert.equal((await request(server, '/healthz')).status, 200);
    assert.ok(!stuck.some((raw) => raw.over), 'before any of them has to go');
    stuck.forEach((raw) => raw.reset());
});
