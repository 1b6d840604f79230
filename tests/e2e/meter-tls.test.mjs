/* Engines with https: whom aidash believes, what it does with whom it does not, and
 * that TLS changes nothing of what passes. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { after } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { Raw, SLOW, connect, exchange, openFiles, poll, request, run, serve, sleep, start, status, statusWhen, validate, within } from './aidash.mjs';
import { DONE_EVENT, LAST_CHUNK, STREAM_HEAD, abreast, answer, chatEvent, chunk, collect, get, isRequest, post, replay, takeApart, ticksOf } from './engine.mjs';
import { authority, terminate } from './tls.mjs';

const test = abreast('tls');
const ca = authority();
const other = authority('another');
const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-tls-'));
after(() => { ca.remove(); other.remove(); rmSync(dir, { recursive: true }); });
const good = ca.issue();
const SECRET = 'the-key-of-the-operator';
const keyFile = path.join(dir, 'key');
writeFileSync(keyFile, `${SECRET}\n`);
const CHAT = JSON.stringify({ model: 'replayed', stream: true, messages: [{ role: 'user', content: 'x' }] });

const ask = (server, where = '/v1/x') => exchange(server, get(where).replace('Host: a', 'Host: localhost')); // it may use the operator's key
const meter = (t, url, args = ['--upstream-ca', ca.file], options = {}) => serve(t,
    ['--backlog', '2048', ...[url].flat().flatMap((each) => ['--upstream', each]), ...args], options);

/* An engine behind TLS. */
async function secure(t, leaf = good, options = {}, engineOptions = {}) {
    const engine = await replay(t, engineOptions);
    return { engine, front: await terminate(t, engine.port, leaf, options) };
}

/* A server that does what `each` does with a TCP connection. */
async function raw(t, each) {
    const sockets = new Set();
    const server = net.createServer({ noDelay: true }, (socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        each(socket);
    });
    await new Promise((ready) => { server.listen(0, '127.0.0.1', ready); });
    t.after(() => { server.close(); sockets.forEach((socket) => socket.destroy()); });
    return { url: `https://localhost:${server.address().port}`, port: server.address().port };
}

for (const [what, leaf, options, place = 'localhost'] of [
    ['TLS 1.2', good, { maxVersion: 'TLSv1.2' }],
    ['TLS 1.3', good, { minVersion: 'TLSv1.3' }],
    ['an RSA key by TLS 1.2', ca.issue({ kind: 'rsa' }), { maxVersion: 'TLSv1.2' }],
    ['an RSA key by TLS 1.3', ca.issue({ kind: 'rsa' }), { minVersion: 'TLSv1.3' }],
    ['an address in place of a name', ca.issue({ names: 'IP:127.0.0.1' }), {}, '127.0.0.1'],
    ['ChaCha20-Poly1305', good, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' }],
    ['P-384 and SHA-384', good, { minVersion: 'TLSv1.3', ecdhCurve: 'P-384', ciphers: 'TLS_AES_256_GCM_SHA384' }],
]) {
    test(`an engine behind TLS whose certificate is right: ${what}`, async (t) => {
        const { engine, front } = await secure(t, leaf, options);
        const server = await meter(t, `https://${place}:${front.port}`, ['--upstream-ca', ca.file, '--upstream-key-file', keyFile]);
        const now = await statusWhen(server, (each) => each.engine === 'up' && each.models.join() === 'replayed');
        assert.equal(now.upstreams[0].url, `https://${place}:${front.port}`);
        engine.answerAll((call) => call.socket.end(answer('{"well":1}', { extra: `Location: https://${place}:${front.port}/there?x=1\r\n` })));
        const got = takeApart(Buffer.from(await ask(server), 'latin1'));
        assert.equal(got.data.toString(), '{"well":1}');
        assert.ok(got.lines.includes('Location: /there?x=1'), got.lines.join());
        assert.equal(engine.all[0].request.value('authorization'), `Bearer ${SECRET}`);
        assert.equal(engine.all[0].request.value('host'), `${place}:${front.port}`);
        // RFC 6066 3: a name, and never an address.
        assert.ok(front.names.every((name) => (place === 'localhost' ? name === 'localhost' : !name)), front.names.join());
    });
}

const REFUSED = [
    ['an authority that is not known', other.issue(), /of an authority that is not known here/, /--upstream-ca FILE.*--upstream-pin (sha256\/\S{44})\n/],
    ['none, but its own', ca.selfSigned(), /of an authority that is not known here/, /--upstream-pin (sha256\/\S{44})\n/],
    ['one that has expired', ca.issue({ to: '20210101000000Z' }), /its certificate expired on 2021-01-01/, /renew it there/],
    ['one that is not valid yet', ca.issue({ from: '20390101000000Z' }), /its certificate is not valid before 2039-01-01/, /clock/],
    ['one for another name', ca.issue({ names: 'DNS:engine.example,DNS:*.more.example' }), /its certificate is for another name/, /engine\.example, \*\.more\.example\n/],
    ['one for another address', ca.issue({ names: 'DNS:localhost,IP:127.0.0.2,DNS:127.0.0.1' }), /its certificate is for another name/, /localhost/, '127.0.0.1'],
    ['one for clients', ca.issue({ usage: 'clientAuth' }), /its certificate is not for a server/, /another one/],
];
for (const [what, leaf, why, advice, place = 'localhost'] of REFUSED) {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
        test(`an engine is refused that shows ${what}, by ${maxVersion}; its key, pinned, is accepted`, async (t) => {
            const { engine, front } = await secure(t, leaf, { maxVersion });
            const url = `https://${place}:${front.port}`;
            const server = await meter(t, url, ['--upstream-ca', ca.file, '--upstream-key-file', keyFile, '--upstream-pin', good.pin]);
            const [line] = await server.logged(new RegExp(`engine ${place}:${front.port} is down: .*\n`));
            assert.match(line, why);
            assert.match(line, advice);
            const said = takeApart(Buffer.from(await ask(server), 'latin1'));
            assert.equal(said.lines[0], 'HTTP/1.1 502 Bad Gateway');
            assert.match(JSON.parse(said.data).error.message, why);
            assert.equal((await status(server)).engine, 'down');
            assert.deepEqual([engine.asked, engine.connections()], [[], 0], 'it got no byte of a request');
            assert.ok(!server.stderr().includes(SECRET));
            // The fingerprint that the log names is that of the engine's key.
            assert.ok(!line.includes('sha256/') || line.includes(leaf.pin), line);
            const believing = await meter(t, url, ['--upstream-ca', ca.file, '--upstream-pin', good.pin, '--upstream-pin', leaf.pin]);
            await statusWhen(believing, (now) => now.engine === 'up' && now.models.join() === 'replayed');
        });
    }
}

test('the authorities: of --upstream-ca alone, else of $SSL_CERT_FILE; a self-signed certificate is its own', async (t) => {
    const { front } = await secure(t);
    const up = (server) => statusWhen(server, (now) => now.engine === 'up' && now.models.length === 1);
    const down = (server) => server.logged(/is down: its certificate is of an authority that is not known here/);
    await up(await meter(t, front.url, [], { env: { SSL_CERT_FILE: ca.file } }));
    await down(await meter(t, front.url, [], { env: { SSL_CERT_FILE: other.file } }));
    await down(await meter(t, front.url, ['--upstream-ca', other.file], { env: { SSL_CERT_FILE: ca.file } }));
    await down(await meter(t, front.url, []));
    const own = ca.selfSigned();
    await up(await meter(t, (await secure(t, own)).front.url, ['--upstream-ca', own.file]));
    const both = path.join(dir, 'both.pem');
    writeFileSync(both, `what precedes is not read\n${readFileSync(other.file)}\r\n# between\n${readFileSync(ca.file).toString().replaceAll('\n', '\r\n')}`);
    await up(await meter(t, front.url, ['--upstream-ca', both]));
});

test('wrong options are refused while starting', async () => {
    const bad = path.join(dir, 'bad.pem');
    writeFileSync(bad, '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n');
    for (const [args, why] of [
        [['--upstream-ca', path.join(dir, 'none')], /--upstream-ca: can't read \S+: No such file/],
        [['--upstream-ca', dir], /--upstream-ca: can't read/],
        [['--upstream-ca', keyFile], /--upstream-ca: \S+ has no certificate/],
        [['--upstream-ca', bad], /--upstream-ca: \S+ has no certificate \(PEM\), or a malformed one/],
        [['--upstream-pin', good.pin.slice(7)], /--upstream-pin: '\S+' is not sha256\//],
        [['--upstream-pin', `${good.pin.slice(0, -2)}=`], /--upstream-pin: /],
        [['--upstream-pin', good.pin.replace('sha256', 'sha1')], /--upstream-pin: /],
        [['--upstream-pin', Array(9).fill(good.pin).join()], /there may be 8/],
    ]) {
        const { code, stderr } = await run(['--listen', '127.0.0.1:0', '--upstream', 'https://127.0.0.1:9', ...args]);
        assert.equal(code, 2, args.join(' '));
        assert.match(stderr, why);
    }
});

test('what is no TLS at that port, and what ends or stalls in the handshake', async (t) => {
    const silent = await replay(t); // it waits for the end of a head
    const plain = await raw(t, (socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')));
    const ends = await raw(t, (socket) => socket.once('data', () => socket.end()));
    const resets = await raw(t, (socket) => socket.once('data', () => socket.resetAndDestroy()));
    const stalls = await raw(t, (socket) => socket.resume());
    const trickles = await raw(t, (socket) => { socket.resume(); const drip = setInterval(() => socket.write('\x16'), 500); socket.on('close', () => clearInterval(drip)); });
    const babbles = await raw(t, (socket) => { socket.resume(); socket.write(randomBytes(100_000)); });
    const old = await terminate(t, silent.port, good, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' });
    for (const [url, why] of [
        [plain.url, /it does not speak TLS at this port/],
        [`https://localhost:${silent.port}`, /did not begin TLS in time/],
        [ends.url, /the connection ended during the TLS handshake/],
        [resets.url, /the connection ended during the TLS handshake/],
        [babbles.url, /it does not speak TLS at this port/],
        [old.url, /the other side (refused the TLS handshake|has no TLS 1\.2 or 1\.3)/],
        [stalls.url, /did not begin TLS in time/],
        [trickles.url, /did not begin TLS in time|does not speak TLS/],
    ]) {
        const server = await meter(t, url);
        const [line] = await server.logged(new RegExp(`engine ${new URL(url).host} is down: .*\n`));
        assert.match(line, why);
        const files = openFiles(server);
        const said = takeApart(Buffer.from(await exchange(server, get('/v1/x')), 'latin1'));
        assert.equal(said.lines[0], 'HTTP/1.1 502 Bad Gateway', url);
        assert.match(JSON.parse(said.data).error.message, why);
        await poll(() => openFiles(server) <= files + 2, 'closed descriptors');
    }
});

test('bodies and answers of megabytes are the same bytes behind TLS', async (t) => {
    const { engine, front } = await secure(t);
    const server = await meter(t, front.url);
    await statusWhen(server, (now) => now.engine === 'up');
    const body = JSON.stringify({ model: 'replayed', pad: randomBytes(3_000_000).toString('base64') });
    const back = randomBytes(8_000_000);
    const client = collect(server, post('/v1/chat/completions', body));
    const call = await engine.next((each) => each.request.method === 'POST');
    assert.ok(call.request.body.equals(Buffer.from(body)));
    call.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${back.length}\r\n\r\n`);
    call.socket.end(back);
    const got = takeApart(await client.rest());
    assert.ok(got.body.equals(back), `${got.body.length} bytes`);
    // A client that reads slowly slows its own answer, and loses nothing.
    const slow = collect(server, get('/big'), { slow: true });
    const big = await engine.next((each) => each.request.target === '/big');
    big.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${back.length}\r\n\r\n`);
    big.socket.end(back);
    await sleep(300);
    slow.resume();
    const sum = (bytes) => createHash('sha256').update(bytes).digest('hex');
    assert.equal(sum(takeApart(await slow.rest()).body), sum(back));
});

test('an answer that ends with its connection: whole with close_notify, cut without', async (t) => {
    const answers = [];
    const front = await raw(t, (socket) => {
        const secured = new tls.TLSSocket(socket, { isServer: true, key: good.key, cert: good.cert });
        secured.on('error', () => {});
        secured.once('data', (head) => {
            const target = head.toString().split(' ')[1];
            if (target.startsWith('/v1/chat')) {
                secured.write(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n${chatEvent('one')}${chatEvent('two')}`, () => {
                    answers.push(target);
                    if (target.endsWith('cut')) { socket.end(); } else { secured.end(DONE_EVENT); }
                });
            } else {
                secured.end(answer('{"data":[{"id":"replayed"}]}'));
            }
        });
    });
    const server = await meter(t, front.url);
    const viewer = await connect(server);
    await statusWhen(server, (now) => now.engine === 'up' && now.models.length === 1);
    for (const [target, outcome] of [['/v1/chat/completions?cut', 'cut'], ['/v1/chat/completions?whole', 'finished']]) {
        assert.match((await exchange(server, post(target, CHAT))).toString(), /two/);
        assert.equal(validate(await viewer.next(isRequest), 'Request').status, outcome, target);
    }
});

test('the engine sees that a client left, and that it half-closed', async (t) => {
    const { engine, front } = await secure(t);
    const server = await meter(t, front.url);
    const viewer = await connect(server);
    await statusWhen(server, (now) => now.engine === 'up');
    const client = await Raw.connect(server);
    await client.write(post('/v1/chat/completions', CHAT));
    const call = await engine.next((each) => each.request.method === 'POST');
    await call.write(STREAM_HEAD + chunk(chatEvent('one')));
    await client.until((bytes) => bytes.includes('one'));
    client.socket.destroy();
    await within(call.closed, 'end at the engine');
    assert.equal((await viewer.next(isRequest)).status, 'left');
    // A client that has shut its sending side still gets its answer.
    const shut = await Raw.connect(server);
    await shut.write(post('/v1/chat/completions', CHAT));
    shut.socket.end();
    const second = await engine.next((each) => each.request.method === 'POST');
    await second.write(STREAM_HEAD + chunk(chatEvent('two')) + chunk(DONE_EVENT) + LAST_CHUNK);
    second.socket.end();
    await shut.until((bytes) => bytes.includes('[DONE]'));
    assert.equal((await viewer.next(isRequest)).status, 'finished');
});

test('32 streams at once, each with its own tokens', async (t) => {
    const { engine, front } = await secure(t);
    const server = await meter(t, front.url, ['--upstream-ca', ca.file, '--max-inflight', '32']);
    const viewer = await connect(server);
    await statusWhen(server, (now) => now.engine === 'up' && now.models.length === 1);
    const clients = [];
    const calls = [];
    for (let i = 0; i < 32; i++) { // one handshake at a time: each has 5 s, and a busy machine has one engine for all of them
        clients.push(collect(server, post(`/v1/chat/completions?n=${i}`, CHAT)));
        calls.push(await engine.next((each) => each.request.method === 'POST'));
    }
    await Promise.all(calls.map(async (call) => {
        const mark = call.request.target.split('=')[1];
        await call.write(STREAM_HEAD);
        for (let i = 0; i < 50; i++) {
            await call.write(chunk(chatEvent(`${mark}-${i} `)));
        }
        call.socket.end(chunk(DONE_EVENT) + LAST_CHUNK);
    }));
    const got = await Promise.all(clients.map(async (client) => takeApart(await client.rest())));
    got.forEach(({ data, complete }, i) => {
        assert.ok(complete);
        const text = data.toString().split('\n\n').filter((event) => event.startsWith('data: {'))
            .map((event) => JSON.parse(event.slice(6)).choices[0].delta.content).join('');
        assert.equal(text, Array.from({ length: 50 }, (__, k) => `${i}-${k} `).join(''));
    });
    await statusWhen(server, (now) => now.requests.running === 0);
    await poll(() => ticksOf(viewer.events).reduce((sum, tick) => sum + (tick.tokens ?? 1), 0) > 0, 'ticks');
});

test('a WebSocket through TLS: messages both ways, its end', async (t) => {
    const server = https.createServer({ key: good.key, cert: good.cert }, (req, res) => res.end('{"data":[{"id":"alpha"}]}'));
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket) => { socket.on('error', () => {}); socket.on('message', (data, binary) => socket.send(data, { binary })); });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => { sockets.clients.forEach((each) => each.terminate()); server.closeAllConnections(); server.close(); });
    const aidash = await meter(t, `https://localhost:${server.address().port}`);
    const viewer = await connect(aidash);
    const socket = new WebSocket(`ws://127.0.0.1:${aidash.port}/v1/realtime?model=alpha`);
    await within(once(socket, 'open'), 'open');
    for (const size of [0, 1, 70_000, 1_000_000]) {
        const data = randomBytes(size);
        socket.send(data);
        const [back] = await within(once(socket, 'message'), `message of ${size} bytes`);
        assert.ok(data.equals(back), `${size} bytes`);
    }
    socket.close(4001, 'bye');
    assert.equal((await within(once(socket, 'close'), 'close'))[0], 4001);
    assert.equal(validate(await viewer.next(isRequest), 'Request').status, 'finished');
});

test('lists of several engines, of which some have TLS, and one is not believed', async (t) => {
    const one = await secure(t, good, {}, { models: ['a'] });
    const two = await replay(t, { models: ['b'] });
    const three = await secure(t, other.issue(), {}, { models: ['c'] });
    const server = await meter(t, [one.front.url, two.url, three.front.url]);
    await statusWhen(server, (now) => now.models.join() === 'a,b');
    const { data } = takeApart(Buffer.from(await ask(server, '/v1/models'), 'latin1'));
    assert.deepEqual(JSON.parse(data).data.map((each) => each.id), ['a', 'b']);
    assert.deepEqual((await status(server)).upstreams.map((each) => each.engine), ['up', 'up', 'down']);
});

test('--scrape reads a page by https, and says why it does not', async (t) => {
    let tokens = 100;
    const pages = async (leaf) => {
        const server = https.createServer({ key: leaf.key, cert: leaf.cert }, (req, res) =>
            res.end(`llamacpp:tokens_predicted_total ${tokens += 7}\n`));
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
        t.after(() => { server.closeAllConnections(); server.close(); });
        return `https://localhost:${server.address().port}/metrics`;
    };
    const server = await serve(t, ['--scrape', await pages(good), '--upstream-ca', ca.file]);
    const viewer = await connect(server);
    await viewer.tick((tick) => tick.tokens_generated >= 7);
    const doubting = await serve(t, ['--scrape', await pages(other.issue()), '--upstream-ca', ca.file]);
    await doubting.logged(/scrape: localhost:\d+ is down: its certificate is of an authority that is not known here.*--upstream-ca/);
});

test('doctor finds an engine with https, and says why it does not believe one', async (t) => {
    const { front } = await secure(t);
    const found = await run(['doctor', '--upstream', front.url, '--upstream-ca', ca.file]);
    assert.ok(found.stdout.includes(`an engine at ${front.url}: replayed\n`), found.stdout);
    assert.ok(found.stdout.includes(` --upstream ${front.url}`), found.stdout);
    const doubted = await run(['doctor', '--upstream', front.url, '--upstream-ca', other.file]);
    assert.match(doubted.stdout, new RegExp(`none at ${front.url}: its certificate is of an authority that is not known here; .*${good.pin.replaceAll('+', '\\+')}\n`));
    assert.equal((await run(['doctor', '--upstream', front.url, '--upstream-pin', 'x'])).code, 2);
});

test('SIGHUP: the authorities and the pinned keys are read again, and wrong ones change nothing', async (t) => {
    const leaf = other.issue();
    const { front } = await secure(t, leaf);
    const file = path.join(dir, 'again.pem');
    const config = path.join(dir, 'again.conf');
    copyFileSync(ca.file, file);
    writeFileSync(config, `upstream = ${front.url}\nupstream-ca = ${file}\n`);
    const server = await serve(t, ['--config', config]);
    await server.logged(/is down: its certificate is of an authority/);
    writeFileSync(file, 'nothing');
    server.proc.kill('SIGHUP');
    await server.logged(/upstream-ca: \S+ has no certificate[^]*the options stay as they were/);
    copyFileSync(other.file, file);
    server.proc.kill('SIGHUP');
    await server.logged(/options read again/);
    await statusWhen(server, (now) => now.models.length === 1);
    const pinned = path.join(dir, 'pinned.conf');
    writeFileSync(pinned, `upstream = ${front.url}\nupstream-ca = ${ca.file}\n`);
    const second = await serve(t, ['--config', pinned]);
    await second.logged(/is down: its certificate is of an authority/);
    appendFileSync(pinned, `upstream-pin = ${leaf.pin}\n`);
    second.proc.kill('SIGHUP');
    await second.logged(/options read again/);
    assert.match(await ask(second, '/v1/models'), /^HTTP\/1\.1 200 /);
});

test.run();
