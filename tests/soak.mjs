/* Soak: aidash in front of an engine, for SOAK_SECONDS (60), with all that goes wrong on a board, chosen by SOAK_SEED:
 * viewers that join, lag, reset, stop in the middle; commands, ingest, proxied requests; an engine that dies and returns; a clock
 * that jumps; no descriptors (EMFILE); system calls that fail or do a part (tests/soak_faults.c); kill -9 and a new start.
 * Guests have keys and JSON Web Tokens that expire while they watch: they are told so (4401), and come back with fresh ones.
 * In the calm after each round every viewer that stays is there and gets ticks, nothing else is open, and resident memory and
 * descriptors do not grow: over the rounds, by the slope. A sanitizer's report, a crash or an unclean end fails it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import WebSocket from 'ws';
import { BIN, SANITIZED, SLOW, handshakeText, openFiles, poll, post, request, residentKb, run, sleep, start, status } from './e2e/aidash.mjs';
import { freePort } from './programs.mjs';

const SECONDS = Number(process.env.SOAK_SECONDS || 60);
const SEED = Number(process.env.SOAK_SEED || 1);
const ROUND_MS = 4000;
const KEEPERS = 8;
const CHAT = JSON.stringify({ model: 'soak', stream: true, messages: [{ role: 'user', content: 'hello' }] });

/* mulberry32: the same choices for the same seed. */
let state = SEED;
function random() {
    state = (state + 0x6D2B79F5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(random() * n);
const oneOf = (list) => list[below(list.length)];

const scratch = mkdtempSync(path.join(os.tmpdir(), 'aidash-soak-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
const faultFile = path.join(scratch, 'faults');
const shim = path.join(scratch, 'soak_faults.so');

/* What tests/soak_faults.c does from now on. Written in place: the program has the file mapped. */
function faults({ aheadS = 0, oneIn = 0 } = {}) {
    const bytes = Buffer.alloc(24);
    bytes.writeBigInt64LE(BigInt(aheadS), 0);
    bytes.writeBigUInt64LE(BigInt(oneIn), 8);
    bytes.writeBigUInt64LE(BigInt(SEED), 16);
    writeFileSync(faultFile, bytes, { flag: 'r+' });
}

/* An engine that streams a few tokens; it can die, and return on the same port. */
async function engine() {
    const port = await freePort();
    let server;
    const answer = (req, res) => {
        req.resume();
        res.on('error', () => {});
        if (req.url === '/v1/models') {
            res.setHeader('Content-Type', 'application/json');
            res.end(JSON.stringify({ object: 'list', data: [{ id: 'soak', object: 'model' }] }));
        } else if (req.method === 'POST') {
            res.setHeader('Content-Type', 'text/event-stream');
            let n = 0;
            const timer = setInterval(() => {
                res.write(`data: ${JSON.stringify({ object: 'chat.completion.chunk', model: 'soak', choices: [{ index: 0, delta: { content: 'a' } }] })}\n\n`);
                if (++n === 5) {
                    clearInterval(timer);
                    res.end('data: [DONE]\n\n');
                }
            }, 20);
            res.on('close', () => clearInterval(timer));
        } else {
            res.statusCode = 404;
            res.end();
        }
    };
    const born = () => new Promise((done, fail) => {
        server = http.createServer(answer);
        server.once('error', fail).listen(port, '127.0.0.1', done);
    });
    const dies = () => new Promise((done) => { server.close(done); server.closeAllConnections(); });
    await born();
    return { url: `http://127.0.0.1:${port}`, born, dies };
}

/* A viewer that comes back whenever its connection ends, as the dashboard does. */
class Keeper {
    constructor(port, id) {
        Object.assign(this, { port, id, ticks: 0, joins: 0, over: false });
        this.join();
    }

    join() {
        this.ws = new WebSocket(`ws://127.0.0.1:${this.port}/ws/keeper${this.id}`, { perMessageDeflate: false, handshakeTimeout: 3000 * SLOW });
        this.ws.on('message', (text) => {
            const event = JSON.parse(text);
            if (event.event === 'hello') this.joins++;
            if (event.event === 'inference_tick') this.ticks++;
        });
        this.ws.on('error', () => {});
        this.ws.on('close', () => this.over || setTimeout(() => this.over || this.join(), 200));
    }

    end() {
        this.over = true;
        this.ws.terminate();
    }
}

const secret = randomBytes(32).toString('base64url');
const secretFile = path.join(scratch, 'jwt.secret');
const stateDir = path.join(scratch, 'state');
const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/* A token that lasts a second or two. A JWT's exp has a leeway of 30 s (src/guard/jwt.c). */
const tokens = {
    jwt: async () => {
        const signed = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url({ sub: 'guest', scope: 'view', exp: Math.floor(Date.now() / 1000) + 2 - 30 })}`;
        return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
    },
    key: async () => (await run(['token', '--scope', 'view', '--ttl', '3s', '--name', 'guest', '--state-dir', stateDir])).stdout.trim(),
};

/* A viewer that needs a token, as it does not ask by a name of this machine alone. When that has expired it is out, and comes
 * back with a fresh one, from another address: to be out is no guess, but to be refused is one. It rests between the rounds. */
class Guest {
    static address = 0;

    constructor(port, id, kind, first) {
        Object.assign(this, { port, id, kind, first, awake: false, joining: false, ws: null, ticks: 0, expired: 0 });
    }

    wake() {
        this.awake = true;
        if (!this.joining && this.ws === null) this.join();
    }

    /* With its own token once more: the server reads its key file once a second. */
    async join(again = null) {
        this.joining = true;
        const token = again ?? await tokens[this.kind]().catch(() => '');
        const made = again === null ? Date.now() : this.made;
        this.made = made;
        this.joining = false;
        if (!this.awake || this.ws !== null) return;
        Guest.address = (Guest.address + 1) % 250;
        const headers = { Host: 'board.local', ...(this.first ? {} : { Authorization: `Bearer ${token}` }) };
        const ws = new WebSocket(`ws://127.0.0.1:${this.port}/ws/guest${this.id}`, { perMessageDeflate: false, headers,
            localAddress: `127.0.1.${1 + Guest.address}`, handshakeTimeout: 3000 * SLOW });
        this.ws = ws;
        let ticks = 0;
        ws.on('open', () => this.first && ws.send(JSON.stringify({ action: 'auth', token })));
        ws.on('message', (text) => { ticks += JSON.parse(text).event === 'inference_tick' ? 1 : 0; });
        ws.on('error', () => {});
        ws.on('close', (code) => {
            this.ws = null;
            this.ticks += ticks;
            this.expired += code === 4401 && ticks > 0 ? 1 : 0;
            const early = code === 4401 && ticks === 0 && this.kind === 'key' && Date.now() - made < 2000;
            setTimeout(() => this.awake && this.ws === null && !this.joining && this.join(early ? token : null), ticks > 0 ? 100 : 400);
        });
    }

    rest() {
        this.awake = false;
        this.ws?.terminate();
    }
}

const done = {};
const count = (what) => { done[what] = (done[what] ?? 0) + 1; };
const open = new Set();

/* A raw connection from one of a few addresses; it goes after `ms` at the latest, in one way or another. */
function raw(port, bytes, ms, end) {
    const socket = net.connect({ host: '127.0.0.1', port, localAddress: `127.0.0.${1 + below(4)}` });
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    socket.write(bytes);
    setTimeout(() => (end === 'reset' ? socket.resetAndDestroy() : end === 'end' ? socket.end() : socket.destroy()), ms);
    return socket;
}

const ask = (server, ...args) => request(server, ...args).catch(() => {});
const actions = {
    'viewers that join and leave': ({ server }) => raw(server.port, handshakeText(server), below(800), oneOf(['end', 'reset', 'destroy'])).resume(),
    'viewers that lag': ({ server }) => raw(server.port, oneOf([handshakeText(server), 'GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n']), 300 + below(1500), 'reset').pause(),
    'heads that stop': ({ server }) => raw(server.port, handshakeText(server).slice(0, 1 + below(60)), below(1000), oneOf(['end', 'reset'])),
    'half-open viewers': ({ server }) => { const socket = raw(server.port, handshakeText(server), 1500, 'reset').resume(); setTimeout(() => socket.end(), 100); },
    'requests cut short': ({ server }) => raw(server.port, `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: ${CHAT.length}\r\n\r\n${CHAT}`, below(150), 'reset').resume(),
    'bytes without sense': ({ server }) => raw(server.port, Buffer.from(Array.from({ length: 1 + below(300) }, () => below(256))), below(500), 'destroy').resume(),
    'proxied requests': ({ server }) => ask(server, '/v1/chat/completions', { method: 'POST', body: CHAT, headers: { 'Content-Type': 'application/json' } }),
    'lines of ingest': ({ server }) => post(server, '/ingest', `{"tokens":${1 + below(9)},"latency_ms":${1 + below(99)}}`).catch(() => {}),
    'commands by POST': ({ server }) => ask(server, '/command', { method: 'POST', body: '{"action":"resume"}', localAddress: `127.0.0.${1 + below(4)}` }),
    'commands of viewers': ({ keepers }) => { const { ws } = oneOf(keepers); if (ws.readyState === 1) ws.send('{"action":"resume"}'); },
    'short answers': ({ server }) => ask(server, oneOf(['/', '/status', '/ticks?last=50', '/requests', '/usage', '/healthz', '/contract.json'])),
};

/* Each round has one of these, by turns, for most of its time. */
const troubles = {
    'nothing more': async () => {},
    'system calls fail': async () => { faults({ oneIn: 50 }); },
    'the engine dies and returns': async ({ engine: e, wait }) => { await e.dies(); await wait(1500); await e.born(); },
    'the clock jumps ahead, then back': async ({ wait }) => { faults({ aheadS: 3600 }); await wait(800); faults({ aheadS: -86400 }); await wait(800); },
    'no descriptors': async ({ server, wait }) => {
        const limit = (n) => spawnSync('prlimit', ['--pid', String(server.pid), `--nofile=${n}:`]);
        assert.equal(limit(openFiles(server) + 3).status, 0, 'prlimit');
        await wait(1500);
        limit(1024);
    },
    'many system calls fail': async () => { faults({ oneIn: 8 }); },
};

/* Growth a step of evenly spaced samples: the least squares' line. */
function slope(samples) {
    const mean = (samples.length - 1) / 2;
    const top = samples.reduce((sum, y, x) => sum + (x - mean) * y, 0);
    return top / samples.reduce((sum, _, x) => sum + (x - mean) ** 2, 0);
}

test(`soak for ${SECONDS} s, seed ${SEED}`, async (t) => {
    writeFileSync(faultFile, Buffer.alloc(24));
    const built = spawnSync(process.env.CC?.split(' ')[0] || 'gcc', ['-O1', '-shared', '-fPIC', '-o', shim, 'tests/soak_faults.c', '-ldl'], { encoding: 'utf8' });
    assert.equal(built.status, 0, built.stderr);
    const e = await engine();
    let server = null, keepers = [], guests = [];
    t.after(() => { // nothing of it keeps this process alive, wherever the test ends
        [...keepers, ...guests].forEach((each) => (each.end ?? each.rest).call(each));
        for (const socket of open) socket.destroy();
        server?.proc.kill('SIGKILL');
        return e.dies();
    });
    const port = await freePort();
    const env = { LD_PRELOAD: shim, SOAK_FAULTS: faultFile,
        ...(SANITIZED ? { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` } : {}) };
    writeFileSync(secretFile, `${secret}\n`, { mode: 0o600 });
    const withTls = (await run(['--help'])).stdout.includes('--jwt-secret-file'); // a build without TLS has no JWT
    /* Started, and the feed has gone once around: so its memory is touched before memory is compared. */
    const launch = async () => {
        server = await begin();
        const lines = '{"tokens":1}\n'.repeat(10_000);
        await poll(() => post(server, '/ingest', lines).then(({ status: code }) => code === 200, () => false), 'a feed that is full', 20_000 * SLOW);
    };
    const begin = () => start(['--upstream', e.url, '--state-dir', stateDir, '--view', 'remote-key', ...(withTls ? ['--jwt-secret-file', secretFile] : [])],
        { env, listen: ['--listen', `127.0.0.1:${port}`] });
    await launch();
    keepers = Array.from({ length: KEEPERS }, (_, i) => new Keeper(port, i));
    guests = (withTls ? ['jwt', 'key'] : ['key']).flatMap((kind) => [false, true].flatMap((first) => [0, 1].map((i) => new Guest(port, `${kind}-${first}-${i}`, kind, first))));

    /* All that came is gone, all who stay are there and get ticks. Returns what is open, and resident, then. */
    const calm = async () => {
        faults();
        for (const socket of open) socket.destroy();
        guests.forEach((guest) => guest.rest());
        await poll(() => guests.every((guest) => guest.ws === null && !guest.joining), 'end of the guests', 20_000 * SLOW);
        await poll(() => open.size === 0, 'end of what was opened', 20_000 * SLOW);
        await poll(async () => {
            const now = await status(server).catch(() => null);
            return now && now.clients.websocket === KEEPERS && now.clients.sse === 0 && now.clients.http === 0 && now.clients.pending <= 1
                && now.requests.running + now.requests.queued === 0;
        }, 'only the viewers that stay', 40_000 * SLOW);
        const before = keepers.map((k) => k.ticks);
        await poll(async () => {
            await post(server, '/ingest', '{"tokens":1}').catch(() => {});
            return keepers.every((k, i) => k.ticks > before[i]);
        }, 'a tick for every viewer that stays', 20_000 * SLOW);
        return { files: openFiles(server), kb: residentKb(server) };
    };

    await calm();
    const samples = [];
    const until = performance.now() + SECONDS * 1000;
    const restarts = new Set([2, Math.round((SECONDS * 1000) / ROUND_MS / 4)]);
    for (let round = 0; performance.now() < until || round <= 2; round++) {
        const [name, trouble] = Object.entries(troubles)[round % Object.keys(troubles).length];
        const end = performance.now() + ROUND_MS;
        const wait = (ms) => sleep(Math.max(0, Math.min(ms, end - performance.now())));
        count(`rounds in which ${name}`);
        guests.forEach((guest) => guest.wake());
        const troubled = trouble({ server, engine: e, wait });
        while (performance.now() < end) {
            const what = oneOf(Object.keys(actions));
            count(what);
            actions[what]({ server, keepers });
            await sleep(5 + below(20));
        }
        await troubled;
        if (restarts.has(round)) {
            count('kill -9');
            const joins = keepers.map((k) => k.joins);
            server.proc.kill('SIGKILL');
            await server.exit;
            faults();
            await launch();
            samples.length = 0;
            await poll(() => keepers.every((k, i) => k.joins > joins[i]), 'every viewer back', 30_000 * SLOW);
        }
        samples.push(await calm());
    }
    t.diagnostic(Object.entries(done).map(([what, n]) => `${n} ${what}`).join(', '));
    t.diagnostic(`open: ${samples.map(({ files }) => files).join(' ')}; resident, kB: ${samples.map(({ kb }) => kb).join(' ')}`);
    const expired = Object.fromEntries(guests.map(({ kind }) => [kind, guests.filter((guest) => guest.kind === kind).reduce((sum, guest) => sum + guest.expired, 0)]));
    t.diagnostic(`tokens that expired while their guest watched, who came back: ${JSON.stringify(expired)}`);
    t.diagnostic(`viewers came back ${keepers.reduce((sum, k) => sum + k.joins - 1, 0)} times and got ${keepers.reduce((sum, k) => sum + k.ticks, 0)} ticks`);
    /* Memory that was not touched before is touched in the first minutes: the history of events fills. A leak of 1 kB a connection
     * would be some 150 kB a round. */
    const later = samples.slice(Math.ceil(samples.length / 3));
    if (later.length >= 4) {
        assert.ok(slope(later.map(({ files }) => files)) < 0.5, 'descriptors grow');
        assert.ok(SANITIZED || slope(later.map(({ kb }) => kb)) < (later.length >= 30 ? 15 : 100), 'resident memory grows');
    }
    for (const [kind, n] of Object.entries(expired)) assert.ok(n > 2, `${n} tokens of kind ${kind} expired while their guest watched`);
    assert.ok(Math.max(...later.map(({ files }) => files)) - Math.min(...later.map(({ files }) => files)) <= 4, 'descriptors stay open');
    keepers.forEach((k) => k.end());
    await server.stop();
});
