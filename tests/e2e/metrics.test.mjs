/* GET /metrics: both formats, its numbers beside those of /status, /requests and the board, what is never in it, how much it may
 * be. A real Prometheus reads it in prometheus.native.test.mjs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Raw, assertRefused, connect, exchange, ingest, poll, post as send, request, run, serve, sleep, status, statusWhen } from './aidash.mjs';
import { DONE_EVENT, LAST_CHUNK, STREAM_HEAD, answer, chatEvent, chunk, isRequest, isStart, metered, post, replay } from './engine.mjs';
import { assertHistograms, families, read } from '../metrics.mjs';

const CHAT = '/v1/chat/completions';
const OPEN = { Accept: 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1' };
const metrics = async (server, where = '/metrics') => read((await request(server, where)).text);
const places = async () => Number((await run(['--sizes'])).stdout.match(/^measures +(\d+)/m)[1]);
const model = (name, more = {}) => ({ gen_ai_request_model: name, ...more });

/* ---- the formats ---------------------------------------------------------------------- */

test('text or OpenMetrics, as Accept asks, with the same series', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    await ingest(server, { tokens: 3, latency_ms: 40, model: 'm' }, { gauge: 'g', value: 1.5 });
    const text = await request(server, '/metrics');
    const open = await request(server, '/metrics', { headers: OPEN });
    assert.deepEqual([text.status, open.status], [200, 200]);
    assert.equal(text.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    assert.equal(open.headers['content-type'], 'application/openmetrics-text; version=1.0.0; charset=utf-8');
    for (const { headers } of [text, open]) assert.deepEqual([headers.vary, headers['cache-control']], ['Accept', 'no-store']);
    const old = read(text.text);
    const now = read(open.text, true);
    assert.deepEqual(now.samples.map(({ name, labels }) => [name, labels]), old.samples.map(({ name, labels }) => [name, labels]));
    assert.ok(assertHistograms(old) > 0 && assertHistograms(now) > 0);
    const table = new Map(families().map((family) => [family.name, family]));
    for (const [name, { type, help, unit }] of now.families) {
        assert.deepEqual([type, help, unit ?? ''], [table.get(name).type, table.get(name).help, table.get(name).unit], name);
        assert.ok(!unit || name.endsWith(`_${unit}`), name);
    }
    for (const [name, { type, unit }] of old.families) {
        assert.ok(['counter', 'gauge', 'histogram'].includes(type) && unit === undefined, name);
        assert.equal(type === 'counter', name.endsWith('_total'), name);
    }
    for (const [accept, type] of [['application/openmetrics-text;q=0', 'text/plain'], ['application/openmetrics-text;q=0.2,text/plain;q=0.3', 'text/plain'],
        ['*/*', 'text/plain'], ['application/json', 'text/plain'], ['application/openmetrics-text', 'application/openmetrics-text']]) {
        const got = await request(server, '/metrics', { headers: { Accept: accept } });
        assert.equal(got.headers['content-type'].split(';')[0], type, accept);
    }
});

test('HEAD has the head alone; other methods are refused', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    const head = await request(server, '/metrics', { method: 'HEAD', headers: OPEN });
    assert.deepEqual([head.status, head.text, head.headers['content-type'].split(';')[0]], [200, '', 'application/openmetrics-text']);
    assertRefused(await send(server, '/metrics', ''), 405);
    assert.equal((await request(server, '//metrics')).status, 200, 'a proxy with one / too many');
});

test('a client that reads slowly gets the whole page', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    await ingest(server, ...Array.from({ length: 40 }, (_, i) => ({ tokens: 1, latency_ms: i, model: `model-${i}` })));
    const whole = (await request(server, '/metrics', { headers: OPEN })).text;
    assert.ok(whole.length > 20_000);
    const raw = await Raw.connect(server);
    raw.socket.pause();
    raw.write(`GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: application/openmetrics-text\r\n\r\n`);
    await sleep(300);
    raw.socket.resume();
    const got = String(await raw.rest());
    const stable = (page) => page.split('\n').filter((line) => /^[^#]*model-/.test(line) && !line.includes('per_second'));
    assert.deepEqual(stable(got), stable(whole));
    assert.ok(got.endsWith('# EOF\n'));
});

/* ---- numbers ---------------------------------------------------------------------------- */

test('the counters are those of /status', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    const viewers = [await connect(server), await connect(server), await connect(server, '/ws/b?batch=1')];
    await ingest(server, ...Array.from({ length: 20 }, () => ({ tokens: 2, latency_ms: 30 })), 'no JSON');
    viewers[0].send({ action: 'pause' });
    await statusWhen(server, (now) => now.paused);
    await ingest(server, { tokens: 2, latency_ms: 30 });
    const now = await status(server);
    const page = await metrics(server);
    const { counters } = now;
    for (const [name, value] of Object.entries({
        aidash_ticks_total: counters.ticks, aidash_events_total: counters.events, aidash_commands_total: counters.commands,
        aidash_command_errors_total: counters.command_errors, aidash_ingest_lines_total: counters.ingest_lines,
        aidash_ingest_errors_total: counters.ingest_errors, aidash_viewers_stalled_total: 0, aidash_paused: 1,
        process_start_time_seconds: now.started })) {
        assert.equal(page.get(name), value, name);
    }
    assert.equal(page.get('aidash_dropped_total', { what: 'paused' }), 1);
    assert.equal(page.get('aidash_dropped_total', { what: 'viewer' }), counters.dropped);
    assert.deepEqual(['websocket', 'batch', 'sse'].map((kind) => page.get('aidash_viewers', { kind })), [2, 1, 0]);
    assert.equal(page.get('aidash_tick_tokens_total', model('default')), 42, 'those while it was paused, too');
    assert.ok(page.get('aidash_sent_bytes_total') >= counters.bytes_sent);
    assert.ok(page.get('process_resident_memory_bytes') > 1e6 && page.get('process_open_fds') > 5);
    assert.ok(page.get('process_max_fds') >= page.get('process_open_fds'));
    assert.equal(page.get('aidash_requests_running'), undefined, 'without requests there is no such number');
    assert.equal(page.get('aidash_build_info', { version: now.version }), 1);
});

test('a proxied request: counts as its record has them, times in their buckets', async (t) => {
    const engine = await replay(t);
    const server = await metered(t, engine);
    const viewer = await connect(server);
    assert.equal((await metrics(server)).samples.some(({ name }) => name.startsWith('gen_ai_')), false, 'none before the first');
    const answered = exchange(server, post(CHAT, '{"model":"replayed"}'));
    const call = await engine.next();
    await poll(async () => (await metrics(server)).get('aidash_requests_running') === 1, 'a running request');
    await call.write(STREAM_HEAD + chunk(chatEvent('a')));
    await sleep(60);
    await call.write(chunk(chatEvent('b')));
    await sleep(60);
    await call.write(chunk(chatEvent('c') + `data: ${JSON.stringify({ model: 'replayed', choices: [],
        usage: { prompt_tokens: 40, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 30 } } })}\n\n` + DONE_EVENT) + LAST_CHUNK);
    call.socket.end();
    await answered;
    const record = await viewer.next(isRequest);
    const page = await metrics(server);
    assertHistograms(page);
    const of = model('replayed');
    assert.equal(record.status, 'finished');
    assert.equal(page.get('aidash_requests_total', { ...of, gen_ai_operation_name: 'chat', outcome: 'finished' }), 1);
    assert.equal(page.get('aidash_requests_total', { ...of, gen_ai_operation_name: 'chat', outcome: 'failed' }), 0);
    assert.deepEqual(['prompt', 'cached', 'completion'].map((what) => page.get(`aidash_${what}_tokens_total`, of)),
        [record.prompt_tokens, record.cached_tokens, record.completion_tokens]);
    assert.deepEqual([record.prompt_tokens, record.cached_tokens, record.completion_tokens], [40, 30, 5]);
    assert.equal(page.get('gen_ai_client_token_usage_sum', { ...of, gen_ai_token_type: 'input' }), 40);
    assert.equal(page.get('gen_ai_client_token_usage_bucket', { ...of, gen_ai_token_type: 'output', le: '4.0' }), 0);
    assert.equal(page.get('gen_ai_client_token_usage_bucket', { ...of, gen_ai_token_type: 'output', le: '16.0' }), 1);
    assert.ok(Math.abs(page.get('gen_ai_server_time_to_first_token_seconds_sum', of) - record.ttft_ms / 1000) < 0.001);
    assert.ok(Math.abs(page.get('gen_ai_server_time_per_output_token_seconds_sum', of) - record.decode_ms / 4000) < 0.001);
    assert.equal(page.get('aidash_request_queue_seconds_sum', of), 0);
    assert.equal(page.get('aidash_request_queue_seconds_count', of), 1);
    const gaps = page.get('aidash_inter_token_latency_seconds_count', of);
    assert.equal(gaps, 2, 'three events of text have two gaps');
    assert.ok(page.get('aidash_inter_token_latency_seconds_sum', of) >= 0.118);
    assert.equal(page.get('aidash_inter_token_latency_seconds_bucket', { ...of, le: '0.05' }), 0);
    assert.ok(page.get('gen_ai_server_request_duration_seconds_sum', of) >= record.duration_ms / 1000 - 0.001);
    assert.deepEqual([page.get('aidash_requests_running'), page.get('aidash_requests_waiting')], [0, 0]);
    assert.equal(page.get('aidash_engine_up', { engine: `127.0.0.1:${engine.port}` }), 1);
});

test('each way in which a request ends has its count; a request in the queue is seen there', async (t) => {
    const engine = await replay(t);
    const server = await metered(t, engine, ['--max-inflight', '1']);
    const viewer = await connect(server);
    const ends = {
        failed: (call) => call.socket.end(answer('{"error":"x"}', { status: '500 Internal Server Error' })),
        refused: (call) => call.socket.end(answer('{"error":"x"}', { status: '400 Bad Request' })),
        cut: async (call) => { await call.write(STREAM_HEAD + chunk(chatEvent('a'))); call.socket.end(); },
    };
    for (const [outcome, end] of Object.entries(ends)) {
        const answered = exchange(server, post(CHAT, '{"model":"replayed"}'));
        await end(await engine.next());
        await answered;
        assert.equal((await viewer.next(isRequest)).status, outcome);
    }
    const client = await Raw.connect(server);
    client.write(post(CHAT, '{"model":"replayed"}'));
    const call = await engine.next();
    const second = await Raw.connect(server);
    second.write(post(CHAT, '{"model":"replayed"}'));
    await poll(async () => (await metrics(server)).get('aidash_requests_waiting') === 1, 'a waiting request');
    await sleep(20);
    client.socket.destroy();
    assert.equal((await viewer.next(isRequest)).status, 'left');
    await call.closed;
    (await engine.next()).socket.end(answer(JSON.stringify({ model: 'replayed', choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } })));
    await second.rest();
    assert.equal((await viewer.next(isRequest)).status, 'finished');
    const page = await metrics(server);
    for (const outcome of ['finished', 'cut', 'failed', 'refused', 'left']) {
        assert.equal(page.get('aidash_requests_total', model('replayed', { gen_ai_operation_name: 'chat', outcome })), 1, outcome);
    }
    assert.ok(page.get('aidash_request_queue_seconds_sum', model('replayed')) >= 0.02, 'the one that waited');
});

test('models that only clients name share one place', async (t) => {
    const engine = await replay(t);
    const server = await metered(t, engine);
    const viewer = await connect(server);
    for (let i = 0; i < 3; i++) {
        const answered = exchange(server, post(CHAT, `{"model":"made-up-${i}"}`));
        (await engine.next()).socket.end(answer('{"error":"no such model"}', { status: '404 Not Found' }));
        await answered;
        await viewer.next(isRequest);
    }
    const page = await metrics(server);
    assert.equal(page.get('aidash_requests_total', model('other', { gen_ai_operation_name: 'chat', outcome: 'refused' })), 3);
    assert.ok(!page.samples.some(({ labels }) => String(labels.gen_ai_request_model).startsWith('made-up')));
});

test('the page is bounded: beyond its places, models are counted together', async (t) => {
    const n = await places();
    const server = await serve(t, ['--source', 'none']);
    for (let i = 0; i < 2 * n; i++) await ingest(server, { tokens: 5, latency_ms: 20, model: `m${i}` });
    const page = await metrics(server);
    const of = page.samples.filter(({ name }) => name === 'aidash_tick_tokens_total');
    assert.deepEqual([of.length, of.find(({ labels }) => labels.gen_ai_request_model === 'other').value], [n + 1, 5 * n]);
    assert.equal(of.reduce((sum, { value }) => sum + value, 0), 10 * n);
});

test('gauges of odd names are escaped', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    const sent = [['a"b\\c', '"'], ['größe {x="1",}', '°C'], ['€'.repeat(10), ''], [' ', 'le="1"']];
    await ingest(server, ...sent.map(([gauge, unit], i) => ({ gauge, unit, value: i - 0.5 })));
    for (const open of [false, true]) {
        const page = read((await request(server, '/metrics', { headers: open ? OPEN : {} })).text, open);
        sent.forEach(([name, unit], i) => assert.equal(page.get('aidash_value', { name, unit }), i - 0.5, name));
    }
});

/* ---- the board ---------------------------------------------------------------------------- */

test('the board: each number of its event, none for a word', async (t) => {
    for (const name of ['jetson-orin-nano', 'raspberry-pi-5', 'raspberry-pi-4-hot', 'pc-nvidia', 'hostile']) {
        const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-'));
        t.after(() => rmSync(dir, { recursive: true }));
        execFileSync('sh', ['tests/boards/collect.sh', 'unpack', dir], { input: readFileSync(`tests/boards/${name}/tree.txt`) });
        const server = await serve(t, ['--source', 'none', '--sysroot', dir], { env: { AIDASH_NO_BOARD: '' } });
        const { board } = await statusWhen(server, (now) => now.board !== undefined);
        const page = await metrics(server);
        const number = (value, scale = 1) => (typeof value === 'number' ? value * scale : undefined);
        const near = (got, expected, what) => assert.ok(got === expected || Math.abs(got - expected) <= 1e-9 * Math.abs(expected), `${name}: ${what} ${got} ${expected}`);
        near(page.get('aidash_memory_size_bytes'), number(board.memory.total_bytes), 'memory');
        near(page.get('aidash_cpu_frequency_hertz'), number(board.cpu.clock_mhz, 1e6), 'clock');
        near(page.get('aidash_power_watts'), number(board.power.watts), 'watts');
        const lists = { temperatures: ['sensor', { celsius: ['aidash_temperature_celsius', 1] }], rails: ['rail', { watts: ['aidash_rail_power_watts', 1] }],
            gpus: ['gpu', { percent: ['aidash_gpu_utilization_ratio', 0.01], memory_used_bytes: ['aidash_gpu_memory_used_bytes', 1] }],
            fans: ['fan', { rpm: ['aidash_fan_speed_rpm', 1], percent: ['aidash_fan_duty_ratio', 0.01] }] };
        for (const [list, [label, members]] of Object.entries(lists)) {
            for (const [member, [metric, scale]] of Object.entries(members)) {
                const of = page.samples.filter((s) => s.name === metric);
                assert.equal(of.length, board[list].filter((one) => typeof one[member] === 'number').length, `${name}: ${metric}`);
                board[list].forEach((one, i) => {
                    const again = board[list].slice(0, i).filter((other) => other.name === one.name && typeof other[member] === 'number').length;
                    near(page.get(metric, { [label]: again ? `${one.name} #${again + 1}` : one.name }), number(one[member], scale), `${metric} of ${one.name}`);
                });
            }
        }
        const bits = Array.isArray(board.throttling.now) ? board.throttling.now : [];
        for (const bit of bits) assert.equal(page.get('aidash_throttled', { kind: bit }), 1);
        if (board.throttling.now === 'absent') assert.equal(page.families.has('aidash_throttled'), false);
        for (const [kind, count] of Object.entries(board.throttling.events)) assert.equal(page.get('aidash_throttle_events_total', { kind }), count);
        assert.equal(page.samples.filter((s) => s.name === 'aidash_board_info').length, board.name === null ? 0 : 1);
    }
});

/* ---- what it is not ------------------------------------------------------------------------ */

test('a scrape asks no engine anything; the engine\'s own page stays at the engine', async (t) => {
    const engine = await replay(t, { lists: { '/metrics': 'llamacpp:tokens_predicted_total 5\n' } });
    const server = await metered(t, engine);
    await statusWhen(server, (now) => now.upstreams[0].engine === 'up');
    for (let i = 0; i < 5; i++) {
        const page = await metrics(server, i % 2 ? '/metrics' : '//metrics');
        assert.ok(page.families.has('aidash_build_info'));
    }
    assert.ok(!engine.asked.includes('GET /metrics'), engine.asked.join());
    assert.deepEqual(engine.all.map(({ request: { target } }) => target), [], 'nor anything that discovery does not');
    assert.equal((await fetch(`${engine.url}/metrics`)).status, 200);
});

test('no prompt, no answer, no key, no client is in it', async (t) => {
    const engine = await replay(t);
    const server = await metered(t, engine);
    const viewer = await connect(server);
    const answered = exchange(server, post(CHAT, '{"model":"replayed","messages":[{"role":"user","content":"PROMPT-SECRET"}]}',
        'Authorization: Bearer KEY-SECRET\r\nUser-Agent: agent-secret/1\r\n'));
    const call = await engine.next();
    await call.write(STREAM_HEAD + chunk(chatEvent('ANSWER-SECRET') + DONE_EVENT) + LAST_CHUNK);
    call.socket.end();
    await answered;
    await viewer.next(isRequest);
    const { text } = await request(server, '/metrics');
    assert.match(text, /aidash_requests_total\{gen_ai_request_model="replayed"/);
    assert.doesNotMatch(text, /secret/i);
    assert.ok(!viewer.events.some((event) => isStart(event) && text.includes(`"${event.client}"`)), 'no address of a client');
});
