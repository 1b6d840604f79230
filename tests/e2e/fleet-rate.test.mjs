/* A board that sends as fast as it can: its gateway reads it as slowly as it may be read (AIDASH_LINK_RATE), loses nothing of it, and has time
 * for the other boards. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import WebSocket from 'ws';
import { SLOW, poll, request, serve, status, validate } from './aidash.mjs';

const RATE = 10_000;
const MANY = 40_000;
const PATIENCE_MS = 60_000 * SLOW;
const tick = (i) => JSON.stringify({ event: 'inference_tick', model: 'm', tokens_generated: i, latency_ms: 5, tokens_per_second: 200, timestamp: Date.now() / 1000 });

/* The board's line of GET /status; the board's of GET /nodes. */
const linkOf = async (gateway, list, name) => (await status(gateway)).fleet?.[list]?.find(({ node }) => node === name);
const tokensOf = async (gateway, name) => (await request(gateway, '/nodes')).json.nodes.find(({ node }) => node === name)?.tokens ?? 0;

/* All of it came, once, in no less time than it may take. */
async function assertRead(gateway, list, since) {
    const link = await poll(async () => {
        const found = await linkOf(gateway, list, 'flood');
        return found?.events >= MANY && found;
    }, `${MANY} events`, PATIENCE_MS);
    const took = Date.now() - since;
    assert.equal(link.events, MANY);
    assert.equal(link.wrong, 0);
    // A gateway that is slower itself needs not to be.
    assert.ok(link.slowed > 0 || took >= 1000 * (MANY - RATE) / RATE, `it was not slowed in ${took} ms`);
    assert.equal(await tokensOf(gateway, 'flood'), MANY);
    // As many at once as in a second, then so many a second; and what one read has beyond that.
    assert.ok(took >= 1000 * (MANY - 2 * RATE) / RATE, `${took} ms`);
    return link;
}

test('--forward: a board that floods its gateway is read slowly, and others beside it', { timeout: 120_000 * SLOW }, async (t) => {
    const gateway = await serve(t, ['--source', 'none', '--ingest', 'open']);
    await serve(t, ['--source', 'sim', '--rate', '20', '--forward', `http://127.0.0.1:${gateway.port}`, '--as-node', 'other']);
    await poll(async () => await tokensOf(gateway, 'other') > 0, 'a tick of the other board', PATIENCE_MS);
    const ws = new WebSocket(`ws://127.0.0.1:${gateway.port}/forward?node=flood&run=ab`);
    t.after(() => ws.terminate());
    await new Promise((opened, failed) => { ws.once('message', opened); ws.once('error', failed); });

    const before = await tokensOf(gateway, 'other');
    const since = Date.now();
    for (let i = 0; i < MANY; i += 50) {
        ws.send(`[${Array.from({ length: 50 }, (_, k) => `{"id":"ab-${i + k + 1}","event":${tick(i + k + 1)}}`).join()}]`);
    }
    await assertRead(gateway, 'links', since);
    assert.ok(await tokensOf(gateway, 'other') > before, 'the other board was read meanwhile');
    validate(await status(gateway), 'StatusAnswer');
});

test('--peer: a board that floods its gateway is read slowly, and misses nothing', { timeout: 120_000 * SLOW }, async (t) => {
    let since;
    const board = http.createServer((asked, answer) => {
        if (!asked.url.startsWith('/events')) { answer.writeHead(404).end(); return; }
        answer.writeHead(200, { 'Content-Type': 'text/event-stream' });
        answer.on('error', () => {});
        since ??= Date.now();
        const more = (i) => {
            let ready = true;
            while (i < MANY && ready) ready = answer.write(`id: ab-${++i}\ndata: ${tick(i)}\n\n`);
            if (i < MANY) answer.once('drain', () => more(i));
        };
        more(0);
    });
    await new Promise((ready) => { board.listen(0, '127.0.0.1', ready); });
    t.after(() => { board.close(); board.closeAllConnections(); });
    const gateway = await serve(t, ['--source', 'none', '--peer', `flood=http://127.0.0.1:${board.address().port}`]);
    await poll(() => since, 'connection', PATIENCE_MS);
    const link = await assertRead(gateway, 'peers', since);
    assert.equal(link.missed, 0);
    assert.equal(link.ups, 1);
});
