/* RFC 6455 from raw sockets: every way to cut, break, flood and abandon a stream. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
    OP, Raw, RawViewer, assertGrownAtMost, closeFrame, connect, frame, handshakeText, ingest, isTick,
    numbered, openFiles, poll, request, residentKb, start, status, text, within,
} from './aidash.mjs';

const RESUME = { action: 'resume' };
const join = (...frames) => Buffer.concat(frames);

/* One server for all, so that what one test breaks the next would notice. */
let server;
before(async () => { server = await start(['--rate', '50']); });
after(() => server.stop());

/* Send bytes as a new viewer; the server must close with this code. */
async function assertCloses(bytes, code) {
    const viewer = await RawViewer.open(server);
    viewer.write(bytes);
    assert.equal(await viewer.closeCode(), code);
}

/* The viewer still gets ticks and answers. */
async function assertAlive(viewer) {
    viewer.write(join(text({ action: 'fly', id: 'alive' }), frame(OP.PING, 'alive')));
    await viewer.nextEvent((e) => e.id === 'alive');
    await viewer.nextFrame(OP.PONG, (f) => f.payload.toString() === 'alive');
    await viewer.nextEvent(isTick);
}

/* ---- well-formed frames, cut in every way ---------------------------------------- */

test('a command sent byte by byte is understood', async () => {
    const viewer = await RawViewer.open(server);
    await viewer.dribble(text({ ...RESUME, id: 1 }));
    await viewer.dribble(text(`{"action":"resume","id":2${' '.repeat(300)}}`));
    assert.equal((await viewer.nextEvent((e) => e.id === 1)).event, 'ack');
    assert.equal((await viewer.nextEvent((e) => e.id === 2)).event, 'ack');
});

test('a handshake sent byte by byte with a frame behind it is understood', async () => {
    const raw = await Raw.connect(server);
    await raw.dribble(handshakeText(server));
    await raw.dribble(text({ ...RESUME, id: 'behind' }));
    await raw.until((bytes) => bytes.includes('"id":"behind"'));
});

test('every split of two frames into two writes gives the same answers', async () => {
    const bytes = join(text({ ...RESUME, id: 1 }), frame(OP.PING, 'p'), text({ ...RESUME, id: 2 }));
    await Promise.all(Array.from({ length: bytes.length - 1 }, async (_, i) => {
        const viewer = await RawViewer.open(server);
        await viewer.write(bytes.subarray(0, i + 1));
        await viewer.until(() => viewer.events.some(isTick), 'tick');
        viewer.write(bytes.subarray(i + 1));
        await viewer.until(() => viewer.events.some((e) => e.id === 2), 'second ack');
        assert.deepEqual(viewer.events.filter((e) => e.event === 'ack').map((e) => e.id), [1, 2]);
        viewer.socket.destroy();
    }));
});

test('several frames in one write are answered in order', async () => {
    const viewer = await RawViewer.open(server);
    viewer.write(join(text({ ...RESUME, id: 1 }), frame(OP.PING, 'p'), text('{'), text({ ...RESUME, id: 2 })));
    await viewer.nextEvent((e) => e.event === 'ack' && e.id === 1);
    await viewer.nextFrame(OP.PONG);
    await viewer.nextEvent((e) => e.code === 'invalid_json');
    await viewer.nextEvent((e) => e.event === 'ack' && e.id === 2);
});

test('frames behind the handshake in the same segment are answered after the hello', async () => {
    const viewer = await RawViewer.open(server, { behind: join(
        ...Array.from({ length: 40 }, (_, id) => text({ ...RESUME, id })), frame(OP.PING, 'early')) });
    assert.equal((await viewer.nextEvent(() => true)).event, 'hello');
    for (let id = 0; id < 40; id++) {
        assert.equal((await viewer.nextEvent((e) => e.event === 'ack')).id, id);
    }
    await viewer.nextFrame(OP.PONG, (f) => f.payload.toString() === 'early');
});

test('a close frame right behind the handshake is answered', async () => {
    const viewer = await RawViewer.open(server, { behind: closeFrame(1000) });
    assert.equal(await viewer.closeCode(), 1000);
});

test('a fragmented command with pings between its fragments is understood', async () => {
    const viewer = await RawViewer.open(server);
    const parts = ['{"action"', '', ':"res', 'ume","id":"fr', 'ag"}'];
    viewer.write(join(...parts.flatMap((part, i) => [
        frame(i === 0 ? OP.TEXT : OP.MORE, part, { fin: i === parts.length - 1 }),
        frame(OP.PING, `p${i}`), frame(OP.PONG, 'unasked'),
    ])));
    assert.equal((await viewer.nextEvent((e) => e.id === 'frag')).event, 'ack');
    await viewer.nextFrame(OP.PONG, (f) => f.payload.toString() === 'p4');
    await assertAlive(viewer);
});

test('a message in ten thousand empty fragments costs nothing', async () => {
    const viewer = await RawViewer.open(server);
    viewer.write(join(frame(OP.TEXT, '{"action":', { fin: false }),
        ...Array.from({ length: 10000 }, () => frame(OP.MORE, '', { fin: false })),
        frame(OP.MORE, '"resume","id":9}')));
    assert.equal((await viewer.nextEvent((e) => e.id === 9)).event, 'ack');
});

test('a multi-byte character may be split between fragments', async () => {
    const viewer = await RawViewer.open(server);
    const bytes = Buffer.from('{"action":"resume","id":"é😀"}');
    for (let at = 24; at < bytes.length - 2; at++) {
        viewer.write(join(frame(OP.TEXT, bytes.subarray(0, at), { fin: false }),
            frame(OP.MORE, bytes.subarray(at))));
        assert.equal((await viewer.nextEvent((e) => e.id === 'é😀')).event, 'ack');
    }
});

/* ---- control frames --------------------------------------------------------------- */

test('a ping of any payload from 0 to 125 bytes is echoed', async () => {
    const viewer = await RawViewer.open(server);
    for (let length = 0; length <= 125; length++) {
        const payload = Buffer.alloc(length, length);
        viewer.write(frame(OP.PING, payload));
        assert.deepEqual((await viewer.nextFrame(OP.PONG)).payload, payload);
    }
});

test('an unasked pong is ignored', async () => {
    const viewer = await RawViewer.open(server);
    viewer.write(join(frame(OP.PONG), frame(OP.PONG, 'x'.repeat(125))));
    await assertAlive(viewer);
});

test('frames that break the protocol close with 1002', async (t) => {
    const broken = {
        'unmasked text': frame(OP.TEXT, '{}', { mask: false }),
        'unmasked ping': frame(OP.PING, '', { mask: false }),
        'unmasked close': frame(OP.CLOSE, '', { mask: false }),
        'ping of 126 bytes': frame(OP.PING, 'x'.repeat(126)),
        'pong of 4096 bytes': frame(OP.PONG, 'x'.repeat(4096)),
        'close of 126 bytes': frame(OP.CLOSE, Buffer.alloc(126, 3)),
        'ping with a 64-bit length': frame(OP.PING, '', { length: 2n ** 62n }),
        'fragmented ping': frame(OP.PING, 'x', { fin: false }),
        'fragmented close': frame(OP.CLOSE, '', { fin: false }),
        'continuation of nothing': frame(OP.MORE, 'x'),
        'continuation after a whole message': join(text(RESUME), frame(OP.MORE, 'x')),
        'text inside a fragmented text': join(frame(OP.TEXT, '{', { fin: false }), text('{}')),
        'binary inside a fragmented text': join(frame(OP.TEXT, '{', { fin: false }), frame(OP.BINARY, '{}')),
    };
    for (const rsv of [1, 2, 4, 7]) {
        broken[`reserved bits ${rsv} in text`] = text('{}', { rsv });
        broken[`reserved bits ${rsv} in ping`] = frame(OP.PING, '', { rsv });
    }
    for (const op of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
        broken[`reserved opcode ${op}`] = frame(op, '');
    }
    for (const [name, bytes] of Object.entries(broken)) {
        await t.test(name, () => assertCloses(bytes, 1002));
    }
});

test('a reserved bit or opcode is refused at its first byte', async () => {
    for (const byte of [0xc1, 0x83, 0x8b, 0x09]) {
        const viewer = await RawViewer.open(server);
        viewer.write(Buffer.of(byte, 0x80));
        assert.equal(await viewer.closeCode(), 1002);
    }
});

test('a length that is not in its shortest form closes with 1002', async () => {
    for (const lengthBytes of [2, 8]) {
        await assertCloses(join(text({ ...RESUME, id: 1 }, { lengthBytes }), text({ ...RESUME, id: 2 })), 1002);
    }
});

/* ---- closing ---------------------------------------------------------------------- */

test('a valid close code is echoed and the connection ends', async () => {
    for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]) {
        const viewer = await RawViewer.open(server);
        viewer.write(closeFrame(code, 'bye ✓'));
        assert.equal(await viewer.closeCode(), code);
    }
});

test('a close frame without a code is answered without one', async () => {
    const viewer = await RawViewer.open(server);
    viewer.write(frame(OP.CLOSE));
    assert.equal(await viewer.closeCode(), null);
});

test('a close code that may not be sent closes with 1002', async (t) => {
    for (const code of [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535]) {
        await t.test(`code ${code}`, () => assertCloses(closeFrame(code), 1002));
    }
    await t.test('half a code', () => assertCloses(frame(OP.CLOSE, Buffer.of(3)), 1002));
});

test('a close reason that is not UTF-8 closes with 1007', async () => {
    for (const bytes of [[0xff], [0xc3], [0x61, 0xed, 0xa0, 0x80]]) {
        await assertCloses(closeFrame(1000, Buffer.from(bytes)), 1007);
    }
});

test('nothing behind a close frame is obeyed', async () => {
    const viewer = await RawViewer.open(server);
    viewer.write(join(closeFrame(1000), text({ action: 'pause' }), frame(OP.PING), text({ action: 'pause' })));
    assert.equal(await viewer.closeCode(), 1000);
    assert.equal((await status(server)).paused, false);
});

test('a close in the middle of a fragmented message is answered', async () => {
    await assertCloses(join(frame(OP.TEXT, '{', { fin: false }), closeFrame(1000)), 1000);
});

/* ---- sizes and bytes ------------------------------------------------------------------ */

test('a message of 4096 bytes is read, one of 4097 closes with 1009', async () => {
    const viewer = await RawViewer.open(server);
    const command = '{"action":"resume","id":1';
    viewer.write(text(`${command}${' '.repeat(4096 - command.length - 1)}}`));
    assert.equal((await viewer.nextEvent((e) => e.id === 1)).event, 'ack');
    viewer.write(text('x'.repeat(4096)));
    assert.equal((await viewer.nextEvent((e) => e.event === 'error')).code, 'invalid_json');
    viewer.write(join(frame(OP.TEXT, 'x'.repeat(4000), { fin: false }), frame(OP.MORE, 'x'.repeat(96))));
    assert.equal((await viewer.nextEvent((e) => e.event === 'error')).code, 'invalid_json');
    viewer.write(text('x'.repeat(4097)));
    assert.equal(await viewer.closeCode(), 1009);
});

test('4097 bytes in fragments close with 1009', async () => {
    await assertCloses(join(frame(OP.TEXT, 'x'.repeat(4096), { fin: false }), frame(OP.MORE, 'x')), 1009);
    await assertCloses(join(...Array.from({ length: 4097 }, (_, i) => frame(i ? OP.MORE : OP.TEXT, 'x',
        { fin: false }))), 1009);
});

test('a huge declared length is refused at once, without waiting for its bytes', async () => {
    for (const length of [4097n, 65535n, 65536n, 2n ** 31n, 2n ** 32n, 2n ** 62n]) {
        await assertCloses(frame(OP.TEXT, '', { length }), 1009);
        await assertCloses(frame(OP.BINARY, '', { length }), 1009);
    }
    await assertCloses(frame(OP.TEXT, '', { length: 2n ** 63n, lengthBytes: 8 }), 1002);
    await assertCloses(frame(OP.TEXT, '', { length: 2n ** 64n - 1n, lengthBytes: 8 }), 1002);
    await assertCloses(join(frame(OP.TEXT, 'x', { fin: false }), frame(OP.MORE, '', { length: 2n ** 64n - 1n })), 1002);
});

const NOT_UTF8 = {
    'lone continuation': [0x80], 'overlong slash': [0xc0, 0xaf], 'overlong NUL': [0xc1, 0x80],
    'overlong in three bytes': [0xe0, 0x9f, 0xbf], 'surrogate': [0xed, 0xa0, 0x80],
    'low surrogate': [0xed, 0xbf, 0xbf], 'overlong in four bytes': [0xf0, 0x8f, 0xbf, 0xbf],
    'above U+10FFFF': [0xf4, 0x90, 0x80, 0x80], 'five bytes': [0xf8, 0x88, 0x80, 0x80, 0x80],
    'byte FE': [0xfe], 'byte FF': [0xff], 'cut after one of two': [0xc3], 'cut after two of three': [0xe2, 0x82],
    'cut after three of four': [0xf0, 0x9f, 0x98], 'head after head': [0xc3, 0xc3, 0xa9],
};

test('text that is not UTF-8 closes with 1007', async (t) => {
    for (const [name, bytes] of Object.entries(NOT_UTF8)) {
        await t.test(name, async () => {
            const message = join(Buffer.from('{"action":"resume","x":"'), Buffer.from(bytes), Buffer.from('"}'));
            await assertCloses(text(message), 1007);
            await assertCloses(text(Buffer.from(bytes)), 1007);
            for (let at = 1; at < bytes.length; at++) {
                await assertCloses(join(frame(OP.TEXT, Buffer.from(bytes.slice(0, at)), { fin: false }),
                    frame(OP.MORE, Buffer.from(bytes.slice(at)))), 1007);
            }
        });
    }
});

test('a binary message, fragmented or not, is answered with not_text and the stream goes on', async () => {
    const viewer = await RawViewer.open(server);
    viewer.write(join(frame(OP.BINARY, Buffer.of(0, 255, 254)),
        frame(OP.BINARY, Buffer.of(0xc3), { fin: false }), frame(OP.MORE, Buffer.of(0xff))));
    assert.equal((await viewer.nextEvent((e) => e.event === 'error')).code, 'not_text');
    assert.equal((await viewer.nextEvent((e) => e.event === 'error')).code, 'not_text');
    await assertAlive(viewer);
});

/* ---- floods ------------------------------------------------------------------------------ */

test('5,000 pings in one write are answered by the latest at least, in order', async () => {
    const viewer = await RawViewer.open(server);
    viewer.write(join(...Array.from({ length: 5000 }, (_, i) => frame(OP.PING, String(i)))));
    const pongs = [];
    while (pongs.at(-1) !== 4999) {
        pongs.push(Number((await viewer.nextFrame(OP.PONG)).payload));
    }
    assert.ok(pongs.every((n, i) => i === 0 || n > pongs[i - 1]));
    await assertAlive(viewer);
});

test('5,000 commands in one write are all answered in order', async () => {
    const viewer = await RawViewer.open(server);
    viewer.write(join(...Array.from({ length: 5000 }, (_, id) => text({ ...RESUME, id }))));
    for (let id = 0; id < 5000; id++) {
        assert.equal((await viewer.nextEvent((e) => e.event === 'ack')).id, id);
    }
    await assertAlive(viewer);
});

test('a viewer that sends for ever and never reads is held back, in constant memory', async () => {
    const good = await connect(server, '/ws/good');
    const viewer = await RawViewer.open(server, { reading: false });
    const flood = join(...Array.from({ length: 2000 }, (_, id) => join(text({ action: 'fly', id }), frame(OP.PING, 'x'))));
    viewer.write(flood);
    await good.tick();
    const kb = residentKb(server);
    let written = 0;
    const writer = (async () => {
        while (!viewer.over && written < 1000) {
            await viewer.write(flood);
            written++;
        }
    })();
    for (let i = 0; i < 75; i++) {
        await good.tick();
    }
    assert.ok(written < 1000, 'the flood was held back');
    const seqs = numbered(good.events).map(({ seq }) => seq);
    assert.deepEqual(seqs, seqs.map((_, i) => good.hello.next_seq + i), 'the good viewer noticed nothing');
    assertGrownAtMost(server, kb, 128);
    viewer.reset();
    await writer;
    good.close();
});

/* ---- abandoned connections ------------------------------------------------------------------ */

test('a connection may be reset at any stage', async () => {
    const good = await connect(server, '/ws/good');
    const { clients: before } = await status(server);
    const head = Buffer.from(handshakeText(server));
    const whole = text({ ...RESUME, id: 1 });
    const stages = [Buffer.alloc(0), head.subarray(0, 1), head.subarray(0, 60), head.subarray(0, -1), head,
        join(head, whole.subarray(0, 1)), join(head, whole.subarray(0, 4)), join(head, whole.subarray(0, 12)),
        join(head, whole), join(head, frame(OP.TEXT, '{', { fin: false })), join(head, closeFrame(1000)),
        join(head, frame(OP.PING, 'x')), Buffer.from('GET /events HTTP/1.1\r\nHost: x\r\n\r\n'),
        Buffer.from('POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"tok')];
    for (let round = 0; round < 4; round++) {
        for (const bytes of stages) {
            const raw = await Raw.connect(server);
            await raw.write(bytes);
            if (round % 2) {
                await good.tick();
            }
            if (round < 2) {
                raw.reset();
            } else {
                raw.socket.destroy();
            }
        }
    }
    await good.command(RESUME);
    const seqs = numbered(good.events).map(({ seq }) => seq);
    assert.deepEqual(seqs, seqs.map((_, i) => good.hello.next_seq + i), 'the good viewer lost nothing');
    await poll(async () => {
        const { clients: now } = await status(server);
        return ['websocket', 'sse', 'http'].every((kind) => now[kind] <= before[kind]);
    }, 'free slots');
    good.close();
});

test('a viewer that closes only its writing side is let go', async () => {
    const viewer = await RawViewer.open(server);
    viewer.socket.end();
    await within(viewer.closed, 'end of the half-closed connection');
});

/* ---- fuzz ------------------------------------------------------------------------------------ */

/* A small repeatable generator (mulberry32). */
function generator(seed) {
    let state = seed;
    return (below) => {
        state = (state + 0x6d2b79f5) | 0;
        let x = Math.imul(state ^ (state >>> 15), 1 | state);
        x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
        return ((x ^ (x >>> 14)) >>> 0) % below;
    };
}

test('random and mutated bytes leave the server and its other viewers undisturbed', async () => {
    const files = openFiles(server);
    const random = generator(1);
    const good = await connect(server, '/ws/good');
    const open = [];
    const samples = [text(RESUME), text('{"action":"fly","id":"é"}'), frame(OP.PING, 'ping'), closeFrame(1000, 'bye'),
        frame(OP.TEXT, '{"act', { fin: false }), frame(OP.MORE, 'ion":1}'), frame(OP.BINARY, 'x'.repeat(200)),
        text('x'.repeat(5000)), frame(OP.PONG)];
    const requests = [handshakeText(server), 'GET /ticks?since=0&limit=5 HTTP/1.1\r\nHost: x\r\n\r\n',
        'POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{"latency_ms":17.25}',
        'POST /ingest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n{"latency_ms":12}\r\n0\r\n\r\n',
        'GET /events?last_event_id=3 HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 3\r\n\r\n'];
    const mutate = (bytes) => {
        const copy = Buffer.from(bytes);
        for (let n = 1 + random(4); n > 0; n--) {
            copy[random(copy.length)] = random(256);
        }
        return random(3) ? copy : copy.subarray(0, random(copy.length));
    };
    for (let round = 0; round < 300; round++) {
        const raw = await Raw.connect(server);
        if (random(2)) {
            raw.write(handshakeText(server));
            for (let n = random(6); n > 0; n--) {
                const sample = samples[random(samples.length)];
                raw.write(random(2) ? mutate(sample) : sample);
            }
        } else {
            raw.write(random(4) ? mutate(Buffer.from(requests[random(requests.length)]))
                : Buffer.from(Array.from({ length: 1 + random(300) }, () => random(256))));
        }
        if (random(2)) {
            raw.socket.end();
        }
        open.push(raw);
        if (open.length > 20) {
            open.shift().socket.destroy();
        }
        if (round % 10 === 0) {
            await ingest(server, { tokens: 1 }); /* what was mutated may have ended the simulated engine */
            await good.tick();
        }
    }
    open.forEach((raw) => raw.socket.destroy());
    await good.command(RESUME);
    const seqs = numbered(good.events).map(({ seq }) => seq);
    assert.deepEqual(seqs, seqs.map((_, i) => good.hello.next_seq + i), 'the good viewer lost nothing');
    assert.equal((await request(server, '/healthz')).status, 200);
    good.close();
    await poll(() => openFiles(server) <= files, 'end of the fuzzed connections');
});
