/* Engines that are given by a name: it is not known yet, its address changes, the
 * answer takes long. The resolver is names.c, preloaded. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT, SANITIZED, SLOW, exchange, poll, request, run, sleep, start, status, statusWhen } from './aidash.mjs';
import { answer, get, replay, takeApart } from './engine.mjs';
import { authority, terminate } from './tls.mjs';

const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-names-'));
const shim = path.join(dir, 'names.so');
const skip = SANITIZED ? 'a sanitizer must be loaded first' : false;
before(() => {
    const built = spawnSync(process.env.CC || 'cc', ['-O1', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-o', shim,
        path.join(ROOT, 'tests/e2e/names.c'), '-ldl'], { encoding: 'utf8' });
    assert.equal(built.status, 0, built.stderr);
});
after(() => rmSync(dir, { recursive: true }));

/* aidash with a name that leads where the file says. */
let files = 0;
async function named(t, said, args, options = {}) {
    const file = path.join(dir, `${files++}`);
    const say = (text) => (text === null ? rmSync(file, { force: true }) : writeFileSync(file, text));
    say(said);
    const began = Date.now();
    const server = await start(args, { env: { LD_PRELOAD: shim, NAMES_FILE: file }, ...options });
    t.after(() => server.stop());
    return { server, say, startedMs: Date.now() - began };
}

/* A listener on an address of the loopback network. */
async function engineAt(t, host, port = 0) {
    const server = net.createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', () => socket.end(answer(JSON.stringify({ host }))));
    });
    await new Promise((ready, fail) => { server.once('error', fail); server.listen(port, host, ready); });
    t.after(() => server.close());
    return { port: server.address().port, down: () => new Promise((done) => { server.close(done); }) };
}

const hostOf = async (server) => JSON.parse(takeApart(Buffer.from(await exchange(server, get('/x')), 'latin1')).body).host;

test('an engine with https by its name, which is what its certificate must have', { skip }, async (t) => {
    const ca = authority();
    t.after(ca.remove);
    const engine = await replay(t, { models: ['alpha'] });
    const front = await terminate(t, engine.port, ca.issue({ names: 'DNS:later.engine.test' }));
    for (const [name, state] of [['later.engine.test', 'up'], ['other.engine.test', 'down']]) {
        const { server, say } = await named(t, null, ['--upstream', `https://${name}:${front.port}`, '--upstream-ca', ca.file]);
        await server.logged(/is down: its name can't be resolved/);
        say('0 127.0.0.1');
        await statusWhen(server, (now) => now.engine === 'up' || now.upstreams[0].engine === 'down');
        if (state === 'up') {
            await statusWhen(server, (now) => now.models.join() === 'alpha');
            assert.ok(front.names.includes(name), front.names.join());
        } else {
            const said = await poll(async () => {
                const got = takeApart(Buffer.from(await exchange(server, get('/x')), 'latin1'));
                return /another name/.test(got.data) && got;
            }, 'refusal by the name');
            assert.equal(said.lines[0], 'HTTP/1.1 502 Bad Gateway');
        }
    }
});

test('a name that is not known yet: aidash starts, the engine is down, and up when the name is there', { skip }, async (t) => {
    const engine = await replay(t, { models: ['alpha'] });
    const { server, say } = await named(t, null, ['--upstream', `http://later.engine.test:${engine.port}`]);
    await server.logged(new RegExp(`engine later\\.engine\\.test:${engine.port} is down: its name can't be resolved \\(.+\\)\n`));
    assert.equal((await status(server)).engine, 'down');
    assert.match(await exchange(server, get('/x')), /^HTTP\/1\.1 502 /);
    assert.equal((await request(server, '/healthz')).status, 200);
    await sleep(2500 * SLOW); /* it was asked for again meanwhile */
    assert.equal(server.stderr().match(/is down/g).length, 1, 'told once');
    say(`0 127.0.0.1`);
    await statusWhen(server, (now) => now.engine === 'up' && now.models.join() === 'alpha');
});

test('an engine that moves: the next request goes to its new address', { skip }, async (t) => {
    const one = await engineAt(t, '127.0.0.2');
    const { server, say } = await named(t, '0 127.0.0.2', ['--upstream', `http://moves.engine.test:${one.port}`]);
    assert.equal(await hostOf(server), '127.0.0.2');
    await engineAt(t, '127.0.0.3', one.port);
    await sleep(1100 * SLOW); /* an answer so young is believed */
    say('0 127.0.0.3');
    await one.down();
    assert.equal(await hostOf(server), '127.0.0.3');
});

test('an engine that moves while its old address still answers is found within seconds', { skip }, async (t) => {
    const one = await engineAt(t, '127.0.0.4');
    await engineAt(t, '127.0.0.5', one.port);
    const { server, say } = await named(t, '0 127.0.0.4', ['--upstream', `http://both.engine.test:${one.port}`]);
    assert.equal(await hostOf(server), '127.0.0.4');
    say('0 127.0.0.5');
    await poll(async () => await hostOf(server) === '127.0.0.5', 'the new address', 15_000 * SLOW);
    say(null); /* the resolver fails: what it said last holds */
    await sleep(1100);
    assert.equal(await hostOf(server), '127.0.0.5');
});

test('a resolver that takes seconds holds up neither the start nor the dashboard, and requests wait for it', { skip }, async (t) => {
    const engine = await engineAt(t, '127.0.0.6');
    /* All that is to be held up is done before the resolver answers; a busy machine may need some tries for it. */
    for (let tries = 5; ; tries--) {
        const { server, startedMs } = await named(t, '3 127.0.0.6', ['--upstream', `http://slow.engine.test:${engine.port}`]);
        let known = startedMs >= 3000;
        const asked = hostOf(server).finally(() => { known = true; });
        for (let i = 0; i < 10; i++) {
            assert.equal((await request(server, '/healthz')).status, 200);
        }
        const before = !known;
        assert.equal(await asked, '127.0.0.6');
        assert.equal((await status(server)).engine, 'up');
        if (before) {
            break;
        }
        assert.ok(tries > 1, `started after ${startedMs} ms`);
    }
});

test('a resolver that never answers does not delay the exit; requests get 502 after 5 s', { skip }, async (t) => {
    const { server } = await named(t, '600 127.0.0.1', ['--upstream', 'http://never.engine.test:1']);
    assert.match(await exchange(server, get('/x')), /^HTTP\/1\.1 502 /);
    await server.stop();
});

test('several engines by name, one that is never found: the others are served', { skip }, async (t) => {
    const engine = await replay(t, { models: ['alpha'] });
    const { server } = await named(t, '0 127.0.0.1', ['--upstream', 'http://none.invalid:1',
        '--upstream', `http://good.engine.test:${engine.port}`]);
    await statusWhen(server, (now) => now.models.join() === 'alpha');
});

test('--scrape by a name that comes later', { skip }, async (t) => {
    let n = 0;
    const engine = await replay(t);
    engine.answerAll((call) => call.socket.end(answer(`llamacpp:tokens_predicted_total ${n += 10}\n`, { type: 'text/plain' })));
    const { server, say } = await named(t, null, ['--scrape', `http://page.engine.test:${engine.port}/metrics`]);
    await server.logged(/scrape: page\.engine\.test:\d+ is down: its name can't be resolved/);
    assert.equal((await status(server)).engine, 'down');
    say('0 127.0.0.1');
    await statusWhen(server, (now) => now.counters.ticks > 0 && now.engine === 'up');
});

test('a host that is neither an address nor a name is a wrong option', async () => {
    for (const url of ['http://two words:1', 'http://a..b', 'http://user@host:1', 'http://[::1', 'http://[zz]:1']) {
        const { code, stderr } = await run(['--upstream', url]);
        assert.equal(code, 2, `${url}: ${stderr}`);
    }
});

test('aidash bench: the place may be a name', { skip }, async (t) => {
    const file = path.join(dir, 'bench');
    const env = { LD_PRELOAD: shim, NAMES_FILE: file };
    const engine = await replay(t);
    engine.answerAll((call) => call.socket.end(answer('no', { status: '404 Not Found', type: 'text/plain' })));
    const place = `board.engine.test:${engine.port}`;
    const unknown = await run(['bench', place], { env });
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /'board\.engine\.test' can't be resolved \(.+\)/);
    writeFileSync(file, '0 127.0.0.1');
    const known = await run(['bench', place], { env });
    assert.equal(known.code, 1);
    assert.match(known.stderr, /what answers at board\.engine\.test:\d+ is no aidash \(404\)/);
});
