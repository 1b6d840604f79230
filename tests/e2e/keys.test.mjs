/* Signing in, from outside: `aidash pair`, `aidash keys`, the endpoints below /auth, and the key file. Who may do what with a
 * key: rights.test.mjs. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import jsQR from 'jsqr';
import WebSocket from 'ws';
import { assertRefused, poll, request, run, serve, sleep, start, validate, within } from './aidash.mjs';

const KEY = /^aidash_[A-Za-z0-9_-]{43}$/;
const HEAD = /number +rights +created +expires +name/;

function stateDir(t) {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-keys-'));
    t.after(() => rmSync(dir, { recursive: true }));
    return path.join(dir, 'state');
}

/* The server asks for a key wherever one may be asked for. */
const guarded = (t, dir, ...args) => serve(t, ['--source', 'none', '--state-dir', dir, '--view', 'key', '--control', 'key', ...args]);

/* As another machine asks: by a name that is not of this machine alone. */
const LAN = { Host: 'board.local' };
const send = (server, where, body, headers = {}) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    return request(server, where, { method: 'POST', body: text, headers: { ...LAN, 'Content-Length': Buffer.byteLength(text), ...headers } });
};
const ask = (server, headers = {}) => request(server, '/auth', { headers: { ...LAN, ...headers } });
const cookieOf = (answer) => answer.headers['set-cookie'][0].split(';')[0];
const keyOf = (answer) => cookieOf(answer).replace(/^[^=]*=/, '');

async function keys(dir, ...args) {
    const { code, stdout, stderr } = await run(['keys', ...args, '--state-dir', dir]);
    assert.equal(code, 0, stderr);
    return stdout;
}

async function pair(dir, ...args) {
    const { code, stdout, stderr } = await run(['pair', '--state-dir', dir, ...args]);
    assert.equal(code, 0, stderr);
    return { code: stdout.match(/^ {4}(\d{4}) (\d{4})$/m).slice(1).join(''), stdout };
}

/* A code that is not this one. */
const wrong = (code, n = 1) => String((Number(code) + n) % 1e8).padStart(8, '0');

/* ---- one-time codes ---- */

test('aidash pair: the code signs one device in, by a cookie that scripts can not read', async (t) => {
    const dir = stateDir(t);
    const server = await guarded(t, dir);
    const { code, stdout } = await pair(dir);
    assert.match(stdout, /within 10 minutes/);
    assert.doesNotMatch(stdout, /[█▀▄]/, 'no QR code where the output is no terminal');
    assert.ok(stdout.includes(`at http://127.0.0.1:${server.port}/`), stdout);
    assert.equal((await request(server, '/status', { headers: LAN })).status, 401);

    assertRefused(await send(server, '/auth/pair', { code: wrong(code) }), 403);
    const answer = await send(server, '/auth/pair', { code: `${code.slice(0, 4)} ${code.slice(4)}`, name: "Änna's 📱" });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(validate(answer.json, 'AuthAnswer'), { name: "Änna's 📱", rights: ['view', 'control', 'infer'], local: false,
        needs: { view: 'key', control: 'key', ingest: 'key', infer: 'open' } });
    assert.equal(answer.headers['cache-control'], 'no-store');
    const [cookie, other] = answer.headers['set-cookie'];
    assert.match(cookie, new RegExp(`^aidash_${server.port}=aidash_[A-Za-z0-9_-]{43}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict$`));
    assert.equal(other, `aidash_${server.port}_token=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict`);
    assertRefused(await send(server, '/auth/pair', { code }), 410);

    const Cookie = cookieOf(answer);
    assert.equal(validate((await ask(server, { Cookie })).json, 'AuthAnswer').name, "Änna's 📱");
    assert.equal(validate((await ask(server)).json, 'AuthAnswer').name, null);
    assert.equal((await request(server, '/status', { headers: { ...LAN, Cookie } })).status, 200);
    const list = await keys(dir);
    assert.match(list, HEAD);
    assert.match(list, /^ +1 {2}view,control +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}- +Änna's 📱$/m);

    /* The secret is nowhere but with the device. */
    assert.match(keyOf(answer), KEY);
    const file = readFileSync(path.join(dir, 'keys'), 'utf8');
    assert.ok(!file.includes(keyOf(answer)) && file.includes(createHash('sha256').update(keyOf(answer)).digest('hex')));
    assert.ok(!server.stderr().includes(keyOf(answer)) && !server.stderr().includes(code), server.stderr());
    assert.equal(statSync(path.join(dir, 'keys')).mode & 0o7777, 0o600);
    assert.equal(statSync(dir).mode & 0o7777, 0o700);
});

test('a page that came by https gets a Secure cookie, and the rights that pair named', async (t) => {
    const dir = stateDir(t);
    const server = await guarded(t, dir, '--trust-proxy', '127.0.0.1');
    const { code } = await pair(dir, '--rights', 'view');
    const answer = await send(server, '/auth/pair', { code, name: 'wall' }, { Origin: 'https://board.local', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'board.local' });
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.headers['set-cookie'][0], /; HttpOnly; SameSite=Strict; Secure$/);
    assert.match(await keys(dir), /^ +1 {2}view +\S+ +- +wall$/m);
});

test('over TLS the cookie is Secure, and aidash pair prints https', async (t) => {
    if (!(await run(['--help'])).stdout.includes('--tls-cert')) {
        t.skip('this build has no TLS');
        return;
    }
    const dir = stateDir(t);
    const [cert, key] = ['cert', 'key'].map((name) => path.join(path.dirname(dir), name));
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert,
        '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
    const server = await serve(t, ['--source', 'none', '--state-dir', dir, '--view', 'key', '--tls-cert', cert, '--tls-key', key],
        { ready: /listening on https:\/\/(\S+):(\d+).*\n/ });
    const { code, stdout } = await pair(dir);
    assert.ok(stdout.includes(`at https://127.0.0.1:${server.port}/`), stdout);
    const answer = await within(new Promise((done, fail) => {
        const body = JSON.stringify({ code });
        const req = https.request({ host: '127.0.0.1', port: server.port, path: '/auth/pair', method: 'POST', ca: readFileSync(cert),
            servername: 'localhost', headers: { Host: 'localhost', 'Content-Length': body.length }, agent: false }, (res) => { res.resume(); done(res); });
        req.on('error', fail);
        req.end(body);
    }), 'an answer over TLS');
    assert.equal(answer.statusCode, 200);
    assert.match(answer.headers['set-cookie'][0], /; HttpOnly; SameSite=Strict; Secure$/);
});

test('five wrong codes end all codes; an address that guesses has to wait, and spends no tries of the next code', async (t) => {
    const dir = stateDir(t);
    const server = await guarded(t, dir);
    const first = (await pair(dir)).code;
    const second = (await pair(dir)).code;
    const bad = [...Array(20).keys()].map((n) => wrong(first, n + 1)).filter((code) => code !== second);
    for (let n = 0; n < 5; n++) {
        assertRefused(await send(server, '/auth/pair', { code: bad[n] }), 403);
    }
    await server.logged(/5 wrong codes came: no code of `aidash pair` is valid any more/);
    const answer = await send(server, '/auth/pair', { code: first });
    assertRefused(answer, 429);
    assert.ok(Number(answer.headers['retry-after']) >= 1 && Number(answer.headers['retry-after']) <= 61);
    const elsewhere = (code) => request(server, '/auth/pair', { method: 'POST', body: JSON.stringify({ code }), headers: LAN, localAddress: '127.0.0.2' });
    assertRefused(await elsewhere(first), 410);
    assertRefused(await elsewhere(second), 410);
    const third = (await pair(dir)).code;
    for (let n = 0; n < 10; n++) {
        assertRefused(await send(server, '/auth/pair', { code: wrong(third, n + 1) }), 429);
    }
    assert.equal((await elsewhere(third)).status, 200);
});

test('a code is over when its time is', async (t) => {
    const dir = stateDir(t);
    const server = await guarded(t, dir);
    await keys(dir, 'add', 'any', '--rights', 'view'); /* makes the directory */
    const leave = (code, ends) => {
        const line = `${createHash('sha256').update(code).digest('hex')} view ${new Date(ends).toISOString().replace(/\.\d+/, '')}\n`;
        writeFileSync(path.join(dir, 'half'), line, { mode: 0o600 });
        renameSync(path.join(dir, 'half'), path.join(dir, 'pairing'));
        return line;
    };
    /* The file goes first; "paired" repeats its line when the code is valid. */
    const paired = path.join(dir, 'paired');
    const has = (line) => existsSync(paired) && readFileSync(paired, 'utf8').startsWith(line);
    leave('11111111', Date.now() - 5000);
    await poll(() => !existsSync(path.join(dir, 'pairing')), 'a server that takes the file');
    assertRefused(await send(server, '/auth/pair', { code: '11111111' }), 410);
    const second = leave('22222222', Date.now() + 60000);
    await poll(() => has(second), 'a server that has the code');
    assert.equal((await send(server, '/auth/pair', { code: '22222222' })).status, 200);
    const ends = Date.now() + 5000;
    const third = leave('33333333', ends);
    await poll(() => has(third) || Date.now() > ends, 'a server that has the code');
    await sleep(Math.max(0, ends - Date.now()) + 1500);
    assertRefused(await send(server, '/auth/pair', { code: '33333333' }), 410);
    /* What is not written as it should be is no code, and is gone. */
    writeFileSync(path.join(dir, 'half'), 'rubbish\n', { mode: 0o600 });
    renameSync(path.join(dir, 'half'), path.join(dir, 'pairing'));
    await poll(() => !existsSync(path.join(dir, 'pairing')), 'a server that takes the file');
    assert.equal((await ask(server)).status, 200);
});

test('the QR code leads to the page, with the code in the fragment', async (t) => {
    const dir = stateDir(t);
    const server = await guarded(t, dir);
    const { code, stdout } = await pair(dir, '--qr');
    const rows = stdout.split('\n').filter((line) => /^[█▀▄ ]{20,}$/.test(line));
    const width = rows[0].length;
    const scale = 8;
    const pixels = new Uint8ClampedArray(width * scale * rows.length * 2 * scale * 4);
    for (let y = 0; y < rows.length * 2 * scale; y++) {
        for (let x = 0; x < width * scale; x++) {
            const upper = Math.floor(y / scale) % 2 === 0;
            const light = (upper ? '█▀' : '█▄').includes(rows[Math.floor(y / scale / 2)][Math.floor(x / scale)]);
            pixels.fill(light ? 255 : 0, (y * width * scale + x) * 4, (y * width * scale + x) * 4 + 3);
            pixels[(y * width * scale + x) * 4 + 3] = 255;
        }
    }
    const read = jsQR(pixels, width * scale, rows.length * 2 * scale);
    assert.equal(read?.data, `http://127.0.0.1:${server.port}/#pair=${code}`);
});

test('aidash pair says so when no server runs with this state directory', async (t) => {
    const dir = stateDir(t);
    const { code, stdout, stderr } = await run(['pair', '--state-dir', dir]);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /no aidash runs with the state directory .*state: start it, or name .*--state-dir/);
    assert.ok(!existsSync(path.join(dir, 'pairing')), 'nobody can use that code later');
});

/* ---- another program has the lock ---- */

/* util-linux's flock holds the lock of the directory, until the test lets go. */
async function holdLock(t, dir) {
    const child = spawn('flock', [dir, 'sh', '-c', 'echo held; read line'], { stdio: ['pipe', 'pipe', 'ignore'] });
    const ended = new Promise((done) => { child.on('close', done); });
    t.after(() => child.stdin.end());
    await within(new Promise((done) => { child.stdout.once('data', done); }), 'the lock');
    return async () => {
        child.stdin.end('go\n');
        await within(ended, 'the end of who had the lock');
    };
}

test('while another program has the lock, viewers get their ticks, and who signs in waits for it', async (t) => {
    const dir = stateDir(t);
    const server = await serve(t, ['--source', 'sim', '--state-dir', dir, '--view', 'open', '--control', 'key']);
    let ticks = 0;
    const ws = new WebSocket(`ws://127.0.0.1:${server.port}/ws/test`);
    t.after(() => ws.terminate());
    ws.on('message', () => { ticks++; });
    let got;
    for (let n = 0; n < 4 && got?.status !== 200; n++) { /* 503: this machine was slower than the limit */
        const { code } = await pair(dir);
        const release = await holdLock(t, dir);
        const answer = send(server, '/auth/pair', { code, name: 'patient' });
        assert.equal((await ask(server)).status, 200);
        const before = ticks;
        await poll(() => ticks >= before + 3, 'ticks while the lock is held');
        assert.ok(!existsSync(path.join(dir, 'keys')), 'no key is written beside who has the lock');
        await release();
        got = await answer;
    }
    assert.equal(got.status, 200, got.text);
    assert.match(await keys(dir), / patient$/m);
    assert.equal((await ask(server, { Cookie: cookieOf(got) })).json.name, 'patient');
});

test('who waits for the lock too long gets 503, and has changed nothing', async (t) => {
    const dir = stateDir(t);
    const server = await guarded(t, dir);
    const Cookie = await signIn(server, dir);
    const { code } = await pair(dir);
    const release = await holdLock(t, dir);
    const answer = await send(server, '/auth/pair', { code, name: 'late' });
    assertRefused(answer, 503);
    assertRefused(await send(server, '/auth/sign-out', undefined, { Cookie }), 503);
    assert.equal((await ask(server, { Cookie })).json.name, 'first');
    await release();
    assert.equal((await send(server, '/auth/sign-out', undefined, { Cookie })).status, 200);
    const list = await keys(dir);
    assert.ok(!/ late$/m.test(list) && !/ first$/m.test(list), list);
});

/* ---- a device that asks ---- */

async function signIn(server, dir, ...args) {
    const answer = await send(server, '/auth/pair', { code: (await pair(dir, ...args)).code, name: 'first' });
    assert.equal(answer.status, 200, answer.text);
    return cookieOf(answer);
}

test('a device that is signed in lets in the next one', async (t) => {
    const dir = stateDir(t);
    const server = await guarded(t, dir);
    const Cookie = await signIn(server, dir);
    const asked = await send(server, '/auth/ask', { name: 'tablet' });
    const { ask: id, code } = validate(asked.json, 'AskAnswer');
    assert.equal(asked.headers['set-cookie'], undefined);
    const waits = await send(server, '/auth/asked', { ask: id });
    assert.equal(waits.status, 202);
    validate(waits.json, 'AskedAnswer');
    assertRefused(await send(server, '/auth/approve', { code }), 401);
    assertRefused(await send(server, '/auth/approve', { code: wrong(code).slice(-4) }, { Cookie }), 404);
    assert.deepEqual(validate((await send(server, '/auth/approve', { code }, { Cookie })).json, 'ApproveAnswer'), { name: 'tablet', rights: ['view', 'control'] });
    const answer = await send(server, '/auth/asked', { ask: id });
    assert.equal(answer.status, 200);
    assert.equal(validate(answer.json, 'AuthAnswer').name, 'tablet');
    assert.equal((await request(server, '/status', { headers: { ...LAN, Cookie: cookieOf(answer) } })).status, 200);
    assertRefused(await send(server, '/auth/asked', { ask: id }), 410);
    assertRefused(await send(server, '/auth/asked', { ask: '0'.repeat(32) }), 410);
    assert.match(await keys(dir), /^ +2 {2}view,control .* tablet$/m);
});

test('who is asked may refuse, and gives no more than he has', async (t) => {
    const dir = stateDir(t);
    const server = await guarded(t, dir);
    const Cookie = await signIn(server, dir);
    const { ask: id, code } = (await send(server, '/auth/ask')).json;
    assertRefused(await send(server, '/auth/approve', { code, rights: ['view', 'infer'] }, { Cookie }), 400);
    assertRefused(await send(server, '/auth/approve', { code, rights: 'view' }, { Cookie }), 400);
    assertRefused(await send(server, '/auth/approve', { code, rights: ['root'] }, { Cookie }), 400);
    assert.deepEqual((await send(server, '/auth/approve', { code, rights: [] }, { Cookie })).json, { name: 'device', rights: [] });
    assertRefused(await send(server, '/auth/asked', { ask: id }), 403);
    /* Without control he lets nobody in. */
    const viewer = await signIn(server, dir, '--rights', 'view');
    const next = (await send(server, '/auth/ask')).json;
    assertRefused(await send(server, '/auth/approve', { code: next.code }, { Cookie: viewer }), 403);
});

test('who is let in by a token that expires is let in for as long', async (t) => {
    const dir = stateDir(t);
    const token = (await run(['token', '--scope', 'view,control', '--ttl', '1h', '--state-dir', dir])).stdout.trim();
    const server = await guarded(t, dir);
    const { ask: id, code } = (await send(server, '/auth/ask', { name: 'guest' })).json;
    assert.equal((await send(server, '/auth/approve', { code }, { Authorization: `Bearer ${token}` })).status, 200);
    const answer = await send(server, '/auth/asked', { ask: id });
    assert.equal(answer.status, 200, answer.text);
    const [, age] = answer.headers['set-cookie'][0].match(/; Max-Age=(\d+);/);
    assert.ok(age > 0 && age <= 3600, age);
    assert.doesNotMatch(await keys(dir), /never.* guest$/m);
});

test('where control is open to everybody, nobody is let in without a key for it', async (t) => {
    const server = await serve(t, ['--source', 'none', '--state-dir', stateDir(t), '--control', 'open']);
    const { code } = (await send(server, '/auth/ask')).json;
    assertRefused(await send(server, '/auth/approve', { code }), 401);
    const here = await request(server, '/auth/approve', { method: 'POST', body: JSON.stringify({ code }) });
    assert.equal(here.status, 200, here.text);
});

/* ---- tokens, signing out ---- */

test('a token becomes a cookie; signing out forgets it, but revokes the key of a device', async (t) => {
    const dir = stateDir(t);
    const token = (await run(['token', '--scope', 'view', '--ttl', '10m', '--name', 'link', '--state-dir', dir])).stdout.trim();
    assert.match(token, KEY);
    const server = await guarded(t, dir);
    const traded = await send(server, '/auth/token', { token });
    assert.equal(traded.status, 200, traded.text);
    assert.equal(validate(traded.json, 'AuthAnswer').name, 'link');
    const [, age] = traded.headers['set-cookie'][0].match(new RegExp(`^aidash_${server.port}_token=${token}; Path=/; Max-Age=(\\d+); HttpOnly; SameSite=Strict$`));
    assert.ok(age > 500 && age <= 600, age);
    assertRefused(await send(server, '/auth/token', { token: `${token.slice(0, -1)}!` }), 403);
    assertRefused(await send(server, '/auth/token', { token: 'sk-engine' }), 403);
    const out = await send(server, '/auth/sign-out', undefined, { Cookie: cookieOf(traded) });
    assert.equal(out.status, 200);
    assert.deepEqual(out.headers['set-cookie'], ['', '_token'].map((suffix) => `aidash_${server.port}${suffix}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict`));
    assert.equal((await request(server, '/status', { headers: { ...LAN, Authorization: `Bearer ${token}` } })).status, 200);

    const Cookie = await signIn(server, dir);
    assert.equal((await request(server, '/status', { headers: { ...LAN, Cookie } })).status, 200);
    const answer = await send(server, '/auth/sign-out', {}, { Cookie });
    assert.equal(validate(answer.json, 'AuthAnswer').name, null);
    assert.equal((await request(server, '/status', { headers: { ...LAN, Cookie } })).status, 401);
    assert.doesNotMatch(await keys(dir), / first$/m);
});

test('a device that signs in again has one key', async (t) => {
    const dir = stateDir(t);
    const server = await guarded(t, dir);
    const Cookie = await signIn(server, dir);
    const answer = await send(server, '/auth/pair', { code: (await pair(dir)).code, name: 'again' }, { Cookie });
    assert.equal(answer.status, 200);
    const list = await keys(dir);
    assert.ok(/ again$/m.test(list) && !/ first$/m.test(list), list);
});

test('no page elsewhere signs in or out, whichever may connect', async (t) => {
    const dir = stateDir(t);
    const server = await guarded(t, dir, '--allow-origin', '*');
    const Cookie = await signIn(server, dir);
    for (const where of ['pair', 'token', 'ask', 'asked', 'approve', 'sign-out']) {
        assertRefused(await send(server, `/auth/${where}`, {}, { Cookie, Origin: 'https://evil.example' }), 403);
        assertRefused(await send(server, `/auth/${where}`, {}, { Cookie, 'Sec-Fetch-Site': 'cross-site' }), 403);
        assert.equal((await request(server, `/auth/${where}`, { headers: LAN })).status, 405);
    }
    assert.match(await keys(dir), / first$/m);
});

test('what is no answer to the question is refused', async (t) => {
    const server = await guarded(t, stateDir(t));
    const raw = (where, body) => request(server, where, { method: 'POST', body, headers: { ...LAN, 'Content-Length': Buffer.byteLength(body) } });
    for (const body of ['', ' ', 'null', '[]', '{', '{"code":}', '{}', '{"code":12345678}', '{"code":"1234567"}', '{"code":"123456789"}',
        '{"code":"1234567a"}', `{"code":"${'1'.repeat(300)}"}`, '{"code":"12345678","name":""}', '{"code":"12345678","name":7}',
        `{"code":"12345678","name":"${'n'.repeat(64)}"}`, '{"code":"12345678","name":"a\\u0007"}', '{"code":"\\u0000"}']) {
        assertRefused(await raw('/auth/pair', body), 400);
    }
    assertRefused(await raw('/auth/pair', `{"code":"12345678","x":"${'y'.repeat(5000)}"}`), 413);
    for (const body of ['', '{}', '{"token":1}', `{"token":"${'t'.repeat(3900)}"}`]) {
        assertRefused(await raw('/auth/token', body), 400);
    }
    for (const body of ['', '{}', '{"ask":""}x', `{"ask":"${'0'.repeat(33)}"}`]) {
        assertRefused(await raw('/auth/asked', body), 400);
    }
    assertRefused(await raw('/auth/ask', '{"name":"\\u202e"}'), 400);
    assert.equal((await raw('/auth/ask', '')).status, 200);
});

/* ---- keys ---- */

async function socket(server, key) {
    const ws = new WebSocket(`ws://127.0.0.1:${server.port}/ws/test`, { headers: { Authorization: `Bearer ${key}` } });
    const closed = new Promise((done) => { ws.on('close', (code) => done({ code, at: Date.now() })); });
    ws.on('error', () => {});
    await within(new Promise((done) => { ws.on('message', done); }), 'a first message');
    return { ws, closed };
}

test('keys are added, renamed and revoked while the server runs, and what a revoked key has open closes with 4401', async (t) => {
    const dir = stateDir(t);
    const server = await guarded(t, dir);
    const one = (await keys(dir, 'add', 'one', '--rights', 'view', '--ttl', '30d')).trim();
    const two = (await keys(dir, 'add', 'two', '--rights=view,ingest')).trim();
    assert.match(one, KEY);
    const status = (key) => request(server, '/status', { headers: { ...LAN, Authorization: `Bearer ${key}` } });
    await poll(async () => (await status(two)).status === 200, 'a server that knows the keys');
    assert.equal((await status(one)).status, 200);
    const sockets = [await socket(server, one), await socket(server, two)];
    t.after(() => sockets.forEach(({ ws }) => ws.terminate()));
    await keys(dir, 'rename', '2', 'zwei');
    assert.match(await keys(dir), /^ +2 {2}view,ingest .* zwei$/m);
    await keys(dir, 'revoke', '1');
    assert.equal((await within(sockets[0].closed, 'the end of a revoked viewer')).code, 4401);
    assert.equal((await status(one)).status, 401);
    assert.equal(sockets[1].ws.readyState, WebSocket.OPEN);
    assert.equal((await status(two)).status, 200);
});

test('keys outlast a restart, and no number is given twice', async (t) => {
    const dir = stateDir(t);
    let server = await start(['--source', 'none', '--state-dir', dir, '--view', 'key']);
    const Cookie = await signIn(server, dir);
    await server.stop('SIGKILL').catch(() => {});
    server = await guarded(t, dir);
    const answer = await request(server, '/status', { headers: { ...LAN, Cookie: Cookie.replace(/_\d+=/, `_${server.port}=`) } });
    assert.equal(answer.status, 200);
    await keys(dir, 'revoke', '1');
    await keys(dir, 'add', 'next', '--rights', 'view');
    assert.match(await keys(dir), /^ +2 .* next$/m);
});

test('a broken or too open key file keeps the keys, and says so once', async (t) => {
    const dir = stateDir(t);
    const server = await guarded(t, dir);
    const key = (await keys(dir, 'add', 'one', '--rights', 'view')).trim();
    const status = () => request(server, '/status', { headers: { ...LAN, Authorization: `Bearer ${key}` } });
    await poll(async () => (await status()).status === 200, 'a server that knows the key');
    const file = path.join(dir, 'keys');
    const good = readFileSync(file);
    /* At once: half a file may be one without keys. */
    const put = (text) => {
        writeFileSync(path.join(dir, 'half'), text, { mode: 0o600 });
        renameSync(path.join(dir, 'half'), file);
    };
    chmodSync(file, 0o644);
    await server.logged(/keys: other users may read or change it \(mode 0644\): refused; chmod 600 makes it yours alone; the keys stay as they were: 1\n/);
    assert.equal((await status()).status, 200);
    const { code, stderr } = await run(['keys', '--state-dir', dir]);
    assert.equal(code, 1);
    assert.match(stderr, /chmod 600/);
    chmodSync(file, 0o600);
    put('rubbish\n');
    await server.logged(/keys: line 1: its number is not a whole number from 1; the keys stay as they were: 1\n/);
    assert.equal((await status()).status, 200);
    put(good.toString().replace(/view/, 'infer'));
    await poll(async () => (await status()).status === 403, 'the changed key');
    assert.equal(server.stderr().match(/rubbish|line 1:/g).length, 1);
});

test('SIGHUP reads the key file again', async (t) => {
    const dir = stateDir(t);
    await keys(dir, 'add', 'one', '--rights', 'view');
    chmodSync(path.join(dir, 'keys'), 0o640);
    const config = path.join(path.dirname(dir), 'aidash.conf');
    writeFileSync(config, `state-dir = ${dir}\n`);
    const server = await serve(t, ['--source', 'none', '--config', config]);
    await server.logged(/mode 0640/);
    server.proc.kill('SIGHUP');
    await server.logged(/mode 0640[^]*(mode 0640[^]*options read again|options read again[^]*mode 0640)/);
});

test('wrong arguments are named, and leave with 2; what fails, with 1', async (t) => {
    const dir = stateDir(t);
    for (const [args, says] of [
        [['keys', 'add', 'x'], /usage: aidash keys/],
        [['keys', 'add', 'x', '--rights', 'all'], /'all' are no rights; they are some of view,control,ingest,infer/],
        [['keys', 'add', 'x', '--rights', 'view', '--ttl', '0d'], /'0d' is not a time such as/],
        [['keys', 'add', 'x', '--rights', 'view', '--ttl', '4000d'], /'4000d' is not a time/],
        [['keys', 'add', 'n'.repeat(64), '--rights', 'view'], /a name is 1 to 63 bytes/],
        [['keys', 'add', 'a\u001b[2J', '--rights', 'view'], /without control characters/],
        [['keys', 'rename', '1'], /usage: aidash keys rename NUMBER NAME/],
        [['keys', 'revoke', 'one'], /usage: aidash keys revoke NUMBER/],
        [['keys', 'frobnicate'], /usage: aidash keys/],
        [['keys', 'a', 'b', 'c', 'd'], /'d' is one argument too many/],
        [['keys', '--nonsense', '1'], /unknown option --nonsense/],
        [['token'], /usage: aidash token/],
        [['token', '--scope', 'view', 'x'], /usage: aidash token/],
        [['pair', 'x'], /usage: aidash pair/],
        [['pair', '--rights', ''], /'' are no rights/],
        [['keyz'], /the command that is nearest is keys/],
    ]) {
        const { code, stderr } = await run([...args, ...(args[0] === 'keyz' ? [] : ['--state-dir', dir])]);
        assert.equal(code, 2, args.join(' '));
        assert.match(stderr, says);
    }
    assert.ok(!existsSync(dir), 'no directory is made before something is written');
    const { code, stderr } = await run(['keys', 'revoke', '1', '--state-dir', dir]);
    assert.equal(code, 1);
    assert.match(stderr, /there is no key 1/);
    for (const command of ['keys', 'token', 'pair']) {
        const help = await run([command, '--help']);
        assert.equal(help.code, 0);
        assert.match(help.stdout, new RegExp(`^usage: aidash ${command}`));
    }
});

test('the state directory is the one that is named, else of systemd, else of the user', async (t) => {
    const home = path.dirname(stateDir(t));
    const where = async (env, ...args) => (await run(['keys', ...args], { env })).stdout.match(/there are no keys in (.*)\n/)?.[1];
    const env = { HOME: home, XDG_STATE_HOME: `${home}/x`, STATE_DIRECTORY: `${home}/one:${home}/two` };
    assert.equal(await where(env, '--state-dir', `${home}/named`), `${home}/named`);
    assert.equal(await where({ ...env, AIDASH_STATE_DIR: `${home}/variable` }), `${home}/variable`);
    assert.equal(await where(env), `${home}/one`);
    if (process.getuid() !== 0 || !existsSync('/var/lib/aidash')) {
        assert.equal(await where({ ...env, STATE_DIRECTORY: '' }), `${home}/x/aidash`);
        assert.equal(await where({ ...env, STATE_DIRECTORY: '', XDG_STATE_HOME: '' }), `${home}/.local/state/aidash`);
    }
});
