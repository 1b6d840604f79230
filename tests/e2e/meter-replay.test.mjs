/* True answers of engines, replayed through aidash whole, byte by byte and at
 * random splits: the client gets the same bytes, and the counts are as the
 * engine's own. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Ollama } from 'ollama';
import { SLOW, connect, exchange, isTick, sleep } from './aidash.mjs';
import { DONE_EVENT, LAST_CHUNK, STREAM_HEAD, TRANSCRIPTS, chatEvent, chunk, isProgress, isRequest, isStart, metered, post, replay,
    takeApart } from './engine.mjs';

const transcript = (name) => readFileSync(path.join(TRANSCRIPTS, `${name}.response`));
const [header, ...rows] = readFileSync(path.join(TRANSCRIPTS, 'expected.tsv'), 'utf8').trimEnd().split('\n')
    .map((line) => line.split('\t'));
const expected = rows.map((row) => Object.fromEntries(header.map((name, i) => [name, row[i]])));

const routes = { completions: '/v1/completions', native: '/completion', responses: '/v1/responses',
    messages: '/v1/messages' };
const routeOf = (name) => routes[name.split('-')[0]] ?? '/v1/chat/completions';

/* Marsaglia's xorshift: the same splits every time. */
function splitter(seed) {
    let x = seed;
    return (limit) => {
        x ^= x << 13;
        x ^= x >>> 17;
        x ^= x << 5;
        return 1 + (x >>> 0) % limit;
    };
}

const ways = {
    whole: () => (bytes) => bytes.length,
    'byte by byte': () => () => 1,
    'at random splits': () => {
        const next = splitter(20261124);
        return () => next(next(300));
    },
};

async function dribble(call, bytes, size) {
    for (let at = 0; at < bytes.length;) {
        const n = size(bytes);
        await call.write(bytes.subarray(at, at + n));
        await new Promise(setImmediate);
        at += n;
    }
}

/* Send an answer through aidash; returns what the client got and what was told. */
async function pass({ engine, server, viewer }, name, bytes, size, end = true) {
    const answered = exchange(server, post(routeOf(name), '{"model":"asked-for","stream":true}'));
    const call = await engine.next();
    const from = viewer.events.length;
    await dribble(call, bytes, size);
    if (end) {
        call.socket.end();
    }
    const got = await answered;
    const record = await viewer.next(isRequest);
    const events = viewer.events.slice(from);
    return { got: Buffer.from(got, 'latin1'), record, ticks: events.filter(isTick), progress: events.filter(isProgress) };
}

async function stage(t, options) {
    const engine = await replay(t, options);
    const server = await metered(t, engine);
    return { engine, server, viewer: await connect(server) };
}

for (const [way, sizes] of Object.entries(ways)) {
    test(`transcripts ${way}: the same bytes, and the engine's own counts`, async (t) => {
        const set = await stage(t);
        const totals = new Map();
        for (const want of expected) {
            const bytes = transcript(want.name);
            if (way === 'byte by byte' && bytes.length > (SLOW > 1 ? 4000 : 12000)) {
                continue;
            }
            const { got, record, ticks, progress } = await pass(set, want.name, bytes, sizes());
            const sent = takeApart(bytes);
            const passed = takeApart(got);
            const what = `${want.name}: ${JSON.stringify(record)}`;
            assert.deepEqual(passed.lines, sent.lines, want.name);
            assert.ok(passed.body.equals(sent.body), `${want.name}: the body's bytes`);
            assert.equal(passed.interim, sent.interim, want.name);

            assert.equal(record.route, routeOf(want.name));
            assert.ok(progress.every((e) => e.id === record.id && (e.prompt_processed === undefined ? e.completion_tokens > 0
                : /progress/.test(want.name) && e.prompt_tokens === 3020 && e.prompt_processed <= 3020)), JSON.stringify(progress));
            assert.equal(record.status, want.end === 'cut' ? 'cut' : 'finished', what);
            const tokens = Number(want.tokens === '-' ? want.token_events : want.tokens);
            assert.equal(record.completion_tokens ?? 0, tokens, what);
            assert.equal(Boolean(record.estimated), want.tokens === '-' && tokens > 0, what);
            assert.equal(String(record.prompt_tokens ?? '-'), want.prompt, what);
            assert.equal(String(record.cached_tokens ?? '-'), want.cached, what);
            assert.equal(record.counts, tokens === 0 && want.prompt === '-' ? 'none' : want.tokens === '-' && tokens > 0 ? 'estimated' : 'exact', what);
            assert.equal(record.ended_by, want.end === 'cut' ? 'engine' : undefined, what);
            assert.equal(record.draft_tokens > 0, /speculative/.test(want.name), what);
            assert.ok(ticks.every((tick) => tick.request === record.id), what);
            if (want.finish !== '-') {
                assert.equal(record.finish_reason, want.finish.split(',').at(-1), what);
            }
            if (tokens === 0) {
                assert.deepEqual(ticks, [], what);
                continue;
            }
            assert.ok(record.ttft_ms >= 0 && record.duration_ms >= record.ttft_ms, what);
            const model = ticks[0].model;
            assert.ok(ticks.every((tick) => tick.model === model), 'one model from the first tick to the last');
            assert.equal(record.model, model, what);
            const before = totals.get(model) ?? 0;
            assert.equal(ticks.at(-1).tokens_generated, before + tokens, `${what}: the last tick`);
            assert.equal(ticks.at(-1).estimated, undefined, `${what}: nothing will replace the last count`);
            assert.equal(ticks.length, Number(want.token_events) + 1, `${what}: a tick an event, and the engine's count`);
            assert.ok(ticks.slice(0, -1).every((tick) => tick.estimated), `${what}: estimates until then`);
            totals.set(model, before + tokens);
        }
    });
}

for (const [name, route, count] of [
    ['chat-plain', '/v1/chat/completions', (j) => [j.usage.completion_tokens, j.usage.prompt_tokens, j.choices[0].finish_reason]],
    ['chat-plain-tool-call', '/v1/chat/completions', (j) => [j.usage.completion_tokens, j.usage.prompt_tokens, 'tool_calls']],
    ['completions-plain', '/v1/completions', (j) => [j.usage.completion_tokens, j.usage.prompt_tokens, j.choices[0].finish_reason]],
    ['native-plain', '/completion', (j) => [j.tokens_predicted, j.tokens_evaluated, j.stop_type]],
]) {
    test(`${name}: a whole answer is counted by its own figures, as one step`, async (t) => {
        const set = await stage(t);
        const bytes = transcript(name);
        const [tokens, prompt, finish] = count(JSON.parse(takeApart(bytes).body));
        for (const sizes of Object.values(ways)) {
            const answered = exchange(set.server, post(route, '{}'));
            const call = await set.engine.next();
            await dribble(call, bytes, sizes());
            assert.ok(takeApart(Buffer.from(await answered, 'latin1')).body.equals(takeApart(bytes).body));
            const record = await set.viewer.next(isRequest);
            assert.deepEqual([record.completion_tokens, record.prompt_tokens, record.finish_reason, record.status],
                [tokens, prompt, finish, 'finished']);
            assert.equal(record.ttft_ms, undefined, 'a whole answer tells no time to the first token');
            assert.equal(record.estimated, undefined);
        }
        const ticks = set.viewer.events.filter(isTick);
        assert.deepEqual(ticks.map((tick) => tick.tokens_generated), [tokens, 2 * tokens, 3 * tokens]);
        assert.ok(ticks.every((tick) => tick.estimated === undefined && tick.latency_ms > 0));
    });
}

test('errors are refusals, without tokens', async (t) => {
    const set = await stage(t);
    for (const [name, status] of [['error-bad-json', 'refused'], ['embeddings-off', 'failed']]) {
        const { got, record, ticks } = await pass(set, name, transcript(name), (b) => b.length);
        assert.ok(takeApart(got).body.equals(takeApart(transcript(name)).body));
        assert.equal(record.status, status);
        assert.equal(record.completion_tokens ?? 0, 0);
        assert.deepEqual(ticks, []);
    }
});

/* One stream of events made here. */
const stream = (...events) => Buffer.from(STREAM_HEAD + events.map(chunk).join('') + LAST_CHUNK);

test('a start is told before the first tick, and the times are in order', async (t) => {
    const { engine, server, viewer } = await stage(t);
    const began = Date.now();
    const answered = exchange(server, post('/v1/chat/completions', '{"model":"replayed","messages":[]}'));
    const call = await engine.next();
    const begun = await viewer.next(isStart);
    assert.deepEqual([begun.status, begun.route, begun.client, begun.model],
        ['running', '/v1/chat/completions', '127.0.0.1', 'replayed']);
    assert.ok(begun.timestamp >= began / 1000 - 0.01 && begun.timestamp <= Date.now() / 1000 + 0.01);
    // Neither headers nor a role event nor a comment is the first token.
    await call.write(STREAM_HEAD + chunk(': ping\n\n')
        + chunk('data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'));
    await sleep(150);
    // A gap begins when the token before it was seen: so the server never measures less than it.
    const gaps = [30, 60, 30, 30];
    const first = Date.now();
    await call.write(chunk(chatEvent('one')));
    await viewer.tick();
    const seen = Date.now();
    for (const gap of gaps) {
        await sleep(gap);
        await call.write(chunk(chatEvent('more')));
        await viewer.tick();
    }
    const took = Date.now() - first;
    await call.write(chunk(chatEvent('', { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }))
        + chunk(`data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 40, completion_tokens: 5,
            prompt_tokens_details: { cached_tokens: 30 } } })}\n\n`) + chunk(DONE_EVENT) + LAST_CHUNK);
    await answered;
    const record = await viewer.next(isRequest);
    assert.equal(record.id, begun.id);
    assert.equal(record.timestamp, begun.timestamp);
    assert.ok(record.ttft_ms >= 149 && record.ttft_ms <= seen - began + 2, `ttft ${record.ttft_ms}`);
    assert.ok(record.itl_p50_ms >= 25 && record.itl_p50_ms <= record.itl_p95_ms
        && record.itl_p95_ms <= record.itl_max_ms && record.itl_max_ms >= 55, JSON.stringify(record));
    const least = gaps.reduce((sum, gap) => sum + gap, 0) - gaps.length; // a timer may be up to 1 ms early
    assert.ok(record.decode_tokens_per_second > 3990 / (took + 1)
        && record.decode_tokens_per_second < 4010 / least, JSON.stringify({ record, took }));
    assert.deepEqual([record.prompt_tokens, record.cached_tokens, record.completion_tokens, record.finish_reason],
        [40, 30, 5, 'stop']);
    const ticks = viewer.events.filter(isTick);
    assert.ok(ticks[0].latency_ms >= 149, 'the first tick waits for all of the prompt');
    assert.ok(ticks[2].latency_ms >= 55 && ticks[2].latency_ms <= took + 2, JSON.stringify(ticks));
});

test('an event of 200 kB, and lines with CRLF, LF and without a space', async (t) => {
    const set = await stage(t);
    const logprobs = { choices: [{ index: 0, delta: { content: 'x' }, logprobs: { content: [{ top_logprobs:
        Array.from({ length: 4000 }, (_, i) => ({ token: `"content":"${i}"`, logprob: -i })) }] } }] };
    const big = stream(chatEvent('', logprobs), chatEvent('', logprobs), 'data:{"choices":[{"delta":{"content":"a"}}]}\r\n\r\n',
        'event: message\nid: 7\ndata: {"choices":[{"delta":\ndata: {"content":"b"}}]}\n\n', DONE_EVENT);
    for (const sizes of [ways.whole, ways['at random splits']]) {
        const { got, record } = await pass(set, 'chat', big, sizes());
        assert.ok(takeApart(got).body.equals(takeApart(big).body));
        assert.deepEqual([record.completion_tokens, record.estimated, record.status], [4, true, 'finished']);
    }
});

test('broken JSON passes, and the count says that it is incomplete', async (t) => {
    const set = await stage(t);
    const broken = stream(chatEvent('a'), 'data: {"choices":[{"delta":{"content":"b"]}\n\n', chatEvent('c'), DONE_EVENT);
    const { got, record } = await pass(set, 'chat', broken, (b) => b.length);
    assert.ok(takeApart(got).body.equals(takeApart(broken).body));
    assert.deepEqual([record.completion_tokens, record.estimated], [2, true]);
});

test('an error event in mid-stream is a failed request', async (t) => {
    const set = await stage(t);
    const bytes = stream(chatEvent('a'), 'data: {"error":{"message":"out of memory","code":500}}\n\n', DONE_EVENT);
    const { record } = await pass(set, 'chat', bytes, (b) => b.length);
    assert.deepEqual([record.status, record.completion_tokens], ['failed', 1]);
});

/* ---- Ollama ------------------------------------------------------------------- */

const ndjson = (...lines) => `HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n${
    lines.map((line) => chunk(`${JSON.stringify(line)}\n`)).join('')}${LAST_CHUNK}`;
const line = (more) => ({ model: 'qwen3:4b', created_at: '2026-11-24T10:00:00.0Z', done: false, ...more });
const counts = { done: true, done_reason: 'stop', total_duration: 900_000_000, load_duration: 20_000_000,
    prompt_eval_count: 26, prompt_eval_duration: 130_000_000, eval_count: 7, eval_duration: 350_000_000 };

/* npm ollama through aidash: `lines` are what the engine sends. */
async function ollama(t, lines, ask) {
    const set = await stage(t, { models: ['qwen3:4b'] });
    const client = new Ollama({ host: set.server.url });
    const parts = [];
    /* Read from the start: node's fetch cancels a body that nobody reads when its
     * Response is collected as garbage. */
    const read = ask(client).then(async (stream) => {
        for await (const part of stream) {
            parts.push(part);
        }
    });
    const call = await set.engine.next();
    await dribble(call, Buffer.from(ndjson(...lines)), ways['at random splits']());
    call.socket.end();
    await read;
    const record = await set.viewer.next(isRequest);
    return { parts, record, ticks: set.viewer.events.filter(isTick), call };
}

test('npm ollama chat: thinking, text and tool calls are tokens, eval_count is the total', async (t) => {
    const lines = [line({ message: { role: 'assistant', content: '' } }),
        line({ message: { role: 'assistant', content: '', thinking: 'Let' } }),
        line({ message: { role: 'assistant', content: 'Hel' } }), line({ message: { role: 'assistant', content: 'lo \u{1F60A}' } }),
        line({ message: { role: 'assistant', content: '', tool_calls: [{ function: { name: 'f', arguments: {} } }] } }),
        line({ message: { role: 'assistant', content: '' }, ...counts })];
    const { parts, record, ticks, call } = await ollama(t, lines, (client) => client.chat({ model: 'qwen3:4b',
        stream: true, messages: [{ role: 'user', content: 'hi' }] }));
    assert.deepEqual(parts, lines);
    assert.equal(call.request.target, '/api/chat');
    assert.equal(ticks.length, 5);
    assert.deepEqual(ticks.map((tick) => [tick.tokens_generated, Boolean(tick.estimated)]),
        [[1, true], [2, true], [3, true], [4, true], [7, false]]);
    assert.ok(ticks.every((tick) => tick.model === 'qwen3:4b'));
    assert.deepEqual([record.model, record.route, record.status, record.completion_tokens, record.prompt_tokens,
        record.finish_reason, record.estimated], ['qwen3:4b', '/api/chat', 'finished', 7, 26, 'stop', undefined]);
    assert.equal(record.prefill_tokens_per_second, 200);
    assert.ok(Math.abs(record.decode_tokens_per_second - 20) < 0.01 || record.decode_tokens_per_second < 20,
        `${record.decode_tokens_per_second}`);
    assert.ok(record.queue_ms >= 0 && record.queue_ms <= record.ttft_ms, 'load and prefill are not waiting');
});

test('npm ollama generate: the context array of the last line is no trouble', async (t) => {
    const lines = [line({ response: 'a' }), line({ response: 'b' }), line({ thinking: 'c', response: '' }),
        line({ response: '', ...counts, context: Array.from({ length: 30_000 }, (_, i) => i) })];
    const { parts, record, ticks } = await ollama(t, lines, (client) => client.generate({ model: 'qwen3:4b', stream: true,
        prompt: 'x' }));
    assert.equal(parts.length, 4);
    assert.deepEqual(ticks.map((tick) => tick.tokens_generated), [1, 2, 3, 7]);
    assert.deepEqual([record.completion_tokens, record.prompt_tokens, record.estimated], [7, 26, undefined]);
});

test('npm ollama pull: its status lines are no tokens', async (t) => {
    const lines = [{ status: 'pulling manifest' }, { status: 'pulling', digest: 'sha256:0', total: 10, completed: 10 },
        { status: 'success' }];
    const { parts, record, ticks } = await ollama(t, lines, (client) => client.pull({ model: 'qwen3:4b', stream: true }));
    assert.deepEqual(parts, lines);
    assert.deepEqual(ticks, []);
    assert.deepEqual([record.status, record.completion_tokens ?? 0], ['finished', 0]);
});

test('Ollama without a stream, an error line, and a stream without its end', async (t) => {
    const set = await stage(t, { models: ['qwen3:4b'] });
    const send = async (bytes) => {
        const answered = exchange(set.server, post('/api/chat', '{"model":"qwen3:4b"}'));
        const call = await set.engine.next();
        await call.write(bytes);
        call.socket.end();
        await answered;
        return set.viewer.next(isRequest);
    };
    const whole = JSON.stringify(line({ message: { role: 'assistant', content: 'all' }, ...counts }));
    const plain = await send(`HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${
        whole.length}\r\n\r\n${whole}`);
    assert.deepEqual([plain.completion_tokens, plain.prompt_tokens, plain.finish_reason], [7, 26, 'stop']);
    const failed = await send(ndjson(line({ message: { content: 'a' } }), { error: 'model crashed' }));
    assert.deepEqual([failed.status, failed.completion_tokens, failed.estimated], ['failed', 1, true]);
    const cut = await send(ndjson(line({ message: { content: 'a' } })).slice(0, -LAST_CHUNK.length));
    assert.deepEqual([cut.status, cut.completion_tokens, cut.estimated], ['cut', 1, true]);
});
