/* A long stream leaves memory as it was. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { connect, request, residentKb, status, statusWhen, within } from './aidash.mjs';
import { DONE_EVENT, LAST_CHUNK, STREAM_HEAD, chatEvent, chunk, isRequest, metered, post, replay } from './engine.mjs';

const GIB = 1024 ** 3;

test('a stream of 1 GiB leaves resident memory where it was, and the dashboard is served meanwhile', async (t) => {
    const engine = await replay(t);
    const server = await metered(t, engine);
    const viewer = await connect(server);
    const socket = net.connect({ host: server.host, port: server.port });
    let got = 0;
    socket.on('data', (part) => { got += part.length; });
    const closed = new Promise((done) => { socket.on('close', done); });
    socket.write(post('/v1/chat/completions', '{"stream":true}'));
    const call = await engine.next();

    // Events of some 50 kB, as of an engine that sends many alternatives a token.
    const event = chunk(chatEvent('x', { alternatives: 'y'.repeat(50_000) }));
    const block = Buffer.from(event.repeat(16));
    const began = Date.now();
    let sent = 0;
    const push = async (until) => {
        for (; sent < until; sent += block.length) {
            await call.write(block);
        }
    };
    await call.write(STREAM_HEAD);
    // The static ring of events has been filled once after so many.
    await push(GIB / 4);
    assert.ok((await status(server)).counters.events > 4200);
    assert.equal((await request(server, '/healthz')).status, 200);
    const before = residentKb(server);
    let highest = 0;
    for (let part = 5; part <= 16; part++) {
        await push(part * GIB / 16);
        highest = Math.max(highest, residentKb(server));
        assert.equal((await request(server, '/healthz')).status, 200);
    }
    call.socket.end(chunk(DONE_EVENT) + LAST_CHUNK);
    await within(closed, 'end of the stream', 60_000);
    const seconds = (Date.now() - began) / 1000;
    t.diagnostic(`${(sent / seconds / 1e6).toFixed(0)} MB/s, ${before} kB after 256 MiB, at most ${highest} kB later`);
    const record = await viewer.next(isRequest);
    assert.deepEqual([record.status, record.completion_tokens], ['finished', sent / event.length]);
    assert.ok(got > sent);
    assert.ok(highest - before < 300, `${before} kB, then ${highest} kB`);
    assert.ok(residentKb(server) - before < 300);
});

test('a thousand requests leave resident memory where a hundred left it', async (t) => {
    const engine = await replay(t);
    const server = await metered(t, engine);
    engine.answerAll((call) => call.socket.end(STREAM_HEAD + chunk(chatEvent('a')).repeat(20) + LAST_CHUNK));
    const body = JSON.stringify({ stream: true, messages: ['x'.repeat(3000)] });
    const serve = async (n) => {
        for (let i = 0; i < n; i += 10) {
            await Promise.all(Array.from({ length: 10 }, () => request(server, '/v1/chat/completions', { method: 'POST', body })));
        }
    };
    await serve(200);
    const before = residentKb(server);
    await serve(1000);
    assert.ok(residentKb(server) - before < 300, `${before} kB, then ${residentKb(server)} kB`);
    const { memory } = await statusWhen(server, ({ counters }) => counters.requests === 1200);
    assert.ok(memory.arena_high_water_bytes < memory.arena_bytes);
});
