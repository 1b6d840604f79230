/* The real llama-server behind aidash: what clients get is what it answers, and
 * what is shown is what it counted. */
import assert from 'node:assert/strict';
import { after, test as nodeTest } from 'node:test';
import OpenAI from 'openai';
import { Raw, SLOW, assertGrownAtMost, connect, exchange, isStatus, isTick, poll, request, residentKb, start, status, statusWhen, within }
    from './aidash.mjs';
import { LAST_CHUNK, chunk, dechunk, get, isProgress, isRequest, isStart, llama, metered, missing, post, router, takeApart, tap, ticksOf }
    from './engine.mjs';

const skip = missing() || false;
const test = (name, fn) => nodeTest(name, { skip }, fn);
const engines = skip ? {} : Object.fromEntries(await Promise.all(['tiny-a', 'tiny-b', 'tiny-tools']
    .map(async (alias) => [alias, await llama(alias)])));
after(() => Promise.all(Object.values(engines).map((engine) => engine.stop())));

const CHAT = '/v1/chat/completions';
const say = (text, more = {}) => ({ temperature: 0, seed: 1, max_tokens: 20, model: 'tiny-a',
    messages: [{ role: 'user', content: text }], ...more });
const openai = (server) => new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });

async function stage(t, alias = 'tiny-a') {
    const engine = engines[alias];
    await poll(async () => await engine.busy() === 0, 'idle engine');
    const server = await metered(t, engine);
    return { engine, server, viewer: await connect(server) };
}

/* What differs from one answer to the same question to the next. */
const steady = (text) => text.replaceAll(/chatcmpl-\w+|resp_\w+|msg_\w+|fc_\w+|rs_\w+|call_\w+/g, 'ID')
    .replaceAll(/"(id|id_slot|created|created_at|completed_at|cached_tokens|cache_read_input_tokens|input_tokens|tokens_cached)":(\d+|"\w{32}")/g, '"$1":0')
    .replaceAll(/"time_ms":[\d.]+/g, '"time_ms":0')
    .replaceAll(/"timings":\{[^}]*\}/g, '"timings":{}');

const sorted = (lines) => lines.filter((line) => !/^(content-length|transfer-encoding):/i.test(line));

/* ---- bytes ------------------------------------------------------------------------ */

test('answers are those of the engine asked directly; through aidash they are the same bytes', async (t) => {
    const { port } = engines['tiny-a'];
    const between = await tap(t, port);
    const server = await metered(t, between.url, ['--allow-origin', 'http://elsewhere.test']);
    const stream = { stream: true };
    const bodies = [
        [CHAT, say('say river stone', stream)],
        [CHAT, say('say river stone', { ...stream, stream_options: { include_usage: true } })],
        [CHAT, say('say river stone', { ...stream, n: 2, max_tokens: 6 })],
        [CHAT, say('say river stone', { ...stream, timings_per_token: true, return_progress: true })],
        [CHAT, say('say river stone', { ...stream, logprobs: true, top_logprobs: 50, max_tokens: 5 })],
        [CHAT, say('say river stone')],
        ['/v1/completions', { prompt: 'river', max_tokens: 8, temperature: 0, ...stream }],
        ['/v1/completions', { prompt: 'river', max_tokens: 8, temperature: 0 }],
        ['/completion', { prompt: 'river', n_predict: 8, temperature: 0, ...stream }],
        ['/completion', { prompt: 'river', n_predict: 8, temperature: 0 }],
        ['/v1/messages', { max_tokens: 8, temperature: 0, messages: [{ role: 'user', content: 'river' }], ...stream }],
        ['/v1/responses', { max_output_tokens: 8, temperature: 0, input: 'river', ...stream }],
        ['/tokenize', { content: 'the river and the stone' }],
        ['/detokenize', { tokens: [1, 2, 3] }],
        ['/apply-template', { messages: [{ role: 'user', content: 'river' }] }],
        ['/v1/embeddings', { input: 'x' }], // 501
        [CHAT, { messages: 'wrong' }], // 400
        ['/nothing/there', { a: 1 }], // 404
    ].map(([where, body]) => [`POST ${where}`, post(where, JSON.stringify(body))]);
    const requests = [...bodies,
        ['no JSON', post(CHAT, 'no json')],
        ['chunked', Buffer.from(`POST ${CHAT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${
            JSON.stringify(say('chunks', stream)).match(/.{1,7}/g).map(chunk).join('')}${LAST_CHUNK}`)],
        ['Expect', post(CHAT, JSON.stringify(say('expect', stream)), 'Expect: 100-continue\r\n')],
        ['HTTP/1.0', Buffer.from(post(CHAT, JSON.stringify(say('old', stream))).toString().replace('HTTP/1.1', 'HTTP/1.0'))],
        ...['/v1/models', '/v1/models?x=%20y&z', '/props', '/slots', '/health', '/unknown', '/lora-adapters'].map((where) => [where, get(where)]),
        ['HEAD', get('/health').replace('GET', 'HEAD')],
        ['HEAD of nothing', get('/unknown').replace('GET', 'HEAD')],
        ['OPTIONS', get(CHAT, 'Origin: http://elsewhere.test\r\nAccess-Control-Request-Method: POST\r\n').replace('GET', 'OPTIONS')],
        ['DELETE', get('/v1/models').replace('GET', 'DELETE')],
    ];
    for (const [name, bytes] of requests) {
        const ask = async (to) => takeApart(Buffer.from(await exchange(to, Buffer.from(bytes.toString('latin1')
            .replace('Host: a\r\n', 'Host: a\r\nConnection: close\r\n'), 'latin1')), 'latin1'));
        await ask({ host: '127.0.0.1', port }); // what it learns from the first, it has for both others
        const direct = await ask({ host: '127.0.0.1', port });
        const proxied = await ask(server);
        const line = bytes.toString('latin1').split(' HTTP/')[0];
        const raw = between.find(line);

        const sent = takeApart(raw.got);
        assert.equal(proxied.interim, sent.interim, name);
        // HTTP/1.0 has no chunks.
        assert.deepEqual(proxied.lines, name === 'HTTP/1.0' ? sent.lines.filter((l) => !/^transfer-encoding:/i.test(l)) : sent.lines,
            `${name}: the head`);
        assert.ok(name === 'HTTP/1.0' ? proxied.body.equals(sent.data) : proxied.body.equals(sent.body), `${name}: the body's bytes`);
        assert.ok(takeApart(raw.sent).data.equals(takeApart(bytes).data), `${name}: the request's body`);

        assert.deepEqual(sorted(proxied.lines), sorted(direct.lines), `${name}: the head, asked directly`);
        if (!['/props', '/slots'].includes(name)) {
            const whole = ({ lines, body }) => steady((lines.some((l) => /^transfer-encoding: chunked/i.test(l))
                ? dechunk(body).data : body).toString());
            assert.equal(whole(proxied), whole(direct), `${name}: the body, asked directly`);
        }
    }
});

test('a request of 5 MB passes without being kept', async (t) => {
    const { server, viewer } = await stage(t);
    const body = JSON.stringify(say('x', { pad: 'y'.repeat(5_000_000) }));
    const before = residentKb(server);
    const answer = await request(server, CHAT, { method: 'POST', body, headers: { 'Content-Length': body.length } });
    assert.equal(answer.json.usage.completion_tokens, 20, answer.text);
    assertGrownAtMost(server, before, SLOW > 1 ? 3500 : 1000); // qemu keeps what it translates
    assert.equal((await viewer.next(isRequest)).completion_tokens, 20);
});

/* ---- npm openai --------------------------------------------------------------------- */

async function streamed(client, body) {
    const out = { text: '', chunks: [], usage: null, finish: null };
    for await (const part of await client.chat.completions.create({ ...body, stream: true })) {
        out.chunks.push(part);
        out.text += part.choices[0]?.delta.content ?? '';
        out.usage = part.usage ?? out.usage;
        out.finish = part.choices[0]?.finish_reason ?? out.finish;
    }
    return out;
}

for (const usage of [true, false]) {
    test(`openai streamed, ${usage ? 'with' : 'without'} usage: the same answer, the engine's totals`, async (t) => {
        const { engine, server, viewer } = await stage(t);
        const body = say('tell of the river', { max_tokens: 60, ...(usage ? { stream_options: { include_usage: true } } : {}) });
        const direct = await streamed(openai(engine), body);
        const counted = await engine.counter('tokens_predicted_total');
        const got = await streamed(openai(server), body);
        assert.equal(got.text, direct.text);
        assert.ok(got.text.length > 100);
        assert.deepEqual([got.finish, got.chunks.length], ['length', direct.chunks.length]);
        const begun = await viewer.next(isStart);
        assert.deepEqual([begun.route, begun.model, begun.status], [CHAT, 'tiny-a', 'running']);
        const record = await viewer.next(isRequest);
        assert.equal(record.id, begun.id);
        assert.deepEqual([record.status, record.model, record.completion_tokens, record.finish_reason, record.estimated],
            ['finished', 'tiny-a', 60, 'length', undefined]);
        if (usage) {
            assert.deepEqual([record.completion_tokens, record.prompt_tokens, record.cached_tokens],
                [got.usage.completion_tokens, got.usage.prompt_tokens, got.usage.prompt_tokens_details.cached_tokens]);
        }
        assert.ok(record.prompt_tokens > 10 && record.cached_tokens <= record.prompt_tokens);
        assert.ok(record.ttft_ms > 0 && record.ttft_ms < record.duration_ms && record.queue_ms <= record.ttft_ms, JSON.stringify(record));
        /* What a busy machine reads at once has no times between its tokens. */
        const spread = [record.itl_p50_ms, record.itl_p95_ms, record.itl_max_ms].filter((ms) => ms !== undefined);
        assert.deepEqual(spread, spread.toSorted((a, b) => a - b), JSON.stringify(record));
        const { timings } = got.chunks.findLast((part) => part.timings);
        assert.ok(Math.abs(record.decode_tokens_per_second - timings.predicted_per_second) < 0.01 * timings.predicted_per_second);

        assert.deepEqual([record.counts, record.dialect, record.operation, record.http_status, record.ended_by, record.error],
            ['exact', 'openai', 'chat', 200, undefined, undefined]);
        assert.ok(Math.abs(record.prefill_ms - timings.prompt_ms) < 0.01 && Math.abs(record.decode_ms - timings.predicted_ms) < 0.01);
        const running = viewer.events.filter(isProgress);
        assert.deepEqual([running[0].id, running[0].ttft_ms], [record.id, record.ttft_ms]);

        const ticks = ticksOf(viewer.events);
        assert.equal(ticks.length, 61);
        assert.ok(ticks.every((tick) => tick.request === record.id));
        /* A busy machine reads several at once. */
        assert.ok(ticks.every((tick, i) => Boolean(tick.first) === i < running[0].completion_tokens), JSON.stringify(ticks));
        assert.ok(ticks.slice(0, -1).every((tick, i) => tick.estimated && tick.tokens_generated === i + 1));
        assert.deepEqual([ticks.at(-1).estimated, ticks.at(-1).tokens_generated], [undefined, 60]);
        assert.equal(await engine.counter('tokens_predicted_total') - counted, 60);
        // Start, ticks, record, in this order.
        assert.ok(viewer.events.indexOf(begun) < viewer.events.indexOf(ticks[0])
            && viewer.events.indexOf(ticks.at(-1)) < viewer.events.indexOf(record));
    });
}

test('openai, not streamed: one step of all tokens', async (t) => {
    const { engine, server, viewer } = await stage(t);
    const body = say('tell of the stone', { max_tokens: 30 });
    const direct = await openai(engine).chat.completions.create(body);
    const got = await openai(server).chat.completions.create(body);
    assert.deepEqual(got.choices, direct.choices);
    const record = await viewer.next(isRequest);
    assert.deepEqual([record.completion_tokens, record.prompt_tokens, record.finish_reason, record.ttft_ms],
        [30, got.usage.prompt_tokens, 'length', undefined]);
    const ticks = ticksOf(viewer.events);
    assert.deepEqual(ticks.map((tick) => [tick.tokens_generated, tick.estimated, tick.first]), [[30, undefined, true]]);
});

test('openai, aborted: the engine\'s slot is free', async (t) => {
    const { engine, server, viewer } = await stage(t);
    const stream = await openai(server).chat.completions.create(say('on and on', { max_tokens: 7000, stream: true }));
    let n = 0;
    for await (const part of stream) {
        if (part.choices[0]?.delta.content && ++n === 10) {
            assert.equal(await engine.busy(), 1);
            stream.controller.abort();
            break;
        }
    }
    await poll(async () => await engine.busy() === 0, 'free slot');
    const record = await viewer.next(isRequest);
    assert.equal(record.status, 'left');
    assert.ok(record.completion_tokens >= 10 && record.completion_tokens < 7000 && record.estimated, JSON.stringify(record));
    assert.equal(ticksOf(viewer.events).at(-1).tokens_generated, record.completion_tokens);
});

test('openai, tool calls: their deltas are tokens', async (t) => {
    const { engine, server, viewer } = await stage(t, 'tiny-tools');
    const body = say('fan on', { model: 'tiny-tools', max_tokens: 60, stream_options: { include_usage: true }, tools: [{ type: 'function',
        function: { name: 'set_fan', description: 'fan', parameters: { type: 'object', properties: { on: { type: 'boolean' },
            mode: { type: 'string' } }, required: ['on'] } } }] });
    const direct = await streamed(openai(engine), body);
    const got = await streamed(openai(server), body);
    const call = (answer) => answer.chunks.flatMap((part) => part.choices[0]?.delta.tool_calls ?? [])
        .map((part) => part.function.arguments ?? '').join('');
    assert.equal(got.finish, 'tool_calls');
    assert.ok(call(got).includes('"on"'));
    assert.equal(call(got), call(direct));
    const record = await viewer.next(isRequest);
    assert.deepEqual([record.completion_tokens, record.finish_reason, record.estimated],
        [got.usage.completion_tokens, 'tool_calls', undefined]);
    assert.ok(ticksOf(viewer.events).length >= 5);
    assert.equal(ticksOf(viewer.events).at(-1).tokens_generated, got.usage.completion_tokens);
});

test('openai, 8 at once: each its own answer, all of them the engine\'s total', async (t) => {
    const { engine, server, viewer } = await stage(t);
    const bodies = Array.from({ length: 8 }, (_, i) => say(`story ${i}`, { max_tokens: 100 + i }));
    const direct = await Promise.all(bodies.map((body) => streamed(openai(engine), body)));
    const counted = await engine.counter('tokens_predicted_total');
    const got = await Promise.all(bodies.map((body) => streamed(openai(server), body)));
    got.forEach((answer, i) => assert.equal(answer.text, direct[i].text, `answer ${i}`));
    const records = [];
    while (records.length < 8) {
        records.push(await viewer.next(isRequest));
    }
    assert.deepEqual(records.map((r) => r.completion_tokens).sort(), [100, 101, 102, 103, 104, 105, 106, 107]);
    assert.ok(records.every((r) => r.status === 'finished' && !r.estimated));
    assert.equal(new Set(records.map((r) => r.id)).size, 8);
    const total = await engine.counter('tokens_predicted_total') - counted;
    const ticks = ticksOf(viewer.events, 'tiny-a');
    assert.equal(total, 828);
    assert.equal(ticks.at(-1).tokens_generated, total);
    assert.equal(ticks.at(-1).estimated, undefined);
    assert.ok(ticks.some((tick) => tick.estimated));
    const now = await statusWhen(server, (s) => s.requests.running === 0);
    assert.equal(now.counters.requests, 8);
});

test('several tokens an event, several choices, stop strings: the last tick has the engine\'s count', async (t) => {
    const { engine, server, viewer } = await stage(t, 'tiny-b');
    const counted = await engine.counter('tokens_predicted_total');
    let sum = 0;
    for (const more of [{ max_tokens: 80 }, { n: 2, max_tokens: 40 }, { temperature: 1, seed: 7, max_tokens: 200 },
        { n: 3, max_tokens: 20, stream_options: { include_usage: true } }, { max_tokens: 1 }]) {
        const got = await streamed(openai(server), say('write', { model: 'tiny-b', ...more }));
        const record = await viewer.next(isRequest);
        const mark = `${JSON.stringify(more)} ${JSON.stringify(record)}`;
        sum += record.completion_tokens;
        assert.equal(await engine.counter('tokens_predicted_total') - counted, sum, mark);
        assert.equal(ticksOf(viewer.events).at(-1).tokens_generated, sum, mark);
        assert.equal(record.estimated, undefined, mark);
        assert.ok(got.chunks.length > 0);
    }
    const ticks = ticksOf(viewer.events);
    assert.ok(ticks.length < sum, 'fewer events than tokens');
});

test('reasoning: hidden marks count, the first thought is the first token', async (t) => {
    const engine = await llama('tiny-a', ['--chat-template-file', `${process.cwd()}/tests/engine/template-think-tools.jinja`]);
    t.after(() => engine.stop());
    const server = await metered(t, engine);
    const viewer = await connect(server);
    const got = await streamed(openai(server), say('think', { max_tokens: 30, stream_options: { include_usage: true } }));
    assert.ok(got.chunks.some((part) => part.choices[0]?.delta.reasoning_content), 'it thinks');
    const record = await viewer.next(isRequest);
    assert.deepEqual([record.completion_tokens, got.usage.completion_tokens], [30, 30]);
    assert.equal(ticksOf(viewer.events).at(-1).tokens_generated, 30);
});

test('prompt progress and pings are no tokens', async (t) => {
    const { server, viewer } = await stage(t);
    const got = await streamed(openai(server), say('long '.repeat(2500), { max_tokens: 5, return_progress: true }));
    const progress = got.chunks.filter((part) => part.prompt_progress);
    assert.ok(progress.length > 1, 'it tells its progress');
    const record = await viewer.next(isRequest);
    assert.equal(record.completion_tokens, 5, JSON.stringify(record));
    assert.ok(record.prompt_tokens > 2000);
    const { timings } = got.chunks.findLast((part) => part.timings);
    assert.ok(record.ttft_ms > timings.prompt_ms * 0.9, `ttft ${record.ttft_ms}, the prompt took ${timings.prompt_ms}`);
    assert.ok(Math.abs(record.prefill_tokens_per_second - timings.prompt_per_second) < 0.01 * timings.prompt_per_second);
    assert.equal(ticksOf(viewer.events).length, 6);
    const told = viewer.events.filter((e) => isProgress(e) && e.prompt_processed !== undefined);
    assert.ok(told.length > 0 && told.every((e) => e.id === record.id && e.prompt_tokens === record.prompt_tokens
        && e.prompt_processed <= e.prompt_tokens), JSON.stringify(told));
    assert.ok(told.every((e, i) => i === 0 || e.prompt_processed >= told[i - 1].prompt_processed));
});

test('native /completion: no model is asked for, the engine\'s own is shown', async (t) => {
    const { server, viewer } = await stage(t);
    await statusWhen(server, (now) => now.models.join() === 'tiny-a');
    const answer = await request(server, '/completion', { method: 'POST', body: JSON.stringify({ prompt: 'river', n_predict: 12,
        temperature: 0, stream: true }) });
    assert.match(answer.text, /"stop":true/);
    const record = await viewer.next(isRequest);
    assert.deepEqual([record.model, record.completion_tokens, record.finish_reason], ['tiny-a', 12, 'limit']);
    const ticks = ticksOf(viewer.events);
    assert.deepEqual([...new Set(ticks.map((tick) => tick.model))], ['tiny-a']);
    assert.equal(ticks.at(-1).tokens_generated, 12);
    assert.ok(!(await status(server)).models.includes('default'));
});

/* ---- the others ------------------------------------------------------------------------ */

test('--scrape: its counters become ticks', async (t) => {
    const engine = engines['tiny-a'];
    const server = await start(['--scrape', `${engine.url}/metrics`]);
    t.after(() => server.stop());
    const viewer = await connect(server);
    await statusWhen(server, (now) => now.engine === 'up'); // it has had its first look
    const counted = await engine.counter('tokens_predicted_total');
    await openai(engine).chat.completions.create(say('scraped', { max_tokens: 50 }));
    const tick = await viewer.tick();
    assert.deepEqual([tick.tokens_generated, await engine.counter('tokens_predicted_total') - counted], [50, 50]);
    assert.ok(tick.latency_ms > 0 && tick.latency_ms < 1000);
});

test('the context of a slot, how full it is, and which of prompt and answer was cut', async (t) => {
    const { server, viewer } = await stage(t);
    const facts = (now) => now.model_facts.find((model) => model.model === 'tiny-a');
    await poll(async () => facts(await status(server))?.context_length === 8192, 'context of a slot');
    const record = async (where, body) => {
        const from = viewer.events.length;
        await exchange(server, post(where, JSON.stringify(body)));
        return poll(() => viewer.events.slice(from).find(isRequest), 'record');
    };
    const chat = await record(CHAT, say('river stone', { stream: true }));
    assert.deepEqual([chat.context_tokens, chat.context_length, chat.prompt_cut],
        [chat.prompt_tokens + chat.completion_tokens, 8192, undefined]);
    // It goes to the end of the context: "truncated" is said of the answer.
    const full = await record('/completion', { prompt: 'river '.repeat(8000), n_predict: 400, temperature: 0 });
    assert.deepEqual([full.context_tokens, full.context_length, full.prompt_cut], [8192, 8192, undefined]);
    // A prompt that is too long is refused, and so is not cut.
    const long = await record('/completion', { prompt: 'river '.repeat(9000), n_predict: 4 });
    assert.deepEqual([long.status, long.context_tokens, long.prompt_cut], ['refused', undefined, undefined]);
    // Its cache: the same conversation again, and one whose beginning is another.
    const asked = (first) => record('/completion', { prompt: `${first} ${'river '.repeat(600)}`, n_predict: 4, id_slot: 0, cache_prompt: true });
    await asked('stone');
    assert.ok((await asked('stone')).cached_tokens > 500);
    const broke = await asked('house');
    assert.ok(broke.cached_tokens < 60, String(broke.cached_tokens));
    assert.equal(broke.cache_broke, true);
    assert.ok(facts(await status(server)).cached_tokens > 500);
});

test('router mode: the model that a viewer chose is loaded and answers', async (t) => {
    const engine = await router();
    t.after(() => engine.stop());
    await openai(engine).chat.completions.create(say('load', { max_tokens: 2 }));
    const server = await metered(t, engine);
    const viewer = await connect(server);
    const now = await statusWhen(server, (s) => s.models.length > 0);
    assert.deepEqual([now.models, now.loaded], [['tiny-a', 'tiny-b'], ['tiny-a']]);
    const ask = () => streamed(openai(server), say('say', { max_tokens: 10, stream_options: { include_usage: true } }));
    assert.equal((await ask()).chunks[0].model, 'tiny-a');
    assert.equal((await viewer.next(isRequest)).model, 'tiny-a');

    assert.equal((await viewer.command({ action: 'switch_model', model: 'tiny-b' })).event, 'ack');
    await viewer.next((e) => isStatus(e) && e.override && e.model === 'tiny-b');
    const got = await ask();
    assert.equal(got.chunks[0].model, 'tiny-b');
    const record = await viewer.next(isRequest);
    assert.deepEqual([record.model, record.completion_tokens], ['tiny-b', got.usage.completion_tokens]);
    const last = ticksOf(viewer.events, 'tiny-b').at(-1);
    assert.deepEqual([last.estimated, last.tokens_generated], [undefined, got.usage.completion_tokens]);

    await viewer.command({ action: 'switch_model', model: '' });
    assert.equal((await ask()).chunks[0].model, 'tiny-a');
    assert.equal((await viewer.next(isRequest)).model, 'tiny-a');
});

test('drafts and embeddings: the record has what the engine tells', async (t) => {
    const draws = await llama('tiny-a', ['--model-draft', 'tiny-a.gguf', '--spec-type', 'draft-simple']);
    const embeds = await llama('tiny-a', ['--embeddings', '--pooling', 'mean']);
    t.after(() => Promise.all([draws.stop(), embeds.stop()]));
    for (const [engine, check] of [
        [draws, async (server, viewer) => {
            const { chunks } = await streamed(openai(server), say('draw', { max_tokens: 40 }));
            const record = await viewer.next(isRequest);
            const { timings } = chunks.findLast((part) => part.timings);
            assert.ok(timings.draft_n > 0, JSON.stringify(timings));
            assert.deepEqual([record.draft_tokens, record.draft_accepted_tokens, record.completion_tokens],
                [timings.draft_n, timings.draft_n_accepted, 40]);
        }],
        [embeds, async (server, viewer) => {
            const got = await openai(server).embeddings.create({ model: 'tiny-a', input: 'the river and the stone', encoding_format: 'float' });
            const record = await viewer.next(isRequest);
            assert.ok(got.usage.prompt_tokens > 3 && got.data[0].embedding.length > 10);
            assert.deepEqual([record.operation, record.prompt_tokens, record.counts, record.completion_tokens, record.status, record.model],
                ['embeddings', got.usage.prompt_tokens, 'exact', undefined, 'finished', 'tiny-a']);
        }],
    ]) {
        const server = await metered(t, engine);
        await check(server, await connect(server));
    }
});

test('an engine that is killed in mid-stream', async (t) => {
    const engine = await llama('tiny-a');
    t.after(() => engine.stop());
    const server = await metered(t, engine);
    const viewer = await connect(server);
    const client = await Raw.connect(server);
    client.write(post(CHAT, JSON.stringify(say('go on', { max_tokens: 8000, stream: true }))));
    await viewer.tick((tick) => tick.tokens_generated >= 20);
    await engine.kill();
    const { body } = takeApart(Buffer.from(await client.rest(), 'latin1'));
    assert.equal(dechunk(body).complete, false);
    const record = await viewer.next(isRequest);
    await viewer.next((e) => isStatus(e) && e.engine === 'down');
    assert.equal(record.status, 'cut');
    assert.ok(record.completion_tokens >= 20 && record.estimated);
    await assert.rejects(openai(server).chat.completions.create(say('x')), (error) => error.status === 502 && /engine/.test(error.message));
});
