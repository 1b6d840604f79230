/* What viewers can do to the requests that pass through aidash: another model,
 * pause and the line, cancel, drain; and where requests go. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { freePort } from '../programs.mjs';
import { Raw, connect, exchange, isStatus, isTick, poll, request, run, serve, sleep, start, status, statusWhen, validate, within }
    from './aidash.mjs';
import { DONE_EVENT, LAST_CHUNK, STREAM_HEAD, TRANSCRIPTS, abreast, answer, chatEvent, chunk, get, isRequest, isStart, metered, post, replay,
    takeApart } from './engine.mjs';

const test = abreast('control');
const CHAT = '/v1/chat/completions';
const ask = (model = 'alpha') => post(CHAT, JSON.stringify({ model, stream: true, messages: [] }));

async function stage(t, args = [], options = { models: ['alpha', 'beta'] }) {
    const engine = await replay(t, options);
    const server = await metered(t, engine, args);
    const viewer = await connect(server);
    await statusWhen(server, (now) => now.models.length === options.models.length);
    return { engine, server, viewer };
}

/* Begin a request; its answer comes as client.rest(). */
async function begin(server, bytes = ask()) {
    const client = await Raw.connect(server);
    client.write(bytes);
    return client;
}

const finish = (call) => call.socket.end(STREAM_HEAD + chunk(chatEvent('x')) + chunk(DONE_EVENT) + LAST_CHUNK);
const queued = (server, n) => statusWhen(server, (now) => now.requests.queued === n);

/* ---- where requests go, and with what --------------------------------------------- */

const forwarded = (host = 'here') => ['X-Forwarded-For: 127.0.0.1', 'X-Forwarded-Proto: http', `X-Forwarded-Host: ${host}`];

test('each head passes as it is, but for what is about the connection and the client', async (t) => {
    const { engine, server } = await stage(t, ['--allow-origin', 'http://elsewhere.test'], { models: ['alpha'] });
    for (const [method, target, headers, body] of [
        ['GET', '/v1/models/alpha?x=1&y=%20%2F&x=2', ['Accept: */*', 'X-Empty:', 'X-Two: 1', 'X-Two: 2'], ''],
        ['GET', '/a%2Fb/%2e%2e/c%20d?', [], ''],
        ['DELETE', '/api/delete', ['Content-Length: 13'], '{"name":"a"}\n'],
        ['PUT', '/upload', ['Content-Length: 3', 'Content-Type: application/octet-stream'], '\0\xff\r'],
        ['PATCH', '/thing', ['Content-Length: 2', 'Authorization: Bearer mine', 'Cookie: a=b; c=d'], '{}'],
        ['OPTIONS', CHAT, ['Origin: http://elsewhere.test', 'Access-Control-Request-Method: POST'], ''],
        ['PROPFIND', '/dav', [], ''],
        ['POST', '/v1/x', ['Content-Length: 0'], ''],
        ['POST', '/v1/long', [`X-Long: ${'z'.repeat(4000)}`, 'Content-Length: 2', 'Accept-Encoding: gzip, br', 'User-Agent: t/1'], 'ok'],
    ]) {
        const answered = exchange(server, Buffer.from(`${method} ${target} HTTP/1.1\r\nHost: here\r\nConnection: close, X-Mine\r\n`
            + `X-Mine: dropped\r\nKeep-Alive: timeout=9\r\n${headers.map((h) => `${h}\r\n`).join('')}\r\n${body}`, 'latin1'));
        const call = await engine.next();
        const got = call.request;
        assert.equal(`${got.method} ${got.target} ${got.version}`, `${method} ${target} HTTP/1.1`);
        assert.deepEqual(got.headers.filter((h) => /^(host|connection):/i.test(h)),
            [`Host: 127.0.0.1:${engine.port}`, 'Connection: close']);
        assert.deepEqual(got.headers.filter((h) => !/^(host|connection):/i.test(h)).map((h) => h.trim()).sort(),
            [...headers.map((h) => h.replace('gzip, br', 'identity')), ...forwarded()].sort());
        assert.equal(got.body.toString('latin1'), body);
        call.socket.end('HTTP/1.1 299 Fine\r\nX-Answer: 1\r\nAccess-Control-Allow-Origin: \r\nX-Twice: a\r\nX-Twice: b\r\n'
            + 'Content-Length: 2\r\n\r\nok');
        assert.deepEqual(takeApart(Buffer.from(await answered, 'latin1')).lines, ['HTTP/1.1 299 Fine', 'X-Answer: 1',
            'Access-Control-Allow-Origin: ', 'X-Twice: a', 'X-Twice: b', 'Content-Length: 2']);
    }
});

test('X-Forwarded-*: the client\'s own words are replaced, those of a trusted proxy are kept', async (t) => {
    const told = ['X-Forwarded-For: 6.6.6.6', 'x-forwarded-proto: https', 'X-Forwarded-Host: board.example:443', 'X-Forwarded-For: 10.0.0.9, 10.0.0.8',
        'Forwarded: for=6.6.6.6;proto=https;host=other.lan', 'X-Forwarded-Port: 443', 'X-Real-IP: 6.6.6.6'];
    const sent = async (args, lines, host = 'board.lan:8080') => {
        const { engine, server } = await stage(t, ['--allow-host', 'board.example', ...args], { models: ['alpha'] });
        engine.answerAll();
        await exchange(server, Buffer.from(`GET /x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${lines.map((h) => `${h}\r\n`).join('')}\r\n`));
        return engine.all.at(-1).request.headers.filter((h) => /forwarded|real-ip/i.test(h)).sort();
    };
    assert.deepEqual(await sent([], told), [...forwarded('board.lan:8080'), 'X-Real-IP: 6.6.6.6'].sort());
    assert.deepEqual(await sent([], [], '[::1]:9'), forwarded('[::1]:9').sort());
    const trusting = ['--trust-proxy', '127.0.0.1'];
    // CGI's names, and so those of engines in Python, make no difference between - and _.
    const underscored = ['X_Forwarded_For: 6.6.6.6', 'x-forwarded_proto: https', 'X_Forwarded-Host: evil.example', 'X_FORWARDED_PREFIX: /a'];
    for (const args of [[], trusting]) {
        assert.deepEqual(await sent(args, underscored), forwarded('board.lan:8080').sort());
    }
    assert.deepEqual(await sent(trusting, []), forwarded('board.lan:8080').sort());
    assert.deepEqual(await sent(trusting, told.filter((line) => !line.startsWith('Forwarded'))), [
        'X-Forwarded-For: 6.6.6.6, 10.0.0.9, 10.0.0.8, 127.0.0.1', 'X-Forwarded-Host: board.example:443', 'X-Forwarded-Port: 443',
        'X-Forwarded-Proto: https', 'X-Real-IP: 6.6.6.6']);
    assert.deepEqual(await sent(trusting, ['Forwarded: for=1.1.1.1, for=6.6.6.6;proto=https;host=other.lan']), [
        'Forwarded: for=1.1.1.1, for=6.6.6.6;proto=https;host=other.lan', 'X-Forwarded-For: 127.0.0.1', 'X-Forwarded-Host: other.lan',
        'X-Forwarded-Proto: https']);
    assert.deepEqual(await sent(trusting, ['X-Forwarded-Proto: gopher']), forwarded('board.lan:8080').sort());
});

test('Location and Content-Location to the engine\'s own address lead to aidash', async (t) => {
    const engine = await replay(t, { lists: { '/llm/v1/models': '{"data":[]}' } });
    const own = `127.0.0.1:${engine.port}`;
    for (const [prefix, cases] of [
        ['', [[`http://${own}/ui/?a=b#c`, '/ui/?a=b#c'], [`HTTP://${own}`, '/'], [`http://${own}?x=1`, '/?x=1'], ['/ui', '/ui'],
            ['ui', 'ui'], ['?x', '?x'], ['', ''], [`http://${own}//evil.test/x`, `http://${own}//evil.test/x`],
            [`https://${own}/x`, `https://${own}/x`], ['http://other.test/x', 'http://other.test/x'],
            [`http://127.0.0.1:${engine.port}0/x`, `http://127.0.0.1:${engine.port}0/x`], [`http://u@${own}/x`, `http://u@${own}/x`],
            ['//other.test/x', '//other.test/x'], ['http://', 'http://']]],
        ['/llm', [[`http://${own}/llm/ui`, '/ui'], [`http://${own}/llm`, '/'], ['/llm/ui?x', '/ui?x'], ['/llm?x', '/?x'],
            [`http://${own}/llmx`, `http://${own}/llmx`], ['/llmx', '/llmx'], ['/llm//evil.test', '/llm//evil.test'],
            [`http://${own}/other`, `http://${own}/other`]]],
    ]) {
        const server = await metered(t, `${engine.url}${prefix}`);
        for (const [from, to] of cases) {
            for (const name of ['Location', 'Content-Location']) {
                const answered = exchange(server, get('/x'));
                const call = await engine.next((c) => !/\/api\/(ps|tags)$/.test(c.request.target));
                call.socket.end(`HTTP/1.1 302 Found\r\n${name}: ${from}\r\nContent-Length: 0\r\n\r\n`);
                const { lines } = takeApart(Buffer.from(await answered, 'latin1'));
                assert.equal(lines.find((line) => line.startsWith(name)), `${name}: ${to}`, from);
            }
        }
    }
});

test('/ is the engine\'s for a client that is no browser, and foreign pages may not ask for it', async (t) => {
    const { engine, server } = await stage(t, [], { models: ['alpha'] });
    engine.answerAll((call) => call.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n'
        + (call.request.method === 'HEAD' ? '' : 'Ollama is running')));
    for (const [method, lines, expected] of [
        ['GET', '', /Ollama is running$/], ['GET', 'Accept: */*\r\n', /Ollama is running$/],
        ['HEAD', 'Accept: application/json\r\n', /^HTTP\/1\.1 200 OK\r\nContent-Length: 17\r\n/],
        ['POST', 'Content-Length: 0\r\n', /Ollama is running$/],
        ['GET', 'Accept: application/xhtml+xml, Text/HTML;q=0.9, */*;q=0.1\r\n', /<title>/],
        ['GET', 'Accept: text/html\r\nOrigin: http://foreign.test\r\n', /<title>/],
        ['GET', 'Accept: */*\r\nOrigin: http://foreign.test\r\n', /^HTTP\/1\.1 403 /],
    ]) {
        assert.match(await exchange(server, `${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n`), expected, `${method} ${lines}`);
    }
});

/* ---- one connection, several requests ------------------------------------------------ */

const whole = (body) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const lasting = (body = '{}') => `POST ${CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

test('a connection stays for the next request, through the meter or to aidash itself', async (t) => {
    const { engine, server } = await stage(t, [], { models: ['alpha'] });
    const client = await Raw.connect(server);
    const before = await status(server);
    for (const [bytes, answered, ends] of [
        [lasting(), whole('first'), 'first'],
        [lasting(), `${STREAM_HEAD}${chunk(chatEvent('x'))}${LAST_CHUNK}`, LAST_CHUNK],
        ['HEAD /props HTTP/1.1\r\nHost: a\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', '\r\n\r\n'],
        [lasting('x'.repeat(100_000)), whole('z'.repeat(3_000_000)), 'zz'],
    ]) {
        client.write(bytes);
        (await engine.next()).socket.end(answered);
        const { length } = answered.replace(/^Keep-Alive.*\r\n/m, '');
        const got = (await client.take(length)).toString('latin1');
        assert.ok(got.endsWith(ends), got.slice(-200));
        assert.doesNotMatch(got.slice(0, 300), /^(connection|keep-alive):/im);
    }
    const now = await status(server);
    assert.equal(now.counters.accepted, before.counters.accepted + 1, 'but for the question itself');
    client.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.match(await client.rest(), /^HTTP\/1\.1 200 OK\r\n[^]*\{"status":"ok"\}$/);
});

test('a connection ends with the answer when it must, and says so', async (t) => {
    const { engine, server } = await stage(t, [], { models: ['alpha'] });
    for (const [bytes, answered] of [
        [lasting().replace('Host', 'Connection: close\r\nHost'), whole('ok')],
        [lasting().replace('HTTP/1.1', 'HTTP/1.0'), whole('ok')],
        [lasting(), 'HTTP/1.1 200 OK\r\n\r\nuntil it closes'],
        [lasting() + lasting(), whole('ok')],
    ]) {
        const answer = exchange(server, bytes);
        (await engine.next()).socket.end(answered);
        assert.match(await answer, /^HTTP\/1\.[01] 200 OK\r\n[^]*Connection: close\r\n\r\n/, bytes);
    }
});

test('node\'s fetch takes no answer that was cut for a whole one', async (t) => {
    const { engine, server } = await stage(t, [], { models: ['alpha'] });
    for (const break_ of [(call) => call.socket.end(), (call) => call.socket.resetAndDestroy()]) {
        const asked = fetch(`${server.url}${CHAT}`, { method: 'POST', body: '{}' });
        const call = await engine.next();
        await call.write(STREAM_HEAD + chunk(chatEvent('x')));
        const response = await asked;
        break_(call);
        await assert.rejects(response.text(), /terminated/);
    }
});

test('HEAD, 204 and 304 end without a body', async (t) => {
    const { engine, server } = await stage(t, [], { models: ['alpha'] });
    for (const [method, reply] of [['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n'],
        ['GET', 'HTTP/1.1 204 No Content\r\n\r\n'], ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'],
        ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n']]) {
        const answered = exchange(server, `${method} /props HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
        const call = await engine.next();
        await call.write(reply); // and it keeps the connection
        const { lines, body } = takeApart(Buffer.from(await answered, 'latin1'));
        assert.deepEqual(lines, takeApart(Buffer.from(reply)).lines);
        assert.equal(body.length, 0);
        await within(call.closed, 'end of the engine\'s connection');
    }
});

test('a chunked body: a short one gets a length, a long one chunks of our own', async (t) => {
    const { engine, server } = await stage(t, [], { models: ['alpha'] });
    for (const long of [false, true]) {
        const data = `{"stream":true,"x":"${'y'.repeat(long ? 40_000 : 10)}"}`;
        const client = await Raw.connect(server);
        client.write(`POST ${CHAT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n`);
        await client.dribble('a;ext=1\r\n{"stream":\r\n');
        client.write(`${chunk(data.slice(10))}0\r\nX-Trailer: 1\r\n\r\n`);
        const call = await engine.next((c) => c.request.method === 'POST');
        assert.equal(call.request.value('content-length'), long ? undefined : String(data.length));
        assert.equal(call.request.value('transfer-encoding'), long ? 'chunked' : undefined);
        assert.equal(call.request.body.toString(), data);
        assert.ok(!call.bytes.includes('ext=1') && !call.bytes.includes('X-Trailer'));
        finish(call);
        assert.ok((await client.rest()).endsWith(LAST_CHUNK));
    }
});

test('a URL prefix goes before each path, lists too', async (t) => {
    const engine = await replay(t, { lists: { '/engine/one/v1/models': '{"data":[{"id":"gamma"}]}' } });
    const server = await metered(t, `${engine.url}/engine/one/`);
    await statusWhen(server, (now) => now.models.join() === 'gamma');
    const answered = exchange(server, get('/v1/x?y=z'));
    const call = await engine.next((c) => !/\/api\/ps$/.test(c.request.target));
    assert.equal(call.request.target, '/engine/one/v1/x?y=z');
    call.socket.end(answer('{}'));
    assert.match(await answered, /200 OK/);
});

test('--upstream-key-file adds a token for clients without one', async (t) => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-key-'));
    t.after(() => rmSync(dir, { recursive: true }));
    const file = path.join(dir, 'key');
    writeFileSync(file, 'sk-secret.123\nmore\n');
    chmodSync(file, 0o644);
    const { engine, server } = await stage(t, ['--upstream-key-file', file, '--infer', 'open'], { models: ['alpha'] });
    engine.answerAll();
    const sent = async (extra) => {
        await exchange(server, post(CHAT, '{}', extra));
        return engine.all.at(-1).request.headers.filter((h) => /^authorization:/i.test(h));
    };
    assert.deepEqual(await sent(''), ['Authorization: Bearer sk-secret.123']);
    assert.deepEqual(await sent('Authorization: Bearer mine\r\n'), ['Authorization: Bearer mine']);
    const before = engine.all.length;
    assert.match(await exchange(server, 'TRACE /v1/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 501 /);
    assert.equal(engine.all.length, before, 'an engine that echoes requests would show the key');
    await server.logged(/upstream-key-file: every user of this machine can read/);
    assert.ok(!server.stderr().includes('sk-secret'));
    assert.ok(!JSON.stringify(await status(server)).includes('sk-secret'));
    for (const bad of ['', '\n', 'white space\n', `${'k'.repeat(300)}\n`]) {
        writeFileSync(file, bad);
        assert.equal((await run(['--listen', '127.0.0.1:0', '--upstream', engine.url, '--upstream-key-file', file])).code, 2);
    }
    assert.equal((await run(['--listen', '127.0.0.1:0', '--upstream', engine.url, '--upstream-key-file', `${file}x`])).code, 2);
});

test('several engines: the model decides, then the name, else the first', async (t) => {
    const one = await replay(t, { models: ['alpha', 'both'] });
    const two = await replay(t, { models: ['beta', 'both'] });
    const server = await metered(t, [`one=${one.url}`, `two=${two.url}`]);
    await statusWhen(server, (now) => now.models.length === 3);
    assert.deepEqual((await status(server)).models, ['alpha', 'both', 'beta']);
    one.answerAll((call) => call.socket.end(answer('{"from":1}')));
    two.answerAll((call) => call.socket.end(answer('{"from":2}')));
    const from = async (body, extra) => JSON.parse(takeApart(Buffer.from(await exchange(server,
        post(CHAT, body, extra)), 'latin1')).body).from;
    assert.equal(await from('{"model":"alpha"}'), 1);
    assert.equal(await from('{"model":"beta"}'), 2);
    assert.equal(await from('{"model":"both"}'), 1);
    assert.equal(await from('{"model":"two"}'), 2);
    assert.equal(await from('{"model":"unknown"}'), 1);
    assert.equal(await from('{"messages":[{"content":"\\"model\\":\\"beta\\""}]}'), 1);
    assert.equal(await from(`{"messages":["${'x'.repeat(200_000)}"],"model":"beta"}`), 2, 'the model at the end of a long body');
    const chunked = `POST ${CHAT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('{"mod')}${chunk('el":"beta"}')}${LAST_CHUNK}`;
    assert.equal(JSON.parse(takeApart(Buffer.from(await exchange(server, chunked), 'latin1')).body).from, 2);
    // Bodies of any length, framed in either way. In a form the field is last or first.
    const part = (name, value) => `--bound\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
    const form = (model, file) => `${file.length > 2e6 ? part('model', model) + part('file', file) : part('file', file) + part('model', model)}--bound--\r\n`;
    const long = 'x'.repeat(3_000_000);
    const inChunks = (body) => `POST ${CHAT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${
        body.match(/[^]{1,50000}/g).map(chunk).join('')}${LAST_CHUNK}`;
    for (const [body, engine] of [[`{"model":"beta","messages":["${long}"]}`, two], [`{"messages":["${long.slice(0, 1_000_000)}"],"model":"beta","x":"${long}"}`, two],
        [`{"model":"alpha","messages":["${long}"]}`, one], [`{"other":"${long.slice(0, 1_000_000)}"}`, one], [`--form data\r\n${long}`, one], [form('beta', ''), two], [form('beta', long.slice(0, 1_000_000)), two], [form('alpha', long), one], [`[${JSON.stringify(long)}]`, one]]) {
        for (const bytes of [post(CHAT, body), inChunks(body)]) {
            assert.match(await exchange(server, bytes), /^HTTP\/1\.1 200 OK/, body.slice(0, 30));
            assert.ok(engine.all.at(-1).request.body.toString() === body, body.slice(0, 30));
        }
    }
    const before = one.all.length + two.all.length;
    for (const [where, shape] of [[CHAT, (e) => e.error.message], ['/api/chat', (e) => e.error]]) {
        const { lines, body } = takeApart(Buffer.from(await exchange(server, post(where, `{"messages":["${long}"],"model":"beta"}`)), 'latin1'));
        assert.match(lines[0], /^HTTP\/1\.1 413 /);
        assert.match(shape(JSON.parse(body)), /"model" is not in the first 1 MiB/);
    }
    assert.equal(one.all.length + two.all.length, before, 'no engine was asked');
    // One of them down: the other goes on.
    await one.down();
    assert.equal(await from('{"model":"beta"}'), 2);
    assert.match(await exchange(server, post(CHAT, '{"model":"alpha"}')), /^HTTP\/1\.1 502 /);
    assert.equal((await status(server)).engine, 'down');
});

/* ---- models ---------------------------------------------------------------------- */

test('models come from the engine, read without waking it', async (t) => {
    const { engine, server, viewer } = await stage(t);
    const now = await status(server);
    assert.deepEqual([now.source, now.models, now.loaded, now.override, now.engine], ['meter', ['alpha', 'beta'], [], false, 'up']);
    assert.ok(viewer.hello.models.length === 2 || viewer.events.some((e) => isStatus(e) && e.models.length === 2));
    assert.ok(engine.asked.every((line) => /^GET \/(v1\/models|api\/ps|api\/tags)$/.test(line)), engine.asked.join());
});

test('the router of llama-server marks what is loaded', async (t) => {
    const page = (name) => takeApart(readFileSync(path.join(TRANSCRIPTS, `${name}.response`))).body.toString();
    const { server } = await stage(t, [], { models: ['tiny-a', 'tiny-b'], lists: { '/v1/models': page('router-models') } });
    const now = await status(server);
    assert.deepEqual([now.models, now.loaded], [['tiny-a', 'tiny-b'], ['tiny-b']]);
});

for (const openai of [true, false]) {
    test(`Ollama's list, and what it has loaded, ${openai ? 'with' : 'without'} its OpenAI routes`, async (t) => {
        const model = (name) => ({ name, model: name, modified_at: '2026-11-01T00:00:00Z', size: 5, digest: 'd', details: {
            family: 'f', families: ['f'], parameter_size: '4B', quantization_level: 'Q4_0' } });
        const { engine, server } = await stage(t, [], { models: ['qwen3:4b', 'gemma:2b'], lists: {
            ...(openai ? {} : { '/v1/models': null }),
            '/api/tags': JSON.stringify({ models: [model('qwen3:4b'), model('gemma:2b')] }),
            '/api/ps': JSON.stringify({ models: [{ ...model('gemma:2b'), size_vram: 5, expires_at: '2026-11-24T00:00:00Z' }] }) } });
        await statusWhen(server, (now) => now.loaded.join() === 'gemma:2b');
        assert.deepEqual((await status(server)).models, ['qwen3:4b', 'gemma:2b']);
        assert.ok(engine.asked.every((line) => /^GET \/(v1\/models|api\/ps|api\/tags)$/.test(line)), engine.asked.join());
    });
}

test('switch_model: the top-level model alone is replaced, all else is the same to the byte', async (t) => {
    const { engine, server, viewer } = await stage(t);
    engine.answerAll();
    const passed = async (body, chunked = false) => {
        await exchange(server, chunked
            ? Buffer.concat([Buffer.from(`POST ${CHAT} HTTP/1.1\r\nHost: a\r\nX-Kept: 1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n`),
                Buffer.from(chunk(body.slice(0, 5)) + chunk(body.slice(5)) + LAST_CHUNK)])
            : post(CHAT, body, 'X-Kept: 1\r\n'));
        const got = engine.all.at(-1).request;
        assert.ok(got.headers.includes('X-Kept: 1'));
        assert.ok(chunked ? !got.value('transfer-encoding') || !got.value('content-length') : !got.value('transfer-encoding'));
        return got.body.toString();
    };
    const bodies = [
        ['{"model":"alpha"}', '{"model":"beta"}'],
        [' {\t"messages" : [ {"model":"alpha"} ] ,\r\n "model" :  "alpha" , "x":1.50e+1 }\n',
            ' {\t"messages" : [ {"model":"alpha"} ] ,\r\n "model" :  "beta" , "x":1.50e+1 }\n'],
        ['{"a":"\\"model\\":\\"alpha\\"","m\\u006fdel":"a\\"b","z":"\u00e9\u{1F60A}\\ud83d"}',
            '{"a":"\\"model\\":\\"alpha\\"","m\\u006fdel":"beta","z":"\u00e9\u{1F60A}\\ud83d"}'],
        ['{"model":null}', '{"model":null}'],
        ['{"messages":[]}', '{"messages":[]}'],
        ['{"model":"alpha"', '{"model":"alpha"'],
        ['no json', 'no json'],
        [`{"pad":"${'p'.repeat(900_000)}","model":"alpha"}`, `{"pad":"${'p'.repeat(900_000)}","model":"beta"}`],
    ];
    for (const [body] of bodies) {
        assert.equal(await passed(body), body, 'nobody chose');
    }
    assert.equal((await viewer.command({ action: 'switch_model', model: 'beta' })).event, 'ack');
    const told = await viewer.next((e) => isStatus(e) && e.override === true);
    assert.equal(told.model, 'beta');
    for (const [body, wanted] of bodies) {
        for (const chunked of [false, true]) {
            const got = await passed(body, chunked);
            assert.ok(got === wanted, `${body.slice(0, 60)}: ${got.slice(0, 100)}`);
        }
    }
    // A GET has nothing to replace.
    await exchange(server, get('/props?model=alpha'));
    assert.equal(engine.all.at(-1).request.target, '/props?model=alpha');
    // Of a body of any length, if it is in the first 1 MiB; else all passes as it is.
    const pad = (n) => `"pad":"${'p'.repeat(n)}"`;
    for (const [body, replaced] of [[`{"model":"alpha",${pad(3_000_000)}}`, true], [`{${pad(200_000)},"model":"alpha",${pad(3_000_000)}}`, true],
        [`{${pad(2 ** 20 - 9 - 16)},"model":"alpha"${' '.repeat(100)}}`, true], [`{${pad(2 ** 20 - 9 - 15)},"model":"alpha"${' '.repeat(100)}}`, false],
        [`{${pad(2_000_000)},"model":"alpha"}`, false]]) {
        assert.ok(body.indexOf('"alpha"') + 7 <= 2 ** 20 === replaced);
        for (const chunked of [false, true]) {
            const got = await passed(body, chunked);
            assert.ok(got === (replaced ? body.replace('alpha', 'beta') : body), `${body.slice(0, 20)} ${body.length} ${chunked}`);
        }
    }
    await server.logged(/not in the first 1 MiB/);
    // The record has the model that was asked for in the end.
    assert.equal((await viewer.next((e) => isRequest(e) && e.model === 'beta')).status, 'finished');

    assert.equal((await viewer.command({ action: 'switch_model', model: 'nope' })).code, 'unknown_model');
    assert.equal((await viewer.command({ action: 'switch_model', model: '' })).event, 'ack');
    await viewer.next((e) => isStatus(e) && e.override === false);
    assert.equal(await passed('{"model":"alpha"}'), '{"model":"alpha"}');
});

test('a broken chunk behind 1 MiB while a model is chosen: 400', async (t) => {
    for (const begin of ['{"model":"alpha","pad":"', '{"pad":"']) {
        const { engine, server, viewer } = await stage(t, [], { models: ['alpha', 'beta'], early: true });
        await viewer.command({ action: 'switch_model', model: 'beta' });
        const client = await Raw.connect(server);
        client.write(`POST ${CHAT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(begin)}${
            chunk('p'.repeat(100_000)).repeat(15)}`);
        const call = await engine.next();
        client.write('3\nabc\r\n0\r\n\r\n');
        assert.match(await client.rest(), /^HTTP\/1\.1 400 /);
        await within(call.closed, 'end of the engine\'s connection');
        assert.ok(!call.bytes.toString('latin1').endsWith(LAST_CHUNK));
    }
});

for (const [name, pad, chunked] of [['a short body', 0, false], ['a long one', 100_000, false], ['a long one in chunks', 100_000, true]]) {
    test(`Expect: 100-continue with a chosen model, ${name}`, async (t) => {
        const { engine, server, viewer } = await stage(t);
        await viewer.command({ action: 'switch_model', model: 'beta' });
        const body = `{${pad ? `"pad":"${'p'.repeat(pad)}",` : ''}"model":"alpha"}`;
        const client = await begin(server, `POST ${CHAT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n${
            chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`}\r\n\r\n`);
        await client.until((bytes) => bytes.includes('100 Continue\r\n\r\n'));
        await client.write(chunked ? chunk(body) + LAST_CHUNK : body);
        const call = await engine.next();
        assert.equal(call.request.body.toString(), body.replace('alpha', 'beta'));
        finish(call);
        assert.equal((await client.rest()).match(/100 Continue/g).length, 1);
    });
}

/* ---- pause and the line -------------------------------------------------------------- */

test('pause: running ones finish, new ones wait in order and go on at resume', async (t) => {
    const { engine, server, viewer } = await stage(t);
    const running = await begin(server);
    const first = await engine.next();
    await first.write(STREAM_HEAD + chunk(chatEvent('a')));
    await viewer.tick();
    assert.equal((await viewer.command({ action: 'pause' })).event, 'ack');

    const waiting = [];
    for (let i = 0; i < 4; i++) {
        waiting.push(await begin(server, ask(`waits-${i}`)));
        const told = await viewer.next(isStart);
        assert.deepEqual([told.status, told.place, told.model], ['queued', i + 1, `waits-${i}`]);
    }
    await queued(server, 4);
    assert.equal((await status(server)).running, 1);
    // Listing works throughout.
    assert.deepEqual(JSON.parse((await request(server, '/v1/models')).text).data.map((m) => m.id), ['alpha', 'beta']);
    await first.write(chunk(chatEvent('b')) + chunk(DONE_EVENT) + LAST_CHUNK);
    assert.ok((await running.rest()).endsWith(LAST_CHUNK));
    const ended = await viewer.next(isRequest);
    assert.deepEqual([ended.status, ended.completion_tokens], ['finished', 2]);
    assert.equal(viewer.events.filter(isTick).at(-1).tokens_generated, 2, 'ticks come while paused');
    assert.equal(engine.all.filter((c) => c.request.method === 'POST').length, 1, 'nothing new reached the engine');

    await viewer.command({ action: 'resume' });
    for (let i = 0; i < 4; i++) {
        const call = await engine.next((c) => c.request.method === 'POST');
        assert.equal(JSON.parse(call.request.body).model, `waits-${i}`, 'first come, first served');
        finish(call);
        assert.ok((await waiting[i].rest()).endsWith(LAST_CHUNK));
    }
    const now = await statusWhen(server, (s) => s.requests.running === 0);
    assert.deepEqual([now.requests.queued, now.requests.refused], [0, 0]);
});

test('--max-inflight: the rest waits in the queue, without pause', async (t) => {
    const { engine, server, viewer } = await stage(t, ['--max-inflight', '2']);
    const clients = [];
    for (let i = 0; i < 5; i++) {
        clients.push(await begin(server, ask(`m${i}`)));
        const told = await viewer.next(isStart);
        assert.equal(told.status, i < 2 ? 'running' : 'queued');
    }
    assert.deepEqual((({ running, queued: line, max_inflight: max }) => [running, line, max])((await status(server)).requests), [2, 3, 2]);
    for (let i = 0; i < 5; i++) {
        const call = await engine.next();
        assert.equal(JSON.parse(call.request.body).model, `m${i}`);
        assert.ok((await status(server)).requests.running <= 2);
        finish(call);
        await clients[i].rest();
    }
});

/* A request whose body of `length` bytes has come but for the end: client.finish() sends that. */
async function beginLong(server, length = 200_000) {
    const body = `{"model":"alpha","pad":"${'p'.repeat(length)}"}`;
    const bytes = post(CHAT, body);
    const client = await begin(server, bytes.subarray(0, -100));
    client.body = body;
    client.finish = () => client.write(bytes.subarray(-100));
    return client;
}

test('a long body that comes slowly takes no place at the engine from others', async (t) => {
    const { engine, server, viewer } = await stage(t, ['--max-inflight', '2'], { models: ['alpha', 'beta'] });
    const slow = [await beginLong(server), await beginLong(server)];
    await statusWhen(server, (now) => now.requests.running === 2);
    assert.deepEqual([(await viewer.next(isStart)).status, (await viewer.next(isStart)).status], ['running', 'running']);
    const quick = [await begin(server), await begin(server)];
    const calls = [await engine.next(), await engine.next()];
    const { requests } = await status(server);
    assert.deepEqual([requests.running, requests.queued, requests.uploading], [2, 0, 2]);
    assert.deepEqual((await request(server, '/requests')).json.running.map((r) => r.status).sort(), ['queued', 'queued', 'running', 'running']);
    // Whole, the first of them waits for a place, and so does one that comes later.
    slow[0].finish();
    const first = await viewer.next((e) => isStart(e) && e.status === 'queued' && e.id <= 2); /* the server may have seen the second one first */
    assert.equal(first.place, 1);
    const later = await begin(server);
    await queued(server, 2);
    finish(calls[0]);
    const call = await engine.next();
    assert.equal(call.request.body.toString(), slow[0].body);
    finish(call);
    finish(calls[1]);
    finish(await engine.next());
    slow[1].finish();
    finish(await engine.next());
    for (const client of [...slow, ...quick, later]) {
        assert.match(await client.rest(), /^HTTP\/1\.1 200 /);
    }
    await statusWhen(server, (now) => now.requests.running === 0 && now.requests.uploading === 0);
});

test('pause and cancel of a request whose body comes slowly', async (t) => {
    const { engine, server, viewer } = await stage(t, ['--max-inflight', '1'], { models: ['alpha', 'beta'] });
    const slow = [await beginLong(server)];
    const { id } = await viewer.next(isStart);
    const quick = await begin(server);
    await within(engine.next(), 'the quick one').then(finish);
    await quick.rest();
    slow.push(await beginLong(server));
    const other = await viewer.next((e) => isStart(e) && e.id === 3);
    assert.equal(other.status, 'running');
    await viewer.command({ action: 'pause' });
    slow[0].finish(); // it gave its place away: it waits like a new one
    await viewer.next((e) => isStart(e) && e.id === id && e.status === 'queued');
    await queued(server, 1);
    assert.equal((await viewer.command({ action: 'cancel', request: other.id })).event, 'ack');
    assert.match(await slow[1].rest(), /^HTTP\/1\.1 503 [^]*cancelled/);
    await viewer.command({ action: 'drain' });
    assert.equal(engine.all.filter((call) => call.request.method === 'POST').length, 1, 'nothing new reached the engine');
    await viewer.command({ action: 'resume' });
    const call = await engine.next();
    assert.equal(call.request.body.toString(), slow[0].body);
    finish(call);
    assert.match(await slow[0].rest(), /^HTTP\/1\.1 200 /);
});

test('a full queue: 503 with Retry-After in the shape of the API, and the dashboard is served', async (t) => {
    const { server, viewer } = await stage(t, ['--queue', '2', '--max-inflight', '1']);
    await viewer.command({ action: 'pause' });
    const waiting = [await begin(server), await begin(server)];
    await queued(server, 2);
    for (const [where, shape] of [[CHAT, (e) => e.error.message], ['/api/chat', (e) => e.error]]) {
        const { lines, body } = takeApart(Buffer.from(await exchange(server, post(where, '{"model":"alpha"}')), 'latin1'));
        assert.match(lines[0], /^HTTP\/1\.1 503 /);
        assert.ok(lines.some((line) => /^retry-after: \d+$/i.test(line)), lines.join());
        assert.match(shape(JSON.parse(body)), /queue is full \(\d+ waiting\)/);
        assert.equal((await viewer.next(isRequest)).status, 'refused');
    }
    assert.equal((await status(server)).requests.refused, 2);
    for (const where of ['/', '/app.js', '/healthz', '/ticks?last=5', '/v1/models']) {
        assert.equal((await request(server, where, { headers: { Accept: 'text/html' } })).status, 200, where);
    }
    const other = await connect(server, '/ws/other');
    assert.deepEqual([other.hello.queued, other.hello.paused], [2, true]);
    waiting.forEach((client) => client.reset());
    await queued(server, 0);
    const left = [await viewer.next(isRequest), await viewer.next(isRequest)];
    assert.ok(left.every((record) => record.status === 'left'));
});

test('hundreds that wait and are refused take nothing from the dashboard', async (t) => {
    const { server, viewer } = await stage(t, ['--queue', '60']);
    await viewer.command({ action: 'pause' });
    const clients = await Promise.all(Array.from({ length: 200 }, () => begin(server)));
    await statusWhen(server, (now) => now.requests.queued === 60 && now.requests.refused === 140);
    for (let i = 0; i < 20; i++) {
        assert.equal((await status(server)).requests.queued, 60, 'they wait all the while');
        (await connect(server, `/ws/v${i}`)).close();
    }
    clients.forEach((client) => client.reset());
    await queued(server, 0);
});

test('--queue-timeout: 503 after the longest wait', async (t) => {
    const { server, viewer } = await stage(t, ['--queue-timeout', '1']);
    await viewer.command({ action: 'pause' });
    const began = Date.now();
    const { lines } = takeApart(Buffer.from(await exchange(server, ask()), 'latin1'));
    assert.match(lines[0], /^HTTP\/1\.1 503 /);
    assert.ok(lines.some((line) => /^retry-after: \d+$/i.test(line)));
    assert.ok(Date.now() - began >= 950, `${Date.now() - began} ms`);
    assert.equal((await viewer.next(isRequest)).status, 'refused');
    await queued(server, 0);
});

test('--queue 1: one waits, the next is refused', async (t) => {
    const { server, viewer } = await stage(t, ['--queue', '1', '--max-inflight', '1']);
    await begin(server);
    await viewer.next(isStart);
    await begin(server);
    await viewer.next(isStart);
    assert.match(await exchange(server, ask()), /^HTTP\/1\.1 503 /);
});

test('cancel ends a running request, one in the queue, and none that is not there', async (t) => {
    const { engine, server, viewer } = await stage(t, ['--max-inflight', '1']);
    const running = await begin(server);
    const { id } = await viewer.next(isStart);
    const call = await engine.next();
    await call.write(STREAM_HEAD + chunk(chatEvent('a')));
    await running.until((bytes) => bytes.includes('"a"'));
    const waiting = await begin(server);
    const second = await viewer.next(isStart);
    assert.equal(second.status, 'queued');

    assert.equal((await viewer.command({ action: 'cancel', request: second.id })).event, 'ack');
    assert.match(await waiting.rest(), /^HTTP\/1\.1 503 [^]*cancelled/);
    assert.equal((await viewer.next((e) => isRequest(e) && e.id === second.id)).status, 'cut');

    assert.equal((await viewer.command({ action: 'cancel', request: id })).event, 'ack');
    await within(call.closed, 'end of the engine\'s connection');
    assert.ok(!(await running.rest()).endsWith(LAST_CHUNK));
    assert.equal((await viewer.next((e) => isRequest(e) && e.id === id)).status, 'cut');

    for (const no of [id, 12345]) {
        assert.equal((await viewer.command({ action: 'cancel', request: no })).event, 'error');
    }
    for (const bad of [{ action: 'cancel' }, { action: 'cancel', request: '1' }, { action: 'cancel', request: -1 }]) {
        assert.equal((await viewer.command(bad)).code, 'invalid_command', JSON.stringify(bad));
    }
    // A request before its answer began.
    const silent = await begin(server);
    const third = await viewer.next(isStart);
    await engine.next();
    await viewer.command({ action: 'cancel', request: third.id });
    assert.match(await silent.rest(), /^HTTP\/1\.1 503 /);
});

test('drain: pause, and a status when the last has ended', async (t) => {
    const { engine, server, viewer } = await stage(t);
    const client = await begin(server);
    const call = await engine.next();
    await viewer.next(isStart);
    assert.equal((await viewer.command({ action: 'drain' })).event, 'ack');
    assert.equal((await viewer.next((e) => isStatus(e) && e.paused)).running, 1);
    const mark = viewer.events.length;
    finish(call);
    await client.rest();
    await viewer.next((e) => isStatus(e) && e.running === 0);
    assert.equal(viewer.events.slice(mark).filter(isStatus).length, 1, 'told once');
    // With nothing running it is told at once.
    await viewer.command({ action: 'resume' });
    await viewer.next((e) => isStatus(e) && !e.paused);
    await viewer.command({ action: 'drain' });
    assert.equal((await viewer.next((e) => isStatus(e) && e.paused)).running, 0);
});

/* ---- the page of metrics --------------------------------------------------------------- */

const scraped = async (t, pages, wait = 0) => {
    let n = 0;
    const engine = await replay(t);
    engine.sent = []; // when
    engine.answerAll((call) => setTimeout(() => {
        engine.sent.push(Date.now());
        call.socket.end(answer(pages[Math.min(n++, pages.length - 1)], { type: 'text/plain; version=0.0.4' }));
    }, wait));
    const server = await start(['--scrape', `${engine.url}/metrics`]);
    t.after(() => server.stop());
    return { engine, server, viewer: await connect(server) };
};

test('--scrape: llama-server\'s counters become ticks, its gauges do not', async (t) => {
    const page = (name) => takeApart(readFileSync(path.join(TRANSCRIPTS, `${name}.response`))).body.toString();
    const count = (text) => Number(text.match(/^llamacpp:tokens_predicted_total (\d+)/m)[1]);
    const pages = [page('metrics-before'), page('metrics-after')];
    const { engine, viewer, server } = await scraped(t, pages);
    const tick = await viewer.tick();
    assert.equal(tick.tokens_generated, count(pages[1]) - count(pages[0]));
    assert.equal(engine.all[0].request.target, '/metrics');
    await poll(() => engine.all.length >= 4, 'more looks');
    assert.equal(viewer.events.filter(isTick).length, 1, 'nothing gained, no tick');
    assert.equal((await status(server)).counters.ticks, 1);
});

test('--scrape: vLLM\'s counters, by model, over all engines', async (t) => {
    const page = (tokens, steps, seconds) => '# HELP vllm:generation_tokens_total Number of generation tokens processed.\n'
        + '# TYPE vllm:generation_tokens_total counter\n'
        + `vllm:generation_tokens_total{engine="0",model_name="meta/llama-3"} ${tokens}.0\n`
        + `vllm:generation_tokens_total{engine="1",model_name="meta/llama-3"} 1e1\n`
        + `vllm:inter_token_latency_seconds_sum{engine="0",model_name="meta/llama-3"} ${seconds}\n`
        + `vllm:inter_token_latency_seconds_bucket{engine="0",le="+Inf",model_name="meta/llama-3"} ${steps}.0\n`
        + `vllm:inter_token_latency_seconds_count{engine="0",model_name="meta/llama-3"} ${steps}.0\n`
        + 'vllm:num_requests_running{engine="0",model_name="meta/llama-3"} NaN\n';
    const { viewer } = await scraped(t, [page(100, 90, 1), page(160, 140, 3), page(20, 10, 0.1), page(25, 14, 0.3)]);
    const tick = await viewer.tick();
    assert.deepEqual([tick.model, tick.tokens_generated, tick.latency_ms], ['meta/llama-3', 60, 40]);
    // The engine began anew: its counters fell, and count from there.
    const next = await viewer.tick();
    assert.deepEqual([next.tokens_generated, next.latency_ms], [65, 50]);
});

test('--scrape: the rate is over the time between two pages, or what llama-server says it took', async (t) => {
    const vllm = (tokens) => `vllm:generation_tokens_total{model_name="v"} ${tokens}\n`;
    // The first page was read after it was sent and before the second one was asked for, the second one likewise.
    const { engine, viewer } = await scraped(t, [vllm(0), vllm(1000)], 300);
    const live = await viewer.tick();
    const seconds = (Date.now() - engine.sent[0]) / 1000;
    assert.equal(live.tokens_generated, 1000);
    assert.ok(live.tokens_per_second > 990 / seconds && live.tokens_per_second < 1010 / 0.3, `${live.tokens_per_second} tokens/s in ${seconds} s at most`);
    // 3000 tokens of a request that ended just now, and took 10 s.
    const llama = (tokens, s) => `llamacpp:tokens_predicted_total ${tokens}\nllamacpp:tokens_predicted_seconds_total ${s}\n`;
    const { viewer: other } = await scraped(t, [llama(7, 1), llama(3007, 11)]);
    const whole = await other.tick();
    assert.deepEqual([whole.tokens_generated, whole.tokens_per_second], [3000, 300]);
});

test('--scrape: source and engine in status; down with one line in the log, up again, and what is not 200 is down', async (t) => {
    const { engine, server, viewer } = await scraped(t, ['llamacpp:tokens_predicted_total 1\n']);
    const now = await statusWhen(server, (each) => each.engine === 'up');
    assert.deepEqual([now.source, now.source_state, now.engine], ['scrape', 'running', 'up']);
    await engine.down();
    await viewer.next((e) => isStatus(e) && e.engine === 'down' && e.source === 'scrape');
    await sleep(1200);
    assert.equal(server.stderr().match(/scrape: .* is down/g).length, 1);
    await engine.up();
    await viewer.next((e) => isStatus(e) && e.engine === 'up');

    const refusing = await replay(t);
    refusing.answerAll((call) => call.socket.end(answer('no', { status: '401 Unauthorized' })));
    const second = await start(['--scrape', `${refusing.url}/metrics`]);
    t.after(() => second.stop());
    await second.logged(/scrape: .* is down: it answers with status 401/);
});

test('--scrape of an engine that is also an upstream is refused', async () => {
    for (const [upstream, page] of [['http://127.0.0.1:1', 'http://localhost:1/metrics'], ['http://engine.lan', 'http://ENGINE.lan:80/m'],
        ['http://[::1]:8000/v1', 'http://[0:0::1]:8000/metrics']]) {
        const { code, stderr } = await run(['--upstream', upstream, '--scrape', page]);
        assert.equal(code, 2, stderr);
        assert.match(stderr, /--scrape: '.*' is an engine of --upstream too: its tokens would count twice/);
    }
});

test('--scrape: a page without known counters is told once, and an engine that is down does no harm', async (t) => {
    const { engine, server } = await scraped(t, ['# nothing\nother_total 1\n']);
    await server.logged(/no counter/);
    await poll(() => engine.all.length >= 3, 'more looks');
    assert.equal(server.stderr().match(/no counter/g).length, 1);
    await engine.down();
    await sleep(1200);
    assert.equal((await request(server, '/healthz')).status, 200);
});

/* ---- GET /requests ------------------------------------------------------------------ */

test('GET /requests: those under way, and the newest fifty that ended, as their events told', async (t) => {
    const { engine, server, viewer } = await stage(t, ['--max-inflight', '1']);
    const list = async (query = '') => {
        const { json, status: code } = await request(server, `/requests${query}`);
        assert.equal(code, 200);
        return validate(json, 'RequestsAnswer');
    };
    assert.deepEqual(await list(), { running: [], requests: [] });

    const told = [];
    for (let i = 0; i < 53; i++) {
        const client = await begin(server);
        finish(await engine.next());
        await client.rest();
        told.push(await viewer.next(isRequest));
    }
    assert.deepEqual(await list(), { running: [], requests: told.slice(-50) });
    assert.deepEqual((await list('?last=2')).requests, told.slice(-2));
    assert.deepEqual((await list('?last=0')).requests, []);

    const runs = await begin(server);
    const call = await engine.next();
    const waits = await begin(server, ask('beta'));
    await queued(server, 1);
    await call.write(STREAM_HEAD + chunk(chatEvent('a')) + chunk(chatEvent('b')));
    await viewer.next((event) => isTick(event) && event.tokens_generated === 55);
    const [first, second] = (await list('?last=1')).running;
    assert.deepEqual([first.status, first.completion_tokens, first.estimated, first.client], ['running', 2, true, '127.0.0.1']);
    assert.ok(first.ttft_ms > 0);
    assert.deepEqual([second.status, second.model, second.completion_tokens], ['queued', 'beta', undefined]);
    assert.deepEqual([first, second].map(({ id }) => id), [54, 55]);

    call.socket.end(LAST_CHUNK);
    finish(await engine.next());
    await Promise.all([runs.rest(), waits.rest()]);
    await viewer.next(isRequest);
    await viewer.next(isRequest);
    assert.deepEqual((await list()).running, []);

    for (const wrong of ['51', '-1', 'x', '1.5', '']) {
        assert.equal((await request(server, `/requests?last=${wrong}`)).status, 400, wrong);
    }
    assert.equal((await request(server, '/requests', { method: 'HEAD' })).text, '');
    assert.equal((await request(server, '/requests', { method: 'POST' })).status, 405);
});

/* ---- aidash doctor ------------------------------------------------------------------ */

const list = (owner, ...ids) => JSON.stringify({ object: 'list', data: ids.map((id) => ({ id, object: 'model', owned_by: owner })) });

async function holdPort() {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { port: server.address().port, close: () => new Promise((done) => { server.close(done); }) };
}

test('GET /status names the engines, and which of them answer', async (t) => {
    const engine = await replay(t, { models: ['alpha'] });
    const away = `http://127.0.0.1:${await freePort()}/${'p'.repeat(100)}`;
    const server = await start(['--upstream', `"main"=${engine.url}`, '--upstream', away]);
    t.after(() => server.stop());
    const { upstreams } = await statusWhen(server, (now) => now.upstreams.every(({ engine: state }) => state));
    assert.deepEqual(upstreams, [{ url: engine.url, name: '"main"', engine: 'up' }, { url: away, engine: 'down' }]);
    assert.equal((await status(await serve(t, []))).upstreams, undefined);
});

test('doctor: finds the engine, and what it says to type next works', async (t) => {
    const engine = await replay(t, { lists: { '/v1/models': list('llamacpp', 'alpha', 'beta') } });
    const listen = `127.0.0.1:${await freePort()}`;
    const { code, stdout } = await run(['doctor', '--upstream', engine.url, '--listen', listen]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, new RegExp(`^  llama-server at ${engine.url}: alpha and 1 more$`, 'm'));
    assert.match(stdout, new RegExp(`^  ${listen} is free$`, 'm'));
    const [, next] = stdout.match(/^next\n {2}aidash (.*)$/m);
    const server = await start([], { listen: next.split(' ') });
    t.after(() => server.stop());
    await statusWhen(server, (now) => now.models.length === 2 && now.engine === 'up');
});

test('doctor: offers all engines it finds, and one that answers anything with 200 is not aidash', async (t) => {
    const urls = [];
    for (const [owner, model] of [['organization_owner', 'phi'], ['library', 'qwen3:4b']]) {
        const engine = http.createServer((req, res) => {
            res.end(req.url === '/v1/models' ? list(owner, model) : `{"error":"Unexpected endpoint or method. (GET ${req.url})"}`);
        }).listen(0, '127.0.0.1');
        await once(engine, 'listening');
        t.after(() => engine.close());
        urls.push(`http://127.0.0.1:${engine.address().port}`);
    }
    const { code, stdout } = await run(['doctor', '--upstream', urls.join()]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, new RegExp(`^  LM Studio at ${urls[0]}: phi$`, 'm'));
    assert.match(stdout, new RegExp(`^  aidash --listen \\S+ --upstream ${urls[0]} --upstream ${urls[1]}$`, 'm'));
    assert.match(stdout, /clients: OLLAMA_HOST=http:\S+ and http:\S+\/v1$/m);
});

test('doctor: aidash itself is told by its answer', async (t) => {
    const server = await start(['--source', 'none']);
    t.after(() => server.stop());
    const { stdout } = await run(['doctor', '--upstream', server.url]);
    assert.match(stdout, new RegExp(`^  aidash itself at ${server.url}: it is already running$`, 'm'));
    assert.match(stdout, new RegExp(`^next\\n {2}aidash is already running: open http://localhost:${server.port};`, 'm'));
    assert.match(stdout, new RegExp(`^ {2}aidash --listen ${server.port}$`, 'm'), 'no other port beside it');
});

/* An address of this machine that is not the loopback's. */
const own = Object.values(os.networkInterfaces()).flat().find(({ internal, family }) => !internal && family === 'IPv4')?.address;

test('doctor: says which engine and which port only this machine can reach', { skip: !own && 'there is no network' }, async (t) => {
    const engines = [];
    for (const host of ['127.0.0.1', '0.0.0.0']) {
        const engine = http.createServer((req, res) => res.end(req.url === '/v1/models' ? list('library', 'qwen3:4b') : '{}')).listen(0, host);
        await once(engine, 'listening');
        t.after(() => engine.close());
        engines.push(engine.address().port);
    }
    const { stdout } = await run(['doctor', '--upstream', engines.map((port) => `http://127.0.0.1:${port}`).join(), '--listen', '0']);
    assert.match(stdout, new RegExp(`^ {2}port ${engines[0]} is on the loopback only: other machines can use it through aidash alone$`, 'm'));
    assert.match(stdout, new RegExp(`^ {2}other machines can use port ${engines[1]} directly, past aidash: it listens on ${own}, too$`, 'm'));
    assert.match(stdout, new RegExp(`^ {2}other machines reach port \\d+ at ${own}, if no firewall keeps them out$`, 'm'));
    assert.match(stdout, /^access\n {2}open to the LAN: watching and inference\. Control and ingest need a key\. No TLS\.\n {2}aidash pair lets/m);
    const closed = (await run(['doctor', '--listen', '127.0.0.1:0', '--allow-origin', '*'])).stdout;
    assert.match(closed, /^ {2}port \d+ is for this machine only/m);
    assert.match(closed, /^access\n {2}reachable from this machine only\. No TLS\.\n {2}web pages of any origin may do what the viewer may/m);
});

test('doctor: where aidash runs on all interfaces, it says where to open it', { skip: !own && 'there is no network' }, async (t) => {
    const server = await start(['--source', 'none'], { listen: ['--listen', '0'] });
    t.after(() => server.stop());
    const { stdout } = await run(['doctor', '--upstream', `http://127.0.0.1:${server.port}`]);
    assert.match(stdout, new RegExp(`^ {2}aidash listens on ${server.port}\\n {2}other machines reach port ${server.port} at ${own},`, 'm'));
    assert.match(stdout, new RegExp(`^ {2}aidash is already running: open http://${own}:${server.port};`, 'm'));
    assert.match(stdout, /^service\n {2}(aidash\.service|systemd) /m);
});

test('doctor: an engine by its list, one that is not ready or wants a key, and what is none', async (t) => {
    let answer;
    const web = http.createServer((req, res) => {
        const [code, body] = req.url === '/v1/models' ? answer : [404, '{}'];
        res.writeHead(code).end(body);
    }).listen(0, '127.0.0.1');
    await once(web, 'listening');
    t.after(() => web.close());
    const url = `http://127.0.0.1:${web.address().port}`;
    for (const [code, body, said, wanted] of [
        [200, list('library', 'qwen3:4b'), `Ollama at ${url}: qwen3:4b`, 'OLLAMA_HOST='],
        [200, list('vllm', 'm'), `vLLM at ${url}: m`],
        [200, list('somebody', 'm', 'n', 'o'), `an engine at ${url}: m and 2 more`],
        [200, list('o'.repeat(100), 'm'), `an engine at ${url}: m`],
        [200, list('x'), `an engine at ${url}: no model`],
        [401, '{"error":{}}', `an engine at ${url}: it needs another key (--upstream-key-file)`],
        [503, '{"error":{"message":"Loading model"}}', `an engine at ${url}: it is not ready yet`],
        [200, '<!doctype html>', `none at ${url}`],
        [200, '{"data":[', `none at ${url}`],
        [404, '{}', `none at ${url}`],
    ]) {
        answer = [code, body];
        const { stdout } = await run(['doctor', '--upstream', url]);
        assert.ok(stdout.includes(`\n  ${said}\n`), `${said}: ${stdout}`);
        if (wanted) {
            assert.ok(stdout.includes(wanted), stdout);
        }
    }
    const held = await holdPort();
    t.after(() => held.close());
    const { stdout } = await run(['doctor', '--listen', `127.0.0.1:${held.port}`]);
    assert.match(stdout, new RegExp(`^  127.0.0.1:${held.port} is taken: Address (already )?in use by \\S+ \\(process ${process.pid}\\)$`, 'm'));
    assert.match(stdout, /^  809\d is free$/m);
    assert.equal((await run(['doctor', '--upstream', 'https://'])).code, 2);
    assert.equal((await run(['doctor', '--frobnicate'])).code, 2);
});

test('options that can\'t be are refused', async () => {
    for (const args of [['--upstream', 'https://a:0'], ['--upstream', 'ftp://a'], ['--upstream', 'http://'],
        ['--upstream', 'http://a:99999'], ['--upstream', '=http://127.0.0.1:1'], ['--scrape', '127.0.0.1:1'],
        ['--upstream', 'http://127.0.0.1:1', '--source', 'sim'], ['--upstream', 'http://127.0.0.1:1', '--max-inflight', '0'],
        ['--upstream', 'http://127.0.0.1:1', '--max-inflight', '100000'], ['--upstream-timeout', '-1']]) {
        const { code, stderr } = await run(['--listen', '127.0.0.1:0', ...args]);
        assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
    }
});

test.run();
