/* `aidash top`: one screen, JSON, and a terminal of its own with a resize, a restart of the server, keys, signals. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import { BIN, ROOT, connect, environment, ingest, poll, run, serve, start, within } from './aidash.mjs';
import { DONE_EVENT, LAST_CHUNK, STREAM_HEAD, abreast, chatEvent, chunk, collect, isRequest, metered, post, replay } from './engine.mjs';
import { authority, terminate } from './tls.mjs';

const test = abreast('top');
const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-top-'));
const helper = path.join(dir, 'terminal');
const LINUX = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1, SIGQUIT: 3 };
before(() => {
    const built = spawnSync(process.env.CC || 'cc', ['-O1', '-Wall', '-Wextra', '-Werror', '-o', helper,
        path.join(ROOT, 'tests/e2e/terminal.c')], { encoding: 'utf8' });
    assert.equal(built.status, 0, built.stderr);
});
after(() => rmSync(dir, { recursive: true }));

const place = (server) => `localhost:${server.port}`;
const top = (args, env = {}) => run(['top', ...args], { env: { LC_ALL: 'C.UTF-8', ...env } });
async function json(server, ...args) {
    const { code, stdout, stderr } = await top(['--once', '--json', place(server), ...args]);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
}

/* aidash top on a terminal. screen() is what the last whole frame shows, without its colours. */
function onTerminal(t, args, { columns = 80, rows = 24, env = {} } = {}) {
    const proc = spawn(helper, [columns, rows, BIN, 'top', ...args].map(String),
        { env: environment({ TERM: 'xterm', LC_ALL: 'C.UTF-8', NO_COLOR: '', ...env }), stdio: ['pipe', 'pipe', 'pipe'] });
    const terminal = { out: '', told: '', say: (line) => proc.stdin.write(`${line}\n`) };
    proc.stdout.setEncoding('utf8').on('data', (text) => { terminal.out += text; });
    proc.stderr.on('data', (text) => { terminal.told += text; });
    proc.stdin.on('error', () => {});
    const closed = new Promise((done) => { proc.on('close', done); });
    t.after(() => proc.stdin.end());
    terminal.screen = () => {
        const end = terminal.out.lastIndexOf('\x1b[J');
        const begin = terminal.out.lastIndexOf('\x1b[H', end);
        return end < 0 ? '' : terminal.out.slice(begin + 3, end).replaceAll(/\x1b\[[0-9;]*[mK]/g, '').replaceAll('\r', '');
    };
    terminal.shows = (pattern) => poll(() => terminal.screen().match(pattern), `screen with ${pattern}; it is ${terminal.screen()}`);
    terminal.ended = async () => {
        await within(closed, 'end of aidash top');
        return terminal.told.trim();
    };
    return terminal;
}

test('one screen, and one object, of what a server does', async (t) => {
    const engine = await replay(t, { models: ['a model'] });
    const server = await metered(t, engine);
    const viewer = await connect(server);
    engine.answerAll((call) => call.socket.end(STREAM_HEAD + ['Well', ' then', '.'].map((word) => chunk(chatEvent(word, { model: 'a model' }))).join('')
        + chunk(DONE_EVENT) + LAST_CHUNK));
    await collect(server, post('/v1/chat/completions', JSON.stringify({ model: 'a model', stream: true, messages: [] })));
    const record = await viewer.next(isRequest);
    const { code, stdout } = await top(['--once', place(server)]);
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^aidash  localhost:${server.port}  (running|idle)  \\d viewers?  version \\d`));
    assert.match(stdout, /^model {5}a model/m);
    assert.match(stdout, /^ +id model +status +tokens +TTFT +tok\/s +context\n +1 a model +finished +~?3 /m);
    assert.doesNotMatch(stdout, /[\x00-\x09\x0b-\x1f]/, 'no terminal: no escape');
    const seen = await json(server);
    assert.equal(seen.place, place(server));
    assert.equal(seen.model, 'a model');
    assert.equal(seen.connected, true);
    assert.equal(seen.board, null);
    assert.deepEqual(seen.running, []);
    assert.equal(seen.requests.length, 1);
    assert.equal(seen.requests[0].id, record.id);
    assert.equal(seen.requests[0].completion_tokens, record.completion_tokens);
    assert.equal(seen.requests[0].ttft_ms, record.ttft_ms);
    assert.ok(seen.viewers >= 1, 'the viewer');
});

test('what is still kept is there at once: rate, sparkline, latency, board', async (t) => {
    const server = await serve(t, ['--source', 'none', '--sysroot', ROOT], { env: { AIDASH_NO_BOARD: 'no' } });
    const viewer = await connect(server);
    const lines = Array.from({ length: 1500 }, (_, i) => ({ model: 'kept', tokens: 1, latency_ms: 1 + i % 100 }));
    for (let i = 0; i < lines.length; i += 100) {
        await ingest(server, ...lines.slice(i, i + 100));
    }
    await viewer.next((event) => event.event === 'board');
    const seen = await json(server);
    assert.equal(seen.tokens_generated, 1500);
    assert.ok(seen.latency_p50_ms >= 45 && seen.latency_p50_ms <= 55, String(seen.latency_p50_ms));
    assert.ok(seen.latency_p95_ms >= 90 && seen.latency_p95_ms <= 99, String(seen.latency_p95_ms));
    assert.equal(typeof seen.board.cpu, 'object');
    const ascii = await top(['--once', place(server)], { LC_ALL: 'C' });
    assert.match(ascii.stdout, /^tokens\/s .*[.:=+*#@-]$/m);
    assert.doesNotMatch(ascii.stdout, /[^\x20-\x7e\n]/);
    assert.match((await top(['--once', place(server)])).stdout, /^tokens\/s .*[▁▂▃▄▅▆▇█]$/m);
});

test('on a terminal: names of wide characters, another size, a key', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    await ingest(server, { model: '日本語モデル', tokens: 5, latency_ms: 20 });
    const terminal = onTerminal(t, [place(server)]);
    await terminal.shows(/^model {5}日本語モデル  5 tokens$/m);
    assert.equal(terminal.screen().split('\n').length, 24);
    assert.match(terminal.out, /^\x1b\[\?1049h\x1b\[\?25l/, 'a screen of its own, without cursor');
    assert.match(terminal.out, /\x1b\[1m/, 'colours');
    terminal.say('size 40 10');
    await poll(() => terminal.screen().split('\n').length === 10, 'smaller screen');
    assert.ok(terminal.screen().split('\n').every((line) => line.length <= 40), terminal.screen());
    terminal.say('size 20 3');
    await poll(() => terminal.screen().split('\n').length === 3, 'tiny screen');
    terminal.say('size 200 60');
    await poll(() => terminal.screen().split('\n').length === 60, 'large screen');
    await ingest(server, { model: '日本語モデル', tokens: 37, latency_ms: 20 });
    await terminal.shows(/  42 tokens/);
    terminal.say('key q');
    assert.equal(await terminal.ended(), 'exit 0 same');
    assert.match(terminal.out, /\x1b\[\?25h\x1b\[\?1049l$/, 'the screen that was before, with its cursor');
});

test('no colours with NO_COLOR; one screen on a terminal that can do nothing', async (t) => {
    const server = await serve(t, []);
    const plain = onTerminal(t, [place(server)], { env: { NO_COLOR: '1' } });
    await plain.shows(/^tokens\/s  \d/m);
    plain.say('key q');
    await plain.ended();
    assert.doesNotMatch(plain.out, /\x1b\[[0-9;]+m/);
    const dumb = onTerminal(t, [place(server)], { env: { TERM: 'dumb' } });
    assert.equal(await dumb.ended(), 'exit 0 same');
    assert.match(dumb.out, /^aidash  localhost/);
});

for (const [name, number] of Object.entries(LINUX)) {
    test(`${name} leaves the terminal as it was`, async (t) => {
        const server = await serve(t, []);
        const terminal = onTerminal(t, [place(server)]);
        await terminal.shows(/q: quit/);
        terminal.say(`signal ${number}`);
        assert.equal(await terminal.ended(), 'exit 0 same');
        assert.match(terminal.out, /\x1b\[\?1049l$/);
    });
}

test('a server that is killed and comes back: it says so, and goes on', async (t) => {
    const first = await start(['--source', 'none']);
    await ingest(first, { model: 'before', tokens: 1 });
    const terminal = onTerminal(t, [place(first)]);
    await terminal.shows(/^model {5}before/m);
    first.proc.kill('SIGKILL');
    await first.exit;
    await terminal.shows(/connection lost/);
    await terminal.shows(/: again in \d s - q: quit$/);
    const second = await serve(t, ['--source', 'none'], { listen: ['--listen', `127.0.0.1:${first.port}`] });
    await ingest(second, { model: 'behind', tokens: 3 });
    await terminal.shows(/^model {5}behind  3 tokens/m);
    await terminal.shows(/^aidash .* running|^aidash .* idle/m);
    terminal.say('key q');
    assert.equal(await terminal.ended(), 'exit 0 same');
});

test('JSON each second, through the loss of the server, until a signal', async (t) => {
    const server = await start(['--source', 'none']);
    const proc = spawn(BIN, ['top', '--json', place(server)], { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
    t.after(() => proc.kill('SIGKILL'));
    let text = '';
    proc.stdout.on('data', (piece) => { text += piece; });
    const objects = () => text.split('\n').slice(0, -1).map((line) => JSON.parse(line));
    await poll(() => objects().length >= 2, 'two objects');
    assert.ok(objects().every((each) => each.connected && each.state === 'idle'));
    server.proc.kill('SIGKILL');
    await poll(() => objects().some((each) => !each.connected && each.state === 'connection lost'), 'object that tells the loss');
    proc.kill('SIGTERM');
    assert.equal(await within(new Promise((done) => { proc.on('close', done); }), 'end'), 0);
});

test('a key: asked for, from a file of one\'s own, from the environment', async (t) => {
    const state = path.join(dir, 'state');
    const server = await serve(t, ['--source', 'none', '--view', 'key', '--state-dir', state]);
    const add = async (name, rights) => (await run(['keys', 'add', name, '--rights', rights, '--state-dir', state])).stdout.match(/aidash_\S{43}/)[0];
    const key = await add('watcher', 'view');
    const other = await add('sender', 'ingest');
    const none = await top(['--once', place(server)]);
    assert.equal(none.code, 1);
    assert.match(none.stderr, /asks for a key \(401\).*`aidash keys add NAME --rights view`.*--key-file FILE.*`aidash pair`/s);
    const file = path.join(dir, 'key');
    writeFileSync(file, `${key}\n`, { mode: 0o600 });
    await poll(async () => (await top(['--once', place(server), '--key-file', file])).code === 0, 'server that knows the key');
    assert.equal((await top(['--once', place(server)], { AIDASH_TOKEN: key })).code, 0);
    const wrong = await top(['--once', place(server)], { AIDASH_TOKEN: `${key}x` });
    assert.match(wrong.stderr, /does not know this key/);
    await poll(async () => /the key may not view/.test((await top(['--once', place(server)], { AIDASH_TOKEN: other })).stderr), 'refusal by 403');
    chmodSync(file, 0o640);
    const open = await top(['--once', place(server), '--key-file', file]);
    assert.equal(open.code, 2);
    assert.match(open.stderr, /others may read it: chmod 600/);
    assert.doesNotMatch(none.stderr + wrong.stderr + open.stderr, new RegExp(key));
    // While it runs: it ends when the key is revoked.
    chmodSync(file, 0o600);
    const terminal = onTerminal(t, ['--key-file', file, place(server)]);
    await terminal.shows(/q: quit/);
    assert.equal((await run(['keys', 'revoke', '1', '--state-dir', state])).code, 0);
    assert.equal(await terminal.ended(), 'exit 1 same');
    assert.match(terminal.out, /\x1b\[\?1049l.*does not know this key, or no longer/s);
});

test('https: by the authority that --ca names, and not without', async (t) => {
    const ca = authority();
    t.after(() => ca.remove());
    const server = await serve(t, []);
    const front = await terminate(t, server.port, ca.issue());
    const good = await top(['--once', '--ca', ca.file, front.url]);
    assert.equal(good.code, 0, good.stderr);
    assert.match(good.stdout, /^aidash  localhost/);
    const bad = await top(['--once', front.url], { SSL_CERT_FILE: (() => { const other = authority('another'); t.after(() => other.remove()); return other.file; })() });
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /its certificate is of an authority that is not known here/);
    assert.equal((await top(['--once', '--ca', '/nowhere', front.url])).code, 1);
});

test('what is no aidash: said, and never believed', async (t) => {
    const answers = {
        'an engine': 'HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}',
        'a page for all paths': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}',
        'no HTTP': 'SSH-2.0-x\r\n',
        'nothing': '',
        'an endless answer': `HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n{"a":"${'x'.repeat(5_000_000)}`,
        'a redirect': 'HTTP/1.1 308 Permanent Redirect\r\nLocation: https://x/\r\nContent-Length: 0\r\n\r\n',
    };
    for (const [what, text] of Object.entries(answers)) {
        const server = net.createServer((socket) => { socket.on('error', () => {}); socket.once('data', () => socket.end(text)); });
        await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
        const { code, stdout, stderr } = await top(['--once', `127.0.0.1:${server.address().port}`]);
        server.close();
        assert.equal(code, 1, what);
        assert.equal(stdout, '', what);
        assert.match(stderr, what === 'a redirect' ? /leads elsewhere \(308\): .* https:\/\// : /no aidash/, what);
    }
    const away = await top(['--once', '127.0.0.1:1']);
    assert.match(away.stderr, /no aidash answers at http:\/\/127\.0\.0\.1:1: it can't be reached/);
});

test('an answer that never ends is given up', async (t) => {
    const answers = { 'its head': ['HTTP/1.1 200 OK\r\nX: ', 'x'], 'its body': ['HTTP/1.1 200 OK\r\n\r\n', ' '],
        'its size': ['HTTP/1.1 200 OK\r\n\r\n', 'x'.repeat(200_000)] };
    await Promise.all(Object.entries(answers).map(async ([what, [begin, more]]) => {
        const server = net.createServer((socket) => {
            const writing = setInterval(() => { if (socket.writableLength === 0) { socket.write(more); } }, 100);
            socket.on('error', () => {});
            socket.on('close', () => clearInterval(writing));
            socket.once('data', () => socket.write(begin));
        });
        await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
        t.after(() => server.close());
        const { code, stdout, stderr } = await top(['--once', `127.0.0.1:${server.address().port}`]);
        assert.equal(code, 1, what);
        assert.equal(stdout, '', what);
        assert.match(stderr, /no aidash answers at \S+: it gives no whole answer/, what);
    }));
});

test('a hostile server: no escape reaches the terminal', async (t) => {
    const evil = 'x\u001b]0;owned\u0007\u001b[2J\u009b31m\u202egnp';
    const body = JSON.stringify({ posture: 'x', model: evil, models: [evil], paused: false, next_seq: 5, clients: { websocket: 1e300 }, version: evil, board: { name: evil, gpus: [{ name: evil, percent: 3 }] } });
    const events = [{ event: 'hello', model: evil, models: [evil], run: evil }, { event: 'inference_tick', model: evil, latency_ms: -1, tokens_per_second: 1e308, tokens_generated: 1e308, timestamp: 1 },
        { event: 'request', id: 1, status: evil, model: evil, client: evil }, { event: 'verdict', on: true, sentence: evil }, { event: 'alert', state: 'firing', name: evil }];
    const server = net.createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', (head) => {
            if (!String(head).startsWith('GET /events')) {
                socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
                return;
            }
            socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ${'y'.repeat(100_000)}\n\n`
                + events.map((each, i) => `id: \u001b[2J-${i}\nid: r-${i + 1}\ndata: ${JSON.stringify(each)}\n\n`).join(''));
        });
    });
    await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
    t.after(() => server.close());
    const where = `127.0.0.1:${server.address().port}`;
    const screen = await top(['--once', where]);
    assert.equal(screen.code, 0, screen.stderr);
    assert.match(screen.stdout, /x\]0;owned\[2J31mgnp/);
    assert.doesNotMatch(screen.stdout, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    const one = await top(['--once', '--json', where]);
    assert.doesNotMatch(one.stdout, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    assert.equal(JSON.parse(one.stdout).board.name, evil);
    const terminal = onTerminal(t, [where]);
    await terminal.shows(/gpu/);
    terminal.say('key q');
    await terminal.ended();
    assert.doesNotMatch(terminal.out, /\x1b\]|\x07|\x9b|\u202e/);
});

test('an alert that fires is on the screen, and in the object', async (t) => {
    const server = await serve(t, ['--alert', 'tokens_per_second > 0.1']);
    const terminal = onTerminal(t, [place(server)]);
    await terminal.shows(/^alert: \S+/m);
    terminal.say('key q');
    await terminal.ended();
    assert.equal((await json(server)).alerts.length, 1);
});

test('options that are wrong', async () => {
    for (const [args, said] of [
        [['--onec'], /unknown option --onec; the nearest is --once/],
        [['a', 'b'], /'b' is too much/],
        [['-x'], /'-x' is too much/],
        [['ftp://x'], /must begin with http:\/\/ or https:\/\//],
        [['a b:1'], /neither an address nor a name/],
        [['--key-file', '/nowhere'], /--key-file: \/nowhere: No such file/],
        [['--key-file'], /--key-file/],
        [['--key-file', dir], /it is no file/],
    ]) {
        const { code, stderr } = await top(args);
        assert.equal(code, 2, args.join(' '));
        assert.match(stderr, said);
    }
    assert.equal((await top(['x'], { AIDASH_TOKEN: 'a\nb' })).code, 2);
    assert.match((await top(['--help'])).stdout, /^usage: aidash top/);
});

test.run();
