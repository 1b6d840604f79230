/* The limits of rates on the wire: who is beyond one is told so, others are not concerned. On a build whose limits are low
 * (Makefile, AD_STRICT): the exact edges are in tests/unit_throttle.c and tests/unit_pending.c, with a clock of their own. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { connect, isAnswer, poll, post, request, ROOT, serve, status, statusWhen, validate } from './aidash.mjs';

const STRICT = { bin: path.join(ROOT, 'build/strict/aidash') };
const from = (localAddress) => ({ localAddress });
const RESUME = '{"action":"resume","id":7}';

test('connections of one address: first 429, then resets; then it comes in again', async (t) => {
    const server = await serve(t, [], STRICT);
    const viewer = await connect(server, '/ws/other', from('127.0.0.3'));
    for (let i = 0; i < 8; i++) {
        assert.equal((await request(server, '/healthz', from('127.0.0.2'))).status, 200, `connection ${i + 1}`);
    }
    const told = await poll(async () => {
        const answer = await request(server, '/healthz', from('127.0.0.2'));
        return answer.status === 429 && answer;
    }, '429');
    assert.equal(told.headers['retry-after'], '1');
    assert.match(told.json.error.message, /^this address opens too many connections a second$/);
    validate(told.json, 'HttpError');

    const ends = await Promise.all(Array.from({ length: 60 }, () => request(server, '/healthz', from('127.0.0.2')).then((r) => r.status, () => 'reset')));
    assert.ok(ends.includes(429) && ends.includes('reset'), ends.join());
    assert.equal((await request(server, '/healthz')).status, 200, 'this machine has no limit');
    for (let i = 0; i < 30; i++) {
        assert.equal((await request(server, '/healthz')).status, 200);
    }
    assert.ok((await status(server)).counters.connections_limited >= 40);
    await viewer.tick();
    await poll(() => request(server, '/healthz', from('127.0.0.2')).then((r) => r.status === 200, () => false), 'the address comes in again');
    viewer.close();
});

test('the addresses of --trust-proxy have no limit', async (t) => {
    const server = await serve(t, ['--trust-proxy', '127.0.0.4'], STRICT);
    for (let i = 0; i < 40; i++) {
        assert.equal((await request(server, '/healthz', from('127.0.0.4'))).status, 200);
        assert.equal((await request(server, '/command', { method: 'POST', body: RESUME, ...from('127.0.0.4') })).status, 200);
    }
    const { counters } = await status(server);
    assert.equal(counters.connections_limited, 0);
    assert.equal(counters.commands_limited, 0);
});

test('commands of a WebSocket: an error with its own code, the id that was sent, and the stream goes on', async (t) => {
    const server = await serve(t, [], STRICT);
    const viewer = await connect(server, '/ws/test', from('127.0.0.2'));
    const other = await connect(server, '/ws/other', from('127.0.0.2'));
    const own = await connect(server, '/ws/own');
    for (let i = 0; i < 40; i++) viewer.send(RESUME);
    const answers = [];
    while (answers.length < 40) answers.push(await viewer.next(isAnswer));
    assert.ok(answers.slice(0, 10).every(({ event }) => event === 'ack'), 'the first ten');
    const limited = answers.filter(({ event }) => event === 'error');
    assert.ok(limited.length > 0);
    for (const error of limited) {
        validate(error);
        assert.equal(error.code, 'rate_limited');
        assert.equal(error.id, 7);
        assert.match(error.message, /10 at once, then 1 a second/);
    }
    for (let i = 0; i < 30; i++) { // a ping is no command, and what another one sends is its own affair
        viewer.send('{"action":"ping"}');
        assert.equal((await viewer.next(isAnswer)).event, 'ack');
    }
    other.send(RESUME);
    assert.equal((await other.next(isAnswer)).event, 'ack');
    for (let i = 0; i < 40; i++) own.send(RESUME);
    for (let i = 0; i < 40; i++) assert.equal((await own.next(isAnswer)).event, 'ack', 'who is of this machine has no limit');
    await statusWhen(server, ({ counters }) => counters.commands_limited === limited.length && counters.command_errors === limited.length);
    await poll(async () => { viewer.send(RESUME); return (await viewer.next(isAnswer)).event === 'ack'; }, 'a command again');
    await viewer.tick();
    for (const each of [viewer, other, own]) each.close();
});

test('commands by POST of an address: 429', async (t) => {
    const server = await serve(t, []);
    const send = (localAddress) => request(server, '/command', { method: 'POST', body: RESUME, localAddress });
    const answers = await Promise.all(Array.from({ length: 200 }, () => send('127.0.0.2')));
    assert.ok(answers.filter((answer) => answer.status === 200).length >= 10);
    const limited = answers.find((answer) => answer.status === 429);
    assert.ok(limited, 'one is too many');
    assert.equal(limited.headers['retry-after'], '1');
    validate(limited.json);
    assert.equal(limited.json.code, 'rate_limited');
    for (let i = 0; i < 30; i++) assert.equal((await post(server, '/command', RESUME)).status, 200);
    assert.equal((await send('127.0.0.3')).status, 200);
});
