/* A WebSocket between a client and the engine, through aidash. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { randomBytes } from 'node:crypto';
import WebSocket, { WebSocketServer } from 'ws';
import { Raw, connect, exchange, poll, request, sleep, status, statusWhen, validate, within } from './aidash.mjs';
import { LAST_CHUNK, abreast, answer, get, isRequest, isStart, metered, post, replay, takeApart } from './engine.mjs';

const test = abreast('websocket');
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const handshake = (where, extra = '', host = 'board.lan:8080') => `GET ${where} HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive, Upgrade\r\n`
    + `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n${KEY}${extra}\r\n`;
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n'
    + 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

/* A WebSocket engine that sends back what it gets. */
async function echo(t) {
    const seen = [];
    const server = http.createServer((req, res) => res.end('{"data":[{"id":"alpha"}]}'));
    const sockets = new WebSocketServer({ server, perMessageDeflate: true, handleProtocols: (set) => [...set][0] });
    sockets.on('connection', (socket, req) => {
        seen.push(req);
        socket.on('error', () => {});
        socket.on('message', (data, binary) => socket.send(data, { binary }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => { sockets.clients.forEach((each) => each.terminate()); server.closeAllConnections(); server.close(); });
    return { seen, sockets, url: `http://127.0.0.1:${server.address().port}` };
}

async function stage(t, args = [], options = { models: ['alpha'] }) {
    const engine = await replay(t, options);
    const server = await metered(t, engine, args);
    return { engine, server, viewer: await connect(server) };
}

/* A tunnel to an engine of raw bytes. */
async function tunnel(t, args) {
    const set = await stage(t, args);
    const client = await Raw.connect(set.server);
    client.write(handshake('/v1/realtime?model=gpt-realtime'));
    const call = await set.engine.next();
    await call.write(SWITCHED);
    await client.until((bytes) => bytes.includes('\r\n\r\n'));
    return { ...set, client, call };
}

test('a real WebSocket: messages of any size both ways, its extensions and subprotocol, and a record', async (t) => {
    const engine = await echo(t);
    const server = await metered(t, engine);
    const viewer = await connect(server);
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/v1/realtime?model=alpha`, ['realtime', 'openai-beta.realtime-v1'],
        { headers: { Authorization: 'Bearer mine' } });
    await within(once(socket, 'open'), 'open');
    assert.equal(socket.protocol, 'realtime');
    assert.match(socket.extensions, /permessage-deflate/);
    const start = validate(await viewer.next(isStart), 'RequestStart');
    assert.deepEqual([start.route, start.model, start.status], ['/v1/realtime', 'alpha', 'running']);
    assert.equal((await request(server, '/requests')).json.running.length, 1);
    for (const size of [0, 1, 125, 126, 70_000, 3_000_000]) {
        const data = randomBytes(size);
        socket.send(data);
        const [back] = await within(once(socket, 'message'), `message of ${size} bytes`);
        assert.ok(data.equals(back), `${size} bytes`);
    }
    socket.ping();
    await within(once(socket, 'pong'), 'pong');
    socket.close(4001, 'bye');
    const [code] = await within(once(socket, 'close'), 'close');
    assert.equal(code, 4001);
    const record = validate(await viewer.next(isRequest), 'Request');
    assert.equal(record.status, 'finished');
    assert.ok(record.bytes_received > 3_070_000 && record.bytes_received < 3_200_000, `${record.bytes_received}`);
    assert.ok(record.bytes_sent > 3_070_000 && record.bytes_sent < 3_200_000, `${record.bytes_sent}`);
    assert.ok(record.duration_ms > 0);
    assert.equal(engine.seen[0].headers.authorization, 'Bearer mine');
    assert.equal(engine.seen[0].headers['x-forwarded-for'], '127.0.0.1');
    const now = await status(server);
    assert.deepEqual([now.running, now.queued, now.counters.ticks], [0, 0, 0]);
    assert.equal(viewer.events.filter((e) => e.event === 'inference_tick').length, 0);
});

test('the handshake passes as it is, and the bytes behind it both ways at once', async (t) => {
    const { engine, server } = await stage(t);
    const client = await Raw.connect(server);
    client.write(handshake('/any/path?x=1', 'Sec-WebSocket-Protocol: a, b\r\nTE: trailers\r\n'));
    const call = await engine.next();
    assert.equal(call.request.target, '/any/path?x=1');
    const lines = call.request.headers.map((line) => line.toLowerCase());
    for (const line of ['connection: upgrade', 'upgrade: websocket', 'sec-websocket-version: 13', KEY.trim().toLowerCase(),
        'sec-websocket-protocol: a, b', `host: 127.0.0.1:${engine.port}`]) {
        assert.ok(lines.includes(line), `${line} in ${lines}`);
    }
    assert.ok(!lines.some((line) => line.startsWith('te:')));
    await call.write(`${SWITCHED}first frame`);
    await client.until((bytes) => bytes.includes('first frame'));
    const got = client.bytes;
    assert.equal(got.toString().match(/^connection: upgrade\r$/gim).length, 1);
    assert.equal(got.toString().match(/^upgrade: websocket\r$/gim).length, 1);
    const up = randomBytes(2_000_000);
    const down = randomBytes(2_000_000);
    client.write(up);
    call.socket.write(down);
    await client.until((bytes) => bytes.length >= got.length + down.length);
    assert.ok(client.bytes.subarray(got.length).equals(down));
    await poll(() => call.bytes.length >= up.length, 'the other way');
    assert.ok(call.bytes.subarray(call.bytes.length - up.length).equals(up));
});

test('each way to end: the engine ends, it resets, the client ends, it resets, a viewer cancels', async (t) => {
    const { engine, server, viewer } = await stage(t);
    for (const [end, expected] of [
        [({ call }) => call.socket.end('last'), 'finished'],
        [({ call }) => call.socket.resetAndDestroy(), 'cut'],
        [({ client }) => client.socket.end('bye'), 'left'],
        [({ client }) => client.reset(), 'left'],
        [({ id }) => viewer.command({ action: 'cancel', request: id }), 'cut'],
    ]) {
        const client = await Raw.connect(server);
        client.write(handshake('/v1/realtime'));
        const call = await engine.next();
        await call.write(SWITCHED);
        const { id } = await viewer.next(isStart);
        await end({ client, call, id });
        const record = await viewer.next(isRequest);
        assert.deepEqual([record.id, record.status], [id, expected]);
        await within(call.closed, 'the engine sees it');
        if (expected === 'finished') {
            assert.match(await client.rest(), /last$/);
        }
        await poll(async () => (await status(server)).requests.running === 0, 'rest');
    }
    assert.equal((await status(server)).engine, 'up');
});

test('an engine that does not switch answers as to any request, and one that switches to something else is refused', async (t) => {
    const { engine, server } = await stage(t);
    for (const [answered, expected] of [
        [answer('{"detail":"no"}', { status: '403 Forbidden' }), /^HTTP\/1\.1 403 Forbidden\r\n[^]*\{"detail":"no"\}$/],
        ['HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n', /^HTTP\/1\.1 426 /],
        ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n' + LAST_CHUNK, /^HTTP\/1\.1 200 OK\r\n[^]*ok\r\n0\r\n\r\n$/],
        ['HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nx', /^HTTP\/1\.1 502 /],
        ['HTTP/1.1 101 Switching Protocols\r\n\r\nx', /^HTTP\/1\.1 502 /],
    ]) {
        const client = await Raw.connect(server);
        client.write(handshake('/v1/realtime').replace('keep-alive,', 'close,'));
        (await engine.next()).socket.end(answered);
        assert.match(await client.rest(), expected);
    }
    assert.equal((await request(server, '/requests')).json.requests.length, 0);
    // And a 101 that nobody asked for is no HTTP answer.
    const asked = exchange(server, get('/v1/realtime'));
    (await engine.next()).socket.end(SWITCHED);
    assert.match(await asked, /^HTTP\/1\.1 502 /);
});

test('what is no handshake, or comes with one, never reaches the engine as something else', async (t) => {
    const { engine, server } = await stage(t);
    engine.answerAll();
    // Other protocols end here: the request goes on without them.
    for (const bad of [handshake('/x').replace('websocket', 'h2c'), handshake('/x').replace(': 13', ': 8'), handshake('/x').replace(KEY, ''),
        handshake('/x').replace('keep-alive, Upgrade', 'close')]) {
        const n = engine.all.length;
        const client = await Raw.connect(server);
        client.write(bad);
        await poll(() => engine.all.length > n, 'request');
        assert.ok(!engine.all.at(-1).request.headers.some((line) => /^upgrade:/i.test(line)), bad);
        client.reset();
    }
    const n = engine.all.length;
    const early = await exchange(server, `${handshake('/x')}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
    assert.match(early, /^HTTP\/1\.1 400 [^]*before its answer/);
    assert.equal(engine.all.length, n);
});

test('pages of other origins are refused, those that are allowed are not; /ws stays aidash\'s own', async (t) => {
    const { engine, server } = await stage(t, ['--allow-origin', 'http://good.test']);
    assert.match(await exchange(server, handshake('/v1/realtime', 'Origin: http://evil.test\r\n')), /^HTTP\/1\.1 403 /);
    assert.match(await exchange(server, handshake('/v1/realtime', '', 'evil.example')), /^HTTP\/1\.1 421 /);
    assert.match(await exchange(server, handshake('/ws/')), /^HTTP\/1\.1 400 /);
    assert.equal(engine.all.length, 0);
    const client = await Raw.connect(server);
    client.write(handshake('/v1/realtime', 'Origin: http://good.test\r\n'));
    await (await engine.next()).write(SWITCHED);
    await client.until((bytes) => bytes.includes(' 101 '));
    client.reset();
});

test('--upstream-timeout ends a silent WebSocket, and bytes either way keep it', async (t) => {
    const { client, call, viewer } = await tunnel(t, ['--upstream-timeout', '4']);
    for (let i = 0; i < 5; i++) { // 5 s: longer than the limit; each pause is far shorter
        await sleep(1000);
        await (i % 2 ? call.write('x') : new Promise((done) => { client.socket.write('y', done); }));
    }
    const began = Date.now();
    assert.equal(viewer.events.filter(isRequest).length, 0);
    assert.equal((await viewer.next(isRequest)).status, 'cut');
    assert.ok(Date.now() - began > 1000);
    await within(call.closed, 'closed');
});

test('a quarter of the places for requests may be WebSockets; pause and --max-inflight do not count them', async (t) => {
    const { engine, server, viewer } = await stage(t, ['--max-inflight', '1']);
    const clients = [];
    for (let i = 0; i < 24; i++) {
        const client = await Raw.connect(server);
        client.write(handshake('/v1/realtime'));
        await (await engine.next()).write(SWITCHED);
        await client.until((bytes) => bytes.includes(' 101 '));
        clients.push(client);
    }
    assert.match(await exchange(server, handshake('/v1/realtime')), /^HTTP\/1\.1 503 [^]*Retry-After: 5[^]*too many WebSockets/);
    const answered = exchange(server, post('/v1/chat/completions', '{}'));
    (await engine.next()).socket.end(answer('{"ok":1}'));
    assert.match(takeApart(Buffer.from(await answered, 'latin1')).data.toString(), /ok/);
    clients[0].reset();
    await viewer.next((e) => isRequest(e) && e.status === 'left');
    const client = await Raw.connect(server);
    client.write(handshake('/v1/realtime'));
    await (await engine.next()).write(SWITCHED);
    await client.until((bytes) => bytes.includes(' 101 '));
    [client, ...clients].forEach((each) => each.reset());
    await statusWhen(server, (now) => now.requests.running === 0);
});

test('a client that takes nothing slows its WebSocket alone; both sides are bounded', async (t) => {
    const { client, call, server } = await tunnel(t);
    client.socket.pause();
    let sent = 0;
    const block = Buffer.alloc(1 << 16);
    for (; sent < 200 && call.socket.write(block); sent++) { /* until the kernel's buffers are full */ }
    assert.equal((await request(server, '/healthz')).status, 200);
    client.socket.resume();
    for (; sent < 100; sent++) {
        call.socket.write(block);
    }
    await client.until((bytes) => bytes.length >= sent * block.length, 'all of it');
});

test.run();
