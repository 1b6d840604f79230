/* What clients have used, GET /usage, and quotas: by real clients, and by hostile
 * ones. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import net from 'node:net';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { assertRefused, connect, exchange, post, request, run, serve, statusWhen, validate } from './aidash.mjs';
import { DONE_EVENT, LAST_CHUNK, STREAM_HEAD, abreast, answer, chatEvent, chunk, isRequest, replay, takeApart } from './engine.mjs';

const test = abreast('usage');
const CHAT = '/v1/chat/completions';
const COUNTS = ['requests', 'errors', 'refused', 'prompt_tokens', 'cached_tokens', 'completion_tokens', 'estimated_tokens'];

/* The time zone where it is 12 now: no midnight comes during a test. */
const HOUR = Math.floor(Date.now() / 3_600_000);
const NOON = `AAA${HOUR % 24 - 12}`;
const secondsLeft = () => (HOUR + 12) * 3600 - Date.now() / 1000;

const usage = async (server, query = '') => {
    const got = await request(server, `/usage${query}`);
    assert.equal(got.status, 200, got.text);
    assert.equal(got.headers['content-type'], 'application/json');
    assert.equal(got.headers['cache-control'], 'no-store');
    return validate(got.json, 'UsageAnswer');
};
const numbers = (row) => Object.fromEntries(COUNTS.map((name) => [name, row[name]]));
const sum = (rows) => Object.fromEntries(COUNTS.map((name) => [name, rows.reduce((n, row) => n + row[name], 0)]));
const fingerprint = (key) => createHash('sha256').update(key).digest('hex').slice(0, 8);

/* An engine whose answers cost `tokens.prompt` and `tokens.completion`; a model named
 * "silent" tells no counts. */
async function stage(t, args = [], tokens = { prompt: 10, completion: 5, cached: 4 }) {
    const engine = await replay(t);
    const served = [];
    engine.answerAll((call) => {
        const asked = JSON.parse(call.request.body.toString() || '{}');
        const told = { prompt_tokens: tokens.prompt + served.length, completion_tokens: tokens.completion + served.length,
            total_tokens: tokens.prompt + tokens.completion + 2 * served.length,
            prompt_tokens_details: { cached_tokens: tokens.cached } };
        served.push({ ...told, model: asked.model });
        if (asked.stream) {
            call.socket.end(STREAM_HEAD + chunk(chatEvent('a', { model: asked.model })) + chunk(chatEvent('b', { model: asked.model }))
                + (asked.model === 'silent' ? '' : chunk(`data: ${JSON.stringify({ object: 'chat.completion.chunk',
                    model: asked.model, choices: [], usage: told })}\n\n`)) + chunk(DONE_EVENT) + LAST_CHUNK);
        } else {
            call.socket.end(answer(JSON.stringify({ object: 'chat.completion', model: asked.model, id: 'x', created: 1,
                choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'a' } }], usage: told })));
        }
    });
    return { engine, served, server: await serve(t, ['--upstream', engine.url, ...args], { env: { TZ: NOON } }) };
}

const openai = (server, apiKey, headers = {}) => new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0,
    defaultHeaders: headers });
const say = (model, more = {}) => ({ model, messages: [{ role: 'user', content: 'x' }], ...more });

test('a model that Ollama lists with its tag is one model, asked for with the tag or without', async (t) => {
    const engine = await replay(t, { models: ['llama3:latest', 'qwen:7b'] });
    engine.answerAll((call) => call.socket.end(answer(JSON.stringify({ model: JSON.parse(call.request.body).model, done: true,
        message: { role: 'assistant', content: 'a' }, prompt_eval_count: 3, eval_count: 2 }))));
    const server = await serve(t, ['--upstream', engine.url], { env: { TZ: NOON } });
    await statusWhen(server, (now) => now.models.length === 2);
    const viewer = await connect(server);
    for (const model of ['llama3', 'llama3:latest', 'qwen:7b', 'qwen']) {
        assert.equal((await post(server, '/api/chat', JSON.stringify({ ...say(model), stream: false }))).json.model, model);
        await viewer.next(isRequest);
    }
    const rows = (await usage(server, '?by=model')).rows.map((row) => [row.model, row.requests, row.completion_tokens]);
    assert.deepEqual(rows.sort(), [['llama3:latest', 2, 4], ['qwen', 1, 2], ['qwen:7b', 1, 2]]);
});

test('two clients of npm openai: the sums are exactly what the engine told', async (t) => {
    const { server, served } = await stage(t);
    const one = openai(server, 'sk-one');
    const two = openai(server, 'sk-two', { 'User-Agent': 'my-app/2.0 (x)' });
    for (let i = 0; i < 4; i++) {
        await one.chat.completions.create(say('alpha'));
        for await (const _ of await two.chat.completions.create(say(i % 2 ? 'alpha' : 'beta', { stream: true }))); // eslint-disable-line
    }
    const told = (match) => ({ requests: served.filter(match).length, errors: 0, refused: 0,
        prompt_tokens: served.filter(match).reduce((n, u) => n + u.prompt_tokens, 0),
        cached_tokens: 4 * served.filter(match).length,
        completion_tokens: served.filter(match).reduce((n, u) => n + u.completion_tokens, 0), estimated_tokens: 0 });
    for (const span of ['today', '24h', 'all']) {
        const got = await usage(server, `?span=${span}`);
        assert.equal(got.span, span);
        assert.ok(got.since <= got.time && got.time - got.since < 600, 'since the start');
        assert.deepEqual(numbers(got.total), told(() => true));
        assert.deepEqual(sum([...got.rows, got.others]), numbers(got.total));
        assert.deepEqual(got.rows.map((r) => [r.client, r.key, r.agent, r.model]), [
            ['127.0.0.1', fingerprint('sk-one'), 'OpenAI', 'alpha'],
            ['127.0.0.1', fingerprint('sk-two'), 'my-app', 'beta'],
            ['127.0.0.1', fingerprint('sk-two'), 'my-app', 'alpha']]);
        assert.deepEqual(numbers(got.rows[1]), told((u) => u.model === 'beta'));
    }
    for (const [by, members, lengths] of [['model', ['model'], 2], ['key', ['key'], 2], ['agent', ['agent'], 2], ['address', ['client'], 1],
        ['client', ['client', 'key', 'agent'], 2], ['row', ['client', 'key', 'agent', 'model'], 3]]) {
        const got = await usage(server, `?by=${by}`);
        assert.equal(got.by, by);
        assert.equal(got.rows.length, lengths);
        assert.deepEqual(sum([...got.rows, got.others]), told(() => true));
        assert.deepEqual(Object.keys(got.rows[0]), [...members, ...COUNTS, 'seconds']);
    }
    assert.deepEqual(numbers((await usage(server, '?by=model')).rows.find((r) => r.model === 'beta')), told((u) => u.model === 'beta'));
    assert.doesNotMatch(server.stderr(), /sk-one|sk-two/);
});

test('estimates, errors and refusals are told apart; a GET is not counted', async (t) => {
    const { server, engine } = await stage(t);
    const client = openai(server, 'k');
    const viewer = await connect(server);
    for await (const _ of await client.chat.completions.create(say('silent', { stream: true }))); // eslint-disable-line
    await request(server, '/v1/models');
    let got = await usage(server);
    assert.deepEqual(numbers(got.total), { requests: 1, errors: 0, refused: 0, prompt_tokens: 0, cached_tokens: 0,
        completion_tokens: 0, estimated_tokens: 2 });
    assert.equal((await viewer.next(isRequest)).estimated, true);
    await engine.down();
    await assert.rejects(client.chat.completions.create(say('silent')), { status: 502 });
    got = await usage(server);
    assert.equal(got.total.errors, 1);
    assert.equal(got.total.requests, 2);
    assert.equal(got.total.refused, 0);
});

test('CSV: by format and by Accept; what begins like a formula is text', async (t) => {
    const { server } = await stage(t);
    for (const [agent, model] of [['=cmd()', '=1+1'], ['+x/1', '@SUM(A1)'], ['-y', 'a,"b"'], ['@z', '-2'], ['plain', 'm\'n']]) {
        const got = await request(server, CHAT, { method: 'POST', body: JSON.stringify(say(model)),
            headers: { 'User-Agent': agent, Authorization: 'Bearer k' } });
        assert.equal(got.status, 200);
    }
    const csv = await request(server, '/usage?format=csv');
    assert.equal(csv.headers['content-type'], 'text/csv; charset=utf-8; header=present');
    assert.match(csv.headers.vary, /Accept/);
    const [header, ...lines] = csv.text.trimEnd().split('\r\n');
    assert.equal(header, `kind,client,key,agent,model,${COUNTS},seconds`);
    assert.equal(lines.length, 5);
    for (const line of lines) {
        for (const field of line.match(/"(?:[^"]|"")*"|[^,]+/g)) {
            assert.doesNotMatch(field, /^"?[=+\-@]/, `${field} would be a formula`);
        }
    }
    assert.match(csv.text, /,"'\+x","'@SUM\(A1\)",1,/);
    assert.match(csv.text, /,"'-y","a,""b""",1,/);
    assert.equal((await request(server, '/usage', { headers: { Accept: 'text/csv' } })).text.split('\r\n')[0], header);
    assert.equal((await request(server, '/usage?format=json', { headers: { Accept: 'text/csv' } })).headers['content-type'], 'application/json');
    assert.equal((await request(server, '/usage', { headers: { Accept: '*/*' } })).headers['content-type'], 'application/json');
});

test('the route has the rules of the others', async (t) => {
    const { server } = await stage(t);
    for (const query of ['?by=x', '?span=week', '?format=xml', '?by=']) {
        assertRefused(await request(server, `/usage${query}`), 400);
    }
    assertRefused(await request(server, '/usage', { method: 'POST', body: '{}', headers: { 'Content-Length': 2 } }), 405);
    assertRefused(await request(server, '/usage', { headers: { Host: 'evil.example' } }), 421);
    assertRefused(await request(server, '/usage', { headers: { Origin: 'http://evil.example' } }), 403);
    const head = await request(server, '/usage', { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.text, '');
    assert.equal((await request(server, '/usage', { method: 'OPTIONS' })).headers.allow, 'GET, HEAD, OPTIONS');
    assert.equal((await request(await serve(t, ['--source', 'none']), '/usage')).status, 200, 'without an engine it is empty');
});

test('more clients than rows: those that use little are the others, and the sums stay exact', async (t) => {
    const { server, served } = await stage(t);
    const big = openai(server, 'big');
    await Promise.all(Array.from({ length: 20 }, () => big.chat.completions.create(say('alpha'))));
    const { rows_max: most } = await usage(server);
    const ask = (agent) => exchange(server, `POST ${CHAT} HTTP/1.1\r\nHost: ${server.host}\r\nUser-Agent: ${agent}\r\nConnection: close\r\n`
        + `Content-Length: ${JSON.stringify(say('m')).length}\r\n\r\n${JSON.stringify(say('m'))}`);
    for (let i = 0; i < most + 40; i += 20) {
        await Promise.all(Array.from({ length: 20 }, (_, k) => ask(`agent-${i + k}-${'x'.repeat(100)}`)));
    }
    const got = await usage(server);
    assert.equal(got.rows.length, most);
    assert.equal(got.total.requests, served.length);
    assert.equal(got.total.prompt_tokens, served.reduce((n, u) => n + u.prompt_tokens, 0));
    assert.deepEqual(sum([...got.rows, got.others]), numbers(got.total));
    assert.ok(got.others.requests > 0);
    assert.equal(got.rows.find((r) => r.key === fingerprint('big')).requests, 20);
    assert.ok(got.rows.every((r) => r.agent.length <= 32));
    /* A client that reads slowly gets it all, too. */
    const slow = net.connect({ host: server.host, port: server.port, highWaterMark: 1000 });
    slow.write(`GET /usage HTTP/1.1\r\nHost: ${server.host}\r\n\r\n`);
    let text = '';
    for await (const part of slow) {
        text += part;
        await new Promise((go) => { setTimeout(go, 2); });
    }
    assert.equal(validate(JSON.parse(text.split('\r\n\r\n')[1]), 'UsageAnswer').rows.length, most);
});

/* ---- quotas ------------------------------------------------------------------------ */

test('a quota at its edge: the request that reaches it passes, the next gets 429 until midnight', async (t) => {
    const { server, served } = await stage(t, ['--quota', '*=30'], { prompt: 9, completion: 5, cached: 0 }); // 14, 16, 18
    const viewer = await connect(server);
    const client = openai(server, 'sk-q');
    await client.chat.completions.create(say('alpha'));
    await client.chat.completions.create(say('alpha')); // 30 in all
    const error = await client.chat.completions.create(say('alpha')).then(() => null, (e) => e);
    assert.equal(error.status, 429);
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.equal(error.type, 'rate_limit_error');
    assert.match(error.message, /the quota of this address is used up: 30 tokens a day, until midnight/);
    const wait = Number(error.headers.get('retry-after'));
    assert.ok(Math.abs(wait - secondsLeft()) < 30, `Retry-After ${wait}, ${secondsLeft()} s are left`);
    assert.equal(served.length, 2, 'the engine did not see it');
    const record = await viewer.next((e) => isRequest(e) && e.status === 'refused');
    assert.equal(record.model, 'alpha');
    const got = await usage(server);
    assert.equal(got.total.refused, 1);
    assert.equal(got.total.requests, 3);
    assert.equal(got.total.prompt_tokens + got.total.completion_tokens, 30);
    /* Not what costs nothing, and logged once a minute. */
    assert.equal((await request(server, '/v1/models')).status, 200);
    await assert.rejects(client.chat.completions.create(say('alpha')), { status: 429 });
    await server.logged(/refused a request of 127\.0\.0\.1, key [0-9a-f]{8}, OpenAI: the quota of this address is used up/);
    assert.equal(server.stderr().match(/quota/g).length, 1);
});

test('a request that waits in the queue is refused when those before it used up the quota', async (t) => {
    const { server, served } = await stage(t, ['--quota', '*=20', '--max-inflight', '1'], { prompt: 9, completion: 5, cached: 0 });
    const client = openai(server, 'sk-q');
    const ends = await Promise.allSettled(Array.from({ length: 8 }, () => client.chat.completions.create(say('alpha'))));
    assert.equal(served.length, 2, '14, then 30');
    assert.deepEqual(ends.map(({ reason }) => reason?.status ?? 200).sort(), [200, 200, ...Array(6).fill(429)]);
    const { total } = await usage(server);
    assert.deepEqual([total.requests, total.refused], [8, 6]);
});

test('429 in the shape of each API', async (t) => {
    const { server } = await stage(t, ['--quota', '127.0.0.0/8=0/day']);
    const openaiShape = await post(server, CHAT, '{"model":"m"}');
    assert.equal(openaiShape.status, 429);
    assert.deepEqual(Object.keys(openaiShape.json.error), ['message', 'type', 'param', 'code']);
    const anthropic = await post(server, '/v1/messages', '{"model":"m"}');
    assert.equal(anthropic.status, 429);
    assert.equal(anthropic.json.type, 'error');
    assert.deepEqual(Object.keys(anthropic.json), ['type', 'error']);
    assert.deepEqual(Object.keys(anthropic.json.error).sort(), ['message', 'type']);
    assert.equal(anthropic.json.error.type, 'rate_limit_error');
    assert.ok(Number(anthropic.headers['retry-after']) > 0);
    await assert.rejects(new Ollama({ host: server.url }).chat({ model: 'm', messages: [] }),
        { status_code: 429, error: /quota of this address/ });
});

test('quotas of a key and of a program; a closer address goes before *', async (t) => {
    const { server } = await stage(t, ['--quota', `*=0,127.0.0.1=1000000,key:${fingerprint('small')}=1`, '--quota', 'agent:greedy=1']);
    const big = openai(server, 'big');
    const small = openai(server, 'small');
    const greedy = openai(server, 'big', { 'User-Agent': 'greedy/1' });
    for (const client of [big, small, greedy, big]) {
        await client.chat.completions.create(say('m'));
    }
    await assert.rejects(small.chat.completions.create(say('m')), /the quota of this key is used up: 1 tokens a day/);
    await assert.rejects(greedy.chat.completions.create(say('m')), /the quota of this program is used up/);
    await big.chat.completions.create(say('m'));
    const other = await request(server, CHAT, { method: 'POST', body: '{"model":"m"}', headers: { 'Content-Length': 13 }, localAddress: '127.0.0.2' });
    assert.equal(other.status, 429);
});

test('behind a proxy that is trusted the client is the one that it names', async (t) => {
    const { server } = await stage(t, ['--trust-proxy', '127.0.0.1', '--quota', '203.0.113.9=0']);
    const ask = (fields, localAddress) => request(server, CHAT, { method: 'POST', body: '{"model":"m"}', localAddress,
        headers: { 'Content-Length': 13, ...fields } });
    assert.equal((await ask({ 'X-Forwarded-For': '198.51.100.1, 203.0.113.9' })).status, 429);
    assert.equal((await ask({ 'X-Forwarded-For': '203.0.113.9, 198.51.100.1' })).status, 200);
    assert.equal((await ask({ 'X-Forwarded-For': '203.0.113.9' }, '127.0.0.2')).status, 200, 'nobody else is believed');
    const got = await usage(server, '?by=address');
    assert.deepEqual(got.rows.map((r) => r.client).sort(), ['127.0.0.2', '198.51.100.1', '203.0.113.9']);
});

test('a quota that is none is an error; AIDASH_QUOTA and the file know it', async (t) => {
    for (const value of ['10.0.0.1', '10.0.0.1=x', 'board=5', 'key:=5', '*=5/hour']) {
        const { code, stderr } = await run(['--upstream', 'http://127.0.0.1:9', '--quota', value]);
        assert.equal(code, 2);
        assert.match(stderr, /--quota: '.*' is not ADDR, ADDR\/BITS, \*, key:NAME, key:FINGERPRINT or agent:NAME with =TOKENS; there may be 16/);
    }
    const { code } = await run(['--upstream', 'http://127.0.0.1:9', '--quota', Array(17).fill('*=5').join()]);
    assert.equal(code, 2);
    const engine = await replay(t);
    const server = await serve(t, ['--upstream', engine.url], { env: { AIDASH_QUOTA: '*=0' } });
    assert.equal((await post(server, CHAT, '{"model":"m"}')).status, 429);
});

test('bodies in pieces: a client over its quota is answered, however it sends', async (t) => {
    const { server } = await stage(t, ['--quota', '*=0']);
    const answers = await Promise.all([
        `Content-Length: 30000\r\n\r\n${'x'.repeat(20000)}`,
        `Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
        'Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}',
    ].map((rest) => exchange(server, `POST ${CHAT} HTTP/1.1\r\nHost: ${server.host}\r\n${rest}`)));
    for (const got of answers) {
        assert.match(takeApart(Buffer.from(got, 'latin1')).lines[0], /^HTTP\/1\.1 429 /);
    }
});

test.run();
