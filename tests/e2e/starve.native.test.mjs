/* Peers that take what they can and give nothing. Whatever they do, in each of these states:
 *
 *   - a new viewer gets in, and one that was there before misses no tick,
 *   - the hub sleeps: it has little to do, so it uses little of a core,
 *   - memory and descriptors are back when they have gone.
 *
 * How long a viewer waits is printed here and measured by `make bench PART=starve`. Attacks that take much of a core run in a
 * process of their own (tests/bench/attack.mjs): what they cost is not the viewer's wait.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import {
    BIN, ROOT, SLOW, assertGrownAtMost, connect, numbered, openFiles, poll, post, request,
    residentKb, serve, sleep, statusWhen, within,
} from './aidash.mjs';
import { answer, replay } from './engine.mjs';

const VIEWER_MS = 6000 * SLOW; /* a viewer must be in by then, before any silent peer has to go; the aim is 100 ms */
const CPU_MS = 2000;           /* the hub's CPU time is taken over so long */
const CPU_SHARE = 0.5;         /* of a core at most while peers do little; the aim is 0.2 */
const FLOOD_SHARE = 0.9;       /* while they open as many connections as they can: it does not spin */

const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-'));
const deafBin = path.join(dir, 'deaf');
before(() => {
    const built = spawnSync(process.env.CC || 'cc', ['-O1', '-Wall', '-Wextra', '-Werror', '-o', deafBin,
        path.join(ROOT, 'tests/e2e/deaf.c')], { encoding: 'utf8' });
    assert.equal(built.status, 0, built.stderr);
});
after(() => rmSync(dir, { recursive: true }));

/* CPU time of the process so far, in ms: proc(5), stat, fields 14 and 15, in ticks of 10 ms. */
const cpuMs = (server) => readFileSync(`/proc/${server.pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ').slice(11, 13)
    .reduce((sum, ticks) => sum + 10 * Number(ticks), 0);

/* A connection that is left to itself; whatever happens to it is no failure. */
function peer(server, bytes = '') {
    const socket = net.connect({ host: server.host, port: server.port });
    socket.on('error', () => {});
    if (bytes) {
        socket.write(bytes);
    }
    return socket;
}

const connected = (sockets) => within(Promise.all(sockets.map((socket) => new Promise((done) => {
    if (!socket.connecting) {
        done();
    }
    socket.once('connect', done);
    socket.once('close', done);
}))), 'connections of all');

const many = (n, make) => Array.from({ length: n }, (_, i) => make(i));
const destroyAll = (sockets) => sockets.forEach((socket) => socket.destroy());

/* Writes one more byte a second to each, for as long as it lasts; `all` end with it. */
function drip(sockets, byte, all = sockets) {
    const timer = setInterval(() => sockets.forEach((socket) => socket.destroyed || socket.write(byte)), 1000);
    return () => { clearInterval(timer); destroyAll(all); };
}

/* An attack of tests/bench/attack.mjs, from this address. */
const attacked = (server, kind, from, count) => async () => {
    const attack = spawn(process.execPath, [path.join(ROOT, 'tests/bench/attack.mjs'), kind, String(server.port), from, String(count)],
        { stdio: ['pipe', 'pipe', 'ignore'] });
    await within(new Promise((done) => { attack.stdout.once('data', done); }), 'begin of the attack', 20_000 * SLOW);
    return async () => {
        attack.stdin.end();
        await within(new Promise((done) => { attack.once('close', done); }), 'end of the attack');
    };
};
/* The viewer's own address, and another one. */
const ADDRESSES = ['127.0.0.1', `127.${2 + process.pid % 200}.0.1`];

/* Does `attack`, which returns what ends it, and judges the server meanwhile and afterwards. */
async function survives(t, server, attack, { meanwhile = async () => {}, grownKb = 8192, share = CPU_SHARE } = {}) {
    const old = await connect(server, '/ws/old');
    for (let i = 0; i < 10; i++) {
        await old.tick();
    }
    const files = openFiles(server);
    const kb = residentKb(server);
    const waits = [];
    const end = await attack();
    let cpu;
    try {
        const look = async () => {
            const asked = performance.now();
            const viewer = await connect(server, '/ws/good', { handshakeTimeout: VIEWER_MS });
            waits.push(performance.now() - asked);
            await viewer.tick();
            viewer.close();
            await viewer.closed;
        };
        await look();
        const before = cpuMs(server);
        const began = performance.now();
        while (performance.now() - began < CPU_MS) {
            await look();
            await sleep(300);
        }
        cpu = (cpuMs(server) - before) / (performance.now() - began);
        await meanwhile();
    } finally {
        await end();
    }
    const worst = Math.round(Math.max(...waits));
    console.log(`# ${t.name}: viewer ${worst} ms at most, ${Math.round(waits[0])} ms at first; CPU ${Math.round(100 * cpu)} %; `
        + `${kb} kB, then ${residentKb(server)} kB; ${files} descriptors`);
    assert.ok(worst < VIEWER_MS, `a viewer waited ${worst} ms`);
    assert.ok(cpu < share, `the server used ${cpu} of a core`);
    await old.tick();
    assert.ok(numbered(old.events).length > 10);
    assert.equal(old.events.filter((e) => e.dropped !== undefined).length, 0, 'the old viewer misses no tick');
    await poll(() => openFiles(server) <= files, `${files} descriptors again`, 15_000 * SLOW);
    assertGrownAtMost(server, kb, grownKb);
    old.close();
    await old.closed;
}

const RATE = ['--rate', '100'];
const FEW_FILES = { bin: '/bin/sh', listen: ['-c', 'ulimit -n 64; exec "$0" "$@"', BIN, '--listen', '127.0.0.1:0'] };

for (const from of ADDRESSES) {
    const where = from === ADDRESSES[0] ? "the viewer's address" : 'another address';
    for (const [what, kind, count, share] of [
        ['1,000 silent connections', 'silent', 1000],
        ['silent connections, one for each that is closed', 'silent-flood', 1200, FLOOD_SHARE],
        ['1,000 that drip a head, a byte a second', 'drip', 1000],
        ['2,000 that drip a head: more than there are places', 'drip', 2000],
        ['half heads, one for each that is closed', 'drip-flood', 1200, FLOOD_SHARE],
        ['a flood of handshakes', 'handshakes', 50, FLOOD_SHARE],
        ['a flood of requests: more than there are places', 'requests', 600, FLOOD_SHARE],
        ['a storm of resets', 'resets', 50, FLOOD_SHARE],
    ]) {
        test(`${what}, from ${where}`, async (t) => {
            const server = await serve(t, RATE);
            // This machine's own programs have no limit of connections: a flood of theirs is work.
            await survives(t, server, attacked(server, kind, from, count), { share: share && from === ADDRESSES[0] ? Infinity : share });
        });
    }

    test(`out of descriptors, from ${where}`, async (t) => {
        const server = await serve(t, RATE, FEW_FILES);
        await survives(t, server, attacked(server, 'drip', from, 200), { meanwhile: async () => {
            assert.equal((await request(server, '/healthz')).status, 200, 'a worker has descriptors');
        } });
    });
}

test('out of descriptors by viewers alone: one more is refused, short requests are answered', async (t) => {
    const server = await serve(t, RATE, FEW_FILES);
    const viewers = [];
    let refused;
    while (!refused) {
        assert.ok(viewers.length < 64);
        await connect(server, `/ws/v${viewers.length}`).then((viewer) => viewers.push(viewer), (error) => { refused = error; });
    }
    assert.match(refused.message, /503/);
    assert.ok(viewers.length > 30, `${viewers.length} viewers`);
    const since = performance.now();
    assert.equal((await request(server, '/healthz')).status, 200);
    assert.match((await request(server, '/events')).json.error.message, /^no descriptor is left/);
    assert.equal((await request(server, '/app.js')).status, 200);
    t.diagnostic(`three requests took ${Math.round(performance.now() - since)} ms`);
    viewers.pop().close();
    await poll(() => connect(server, '/ws/next').then((viewer) => viewers.push(viewer), () => 0), 'place for the next one');
    for (const viewer of viewers) {
        await viewer.tick();
        viewer.close();
    }
});

for (const where of ['/', '/contract.json', '/requests', '/status', '/ticks?last=10000', '/events']) {
    test(`100 deaf ones that ask for ${where}`, async (t) => {
        const server = await serve(t, ['--rate', '200']);
        await statusWhen(server, (now) => now.counters.ticks > 300); /* more than a deaf one's buffers take */
        await survives(t, server, async () => {
            const deaf = spawn(deafBin, [String(server.port), `GET ${where} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n`, '100'],
                { stdio: ['pipe', 'pipe', 'inherit'] });
            await within(new Promise((done) => { deaf.stdout.once('data', done); }), 'connections of the deaf');
            return async () => {
                deaf.stdin.end();
                await within(new Promise((done) => { deaf.once('close', done); }), 'end of the deaf');
            };
        });
    });
}

test('32 silent chunked ingests', async (t) => {
    const server = await serve(t, RATE);
    await survives(t, server, async () => {
        const sockets = many(32, () => peer(server, 'POST /ingest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'));
        await connected(sockets);
        return () => destroyAll(sockets);
    }, { meanwhile: async () => {
        assert.equal((await post(server, '/ingest', '{"latency_ms":1}')).status, 200, 'another ingest is taken');
        assert.equal((await post(server, '/command', '{"action":"resume"}')).status, 200, 'and a command');
        assert.equal((await request(server, '/ticks?last=1')).status, 200, 'and a poll');
    } });
});

for (const where of ['/ingest', '/command']) {
    test(`40 dripping POSTs to ${where}: more than there are places`, async (t) => {
        const server = await serve(t, RATE);
        await survives(t, server, async () => {
            const sockets = many(40, () => peer(server, `POST ${where} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2000\r\n\r\n{`));
            await connected(sockets);
            return drip(sockets, ' ');
        }, { meanwhile: async () => {
            await poll(async () => (await post(server, where, where === '/command' ? '{"action":"resume"}' : '{"latency_ms":1}')).status === 200,
                'place for another one');
        } });
    });
}

test('16 dripping POSTs to the engine, and 16 silent ones', async (t) => {
    const engine = await replay(t);
    engine.answerAll((call) => call.socket.end(answer('{}')));
    const server = await serve(t, ['--upstream', engine.url, '--max-inflight', '4']);
    const feed = setInterval(() => post(server, '/ingest', '{"latency_ms":1}').catch(() => {}), 50);
    t.after(() => clearInterval(feed));
    await survives(t, server, async () => {
        const sockets = many(32, () => peer(server, 'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n{'));
        await connected(sockets);
        const stop = drip(sockets.slice(16), ' ');
        return () => { stop(); destroyAll(sockets); };
    }, { meanwhile: async () => {
        assert.equal((await post(server, '/v1/chat/completions', '{}')).status, 200, 'another request is answered');
    } });
});

const LONG = Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n'), Buffer.alloc(20_000_000)]);

/* aidash in front of engines that answer each POST at once, each GET of /long with 20 MB, and no GET of /silent. */
async function beforeEngines(t, engines, args = []) {
    const urls = [];
    for (let i = 0; i < engines; i++) {
        const engine = await replay(t, { models: [`model-${i}`] });
        engine.answerAll(({ request: { target }, socket }) => {
            if (target !== '/silent') {
                socket.end(target === '/long' ? LONG : answer('{}'));
            }
        });
        urls.push('--upstream', engine.url);
    }
    const server = await serve(t, [...urls, ...args]);
    const feed = setInterval(() => post(server, '/ingest', '{"latency_ms":1}').catch(() => {}), 50);
    t.after(() => clearInterval(feed));
    return server;
}

/* What POST or GET answers to a client of another address than all others. */
const fromElsewhere = (server, method, where, body = '') => within(new Promise((done, fail) => {
    const asked = http.request({ host: server.host, port: server.port, localAddress: '127.0.0.2', agent: false, method, path: where,
        headers: { 'Content-Length': Buffer.byteLength(body) } }, (res) => { res.resume(); res.once('end', () => done(res.statusCode)); });
    asked.once('error', fail);
    asked.end(body);
}), `answer to ${method} ${where}`);

const chat = (body, length = body.length) => `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${body}`;
const late = (n) => `{"messages":["${'x'.repeat(n)}"],"model":"model-1"}`;

for (const [engines, silent] of [[1, false], [1, true], [2, false], [2, true]]) {
    test(`24 ${silent ? 'silent' : 'dripping'} POSTs of long bodies, ${engines === 1 ? 'one engine' : 'two engines'}`, async (t) => {
        const server = await beforeEngines(t, engines);
        await survives(t, server, async () => {
            const sockets = many(24, () => peer(server, chat(`{"messages":["${'x'.repeat(30_000)}`, 5_000_000)));
            await connected(sockets);
            await poll(async () => (await request(server, '/status')).json.requests.running >= 3, 'the uploads');
            return drip(silent ? [] : sockets, ' '.repeat(1000), sockets);
        }, { grownKb: 16384, meanwhile: async () => {
            for (const body of ['{}', late(100), late(300_000), `{"model":"model-0","x":"${'x'.repeat(2_000_000)}"}`]) {
                assert.equal(await fromElsewhere(server, 'POST', '/v1/chat/completions', body), 200, body.slice(0, 40));
            }
        } });
    });
}

test('100 GETs that the engine never answers: who comes from elsewhere is served', async (t) => {
    const server = await beforeEngines(t, 1);
    await survives(t, server, async () => {
        const sockets = many(100, () => peer(server, 'GET /silent HTTP/1.1\r\nHost: a\r\n\r\n'));
        await connected(sockets);
        return () => destroyAll(sockets);
    }, { grownKb: 16384, meanwhile: async () => {
        const refused = await request(server, '/v1/models');
        assert.equal(refused.status, 503);
        assert.ok(refused.headers['retry-after']);
        for (let i = 0; i < 10; i++) {
            assert.equal(await fromElsewhere(server, 'GET', '/v1/models'), 200);
            assert.equal(await fromElsewhere(server, 'POST', '/v1/chat/completions', '{}'), 200);
        }
    } });
});

test('100 deaf ones that ask the engine for a long answer: who comes from elsewhere is served', async (t) => {
    const server = await beforeEngines(t, 1);
    await survives(t, server, async () => {
        const deaf = spawn(deafBin, [String(server.port), 'GET /long HTTP/1.1\r\nHost: a\r\n\r\n', '100'], { stdio: ['pipe', 'pipe', 'inherit'] });
        await within(new Promise((done) => { deaf.stdout.once('data', done); }), 'connections of the deaf');
        return async () => {
            deaf.stdin.end();
            await within(new Promise((done) => { deaf.once('close', done); }), 'end of the deaf');
        };
    }, { grownKb: 24576, meanwhile: async () => {
        for (let i = 0; i < 10; i++) {
            assert.equal(await fromElsewhere(server, 'GET', '/v1/models'), 200);
            assert.equal(await fromElsewhere(server, 'POST', '/v1/chat/completions', '{}'), 200);
        }
    } });
});
