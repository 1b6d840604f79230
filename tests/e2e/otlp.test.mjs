/* --otlp: spans of requests, joined to the client's trace, and metrics, as a collector gets them; collectors that are busy, refuse or are dead. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { Inbox, poll, request, run, serve, status } from './aidash.mjs';
import { abreast, answer, replay } from './engine.mjs';
import { freePort } from '../programs.mjs';

const test = abreast('otlp');
const ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const PROMPT = 'a-secret-of-the-prompt';
const ANSWER = 'a-secret-of-the-answer';

/* A collector: each call is recorded; reply(call, number) answers it. */
async function collector(t, reply = ({ response }) => { response.setHeader('Content-Type', 'application/json'); response.end('{"partialSuccess":{}}'); }, port = 0) {
    const calls = new Inbox();
    let number = 0;
    const server = http.createServer((message, response) => {
        const parts = [];
        message.on('data', (part) => parts.push(part));
        message.on('end', () => {
            const call = { url: message.url, type: message.headers['content-type'], text: Buffer.concat(parts).toString(), at: performance.now(), response };
            calls.push(call);
            reply(call, ++number);
        });
    });
    await new Promise((ready) => { server.listen(port, '127.0.0.1', ready); });
    t.after(() => { server.closeAllConnections(); server.close(); });
    return {
        url: `http://127.0.0.1:${server.address().port}`,
        calls: calls.all,
        next: (where) => calls.next((call) => call.url.endsWith(where), `a call of ${where}`, 60_000),
    };
}

/* The shape that opentelemetry-proto has in JSON. */
function resource({ attributes }) {
    const of = values(attributes);
    assert.equal(of['service.name'], 'aidash');
    assert.equal(of['service.version'], '0.1.0');
    assert.ok(of['service.instance.id'].length > 0 && of['host.name'].length > 0);
}

function values(attributes) {
    const keys = attributes.map(({ key }) => key);
    assert.equal(new Set(keys).size, keys.length, `a key twice: ${keys}`);
    return Object.fromEntries(attributes.map(({ key, value, ...rest }) => {
        assert.deepEqual(Object.keys(rest), []);
        assert.equal(Object.keys(value).length, 1);
        if ('intValue' in value) assert.match(value.intValue, /^\d+$/);
        if ('doubleValue' in value) assert.equal(typeof value.doubleValue, 'number');
        if ('stringValue' in value) assert.equal(typeof value.stringValue, 'string');
        return [key, value.arrayValue ? value.arrayValue.values.map(({ stringValue }) => stringValue) : Object.values(value)[0]];
    }));
}

const nanos = (text) => { assert.match(text, /^\d{19}$/); return Number(BigInt(text) / 1_000_000n); };

function spansOf(call) {
    assert.equal(call.type, 'application/json');
    const { resourceSpans: [one, ...more], ...rest } = JSON.parse(call.text);
    assert.deepEqual([more, rest], [[], {}]);
    resource(one.resource);
    assert.equal(one.scopeSpans.length, 1);
    assert.deepEqual(one.scopeSpans[0].scope, { name: 'aidash', version: '0.1.0' });
    return one.scopeSpans[0].spans.map((span) => {
        assert.match(span.traceId, /^(?!0{32})[0-9a-f]{32}$/);
        assert.match(span.spanId, /^(?!0{16})[0-9a-f]{16}$/);
        assert.equal(span.kind, 3);
        assert.ok(nanos(span.startTimeUnixNano) <= nanos(span.endTimeUnixNano));
        assert.ok(Math.abs(nanos(span.endTimeUnixNano) - Date.now()) < 120_000);
        return { ...span, of: values(span.attributes) };
    });
}

/* An engine whose answers are whole, and how it was asked. */
async function engine(t, status_ = '200 OK') {
    const behind = await replay(t, { models: ['m'] });
    behind.answerAll((call) => call.socket.end(answer(JSON.stringify({ object: 'chat.completion', model: 'm',
        choices: [{ index: 0, message: { role: 'assistant', content: ANSWER }, finish_reason: 'stop' }], usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 } }), { status: status_ })));
    return behind;
}

const chat = async (server, traceparent) => {
    const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: PROMPT }] });
    return request(server, '/v1/chat/completions', { method: 'POST', body,
        headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body), ...(traceparent ? { traceparent } : {}) } });
};

test('a span a request, in the trace of its client, without a word of it', async (t) => {
    const sink = await collector(t);
    const behind = await engine(t);
    const server = await serve(t, ['--upstream', behind.url, '--otlp', `${sink.url}/base/`]);
    assert.equal((await chat(server, `00-${ID}-${SPAN}-01`)).status, 200);
    const [span] = spansOf(await sink.next('/v1/traces'));
    assert.deepEqual([span.traceId, span.parentSpanId, span.name], [ID, SPAN, 'chat m']);
    assert.notEqual(span.spanId, SPAN);
    assert.deepEqual(span.status, { code: 1 });
    const { 'server.port': port, 'aidash.time_to_first_token': first, ...of } = span.of;
    assert.equal(port, String(behind.port));
    assert.deepEqual(of, { 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': 'm', 'gen_ai.response.model': 'm', 'gen_ai.usage.input_tokens': '11',
        'gen_ai.usage.output_tokens': '7', 'gen_ai.response.finish_reasons': ['stop'], 'server.address': '127.0.0.1', 'http.response.status_code': '200', 'aidash.outcome': 'finished' });
    assert.ok(first === undefined || first >= 0);
    assert.ok(sink.calls.every(({ url }) => url === '/base/v1/traces' || url === '/base/v1/metrics'));
    // a client without a trace, or with one that is malformed, gets one; who records none, has no span
    for (const field of [undefined, `00-${ID.toUpperCase()}-${SPAN}-01`, `00-${ID}-${SPAN}-00`, `00-${ID}-${SPAN}-01`]) {
        await chat(server, field);
    }
    const spans = [];
    while (spans.length < 3) spans.push(...spansOf(await sink.next('/v1/traces')));
    assert.deepEqual(spans.map((each) => each.parentSpanId), [undefined, undefined, SPAN]);
    assert.equal(new Set([...spans, span].map(({ spanId }) => spanId)).size, 4);
    assert.ok(spans[0].traceId !== spans[1].traceId && spans[0].traceId !== ID && spans[1].traceId !== ID);
    for (const { text } of sink.calls) assert.doesNotMatch(text, new RegExp(`${PROMPT}|${ANSWER}|${SPAN.toUpperCase()}`));
    const asked = behind.all.at(-1).request.headers.find((line) => /^traceparent:/i.test(line));
    assert.match(asked, new RegExp(`${ID}-${SPAN}-01`), 'the engine gets it, too');
    assert.equal((await status(server)).otlp.lost, 0);
});

test('a request that failed has an error', async (t) => {
    const sink = await collector(t);
    const server = await serve(t, ['--upstream', (await engine(t, '500 Internal Server Error')).url, '--otlp', sink.url]);
    await chat(server);
    const [span] = spansOf(await sink.next('/v1/traces'));
    assert.deepEqual(span.status, { code: 2 });
    assert.deepEqual([span.of['error.type'], span.of['aidash.outcome'], span.of['http.response.status_code']], ['500', 'failed', '500']);
});

test('what OTLP says may be sent again is; the rest is lost', async (t) => {
    const busy = ({ response }) => { response.writeHead(503, { 'Retry-After': '2' }); response.end(); };
    let spans = 0;
    const sink = await collector(t, (call) => {
        if (!call.url.endsWith('/v1/traces')) { call.response.end('{}'); return; }
        spans++;
        if (spans === 1) busy(call);
        else if (spans === 3) { call.response.writeHead(500); call.response.end(); }
        else call.response.end('{}');
    });
    const server = await serve(t, ['--upstream', (await engine(t)).url, '--otlp', sink.url]);
    await chat(server);
    const [first, second] = [await sink.next('/v1/traces'), await sink.next('/v1/traces')];
    assert.equal(first.text, second.text, 'the same message, with the same ids');
    assert.ok(second.at - first.at > 1900, 'as the collector said');
    await chat(server);
    await sink.next('/v1/traces');
    await poll(async () => (await status(server)).otlp.lost === 1, 'lost', 60_000);
    await server.logged(/otlp: a message is lost: 127\.0\.0\.1:\d+ answers with status 500/);
    await chat(server);
    await sink.next('/v1/traces');
    await server.logged(/otlp: 127\.0\.0\.1:\d+ takes messages again; 1 were lost/);
    assert.equal(spans, 4);
});

test('while the collector is dead, requests pass, and spans wait, as many as there is room for', async (t) => {
    const port = await freePort();
    const server = await serve(t, ['--upstream', (await engine(t)).url, '--otlp', `http://127.0.0.1:${port}`]);
    for (let i = 0; i < 70; i++) assert.equal((await chat(server)).status, 200);
    await server.logged(/otlp: more than 64 spans wait for/);
    const { spans_dropped: dropped } = (await status(server)).otlp;
    const sink = await collector(t, undefined, port);
    let got = 0;
    while (got < 70 - dropped) got += spansOf(await sink.next('/v1/traces')).length;
    assert.equal(got, 70 - dropped);
    assert.ok(dropped > 0 && dropped <= 6, `${dropped}`);
});

test('URLs that are none', async () => {
    for (const wrong of ['127.0.0.1', 'grpc://a:4317', 'http://a/?x=1', `http://a/${'x'.repeat(505)}`]) {
        const { code, stderr } = await run(['--listen', '127.0.0.1:0', '--source', 'none', '--otlp', wrong]);
        assert.equal(code, 2);
        assert.match(stderr, /--otlp: /);
    }
});

test.run();
