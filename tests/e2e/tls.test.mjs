/* TLS on the ports of plain HTTP: clients of node, openssl and curl, what is refused, slow readers, garbage, and a
 * certificate that changes. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { before, after, test as any } from 'node:test';
import tls from 'node:tls';
import { WebSocket } from 'ws';
import { Inbox, SLOW, isTick, openFiles, poll, request, run, serve, sleep, validate, within } from './aidash.mjs';

/* `make TLS=0` has none of it. */
const test = (await run(['--help'])).stdout.includes('--tls-cert') ? any : any.skip;

const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-tls-'));
const at = (name) => path.join(dir, name);
const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });

function certificate(name, key, ...more) {
    openssl('req', '-x509', '-newkey', ...key, '-nodes', '-keyout', `${name}.key`, '-out', `${name}.crt`, '-days', '30',
        '-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', ...more);
}
const EC = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
before(() => {
    certificate('ec', EC);
    certificate('rsa', ['rsa:2048']);
    certificate('other', EC);
});
after(() => rmSync(dir, { recursive: true }));

const READY = { ready: /listening on https:\/\/(\S+):(\d+).*\n/ };
const secure = (t, args = [], name = 'ec', options = {}) => serve(t, ['--tls-cert', at(`${name}.crt`), '--tls-key', at(`${name}.key`),
    ...args], { ...READY, ...options });
const ca = (name = 'ec') => readFileSync(at(`${name}.crt`));

/* A GET over TLS: { status, headers, text, socket facts }. */
const get = (server, where, { name = 'ec', method = 'GET', headers = {}, body, ...options } = {}) => within(new Promise((done, fail) => {
    const req = https.request({ host: '127.0.0.1', port: server.port, path: where, method, headers, ca: ca(name), agent: false, ...options });
    req.on('error', fail);
    req.on('response', (res) => {
        const { socket } = res;
        const facts = { protocol: socket.getProtocol?.(), alpn: socket.alpnProtocol, reused: socket.isSessionReused?.() };
        const parts = [];
        res.on('data', (part) => parts.push(part));
        res.on('end', () => {
            const text = Buffer.concat(parts).toString();
            done({ status: res.statusCode, headers: res.headers, text, json: /json/.test(res.headers['content-type']) ? JSON.parse(text) : undefined, ...facts });
        });
        res.on('error', fail);
    });
    req.end(body);
}), `answer to ${method} ${where}`);

const tlsConnect = (server, options = {}) => within(new Promise((done, fail) => {
    const socket = tls.connect({ host: '127.0.0.1', port: server.port, ca: ca(), ...options }, () => done(socket));
    socket.on('error', fail);
}), 'TLS connection');
const closed = (socket) => within(new Promise((done) => {
    if (socket.closed) {
        done();
    }
    socket.on('error', () => {});
    socket.on('close', done);
    socket.resume();
}), 'end of the connection', 20000 * SLOW);
const tcp = (server) => within(new Promise((done, fail) => {
    const socket = net.connect(server.port, '127.0.0.1', () => done(socket));
    socket.on('error', fail);
}), 'connection');
const statusOf = async (server) => validate((await get(server, '/status')).json, 'StatusAnswer');

for (const version of ['TLSv1.2', 'TLSv1.3']) {
    for (const name of ['ec', 'rsa']) {
        test(`the page, the API and a WebSocket by ${version} with a key of kind ${name}`, async (t) => {
            const server = await secure(t, ['--rate', '50'], name);
            const only = { name, minVersion: version, maxVersion: version };
            const page = await get(server, '/', { ...only, ALPNProtocols: ['http/1.1'] });
            assert.equal(page.status, 200);
            assert.match(page.text, /<!doctype html>/i);
            assert.equal(page.protocol, version);
            assert.equal(page.alpn, 'http/1.1');
            assert.equal(page.headers['strict-transport-security'], undefined, 'off unless asked for');
            validate((await get(server, '/status', only)).json, 'StatusAnswer');
            const ws = new WebSocket(`wss://127.0.0.1:${server.port}/ws/a`, { ca: ca(name), minVersion: version, maxVersion: version });
            const inbox = new Inbox();
            ws.on('message', (data) => inbox.push(validate(JSON.parse(data))));
            await within(new Promise((done, fail) => { ws.on('open', done).on('error', fail); }), 'WebSocket');
            await inbox.next(isTick, 'tick');
            ws.send(JSON.stringify({ action: 'pause' }));
            await inbox.next((event) => event.event === 'status' && event.paused, 'status that it is paused');
            ws.close();
            await within(new Promise((done) => { ws.on('close', done); }), 'close');
        });
    }
}

test('plain HTTP is on the same port for this machine', async (t) => {
    const server = await secure(t);
    const answer = await within(new Promise((done, fail) => {
        http.get({ host: '127.0.0.1', port: server.port, path: '/healthz', agent: false }, done).on('error', fail);
    }), 'answer');
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.headers['strict-transport-security'], undefined);
    answer.resume();
});

test('plain HTTP from elsewhere is redirected, with its path and query', async (t) => {
    const lan = Object.values(os.networkInterfaces()).flat().find(({ family, internal }) => family === 'IPv4' && !internal);
    if (!lan) {
        t.skip('this machine has no address but the loopback');
        return;
    }
    const server = await secure(t, [], 'ec', { listen: ['--listen', '0.0.0.0:0'] });
    const ask = (options) => within(new Promise((done, fail) => {
        const req = http.request({ host: lan.address, port: server.port, agent: false, ...options }, (res) => { res.resume(); done(res); });
        req.on('error', fail);
        req.end(options.body);
    }), 'answer');
    const moved = await ask({ path: '/ticks?limit=2' });
    assert.equal(moved.statusCode, 308);
    assert.equal(moved.headers.location, `https://${lan.address}:${server.port}/ticks?limit=2`);
    assert.equal((await ask({ path: '/command', method: 'POST', body: '{"action":"pause"}' })).statusCode, 308);
    assert.equal((await ask({ path: '/', headers: { Host: 'evil.example' } })).statusCode, 421, 'never to a name that is not ours');
    assert.equal((await get(server, '/healthz', { host: lan.address, checkServerIdentity: () => undefined })).status, 200);
});

test('--hsts is told over TLS alone', async (t) => {
    const server = await secure(t, ['--hsts', '31536000']);
    for (const where of ['/', '/healthz', '/style.css']) {
        assert.equal((await get(server, where)).headers['strict-transport-security'], 'max-age=31536000', where);
    }
    assert.equal((await get(server, '/', { headers: { 'Accept-Encoding': 'gzip' } })).headers['strict-transport-security'], 'max-age=31536000');
});

test('a page of the other scheme is another page', async (t) => {
    const server = await secure(t);
    const ask = async (origin) => (await get(server, '/status', { headers: { Origin: origin } })).status;
    assert.equal(await ask(`https://127.0.0.1:${server.port}`), 200);
    assert.equal(await ask(`http://127.0.0.1:${server.port}`), 403);
    assert.equal(await ask('https://evil.example'), 403);
});

test('old versions, weak ciphers and other protocols are refused by an alert', async (t) => {
    const server = await secure(t);
    const refused = (options) => assert.rejects(tlsConnect(server, options), /alert|protocol|handshake|version|ECONNRESET/i);
    await refused({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' });
    await refused({ maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA256:AES128-GCM-SHA256' });
    await refused({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' });
    await refused({ ALPNProtocols: ['h2'] });
    await refused({ ecdhCurve: 'secp521r1' });
    assert.equal((await get(server, '/healthz')).status, 200);
    await poll(async () => (await statusOf(server)).tls.failed >= 5, 'failed handshakes in status');
});

test('openssl s_client verifies it, by name and chain, and resumes', async (t) => {
    const server = await secure(t);
    const s_client = (...args) => within(new Promise((done) => {
        const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${server.port}`, '-servername', 'localhost', '-CAfile', at('ec.crt'),
            '-verify_return_error', '-verify_hostname', 'localhost', ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
        let out = '';
        child.stdout.on('data', (data) => {
            out += data;
            if (/HTTP\/1.1 200/.test(out)) {
                child.stdin.end();
            }
        });
        child.stderr.on('data', (data) => { out += data; });
        child.on('close', () => done(out));
        child.stdin.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    }), 's_client');
    for (const version of ['-tls1_2', '-tls1_3']) {
        const first = await s_client(version, '-sess_out', at(`session${version}`));
        assert.match(first, /Verify return code: 0 \(ok\)/);
        assert.match(first, /HTTP\/1\.1 200 OK/);
        assert.match(await s_client(version, '-sess_in', at(`session${version}`)), /^Reused, /m, version);
    }
});

test('curl follows it', async (t) => {
    const server = await secure(t);
    const curl = (...args) => execFileSync('curl', ['-sS', '--cacert', at('ec.crt'), ...args], { timeout: 20000 * SLOW }).toString();
    try {
        execFileSync('curl', ['--version']);
    } catch {
        t.skip('there is no curl');
        return;
    }
    assert.equal(curl(`https://localhost:${server.port}/healthz`, `https://localhost:${server.port}/healthz`), '{"status":"ok"}{"status":"ok"}');
    assert.match(curl('-d', '{"model":"m","tokens":1}', `https://localhost:${server.port}/ingest`), /"accepted":1/);
});

test('long bodies, tiny writes and whole records arrive as they were sent', async (t) => {
    const server = await secure(t, ['--source', 'none']);
    const line = (i) => `${JSON.stringify({ model: `model-${i % 5}`, tokens: 1, latency_ms: 1 })}\n`;
    const body = Array.from({ length: 8000 }, (_, i) => line(i)).join('');
    assert.ok(body.length > 300000);
    const whole = await get(server, '/ingest', { method: 'POST', body, headers: { 'Content-Length': body.length } });
    assert.equal(validate(whole.json, 'IngestAnswer').accepted, 8000);
    const socket = await tlsConnect(server);
    const small = Array.from({ length: 20 }, (_, i) => line(i)).join('');
    const message = `POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${small.length}\r\n\r\n${small}`;
    const answer = within(new Promise((done) => { socket.once('data', (data) => done(String(data))); }), 'answer');
    for (let i = 0; i < message.length; i += 3) {
        socket.write(message.slice(i, i + 3));
        if (i % 60 === 0) {
            await sleep(1);
        }
    }
    assert.match(await answer, /200 OK[^]*"accepted":20/);
    const ticks = await get(server, '/ticks?limit=10000');
    assert.ok(ticks.json.ticks.length > 100);
    ticks.json.ticks.forEach((tick) => validate(tick));
    socket.destroy();
});

test('a viewer that does not read holds up nobody, and its session ends', async (t) => {
    const server = await secure(t, ['--rate', '1000']);
    const lazy = await tlsConnect(server);
    lazy.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await within(new Promise((done) => { lazy.once('data', done); }), 'first event');
    lazy.pause();
    const watcher = await tlsConnect(server);
    watcher.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n');
    let seen = 0;
    watcher.on('data', (data) => { seen += data.length; });
    await poll(() => seen > 500000, 'half a megabyte of events', 30000 * SLOW);
    await poll(async () => (await statusOf(server)).counters.dropped > 0, 'events that the lazy one has lost', 30000 * SLOW);
    assert.equal((await get(server, '/healthz')).status, 200);
    lazy.destroy();
    watcher.destroy();
    await poll(async () => (await statusOf(server)).tls.sessions <= 1, 'end of their sessions');
});

test('a side that says its end gets the rest of the answer', async (t) => {
    const server = await secure(t);
    const socket = await tlsConnect(server, { allowHalfOpen: true });
    socket.end('GET /ticks?limit=5 HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const parts = [];
    socket.on('data', (part) => parts.push(part));
    await within(new Promise((done) => { socket.on('end', done); }), 'close_notify');
    assert.match(Buffer.concat(parts).toString(), /200 OK[^]*"missed":0/);
});

/* A ClientHello of node's. */
async function clientHello(options = {}) {
    const catcher = net.createServer();
    await new Promise((done) => { catcher.listen(0, '127.0.0.1', done); });
    const caught = new Promise((done) => { catcher.once('connection', (from) => from.once('data', (data) => { done(data); from.destroy(); })); });
    tls.connect({ port: catcher.address().port, host: '127.0.0.1', ...options }).on('error', () => {});
    const hello = await within(caught, 'ClientHello');
    catcher.close();
    return hello;
}

test('garbage, at every phase, ends that connection and no other', async (t) => {
    const server = await secure(t, ['--rate', '50']);
    const ws = new WebSocket(`wss://127.0.0.1:${server.port}/ws/watcher`, { ca: ca() });
    const inbox = new Inbox();
    ws.on('message', (data) => inbox.push(JSON.parse(data)));
    await within(new Promise((done, fail) => { ws.on('open', done).on('error', fail); }), 'WebSocket');
    for (const bytes of [Buffer.from([22]), Buffer.concat([Buffer.from([22, 3, 1, 2, 0]), randomBytes(512)]),
        Buffer.concat([Buffer.from([22, 3, 3, 0x41, 0]), randomBytes(70000)]), Buffer.concat([Buffer.from([22]), randomBytes(300)])]) {
        const socket = await tcp(server);
        socket.on('error', () => {});
        socket.end(bytes);
        await closed(socket);
    }
    for (let cut = 1; cut < 500; cut += 61) { // a ClientHello of node's, cut and then something else
        const hello = await clientHello();
        const socket = await tcp(server);
        socket.on('error', () => {});
        socket.write(hello.subarray(0, cut));
        await sleep(2);
        socket.end(randomBytes(4000));
        await closed(socket);
    }
    for (const bytes of [randomBytes(100), Buffer.concat([Buffer.from([23, 3, 3, 0, 64]), randomBytes(64)]), Buffer.from([21, 3, 3, 0, 2, 2, 0]),
        Buffer.from([22, 3, 3, 0, 4, 1, 0, 0, 0])]) {
        const raw = await tcp(server);
        const socket = tls.connect({ socket: raw, ca: ca(), host: '127.0.0.1' });
        socket.on('error', () => {});
        raw.on('error', () => {});
        await within(new Promise((done) => { socket.on('secureConnect', done); }), 'handshake');
        raw.write(bytes);
        await closed(raw);
    }
    ws.send(JSON.stringify({ action: 'pause' }));
    await inbox.next((event) => event.event === 'status' && event.paused, 'answer after all of it');
    ws.terminate();
    await poll(async () => (await statusOf(server)).tls.sessions <= 1, 'end of all these sessions', 20000 * SLOW);
});

test('a flood of warnings, which mbedTLS reads by itself, does not hold up others', async (t) => {
    const server = await secure(t);
    const began = Date.now();
    const socket = await tcp(server);
    const answered = new Promise((done) => { socket.once('data', done); });
    socket.on('error', () => {});
    socket.write(await clientHello({ maxVersion: 'TLSv1.2' }));
    await within(answered, 'ServerHello');
    const warnings = Buffer.alloc(7 * 30000, Buffer.from([21, 3, 3, 0, 2, 1, 90])); // user_canceled: not an end
    const flood = () => { while (!socket.destroyed && socket.write(warnings)); };
    socket.on('drain', flood);
    flood();
    for (let i = 0; i < 20; i++) {
        assert.equal((await request(server, '/healthz')).status, 200);
    }
    await poll(() => socket.bytesWritten - socket.writableLength > 7 * 30000, 'a flood that is read');
    assert.ok(!socket.destroyed || Date.now() - began > 9000, 'the flood went on all the time, or until a handshake must be over');
    socket.destroy();
    await poll(async () => (await statusOf(server)).tls.sessions <= 1, 'end of its session');
});

test('the log names the peer of a command over TLS', async (t) => {
    const server = await secure(t);
    await get(server, '/command', { method: 'POST', body: JSON.stringify({ action: 'pause' }) });
    await server.logged(/pause: asked for by POST \/command from 127\.0\.0\.1\n/);
    const ws = new WebSocket(`wss://127.0.0.1:${server.port}/ws/kitchen`, { ca: ca() });
    await within(new Promise((done, fail) => { ws.on('open', done).on('error', fail); }), 'WebSocket');
    ws.send(JSON.stringify({ action: 'resume' }));
    await server.logged(/resume: asked for by kitchen from 127\.0\.0\.1\n/);
    ws.terminate();
});

test('a handshake that stands still gets no longer than a head', async (t) => {
    const server = await secure(t);
    const began = Date.now();
    const socket = await tcp(server);
    socket.write(Buffer.from([22, 3, 1]));
    await closed(socket);
    assert.ok(Date.now() - began >= 9000, 'it has had its time');
    await poll(async () => (await statusOf(server)).tls.sessions <= 1, 'end of its session');
});

test('many come and go, and nothing is left of them', async (t) => {
    const server = await secure(t, ['--rate', '50']);
    await get(server, '/healthz');
    const files = openFiles(server);
    for (let round = 0; round < 5; round++) {
        await Promise.all(Array.from({ length: 30 }, async (_, i) => {
            const socket = await tlsConnect(server);
            socket.on('error', () => {});
            socket.write(`GET /${i % 2 ? 'events' : 'healthz'} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
            await within(new Promise((done) => { socket.once('data', done); }), 'answer');
            if (i % 2 === 1 || i % 3 === 0) {
                socket.destroy();
            } else {
                socket.end();
            }
            await closed(socket);
        }));
    }
    await poll(async () => (await statusOf(server)).tls.sessions <= 1, 'end of all sessions', 20000 * SLOW);
    await poll(() => openFiles(server) <= files + 3, 'descriptors as before');
});

test('a changed certificate is used by the next connection, a broken one is not', async (t) => {
    copyFileSync(at('ec.crt'), at('live.crt'));
    copyFileSync(at('ec.key'), at('live.key'));
    const server = await secure(t, ['--rate', '50'], 'live');
    const subject = async () => {
        const socket = await tlsConnect(server, { rejectUnauthorized: false });
        const { CN } = socket.getPeerCertificate().subject;
        socket.destroy();
        return CN;
    };
    const ws = new WebSocket(`wss://127.0.0.1:${server.port}/ws/a`, { ca: ca() });
    const inbox = new Inbox();
    ws.on('message', (data) => inbox.push(JSON.parse(data)));
    await within(new Promise((done, fail) => { ws.on('open', done).on('error', fail); }), 'WebSocket');
    assert.equal(await subject(), 'ec');
    writeFileSync(at('live.crt'), 'no certificate'); /* half a file says the same */
    await server.logged(/live\.crt: it is no certificate in PEM form; the certificate before stays/);
    assert.equal(await subject(), 'ec');
    copyFileSync(at('rsa.key'), at('live.key'));
    copyFileSync(at('rsa.crt'), at('live.crt'));
    await server.logged(/live\.crt: read again/);
    assert.equal(await subject(), 'rsa');
    ws.send(JSON.stringify({ action: 'pause' }));
    await inbox.next((event) => event.event === 'status' && event.paused, 'answer on the connection from before');
    ws.terminate();
});

test('what is wrong with the files is said at the start, with the file', async () => {
    const fails = async (pattern, ...args) => {
        const { code, stderr } = await run(['--listen', '127.0.0.1:0', ...args]);
        assert.equal(code, 2, stderr);
        assert.match(stderr, pattern);
    };
    await fails(/--tls-cert.*both/, '--tls-cert', at('ec.crt'));
    await fails(/--tls-key.*both/, '--tls-key', at('ec.key'));
    await fails(/--tls-cert: .*none\.crt: No such file/, '--tls-cert', at('none.crt'), '--tls-key', at('ec.key'));
    await fails(/--tls-cert: .*ec\.key: it is no certificate/, '--tls-cert', at('ec.key'), '--tls-key', at('ec.key'));
    await fails(/--tls-key: .*ec\.crt: it is no private key/, '--tls-cert', at('ec.crt'), '--tls-key', at('ec.crt'));
    await fails(/--tls-key: .*other\.key: it does not belong to the certificate/, '--tls-cert', at('ec.crt'), '--tls-key', at('other.key'));
    await fails(/--hsts: .*--tls-cert/, '--hsts', '10');
    await fails(/--hsts/, '--tls-cert', at('ec.crt'), '--tls-key', at('ec.key'), '--hsts', '-1');
});
