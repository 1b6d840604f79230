/* Fuzzes aidash from outside, over sockets: request heads, chunked bodies, frames behind a
 * handshake, an engine's answers, and TLS at every phase, mutated and cut at random places.
 * The server must stay alive, clean under the sanitizers, and of use to others meanwhile.
 *
 *   FUZZ_SOCKETS_SECONDS  how long, default 20
 *   FUZZ_SOCKETS_SEED     default 1; case N of a seed always sends the same bytes in the
 *                         same pieces (but for what TLS makes of chance)
 *   FUZZ_SOCKETS_CASE     this case alone, a hundred times
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { SLOW, connect, frame, handshakeText, openFiles, poll, request, run, sleep, start, status, within } from './e2e/aidash.mjs';
import { authority } from './e2e/tls.mjs';

const SECONDS = Number(process.env.FUZZ_SOCKETS_SECONDS || 20);
const SEED = Number(process.env.FUZZ_SOCKETS_SEED || 1);
const ONLY = process.env.FUZZ_SOCKETS_CASE;
const LANES = 12;
const CASE_MS = 150; /* no case waits longer for an answer */

/* ---- chance ------------------------------------------------------------------------ */

/* mulberry32, a small generator with a good spread. */
function chance(seed) {
    let state = Math.imul(seed, 0x9E3779B1) >>> 0;
    const next = () => {
        state = (state + 0x6D2B79F5) >>> 0;
        let x = Math.imul(state ^ (state >>> 15), state | 1);
        x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
        return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
    };
    const below = (n) => Math.floor(next() * n);
    return { below, one: (list) => list[below(list.length)], maybe: (share) => next() < share };
}

const bin = (text) => Buffer.from(text, 'latin1');

const TOKENS = ['\r\n', '\n', '\r', '\r\n\r\n', '\n\n', '\0', ' ', '\t', ':', ';', ',', '\x7f', '\xff', '%', '%00', '?', '#', '*', '0', '-1', 'f'.repeat(17),
    'Content-Length: 5\r\n', 'Content-Length: 18446744073709551615\r\n', 'Transfer-Encoding: chunked\r\n', 'Host: b\r\n', 'Expect: 100-continue\r\n',
    'Connection: keep-alive, upgrade\r\n', 'Upgrade: websocket\r\n', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n', 'Origin: http://b\r\n',
    'If-None-Match: *\r\n', 'Last-Event-ID: 3\r\n', 'HTTP/1.1', 'HTTP/1.0', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', '0\r\n\r\n', '3\r\nabc\r\n', 'a'.repeat(300),
    'A: b\r\n'.repeat(80), 'x'.repeat(5000), '\x16\x03\x01', 'data: [DONE]\n\n', '{"model":"a"', '[[[[[[[[', '"\\ud800"', '1e999', '\xc0\x80'];

/* Changes bytes in so many places as chance wants: often in none. */
function mutate(r, bytes, samples) {
    let out = bytes;
    for (let n = r.maybe(0.15) ? 0 : 1 + r.below(4); n > 0; n--) {
        const at = r.below(out.length + 1);
        const to = Math.min(out.length, at + 1 + r.below(r.maybe(0.3) ? 200 : 4));
        const parts = {
            flip: () => { const copy = Buffer.from(out); if (copy.length) copy[r.below(copy.length)] ^= 1 << r.below(8); return [copy]; },
            token: () => [out.subarray(0, at), bin(r.one(TOKENS)), out.subarray(at)],
            cut: () => [out.subarray(0, at), out.subarray(to)],
            twice: () => [out.subarray(0, to), out.subarray(at)],
            splice: () => { const other = r.one(samples); return [out.subarray(0, at), other.subarray(r.below(other.length + 1))]; },
            end: () => [out.subarray(0, at)],
        };
        out = Buffer.concat(parts[r.one(['flip', 'flip', 'token', 'token', 'token', 'cut', 'twice', 'splice', 'end'])]());
    }
    return out.subarray(0, 2_000_000);
}

/* Writes bytes in pieces, now and then with a turn or a moment between them. */
async function writeCut(r, socket, bytes) {
    const cuts = Array.from({ length: r.maybe(0.3) ? 0 : r.below(6) }, () => r.below(bytes.length + 1)).sort((a, b) => a - b);
    let from = 0;
    for (const to of [...cuts, bytes.length]) {
        if (socket.destroyed || !socket.writable) {
            return;
        }
        socket.write(bytes.subarray(from, to));
        from = to;
        await (r.maybe(0.2) ? sleep(r.below(5)) : new Promise(setImmediate));
    }
}

/* ---- what is mutated ----------------------------------------------------------------- */

const H = 'Host: a\r\n';
const CHAT = '{"model":"fuzzed","stream":true,"messages":[{"role":"user","content":"say \\u00e9 river"}]}';
const WS = handshakeText({ host: '127.0.0.1', port: 80 });
const HEADS = [
    ...['/', '/contract.json', '/status', '/healthz', '/requests', '/requests?last=3', '/ticks', '/ticks?since=1&limit=3', '/events?last_event_id=1', '/nothing', '*']
        .flatMap((path) => [`GET ${path} HTTP/1.1\r\n${H}Accept-Encoding: gzip;q=0.5, *;q=0\r\nIf-None-Match: "a", W/"b"\r\n\r\n`, `OPTIONS ${path} HTTP/1.1\r\n${H}Origin: http://a\r\n\r\n`,
            `HEAD ${path} HTTP/1.0\r\n\r\n`]),
    `GET http://a/status?x HTTP/1.1\r\n${H}Connection: close\r\nForwarded: for=192.0.2.1;host=a;proto=https\r\n\r\n`,
    WS, WS.replace('/ws/raw', '/ws/raw?batch=1'), `${WS}\x89\x80abcd`,
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n', '\r\n\r\n\0\r\nQUIT\n', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
    `GET /v1/models HTTP/1.1\r\n${H}\r\nGET /v1/models HTTP/1.1\r\n${H}\r\n`,
].map(bin);

const LINES = ['{"model":"m","tokens_generated":3,"latency_ms":1.5,"tokens_per_second":2}\n', '{"latency_ms":1}\n', 'x\n', '\n', `${' '.repeat(5000)}\n`];

function bodies(r) {
    const path = r.one(['/ingest', '/command', '/v1/chat/completions', '/api/chat', '/v1/embeddings']);
    const pad = r.maybe(0.15) ? `"pad":"${'p'.repeat(16_000 + r.below(r.maybe(0.1) ? 1_500_000 : 40_000))}"` : '';
    const data = pad && path !== '/command' ? r.one([`{"model":"fuzzed",${pad}}`, `{${pad},"model":"fuzzed"}`, `{${pad}}`, pad,
        `--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n${pad}\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nfuzzed\r\n--b--\r\n`]) : path === '/ingest' ? Array.from({ length: 1 + r.below(5) }, () => r.one(LINES)).join('') : path === '/command' ? '{"action":"resume","id":1}' : CHAT;
    const type = r.one(['application/json', 'text/plain', 'application/json; charset=utf-8']);
    const head = `POST ${path} HTTP/1.1\r\n${H}Content-Type: ${type}\r\n${r.maybe(0.2) ? 'Expect: 100-continue\r\n' : ''}${r.maybe(0.3) ? 'Connection: close\r\n' : ''}`;
    if (r.maybe(0.4)) {
        return bin(`${head}Content-Length: ${data.length}\r\n\r\n${data}`);
    }
    let chunks = '';
    for (let at = 0; at < data.length;) {
        const n = 1 + r.below(pad ? 9000 : 40);
        const piece = data.slice(at, at + n);
        chunks += `${piece.length.toString(16)}${r.maybe(0.1) ? ';a="b"' : ''}\r\n${piece}\r\n`;
        at += n;
    }
    return bin(`${head}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n${r.maybe(0.2) ? 'A: b\r\n' : ''}\r\n`);
}

/* Frames with a mask of chance's own, so that a case's bytes are always the same. */
function frames(r) {
    const commands = ['{"action":"resume","id":1}', '{"action":"switch_model","model":"a"}', '{"action":"inject_latency","ms":1}', '{', '', '\xc3', 'x'.repeat(4097)];
    return Buffer.concat(Array.from({ length: 1 + r.below(6) }, () => {
        const made = frame(r.one([1, 1, 1, 0, 2, 8, 9, 10, 3]), bin(r.one(commands)).subarray(0, r.maybe(0.5) ? 125 : undefined),
            { fin: r.maybe(0.8), rsv: r.maybe(0.05) ? 1 + r.below(7) : 0, mask: false, lengthBytes: r.maybe(0.1) ? r.one([2, 8]) : undefined });
        const head = made[1] === 126 ? 4 : made[1] === 127 ? 10 : 2;
        const key = Buffer.from(Array.from({ length: 4 }, () => r.below(256)));
        made[1] |= r.maybe(0.97) ? 0x80 : 0;
        return Buffer.concat([made.subarray(0, head), key, made.subarray(head).map((byte, i) => byte ^ key[i % 4])]);
    }));
}

const OK = 'HTTP/1.1 200 OK\r\n';
const chunk = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const EVENT = 'data: {"object":"chat.completion.chunk","model":"fuzzed","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n';
const USAGE = 'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4},"timings":{"prompt_n":3,"prompt_ms":1,"predicted_n":4,"predicted_ms":9}}\n\n';
const OLLAMA = '{"model":"fuzzed","message":{"role":"assistant","content":"a"},"done":false}\n';
const OLLAMA_END = '{"model":"fuzzed","done":true,"prompt_eval_count":3,"prompt_eval_duration":1000,"eval_count":4,"eval_duration":2000}\n';
const LIST = '{"object":"list","data":[{"id":"fuzzed","object":"model"}],"models":[{"name":"fuzzed","model":"fuzzed","size":1}]}';
const ANSWERS = [
    `${OK}Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(EVENT).repeat(4)}${chunk(USAGE)}${chunk('data: [DONE]\n\n')}0\r\n\r\n`,
    `${OK}Content-Type: text/event-stream\r\n\r\n${EVENT.repeat(4)}${USAGE}data: [DONE]\n\n`,
    `${OK}Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(OLLAMA).repeat(3)}${chunk(OLLAMA_END)}0\r\nA: b\r\n\r\n`,
    `${OK}Content-Type: application/json\r\nContent-Length: ${LIST.length}\r\n\r\n${LIST}`,
    `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}Content-Length: 2\r\n\r\n{}`,
    `HTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 2\r\n\r\n{}`,
    'HTTP/1.1 204 No Content\r\n\r\n', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n', `HTTP/1.0 200 OK\r\n\r\n${LIST}`,
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n', 'HTTP/1.1 500 No\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{"error":',
].map(bin);

const KINDS = {
    head: (r) => mutate(r, r.one(HEADS), HEADS),
    body: (r) => { const made = bodies(r); return mutate(r, made, [made, ...HEADS]); },
    frames: (r) => { const made = frames(r); return Buffer.concat([bin(WS), r.maybe(0.6) ? mutate(r, made, [made]) : made]); },
    answer: (r) => bodies(r), /* it is the engine that misbehaves */
};

/* ---- TLS ---------------------------------------------------------------------------------- */

const record = (type, body, { version = 0x0303, length = body.length } = {}) => Buffer.concat([Buffer.from([type, version >> 8, version & 255, length >> 8 & 255, length & 255]), body]);
const noise = (r, n) => Buffer.from(Array.from({ length: n }, () => r.below(256)));

/* Records that come at the wrong time, or are none: alerts, a ClientHello (renegotiation), a change of the cipher, data that nobody
 * can decrypt, lengths that lie, what is longer than a record may be. */
function records(r, hello) {
    return Buffer.concat(Array.from({ length: 1 + r.below(4) }, () => r.one([
        () => record(21, Buffer.from([1 + r.below(2), r.one([0, 10, 40, 90, 100, 255])])),
        () => mutate(r, hello, [hello]),
        () => hello,
        () => record(22, Buffer.from([r.one([0, 1, 2, 11, 16, 20, 24]), 0, 0, r.below(60)])),
        () => record(20, Buffer.from([r.below(3)])),
        () => record(23, noise(r, r.below(200))),
        () => record(r.below(256), noise(r, r.below(40)), { version: r.one([0, 0x0300, 0x0301, 0x0303, 0x0304, 0x7f12]) }),
        () => record(23, noise(r, 30), { length: r.one([0, 31, 16384, 16640, 16641, 65535]) }),
        () => record(23, Buffer.alloc(16_641, r.below(256))),
        () => record(21, Buffer.from([1, 90])).subarray(0, 1 + r.below(6)),
    ])()));
}

/* A ClientHello of node's. */
async function clientHello(options) {
    const catcher = net.createServer();
    await new Promise((ready) => { catcher.listen(0, '127.0.0.1', ready); });
    const caught = new Promise((done) => { catcher.once('connection', (from) => from.once('data', (data) => { done(data); from.destroy(); })); });
    tls.connect({ port: catcher.address().port, host: '127.0.0.1', ...options }).on('error', () => {});
    const hello = await within(caught, 'ClientHello');
    catcher.close();
    return hello;
}

/* The bytes go below a session, into it, or in place of a handshake. Returns what to end. */
async function speakTls(r, socket, bytes, hellos) {
    const hello = r.one(hellos);
    const phase = r.one(['hello', 'hello', 'half', 'inside', 'inside', 'below', 'again']);
    if (phase === 'hello') {
        await writeCut(r, socket, Buffer.concat([mutate(r, hello, hellos), records(r, hello)]));
        return socket;
    }
    if (phase === 'half') { /* to the ServerHello, and then something else */
        const answered = new Promise((done) => { for (const event of ['data', 'end', 'close']) socket.once(event, done); });
        socket.write(hello);
        await Promise.race([answered, sleep(CASE_MS)]);
        await writeCut(r, socket, records(r, hello));
        return socket;
    }
    const session = tls.connect({ socket, rejectUnauthorized: false, maxVersion: r.one(['TLSv1.2', 'TLSv1.3']) });
    trouble(session);
    const secured = await Promise.race([new Promise((done) => { session.once('secureConnect', () => done(true)); session.once('close', () => done(false)); }), sleep(20 * CASE_MS)]);
    if (!secured) {
        return session;
    }
    session.resume();
    if (phase === 'again' && session.getProtocol() === 'TLSv1.2') {
        session.renegotiate({ rejectUnauthorized: false }, () => {});
    }
    if (phase === 'below') {
        await writeCut(r, session, bytes.subarray(0, r.below(200)));
        await writeCut(r, socket, records(r, hello));
    } else {
        await writeCut(r, session, bytes);
    }
    return r.maybe(0.5) ? session : socket; /* with close_notify, or without */
}

/* ---- one case --------------------------------------------------------------------------- */

const trouble = (socket) => socket.on('error', () => {});

async function runCase(server, number, hellos) {
    const r = chance(SEED * 1_000_003 + number);
    const bytes = KINDS[r.one(Object.keys(KINDS))](r);
    const socket = net.connect({ host: server.host, port: server.port, noDelay: true, allowHalfOpen: true });
    const closed = new Promise((done) => { socket.once('close', done); });
    trouble(socket);
    const overTls = hellos.length > 0 && r.maybe(0.3);
    if (r.maybe(0.9) && !overTls) {
        socket.resume();
    }
    const outer = overTls ? await speakTls(r, socket, bytes, hellos) : socket;
    if (!overTls) {
        await writeCut(r, socket, bytes);
    }
    const ending = r.one(['wait', 'wait', 'fin', 'fin', 'reset', 'gone']);
    if (ending === 'fin' && outer.writable) {
        outer.end();
    }
    if (ending === 'wait' || ending === 'fin') {
        await Promise.race([closed, new Promise((done) => { socket.once('end', done); }), sleep(1 + r.below(CASE_MS))]);
    }
    if (ending === 'reset' && !socket.writableEnded) {
        socket.resetAndDestroy();
    }
    outer.destroy();
    socket.destroy();
    await closed;
}

/* An engine of https that answers a ClientHello with anything. */
async function fuzzTlsEngine(t, hellos) {
    let number = 0;
    const sockets = new Set();
    const engine = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
        const r = chance(SEED * 5_000_011 + number++);
        trouble(socket);
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
        socket.on('data', async () => {
            await writeCut(r, socket, r.maybe(0.2) ? r.one(ANSWERS) : Buffer.concat([
                record(22, Buffer.concat([Buffer.from([2, 0, 0, 70, 3, 3]), noise(r, 32), Buffer.from([0, 0x13, 1 + r.below(3), 0, 0, 30]), noise(r, 30)])), records(r, r.one(hellos))]));
            socket.end();
        });
    });
    await new Promise((ready) => { engine.listen(0, '127.0.0.1', ready); });
    t.after(() => { engine.close(); sockets.forEach((socket) => socket.destroy()); });
    return `https://127.0.0.1:${engine.address().port}`;
}

/* An engine that answers with anything, to what aidash asks by itself too. */
async function fuzzEngine(t) {
    let number = 0;
    const sockets = new Set();
    const engine = net.createServer({ noDelay: true, allowHalfOpen: true }, async (socket) => {
        const r = chance(SEED * 7_000_003 + number++);
        trouble(socket);
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
        if (r.maybe(0.95)) {
            await new Promise((done) => { for (const event of ['data', 'end', 'close']) socket.once(event, done); });
        }
        socket.resume();
        await writeCut(r, socket, r.maybe(0.3) ? r.one(ANSWERS) : mutate(r, r.one(ANSWERS), ANSWERS));
        await sleep(r.below(30));
        if (r.maybe(0.3) && !socket.destroyed) {
            socket.resetAndDestroy();
        } else {
            socket.end();
            await sleep(100);
            socket.destroy();
        }
    });
    await new Promise((ready) => { engine.listen(0, '127.0.0.1', ready); });
    t.after(() => { engine.close(); sockets.forEach((socket) => socket.destroy()); });
    return `http://127.0.0.1:${engine.address().port}`;
}

/* The server is of use: it answers, and a viewer comes in and is obeyed. */
async function assertUseful(server) {
    assert.equal((await request(server, '/healthz')).status, 200);
    const viewer = await connect(server, '/ws/fuzz');
    assert.equal((await viewer.command({ action: 'resume' })).event, 'ack');
    viewer.close();
    await viewer.closed;
}

test(`${SECONDS} s of malformed bytes from seed ${SEED}`, { timeout: (SECONDS + 120) * 1000 }, async (t) => {
    const args = [];
    const hellos = [];
    if ((await run(['--help'])).stdout.includes('--tls-cert')) { /* a build without TLS has none of it */
        const ca = authority();
        t.after(ca.remove);
        const leaf = ca.issue();
        const files = ['cert', 'key'].map((name) => { writeFileSync(path.join(ca.dir, `fuzz.${name}`), leaf[name], { mode: 0o600 }); return path.join(ca.dir, `fuzz.${name}`); });
        hellos.push(await clientHello({ maxVersion: 'TLSv1.2' }), await clientHello({ minVersion: 'TLSv1.3' }), await clientHello({ ALPNProtocols: ['http/1.1'] }));
        args.push('--tls-cert', files[0], '--tls-key', files[1], '--upstream', await fuzzTlsEngine(t, hellos));
    }
    const server = await start(['--upstream', await fuzzEngine(t), '--upstream', await fuzzEngine(t), ...args]);
    let number = ONLY === undefined ? 0 : Number(ONLY);
    let done = 0;
    try {
        await assertUseful(server);
        const files = openFiles(server);
        const end = performance.now() + SECONDS * 1000;
        const more = () => (ONLY === undefined ? performance.now() < end : done < 100);
        const lane = async () => {
            while (more()) {
                await runCase(server, ONLY === undefined ? number++ : number, hellos);
                if (++done % 500 === 0) {
                    await assertUseful(server);
                }
            }
        };
        await Promise.all(Array.from({ length: LANES }, lane));
        await assertUseful(server);
        if (hellos.length > 0) {
            const { failed, sessions } = await poll(async () => { const { tls: now } = await status(server); return now.sessions === 0 && now; }, 'end of all sessions', 30_000 * SLOW);
            assert.ok(failed > 0 && sessions === 0);
            console.log(`# ${failed} handshakes that failed`);
        }
        /* The lists of three engines may be asked just then. */
        await poll(() => openFiles(server) <= files + 3, 'descriptors of before', 30_000 * SLOW);
    } catch (error) {
        error.message = `seed ${SEED}, about case ${number}: ${error.message}`;
        throw error;
    } finally {
        await within(server.stop(), 'end of the server', 20_000 * SLOW);
    }
    assert.ok(done > 0);
    console.log(`# ${done} cases`);
});
