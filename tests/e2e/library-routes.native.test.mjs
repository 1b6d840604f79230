/* Paths of the program that embeds aidash: by a callback, or by bytes that it has. Who may ask, what it is told, what its callback may
 * do wrong, who is kept waiting. The firmware is own_paths.c, in C and in C++. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Raw, connect, poll, request, run, status, validate } from './aidash.mjs';
import { ROUTES, bins, firmware } from './own-paths.mjs';

const BYTES = 262144; /* AIDASH_ROUTE_BYTES */

for (const [language, bin] of Object.entries(bins)) {
    test(`a callback is told who asks, and answers, in ${language}`, async (t) => {
        const { ask, server } = await firmware(t, { bin });
        const answer = await request(server, '/echo?a=b%20c&d', { headers: { Host: 'localhost' } });
        assert.deepEqual([answer.status, answer.text], [200, 'GET|/echo|a=b%20c&d|127.0.0.1||15|1|user']);
        assert.deepEqual(['content-type', 'content-length', 'cache-control', 'x-content-type-options'].map((name) => answer.headers[name]),
            ['text/plain', String(answer.text.length), 'no-store', 'nosniff']);
        const head = await request(server, '/echo', { method: 'HEAD', headers: { Host: 'localhost' } });
        assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', String('HEAD|/echo||127.0.0.1||15|1|user'.length)]);
        const lan = await request(server, '/echo', { headers: { Host: 'board.local' } });
        assert.equal(lan.text, 'GET|/echo||127.0.0.1||15|0|user', 'what comes by a name of the LAN is not local');
        assert.equal(await ask('outside'), '-1 -1');
        assert.equal(await ask('stop'), '3 3 0');
    });
}

test('other methods, other paths, and ways to write a path', async (t) => {
    const { server } = await firmware(t);
    for (const [where, method, code] of [['/echo', 'POST', 405], ['/echo', 'DELETE', 405], ['/echo', 'OPTIONS', 204], ['/echo/', 'GET', 404],
        ['/ech', 'GET', 404], ['/Echo', 'GET', 404], ['/%65cho', 'GET', 404], ['/acme', 'GET', 404], ['/acme/../echo', 'GET', 404],
        ['//echo', 'GET', 200], ['/acme/logo.png?x', 'GET', 200], [`/echo?${'q'.repeat(255)}`, 'GET', 200], [`/echo?${'q'.repeat(256)}`, 'GET', 414]]) {
        assert.equal((await request(server, where, { method })).status, code, `${method} ${where.slice(0, 40)}`);
    }
    assert.equal((await request(server, '/echo', { method: 'POST' })).headers.allow, 'GET, HEAD, OPTIONS');
    assert.equal((await request(server, '/echo', { headers: { Origin: 'http://elsewhere.example' } })).status, 403, 'a page elsewhere');
    assert.equal((await request(server, '/acme/logo.png', { headers: { Host: 'evil.example' } })).status, 421);
});

test('what a callback does wrong is its client\'s 500 and a line of the log, and no more', async (t) => {
    const { said, server } = await firmware(t);
    for (const [where, code, length] of [['/size?0', 200, 0], ['/size?1', 200, 1], [`/size?${BYTES}`, 200, BYTES], [`/size?${BYTES},65536`, 200, BYTES],
        [`/size?${BYTES + 1}`, 500], ['/size?1000000', 500], ['/code?0', 500], ['/code?-1', 500], ['/code?199', 500], ['/code?600', 500],
        ['/code?200', 200, 0], ['/code?204', 204, 0], ['/code?404', 404], ['/code?503', 503], ['/code?418', 418], ['/code?599', 599]]) {
        for (const method of ['GET', 'HEAD']) {
            const answer = await request(server, where, { method });
            assert.equal(answer.status, code, `${method} ${where}`);
            const announced = answer.headers['content-length'];
            assert.equal(announced === undefined, code === 204);
            if (method === 'HEAD') {
                assert.equal(answer.bytes.length, 0);
            } else if (code >= 400) {
                assert.equal(answer.json.error.code, code);
                assert.equal(answer.headers['content-type'], 'application/json');
            } else {
                assert.equal(answer.bytes.length, length);
                assert.ok(answer.bytes.every((byte) => byte === 120));
            }
        }
    }
    assert.match((await request(server, '/size?1000000')).json.error.message, /longer than AIDASH_ROUTE_BYTES/);
    assert.ok(said.all.includes(`size ${BYTES + 1} -5`), 'aidash_reply() says that it is full');
    await said.next((line) => line === 'log 2 route /code: the program gave no HTTP status');
});

test('bytes of the program\'s own: whole, by HEAD, and not again for who has them', async (t) => {
    const { server } = await firmware(t, { routes: [...ROUTES, ['static', '/big', 'application/octet-stream', 0, 2000000], ['static', '/none', 'text/plain', 0, 0],
        ['static', '/page', 'text/html; charset=utf-8', 0, 10]] });
    for (const [where, length] of [['/acme/logo.png', 1000], ['/big', 2000000], ['/none', 0]]) {
        const answer = await request(server, where);
        assert.deepEqual([answer.status, answer.bytes.length, answer.headers['content-length']], [200, length, String(length)]);
        assert.ok(answer.bytes.every((byte, i) => byte === i % 251));
        const { etag } = answer.headers;
        assert.match(etag, /^"[0-9a-f]{16}"$/);
        const head = await request(server, where, { method: 'HEAD' });
        assert.deepEqual([head.status, head.bytes.length, head.headers['content-length'], head.headers.etag], [200, 0, String(length), etag]);
        for (const [known, code] of [[etag, 304], [`W/${etag}`, 304], ['*', 304], [`"x", ${etag}`, 304], ['"x"', 200]]) {
            const again = await request(server, where, { headers: { 'If-None-Match': known } });
            assert.deepEqual([again.status, again.bytes.length, again.headers.etag], [code, code === 200 ? length : 0, etag], known);
        }
    }
    assert.equal((await request(server, '/echo', { headers: { 'If-None-Match': '*' } })).status, 200, 'a callback\'s answer has no tag');
    assert.equal((await request(server, '/page')).headers['content-security-policy'], 'frame-ancestors \'none\'');
});

test('a path that can\'t be is refused, with the reason', async (t) => {
    const { ask, rc } = await firmware(t, { routes: [] });
    assert.equal(rc, '0');
    assert.equal(await ask('route', '/late', 'text/plain', 0, 'echo'), '-2 ');
    await ask('stop');
    for (const [where, why] of [['', /does not begin with \//], ['x', /does not begin with \//], ['/a?b', /has more than/], ['/a#b', /has more than/],
        ['/a%20', /has more than/], ['/a b', /has more than/], ['/\u00e9', /has more than/], ['//', /empty segment/], ['/a//b', /empty segment/], ['/./a', /empty segment/],
        ['/a/..', /empty segment/], ['/..', /empty segment/], ['/.', /empty segment/], ['/a/../b', /empty segment/], [`/${'p'.repeat(63)}`, /longer than 63 bytes/],
        ['/', /aidash's own/], ['/status', /aidash's own/], ['/ws/x', /aidash's own/], ['/app.js', /aidash's own/], ['/auth', /aidash's own/], ['/auth/x', /aidash's own/]]) {
        const answer = await ask('route', where, 'text/plain', 0, 'echo');
        assert.match(answer, why, where);
        assert.match(answer, /^-1 route/);
    }
    for (const [type, right, kind, why] of [['', 0, 'echo', /the type/], ['png', 0, 'echo', /the type/], ['a/b\tc', 0, 'echo', /the type/], [' a/b', 0, 'echo', /the type/],
        [`a/${'b'.repeat(62)}`, 0, 'echo', /the type/], ['text/plain', 3, 'echo', /the right/], ['text/plain', 16, 'echo', /the right/], ['text/plain', 0, 'none', /nothing to answer with/]]) {
        assert.match(await ask('route', '/a', type, right, kind), why);
    }
    for (let i = 0; i < 16; i++) {
        assert.equal((await ask('route', `/${`${i}`.padStart(62, 'p')}`, `a/${'b'.repeat(61)}`, 8, 'echo')).split(' ')[0], '0');
    }
    assert.match(await ask('route', '/more', 'text/plain', 0, 'echo'), /^-5 route \/more: there are AIDASH_ROUTES \(16\) already/);
    assert.equal((await ask('static', `/${'3'.padStart(62, 'p')}`, 'text/plain', 0, 3)).split(' ')[0], '0', 'but one of them may be another');
});

test('rights: what a path needs, from where, with which key', async (t) => {
    const state = mkdtempSync(path.join(os.tmpdir(), 'aidash-routes-'));
    t.after(() => rmSync(state, { recursive: true }));
    const keys = {};
    for (const rights of ['view', 'control', 'view,control', 'infer']) {
        const { code, stdout, stderr } = await run(['keys', 'add', `of ${rights}`, '--rights', rights, '--state-dir', state]);
        assert.equal(code, 0, stderr);
        keys[rights] = stdout.trim();
    }
    const { ask, start, server: open } = await firmware(t, { routes: [['route', '/see', 'text/plain', 1, 'echo'], ['route', '/move', 'text/plain', 2, 'echo'],
        ['static', '/bytes', 'text/plain', 0, 5], ['static', '/secret', 'text/plain', 2, 5]] });
    assert.equal((await request(open, '/move')).status, 200, 'open to all without a mode');
    await ask('stop');
    const { server, rc, why } = await start('key', 'key', state);
    assert.equal(rc, '0', why);
    for (const [key, see, move] of [[null, 401, 401], ['aidash_x', 401, 401], [keys.view, 200, 403], [keys.control, 403, 200], [keys['view,control'], 200, 200], [keys.infer, 403, 403]]) {
        const headers = key ? { Authorization: `Bearer ${key}` } : {};
        for (const [where, code] of [['/see', see], ['/bytes', see], ['/move', move], ['/secret', move]]) {
            for (const method of ['GET', 'HEAD']) {
                const answer = await request(server, where, { method, headers });
                assert.equal(answer.status, code, `${method} ${where} with ${key}`);
                assert.equal(answer.headers['www-authenticate'] !== undefined, code === 401 || code === 403);
            }
        }
        assert.equal((await request(server, '/see', { method: 'OPTIONS', headers })).status, 204);
    }
    const named = await request(server, '/see', { headers: { Authorization: `Bearer ${keys['view,control']}`, Host: 'localhost' } });
    assert.equal(named.text, 'GET|/see||127.0.0.1|of view,control|15|1|user', 'ingest and infer are open');
    await ask('stop');
    const local = (await start('local', 'local')).server;
    assert.equal((await request(local, '/see', { headers: { Host: 'localhost' } })).status, 200);
    for (const where of ['/see', '/bytes', '/secret']) {
        assert.equal((await request(local, where, { headers: { Host: 'board.local' } })).status, 403, where);
    }
});

test('with the meter, they are not the engine\'s', async (t) => {
    const engine = net.createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nengine'));
    });
    await new Promise((done) => { engine.listen(0, '127.0.0.1', done); });
    t.after(() => engine.close());
    const { server, why } = await firmware(t, { config: ['', '', '', '', '', '', `http://127.0.0.1:${engine.address().port}`] });
    assert.ok(server.port > 0, why);
    assert.equal((await request(server, '/other')).text, 'engine');
    assert.match((await request(server, '/echo')).text, /^GET\|\/echo/);
    assert.equal((await request(server, '/acme/logo.png')).bytes.length, 1000);
    assert.equal((await request(server, '/echo', { method: 'POST' })).status, 405);
});

test('one callback runs at a time, and all who ask are answered', async (t) => {
    const { ask, server } = await firmware(t);
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => request(server, `/size?${i * 1000}`)));
    assert.deepEqual(answers.map(({ bytes }) => bytes.length), answers.map((_, i) => i * 1000));
    assert.equal(await ask('stop'), '100 100 0');
});

test('a stuck callback keeps only who asks for such a path waiting', async (t) => {
    const { ask, said, server } = await firmware(t);
    const late = request(server, '/stuck');
    await said.next((line) => line === 'called');
    const behind = request(server, '/echo');
    assert.equal((await request(server, '/acme/logo.png')).status, 200, 'bytes need no callback');
    for (let i = 0; i < 10; i++) { /* more than there are workers */
        assert.equal((await request(server, '/app.js')).status, 200);
        assert.equal((await request(server, '/healthz')).status, 200);
    }
    const viewer = await connect(server);
    assert.equal(await ask('gauge', 't', 1), '0');
    await viewer.next(({ event }) => event === 'gauge');
    await ask('release', 1);
    assert.deepEqual([(await late).text, (await behind).status], ['late', 200]);
});

test('too many that wait for a callback are refused, and another address is let in', async (t) => {
    const { ask, said, server } = await firmware(t);
    const late = request(server, '/stuck');
    await said.next((line) => line === 'called');
    const crowd = Array.from({ length: 140 }, () => request(server, '/echo')); /* AIDASH_PENDING / 4 may wait */
    await poll(async () => (await status(server)).counters.refused >= 12, 'refusals');
    const other = request(server, '/echo', { localAddress: '127.0.0.2' });
    await ask('release', 1);
    assert.equal((await late).status, 200);
    assert.equal((await other).status, 200);
    const codes = (await Promise.all(crowd)).map((answer) => answer.status);
    assert.deepEqual([codes.filter((code) => code === 200).length, codes.filter((code) => code === 503).length], [128, 12]);
});

test('who takes his answer slowly, or goes away, holds nobody up', async (t) => {
    const { ask, server } = await firmware(t);
    const slow = await Promise.all(Array.from({ length: 8 }, () => Raw.connect(server)));
    for (const raw of slow) {
        raw.socket.pause();
        await raw.write(`GET /size?${BYTES} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    }
    for (let i = 0; i < 20; i++) {
        const gone = await Raw.connect(server);
        await gone.write('GET /size?200000 HTTP/1.1\r\nHost: localhost\r\n\r\n');
        gone.reset();
    }
    for (let i = 0; i < 5; i++) {
        assert.equal((await request(server, `/size?${BYTES}`)).bytes.length, BYTES);
    }
    for (const raw of slow) {
        raw.socket.resume();
        assert.equal((await raw.rest()).split('\r\n\r\n')[1].length, BYTES);
    }
    const [begun, returned] = (await ask('stop')).split(' ');
    assert.equal(begun, returned);
});

test('a stop waits for a callback a while, and the next run goes on behind it', async (t) => {
    const { ask, said, start, server } = await firmware(t);
    const late = request(server, '/stuck').catch((error) => error.code);
    await said.next((line) => line === 'called');
    const waiting = request(server, '/echo').catch((error) => error.code);
    assert.equal(await ask('stop'), '1 0 0', 'it has not returned');
    assert.ok(said.all.some((line) => /^log 2 a callback of a route has not returned/.test(line)));
    assert.equal(await late, 'ECONNRESET');
    assert.equal(await waiting, 'ECONNRESET');
    const again = await start();
    assert.equal(again.rc, '0');
    assert.equal((await request(again.server, '/acme/logo.png')).status, 200);
    const behind = request(again.server, '/echo');
    assert.equal((await request(again.server, '/healthz')).status, 200);
    await ask('release', 1);
    assert.match((await behind).text, /^GET\|\/echo/);
    await ask('release', 0);
    /* One that returns while it stops: its reply is not wanted. */
    const last = request(again.server, '/stuck').catch((error) => error.code);
    await said.next((line) => line === 'called');
    assert.equal(await ask('stop'), '3 2 0');
    await ask('release', 1);
    await poll(() => said.all.includes('reply -2'), 'reply'); // before the answer to 'release', or behind it
    assert.equal(await last, 'ECONNRESET');
    const third = await start();
    assert.match((await request(third.server, '/echo')).text, /^GET\|\/echo/);
    assert.equal(await ask('stop'), '4 4 0');
});

test('title, logo and panel are in the status, and have to be what they say', async (t) => {
    const { ask, start, server } = await firmware(t, { config: ['', '', '', 'Door "7" <b>', '/acme/logo.png', '/echo'] });
    assert.deepEqual((await status(server)).page, { title: 'Door "7" <b>', logo: '/acme/logo.png', panel: '/echo' });
    await ask('stop');
    const tell = async (...words) => {
        const { rc, why, server: each } = await start('', '', '', ...words);
        const answer = rc === '0' ? validate((await request(each, '/status')).json, 'StatusAnswer').page : why;
        await ask('stop');
        return answer;
    };
    assert.equal(await tell(), undefined);
    assert.deepEqual(await tell('\u00e9'.repeat(31)), { title: '\u00e9'.repeat(31) });
    assert.deepEqual(await tell('', '/icon.svg'), { logo: '/icon.svg' });
    assert.match(await tell('x'.repeat(64)), /^title: it must be at most 63 bytes/);
    assert.match(await tell('a\tb'), /^title: /);
    assert.match(await tell('', '/nowhere.png'), /^logo: there is no route '\/nowhere.png'/);
    assert.match(await tell('', '', 'https://elsewhere.example/x.js'), /^panel: there is no route/);
});
