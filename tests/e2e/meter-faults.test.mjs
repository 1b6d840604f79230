/* What goes wrong between a client and its engine, and what each of them sees of
 * it through aidash. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test as alone } from 'node:test';
import { gzipSync } from 'node:zlib';
import { BIN, Raw, SLOW, assertGrownAtMost, connect, exchange, isStatus, isTick, openFiles, poll, request, residentKb, serve, sleep, start, status,
    statusWhen, within } from './aidash.mjs';
import { DONE_EVENT, LAST_CHUNK, STREAM_HEAD, abreast, answer, chatEvent, chunk, collect, dechunk, get, isRequest, isStart, metered, post, replay,
    takeApart } from './engine.mjs';

/* What measures, or moves megabytes, runs alone; all else several at a time. */
const test = abreast('faults');
const CHAT = '/v1/chat/completions';
const ask = (where = CHAT) => post(where, '{"model":"replayed","stream":true,"messages":[]}');
const idle = (server) => statusWhen(server, (now) => now.requests.running === 0 && now.requests.queued === 0);

async function stage(t, args = [], options = {}) {
    const engine = await replay(t, options);
    const server = await metered(t, engine, args);
    const viewer = await connect(server);
    return { engine, server, viewer };
}

/* A request that has reached the engine. */
async function begun(t, args, options, bytes = ask()) {
    const set = await stage(t, args, options);
    const client = await Raw.connect(set.server);
    client.write(bytes);
    return { ...set, client, call: await set.engine.next() };
}

test('an engine that is down: 502 in the shape of the API asked, status, and up again', async (t) => {
    const { engine, server, viewer } = await stage(t);
    await poll(async () => (await status(server)).engine === 'up', 'engine up');
    await engine.down();
    for (const [where, shape] of [[CHAT, (e) => assert.equal(typeof e.error.message, 'string')],
        ['/completion', (e) => assert.equal(typeof e.error.message, 'string')],
        ['/api/chat', (e) => assert.equal(typeof e.error, 'string')]]) {
        const got = takeApart(Buffer.from(await exchange(server, ask(where)), 'latin1'));
        assert.match(got.lines[0], /^HTTP\/1\.1 502 /);
        assert.ok(got.lines.some((line) => /^content-type: application\/json/i.test(line)), got.lines.join());
        shape(JSON.parse(got.body));
        const record = await viewer.next(isRequest);
        assert.deepEqual([record.status, record.route, record.completion_tokens ?? 0], ['failed', where, 0]);
    }
    assert.equal((await request(server, '/v1/models')).status, 502);
    assert.equal((await request(server, '/healthz')).status, 200, 'the dashboard is served');
    const told = viewer.events.filter(isStatus).filter((e) => e.engine === 'down');
    assert.equal(told.length, 1, 'told once');
    await engine.up();
    const answered = exchange(server, ask());
    (await engine.next()).socket.end(answer('{}'));
    assert.match(await answered, /^HTTP\/1\.1 200 /);
    await poll(() => viewer.events.filter(isStatus).at(-1).engine === 'up', 'status that it is up');
});

test('no descriptor for a connection to the engine: 503, which says nothing of the engine', async (t) => {
    const engines = [await replay(t, { models: ['alpha'] }), await replay(t, { models: ['beta'] })];
    const server = await serve(t, ['-c', 'ulimit -n 64; exec "$0" "$@"', BIN, '--listen', '127.0.0.1:0', '--max-inflight', '90',
        ...engines.flatMap(({ url }) => ['--upstream', url])], { bin: '/bin/sh', listen: [] });
    await statusWhen(server, (now) => now.models.length === 2);
    const calls = [];
    const held = [];
    engines[0].answerAll((call) => calls.push(call));
    let refused = '';
    while (refused === '') {
        const client = await Raw.connect(server);
        client.write(post(CHAT, '{"model":"alpha"}'));
        await poll(() => calls.length > held.length || client.bytes.length > 0, 'the engine has it, or it is refused');
        held.push(client);
        refused = client.bytes.toString();
        assert.ok(held.length < 40);
    }
    assert.match(refused, /^HTTP\/1\.1 503 [^]*no descriptor is left for a connection to the engine/);
    await Raw.connect(server); /* takes the last one that it left */
    await sleep(10_500); /* their lists are asked for every ten seconds */
    held.forEach((client) => client.reset());
    await poll(() => openFiles(server) < 30, 'descriptors again');
    assert.doesNotMatch(server.stderr(), /is down/);
    assert.deepEqual((await status(server)).upstreams.map((each) => each.engine), ['up', 'up']);
    const answered = exchange(server, post(CHAT, '{"model":"beta"}'));
    (await engines[1].next()).socket.end(answer('{}'));
    assert.match(await answered, /^HTTP\/1\.1 200 /);
});

test('an engine that goes in the middle of an answer is down at once; one that only breaks off an answer is not', async (t) => {
    const { engine, viewer, server, call } = await begun(t);
    await call.write(STREAM_HEAD + chunk(chatEvent('x')));
    await viewer.tick();
    const asked = engine.asked.filter((line) => line === 'GET /v1/models').length;
    call.socket.resetAndDestroy();
    await poll(() => engine.asked.filter((line) => line === 'GET /v1/models').length > asked, 'a look at once', 6000 * SLOW); // else every 10 s
    assert.equal((await status(server)).engine, 'up');

    const client = await Raw.connect(server);
    client.write(ask());
    const second = await engine.next();
    await second.write(STREAM_HEAD + chunk(chatEvent('x')));
    await viewer.tick();
    await engine.down();
    await viewer.next((e) => isStatus(e) && e.engine === 'down', 'status that it is down', 6000 * SLOW);
    await server.logged(/is down/);
    assert.equal(server.stderr().match(/is down/g).length, 1);
});

test('an engine that is down at the start comes up', async (t) => {
    const engine = await replay(t);
    await engine.down();
    const server = await metered(t, engine);
    await statusWhen(server, (now) => now.engine === 'down');
    await engine.up();
    const answered = exchange(server, ask());
    (await engine.next()).socket.end(answer('{}'));
    assert.match(await answered, /^HTTP\/1\.1 200 /);
    assert.equal((await status(server)).engine, 'up');
});

for (const how of ['closes', 'resets']) {
    const leave = (call) => (how === 'resets' ? call.socket.resetAndDestroy() : call.socket.end());

    test(`the engine ${how} before its answer: 502`, async (t) => {
        const { viewer, client, call } = await begun(t);
        leave(call);
        const got = takeApart(Buffer.from(await client.rest(), 'latin1'));
        assert.match(got.lines[0], /^HTTP\/1\.1 502 /);
        assert.equal(typeof JSON.parse(got.body).error.message, 'string');
        assert.equal((await viewer.next(isRequest)).status, 'failed');
    });

    test(`the engine ${how} in the middle of the head: 502`, async (t) => {
        const { server, viewer, client, call } = await begun(t);
        await call.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-');
        await sleep(30);
        leave(call);
        const got = await client.rest();
        assert.match(got, /^HTTP\/1\.1 502 /);
        assert.equal((await viewer.next(isRequest)).status, 'failed');
        await idle(server);
    });

    test(`the engine ${how} in mid-stream: the answer is cut, without the last chunk`, async (t) => {
        const { server, viewer, client, call } = await begun(t);
        await call.write(STREAM_HEAD + chunk(chatEvent('a')) + chunk(chatEvent('b')));
        await client.until((bytes) => bytes.includes('"b"'));
        leave(call);
        const { body } = takeApart(Buffer.from(await client.rest(), 'latin1'));
        assert.deepEqual({ ...dechunk(body), data: dechunk(body).data.toString() },
            { data: chatEvent('a') + chatEvent('b'), complete: false });
        const record = await viewer.next(isRequest);
        assert.deepEqual([record.status, record.completion_tokens, record.estimated], ['cut', 2, true]);
        await idle(server);
    });

    test(`the engine ${how} short of its Content-Length: cut`, async (t) => {
        const { viewer, client, call } = await begun(t);
        await call.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a":');
        await client.until((bytes) => bytes.includes('{"a":'));
        leave(call);
        assert.ok((await client.rest()).endsWith('{"a":'));
        assert.equal((await viewer.next(isRequest)).status, 'cut');
    });
}

test('an answer that ends with the connection is finished', async (t) => {
    const { viewer, client, call } = await begun(t);
    await call.write(`HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n${chatEvent('a')}${DONE_EVENT}`);
    call.socket.end();
    assert.ok((await client.rest()).endsWith(`\r\n\r\n${chatEvent('a')}${DONE_EVENT}`));
    assert.equal((await viewer.next(isRequest)).status, 'finished');
});

test('--upstream-timeout ends a stalled stream, but never the wait for the first byte', async (t) => {
    const { server, viewer, client, call } = await begun(t, ['--upstream-timeout', String(SLOW)]);
    await sleep(2500 * SLOW); // no byte yet: queueing and prompt work take what they take
    assert.equal((await status(server)).requests.running, 1);
    const began = Date.now();
    await call.write(STREAM_HEAD + chunk(chatEvent('a')));
    const { body } = takeApart(Buffer.from(await client.rest(), 'latin1'));
    assert.ok(Date.now() - began >= 900 * SLOW, `after ${Date.now() - began} ms`);
    assert.equal(dechunk(body).data.toString(), chatEvent('a'));
    assert.equal(dechunk(body).complete, false);
    await within(call.closed, 'end of the engine\'s connection');
    assert.equal((await viewer.next(isRequest)).status, 'cut');
});

test('pings keep a slow stream alive', async (t) => {
    const { client, call, viewer } = await begun(t, ['--upstream-timeout', String(4 * SLOW)]);
    await call.write(STREAM_HEAD);
    for (let i = 0; i < 10 * SLOW; i++) { // 5 s: longer than the limit; each pause is far shorter
        await sleep(500);
        await call.write(chunk(':\n\n'));
    }
    call.socket.end(LAST_CHUNK);
    assert.ok((await client.rest()).endsWith(LAST_CHUNK));
    assert.equal((await viewer.next(isRequest)).status, 'finished');
});

alone('a line of 10 MB passes, and the events around it count', async (t) => {
    const { engine, server, viewer } = await stage(t);
    const client = collect(server, ask());
    const call = await engine.next();
    const resident = residentKb(server);
    const long = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'x'.repeat(10_000_000) } }] })}\n\n`;
    const bytes = STREAM_HEAD + chunk(chatEvent('a')) + chunk(long) + chunk(chatEvent('c')) + chunk(DONE_EVENT) + LAST_CHUNK;
    call.write(bytes);
    call.socket.end();
    const got = takeApart(await client.rest());
    assert.ok(got.body.equals(takeApart(Buffer.from(bytes)).body));
    const record = await viewer.next(isRequest);
    assert.deepEqual([record.status, record.completion_tokens], ['finished', 3]);
    assertGrownAtMost(server, resident, 1500);
});

for (const [name, bytes] of [['no number', 'zz\r\nabc\r\n'], ['too large', 'fffffffffffffffff\r\nabc\r\n'],
    ['negative', '-5\r\nabc\r\n'], ['empty', '\r\nabc\r\n'], ['no newline behind the data', '3\r\nabcdef\r\n0\r\n\r\n'],
    ['a bare LF', '3\nabc\n0\n\n']]) {
    test(`a bad chunk (${name}): the answer is cut where it begins`, async (t) => {
        const { server, viewer, client, call } = await begun(t);
        await call.write(STREAM_HEAD + chunk(chatEvent('a')) + bytes);
        const { data, complete } = dechunk(takeApart(Buffer.from(await client.rest(), 'latin1')).body);
        assert.ok([chatEvent('a'), `${chatEvent('a')}abc`].includes(data.toString()), data.toString());
        assert.equal(complete, false);
        await within(call.closed, 'end of the engine\'s connection');
        const record = await viewer.next(isRequest);
        assert.equal(record.status, 'cut');
        assert.equal(record.estimated, true);
        await idle(server);
    });
}

/* What no strict reader takes: the client gets none of it. */
const OK = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';
for (const [name, bytes] of [
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\nhello'],
    ['HTTP/2', 'HTTP/2 200\r\n\r\nhello'],
    ['a length and chunks', `${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`],
    ['two lengths', `${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} `],
    ['a length that is no number', `${OK}Content-Length: 2x\r\n\r\n{}`],
    ['a CR in a field name', `${OK}Transfer\r-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`],
    ['a space before the colon', `${OK}Content-Length : 2\r\n\r\n{}`],
    ['a NUL', `${OK}X-A: b\0c\r\nContent-Length: 2\r\n\r\n{}`],
    ['lines that end in LF', `${OK.replaceAll('\r', '')}Content-Length: 2\n\n{}`],
    ['a folded line', `${OK}X-A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}`],
    ['a coding that nobody asked for', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`],
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello'],
    ['half a head', `${OK}Content-Le`],
    ['257 fields', `${OK}${'A: b\r\n'.repeat(256)}Content-Length: 2\r\n\r\n{}`],
]) {
    test(`an answer with ${name}: 502, and nothing of it`, async (t) => {
        const { server, client, call, viewer } = await begun(t);
        await call.write(bytes);
        call.socket.end();
        const got = takeApart(Buffer.from(await client.rest(), 'latin1'));
        assert.match(got.lines[0], /^HTTP\/1\.1 502 /);
        assert.equal(JSON.parse(got.body).error.code, 502);
        assert.equal((await viewer.next(isRequest)).status, 'failed');
        await idle(server);
    });
}

test('a gzipped answer passes; its tokens can\'t be counted', async (t) => {
    const { client, call, viewer } = await begun(t);
    const zipped = gzipSync(chatEvent('a') + DONE_EVENT);
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n'
        + `Content-Length: ${zipped.length}\r\n\r\n`;
    await call.write(Buffer.concat([Buffer.from(head), zipped]));
    call.socket.end();
    assert.ok(takeApart(Buffer.from(await client.rest(), 'latin1')).body.equals(zipped));
    const record = await viewer.next(isRequest);
    assert.deepEqual([record.status, record.completion_tokens ?? 0, record.estimated], ['finished', 0, true]);
});

for (const kB of [12, 40, 200]) {
    test(`an answer's head of ${kB} kB: ${kB === 12 ? 'it passes' : '502'}`, async (t) => {
        const { server, client, call, viewer } = await begun(t);
        const filler = Array.from({ length: kB }, (_, i) => `X-Filler-${i}: ${'y'.repeat(1000 - 14 - String(i).length)}\r\n`).join('');
        const bytes = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${filler}Content-Length: 2\r\n\r\n{}`;
        await call.write(bytes);
        call.socket.end();
        const got = takeApart(Buffer.from(await client.rest(), 'latin1'));
        if (kB === 12) {
            assert.deepEqual(got.lines, takeApart(Buffer.from(bytes)).lines);
            assert.equal(got.body.toString(), '{}');
        } else {
            assert.match(got.lines[0], /^HTTP\/1\.1 502 /);
        }
        await viewer.next(isRequest);
        await idle(server);
    });
}

test('what comes behind the end of an answer reaches no client', async (t) => {
    const { engine, server } = await stage(t);
    const more = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother';
    for (const [method, bytes, ends] of [['GET', 'HTTP/1.1 204 No Content\r\n\r\n', '\r\n\r\n'],
        ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', '\r\n\r\n'],
        ['HEAD', `${OK}Content-Length: 5\r\n\r\n`, '\r\n\r\n'], ['GET', `${OK}Content-Length: 2\r\n\r\n{}`, '{}'],
        ['GET', `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n`, `2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n`]]) {
        const client = await Raw.connect(server);
        client.write(`${method} /props HTTP/1.1\r\nHost: a\r\n\r\n`);
        (await engine.next()).socket.end(bytes + more);
        await client.until((got) => got.toString('latin1').endsWith(ends));
        client.write(get('/healthz')); // the connection goes on, and nothing was left in it
        const all = await client.rest();
        assert.equal(all.match(/HTTP\/1\.1/g).length, 2, all);
        assert.ok(!all.includes('other'), all);
    }
});

test('fields that the engine\'s Connection lines name end here', async (t) => {
    const { client, call } = await begun(t);
    call.socket.end(`${OK}Connection: X-One, x-two\r\nConnection: X-Three\r\nX-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\nX-Four: 4\r\n`
        + 'Upgrade: h2c\r\nTE: x\r\nTrailer: X-T\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\n{}');
    assert.deepEqual(takeApart(Buffer.from(await client.rest(), 'latin1')).lines,
        ['HTTP/1.1 200 OK', 'Content-Type: application/json', 'X-Four: 4', 'Content-Length: 2']);
});

for (const [name, bytes, data] of [['chunks', `${STREAM_HEAD}${chunk(chatEvent('a'))}${chunk(DONE_EVENT)}${LAST_CHUNK}`, chatEvent('a') + DONE_EVENT],
    ['a length', `${OK}Content-Length: 2\r\n\r\n{}`, '{}'],
    ['an interim answer before', `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}Content-Length: 2\r\n\r\n{}`, '{}']]) {
    test(`an HTTP/1.0 client gets the data alone (${name})`, async (t) => {
        const { client, call, viewer } = await begun(t, [], {}, ask().toString('latin1').replace('HTTP/1.1', 'HTTP/1.0'));
        call.socket.end(bytes);
        const got = await client.rest();
        assert.equal(got.match(/HTTP\/1/g).length, 1);
        const { lines, body } = takeApart(Buffer.from(got, 'latin1'));
        assert.ok(!lines.some((line) => /^transfer-encoding/i.test(line)), lines.join());
        assert.equal(body.toString(), data);
        assert.equal((await viewer.next(isRequest)).status, 'finished');
    });
}

test('interim answers come at once, and before the final one', async (t) => {
    const { client, call } = await begun(t);
    await call.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
    await client.until((bytes) => bytes.includes('103 Early Hints'), 'the interim answer');
    call.socket.end(`HTTP/1.1 102 Processing\r\n\r\n${answer('{}')}`);
    assert.match(await client.rest(), /^HTTP\/1\.1 103 [^]*HTTP\/1\.1 102 [^]*HTTP\/1\.1 200 OK\r\n[^]*\{\}$/);
});

test('Expect: 100-continue: a client that waits for it gets it', async (t) => {
    const { engine, server } = await stage(t);
    const client = await Raw.connect(server);
    client.write(`POST ${CHAT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 14\r\n\r\n`);
    await client.until((bytes) => bytes.toString() === 'HTTP/1.1 100 Continue\r\n\r\n', '100 Continue');
    await client.write('{"stream":true');
    const call = await engine.next();
    assert.equal(call.request.body.toString(), '{"stream":true');
    assert.ok(!call.request.headers.some((h) => /^expect:/i.test(h)), 'aidash has met it');
    call.socket.end(answer('{}'));
    assert.match(await client.rest(), /100 Continue[^]*200 OK[^]*\{\}$/);
});

/* ---- the client --------------------------------------------------------------- */

for (const how of ['closes', 'resets']) {
    const leave = (client) => (how === 'resets' ? client.reset() : client.socket.destroy());

    test(`a client that ${how} before the first byte: the engine's connection is closed`, async (t) => {
        const { server, viewer, client, call } = await begun(t);
        leave(client);
        await within(call.closed, 'end of the engine\'s connection');
        assert.equal((await viewer.next(isRequest)).status, 'left');
        await idle(server);
    });

    test(`a client that ${how} in mid-stream: the engine's connection is closed`, async (t) => {
        const { server, viewer, client, call } = await begun(t);
        await call.write(STREAM_HEAD + chunk(chatEvent('a')));
        await client.until((bytes) => bytes.includes('"a"'));
        leave(client);
        await within(call.closed, 'end of the engine\'s connection');
        const record = await viewer.next(isRequest);
        assert.deepEqual([record.status, record.completion_tokens], ['left', 1]);
        await idle(server);
    });
}

/* RFC 9112 9.6: the end of what a client sends is not the end of what it reads. */
for (const [when, before, after] of [
    ['before the answer', '', STREAM_HEAD + chunk(chatEvent('a'))],
    ['in mid-stream', STREAM_HEAD, chunk(chatEvent('a'))]]) {
    test(`a client that shuts its sending side ${when} gets all of it`, async (t) => {
        const { server, viewer, client, call } = await begun(t);
        if (before !== '') {
            await call.write(before);
            await client.until((bytes) => bytes.includes('\r\n\r\n'));
        }
        client.socket.end();
        await client.until((bytes) => bytes.length > before.length + 10 || before !== '', 'the probe'); // 100 Continue
        await call.write(after);
        await client.until((bytes) => bytes.includes('"a"'));
        await call.write(chunk(DONE_EVENT) + LAST_CHUNK);
        const { lines, body } = takeApart(Buffer.from(await client.rest(), 'latin1'));
        assert.match(lines[0], /^HTTP\/1\.1 200 /);
        assert.deepEqual({ ...dechunk(body), data: dechunk(body).data.toString() },
            { data: chatEvent('a') + DONE_EVENT, complete: true });
        assert.equal((await viewer.next(isRequest)).status, 'finished');
        await idle(server);
    });
}

test('a client that shuts its sending side in the queue is served; one that closes leaves it', async (t) => {
    const { engine, server, viewer, client, call } = await begun(t, ['--max-inflight', '1']);
    const stays = await Raw.connect(server);
    stays.write(ask());
    const leaves = await Raw.connect(server);
    leaves.write(ask());
    await statusWhen(server, (now) => now.requests.queued === 2);
    stays.socket.end();
    leaves.socket.destroy();
    await statusWhen(server, (now) => now.requests.queued === 1);
    assert.equal((await viewer.next(isRequest)).status, 'left');
    call.socket.end(answer('{}'));
    await client.rest();
    (await engine.next()).socket.end(answer('{"x":1}'));
    assert.match(await stays.rest(), /HTTP\/1\.1 200 OK\r\n[^]*\{"x":1\}$/);
});

test('waiting for a client that shut its sending side costs no CPU', async (t) => {
    const { server, client, call } = await begun(t);
    client.socket.end();
    await client.until((bytes) => bytes.includes('100 Continue'));
    const busy = () => readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(' ').slice(13, 15)
        .reduce((sum, ticks) => sum + Number(ticks), 0);
    const before = busy();
    await sleep(500);
    assert.ok(busy() - before <= 10 * SLOW, `${busy() - before} ticks of CPU in 0.5 s of waiting`);
    call.socket.end(answer('{}'));
    assert.match(await client.rest(), /\{\}$/);
});

test('a client that leaves in the middle of its request\'s body', async (t) => {
    const { engine, server, viewer } = await stage(t, [], { early: true });
    const client = await Raw.connect(server);
    client.write(`POST ${CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(50000)}`);
    const call = await engine.next();
    client.reset();
    await within(call.closed, 'end of the engine\'s connection');
    const half = await Raw.connect(server);
    half.write(`POST ${CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{"stream":`);
    half.socket.end();
    await half.rest();
    assert.equal((await viewer.next(isRequest)).status, 'left');
    assert.equal((await viewer.next(isRequest)).status, 'left');
    await idle(server);
});

alone('a slow client: what is kept for it is bounded, and the engine waits', async (t) => {
    const { server, viewer, client, call } = await begun(t);
    client.socket.pause();
    const event = chatEvent('x'.repeat(1000));
    let sent = 0;
    let blocked = 0;
    call.socket.write(STREAM_HEAD);
    const resident = residentKb(server);
    // Until the engine's side is full, and stays so.
    let full = 0;
    while (blocked < 20 && sent < 200e6) {
        if (call.socket.writableLength > 1e6) {
            blocked = call.socket.writableLength === full ? blocked + 1 : 0;
            full = call.socket.writableLength;
            await sleep(100);
        } else {
            blocked = 0;
            call.socket.write(chunk(event).repeat(100));
            sent += chunk(event).length * 100;
            await new Promise(setImmediate);
        }
    }
    assert.equal(blocked, 20, 'the engine is held back');
    assertGrownAtMost(server, resident, 1000);
    const busy = () => readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(' ').slice(13, 15)
        .reduce((sum, ticks) => sum + Number(ticks), 0);
    const before = busy();
    await sleep(500);
    assert.ok(busy() - before <= 10 * SLOW, `${busy() - before} ticks of CPU in 0.5 s of waiting`);
    assert.equal((await request(server, '/healthz')).status, 200);
    // An engine that dies meanwhile costs nothing either, and the client gets what was kept.
    call.socket.resetAndDestroy();
    const later = busy();
    await sleep(500);
    assert.ok(busy() - later <= 10 * SLOW, `${busy() - later} ticks of CPU in 0.5 s after the engine's end`);
    client.socket.resume();
    assert.ok((await client.rest()).length > 1000);
    assert.equal((await viewer.next(isRequest)).status, 'cut');
});

alone('a slow client gets all of it in the end', async (t) => {
    const { engine, server, viewer } = await stage(t);
    const client = collect(server, ask(), { slow: true });
    const call = await engine.next();
    const body = Array.from({ length: 20_000 }, (_, i) => chunk(chatEvent(`${i} ${'x'.repeat(300)}`))).join('')
        + chunk(DONE_EVENT) + LAST_CHUNK;
    const written = call.write(STREAM_HEAD + body);
    await sleep(300);
    client.resume();
    await written;
    const got = takeApart(await client.rest());
    assert.ok(got.body.equals(Buffer.from(body)));
    const record = await viewer.next(isRequest);
    assert.deepEqual([record.status, record.completion_tokens], ['finished', 20_000]);
});

alone('an engine that takes nothing: the client is held back, and gets the answer', async (t) => {
    const { engine, server } = await stage(t, [], { early: true });
    const client = await Raw.connect(server);
    client.write(`POST ${CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n`);
    client.write(Buffer.alloc(50_000_000, 'x'));
    const call = await engine.next();
    call.socket.pause();
    const resident = residentKb(server);
    await sleep(400);
    assert.ok(client.socket.writableLength > 10e6, 'held back');
    assertGrownAtMost(server, resident, 1000);
    // It refuses without having read the body.
    call.socket.write(answer('{"error":"too long"}', { status: '413 Payload Too Large' }));
    await client.until((bytes) => bytes.includes('too long'));
    assert.match(client.bytes.toString(), /^HTTP\/1\.1 413 /);
    client.reset();
    call.socket.resume();
    await within(call.closed, 'end of the engine\'s connection');
});

test('a request that is no HTTP, or has two lengths, is refused in JSON', async (t) => {
    const { engine, server } = await stage(t);
    engine.answerAll();
    const post = `POST ${CHAT} HTTP/1.1\r\nHost: a\r\n`;
    for (const [bytes, code] of [[`${post}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
        [`${post}Content-Length: -3\r\n\r\nabc`, 400], [`${post}Transfer-Encoding: gzip\r\n\r\nabc`, 501],
        [`${post}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`, 400]]) {
        const got = takeApart(Buffer.from(await exchange(server, bytes), 'latin1'));
        assert.match(got.lines[0], new RegExp(`^HTTP/1\\.1 ${code} `), bytes);
        assert.equal(typeof JSON.parse(got.body).error.message, 'string');
    }
});

test('bytes behind a request are not passed on', async (t) => {
    const { engine, server } = await stage(t);
    engine.answerAll();
    for (const bytes of [`POST ${CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}GET /a HTTP/1.1\r\nHost: a\r\n\r\n`,
        `POST ${CHAT} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n`,
        'GET /props HTTP/1.1\r\nHost: a\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n']) {
        const got = await exchange(server, bytes);
        assert.equal(got.match(/^HTTP/gm).length, 1, got);
        const call = engine.all.at(-1);
        assert.ok(!call.bytes.includes('GET /a'), call.bytes.toString());
    }
});

for (const [name, chunks] of [['no number', 'zz\r\nabc\r\n'], ['a bare LF', '3\nabc\n0\n\n'], ['a bare LF behind the data', '3\r\nabc\n0\r\n\r\n'],
    ['a bare CR', '3\rabc\r0\r\r'], ['a control character in an extension', '3;a=\x01\r\nabc\r\n0\r\n\r\n'],
    ['a trailer without a colon', '3\r\nabc\r\n0\r\nGET /a HTTP/1.1\r\n\r\n']]) {
    test(`a request with a malformed chunk (${name}): 400, and the engine gets none of it`, async (t) => {
        const { engine, server } = await stage(t);
        assert.match(await exchange(server, `POST ${CHAT} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`),
            /^HTTP\/1\.1 400 /);
        assert.equal(engine.all.length, 0);
    });
}

test('a malformed chunk behind 16 KiB: 400, and the engine gets no whole request', async (t) => {
    const { engine, server } = await stage(t, [], { early: true });
    const client = await Raw.connect(server);
    client.write(`POST ${CHAT} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('x'.repeat(20000))}`);
    const call = await engine.next();
    client.write('5\nabcde\n0\n\n');
    assert.match(await client.rest(), /^HTTP\/1\.1 400 /);
    await within(call.closed, 'end of the engine\'s connection');
    assert.ok(!call.bytes.toString('latin1').endsWith(LAST_CHUNK));
    assert.ok(!call.bytes.includes('abcde'));
});

test('a malformed chunk in a request whose answer has begun: the answer is cut', async (t) => {
    const { engine, server, viewer } = await stage(t, [], { early: true });
    const client = await Raw.connect(server);
    client.write(`POST ${CHAT} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('x'.repeat(20000))}`);
    const call = await engine.next();
    await call.write(STREAM_HEAD + chunk(chatEvent('a')));
    await client.until((bytes) => bytes.includes('"a"'));
    client.write('zz\r\nabc\r\n');
    assert.ok(!(await client.rest()).endsWith(LAST_CHUNK));
    assert.equal((await viewer.next(isRequest)).status, 'cut');
    await within(call.closed, 'end of the engine\'s connection');
});

for (const engines of [1, 2]) {
    test(`clients that send no body take no place from others (${engines} engines)`, async (t) => {
        const engine = await replay(t);
        const server = await metered(t, Array.from({ length: engines }, () => engine), ['--max-inflight', '4']);
        const silent = [];
        for (let i = 0; i < 16; i++) {
            silent.push(await Raw.connect(server));
            silent[i].write(`POST ${CHAT} HTTP/1.1\r\nHost: a\r\n${i % 2 ? 'Content-Length: 1000' : 'Transfer-Encoding: chunked'}\r\n\r\n`);
        }
        const served = exchange(server, ask());
        (await engine.next()).socket.end(answer('{}'));
        assert.match(await served, /200 OK/);
        await idle(server);
        silent.forEach((client) => client.reset());
    });
}

test('SIGTERM with running requests: it leaves, and the answers are cut', async (t) => {
    const engine = await replay(t);
    const server = await start(['--upstream', engine.url]);
    const clients = [];
    for (let i = 0; i < 4; i++) {
        const client = await Raw.connect(server);
        client.write(ask());
        const call = await engine.next();
        if (i % 2) {
            await call.write(STREAM_HEAD + chunk(chatEvent('a')));
            await client.until((bytes) => bytes.includes('"a"'));
        }
        clients.push([client, call]);
    }
    await server.stop();
    for (const [client, call] of clients) {
        assert.ok(!(await client.rest()).endsWith(LAST_CHUNK));
        await within(call.closed, 'end of the engine\'s connection');
    }
});

alone('no request and no prompt is left behind by a thousand that come and go', async (t) => {
    const { engine, server, viewer } = await stage(t);
    let served = 0;
    engine.answerAll((call) => {
        if (served++ % 3 === 0) {
            call.socket.resetAndDestroy();
        } else {
            call.socket.end(STREAM_HEAD + chunk(chatEvent('secret answer')) + (served % 3 ? LAST_CHUNK : ''));
        }
    });
    const bytes = post(CHAT, '{"model":"replayed","stream":true,"messages":[{"role":"user","content":"secret prompt"}]}');
    for (let i = 0; i < (SLOW > 1 ? 20 : 100); i++) {
        await Promise.all(Array.from({ length: 10 }, () => exchange(server, bytes)));
    }
    const now = await idle(server);
    assert.equal(now.requests.refused, 0);
    await poll(() => engine.connections() === 0, "end of the engine's connections");
    assert.ok(!viewer.texts.some((text) => text.includes('secret')));
    assert.ok(!server.stderr().includes('secret'));
});

test.run();
