/* aidash.h as a firmware uses it: start and stop, ticks from threads, callbacks. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import {
    Inbox, Raw, SLOW, connect, handshakeText, isStatus, isTick, openFiles, poll, post, request, serve, statusWhen, validate, within,
} from './aidash.mjs';
import { compiled, run } from './firmware.mjs';

const bins = compiled('library');

/* A firmware that has not started aidash yet. */
function firmware(t) {
    const events = [];
    const unit = {
        ...run(t, bins.C, (line) => line.startsWith('event ') && events.push(validate(JSON.parse(line.slice(6))))),
        events,
        async start(models = 'yolo,locked', listen = '127.0.0.1:0') {
            const [code, port] = (await unit.ask(`start ${listen} ${models}`)).split(' ');
            assert.equal(code, '0');
            assert.notEqual(port, '0');
            return { host: '127.0.0.1', port: Number(port) };
        },
    };
    return unit;
}

test('the callbacks hear every event and command, and may refuse', async (t) => {
    const unit = firmware(t);
    const server = await unit.start();
    const viewer = await connect(server, '/ws/page-1');
    assert.deepEqual([viewer.hello.source, viewer.hello.model], ['none', 'yolo']);
    assert.equal(await unit.ask('publish yolo 3 12.5'), '0');
    const tick = await viewer.tick();
    assert.deepEqual([tick.model, tick.tokens_generated, tick.latency_ms], ['yolo', 3, 12.5]);
    assert.equal((await viewer.command({ action: 'switch_model', model: 'locked' })).code, 'refused');
    const refused = await post(server, '/command', '{"action":"switch_model","model":"locked","id":4}');
    assert.equal(refused.status, 409);
    assert.deepEqual([validate(refused.json).code, refused.json.id], ['refused', 4]);
    assert.equal((await viewer.command({ action: 'pause' })).event, 'ack');
    await viewer.next((e) => isStatus(e) && e.paused);
    /* What the firmware prints comes by a pipe of its own. */
    await poll(() => unit.events.some((e) => isStatus(e) && e.paused), 'the last event');
    assert.deepEqual(unit.said.all.filter((line) => line.startsWith('command')),
        ['command 1 locked page-1.', 'command 1 locked .', 'command 2  page-1.']);
    assert.deepEqual(unit.events, viewer.events.filter((e) => isTick(e) || isStatus(e)));
    assert.ok(unit.said.all.some((line) => /^log 3 listening on/.test(line)), 'its log, and not stderr');
    assert.equal(await unit.ask('stats'), '0 1 0 0 1 1 yolo');
});

test('ticks from four threads are all counted, the lost ones too', async (t) => {
    const unit = firmware(t);
    const server = await unit.start('threads');
    const each = 50000;
    assert.equal(await unit.ask(`threads 4 ${each}`), 'done');
    const { counters } = await statusWhen(server, (now) => now.counters.ticks + now.counters.inbox_dropped === 200000);
    const { ticks } = (await request(server, '/ticks?last=1')).json;
    assert.equal(ticks[0].tokens_generated, counters.ticks, 'each tick that came adds its token');
});

test('it can be stopped and started again in the same process', async (t) => {
    const unit = firmware(t);
    let server = await unit.start();
    for (let round = 0; round < 5; round++) {
        const viewer = await connect(server);
        assert.equal(viewer.hello.next_seq, 1, 'numbers begin anew');
        await unit.ask('publish yolo 1 1');
        assert.equal((await viewer.tick()).tokens_generated, 1, 'counts begin anew');
        assert.match(await unit.ask('start 127.0.0.1:0 other'), /^-2 \d+ aidash is already running$/);
        assert.equal(await unit.ask('stop'), 'stopped');
        assert.equal((await viewer.closed).code, 1001);
        assert.equal(await unit.ask('publish yolo 1 1'), '-2', 'not started');
        assert.match(await unit.ask('stats'), /^-2 /);
        assert.equal(await unit.ask('stop'), 'stopped', 'a second stop does nothing');
        server = await unit.start('yolo', `127.0.0.1:${server.port}`);
    }
});

test('it leaves no descriptor when it is stopped under a load of handshakes and pages', async (t) => {
    const unit = firmware(t);
    const open = [];
    for (let round = 0; round < 50; round++) {
        const server = await unit.start();
        const load = await Promise.all(Array.from({ length: 24 }, () => Raw.connect(server)));
        load.forEach((raw, i) => raw.write(i % 3 === 0 ? handshakeText(server)
            : `GET ${i % 3 === 1 ? '/' : '/status'} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n`));
        await Promise.race(load.map((raw) => raw.until((bytes) => bytes.length > 0, 'any answer').catch(() => {})));
        assert.equal(await unit.ask('stop'), 'stopped');
        open.push(openFiles(unit));
        load.forEach((raw) => raw.reset());
    }
    assert.deepEqual(open, open.map(() => open[0]));
});

test('a second run finds nothing left of the first', async (t) => {
    const unit = firmware(t);
    for (const model of ['first', 'second']) {
        const server = await unit.start('yolo');
        const events = await request(server, '/ticks?last=10');
        assert.deepEqual(events.json.ticks, []);
        const stream = http.get({ ...server, path: '/events', agent: false });
        t.after(() => stream.destroy());
        const [answer] = await within(once(stream, 'response'), 'answer to /events');
        const said = new Inbox();
        answer.on('error', () => {});
        answer.setEncoding('utf8').on('data', (text) => text.split('\n').forEach((line) => said.push(line)));
        await said.next((line) => line.startsWith('data: {"event":"hello"'));
        assert.equal(await unit.ask(`publish ${model} 1 1`), '0');
        assert.match(await said.next((line) => line.startsWith('data: {"event":"inference_tick"')), new RegExp(`"model":"${model}"`));
        assert.equal(await unit.ask('stop'), 'stopped');
        assert.equal(await unit.ask('port'), '0', 'no port is left');
    }
});

test('four threads may call everything while it starts and stops two hundred times', { timeout: 120_000 * SLOW }, async (t) => {
    const unit = firmware(t);
    await unit.start();
    await unit.ask('stop');
    const left = () => [openFiles(unit), readdirSync(`/proc/${unit.pid}/task`).length];
    const before = left();
    const [worked, wrong] = (await unit.ask('storm 200 4', 60_000 * SLOW)).split(' ').map(Number);
    assert.ok(worked > 200);
    assert.equal(wrong, 0);
    assert.deepEqual(left(), before, 'no descriptor and no thread is left');
});

test('and viewers and requests to the engine may come at any moment of it', { timeout: 120_000 * SLOW }, async (t) => {
    const engine = http.createServer((req, res) => { // every answer takes some tokens, and some time
        res.writeHead(200, { 'Content-Type': 'text/event-stream' });
        let n = 0;
        const timer = setInterval(() => {
            res.write(`data: ${JSON.stringify({ object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta: { content: 'x' } }] })}\n\n`);
            if (++n === 20) {
                clearInterval(timer);
                res.end('data: [DONE]\n\n');
            }
        }, 2);
        req.on('error', () => {}).resume();
        res.on('close', () => clearInterval(timer));
    }).listen(0, '127.0.0.1');
    await once(engine, 'listening');
    t.after(() => { engine.closeAllConnections(); engine.close(); });
    const unit = firmware(t);
    const { port } = await unit.start(); // a port that is free afterwards
    await unit.ask('stop');
    const at = { host: '127.0.0.1', port };
    const seen = { upgraded: 0, ticks: 0, answers: 0 };
    let over = false;
    const again = async (act) => {
        while (!over) {
            await act().catch(() => new Promise((done) => { setTimeout(done, 2); })); // refused: it is between two runs
        }
    };
    const whole = (method, path, body) => new Promise((done, fail) => {
        const asked = http.request({ ...at, method, path, agent: false, timeout: 2000 * SLOW }, (res) => {
            res.on('data', (text) => { seen.ticks += text.includes('inference_tick') ? 1 : 0; }).on('error', fail).on('end', done);
            seen.answers++;
        });
        asked.on('error', fail).on('timeout', () => asked.destroy(new Error('time is up'))).end(body);
    });
    const upgraded = async () => {
        const raw = await Raw.connect(at);
        raw.socket.on('error', () => {});
        raw.write(handshakeText(at, '/ws/storm?batch=1'));
        await raw.until((bytes) => raw.over || bytes.includes(' 101 '), 'any end');
        await Promise.race([raw.closed, new Promise((done) => { setTimeout(done, 15); })]);
        seen.upgraded += raw.bytes.includes(' 101 ') ? 1 : 0;
        seen.ticks += raw.bytes.includes('inference_tick') ? 1 : 0;
        raw.socket.destroy();
    };
    const chat = JSON.stringify({ model: 'm', stream: true, messages: [] });
    const all = [upgraded, upgraded, () => whole('GET', '/events'), () => whole('GET', '/status'), () => whole('GET', '/'),
        () => whole('POST', '/ingest', '{"tokens":1}'), () => whole('POST', '/command', '{"action":"resume"}'),
        () => whole('POST', '/v1/chat/completions', chat), () => whole('POST', '/v1/chat/completions', chat)].map(again);
    for (let rounds = 0; rounds === 0 || seen.upgraded <= 10 || seen.ticks === 0 || seen.answers <= 50; rounds++) { // until the test's own limit of time
        const [worked, wrong] = (await unit.ask(`storm 40 2 127.0.0.1:${port} http://127.0.0.1:${engine.address().port} ${50 * SLOW}`, 60_000 * SLOW)).split(' ').map(Number);
        t.diagnostic(JSON.stringify({ worked, ...seen }));
        assert.ok(worked > 0);
        assert.equal(wrong, 0);
    }
    over = true;
    await Promise.all(all);
});

test('the child of a fork has no server', async (t) => {
    const unit = firmware(t);
    const viewer = await connect(await unit.start());
    assert.equal(await unit.ask('fork'), '-2 -2 -2 this process is a fork of one that runs aidash');
    assert.equal(await unit.ask('publish yolo 1 1'), '0', 'the parent still has');
    assert.equal((await viewer.tick()).tokens_generated, 1);
});

test('the child of a fork does not keep the file of history', async (t) => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-'));
    t.after(() => rmSync(dir, { recursive: true }));
    const unit = firmware(t);
    const start = `start 127.0.0.1:0 yolo ${path.join(dir, 'history')}`;
    assert.match(await unit.ask(start), /^0 /);
    assert.equal(await unit.ask('child'), 'child');
    assert.equal(await unit.ask('stop'), 'stopped');
    assert.match(await unit.ask(start), /^0 /, 'the next run has the file');
});

test('what can\'t be started says why and can be tried again', async (t) => {
    const unit = firmware(t);
    const other = await serve(t, ['--source', 'none']);
    for (const [bad, code, reason] of [
        ['listen nowhere', -1, /nowhere/], ['listen 127.0.0.1:65536', -1, /65536/],
        ['models a,,b', -1, /models/], ['source pipe', -1, /pipe/], ['udp x', -1, /x/], ['rate -1', -1, /rate/],
        ['rate 10001', -1, /10001|10000/], ['rate nan', -1, /rate/], ['backlog 99999', -1, /backlog/], ['size 8', -2, /./],
        ['models a,b,a', -1, / models: 'a' is listed twice$/],
        ['allow-origin a', -1, / allow-origin: 'a' is not an origin, such as http:\/\/host:port/],
        ['queue -5', -1, / queue: must be at least 0/], ['queue 97', -1, / queue: must be at most 96$/], ['max-inflight 97', -1, / max-inflight: must be at most 96$/],
        ['queue-timeout -3', -1, / queue-timeout: must not be negative$/],
        ['upstream-timeout -3', -1, / upstream-timeout: must not be negative$/],
        ['upstream http://', -1, / upstream: 'http:\/\/': it has no host$/],
        ['upstream https://a', -1, / upstream: 'https:\/\/a': this aidash was built without TLS/],
        ['scrape http://127.0.0.1:0', -1, / scrape: '.*': the port must be a number from 1 to 65535$/],
        [`listen 127.0.0.1:${other.port}`, -3, /in use/], ['listen 192.0.2.1:80', -3, /192\.0\.2\.1/],
    ]) {
        const answer = await unit.ask(`bad ${bad}`);
        assert.match(answer, new RegExp(`^${code} `), bad);
        assert.match(answer, reason, bad);
    }
    assert.match(await unit.ask('bad size 100000'), /^-2 /, 'a newer header');
    const viewer = await connect(await unit.start());
    await unit.ask('publish yolo 1 1');
    await viewer.tick();
});

test('a tick that is out of range is refused', async (t) => {
    const unit = firmware(t);
    await unit.start();
    for (const tick of ['yolo 0 0', 'yolo 1000000001 1', 'yolo 1 -1', 'yolo 1 nan', 'yolo 1 inf', 'yolo 1 1e10',
        `${'m'.repeat(64)} 1 1`]) {
        assert.equal(await unit.ask(`publish ${tick}`), '-1', tick);
    }
    for (const [tick, why] of [['yolo 0 0', /^one of "tokens"/], ['yolo 1 -1', /^"latency_ms" must be/], ['yolo 1000000001 1', /^"tokens" must be/],
        [`${'m'.repeat(64)} 1 1`, /^"model" must be/]]) {
        await unit.ask(`publish ${tick}`);
        assert.match(await unit.ask('why'), why, tick);
    }
    assert.equal(await unit.ask(`publish ${'m'.repeat(63)} 1 1`), '0');
});
