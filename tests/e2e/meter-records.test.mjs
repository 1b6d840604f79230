/* What is told of each request through the meter: ticks that name it, how far it
 * is, its record. An engine of raw bytes answers; the client gets the same bytes. */
import assert from 'node:assert/strict';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { Raw, connect, exchange, isTick, poll, request, serve, sleep } from './aidash.mjs';
import { DONE_EVENT, LAST_CHUNK, STREAM_HEAD, abreast, answer, chatEvent, chunk, isProgress, isRequest, isStart, metered, post, replay,
    takeApart, ticksOf } from './engine.mjs';

const test = abreast('records');
const CHAT = '/v1/chat/completions';
const usage = (more) => `data: ${JSON.stringify({ model: 'replayed', choices: [], usage: more })}\n\n`;

async function stage(t, args = [], options = {}) {
    const engine = await replay(t, options);
    const server = await metered(t, engine, args);
    return { engine, server, viewer: await connect(server) };
}

/* Send bytes as the answer to a request: the client gets the same; returns what
 * was told. */
async function told({ engine, server, viewer }, bytes, { route = CHAT, body = '{"model":"replayed"}', extra = '', wait = 0, piece = 0 } = {}) {
    const answered = exchange(server, post(route, body, extra));
    const call = await engine.next();
    const from = viewer.events.length;
    await sleep(wait);
    const all = Buffer.from(bytes);
    const size = piece || all.length;
    for (let at = 0; at < all.length; at += size) {
        await call.write(all.subarray(at, at + size));
        await new Promise(setImmediate);
    }
    call.socket.end();
    const got = Buffer.from(await answered, 'latin1');
    const record = await viewer.next(isRequest);
    assert.ok(takeApart(got).body.equals(takeApart(Buffer.from(bytes)).body), 'the same bytes');
    return { call, record, ticks: viewer.events.slice(from).filter(isTick) };
}

const sse = (...events) => STREAM_HEAD + events.map(chunk).join('') + LAST_CHUNK;
const typed = (type, body, status = '200 OK') => answer(body, { type, status });

/* ---- ticks ------------------------------------------------------------------------ */

test('ticks name their request, and say which has no token before it', async (t) => {
    const { engine, server, viewer } = await stage(t);
    const calls = [];
    for (let i = 0; i < 2; i++) { // two on the same model
        const client = await Raw.connect(server);
        client.write(post(CHAT, '{"model":"replayed"}'));
        calls.push({ client, call: await engine.next(), id: (await viewer.next(isStart)).id });
        await calls[i].call.write(STREAM_HEAD);
    }
    const [one, two] = calls;
    await one.call.write(chunk(chatEvent('a') + chatEvent('b')));
    await viewer.tick();
    await viewer.tick();
    for (const { call } of [two, one, two]) {
        await call.write(chunk(chatEvent('c')));
        await viewer.tick(); // before the next connection has something
    }
    for (const { call, client } of calls) {
        await call.write(chunk(usage({ prompt_tokens: 4, completion_tokens: 4 })) + chunk(DONE_EVENT) + LAST_CHUNK);
        await client.rest();
        await viewer.next(isRequest);
    }
    const ticks = ticksOf(viewer.events);
    assert.deepEqual(ticks.map(({ request: id, first }) => [id === one.id ? 1 : 2, first]),
        [[1, true], [1, true], [2, true], [1, undefined], [2, undefined], [1, undefined], [2, undefined]]);
    for (const tick of ticks) { // the six fields stay where they are
        assert.deepEqual(Object.keys(tick).slice(0, 6),
            ['event', 'model', 'tokens_generated', 'latency_ms', 'tokens_per_second', 'timestamp']);
    }
    const kept = JSON.parse((await request(server, '/ticks?last=10')).text).ticks;
    assert.deepEqual(kept, ticks, 'also by polling');
});

test('an answer that came whole has a rate over its own time, and no time between tokens', async (t) => {
    const set = await stage(t);
    const whole = typed('application/json', JSON.stringify({ model: 'replayed', choices: [{ message: { content: 'x' }, finish_reason: 'stop' }],
        usage: { prompt_tokens: 7, completion_tokens: 100, total_tokens: 107 } }));
    const { record, ticks } = await told(set, whole, { wait: 2500 });
    assert.equal(ticks.length, 1);
    assert.equal(ticks[0].first, true);
    assert.ok(ticks[0].latency_ms >= 2490);
    assert.ok(Math.abs(ticks[0].tokens_per_second - 1e5 / ticks[0].latency_ms) < 1, JSON.stringify(ticks));
    assert.ok(Math.abs(record.tokens_per_second - 1e5 / ticks[0].latency_ms) < 1, JSON.stringify(record));
    for (const name of ['ttft_ms', 'itl_p50_ms', 'decode_tokens_per_second', 'decode_ms', 'prefill_ms', 'queue_ms', 'load_ms']) {
        assert.equal(record[name], undefined, name);
    }
    assert.deepEqual([record.counts, record.dialect, record.operation, record.http_status], ['exact', 'openai', 'chat', 200]);
});

/* ---- how far it is ------------------------------------------------------------------ */

test('each viewer sees a running request at its first token, and then once a second', async (t) => {
    const { engine, server, viewer } = await stage(t);
    const other = await connect(server);
    const client = await Raw.connect(server);
    client.write(post(CHAT, '{"model":"replayed"}'));
    const call = await engine.next();
    await call.write(STREAM_HEAD);
    await sleep(100);
    const began = Date.now();
    for (let n = 0; n < 26; n++) {
        await call.write(chunk(chatEvent(`${n}`)));
        await sleep(100);
    }
    const took = Date.now() - began;
    const [now] = JSON.parse((await request(server, '/requests')).text).running;
    const told = (each) => each.events.filter((e) => isProgress(e) && e.seq <= now.seq);
    await poll(() => [viewer, other].every((each) => told(each).at(-1)?.seq === now.seq), 'the newest event, for both');
    const running = told(viewer);
    assert.deepEqual(told(other), running);
    assert.ok(running.length >= 3 && running.length - 2 <= took / 1000, `${running.length} events in ${took} ms`);
    assert.deepEqual([running[0].completion_tokens, running[0].tokens_per_second, running[0].status], [1, undefined, 'running']);
    assert.ok(running.every((e, i) => e.ttft_ms === running[0].ttft_ms && e.ttft_ms >= 99 && (i === 0 || e.seq > running[i - 1].seq)));
    // A tenth of a second lay between two tokens, at least; a busy machine may read some of them at once.
    assert.ok(running.slice(1).every((e) => e.tokens_per_second > 0 && e.tokens_per_second < 26
        && e.completion_tokens > 1), JSON.stringify(running));
    assert.equal(now.ttft_ms, running[0].ttft_ms);
    await poll(async () => JSON.parse((await request(server, '/requests')).text).running[0].completion_tokens === 26, 'all tokens');
    const rate = (e) => e.tokens_per_second; // the engine says nothing: it falls
    await poll(() => viewer.events.some((e, i, all) => isProgress(e) && e.completion_tokens === 26
        && all.slice(0, i).some((before) => isProgress(before) && before.completion_tokens === 26 && rate(e) < rate(before))), 'a rate that falls');
    await call.write(chunk(DONE_EVENT) + LAST_CHUNK);
    await client.rest();
    await viewer.next(isRequest);
});

test('the time to the first token begins when a request arrived, and so does its wait', async (t) => {
    const { engine, server, viewer } = await stage(t, ['--max-inflight', '1']);
    const clients = [];
    for (let i = 0; i < 3; i++) {
        clients.push(await Raw.connect(server));
        clients[i].write(post(CHAT, '{"model":"replayed"}'));
        await viewer.next(isStart);
    }
    const records = [];
    for (let i = 0; i < 3; i++) {
        const call = await engine.next();
        await sleep(300);
        await call.write(sse(chatEvent('a'), DONE_EVENT));
        await clients[i].rest();
        records.push(await viewer.next(isRequest));
    }
    records.forEach((record, i) => {
        const least = 300 * (i + 1);
        assert.ok(record.ttft_ms >= least - 20, JSON.stringify(record));
        assert.ok(record.duration_ms >= record.ttft_ms);
        if (i === 0) {
            assert.equal(record.queue_ms, undefined, 'it did not wait, and what the engine did is not known');
        } else {
            assert.ok(record.queue_ms >= least - 320 && record.queue_ms <= record.ttft_ms - 280, JSON.stringify(record));
        }
    });
});

test('a wait in line is added to what the engine tells of its own', async (t) => {
    const { engine, server, viewer } = await stage(t, ['--max-inflight', '1']);
    const first = await Raw.connect(server);
    first.write(post(CHAT, '{}'));
    await viewer.next(isStart);
    const second = await Raw.connect(server);
    second.write(post(CHAT, '{}'));
    await viewer.next(isStart);
    const blocker = await engine.next();
    await sleep(400);
    await blocker.write(sse(chatEvent('a'), DONE_EVENT));
    await first.rest();
    const call = await engine.next();
    await call.write(sse(chatEvent('a'), `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 1 },
        metrics: { queue_time_ms: 5000, time_to_first_token_ms: 6000 } })}\n\n`, DONE_EVENT));
    await second.rest();
    await viewer.next(isRequest);
    const record = await viewer.next(isRequest);
    assert.ok(record.queue_ms >= 5390 && record.queue_ms <= 5000 + record.duration_ms, JSON.stringify(record));
});

/* ---- how it went ---------------------------------------------------------------------- */

const named = (name, more) => `event: ${name}\ndata: ${JSON.stringify({ type: name, ...more })}\n\n`;

for (const [name, bytes, want, route] of [
    ['all that llama-server tells', sse(chatEvent('', { choices: [{ delta: { reasoning_content: 'hm' } }] }), chatEvent('b'),
        chatEvent('', { choices: [{ delta: {}, finish_reason: 'stop' }], timings: { cache_n: 30, prompt_n: 10, prompt_ms: 20, predicted_n: 3,
            predicted_ms: 60, predicted_per_second: 50, draft_n: 8, draft_n_accepted: 6 } }), DONE_EVENT),
    { status: 'finished', prompt_tokens: 40, cached_tokens: 30, completion_tokens: 3, counts: 'exact', draft_tokens: 8, draft_accepted_tokens: 6,
        prefill_ms: 20, prefill_tokens_per_second: 500, decode_ms: 60, decode_tokens_per_second: 50, thinking_share: 0.5,
        reasoning_tokens: undefined, load_ms: undefined }],
    ['thinking that is counted', sse(chatEvent('a'), usage({ prompt_tokens: 5, completion_tokens: 10, completion_tokens_details: {
        reasoning_tokens: 4 } }), DONE_EVENT), { reasoning_tokens: 4, thinking_share: 0.4, think_ms: undefined, completion_tokens: 10 }],
    ['what is written to a cache', sse(named('message_start', { message: { model: 'replayed', usage: { input_tokens: 5,
        cache_creation_input_tokens: 70, cache_read_input_tokens: 25, output_tokens: 1 } } }),
    named('content_block_delta', { delta: { type: 'thinking_delta', thinking: 'a' } }), named('content_block_delta', { delta: {
        type: 'text_delta', text: 'b' } }), named('message_delta', { delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 2 } }),
    named('message_stop', {})), { prompt_tokens: 100, cached_tokens: 25, cache_write_tokens: 70, dialect: 'anthropic', thinking_share: 0.5,
        operation: 'chat', counts: 'exact', finish_reason: 'end_turn' }, '/v1/messages'],
    ['all that Ollama tells', typed('application/x-ndjson', ['{"model":"replayed","message":{"content":"a"},"done":false}',
        '{"model":"replayed","message":{"content":""},"done":true,"done_reason":"stop","total_duration":900000000,"load_duration":300000000,'
        + '"prompt_eval_count":26,"prompt_eval_duration":130000000,"eval_count":7,"eval_duration":350000000}', ''].join('\n')),
    { dialect: 'ollama', load_ms: 300, prefill_ms: 130, decode_ms: 350, prompt_tokens: 26, completion_tokens: 7, prefill_tokens_per_second: 200,
        decode_tokens_per_second: 20, counts: 'exact', thinking_share: undefined, draft_tokens: undefined }, '/api/chat'],
    ['nothing that hailo-ollama does not tell', typed('application/x-ndjson', ['{"model":"replayed","message":{"content":"a"},"done":false}',
        '{"model":"replayed","done":true,"done_reason":"stop","total_duration":900000000,"eval_count":7}', ''].join('\r\n')),
    { dialect: 'ollama', queue_ms: undefined, prefill_ms: undefined, load_ms: undefined, prefill_tokens_per_second: undefined, completion_tokens: 7,
        prompt_tokens: undefined, counts: 'exact' }, '/api/chat'],
    ['no number that can\'t be', sse(chatEvent('a'), `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 20, completion_tokens: 1,
        prompt_tokens_details: { cached_tokens: 500 } }, timings: { prompt_ms: -1, predicted_ms: 0.028, predicted_n: 1,
        predicted_per_second: 35714, draft_n: 2, draft_n_accepted: 9 } })}\n\n`.replace('-1', '1e300'), DONE_EVENT),
    { prompt_tokens: 20, cached_tokens: undefined, prefill_ms: undefined, decode_tokens_per_second: undefined, draft_tokens: undefined }],
    ['counts from the stream', sse(chatEvent('a'), chatEvent('b'), DONE_EVENT),
        { completion_tokens: 2, counts: 'estimated', counts_reason: 'not_told', estimated: true, status: 'finished' }],
    ['counts of a broken stream', sse(chatEvent('a'), 'data: {"choices":[{"delta":]}\n\n', usage({ completion_tokens: 4, prompt_tokens: 2 }),
        DONE_EVENT), { completion_tokens: 4, counts: 'estimated', counts_reason: 'invalid_json' }],
    ['an error in mid-stream', sse(chatEvent('a'), 'data: {"error":{"message":"CUDA out of memory","code":500}}\n\n', DONE_EVENT),
        { status: 'failed', error: 'CUDA out of memory', ended_by: 'engine', http_status: 200, completion_tokens: 1, counts: 'estimated' }],
    ['an event named error', sse(chatEvent('a'), 'event: error\ndata: the engine died\n\n'),
        { status: 'failed', error: 'the engine died', ended_by: 'engine' }],
    ['an error line of Ollama', typed('application/x-ndjson', '{"model":"replayed","response":"a","done":false}\n{"error":"model runner stopped"}\n'),
        { status: 'failed', error: 'model runner stopped', dialect: 'ollama', completion_tokens: 1 }, '/api/generate'],
    ['a refusal', typed('application/json', JSON.stringify({ error: { message: `too ${'lo\u00f6ng '.repeat(60)}` } }), '400 Bad Request'),
        { status: 'refused', http_status: 400, ended_by: 'engine', error: `too ${'lo\u00f6ng '.repeat(60)}`.slice(0, 172), counts: 'none',
            completion_tokens: undefined }],
    ['a stream without its end', sse(chatEvent('a'), chatEvent('b')), { status: 'cut', ended_by: 'engine', http_status: 200, completion_tokens: 2 }],
    ['lines without the last one', typed('application/x-ndjson', '{"model":"replayed","response":"a","done":false}\n'),
        { status: 'cut', ended_by: 'engine', dialect: 'ollama' }, '/api/generate'],
    ['a stream of no API that is known', sse('data: {"text":"a"}\n\n'), { status: 'finished', dialect: undefined, counts: 'estimated' }],
    // Each form, over the wire.
    ['one array', typed('application/json', '[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]},\n{"candidates":[{"content":{"parts":[{"text":'
        + '"b"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":3,"thoughtsTokenCount":2,'
        + '"totalTokenCount":9}}]'), { status: 'finished', dialect: 'gemini', prompt_tokens: 4, completion_tokens: 5, reasoning_tokens: 2,
        thinking_share: 0.4, operation: 'chat' }, '/v1beta/models/gemini:streamGenerateContent'],
    ['a JSON text sequence', typed('application/json-seq', '\x1e{"model":"replayed","response":"a","done":false}\n\x1e{"model":"replayed",'
        + '"done":true,"eval_count":1,"prompt_eval_count":2}\n'), { status: 'finished', dialect: 'ollama', counts: 'exact', prompt_tokens: 2 }],
    ['an event stream as plain text', typed('text/plain', `\ufeff${chatEvent('a')}${DONE_EVENT}`.replaceAll('\n', '\r\n')),
        { status: 'finished', dialect: 'openai', completion_tokens: 1 }],
    ['an event stream with lone CR', typed('text/event-stream', `: hi\r${chatEvent('a')}${DONE_EVENT}`.replaceAll('\n', '\r')),
        { status: 'finished', dialect: 'openai', completion_tokens: 1 }],
    // Other work has what it has.
    ['embeddings', typed('application/json', '{"object":"list","model":"replayed","data":[{"embedding":[1,2]}],"usage":{"prompt_tokens":8,'
        + '"total_tokens":8}}'), { status: 'finished', operation: 'embeddings', prompt_tokens: 8, completion_tokens: undefined, counts: 'exact',
        dialect: undefined }, '/v1/embeddings'],
    ['rerank', typed('application/json', '{"model":"replayed","usage":{"total_tokens":56},"results":[{"index":0,"relevance_score":0.5}]}'),
        { status: 'finished', operation: 'rerank', prompt_tokens: 56, counts: 'exact' }, '/v1/rerank'],
    ['a transcription', typed('application/json', '{"text":"a","usage":{"type":"duration","seconds":120}}'),
        { status: 'finished', operation: 'transcription', audio_s: 120, counts: 'none' }, '/v1/audio/transcriptions'],
    ['a transcription without anything', typed('application/json', '{"text":"a"}'), { status: 'finished', operation: 'transcription',
        audio_s: undefined, real_time_factor: undefined, counts: 'none', counts_reason: 'not_told' }, '/inference'],
    ['speech', typed('audio/mpeg', 'ID3\x04{"usage":{"completion_tokens":9}}'), { status: 'finished', operation: 'speech', counts: 'none',
        completion_tokens: undefined }, '/v1/audio/speech'],
    ['an image', typed('application/json', '{"created":1,"data":[{"b64_json":"AAAA"}],"usage":{"total_tokens":100,"input_tokens":40,'
        + '"output_tokens":60}}'), { status: 'finished', operation: 'image', prompt_tokens: 40, completion_tokens: 60, counts: 'exact' },
    '/v1/images/generations'],
]) {
    test(`the record has ${name}`, async (t) => {
        const set = await stage(t);
        let record;
        for (const piece of [7, 0]) { // in pieces, and whole
            ({ record } = await told(set, bytes, { route, piece }));
            assert.deepEqual(Object.fromEntries(Object.keys(want).map((key) => [key, record[key]])), want, JSON.stringify(record));
        }
        if (record.audio_s) {
            assert.ok(Math.abs(record.real_time_factor * 120_000 - record.duration_ms) < 500, JSON.stringify(record));
        }
        const kept = JSON.parse((await request(set.server, '/requests?last=1')).text).requests;
        assert.deepEqual(kept, [record], 'GET /requests has the same');
    });
}

test('the thinking of a stream has a time', async (t) => {
    const { engine, server, viewer } = await stage(t);
    const client = await Raw.connect(server);
    client.write(post(CHAT, '{}'));
    const call = await engine.next();
    const thought = (content) => chunk(chatEvent('', { choices: [{ delta: { reasoning_content: content } }] }));
    await call.write(STREAM_HEAD);
    for (const part of [thought('a'), thought('b'), chunk(chatEvent('c')), chunk(chatEvent('d')), thought('e')]) {
        await call.write(part);
        await viewer.tick(); // it was read
        await sleep(100);
    }
    await call.write(chunk(DONE_EVENT) + LAST_CHUNK);
    await client.rest();
    const record = await viewer.next(isRequest);
    assert.ok(record.think_ms >= 190 && record.think_ms < record.decode_ms - 90, JSON.stringify(record));
    assert.ok(record.decode_ms >= 390, JSON.stringify(record));
    assert.equal(record.thinking_share, 0.6);
});

/* ---- codings ----------------------------------------------------------------------------- */

/* One raw block in a frame of its own (RFC 8878 3.1.1): node 20 has no zstd. */
function zstd(data) {
    const head = Buffer.from([0x28, 0xB5, 0x2F, 0xFD, 0xA0, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32LE(data.length, 5);
    head.writeUIntLE(data.length * 8 + 1, 9, 3);
    return Buffer.concat([head, data]);
}

const body = chatEvent('a') + usage({ prompt_tokens: 2, completion_tokens: 1 }) + DONE_EVENT;
for (const [coding, code] of [['gzip', gzipSync], ['deflate', deflateSync], ['br', brotliCompressSync], ['zstd', zstd]]) {
    test(`an answer in ${coding} that nobody asked for passes; the record says why nothing is counted`, async (t) => {
        const set = await stage(t);
        const coded = code(Buffer.from(body));
        const bytes = Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: ${coding}\r\n`
            + `Content-Length: ${coded.length}\r\n\r\n`), coded]);
        const { record, ticks } = await told(set, bytes, { extra: `Accept-Encoding: ${coding}\r\n` });
        assert.deepEqual([record.status, record.counts, record.counts_reason, record.completion_tokens], ['finished', 'none', 'compressed', undefined]);
        assert.deepEqual(ticks, []);
    });
}

for (const [offered, asked] of [
    ['Accept-Encoding: gzip, deflate, br, zstd\r\n', ['Accept-Encoding: identity']],
    ['Accept-Encoding: gzip\r\n', ['Accept-Encoding: identity']],
    ['Accept-Encoding: gzip\r\nAccept-Encoding: *;q=0.5\r\n', ['Accept-Encoding: identity']],
    ['Accept-Encoding: gzip, identity;q=0\r\n', ['Accept-Encoding: gzip, identity;q=0']],
    ['Accept-Encoding: gzip, *;q=0\r\n', ['Accept-Encoding: gzip, *;q=0']],
    ['', []],
]) {
    test(`the engine is asked for an answer that can be counted: ${offered.trim() || 'none offered'}`, async (t) => {
        const set = await stage(t);
        const { call, record } = await told(set, typed('text/event-stream', body), { extra: offered });
        assert.deepEqual(call.request.headers.filter((line) => /^accept-encoding/i.test(line)), asked);
        assert.deepEqual([record.counts, record.completion_tokens], ['exact', 1]);
    });
}

/* ---- who ended it --------------------------------------------------------------------------- */

test('the record says who ended a request that did not finish', async (t) => {
    const { engine, server, viewer } = await stage(t, ['--max-inflight', '1', '--queue', '1']);
    const begin = async () => {
        const client = await Raw.connect(server);
        client.write(post(CHAT, '{"model":"replayed"}'));
        const call = await engine.next();
        await call.write(STREAM_HEAD + chunk(chatEvent('a')));
        await viewer.tick();
        return { client, call };
    };
    const tells = async () => {
        const { status, ended_by: by, http_status: http, error } = await viewer.next(isRequest);
        return [status, by, http, error];
    };
    const left = await begin();
    left.client.socket.destroy();
    assert.deepEqual(await tells(), ['left', 'client', 200, undefined]);
    const cancelled = await begin();
    const { id } = viewer.events.findLast(isStart);
    await viewer.command({ action: 'cancel', request: id });
    assert.deepEqual(await tells(), ['cut', 'viewer', 200, undefined]);
    await cancelled.client.rest();
    const broken = await begin();
    broken.call.socket.destroy();
    assert.deepEqual(await tells(), ['cut', 'engine', 200, undefined]);
    await broken.client.rest();
    const runs = await begin();
    const waits = await Raw.connect(server);
    waits.write(post(CHAT, '{}'));
    await viewer.next((e) => isStart(e) && e.status === 'queued');
    assert.match(await exchange(server, post(CHAT, '{}')), /^HTTP\/1\.1 503 /);
    assert.deepEqual(await tells(), ['refused', 'aidash', 503, 'the queue is full (1 waiting)']);
    runs.call.socket.destroy();
    assert.equal((await tells())[1], 'engine');
    const next = await engine.next();
    next.socket.destroy();
    assert.deepEqual(await tells(), ['failed', 'engine', 502, 'the engine closed the connection without an answer']);
    await engine.down();
    assert.match(await exchange(server, post(CHAT, '{}')), /^HTTP\/1\.1 502 /);
    assert.deepEqual(await tells(), ['failed', 'engine', 502, 'the engine can\'t be reached']);
});

test('a client with an IPv4 address has it in its record, however the server listens', async (t) => {
    const engine = await replay(t);
    engine.answerAll((call) => call.socket.end(answer('{}')));
    const server = await serve(t, ['--upstream', engine.url], { listen: ['--listen', '0'] }); // one IPv6 socket for both
    await (await fetch(`http://127.0.0.1:${server.port}${CHAT}`, { method: 'POST', body: '{"model":"replayed"}' })).text();
    const told = await poll(async () => {
        const got = await (await fetch(`http://127.0.0.1:${server.port}/requests`)).json();
        return got.requests.length > 0 && got;
    }, 'the record');
    assert.deepEqual(told.requests.map(({ client }) => client), ['127.0.0.1']);
});

test.run();
