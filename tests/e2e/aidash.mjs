/* Starts aidash and talks to it from outside: npm ws for well-behaved viewers,
 * raw sockets for all others. Nothing here sleeps to "let something happen":
 * every wait is for an event and has a limit, so a hang becomes a failure.
 *
 *   AIDASH_BIN        the binary under test, default build/aidash
 *   AIDASH_SLOW       how many times as long the tests wait as for an ordinary
 *                     build: more than 1 under sanitizers and emulation
 *   AIDASH_SANITIZED  set for sanitizer builds, whose resident memory is not
 *                     aidash's own and is not measured
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const BIN = path.resolve(process.env.AIDASH_BIN ?? path.join(ROOT, 'build/aidash'));
export const SANITIZED = Boolean(process.env.AIDASH_SANITIZED);
export const SLOW = Number(process.env.AIDASH_SLOW ?? 1);
/* A limit for what never comes: a machine that is busy with other tests may need seconds for what it does in
 * milliseconds alone. No test may need it to be short. */
const PATIENCE_MS = 20_000 * SLOW;
const SANITIZER = /(Address|Leak|Thread|Memory)Sanitizer|runtime error:/;

/* ---- waiting ---------------------------------------------------------------- */

export const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

export async function within(promise, what, ms = PATIENCE_MS) {
    let timer;
    const late = new Promise((_, fail) => {
        timer = setTimeout(() => fail(new Error(`no ${what} within ${ms} ms`)), ms);
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

/* Ask again until the answer is truthy: for state that sends no event. */
export async function poll(ask, what, ms = PATIENCE_MS) {
    const end = Date.now() + ms;
    for (;;) {
        const answer = await ask();
        if (answer) {
            return answer;
        }
        assert.ok(Date.now() < end, `no ${what} within ${ms} ms`);
        await sleep(10);
    }
}

/* Things that arrive one by one. next() walks on from where the last left off. */
export class Inbox {
    all = [];
    #at = 0;
    #ended = null;
    #waiting = [];

    push(item) {
        this.all.push(item);
        this.#wake();
    }

    end(why) {
        this.#ended ??= why;
        this.#wake();
    }

    #wake() {
        for (const wake of this.#waiting.splice(0)) {
            wake();
        }
    }

    async next(match = () => true, what = match.toString(), ms = PATIENCE_MS) {
        const end = Date.now() + ms;
        for (;;) {
            while (this.#at < this.all.length) {
                const item = this.all[this.#at++];
                if (match(item)) {
                    return item;
                }
            }
            assert.equal(this.#ended, null, `${this.#ended} while waiting for ${what}`);
            const woken = new Promise((wake) => { this.#waiting.push(wake); });
            await within(woken, what, Math.max(1, end - Date.now()));
        }
    }
}

/* ---- the process ------------------------------------------------------------- */

/* Only the test's own AIDASH_* variables reach the server. Without one that says otherwise it does not read the board: its
 * event a second would come between those that a test counts. */
export function environment(extra = {}) {
    const clean = Object.entries(process.env).filter(([name]) => !name.startsWith('AIDASH_'));
    return { ...Object.fromEntries(clean), AIDASH_NO_BOARD: 'yes', ...extra };
}

/* Run to the end: for options that print and leave, and for those refused. */
export async function run(args, { env = {}, bin = BIN } = {}) {
    const proc = spawn(bin, args, { env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] });
    const out = { stdout: '', stderr: '' };
    proc.stdout.on('data', (text) => { out.stdout += text; });
    proc.stderr.on('data', (text) => { out.stderr += text; });
    try {
        const code = await within(new Promise((done, fail) => {
            proc.on('close', done);
            proc.on('error', fail);
        }), `exit of aidash ${args.join(' ')}`);
        assert.doesNotMatch(out.stderr, SANITIZER);
        return { code, ...out };
    } finally {
        proc.kill('SIGKILL');
    }
}

/* A server on a free port of 127.0.0.1; `listen` replaces that option, `input` is
 * written to its stdin, which stays open as server.proc.stdin ('' for nothing
 * yet). Returns when the log has the line that says where it listens, or
 * another one that is `ready`. */
export async function start(args = [], { env = {}, input, bin = BIN,
    listen = ['--listen', '127.0.0.1:0'], ready = /listening on https?:\/\/(\S+):(\d+).*\n/ } = {}) {
    const proc = spawn(bin, [...listen, ...args],
        { env: environment(env), stdio: [input === undefined ? 'ignore' : 'pipe', 'ignore', 'pipe'] });
    let log = '';
    let exited = null;
    const waiting = []; /* several may wait for the log */
    const wake = () => waiting.splice(0).forEach((each) => each());
    proc.stderr.on('data', (text) => { log += text; wake(); });
    proc.stdin?.on('error', () => {});
    proc.stdin?.write(input);
    const exit = new Promise((done) => {
        proc.on('error', (error) => { log += error.message; exited = -1; done(-1); wake(); });
        proc.on('close', (code, signal) => { exited = code ?? signal; done(exited); wake(); });
    });
    /* The one place that always shows why a server died, whatever else fails by it. */
    exit.then((code) => code === 0 || code === 'SIGKILL' || console.error(`exit ${code}: ${log.slice(-4000)}`));
    const killNow = () => proc.kill('SIGKILL');
    process.on('exit', killNow);

    const server = {
        proc,
        pid: proc.pid,
        exit,
        host: '127.0.0.1',
        stderr: () => log,

        /* Wait for a line of the log. */
        async logged(pattern) {
            const end = Date.now() + PATIENCE_MS;
            for (;;) {
                const found = log.match(pattern);
                if (found) {
                    return found;
                }
                assert.equal(exited, null, `aidash left early: ${log}`);
                await within(new Promise((more) => { waiting.push(more); }), `log line ${pattern}`,
                    Math.max(1, end - Date.now()));
            }
        },

        /* It leaves by itself, before any of its peers has to go by a limit of its own (10 s for a head), with
         * exit code 0 and a clean report. */
        async stop(signal = 'SIGTERM') {
            if (exited === null) {
                proc.kill(signal);
            }
            try {
                const code = await within(exit, `exit after ${signal}`, 9000 * SLOW);
                assert.equal(code, 0, `exit code ${code}: ${log.slice(-2000)}`);
                assert.doesNotMatch(log, SANITIZER);
            } finally {
                killNow();
                process.off('exit', killNow);
            }
        },
    };
    try {
        const [, host, port] = await server.logged(ready);
        Object.assign(server, { host, port: Number(port), url: `http://${host}:${port}` });
    } catch (error) {
        killNow();
        throw error;
    }
    return server;
}

/* start() for one test: the server is stopped, and checked, when it ends. */
export async function serve(t, args, options) {
    const server = await start(args, options);
    t.after(() => server.stop());
    return server;
}

/* Where the server takes UDP datagrams. */
export async function udpPort(server) {
    return Number((await server.logged(/UDP ingest on \S+:(\d+)\n/))[1]);
}

export function residentKb(server) {
    const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
    return Number(status.match(/VmRSS:\s+(\d+) kB/)[1]);
}

/* Resident memory is at most `limit` kB above `kb`. */
export function assertGrownAtMost(server, kb, limit) {
    const now = residentKb(server);
    assert.ok(SANITIZED || now - kb <= limit, `${kb} kB grew to ${now} kB, by more than ${limit} kB`);
}

export const openFiles = (server) => readdirSync(`/proc/${server.pid}/fd`).length;

/* ---- the schema -------------------------------------------------------------- */

const schemaFile = path.join(ROOT, 'www/contract.schema.json');

/* { NAME: validator } of all $defs of the contract. Ajv takes a third of a second of CPU to make them, which nearly every test file needs:
 * so the code that it makes is kept, under the name of what it is made of. */
const contract = () => {
    const require = createRequire(import.meta.url);
    const text = readFileSync(schemaFile);
    const made = createHash('sha256').update(text).update(require('ajv/package.json').version).digest('hex').slice(0, 16);
    const file = path.join(ROOT, `tests/node_modules/.cache/contract-${made}.cjs`);
    if (!existsSync(file)) {
        const { Ajv2020 } = require('ajv/dist/2020.js');
        const schema = JSON.parse(text);
        const ajv = new Ajv2020({ code: { source: true } }).addSchema(schema, 'contract');
        const names = Object.keys(schema.$defs).map((name) => [name, `contract#/$defs/${name}`]);
        mkdirSync(path.dirname(file), { recursive: true });
        writeFileSync(`${file}.${process.pid}`, require('ajv/dist/standalone').default(ajv, Object.fromEntries(names)));
        renameSync(`${file}.${process.pid}`, file); // whole or not at all, however many do it at once
    }
    return require(file);
};
let validators;

/* The value, which must be what $defs of the contract calls by this name. */
export function validate(value, name = 'Event') {
    validators ??= contract();
    const schema = validators[name];
    assert.ok(schema(value), `not a valid ${name}: ${JSON.stringify(value).slice(0, 1000)}: `
        + JSON.stringify(schema.errors));
    return value;
}

/* ---- events ------------------------------------------------------------------ */

export const isTick = (event) => event.event === 'inference_tick';
export const isStatus = (event) => event.event === 'status' && event.dropped === undefined;
export const isAnswer = (event) => event.event === 'ack' || event.event === 'error';

/* Each shared event with its sequence number, by the rule that clients follow.
 * Numbers never go back, and jump only where the server says that it dropped. */
export function numbered(events) {
    const found = [];
    let next = null;
    for (const event of events) {
        if (event.event === 'hello' || event.dropped !== undefined) {
            assert.ok(next === null || event.next_seq >= next, 'sequence numbers went back');
            next = event.next_seq;
        } else if (isTick(event)) {
            found.push({ seq: next++, event });
        } else if (event.event === 'batch') {
            assert.equal(event.seq, next, 'a batch carries its first tick\'s number');
            found.push(...event.ticks.map((tick) => ({ seq: next++, event: tick })));
        } else if (event.seq !== undefined) {
            assert.equal(event.seq, next, 'an event carries its own number');
            found.push({ seq: next++, event });
        }
    }
    return found;
}

/* ---- WebSocket viewers --------------------------------------------------------- */

let commandId = 0;

/* A viewer that npm ws runs. Returns when its hello has come (client.hello). Every
 * message is one JSON object that the schema describes. */
export async function connect(server, where = '/ws/test', options = {}) {
    const ws = new WebSocket(`ws://${server.host}:${server.port}${where}`,
        { perMessageDeflate: false, ...options });
    const inbox = new Inbox();
    const client = {
        ws,
        events: inbox.all,
        texts: [],
        next: (...args) => inbox.next(...args),
        tick: (match = () => true) => inbox.next((e) => isTick(e) && match(e), `tick ${match}`),
        send: (message) => ws.send(typeof message === 'string' || Buffer.isBuffer(message)
            ? message : JSON.stringify(message)),

        /* Send a command and return the ack or error that answers it. */
        async command(command) {
            const id = ++commandId;
            client.send({ ...command, id });
            return inbox.next((e) => isAnswer(e) && e.id === id, `answer to ${command.action}`);
        },
        close: () => ws.close(),
    };
    client.closed = new Promise((done) => {
        ws.on('close', (code, reason) => {
            inbox.end(`closed with ${code}`);
            done({ code, reason: reason.toString() });
        });
    });
    ws.on('message', (data, isBinary) => {
        assert.equal(isBinary, false);
        const text = data.toString();
        client.texts.push(text);
        inbox.push(validate(JSON.parse(text)));
    });
    ws.on('error', (error) => inbox.end(error.message));
    client.hello = await client.next();
    assert.equal(client.hello.event, 'hello', 'the first frame is a hello');
    return client;
}

/* ---- HTTP ---------------------------------------------------------------------- */

/* One request as given (the path is sent verbatim). An upgrade that succeeds
 * gives status 101 and leaves its socket in `socket`. */
export function request(server, where, { method = 'GET', headers = {}, body, localAddress } = {}) {
    const asked = new Promise((done, fail) => {
        const req = http.request({ host: server.host.replace(/[[\]]/g, ''), port: server.port,
            path: where, method, headers, localAddress, agent: false });
        req.on('error', fail);
        req.on('upgrade', (res, socket) => {
            socket.on('error', () => {});
            done({ status: res.statusCode, headers: res.headers, socket });
        });
        req.on('response', (res) => {
            const parts = [];
            res.on('error', fail);
            res.on('data', (part) => parts.push(part));
            res.on('end', () => {
                const bytes = Buffer.concat(parts);
                done({ status: res.statusCode, headers: res.headers, bytes,
                    text: bytes.toString(), get json() { return JSON.parse(bytes); } });
            });
        });
        req.end(body);
    });
    return within(asked, `answer to ${method} ${where}`);
}

export const status = async (server) => validate((await request(server, '/status')).json, 'StatusAnswer');

/* The counters may trail the events that they count by one turn of the hub. */
export const statusWhen = (server, test) => poll(async () => {
    const now = await status(server);
    return test(now) && now;
}, `status with ${test}`);

export const post = (server, where, body, headers = {}) => request(server, where,
    { method: 'POST', body, headers: { 'Content-Length': Buffer.byteLength(body), ...headers } });

export async function ingest(server, ...lines) {
    const answer = await post(server, '/ingest', lines
        .map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
    validate(answer.json, 'IngestAnswer');
    return answer;
}

/* Every refusal says what is wrong in JSON. */
export function assertRefused(answer, code) {
    assert.equal(answer.status, code);
    assert.match(answer.headers['content-type'], /^application\/json/);
    const { error } = validate(answer.json, 'HttpError');
    assert.equal(error.code, code);
    assert.ok(error.message.length > 5, answer.text);
}

/* ---- raw sockets ----------------------------------------------------------------- */

/* A TCP connection whose bytes the test writes and reads itself. */
export class Raw {
    bytes = Buffer.alloc(0);
    #waiting = [];

    constructor(socket) {
        this.socket = socket;
        this.over = false;
        socket.on('error', () => {});
        socket.on('data', (part) => {
            this.bytes = Buffer.concat([this.bytes, part]);
            this.#changed();
        });
        this.closed = new Promise((done) => {
            socket.on('close', (hadError) => {
                this.over = true;
                this.#changed();
                done({ reset: hadError });
            });
        });
    }

    static async connect(server, options = {}) {
        const socket = net.connect({ host: server.host, port: server.port, noDelay: true, ...options });
        await within(new Promise((done, fail) => {
            socket.once('connect', done);
            socket.once('error', fail);
        }), 'TCP connection');
        return new Raw(socket);
    }

    #changed() {
        this.#waiting.splice(0).forEach((each) => each());
    }

    write(bytes) {
        return new Promise((done) => { this.socket.write(bytes, done); });
    }

    /* One write a byte, so that the server sees any split. */
    async dribble(bytes) {
        for (const byte of Buffer.from(bytes)) {
            await this.write(Buffer.of(byte));
            await new Promise(setImmediate);
        }
    }

    /* Wait until test(bytes received) is truthy and return that. */
    async until(test, what = test.toString(), ms = PATIENCE_MS) {
        const end = Date.now() + ms;
        for (;;) {
            const answer = test(this.bytes);
            if (answer) {
                return answer;
            }
            assert.equal(this.over, false,
                `closed while waiting for ${what}, having read: ${this.bytes.subarray(0, 500)}`);
            await within(new Promise((more) => { this.#waiting.push(more); }), what,
                Math.max(1, end - Date.now()));
        }
    }

    /* Wait for so many bytes, and take them off. */
    async take(n) {
        await this.until((bytes) => bytes.length >= n, `${n} bytes`);
        const taken = this.bytes.subarray(0, n);
        this.bytes = this.bytes.subarray(n);
        return taken;
    }

    /* Wait for the end of the connection and return all that came. */
    async rest() {
        await within(this.closed, 'end of connection');
        return this.bytes.toString('latin1');
    }

    /* Node does not end a socket that is reset after end(). */
    reset() {
        if (this.socket.writableEnded) {
            this.socket.destroy();
        } else {
            this.socket.resetAndDestroy();
        }
    }
}

/* Send bytes, return all that is answered until the server closes. */
export async function exchange(server, bytes) {
    const raw = await Raw.connect(server);
    raw.write(bytes);
    return raw.rest();
}

/* ---- frames ---------------------------------------------------------------------- */

export const OP = { MORE: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 };

/* A client's frame. `length` lies about the payload's length, `lengthBytes`
 * (0, 2 or 8) chooses its form, `mask` is false to leave it unmasked. */
export function frame(op, payload = '', { fin = true, rsv = 0, mask = true, length, lengthBytes } = {}) {
    const data = Buffer.from(payload);
    const size = BigInt(length ?? data.length);
    const form = lengthBytes ?? (size < 126n ? 0 : size < 65536n ? 2 : 8);
    const head = Buffer.alloc(2 + form);
    head[0] = (fin ? 0x80 : 0) | (rsv << 4) | op;
    head[1] = (mask ? 0x80 : 0) | (form === 0 ? Number(size) : form === 2 ? 126 : 127);
    if (form === 2) {
        head.writeUInt16BE(Number(size), 2);
    } else if (form === 8) {
        head.writeBigUInt64BE(size, 2);
    }
    if (!mask) {
        return Buffer.concat([head, data]);
    }
    const key = randomBytes(4);
    return Buffer.concat([head, key, data.map((byte, i) => byte ^ key[i % 4])]);
}

export const text = (message, options) => frame(OP.TEXT,
    typeof message === 'object' && !Buffer.isBuffer(message) ? JSON.stringify(message) : message,
    options);

export function closeFrame(code, reason = '') {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    return frame(OP.CLOSE, Buffer.concat([payload, Buffer.from(reason)]));
}

/* The first whole frame in bytes as { op, payload, size }, or null. A server's
 * frames are whole messages, unmasked, with the shortest form of length. */
export function parseFrame(bytes) {
    if (bytes.length < 2) {
        return null;
    }
    const op = bytes[0] & 0x0f;
    assert.equal(bytes[0] & 0xf0, 0x80, 'FIN without reserved bits');
    assert.ok([OP.TEXT, OP.CLOSE, OP.PING, OP.PONG].includes(op), `opcode ${op}`);
    assert.equal(bytes[1] & 0x80, 0, 'a server does not mask');
    let length = bytes[1];
    let head = 2;
    if (length === 126) {
        if (bytes.length < 4) {
            return null;
        }
        length = bytes.readUInt16BE(2);
        head = 4;
        assert.ok(length > 125, 'shortest form of length');
    }
    assert.ok(bytes[1] <= (op === OP.TEXT ? 126 : 125), 'no frame is that long');
    if (bytes.length < head + length) {
        return null;
    }
    return { op, payload: bytes.subarray(head, head + length), size: head + length };
}

export const handshakeText = (server, where = '/ws/raw', extra = '') =>
    `GET ${where} HTTP/1.1\r\nHost: ${server.host}:${server.port}\r\nUpgrade: websocket\r\n`
    + 'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
    + `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${extra}\r\n`;

/* A WebSocket viewer made of bytes. `behind` is sent in the same write as the
 * handshake; `reading: false` never reads what follows the handshake. */
export class RawViewer extends Raw {
    #frames = new Inbox();
    frames = this.#frames.all;

    static async open(server, { where, extra, behind = '', reading = true } = {}) {
        const socket = net.connect({ host: server.host, port: server.port, noDelay: true });
        const viewer = new RawViewer(socket);
        viewer.write(Buffer.concat([Buffer.from(handshakeText(server, where, extra)), Buffer.from(behind)]));
        const end = await viewer.until((bytes) => bytes.indexOf('\r\n\r\n') + 1, 'handshake');
        assert.match(viewer.bytes.toString('latin1'), /^HTTP\/1\.1 101 /);
        if (!reading) {
            socket.pause();
        }
        viewer.bytes = viewer.bytes.subarray(end + 3);
        viewer.#take();
        socket.on('data', () => viewer.#take());
        viewer.closed.then(() => viewer.#frames.end('connection closed'));
        return viewer;
    }

    #take() {
        for (let found; (found = parseFrame(this.bytes)); ) {
            assert.notEqual(this.frames.at(-1)?.op, OP.CLOSE, 'nothing follows a close frame');
            this.bytes = this.bytes.subarray(found.size);
            const { op, payload } = found;
            this.#frames.push(op === OP.TEXT
                ? { op, event: validate(JSON.parse(payload.toString())) }
                : { op, payload: Buffer.from(payload) });
        }
    }

    get events() {
        return this.frames.filter((f) => f.op === OP.TEXT).map((f) => f.event);
    }

    nextFrame(op, match = () => true) {
        return this.#frames.next((f) => f.op === op && match(f), `frame ${op} ${match}`);
    }

    async nextEvent(match) {
        return (await this.nextFrame(OP.TEXT, (f) => match(f.event))).event;
    }

    /* The server ends the connection in good order; returns the code it gave,
     * null for a close frame without one. */
    async closeCode() {
        const { payload } = await this.nextFrame(OP.CLOSE);
        await within(this.closed, 'end of connection after the close frame');
        return payload.length ? payload.readUInt16BE() : null;
    }
}
