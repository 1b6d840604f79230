/* Engines to put aidash in front of: a real llama-server with a model of random
 * numbers, and a server of raw bytes that does whatever a test wants.
 *
 * The real one is fetched into build/engine by tests/engine/get-llama-server.
 * Where that fails, `missing` says why, and tests that need it are skipped.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { freePort } from '../programs.mjs';
import { Inbox, ROOT, SLOW, isTick, poll, request, start, within } from './aidash.mjs';

const HERE = path.join(ROOT, 'tests/engine');
const DIR = path.join(ROOT, 'build/engine');
export const TRANSCRIPTS = path.join(HERE, 'transcripts');

/* ---- the real one ------------------------------------------------------------ */

/* Fetch the engine unless it is there; returns why it can't be had, or ''. */
export function missing() {
    const got = spawnSync('sh', [path.join(HERE, 'get-llama-server'), DIR],
        { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'], timeout: 150_000 });
    return got.status === 0 ? ''
        : `llama-server can't be had: ${got.stderr.trim().split('\n').at(-1) || 'it took too long'}`;
}

const MAKE = {
    'tiny-a': ['--seed', '1'],
    'tiny-b': ['--seed', '2', '--utf8', '--stops'],
    'tiny-tools': ['--seed', '5', '--tool-call'],
    mid: ['--seed', '4', '--dim', '512', '--layers', '8', '--ffn', '2048'],
};

/* The model's file; made under another name first, as another test may make it
 * at the same time. */
function gguf(alias, file = path.join(DIR, `${alias}.gguf`)) {
    if (!existsSync(file)) {
        const made = spawnSync('python3', [path.join(HERE, 'make-tiny-gguf.py'), `${file}.${process.pid}`,
            '--name', alias, ...MAKE[alias]], { encoding: 'utf8' });
        assert.equal(made.status, 0, made.stderr);
        renameSync(`${file}.${process.pid}`, file);
    }
    return file;
}

/* Start it and wait until it is healthy. */
async function launch(bin, args, { cwd, env = {} }) {
    const port = await freePort();
    const proc = spawn(bin, ['--offline', '--host', '127.0.0.1', '--port', String(port), '--metrics', '--slots',
        '--threads', '1', ...args], { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let log = '';
    const keep = (text) => { log = (log + text).slice(-4000); };
    proc.stdout.on('data', keep);
    proc.stderr.on('data', keep);
    const exit = new Promise((done) => {
        proc.on('error', (error) => { keep(error.message); done(); });
        proc.on('close', done);
    });
    let over = false;
    exit.then(() => { over = true; });
    const killNow = () => proc.kill('SIGKILL');
    process.on('exit', killNow);
    const engine = {
        host: '127.0.0.1',
        port,
        url: `http://127.0.0.1:${port}`,
        pid: proc.pid,
        kill: () => { proc.kill('SIGKILL'); return exit; },
        /* SIGTERM first, as a router then stops its children; but llama-server
         * sometimes waits for ever when it was generating. */
        async stop() {
            proc.kill('SIGTERM');
            const late = setTimeout(killNow, 3000);
            await exit;
            clearTimeout(late);
            process.off('exit', killNow);
        },
        json: async (where) => (await request(engine, where)).json,
        /* Slots that work now. */
        busy: async (where = '/slots') => (await engine.json(where)).filter((slot) => slot.is_processing).length,
        /* A counter of /metrics, without its prefix. */
        async counter(name, where = '/metrics') {
            const page = (await request(engine, where)).text;
            return Number(page.match(new RegExp(`^llamacpp:${name} (\\S+)$`, 'm'))[1]);
        },
    };
    await poll(async () => {
        assert.ok(!over, `the engine ended: ${log}`);
        return (await request(engine, '/health').catch(() => ({}))).status === 200;
    }, 'healthy engine', 60_000 * SLOW);
    return engine;
}

/* A llama-server with one model: tiny-a (English words, never ends by itself),
 * tiny-b (several tokens a character), tiny-tools (each answer is a call). */
export function llama(alias = 'tiny-a', args = []) {
    return launch(path.join(DIR, 'llama-server'), ['-m', gguf(alias), '--alias', alias,
        '--parallel', '8', '--ctx-size', '65536', ...(alias === 'tiny-tools'
            ? ['--chat-template-file', path.join(HERE, 'template-think-tools.jinja'), '--reasoning', 'off'] : []),
        ...args], { cwd: DIR });
}

/* In router mode: tiny-a and tiny-b, one of them loaded at a time. It starts its
 * children from /proc/self/exe, which must be the server and not the dynamic
 * linker: a copy that names ./ld.so as its linker. */
export function router(args = []) {
    const dir = path.join(DIR, 'router');
    const server = path.join(dir, 'llama-server');
    const root = path.join(DIR, 'root/usr/lib');
    const lib = readdirSync(root).map((name) => path.join(root, name))
        .find((name) => existsSync(path.join(name, 'llama')));
    mkdirSync(path.join(dir, 'models'), { recursive: true });
    for (const alias of ['tiny-a', 'tiny-b']) {
        gguf(alias, path.join(dir, 'models', `${alias}.gguf`));
    }
    if (!existsSync(server)) {
        const link = (target, name) => existsSync(path.join(dir, name)) || symlinkSync(target, path.join(dir, name));
        link(path.join(lib, readdirSync(lib).find((name) => /^ld-linux.*\.so\.\d+$/.test(name))), 'ld.so');
        const backends = readdirSync(path.join(lib, 'ggml')).filter((name) => name.startsWith('backends'))
            .map((name) => path.join(lib, 'ggml', name));
        for (const from of backends) {
            readdirSync(from).filter((name) => name.endsWith('.so'))
                .forEach((name) => link(path.join(from, name), name));
        }
        const bytes = readFileSync(path.join(DIR, 'root/usr/bin/llama-server'));
        const at = bytes.toString('latin1').search(/\/lib[0-9a-z/_-]*\/ld-linux[0-9a-z_-]*\.so\.[0-9]+\0/);
        bytes.write('./ld.so\0', at, 'latin1');
        writeFileSync(`${server}.${process.pid}`, bytes, { mode: 0o755 });
        renameSync(`${server}.${process.pid}`, server);
    }
    return launch(server, ['--models-dir', 'models', '--models-max', '1', '--parallel', '4', '--ctx-size', '16384',
        ...args], { cwd: dir, env: { LD_LIBRARY_PATH: `${lib}:${path.join(lib, 'llama')}` } });
}

/* ---- one of raw bytes ---------------------------------------------------------- */

/* The first request in bytes as { method, target, headers, body, size }, or null
 * while it is incomplete. `headers` has lines as they came. */
function parseRequest(bytes) {
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0) {
        return null;
    }
    const [line, ...headers] = bytes.toString('latin1', 0, end).split('\r\n');
    const [method, target, version] = line.split(' ');
    const value = (name) => headers.find((h) => h.toLowerCase().startsWith(`${name}:`))
        ?.slice(name.length + 1).trim();
    const found = { method, target, version, headers, value };
    let at = end + 4;
    if (value('transfer-encoding') === 'chunked') {
        const parts = [];
        for (;;) {
            const eol = bytes.indexOf('\r\n', at);
            const size = eol < 0 ? NaN : parseInt(bytes.toString('latin1', at, eol), 16);
            if (!(eol >= 0 && eol + 2 + size + 2 <= bytes.length)) {
                return null;
            }
            parts.push(bytes.subarray(eol + 2, eol + 2 + size));
            at = eol + 2 + size + 2;
            if (size === 0) {
                return { ...found, body: Buffer.concat(parts) };
            }
        }
    }
    const length = Number(value('content-length') ?? 0);
    return bytes.length < at + length ? null : { ...found, body: bytes.subarray(at, at + length) };
}

export const answer = (body, { status = '200 OK', type = 'application/json', extra = '' } = {}) =>
    `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\n${extra}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

export const STREAM_HEAD = 'HTTP/1.1 200 OK\r\nServer: replay\r\nContent-Type: text/event-stream\r\n'
    + 'Keep-Alive: timeout=5, max=100\r\nTransfer-Encoding: chunked\r\n\r\n';
export const chunk = (data) => `${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`;
export const LAST_CHUNK = '0\r\n\r\n';
export const chatEvent = (content, more = {}) => `data: ${JSON.stringify({ object: 'chat.completion.chunk',
    model: 'replayed', choices: [{ index: 0, delta: { content }, finish_reason: null }], ...more })}\n\n`;
export const DONE_EVENT = 'data: [DONE]\n\n';

/* An engine that lists `models` and otherwise leaves each connection to the test:
 * `await engine.next()` gives { request, socket, write(), closed } once a request
 * has come whole. With `early`, as soon as its head has. `lists` maps a path that
 * aidash asks by itself to a body. */
export async function replay(t, { models = ['replayed'], lists = {}, early = false } = {}) {
    const inbox = new Inbox();
    const sockets = new Set();
    const pages = { '/v1/models': JSON.stringify({ object: 'list', data: models.map((id) => ({ id, object: 'model' })) }),
        ...lists };
    const asked = [];
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
        const call = { socket, bytes: Buffer.alloc(0), halfClosed: false, ended: false };
        let told = false;
        sockets.add(socket);
        call.write = (data) => new Promise((done) => { socket.write(data, done); });
        call.closed = new Promise((done) => {
            socket.on('close', () => { call.ended = true; sockets.delete(socket); done(); });
        });
        socket.on('error', () => {});
        socket.on('end', () => { call.halfClosed = true; socket.end(); });
        socket.on('data', (part) => {
            call.bytes = Buffer.concat([call.bytes, part]);
            if (told) {
                return;
            }
            call.request = parseRequest(early
                ? call.bytes.subarray(0, call.bytes.indexOf('\r\n\r\n') + 4) : call.bytes) ?? call.request;
            const head = call.bytes.toString('latin1').split('\r\n\r\n')[0].split('\r\n');
            if (early && call.bytes.includes('\r\n\r\n') && !call.request) {
                const [method, target] = head[0].split(' ');
                call.request = { method, target, headers: head.slice(1) };
            }
            if (!call.request) {
                return;
            }
            told = true;
            const { method, target } = call.request;
            const page = method === 'GET' ? pages[target] : undefined; // null: there is none
            asked.push(`${method} ${target}`);
            if (page) {
                socket.end(answer(page));
            } else if (page === null || (method === 'GET' && target === '/api/ps')) {
                socket.end(answer('{"error":"no"}', { status: '404 Not Found' }));
            } else {
                inbox.push(call);
            }
        });
    });
    const listen = (port) => new Promise((ready, fail) => {
        server.once('error', fail);
        server.listen(port, '127.0.0.1', ready);
    });
    await listen(0);
    const { port } = server.address();
    const engine = {
        host: '127.0.0.1',
        port,
        url: `http://127.0.0.1:${port}`,
        pages,
        asked,
        next: (match, what = 'request at the engine') => inbox.next(match, what),
        all: inbox.all,
        connections: () => sockets.size,
        /* From now on each request is answered by answer(call). */
        async answerAll(reply = (call) => call.socket.end(answer('{}'))) {
            for (let call; (call = await inbox.next(undefined, undefined, 600_000).catch(() => null)) !== null;) {
                reply(call);
            }
        },
        /* Refuse connections from now on, and listen again. */
        async down() {
            server.close();
            sockets.forEach((socket) => socket.destroy());
        },
        up: () => listen(port),
    };
    t.after(() => {
        inbox.end('the test is over');
        return engine.down();
    });
    return engine;
}

/* Carries a connection to `port` and keeps what each side sent. */
export async function tap(t, port) {
    const calls = [];
    const server = net.createServer({ noDelay: true }, (down) => {
        const up = net.connect({ port, host: '127.0.0.1', noDelay: true });
        const call = { sent: [], got: [] };
        calls.push(call);
        for (const [from, to, kept] of [[down, up, call.sent], [up, down, call.got]]) {
            from.on('error', () => to.destroy());
            from.on('data', (part) => { kept.push(part); to.write(part); });
            from.on('end', () => to.end());
            from.on('close', () => to.destroySoon());
        }
    });
    await new Promise((ready) => { server.listen(0, '127.0.0.1', ready); });
    t.after(() => { server.close(); });
    return {
        port: server.address().port,
        url: `http://127.0.0.1:${server.address().port}`,
        /* Bytes of the newest connection whose request line contains `mark`. */
        find(mark) {
            const call = calls.findLast(({ sent }) => Buffer.concat(sent).toString('latin1').split('\r\n')[0].includes(mark));
            return { sent: Buffer.concat(call.sent), got: Buffer.concat(call.got) };
        },
    };
}

/* ---- answers, and what is told of them ------------------------------------------- */

const HOP = /^(connection|keep-alive|proxy-connection):/i;

/* An answer's bytes as { interim, lines, body, data, complete }: its final head
 * without what is about the connection alone, the body's bytes with their framing
 * and without; `complete` unless a chunked one has no last chunk. */
export function takeApart(bytes) {
    const all = Buffer.from(bytes);
    let at = 0;
    let end;
    do {
        end = all.indexOf('\r\n\r\n', at);
        assert.ok(end >= 0, `an answer with a head: ${all.toString('latin1', 0, 200)}`);
        at = /^HTTP\/1\.1 1\d\d /.test(all.toString('latin1', at, at + 14)) ? end + 4 : at;
    } while (at > end);
    const lines = all.toString('latin1', at, end).split('\r\n').filter((line) => !HOP.test(line));
    const body = all.subarray(end + 4);
    const chunked = lines.some((line) => /^transfer-encoding: *chunked$/i.test(line));
    return {
        interim: all.toString('latin1', 0, at),
        lines,
        body,
        ...(chunked ? dechunk(body) : { data: body, complete: true }),
    };
}

/* Sends a request and keeps the answer in pieces, for answers of megabytes.
 * Nothing is read before resume() if it is `slow`. */
export function collect(server, bytes, { slow = false } = {}) {
    const socket = net.connect({ host: server.host, port: server.port, noDelay: true });
    const parts = [];
    socket.on('error', () => {});
    socket.on('data', (part) => parts.push(part));
    if (slow) {
        socket.pause();
    }
    const whole = new Promise((done) => { socket.on('close', () => done(Buffer.concat(parts))); });
    socket.write(bytes);
    return { resume: () => socket.resume(), rest: () => within(whole, 'end of the answer', 30_000 * SLOW) };
}

/* A chunked body without its framing; `complete` says that the last chunk came. */
export function dechunk(body) {
    const parts = [];
    for (let at = 0; ;) {
        const eol = body.indexOf('\r\n', at);
        const size = eol < 0 ? 0 : parseInt(body.toString('latin1', at, eol), 16);
        if (eol < 0 || size === 0) {
            return { data: Buffer.concat(parts), complete: eol >= 0 };
        }
        parts.push(body.subarray(eol + 2, eol + 2 + size));
        at = eol + 2 + size + 2;
    }
}

export const post = (where, body, extra = '') => Buffer.from(`POST ${where} HTTP/1.1\r\nHost: a\r\n`
    + `Connection: close\r\nContent-Type: application/json\r\n${extra}`
    + `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);

export const get = (where, extra = '') => `GET ${where} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${extra}\r\n`;

/* The record of a request that has ended, and what is told before. */
export const isRequest = (event) => event.event === 'request' && !isProgress(event);
export const isProgress = (event) => event.event === 'request' && ['running', 'queued'].includes(event.status);
export const isStart = (event) => event.event === 'request_start';

/* aidash in front of these engines, for one test: stopped, and checked, at its end. */
export async function metered(t, engines, args = []) {
    const list = Array.isArray(engines) ? engines : [engines];
    const server = await start(['--backlog', '2048',
        ...list.flatMap((engine) => ['--upstream', engine.url ?? engine]), ...args]);
    t.after(() => server.stop());
    return server;
}

/* The ticks among events, in order, batches or not. */
export const ticksOf = (events, model) => events.filter((e) => isTick(e) && (!model || e.model === model));

/* The tests of a file that mostly wait, several at a time: `const test = abreast(NAME)`
 * in front of them and test.run() behind. */
export function abreast(name) {
    const cases = [];
    const test = (...args) => cases.push(args);
    test.run = () => describe(name, { concurrency: 4 }, () => cases.forEach((args) => it(...args)));
    return test;
}
