/* Energy from a wall meter that is fed by ingest: the event `energy`, a request's joules, the cost; who may feed it; what goes stale. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SLOW, connect, exchange, post as send, request, serve, sleep, status, statusWhen } from './aidash.mjs';
import { LAST_CHUNK, STREAM_HEAD, chatEvent, chunk, DONE_EVENT, isRequest, metered, post, replay } from './engine.mjs';

const CHAT = '/v1/chat/completions';
const isEnergy = (event) => event.event === 'energy';
const feed = async (server, watts) => {
    const answer = await send(server, '/ingest', `{"watts":${watts}}\n`);
    assert.equal(answer.status, 200, answer.text);
};

test('a wall meter: power, what is taken at rest, joules of a request, cost', async (t) => {
    const engine = await replay(t);
    const server = await metered(t, engine, ['--price-kwh', '0.3']);
    const viewer = await connect(server);
    assert.equal((await status(server)).energy, undefined, 'nobody tells the power');
    await feed(server, 40);
    const first = await viewer.next(isEnergy, 'an energy event');
    assert.equal(first.source, 'wall');
    assert.equal(first.watts, 40);
    assert.equal(first.estimate, false);
    assert.ok(first.known_s >= 0 && first.joules_per_token === undefined);
    while ((await status(server)).energy.floor_watts === undefined) { // its own values, from 2 s of rest on
        await feed(server, 40);
        await sleep(1100);
    }
    assert.equal((await status(server)).energy.floor_watts, 40);
    await feed(server, 90);
    const answered = exchange(server, post(CHAT, '{"model":"replayed","stream":true}'));
    const call = await engine.next();
    await call.write(STREAM_HEAD);
    for (let i = 0; i < 20; i++) {
        await call.write(chunk(chatEvent('word ')));
        await sleep(100);
    }
    await feed(server, 90);
    await call.write(chunk(`data: ${JSON.stringify({ model: 'replayed', choices: [], usage: { prompt_tokens: 5, completion_tokens: 20 } })}\n\n`) +
        chunk(DONE_EVENT) + LAST_CHUNK);
    call.socket.end();
    await answered;
    const record = await viewer.next((event) => isRequest(event) && event.status === 'finished');
    /* 50 W above the rest, for at least the 2 s of its tokens, and for no longer than it took. */
    assert.ok(record.joules >= 50 * 1.9 && record.joules <= record.duration_ms / 1000 * 50 * 1.05 + 1,
        `${record.joules} J in ${record.duration_ms} ms`);
    const kept = (await request(server, '/requests')).json.requests.at(-1);
    assert.equal(kept.joules, record.joules);
    const after = await viewer.next((event) => isEnergy(event) && event.joules_per_token !== undefined, 'joules a token');
    assert.ok(after.joules_per_token > 50 * 1.9 / 20 * 0.99, JSON.stringify(after));
    assert.ok(Math.abs(after.cost - after.wh / 1000 * 0.3) <= 1e-6 + after.wh * 1e-6);
    assert.ok(after.requests_wh > 0 && after.requests_wh < after.wh);
    assert.ok(after.tokens_per_wh > 0);
    const stale = await viewer.next((event) => isEnergy(event) && event.source === 'none', 'a stale value', 60_000 * SLOW); // unknown, never 0
    assert.equal(stale.watts, 'unknown');
    assert.ok(stale.wh > 0);
});

test('the power of a wall meter is a number of 0 to a million; it takes the right ingest', async (t) => {
    const engine = await replay(t);
    const server = await metered(t, engine, ['--ingest', 'key']);
    const refused = await send(server, '/ingest', '{"watts":5}\n');
    assert.equal(refused.status, 401);
    const open = await serve(t, ['--source', 'none', '--upstream', engine.url]);
    for (const wrong of ['-1', '1000001', '"12"', 'null', 'true', '[]']) {
        const answer = await send(open, '/ingest', `{"watts":${wrong}}\n`);
        assert.match(answer.text, /\\"watts\\" must be a number between 0 and 1000000/, wrong);
    }
    assert.equal((await status(open)).energy, undefined);
    await feed(open, 0);
    assert.equal((await statusWhen(open, ({ energy }) => energy !== undefined)).energy.watts, 0, '0 is a value, too');
});
