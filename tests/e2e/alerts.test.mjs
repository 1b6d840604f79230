/* Alerts: rules, the event, GET /alerts; webhooks that are slow, dead, refuse or lead elsewhere; `aidash alert test`. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { Inbox, connect, ingest, poll, post, request, run, serve, sleep, status, validate } from './aidash.mjs';
import { abreast, answer, replay } from './engine.mjs';
import { authority } from './tls.mjs';
import { freePort } from '../programs.mjs';

const test = abreast('alerts');
const SECRET = 'the-webhooks-own-token';

const isAlert = (event) => event.event === 'alert';
const alerts = async (server) => validate((await request(server, '/alerts')).json, 'AlertsAnswer');
const nextAlert = (viewer) => viewer.next(isAlert, 'an alert', 60_000);
const gauge = (server, value, name = 'x') => ingest(server, { gauge: name, value });
const stateOf = async (server, name, state) => poll(async () => (await alerts(server)).alerts.find((alert) => alert.name === name && alert.state === state),
    `${name} ${state}`, 60_000);
const rules = (...list) => list.flatMap((rule) => ['--alert', rule]);

/* A webhook: each call is recorded with its body and its time, and answered by reply(call, number). */
async function webhook(t, reply = ({ response }) => response.end('ok'), { tls, port = 0 } = {}) {
    const calls = new Inbox();
    let number = 0;
    const server = (tls ? https : http).createServer(tls ?? {}, (message, response) => {
        const parts = [];
        message.on('data', (part) => parts.push(part));
        message.on('end', () => {
            const call = { method: message.method, url: message.url, headers: message.headers, body: Buffer.concat(parts).toString(), at: performance.now(), response };
            calls.push(call);
            reply(call, ++number);
        });
    });
    await new Promise((ready) => { server.listen(port, '127.0.0.1', ready); });
    t.after(() => { server.closeAllConnections(); server.close(); });
    return {
        port: server.address().port,
        url: `${tls ? 'https' : 'http'}://127.0.0.1:${server.address().port}`,
        calls: calls.all,
        next: () => calls.next(() => true, 'a call of the webhook', 60_000),
    };
}

const status_ = (code, headers = {}) => ({ response }) => { response.writeHead(code, headers); response.end(); };

test('an alert fires after its time, and is over when the value is back by 5 %', async (t) => {
    const server = await serve(t, ['--source', 'none', ...rules('gauge:x > 100 for 2s', 'low: gauge:y < 5 clear 8')]);
    const viewer = await connect(server);
    const before = await alerts(server);
    assert.deepEqual(before.alerts.map(({ name, series, value, threshold, unit, rule, state }) => [name, series, value, threshold, unit, rule, state]), [
        ['gauge:x > 100 for 2s', 'gauge:x', null, 100, '', 'gauge:x > 100 for 2s', 'unknown'],
        ['low', 'gauge:y', null, 5, '', 'gauge:y < 5 clear 8', 'unknown'],
    ]);
    await gauge(server, 100);
    await stateOf(server, 'gauge:x > 100 for 2s', 'ok');
    const begun = performance.now();
    await gauge(server, 101.5);
    await poll(async () => ['pending', 'firing'].includes((await alerts(server)).alerts[0].state), 'an alert that is pending, or was');
    const fired = validate(await nextAlert(viewer));
    assert.ok(performance.now() - begun > 1900);
    assert.equal(fired.state, 'firing');
    assert.deepEqual([fired.name, fired.series, fired.value, fired.threshold], ['gauge:x > 100 for 2s', 'gauge:x', 101.5, 100]);
    assert.equal(fired.sentence, 'gauge x is 102, above 100 for 2 s');
    assert.ok(fired.timestamp - fired.since > 1.9);
    assert.deepEqual(validate(await status(server), 'StatusAnswer').alerts, { rules: 2, firing: [fired.name] });
    const one = await stateOf(server, fired.name, 'firing');
    assert.equal(one.since, fired.since);
    await gauge(server, 97); // within the number, not yet back by 5 %
    await gauge(server, 4, 'y');
    const low = validate(await nextAlert(viewer));
    assert.deepEqual([low.name, low.state, low.sentence], ['low', 'firing', 'gauge y is 4, below 5']);
    await stateOf(server, fired.name, 'firing');
    await gauge(server, 95);
    const over = validate(await nextAlert(viewer));
    assert.deepEqual([over.name, over.state, over.since], [fired.name, 'resolved', fired.since]);
    assert.match(over.sentence, /^gauge x is 95 again; it was above 100 for \d+ s$/);
    await gauge(server, 8, 'y');
    assert.equal((await nextAlert(viewer)).state, 'resolved');
    assert.deepEqual((await status(server)).alerts.firing, []);
    assert.equal(viewer.events.filter(isAlert).length, 4);
    assert.equal((await request(server, '/alerts', { method: 'HEAD' })).status, 200);
    assert.equal((await request(server, '/alerts', { method: 'POST' })).status, 405);
});

test('while paused, silence is no news', async (t) => {
    const server = await serve(t, ['--rate', '20', ...rules('quiet: silence_s > 1', 'fast: tokens_per_second > 1')]);
    await stateOf(server, 'fast', 'firing');
    await stateOf(server, 'quiet', 'ok');
    await post(server, '/command', '{"action":"pause"}');
    await stateOf(server, 'quiet', 'unknown');
    const begun = performance.now();
    await poll(async () => {
        assert.equal((await alerts(server)).alerts[0].state, 'unknown');
        return performance.now() - begun > 2500;
    }, 'time', 60_000);
    assert.equal((await alerts(server)).alerts[1].state, 'firing', 'what is not known ends no alert');
});

test('engines that are down, failed requests, the latency of ten seconds', async (t) => {
    const engine = await replay(t);
    engine.answerAll(({ socket }) => socket.end(answer('{"error":"no"}', { status: '500 Internal Server Error' })));
    const server = await serve(t, ['--upstream', engine.url, ...rules('engine_down', 'errors_per_minute >= 2', 'requests_per_minute >= 3', 'latency_p95_ms > 1')]);
    const viewer = await connect(server);
    await stateOf(server, 'engine_down', 'ok');
    await stateOf(server, 'errors_per_minute >= 2', 'ok');
    for (let i = 0; i < 3; i++) {
        assert.equal((await request(server, '/v1/completions', { method: 'POST', body: '{}', headers: { 'Content-Length': 2 } })).status, 500);
    }
    const both = [await nextAlert(viewer), await nextAlert(viewer)].map(({ name }) => name);
    assert.deepEqual(both.sort(), ['errors_per_minute >= 2', 'requests_per_minute >= 3']);
    await engine.down();
    const down = validate(await nextAlert(viewer));
    assert.deepEqual([down.name, down.value, down.sentence], ['engine_down', 1, 'an engine is down']);
    await engine.up();
    assert.match((await nextAlert(viewer)).sentence, /^over: an engine is down, after \d+ s$/);
    assert.equal((await alerts(server)).alerts[3].state, 'unknown', 'there were no tokens');
});

test('the latency of the last ten seconds', async (t) => {
    const server = await serve(t, ['--source', 'none', ...rules('latency_p95_ms > 200')]);
    const viewer = await connect(server);
    let sending = true;
    const ticks = (async () => {
        while (sending) {
            await ingest(server, { tokens: 1, latency_ms: 300 });
            await sleep(50);
        }
    })();
    const fired = await nextAlert(viewer);
    sending = false;
    await ticks;
    assert.ok(Math.abs(fired.value - 300) < 16, `${fired.value}`);
});

test('rules that are wrong, and what goes together', async () => {
    for (const [args, why] of [
        [rules('latncy > 1'), /--alert: 'latncy > 1': it begins with none of tokens_per_second, .*gauge:NAME, verdict/],
        [rules('queue > 1 for ever'), /--alert: .*write `for` and 30s, 5m or 1h/],
        [rules('queue > 1ms'), /--alert: .*'ms' is no unit of queue/],
        [rules(...Array.from({ length: 17 }, (_, i) => `queue > ${i}`)), /--alert: there are more than 16 rules/],
        [rules('verdict:heat'), /--alert: 'heat': there is no cause of this name/],
        [['--alert-url', 'http://127.0.0.1:1/'], /--alert-url: without a rule/],
        [['--alert-format', 'text', ...rules('queue > 1')], /--alert-format: without alert-url/],
        [['--alert-url', 'http://127.0.0.1:1/', '--alert-format', 'xml', ...rules('queue > 1')], /--alert-format: 'xml' must be json, ntfy or text/],
        [['--alert-url', 'ftp://127.0.0.1/', ...rules('queue > 1')], /--alert-url: 'ftp:\/\/127.0.0.1/],
        [['--alert-url', '127.0.0.1:1/secret?to=http://127.0.0.1/', ...rules('queue > 1')], /--alert-url: '127.0.0.1:1': it must begin with http/],
        [['--alert-url', 'http://me:secret@127.0.0.1/', ...rules('queue > 1')], /--alert-url: write the URL without a name and a password/],
        [['--otlp', 'http://127.0.0.1:1/?secret', ...rules('queue > 1')], /--otlp: '127.0.0.1:1': its path .*has a query/],
        [['--alert-url', 'http://127.0.0.1/a b', ...rules('queue > 1')], /--alert-url: .*must be written as %XX/],
        [['--alert-url', `http://127.0.0.1/${'x'.repeat(511)}`, ...rules('queue > 1')], /--alert-url: .*longer than 510 bytes/],
        [['--alert-url', 'http://127.0.0.1/', '--alert-key-file', '/nonexistent', ...rules('queue > 1')], /--alert-key-file: can't read/],
    ]) {
        const { code, stderr } = await run(['--listen', '127.0.0.1:0', '--source', 'none', ...args]);
        assert.equal(code, 2, stderr);
        assert.match(stderr, why);
        assert.doesNotMatch(stderr, /secret/, 'what may be a secret is not shown');
    }
});

/* ---- webhooks ---------------------------------------------------------------- */

const hooked = (t, url, ...args) => serve(t, ['--source', 'none', '--alert-url', url, ...rules('n: gauge:x > 1'), ...args]);

test('a webhook gets each alert, and when it is over, with its token; the log has neither that nor the path', async (t) => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-'));
    t.after(() => rmSync(dir, { recursive: true }));
    const key = path.join(dir, 'key');
    writeFileSync(key, `${SECRET}\n`);
    chmodSync(key, 0o644);
    const hook = await webhook(t);
    const server = await hooked(t, `${hook.url}/hooks/T0/B0?token=in-the-url`, '--alert-key-file', key, '--log-level', 'debug');
    const viewer = await connect(server);
    await gauge(server, 2);
    const event = await nextAlert(viewer);
    const call = await hook.next();
    assert.deepEqual([call.method, call.url, call.headers['content-type'], call.headers.authorization],
        ['POST', '/hooks/T0/B0?token=in-the-url', 'application/json', `Bearer ${SECRET}`]);
    const { host, text, ...body } = JSON.parse(call.body);
    const { seq, ...same } = event;
    assert.deepEqual(body, same);
    assert.equal(text, `${host}: ${event.sentence}`);
    await gauge(server, 0);
    assert.equal(JSON.parse((await hook.next()).body).state, 'resolved');
    const { webhook: counts } = await poll(async () => { const now = await alerts(server); return now.webhook.sent === 2 && now; }, 'two taken');
    assert.deepEqual(counts, { sent: 2, lost: 0, dropped: 0, waiting: 0 });
    await server.logged(/alert-key-file: every user of this machine can read/);
    await server.logged(/alert: n: it is over/);
    assert.doesNotMatch(server.stderr(), new RegExp(`${SECRET}|in-the-url|hooks`));
});

test('the forms text and ntfy', async (t) => {
    for (const [format, title] of [['text', undefined], ['ntfy', 'aidash: alert']]) {
        const hook = await webhook(t);
        const server = await hooked(t, `${hook.url}`, '--alert-format', format);
        await gauge(server, 2);
        const { url, headers, body } = await hook.next();
        assert.deepEqual([url, headers['content-type'], headers.title, headers.priority], ['/', 'text/plain; charset=utf-8', title, title && 'high']);
        assert.match(body, /^\S+: n: gauge x is 2, above 1\n$/);
    }
});

test('a webhook that answers 500, and 429 with Retry-After, is asked again', async (t) => {
    const hook = await webhook(t, (call, number) => [status_(500), status_(429, { 'Retry-After': '3' }), status_(204)][number - 1](call));
    const server = await hooked(t, hook.url);
    await gauge(server, 2);
    const [first, second, third] = [await hook.next(), await hook.next(), await hook.next()];
    assert.equal(first.body, second.body);
    assert.equal(first.body, third.body);
    assert.ok(second.at - first.at > 450, 'half a second, at least');
    assert.ok(third.at - second.at > 2900, `${third.at - second.at} ms: as the webhook said`);
    await poll(async () => (await alerts(server)).webhook.sent === 1, 'taken');
    assert.equal(hook.calls.length, 3);
});

test('a redirect is not followed, and a refusal is final: each is logged once', async (t) => {
    const elsewhere = await webhook(t);
    const hook = await webhook(t, (call, number) => [status_(302, { Location: elsewhere.url }), status_(403), status_(200)][number - 1](call));
    const server = await hooked(t, hook.url);
    await gauge(server, 2);
    await hook.next();
    await poll(async () => (await alerts(server)).webhook.lost === 1, 'lost');
    await gauge(server, 0);
    await hook.next();
    await poll(async () => (await alerts(server)).webhook.lost === 2, 'lost');
    await gauge(server, 2);
    await hook.next();
    await poll(async () => (await alerts(server)).webhook.sent === 1, 'taken');
    assert.equal(elsewhere.calls.length, 0);
    await server.logged(/takes messages again; 2 were lost/);
    const log = server.stderr();
    assert.equal(log.match(/alert-url: a message is lost: 127\.0\.0\.1:\d+ answers with status 302: redirects are not followed/g)?.length, 1, log);
    assert.doesNotMatch(log, /status 403/);
});

test('a dead webhook holds nothing up; what finds no room is dropped, and it gets the rest when it is there', async (t) => {
    const port = await freePort();
    const server = await serve(t, ['--source', 'none', '--alert-url', `http://127.0.0.1:${port}/`, ...rules(...Array.from({ length: 16 }, (_, i) => `n${i}: gauge:x > ${i + 1}`))]);
    const viewer = await connect(server);
    for (const value of [100, 0, 100]) {
        await gauge(server, value);
        for (let i = 0; i < 16; i++) await nextAlert(viewer);
    }
    const { webhook: counts } = await alerts(server);
    assert.equal(counts.sent, 0);
    assert.equal(counts.dropped + counts.lost + counts.waiting, 48);
    assert.ok(counts.waiting <= 33, 'the one under way, and 32');
    await server.logged(/more than 32 alerts wait/);
    assert.equal(server.stderr().match(/more than 32 alerts wait/g).length, 1);
    const hook = await webhook(t, undefined, { port });
    await poll(async () => { const now = (await alerts(server)).webhook; return now.waiting === 0 && now.sent >= 32; }, 'the rest', 60_000);
    assert.ok(hook.calls.length >= 32);
    assert.equal(JSON.parse(hook.calls.at(-1).body).state, 'firing');
});

test('a webhook that does not answer is given up; the hub goes on meanwhile', async (t) => {
    const hook = await webhook(t, (call, number) => { if (number > 1) call.response.end(); });
    const server = await hooked(t, hook.url);
    const viewer = await connect(server);
    await gauge(server, 2);
    const first = await hook.next();
    await ingest(server, { tokens: 1, latency_ms: 1 });
    await viewer.tick();
    assert.equal((await alerts(server)).webhook.waiting, 1);
    const second = await hook.next();
    assert.ok(second.at - first.at > 9000, 'ten seconds, but for when the first was seen here');
    await poll(async () => (await alerts(server)).webhook.sent === 1, 'taken');
});

test('a webhook with https must show a certificate that is believed', async (t) => {
    const ca = authority();
    t.after(ca.remove);
    const hook = await webhook(t, undefined, { tls: ca.issue() });
    const server = await hooked(t, hook.url, '--upstream-ca', ca.file);
    await gauge(server, 2);
    assert.equal(JSON.parse((await hook.next()).body).name, 'n');
    const test_ = await run(['alert', 'test', '--alert-url', `${hook.url}/t`, '--upstream-ca', ca.file]);
    assert.deepEqual([test_.code, test_.stdout], [0, `127.0.0.1:${hook.port} took it (status 200)\n`]);
    const doubted = await run(['alert', 'test', '--alert-url', hook.url]);
    assert.equal(doubted.code, 1);
    assert.match(doubted.stdout, /can't be reached: .*certificate/);
    assert.equal(hook.calls.length, 2);
});

test('aidash alert test: one try, one sentence, an exit code', async (t) => {
    const hook = await webhook(t, (call, number) => [status_(200), status_(500), status_(301, { Location: '/' })][number - 1](call));
    const tries = [];
    for (const format of ['json', 'ntfy', 'text']) {
        tries.push(await run(['alert', 'test', '--alert-url', `${hook.url}/x`, '--alert-format', format]));
    }
    assert.deepEqual(tries.map(({ code }) => code), [0, 1, 1]);
    assert.match(tries[0].stdout, /^127\.0\.0\.1:\d+ took it \(status 200\)\n$/);
    assert.match(tries[1].stdout, /^127\.0\.0\.1:\d+ answers with status 500\n$/);
    assert.match(tries[2].stdout, /answers with status 301: redirects are not followed/);
    assert.match(JSON.parse(hook.calls[0].body).sentence, /^this is a test/);
    assert.match(hook.calls[2].body, /^\S+: test: this is a test/);
    const dead = await run(['alert', 'test', '--alert-url', `http://127.0.0.1:${await freePort()}`]);
    assert.deepEqual([dead.code, /can't be reached$/m.test(dead.stdout)], [1, true]);
    const nowhere = await run(['alert', 'test', '--alert-url', 'http://nowhere.invalid/']);
    assert.deepEqual([nowhere.code, /its name can't be resolved/.test(nowhere.stdout)], [1, true]);
    for (const wrong of [['alert'], ['alert', 'tset'], ['alert', 'test'], ['alert', 'test', '--alert-url', 'x y'], ['alert', 'test', '--alert-url', hook.url, '--alert-format', 'x']]) {
        const { code, stderr } = await run(wrong);
        assert.equal(code, 2, `${wrong}: ${stderr}`);
    }
});

test('aidash alert test gives up a webhook whose answer never ends', async (t) => {
    const hook = await webhook(t, ({ response: { socket } }) => {
        socket.write('HTTP/1.1 200 OK\r\nX: ');
        const writing = setInterval(() => socket.write('x'), 100);
        socket.on('close', () => clearInterval(writing));
    });
    const { code, stdout } = await run(['alert', 'test', '--alert-url', hook.url]);
    assert.deepEqual([code, stdout], [1, `127.0.0.1:${hook.port} gave no answer\n`]);
});

test.run();
