/* The benchmark: what it measures of an engine of known speed, how it ends, what it
 * refuses, and `aidash bench`. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test as nodeTest } from 'node:test';
import { BIN, Raw, SLOW, connect, environment, assertRefused, poll, post, request, run, serve, statusWhen, validate, within } from './aidash.mjs';
import { LAST_CHUNK, STREAM_HEAD, abreast, answer, chatEvent, chunk, isRequest, llama, metered, missing, post as httpPost, replay } from './engine.mjs';

const test = abreast('benchmark');
const PROMPT_TOKENS = 40;
const LONG = 40_000 * SLOW; // milliseconds, for a whole benchmark
const bodyOf = (call) => JSON.parse(call.request.body);
const isOver = (event) => event.event === 'bench' && ['ended', 'stopped', 'failed'].includes(event.state);
const bench = async (server, query = '') => validate((await request(server, `/bench${query}`)).json, 'BenchAnswer').results;

/* Answer like an engine that writes `rate` tokens a second, the first after ttft_ms. */
function speaks({ rate = 50, ttft = 60, usage = true }) {
    return (call) => {
        const { max_tokens: n, model } = bodyOf(call);
        const began = performance.now() + ttft;
        let i = 0;
        call.times = []; // when it wrote its tokens: a loaded machine makes it late
        call.write(STREAM_HEAD);
        const speak = () => {
            for (; i < n && began + i * 1000 / rate <= performance.now(); i++) {
                call.times.push(performance.now());
                call.write(chunk(chatEvent('x ', { model, system_fingerprint: 'b1-test' })));
            }
            if (call.ended) {
                return;
            }
            if (i < n) {
                setTimeout(speak, Math.max(1, began + i * 1000 / rate - performance.now()));
                return;
            }
            call.socket.end((usage ? chunk(`data: ${JSON.stringify({ choices: [], usage: {
                prompt_tokens: PROMPT_TOKENS, completion_tokens: n, total_tokens: PROMPT_TOKENS + n } })}\n\n`) : '')
                + chunk('data: [DONE]\n\n') + LAST_CHUNK);
        };
        speak();
    };
}

async function stage(t, { speed, reply = speaks(speed ?? {}), args = [], models = ['alpha', 'beta'] } = {}) {
    const engine = await replay(t, { models });
    engine.answerAll(reply);
    const server = await metered(t, engine, args);
    const viewer = await connect(server);
    await statusWhen(server, (now) => now.models.length === models.length);
    return { engine, server, viewer };
}

const near = (value, wanted, part, what) => assert.ok(Math.abs(value - wanted) <= wanted * part, `${what}: ${value}, not ${wanted}`);

/* Like run(), with longer to wait, and a hand on the process. */
function command(args) {
    const proc = spawn(BIN, ['bench', ...args], { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
    const out = { proc, stdout: '', stderr: '' };
    proc.stdout.on('data', (text) => { out.stdout += text; });
    proc.stderr.on('data', (text) => { out.stderr += text; });
    out.over = within(new Promise((done) => { proc.on('close', (code) => done({ ...out, code })); }), 'end of aidash bench', 40_000 * SLOW)
        .finally(() => proc.kill('SIGKILL'));
    return out;
}

/* ---- figures ----------------------------------------------------------------------- */

// Alone, before the others: a machine that does nothing else keeps the engine's pace.
nodeTest('an engine of 50 tokens/s reads 50, with each number of streams', async (t) => {
    const { engine, server, viewer } = await stage(t, { speed: { rate: 50, ttft: 60 } });
    const ack = await viewer.command({ action: 'bench', model: 'beta', streams: [1, 4, 8], prompt_tokens: 40, max_tokens: 40 });
    assert.deepEqual([ack.event, ack.bench], ['ack', 1]);
    await viewer.next((event) => event.event === 'status' && event.bench === 1);
    assert.equal((await connect(server)).hello.bench, 1);
    const end = await viewer.next(isOver, 'the end', LONG);
    assert.deepEqual([end.state, end.reason, end.engine], ['ended', undefined, 'b1-test']);
    const events = viewer.events.filter(({ event }) => event === 'bench');
    assert.deepEqual(events.map(({ state }) => state), ['started', 'step', 'step', 'step', 'ended']);

    const calls = () => engine.all.filter(({ times }) => times?.length === 40);
    assert.equal(calls().length, 15);
    for (const { step } of events.slice(1, -1)) {
        assert.ok(step.ttft_p50_ms >= 59 && step.ttft_p95_ms >= step.ttft_p50_ms, JSON.stringify(step));
        assert.equal(step.completion_tokens, step.requests * 40);
        assert.equal(step.prompt_tokens, step.requests * PROMPT_TOKENS);
        assert.ok(step.prefill_by_ttft && step.prefill_tokens_per_second > 0);
        assert.deepEqual([step.others, step.estimated], [0, undefined]);
    }
    assert.deepEqual(events.slice(1, -1).map(({ step }) => [step.streams, step.requests]), [[1, 3], [4, 4], [8, 8]]);

    // Each request is one of the meter's, marked; the first one is short and in no step.
    const records = viewer.events.filter(isRequest);
    assert.equal(records.length, 16);
    assert.ok(records.every((record) => record.bench === true && record.client === 'benchmark' && record.status === 'finished'));
    const bodies = engine.all.filter(({ request: { method } }) => method === 'POST').map(bodyOf);
    assert.deepEqual([...new Set(bodies.map(({ model, stream, stream_options: { include_usage: usage } }) => `${model} ${stream} ${usage}`))],
        ['beta true true']);
    const begins = bodies.map(({ messages: [{ content }] }) => content.slice(0, 16));
    assert.equal(new Set(begins).size, 16);

    const [kept] = await bench(server, '?id=1');
    assert.deepEqual(kept.steps, events.slice(1, -1).map(({ step }) => step));
    assert.equal((await statusWhen(server, (now) => now.bench === undefined)).bench, undefined);

    // What it reads is what the engine did, within 4 %; and that is near what it was to do: 40 tokens in 60 + 39 x 20 = 840 ms.
    // On a busy machine the engine, or who reads it, is late: what reads wrong does so each time.
    for (let id = 1; ; id++) {
        const done = calls().slice(15 * (id - 1));
        try {
            for (const { step } of viewer.events.filter(({ event, state, id: of }) => event === 'bench' && state === 'step' && of === id)) {
                const own = done.splice(0, step.requests).map(({ times }) => 39_000 / (times[39] - times[0]));
                near(step.decode_tokens_per_second, own.reduce((sum, rate) => sum + rate) / own.length, 0.04, 'decode');
                near(step.decode_tokens_per_second, 50, 0.2, 'decode');
                near(step.itl_p50_ms, 20, 0.2, 'between tokens');
                near(step.tokens_per_second, step.streams * 40 / 0.84, 0.25, 'throughput');
                t.diagnostic(`${step.streams} streams: decode ${step.decode_tokens_per_second}, total ${step.tokens_per_second}`);
            }
            break;
        } catch (error) {
            t.diagnostic(error.message);
            if (id === 6) {
                throw error;
            }
            await viewer.command({ action: 'bench', model: 'beta', streams: [1, 4, 8], prompt_tokens: 40, max_tokens: 40 });
            assert.equal((await viewer.next(isOver, 'the end', LONG)).state, 'ended');
        }
    }
});

test('prompts are as long as was asked, beyond the pieces in which bodies are read', async (t) => {
    const { engine, viewer } = await stage(t, { speed: { rate: 2000, ttft: 0 } });
    await viewer.command({ action: 'bench', streams: [2], prompt_tokens: 32768, max_tokens: 2 });
    assert.equal((await viewer.next(isOver, 'the end', LONG)).state, 'ended');
    const words = engine.all.filter(({ request: { method } }) => method === 'POST').map(bodyOf)
        .map(({ messages: [{ content }] }) => content.split(' ').length);
    assert.deepEqual(words.slice(1).map((n) => Math.abs(n - 32768) < 40), [true, true, true, true]);
});

test('the requests of others go on, and the step tells of them', async (t) => {
    const { server, viewer } = await stage(t, { speed: { rate: 100, ttft: 20 } });
    await viewer.command({ action: 'bench', streams: [1], max_tokens: 200 });
    await viewer.next((event) => event.event === 'request_start' && event.bench);
    await viewer.next((event) => event.event === 'request_start' && event.bench);
    const other = await post(server, '/v1/chat/completions', JSON.stringify({ model: 'alpha', max_tokens: 5, stream: true }));
    assert.equal(other.status, 200);
    const end = await viewer.next(isOver, 'the end', LONG);
    assert.equal(end.state, 'ended');
    assert.equal(viewer.events.find(({ state }) => state === 'step').step.others, 1);
    assert.equal(viewer.events.filter((e) => isRequest(e) && !e.bench).length, 1);
});

test('an engine without counts of its own: estimates, said to be', async (t) => {
    const { viewer } = await stage(t, { speed: { rate: 500, ttft: 10, usage: false } });
    await viewer.command({ action: 'bench', streams: [2], max_tokens: 10 });
    await viewer.next(isOver, 'the end', LONG);
    const { step } = viewer.events.find(({ state }) => state === 'step');
    assert.deepEqual([step.estimated, step.completion_tokens, step.prompt_tokens], [true, 40, 0]);
    assert.equal(step.prefill_tokens_per_second, undefined);
});

test('the last results are kept, the oldest gives way', async (t) => {
    const { server, viewer } = await stage(t, { speed: { rate: 5000, ttft: 0 } });
    for (let i = 1; i <= 9; i++) {
        assert.equal((await viewer.command({ action: 'bench', streams: [1], prompt_tokens: i, max_tokens: 2 })).bench, i);
        await viewer.next(isOver, 'the end', LONG);
    }
    assert.deepEqual((await bench(server)).map(({ id, prompt_tokens: n }) => [id, n]), [2, 3, 4, 5, 6, 7, 8, 9].map((n) => [n, n]));
    assert.deepEqual((await bench(server, '?id=9')).map(({ id }) => id), [9]);
    for (const [query, code] of [['1', 404], ['10', 404], ['0', 404], ['x', 400], ['-1', 400], ['99999999999', 400]]) {
        assertRefused(await request(server, `/bench?id=${query}`), code);
    }
    assertRefused(await post(server, '/bench', '{}'), 405);
    assert.equal((await request(server, '/bench', { method: 'HEAD' })).status, 200);
});

/* ---- the end ----------------------------------------------------------------------- */

test('a viewer stops it; the engine is left at once, and another one can begin', async (t) => {
    const { engine, server, viewer } = await stage(t, { speed: { rate: 20, ttft: 10 } });
    await viewer.command({ action: 'bench', streams: [4], max_tokens: 4000 });
    await statusWhen(server, (now) => now.requests.running === 4);
    const second = await viewer.command({ action: 'bench' });
    assert.deepEqual([second.event, second.code, second.message], ['error', 'refused', 'a benchmark is already running']);
    assert.equal((await viewer.command({ action: 'bench_stop' })).event, 'ack');
    const [kept] = await bench(server);
    assert.deepEqual([kept.state, kept.reason, kept.steps], ['stopped', 'a viewer stopped it', []]);
    await statusWhen(server, (now) => now.requests.running === 0);
    await Promise.all(engine.all.map(({ closed }) => within(closed, 'end at the engine')));
    assert.equal((await viewer.command({ action: 'bench_stop' })).message, 'no benchmark runs');
    assert.equal((await viewer.command({ action: 'bench', streams: [1], max_tokens: 2 })).bench, 2);
    await viewer.next((event) => isOver(event) && event.id === 2 && event.state === 'ended');
});

for (const [what, sentence, spoil] of [
    ['the engine dies', /^(the engine broke off an answer|a request was answered with 502: .*)$/, ({ engine }) => engine.down()],
    ['the engine closes a stream', 'the engine broke off an answer', ({ calls }) => calls.at(-1).socket.destroy()],
    ['a viewer chooses another model', 'a viewer chose another model for all requests',
        ({ viewer }) => viewer.command({ action: 'switch_model', model: 'beta' })],
    ['a viewer pauses', 'requests were paused', ({ viewer }) => viewer.command({ action: 'pause' })],
    ['a viewer cancels one of its requests', 'a viewer cancelled one of its requests',
        async ({ server, viewer }) => viewer.command({ action: 'cancel', request: (await request(server, '/requests')).json.running[0].id })],
]) {
    test(`${what}: it fails with a sentence`, async (t) => {
        const calls = [];
        const speak = speaks({ rate: 20, ttft: 10 });
        const stand = await stage(t, { reply: (call) => { calls.push(call); speak(call); } });
        const { server, viewer } = stand;
        await viewer.command({ action: 'bench', streams: [4], max_tokens: 4000 });
        await statusWhen(server, (now) => now.requests.running === 4);
        await poll(() => calls.length === 5, 'requests at the engine'); // the first one has ended
        await spoil({ ...stand, calls });
        const end = await viewer.next(isOver, 'the end', LONG);
        assert.equal(end.state, 'failed');
        assert.match(end.reason, sentence instanceof RegExp ? sentence : new RegExp(`^${sentence}$`));
        await statusWhen(server, (now) => now.requests.running === 0 && now.requests.queued === 0);
    });
}

for (const [what, sentence, reply] of [
    ['a refusal', 'a request was answered with 400: the prompt "x" is too long',
        (call) => call.socket.end(answer('{"error":{"code":400,"message":"the prompt \\"x\\" is too long"}}', { status: '400 Bad Request' }))],
    ['no route', 'a request was answered with 404', (call) => call.socket.end(answer('no', { status: '404 Not Found', type: 'text/plain' }))],
    ['an answer without tokens', "the engine's answer has no tokens", (call) => call.socket.end(answer('{}'))],
    ['an error in the stream', /^the engine (reported an error: out of memory|.*)$/,
        (call) => call.socket.end(`${STREAM_HEAD}${chunk('data: {"error":{"message":"out of memory"}}\n\n')}${LAST_CHUNK}`)],
]) {
    test(`${what} at the first request: it fails with the engine's sentence`, async (t) => {
        const { viewer } = await stage(t, { reply });
        await viewer.command({ action: 'bench' });
        const end = await viewer.next(isOver, 'the end', LONG);
        assert.equal(end.state, 'failed');
        assert.match(end.reason, sentence instanceof RegExp ? sentence : new RegExp(`^${sentence}$`));
    });
}

test('a full queue ends it', async (t) => {
    const { server, viewer } = await stage(t, { speed: { rate: 20, ttft: 0 }, args: ['--max-inflight', '2', '--queue', '0'] });
    const other = await Raw.connect(server);
    other.write(httpPost('/v1/chat/completions', JSON.stringify({ model: 'alpha', max_tokens: 4000, stream: true })));
    await statusWhen(server, (now) => now.requests.running === 1);
    await viewer.command({ action: 'bench', streams: [2], max_tokens: 40 });
    const end = await viewer.next(isOver, 'the end', LONG);
    assert.deepEqual([end.state, end.reason], ['failed', 'a request was answered with 503: the queue is full (0 waiting)']);
    other.reset();
});

test('quotas are of clients: a benchmark needs none, and uses none up', async (t) => {
    const { server, viewer } = await stage(t, { args: ['--quota', '*=0', '--quota', 'agent:aidash-bench=1'] });
    for (let i = 0; i < 2; i++) {
        await viewer.command({ action: 'bench', streams: [1], max_tokens: 4 });
        const end = await viewer.next(isOver, 'the end', LONG);
        assert.deepEqual([end.state, end.reason], ['ended', undefined]);
    }
    const refused = await post(server, '/v1/chat/completions', JSON.stringify({ model: 'alpha' }), { 'User-Agent': 'aidash-bench/1' });
    assert.equal(refused.status, 429);
    assert.match(refused.json.error.message, /the quota of this address/, 'that of the program is untouched');
});

test('the server ends while it runs', async (t) => {
    const { server, viewer } = await stage(t, { speed: { rate: 20, ttft: 10 } });
    await viewer.command({ action: 'bench', streams: [8], max_tokens: 4000 });
    await statusWhen(server, (now) => now.requests.running === 8);
    await server.stop();
});

/* ---- commands ---------------------------------------------------------------------- */

test('what is odd is refused, and changes nothing', async (t) => {
    const { server, viewer } = await stage(t, { args: ['--max-inflight', '3'] });
    for (const [more, code, message] of [
        [{ streams: [] }, 'invalid_command', /streams/],
        [{ streams: [0] }, 'invalid_command', /streams/],
        [{ streams: [17] }, 'invalid_command', /from 1 to 16/],
        [{ streams: Array(9).fill(1) }, 'invalid_command', /streams/],
        [{ streams: [[[1]]] }, 'invalid_command', /streams/],
        [{ streams: '1' }, 'invalid_command', /streams/],
        [{ prompt_tokens: 0 }, 'invalid_command', /prompt_tokens/],
        [{ prompt_tokens: 1e9 }, 'invalid_command', /prompt_tokens/],
        [{ max_tokens: -1 }, 'invalid_command', /max_tokens/],
        [{ max_tokens: true }, 'invalid_command', /max_tokens/],
        [{ model: 5 }, 'invalid_command', /model/],
        [{ model: 'x"}],"max_tokens":1,"y":[{"' }, 'unknown_model', /list/],
        [{ streams: [4] }, 'refused', /--max-inflight/],
    ]) {
        const said = await viewer.command({ action: 'bench', ...more });
        assert.deepEqual([said.event, said.code], ['error', code], JSON.stringify(more));
        assert.match(said.message, message);
    }
    await viewer.command({ action: 'switch_model', model: 'beta' });
    assert.match((await viewer.command({ action: 'bench', model: 'alpha' })).message, /another model for all/);
    await viewer.command({ action: 'switch_model', model: '' });
    await viewer.command({ action: 'pause' });
    assert.match((await viewer.command({ action: 'bench' })).message, /resume/);
    assert.deepEqual(await bench(server), []);
});

test('without an engine there is nothing to measure', async (t) => {
    const server = await serve(t);
    const said = await post(server, '/command', '{"action":"bench"}');
    assert.equal(said.status, 409);
    assert.match(validate(said.json, 'Error').message, /nothing to measure/);
    const { code, stderr } = await run(['bench', `${server.host}:${server.port}`]);
    assert.equal(code, 1);
    assert.match(stderr, /nothing to measure/);
});

/* ---- aidash bench ------------------------------------------------------------------- */

test('aidash bench prints a table, or the JSON of GET /bench', async (t) => {
    const { server } = await stage(t, { speed: { rate: 100, ttft: 20 } });
    const place = `${server.host}:${server.port}`;
    const table = await command(['--streams', '1,2', '--tokens=20', '--model', 'beta', place]).over;
    assert.deepEqual([table.code, table.stderr], [0, '']);
    const [head, ...rows] = table.stdout.trim().split('\n');
    assert.match(head, /^streams +prefill\/s +decode\/s +total\/s +TTFT p50 +p95 +token p50 +p95 +others$/);
    assert.equal(rows.filter((row) => /^ +[12] .* 0$/.test(row)).length, 2, table.stdout);
    const decode = Number(rows[0].trim().split(/ +/)[2]); // how near it is to 100: see the first test
    assert.ok(decode > 1 && decode < 10_000, table.stdout);

    const json = await command(['--streams', '1', '--tokens', '4', '--prompt', '50', '--json', `http://${place}`]).over;
    assert.equal(json.code, 0);
    const { results: [result] } = validate(JSON.parse(json.stdout), 'BenchAnswer');
    assert.deepEqual([result.id, result.state, result.prompt_tokens, result.max_tokens], [2, 'ended', 50, 4]);
});

test('aidash bench: Ctrl-C stops the server\'s, and its exit code tells', async (t) => {
    const { server, viewer } = await stage(t, { speed: { rate: 20, ttft: 10 } });
    const told = command(['--streams', '2', '--tokens', '4000', `${server.host}:${server.port}`]);
    await statusWhen(server, (now) => now.requests.running === 2);
    told.proc.kill('SIGINT');
    const { code, stderr } = await told.over;
    assert.equal(code, 1);
    assert.match(stderr, /interrupted/);
    assert.equal((await viewer.next(isOver, 'the end', LONG)).state, 'stopped');
});

test('aidash bench says what is wrong', async (t) => {
    const engine = await replay(t);
    engine.answerAll((call) => call.socket.end(answer('no', { status: '404 Not Found', type: 'text/plain' })));
    const place = `127.0.0.1:${engine.port}`;
    for (const [args, code, sentence] of [
        [['127.0.0.1:1'], 1, /no aidash answers at 127\.0\.0\.1:1\..*\n.*aidash --upstream/],
        [[place], 1, /what answers at .* is no aidash \(404\)/],
        [['--streams', '99'], 2, /--streams: '99'/],
        [['--streams', '1,,2'], 2, /--streams/],
        [['--tokens', '1'], 2, /--tokens: '1'/],
        [['--prompt', '1x'], 2, /--prompt: '1x'/],
        [['--stream', '1'], 2, /the nearest is --streams/],
        [['--model'], 2, /--model needs a value/],
        [['a', 'b'], 2, /'b' is too much/],
        [['ftp://x'], 2, /./],
    ]) {
        const said = await run(['bench', ...args]);
        assert.equal(said.code, code, `${args}: ${said.stderr}`);
        assert.match(said.stderr, sentence);
    }
    const help = await run(['bench', '--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /--streams 1,4,8 .*16/);
});

test.run();

/* ---- the real one -------------------------------------------------------------------- */

nodeTest('the real llama-server: its own times, exact counts', { skip: missing() || false }, async (t) => {
    const engine = await llama('tiny-a');
    t.after(() => engine.stop());
    const server = await metered(t, engine);
    const viewer = await connect(server);
    await viewer.command({ action: 'bench', streams: [1, 4], prompt_tokens: 200, max_tokens: 48 });
    const end = await viewer.next(isOver, 'the end', 60_000 * SLOW);
    assert.deepEqual([end.state, end.reason], ['ended', undefined]);
    for (const { step } of viewer.events.filter(({ state }) => state === 'step')) {
        t.diagnostic(JSON.stringify(step));
        assert.equal(step.completion_tokens, step.requests * 48);
        assert.ok(step.prompt_tokens >= step.requests * 150 && step.cached_tokens < step.prompt_tokens / 2, 'no prompt is in the cache');
        assert.ok(step.prefill_tokens_per_second > 0 && step.prefill_by_ttft === undefined && step.estimated === undefined);
        assert.ok(step.ttft_p50_ms > 0 && step.tokens_per_second > 0);
    }
});
