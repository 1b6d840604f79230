/* The WebSocket contract: ticks, hello, commands and their answers, who may connect. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import {
    SLOW, assertRefused, connect, isAnswer, isStatus, isTick, numbered, post, request, serve,
    sleep, status, statusWhen,
} from './aidash.mjs';

const upgrade = (extra = {}) => ({
    Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', ...extra,
});

/* Ask for a WebSocket; the answer's status is 101 when it was granted. */
async function handshake(server, where = '/ws/x', headers = {}, options = {}) {
    const all = upgrade(headers);
    for (const name of Object.keys(all).filter((key) => all[key] === undefined)) {
        delete all[name];
    }
    const answer = await request(server, where, { headers: all, ...options });
    answer.socket?.destroy();
    return answer;
}

/* ---- ticks ------------------------------------------------------------------ */

test('the first frame is hello and says what the server is', async (t) => {
    const server = await serve(t, []);
    const { hello } = await connect(server, '/ws/my-page.1');
    assert.equal(hello.server, 'aidash');
    assert.equal(hello.version, '0.1.0');
    assert.equal(hello.client_id, 'my-page.1');
    assert.equal(hello.model, 'llama3');
    assert.deepEqual(hello.models, ['llama3', 'mistral', 'qwen2.5']);
    assert.equal(hello.paused, false);
    assert.equal(hello.source, 'sim');
    assert.equal(hello.rate_hz, 5);
    assert.deepEqual(hello.limits, { message_bytes: 4096, backlog_events: 100, clients: 1024,
        ping_s: 20, silence_s: 60, stall_s: 30 });
    assert.ok(Math.abs(hello.started - Date.now() / 1000) < 60 * SLOW);
});

test('a tick has exactly the six fields in their order, as printed JSON', async (t) => {
    const server = await serve(t, ['--rate', '200']);
    const viewer = await connect(server);
    for (let i = 0; i < 200; i++) {
        await viewer.tick();
    }
    const shape = /^\{"event":"inference_tick","model":"llama3","tokens_generated":\d+,"latency_ms":\d+(\.\d{1,3})?,"tokens_per_second":\d+(\.\d{1,2})?,"timestamp":\d{10}(\.\d{1,6})?\}$/;
    for (const text of viewer.texts.filter((each) => each.includes('inference_tick'))) {
        assert.match(text, shape);
    }
    assert.ok(Math.abs(viewer.events.at(-1).timestamp - Date.now() / 1000) < 10 * SLOW);
});

test('ticks come every 200 ms, do not drift, and count tokens over a 2 s window', async (t) => {
    const server = await serve(t, []);
    const viewer = await connect(server);
    const check = (ticks) => {
        const first = ticks[0].timestamp;
        const pace = (ticks.at(-1).timestamp - first) / (ticks.length - 1);
        assert.ok(Math.abs(pace - 0.2) < 0.004 * SLOW, `mean pace ${pace} s`);
        ticks.forEach(({ timestamp }, i) => {
            assert.ok(Math.abs(timestamp - first - 0.2 * i) < 0.1 * SLOW, `tick ${i} at ${timestamp - first}`);
        });
        for (const [i, tick] of ticks.entries()) {
            const from = ticks.findIndex(({ timestamp }) => timestamp > tick.timestamp - 2);
            if (from > 0) {
                const tokens = tick.tokens_generated - ticks[from - 1].tokens_generated;
                assert.ok(Math.abs(tick.tokens_per_second - tokens / 2) <= 2.51,
                    `tick ${i}: ${tick.tokens_per_second} for ${tokens} tokens in 2 s`);
            }
        }
    };
    /* A busy machine is late now and then; a server that drifts is wrong each time. */
    for (let tries = 8; ; tries--) {
        const ticks = [];
        while (ticks.length < 22) {
            ticks.push(await viewer.tick());
        }
        try {
            check(ticks);
            break;
        } catch (error) {
            if (tries === 1) {
                throw error;
            }
        }
    }
});

test('the simulated engine adds 1 to 5 tokens a tick at 120 ± 20 ms, never below 50', async (t) => {
    const server = await serve(t, ['--rate', '2000', '--seed', '3']);
    const viewer = await connect(server);
    const ticks = [];
    while (ticks.length < 2000) {
        ticks.push(await viewer.tick());
    }
    const added = ticks.slice(1).map((tick, i) => tick.tokens_generated - ticks[i].tokens_generated);
    assert.deepEqual([...new Set(added)].sort(), [1, 2, 3, 4, 5]);
    const latencies = ticks.map((tick) => tick.latency_ms);
    const mean = latencies.reduce((a, b) => a + b) / latencies.length;
    const spread = Math.sqrt(latencies.reduce((a, b) => a + (b - mean) ** 2, 0) / latencies.length);
    assert.ok(Math.min(...latencies) >= 50);
    assert.ok(Math.abs(mean - 120) < 3, `mean ${mean}`);
    assert.ok(Math.abs(spread - 20) < 3, `deviation ${spread}`);
});

test('the same seed gives the same tokens and latencies, another seed others', async (t) => {
    const values = async (seed) => {
        const server = await serve(t, ['--rate', '500', '--seed', String(seed)]);
        await statusWhen(server, (now) => now.next_seq > 40);
        const { ticks } = (await request(server, '/ticks?since=0&limit=30')).json;
        assert.equal(ticks.length, 30);
        return ticks.map((tick) => [tick.tokens_generated, tick.latency_ms]);
    };
    const first = await values(42);
    assert.deepEqual(await values(42), first);
    assert.notDeepEqual(await values(43), first);
});

test('all viewers get the same events with the same numbers', async (t) => {
    const server = await serve(t, ['--rate', '500']);
    const viewers = await Promise.all(['a', 'b', 'c', 'd'].map((id) => connect(server, `/ws/${id}`)));
    for (const viewer of viewers) {
        for (let i = 0; i < 100; i++) {
            await viewer.tick();
        }
    }
    await viewers[0].command({ action: 'pause' });
    const seen = await Promise.all(viewers.map(async (viewer) => {
        await viewer.next((e) => isStatus(e) && e.paused);
        return new Map(numbered(viewer.events).map(({ seq, event }) => [seq, event]));
    }));
    const common = [...seen[0].keys()].filter((seq) => viewers.every(({ hello }) => seq >= hello.next_seq));
    assert.ok(common.length >= 100);
    for (const seq of common) {
        for (const other of seen) {
            assert.deepEqual(other.get(seq), seen[0].get(seq), `event ${seq}`);
        }
    }
});

/* ---- commands ----------------------------------------------------------------- */

test('switch_model is acknowledged, shows in the next tick, and is told to all', async (t) => {
    const server = await serve(t, ['--rate', '100']);
    const viewer = await connect(server, '/ws/a');
    const other = await connect(server, '/ws/b');
    await viewer.tick();
    const ack = await viewer.command({ action: 'switch_model', model: 'mistral' });
    assert.deepEqual([ack.event, ack.action], ['ack', 'switch_model']);
    const after = await viewer.next(isStatus, 'status'); /* a tick of the moment before may be behind the ack */
    assert.ok(viewer.events.slice(viewer.events.indexOf(ack), viewer.events.indexOf(after)).filter(isTick).length <= 1);
    for (let i = 0; i < 5; i++) {
        assert.equal((await viewer.tick()).model, 'mistral');
    }
    const told = await other.next(isStatus, 'status');
    assert.equal(told.model, 'mistral');
    assert.deepEqual(told.models, ['llama3', 'mistral', 'qwen2.5']);
    assert.equal(told.paused, false);
    for (let i = 0; i < 5; i++) {
        assert.equal((await other.tick()).model, 'mistral');
    }
    assert.equal((await connect(server)).hello.model, 'mistral');
    assert.equal((await status(server)).model, 'mistral');
});

test('each model keeps its own cumulative count over switches', async (t) => {
    const server = await serve(t, ['--rate', '200']);
    const viewer = await connect(server);
    const models = ['mistral', 'llama3', 'qwen2.5', 'mistral', 'llama3'];
    await viewer.tick();
    for (const model of models) {
        await viewer.command({ action: 'switch_model', model });
        await viewer.tick((tick) => tick.model === model);
    }
    const counts = {};
    for (const tick of viewer.events.filter(isTick)) {
        const before = counts[tick.model];
        if (before !== undefined || tick.model !== 'llama3') {
            const added = tick.tokens_generated - (before ?? 0);
            assert.ok(added >= 1 && added <= 5, `${tick.model}: ${before} -> ${tick.tokens_generated}`);
        }
        counts[tick.model] = tick.tokens_generated;
    }
    assert.deepEqual(Object.keys(counts), ['llama3', 'mistral', 'qwen2.5']);
});

test('pause stops the ticks for everybody, resume goes on with the same count', async (t) => {
    const server = await serve(t, ['--rate', '500']);
    const viewer = await connect(server, '/ws/a');
    const other = await connect(server, '/ws/b');
    await other.tick();
    assert.equal((await viewer.command({ action: 'pause' })).event, 'ack');
    await other.next((e) => isStatus(e) && e.paused);
    await viewer.next((e) => isStatus(e) && e.paused);
    const before = viewer.events.filter(isTick).at(-1);
    const { next_seq } = await status(server);
    await sleep(50);
    const later = await status(server);
    assert.equal(later.next_seq, next_seq, 'no event while paused');
    assert.equal(later.paused, true);
    assert.equal((await connect(server, '/ws/c')).hello.paused, true);
    assert.equal(other.events.findLast((e) => isTick(e) || isStatus(e)).event, 'status');
    assert.equal((await other.command({ action: 'resume' })).event, 'ack');
    await viewer.next((e) => isStatus(e) && !e.paused);
    const after = await viewer.tick();
    const added = after.tokens_generated - before.tokens_generated;
    assert.ok(added >= 1 && added <= 5, `added ${added}`);
});

test('a command that changes nothing is acknowledged without a status', async (t) => {
    const server = await serve(t, ['--rate', '100']);
    const viewer = await connect(server);
    for (const command of [{ action: 'resume' }, { action: 'switch_model', model: 'llama3' }]) {
        assert.equal((await viewer.command(command)).event, 'ack');
    }
    await viewer.command({ action: 'pause' });
    await viewer.command({ action: 'pause' });
    await viewer.command({ action: 'resume' });
    await viewer.tick();
    assert.deepEqual(viewer.events.filter(isStatus).map((e) => e.paused), [true, false]);
});

const MODEL = '"action":"switch_model","model":"mistral"';

test('a wrong command gets an error with a code and a sentence, and the stream goes on', async (t) => {
    const server = await serve(t, ['--rate', '100']);
    const viewer = await connect(server);
    const wrong = [
        ['invalid_json', '', ' ', 'pause', '{', '}', '{"action"', '{"action":"pause"', '{"a"}', '{,}',
            '[01]', '[1 2]', '{"action":"pause",}', '{"action":"pause"}}', '{"action":"pause"} x',
            '{"action" "pause"}', '{"action":"pause" "id":1}', '{\'action\':\'pause\'}', '{action:"pause"}',
            '{"action":"pause","x":01}', '{"action":"pause","x":1.}', '{"action":"pause","x":.5}',
            '{"action":"pause","x":+1}', '{"action":"pause","x":1e}', '{"action":"pause","x":-}',
            '{"action":"pause","x":NaN}', '{"action":"pause","x":tru}', '{"action":"pause","x":"\\x"}',
            '{"action":"pause","x":"\\u12g4"}', '{"action":"pause","x":"\u0001"}', '{"action":"pause","x":"\n"}',
            '{"action":"pause"}\u0000', '{"action":"pause","x":[1,]}', '{"action":"pause"}{"action":"pause"}',
            '\ufeff', '{"action":"pause"}\ufeff', '{1:2}', '{"action":"pause",1:2}', '"', '[', ']', 'nul',
            '['.repeat(2000) + ']'.repeat(2000), '{"a":'.repeat(600) + '1' + '}'.repeat(600),
            '{"action":"pause","x":' + '['.repeat(1500) + ']'.repeat(1500) + '}'],
        ['invalid_command', '[]', '"pause"', '1', 'null', 'true', '[{"action":"pause"}]', '{}',
            '{"Action":"pause"}', '{"action":1}', '{"action":null}', '{"action":["pause"]}',
            '{"action":{"action":"pause"}}', '{"x":{"action":"pause"}}',
            '{"action":"switch_model"}', '{"action":"switch_model","model":5}',
            '{"action":"switch_model","model":null}', '{"action":"switch_model","model":""}',
            `{"action":"switch_model","model":"${'m'.repeat(4000)}"}`, '{"action":"switch_model","model":["mistral"]}',
            '{"action":"pause","id":1.5}', '{"action":"pause","id":{}}', '{"action":"pause","id":[1]}',
            '{"action":"pause","id":true}', `{"action":"pause","id":"${'i'.repeat(65)}"}`],
        ['unknown_action', '{"action":"fly"}', '{"action":""}', '{"action":"PAUSE"}', '{"action":"pause "}',
            '{"action":"pause\\u0000"}', `{"action":"${'a'.repeat(4000)}"}`],
        ['unknown_model', '{"action":"switch_model","model":"nope"}',
            '{"action":"switch_model","model":"Mistral"}', '{"action":"switch_model","model":"mistral "}',
            `{"action":"switch_model","model":"${'m'.repeat(63)}"}`],
        ['not_text', Buffer.from('{"action":"pause"}'), Buffer.alloc(0), Buffer.alloc(4096, 0xff)],
    ];
    for (const [code, ...messages] of wrong) {
        for (const message of messages) {
            viewer.send(message);
            const answer = await viewer.next(isAnswer, `answer to ${message}`);
            const what = message.toString().slice(0, 60);
            assert.equal(answer.event, 'error', what);
            assert.equal(answer.code, code, `${what}: ${answer.message}`);
            assert.ok(answer.message.length > 5);
            assert.ok(!('id' in answer), 'no id was given');
        }
    }
    await viewer.tick();
    const now = await status(server);
    assert.equal(now.paused, false);
    assert.equal(now.model, 'llama3');
    const sent = wrong.reduce((sum, [, ...messages]) => sum + messages.length, 0);
    assert.equal(now.counters.command_errors, sent);
});

test('valid JSON in any dress is understood', async (t) => {
    const server = await serve(t, ['--rate', '100']);
    const viewer = await connect(server);
    for (const message of [
        `{${MODEL}}`, ` \t\r\n{ "action" : "switch_model" ,\n"model" : "mistral" }\n `,
        `{"model":"mistral","action":"switch_model"}`,
        `{"x":{"action":"fly","deep":[1,{"y":[true,false,null,-0.5e-3]}]},${MODEL}}`,
        `{"reason":"\\u00e9 é \\ud83d\\ude00 😀 \\"\\\\\\/\\b\\f\\n\\r\\t",${MODEL}}`,
        '{"action":"switch\\u005fmodel","model":"mistr\\u0061l"}',
        '{"\\u0061ction":"switch_model","model":"mistral"}',
        `{${MODEL}${' '.repeat(4096 - MODEL.length - 2)}}`,
    ]) {
        viewer.send(message);
        const answer = await viewer.next(isAnswer, `answer to ${message}`);
        assert.equal(answer.event, 'ack', `${message}: ${answer.message}`);
    }
});

test('an id is echoed byte for byte in acks and errors', async (t) => {
    const server = await serve(t, ['--rate', '1']);
    const viewer = await connect(server);
    for (const id of ['0', '7', '-5', '9007199254740993', '""', '"x"', `"${'i'.repeat(64)}"`,
        '"\\"\\\\\\/\\u00e9"', '"é😀"', '"\\ud83d\\ude00"', '"</script>"']) {
        for (const [command, kind] of [['"action":"resume"', 'ack'], ['"action":"fly"', 'error']]) {
            viewer.send(`{"id":${id},${command}}`);
            await viewer.next((e) => e.event === kind, `${kind} for id ${id}`);
            assert.ok(viewer.texts.findLast((each) => each.includes(`"${kind}"`)).includes(`"id":${id}`),
                `${viewer.texts.at(-1)} has id ${id}`);
        }
    }
});

test('commands of one viewer are answered in order', async (t) => {
    const server = await serve(t, ['--rate', '50']);
    const viewer = await connect(server);
    for (let id = 0; id < 200; id++) {
        viewer.send({ action: ['pause', 'resume', 'fly'][id % 3], id });
    }
    for (let id = 0; id < 200; id++) {
        assert.equal((await viewer.next(isAnswer)).id, id);
    }
});

test('commands from many viewers at once leave one state that all agree on', async (t) => {
    const server = await serve(t, ['--rate', '100', '--backlog', '2000']);
    const viewers = await Promise.all(Array.from({ length: 10 }, (_, i) => connect(server, `/ws/${i}`)));
    const models = ['llama3', 'mistral', 'qwen2.5'];
    await Promise.all(viewers.map(async (viewer, i) => {
        for (let k = 0; k < 20; k++) {
            await viewer.command({ action: 'switch_model', model: models[(i + k) % 3] });
        }
    }));
    await viewers[0].command({ action: 'pause' });
    const last = await Promise.all(viewers.map((viewer) => viewer.next((e) => isStatus(e) && e.paused)));
    const { model } = await status(server);
    for (const each of last) {
        assert.deepEqual(each, last[0]);
        assert.equal(each.model, model);
    }
});

/* ---- who may connect ------------------------------------------------------------- */

test('a client_id has 1 to 64 characters of [A-Za-z0-9._~-] after percent-decoding', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    for (const [given, id] of [['x', 'x'], ['A-z_9.~', 'A-z_9.~'], ['%41%62', 'Ab'], ['%7e', '~'],
        ['a'.repeat(64), 'a'.repeat(64)], ['%61'.repeat(64), 'a'.repeat(64)], ['a?b=c', 'a'], ['...', '...']]) {
        assert.equal((await connect(server, `/ws/${given}`)).hello.client_id, id);
    }
    for (const id of ['', 'a'.repeat(65), '%61'.repeat(65), 'a%2Fb', 'a%00', '%00', '%zz', '%4', 'a%', 'a+b',
        'a%20b', '%C3%A9', 'a%25', 'a,b', '%2e%2e%2fx', 'a'.repeat(2000)]) {
        assertRefused(await handshake(server, `/ws/${id}`), 400);
    }
});

test('neither dots nor further slashes in the path lead anywhere else', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    for (const where of ['/ws/..', '/ws/a/b', '/ws/a/', '/ws/../../etc/passwd', '//ws//a//']) {
        assertRefused(await handshake(server, where), 400);
    }
    for (const where of ['/ws', '/', '/wsx/a', '/WS/a', '/events/x', '/foo', '//ws', '//wsx//a']) {
        assertRefused(await handshake(server, where), 404);
    }
});

test('a page of another origin is refused unless allowed', async (t) => {
    const server = await serve(t, ['--allow-origin', 'http://a.example,https://b.example:8443',
        '--allow-origin', 'http://c.example', '--allow-host', 'dash.example']);
    const own = `127.0.0.1:${server.port}`;
    const cases = [
        [undefined, 101], [`http://${own}`, 101], ['http://a.example', 101], ['https://b.example:8443', 101],
        ['http://c.example', 101], ['http://evil.example', 403], ['https://a.example', 403],
        ['http://a.example:81', 403], ['http://a.example.evil.example', 403], ['http://xa.example', 403],
        ['https://b.example', 403], ['null', 403], ['', 403], ['http://127.0.0.1', 403],
        [`http://${own}.evil.example`, 403], [`http://${own}0`, 403], [`http://evil.example/${own}`, 403],
        [`http://user@${own}`, 403], ['http://a.example,http://evil.example', 403], ['garbage', 403],
        ['a.example', 403], [`http://${'a'.repeat(3000)}.example`, 403],
    ];
    for (const [origin, code] of cases) {
        const answer = await handshake(server, '/ws/x', { Origin: origin });
        assert.equal(answer.status, code, `Origin ${origin}`);
        if (code === 403) {
            assertRefused(answer, 403);
        }
    }
    for (const [host, origin, code] of [
        ['dash.example', 'http://dash.example', 101], ['dash.example', 'https://dash.example', 101],
        ['dash.example:8080', 'http://dash.example:8080', 101], ['dash.example:8080', 'http://dash.example', 403],
    ]) {
        assert.equal((await handshake(server, '/ws/x', { Host: host, Origin: origin })).status, code, origin);
    }
    assert.ok((await status(server)).counters.refused >= 10);
});

test('--allow-origin * lets any page in', async (t) => {
    const server = await serve(t, ['--allow-origin', '*']);
    for (const origin of ['http://evil.example', 'null']) {
        assert.equal((await handshake(server, '/ws/x', { Origin: origin })).status, 101);
    }
});

test('a command from a foreign page by POST is refused and does nothing', async (t) => {
    const server = await serve(t, ['--rate', '50']);
    const headers = { Origin: 'http://evil.example', 'Content-Type': 'text/plain' };
    assertRefused(await post(server, '/command', '{"action":"pause"}', headers), 403);
    assertRefused(await post(server, '/ingest', '{"tokens":1,"model":"evil"}', headers), 403);
    const now = await status(server);
    assert.equal(now.paused, false);
    assert.ok(!now.models.includes('evil'));
});

test('the handshake answers the key and offers nothing of its own', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    const key = 'AAECAwQFBgcICQoLDA0ODw==';
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    for (const extra of [{}, { Connection: 'keep-alive, Upgrade' }, { Upgrade: 'WebSocket' },
        { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' },
        { 'Sec-WebSocket-Protocol': 'chat, superchat' }]) {
        const answer = await handshake(server, '/ws/x', { 'Sec-WebSocket-Key': key, ...extra });
        assert.equal(answer.status, 101, JSON.stringify(extra));
        assert.equal(answer.headers['sec-websocket-accept'], accept);
        assert.equal(answer.headers['sec-websocket-extensions'], undefined);
        assert.ok([undefined, 'chat', 'superchat'].includes(answer.headers['sec-websocket-protocol']));
    }
});

test('a handshake without the right version, key or method is refused', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    for (const version of [undefined, '8', '14', '', 'x', '13, 8']) {
        const answer = await handshake(server, '/ws/x', { 'Sec-WebSocket-Version': version });
        assertRefused(answer, 426);
        assert.equal(answer.headers['sec-websocket-version'], '13');
    }
    for (const key of [undefined, '', 'short', 'dGhlIHNhbXBsZSBub25jZQ', 'dGhlIHNhbXBsZSBub25jZ!==',
        'dGhlIHNhbXBsZSBub25jZTE3Ynl0ZXM=', 'A'.repeat(3000)]) {
        const answer = await handshake(server, '/ws/x', { 'Sec-WebSocket-Key': key });
        assert.equal(answer.status, 400, `key ${key}`);
        assertRefused(answer, 400);
    }
    assertRefused(await handshake(server, '/ws/x', {}, { method: 'POST' }), 405);
    const plain = await request(server, '/ws/x');
    assertRefused(plain, 426);
    assert.match(plain.headers.upgrade, /websocket/i);
});
