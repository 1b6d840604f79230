/* Malformed requests, and answers, through the front door: the status of each, and
 * what gets to the other side. The engine records every byte: it must see the
 * requests that were allowed, whole, and nothing else.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { Raw, within } from './aidash.mjs';
import { metered } from './engine.mjs';

/* ---- an engine that records ------------------------------------------------------- */

/* One request's bytes as { line, fields, body, size }, read by the letter of RFC 9112;
 * null while more must come. Throws on what no strict reader takes. */
function strictRequest(bytes) {
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0) {
        return null;
    }
    const [line, ...fields] = bytes.toString('latin1', 0, end).split('\r\n');
    assert.match(line, /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP\/1\.1$/);
    fields.forEach((field) => assert.match(field, /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*$/));
    const values = (name) => fields.filter((f) => f.toLowerCase().startsWith(`${name}:`)).map((f) => f.slice(name.length + 1).trim());
    const [length] = values('content-length');
    const coded = values('transfer-encoding');
    assert.equal(values('host').length, 1);
    assert.ok(values('content-length').length + coded.length <= 1, 'one length');
    let at = end + 4;
    if (coded.length === 0) {
        assert.match(length ?? '0', /^\d+$/);
        const size = at + Number(length ?? 0);
        return bytes.length < size ? null : { line, fields, body: bytes.toString('latin1', at, size), size };
    }
    assert.deepEqual(coded, ['chunked']);
    for (let body = ''; ;) {
        const eol = bytes.indexOf('\r\n', at);
        if (eol < 0) {
            return null;
        }
        const size = bytes.toString('latin1', at, eol);
        assert.match(size, /^[0-9a-fA-F]+(;[\t -~\x80-\xff]*)?$/);
        const n = parseInt(size, 16);
        if (n === 0) {
            const last = bytes.indexOf('\r\n\r\n', at);
            return last < 0 ? null : { line, fields, body, size: last + 4 };
        }
        if (bytes.length < eol + 4 + n) {
            return null;
        }
        assert.equal(bytes.toString('latin1', eol + 2 + n, eol + 4 + n), '\r\n');
        body += bytes.toString('latin1', eol + 2, eol + 2 + n);
        at = eol + 4 + n;
    }
}

/* What aidash asks by itself. */
const DISCOVERY = /^GET \/(v1\/models|api\/(ps|tags|version|show)|props|slots|metrics|health) /;

/* Answers each request with answer(request), and keeps what came: `requests` that were
 * whole, and `rest`, the bytes behind or before them that are none. */
async function recorder(t, answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}') {
    const engine = { requests: [], rest: [] };
    const server = net.createServer({ noDelay: true }, (socket) => {
        let bytes = Buffer.alloc(0);
        let discovery = false;
        const note = () => { if (bytes.length && !discovery) engine.rest.push(bytes.toString('latin1')); bytes = Buffer.alloc(0); };
        socket.on('error', () => {});
        socket.on('close', note);
        socket.on('data', (part) => {
            bytes = Buffer.concat([bytes, part]);
            discovery ||= DISCOVERY.test(bytes.toString('latin1'));
            if (discovery) {
                bytes = Buffer.alloc(0);
                socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
                return;
            }
            try {
                for (let found; (found = strictRequest(bytes)); ) {
                    bytes = bytes.subarray(found.size);
                    engine.requests.push(found);
                    const bytesBack = answer(found);
                    if (bytesBack.end !== undefined) {
                        socket.end(Buffer.from(bytesBack.end, 'latin1'));
                    } else {
                        socket.write(Buffer.from(bytesBack, 'latin1'));
                    }
                }
            } catch (error) {
                engine.rest.push(`${error.message}: ${bytes.toString('latin1')}`);
                bytes = Buffer.alloc(0);
                socket.destroy();
            }
        });
    });
    await new Promise((ready) => { server.listen(0, '127.0.0.1', ready); });
    t.after(() => server.close());
    engine.url = `http://127.0.0.1:${server.address().port}`;
    return engine;
}

/* Send bytes; all that comes back until the server closes. `end`: our FIN follows. */
async function ask(server, bytes, end = false) {
    const raw = await Raw.connect(server);
    raw.write(Buffer.from(bytes, 'latin1'));
    if (end) {
        raw.socket.end();
    }
    const text = await raw.rest();
    raw.socket.destroy();
    return text;
}

/* The statuses of the final answers in these bytes. No body here has such a line. */
const statuses = (text) => [...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, code]) => Number(code)).filter((code) => code >= 200);

/* ---- requests ----------------------------------------------------------------------- */

const H = 'Host: a\r\n';
const C = 'Connection: close\r\n';
const head = (line, fields = H) => `${line}\r\n${fields}${C}\r\n`;
const get = (fields, target = '/v1/x') => `GET ${target} HTTP/1.1\r\n${H}${C}${fields}\r\n\r\n`;
const post = (fields, body = '') => `POST /v1/x HTTP/1.1\r\n${H}${C}${fields}\r\n\r\n${body}`;
const chunked = (body, coding = 'Transfer-Encoding: chunked') => post(coding, body);
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

/* [what, bytes, status, body that the engine gets | null: it gets nothing, more] */
const GET = 'GET /v1/x HTTP/1.1';
const POST = 'POST /v1/x HTTP/1.1';
const REQUESTS = [
    // ---- the first bytes
    ['two empty lines', `\r\n\r\n${get('A: b')}`, 400],
    ['a bare LF first', `\n${get('A: b')}`, 400],
    ['a bare CR first', `\r${get('A: b')}`, 400],
    ['one empty line', `\r\n${get('A: b')}`, 200, ''],
    ['a blank first', ` ${get('A: b')}`, 400],
    ['a NUL first', `\0${get('A: b')}`, 400],
    ['a byte order mark', `\xef\xbb\xbf${get('A: b')}`, 400],
    ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['an HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
    ['a PROXY line, version 1', `PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n${get('A: b')}`, 400],
    ['a PROXY line, version 2', '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c', 400],
    ['an SSH greeting', 'SSH-2.0-OpenSSH_9.6\r\n', 400],
    ['a Redis command', '*1\r\n$4\r\nPING\r\n', 400],
    ['a body that nobody announced, alone', '{"model":"a"}\r\n\r\n', 400],
    // ---- the request line
    ['no target', head('GET  HTTP/1.1'), 400],
    ['no version', head('GET /v1/x'), 400],
    ['HTTP/0.9', 'GET /v1/x\r\n\r\n', 400],
    ['a method alone', 'GET\r\n\r\n', 400],
    ['two blanks behind the method', head('GET  /v1/x HTTP/1.1'), 400],
    ['two blanks before the version', head('GET /v1/x  HTTP/1.1'), 400],
    ['a tab for a blank', head('GET\t/v1/x HTTP/1.1'), 400],
    ['a blank behind the version', head('GET /v1/x HTTP/1.1 '), 400],
    ['a blank in the target', head('GET /v1/x y HTTP/1.1'), 400],
    ['a vertical tab in the line', head('GET /v1/x\x0bHTTP/1.1'), 400],
    ['HTTP/1.2', head('GET /v1/x HTTP/1.2'), 505],
    ['HTTP/2.0', head('GET /v1/x HTTP/2.0'), 505],
    ['HTTP/0.9, said', head('GET /v1/x HTTP/0.9'), 505],
    ['a version in small letters', head('GET /v1/x http/1.1'), 400],
    ['a version of two digits', head('GET /v1/x HTTP/1.10'), 400],
    ['a version without its dot', head('GET /v1/x HTTP/11'), 400],
    ['a version of another name', head('GET /v1/x HTTPS/1.1'), 400],
    ['a bracket in the method', head('GE(T /v1/x HTTP/1.1'), 400],
    ['a byte over 127 in the method', head('G\xc9T /v1/x HTTP/1.1'), 400],
    ['a method of 32 letters', head(`${'M'.repeat(32)} /v1/x HTTP/1.1`), 501],
    ['a method of 31 letters', head(`${'M'.repeat(31)} /v1/x HTTP/1.1`), 200, '', { line: `${'M'.repeat(31)} /v1/x HTTP/1.1` }],
    ['a method in small letters is another one', head('get /v1/x HTTP/1.1'), 200, '', { line: 'get /v1/x HTTP/1.1' }],
    ['CONNECT', head('CONNECT a:80 HTTP/1.1'), 501],
    ['CONNECT to a path', head('CONNECT /v1/x HTTP/1.1'), 400],
    ['* for GET', head('GET * HTTP/1.1'), 400],
    ['a target without its slash', head('GET v1/x HTTP/1.1'), 400],
    ['a target that is a query', head('GET ?x HTTP/1.1'), 400],
    ['a fragment', head('GET /v1/x#y HTTP/1.1'), 400],
    ['a NUL in the target', head('GET /v1/\0x HTTP/1.1'), 400],
    ['a byte over 127 in the target', head('GET /v1/\xe9 HTTP/1.1'), 400],
    ['a control character in the target', head('GET /v1/\x01 HTTP/1.1'), 400],
    ['DEL in the target', head('GET /v1/\x7f HTTP/1.1'), 400],
    ['a broken escape', head('GET /v1/%zz HTTP/1.1'), 400],
    ['half an escape', head('GET /v1/% HTTP/1.1'), 400],
    ['an escaped NUL', head('GET /v1/%00 HTTP/1.1'), 400],
    ['a target of 8193 bytes', head(`GET /${'x'.repeat(8192)} HTTP/1.1`), 414],
    ['a target that never ends', `GET /${'x'.repeat(9000)}`, 414],
    ['another scheme', head('GET ftp://a/v1/x HTTP/1.1'), 421],
    ['an absolute target of a foreign host', head('GET http://evil.example/v1/x HTTP/1.1'), 421],
    ['an absolute target without a host', head('GET http:///v1/x HTTP/1.1'), 400],
    ['an absolute target with a user', head('GET http://u@a/v1/x HTTP/1.1'), 400],
    ['an absolute target', head('GET http://a/v1/x HTTP/1.1'), 200, ''],
    ['a bare LF behind the line', `${GET}\n${H}${C}\r\n`, 400],
    ['a bare CR behind the line', `${GET}\r${H}${C}\r\n`, 400],
    // ---- fields
    ['LF alone all over', `${GET}\nHost: a\n\n`, 400],
    ['a field that ends in LF', get('A: b\nC: d'), 400],
    ['an empty line of LF', `${GET}\r\n${H}${C}\n`, 400],
    ['a CR in a value', get('A: b\rC: d'), 400],
    ['a NUL in a value', get('A: b\0c'), 400],
    ['a control character in a value', get('A: b\x08c'), 400],
    ['DEL in a value', get('A: b\x7fc'), 400],
    ['bytes over 127 in a value', get('A: caf\xe9'), 200, ''],
    ['a tab in a value', get('A: b\tc'), 200, ''],
    ['no blank before a value', get('A:b'), 200, ''],
    ['tabs and blanks round a value', get('A: \t b \t '), 200, ''],
    ['an empty value', get('A:'), 200, ''],
    ['a folded line', get('A: b\r\n c'), 400],
    ['a folded line of a tab', get('A: b\r\n\tc'), 400],
    ['a folded first line', `${GET}\r\n ${H}${C}\r\n`, 400],
    ['a line of blanks', get('A: b\r\n  '), 400],
    ['a blank before the colon', get('A : b'), 400],
    ['a tab before the colon', get('A\t: b'), 400],
    ['no colon', get('nothing'), 400],
    ['no name', get(': b'), 400],
    ['a bracket in a name', get('A[0]: b'), 400],
    ['a byte over 127 in a name', get('\xc4: b'), 400],
    ['a NUL in a name', get('A\0B: b'), 400],
    ['257 fields', get(Array.from({ length: 255 }, (_, i) => `A${i}: b`).join('\r\n')), 431],
    ['256 fields', get(Array.from({ length: 254 }, (_, i) => `A${i}: b`).join('\r\n')), 200, ''],
    ['a body announced in field 100', post(`${'A: b\r\n'.repeat(99)}Content-Length: 3`, 'abc'), 200, 'abc'],
    ['a head over 32 KiB', get(`A: ${'b'.repeat(32768)}`), 431],
    ['a Connection over 512 bytes', get(`Connection: ${'x'.repeat(600)}`), 431],
    // ---- Host
    ['no Host', head(GET, ''), 400],
    ['two Hosts', head(GET, H + H), 400],
    ['two Hosts that differ', head(GET, 'Host: a\r\nHost: b\r\n'), 400],
    ['a blank before Host\'s colon', head(GET, 'Host : a\r\n'), 400],
    ['an empty Host', head(GET, 'Host:\r\n'), 400],
    ['a Host with a path', head(GET, 'Host: a/b\r\n'), 400],
    ['a Host with a user', head(GET, 'Host: u@a\r\n'), 400],
    ['a Host with a blank', head(GET, 'Host: a b\r\n'), 400],
    ['a Host that is a list', head(GET, 'Host: a, b\r\n'), 400],
    ['a Host with a port of letters', head(GET, 'Host: a:b\r\n'), 400],
    ['a Host with a port over 65535', head(GET, 'Host: a:65536\r\n'), 400],
    ['a Host with half a bracket', head(GET, 'Host: [::1\r\n'), 400],
    ['a foreign Host', head(GET, 'Host: evil.example\r\n'), 421],
    ['HTTP/1.0 without a Host', 'GET /v1/x HTTP/1.0\r\n\r\n', 200, ''],
    // ---- lengths
    ['Content-Length without a number', post('Content-Length:', 'abc'), 400],
    ['Content-Length with a sign', post('Content-Length: +3', 'abc'), 400],
    ['a negative Content-Length', post('Content-Length: -3', 'abc'), 400],
    ['Content-Length in hexadecimal', post('Content-Length: 0x3', 'abc'), 400],
    ['Content-Length with a fraction', post('Content-Length: 3.0', 'abc'), 400],
    ['Content-Length with a blank inside', post('Content-Length: 3 0', 'abc'), 400],
    ['Content-Length over 2^63', post('Content-Length: 9223372036854775808', 'abc'), 413],
    ['Content-Length over 2^64', post('Content-Length: 18446744073709551619', 'abc'), 413],
    ['Content-Lengths that differ', post('Content-Length: 3\r\nContent-Length: 4', 'abcd'), 400],
    ['Content-Lengths that differ, in a list', post('Content-Length: 3, 4', 'abcd'), 400],
    ['Content-Lengths that are the same', post('Content-Length: 3\r\nContent-Length: 3', 'abc'), 200, 'abc'],
    ['Content-Length with a blank before the colon', post('Content-Length : 3', 'abc'), 400],
    ['Content-Length of leading zeros', post('Content-Length: 0003', 'abc'), 200, 'abc'],
    ['Content-Length and Transfer-Encoding', post('Content-Length: 5\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), 400],
    ['Transfer-Encoding and Content-Length', post('Transfer-Encoding: chunked\r\nContent-Length: 5', '0\r\n\r\n'), 400],
    ['Transfer-Encoding in HTTP/1.0', `POST /v1/x HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['Transfer-Encoding with a blank before the colon', chunked('0\r\n\r\n', 'Transfer-Encoding : chunked'), 400],
    ['Transfer-Encoding: identity', chunked('0\r\n\r\n', 'Transfer-Encoding: identity'), 501],
    ['Transfer-Encoding: gzip', chunked('0\r\n\r\n', 'Transfer-Encoding: gzip'), 501],
    ['Transfer-Encoding: gzip, chunked', chunked('0\r\n\r\n', 'Transfer-Encoding: gzip, chunked'), 501],
    ['Transfer-Encoding: chunked, gzip', chunked('0\r\n\r\n', 'Transfer-Encoding: chunked, gzip'), 400],
    ['Transfer-Encoding: chunked, chunked', chunked('0\r\n\r\n', 'Transfer-Encoding: chunked, chunked'), 400],
    ['Transfer-Encoding twice', chunked('0\r\n\r\n', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'), 400],
    ['Transfer-Encoding that is empty', chunked('0\r\n\r\n', 'Transfer-Encoding:'), 400],
    ['Transfer-Encoding: ,chunked', chunked('0\r\n\r\n', 'Transfer-Encoding: ,chunked'), 400],
    ['Transfer-Encoding: "chunked"', chunked('0\r\n\r\n', 'Transfer-Encoding: "chunked"'), 501],
    ['Transfer-Encoding with a control character', chunked('0\r\n\r\n', 'Transfer-Encoding: \x0bchunked'), 400],
    ['Transfer\\r-Encoding', chunked('0\r\n\r\n', 'Transfer\r-Encoding: chunked'), 400],
    ['Transfer-Encoding: CHUNKED', chunked('3\r\nabc\r\n0\r\n\r\n', 'Transfer-Encoding: CHUNKED'), 200, 'abc'],
    ['an Expect of another kind', post('Expect: 200-ok\r\nContent-Length: 3', 'abc'), 417],
    // ---- two requests in one
    ['a request behind an empty body', get('A: b') + SMUGGLED, 200, ''],
    ['a request behind a body', post('Content-Length: 3', `abc${SMUGGLED}`), 200, 'abc'],
    ['a request behind the last chunk', chunked(`3\r\nabc\r\n0\r\n\r\n${SMUGGLED}`), 200, 'abc'],
    ['a request in a body', post(`Content-Length: ${SMUGGLED.length}`, SMUGGLED), 200, SMUGGLED],
    ['a request behind a refused one', `${GET}\r\n${H}A : b\r\n\r\n${SMUGGLED}`, 400],
    ['a body that a folded length hides', `${POST}\r\n${H}A: b\r\n Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`, 400],
];

/* Chunked bodies: the head is allowed, so the engine may get it before the body is seen to
 * be malformed. It must never get a whole request then. */
const CHUNKS = [
    ['no size', '\r\nabc\r\n0\r\n\r\n'],
    ['a size of letters', 'xyz\r\nabc\r\n0\r\n\r\n'],
    ['a size with a sign', '+3\r\nabc\r\n0\r\n\r\n'],
    ['a negative size', '-3\r\nabc\r\n0\r\n\r\n'],
    ['a size with 0x', '0x3\r\nabc\r\n0\r\n\r\n'],
    ['a blank before the size', ' 3\r\nabc\r\n0\r\n\r\n'],
    ['a size over 2^64', '10000000000000003\r\nabc\r\n0\r\n\r\n'],
    ['a size line that ends in LF', '3\nabc\r\n0\r\n\r\n'],
    ['a size line that ends in CR', '3\rabc\r\n0\r\n\r\n'],
    ['a chunk that ends in LF', '3\r\nabc\n0\r\n\r\n'],
    ['a chunk that ends in nothing', '3\r\nabc0\r\n\r\n'],
    ['a chunk that is longer than its size', '3\r\nabcd\r\n0\r\n\r\n'],
    ['an extension with a bare LF', '3;a=b\nc\r\nabc\r\n0\r\n\r\n'],
    ['an extension with a bare CR', '3;a=b\rc\r\nabc\r\n0\r\n\r\n'],
    ['an extension with a NUL', '3;a=\0\r\nabc\r\n0\r\n\r\n'],
    ['an extension of 64 KiB', `3;${'a'.repeat(65536)}\r\nabc\r\n0\r\n\r\n`],
    ['a trailer without a colon', '3\r\nabc\r\n0\r\nnothing\r\n\r\n'],
    ['a trailer with a blank before its colon', '3\r\nabc\r\n0\r\nA : b\r\n\r\n'],
    ['a folded trailer', '3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n'],
    ['a trailer that ends in LF', '3\r\nabc\r\n0\r\nA: b\n\r\n'],
    ['an end of LF', '3\r\nabc\r\n0\r\n\n'],
    ['trailers of 64 KiB', `3\r\nabc\r\n0\r\nA: ${'b'.repeat(65536)}\r\n\r\n`],
];

test(`${REQUESTS.length} requests, most malformed: each has its status, and the engine sees those allowed, no byte more`, async (t) => {
    const engine = await recorder(t);
    const server = await metered(t, engine, ['--ingest', 'open', '--control', 'open']);
    const wrong = [];
    const seen = [];
    for (const [what, bytes, code, body, { line } = {}] of REQUESTS) {
        const text = await ask(server, bytes);
        if (`${statuses(text)}` !== `${code}`) {
            wrong.push(`${what}: ${statuses(text)}, not ${code}`);
        } else if (code !== 200) {
            const [, type] = text.match(/^Content-Type: (.*)\r$/m) ?? [];
            const error = type === 'application/json' && JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)).error;
            if (error?.code !== code || !(error.message.length > 5)) {
                wrong.push(`${what}: says ${text}`);
            }
        }
        if (body !== undefined) {
            seen.push(`${what}: ${line ?? `${bytes.trimStart().split(' ')[0]} /v1/x HTTP/1.1`} ${body}`);
        }
        const now = engine.requests.splice(0).map((r) => `${what}: ${r.line} ${r.body}`);
        const due = seen.splice(0);
        if (`${now}` !== `${due}`) {
            wrong.push(`the engine saw ${JSON.stringify(now)}, not ${JSON.stringify(due)}`);
        }
    }
    assert.deepEqual(wrong, []);
    assert.deepEqual(engine.rest, []);
    assert.equal(engine.requests.length, 0);
});

test(`${REQUESTS.length} requests in pieces of every kind have the same statuses`, async (t) => {
    const engine = await recorder(t);
    const server = await metered(t, engine, ['--ingest', 'open', '--control', 'open']);
    const wrong = [];
    for (const [i, [what, bytes, code]] of REQUESTS.entries()) {
        const all = Buffer.from(bytes, 'latin1');
        const cut = 1 + (i * 7) % Math.max(1, all.length - 1);
        const raw = await Raw.connect(server);
        await raw.write(all.subarray(0, cut));
        await new Promise(setImmediate);
        if (!raw.over) {
            raw.write(all.subarray(cut));
        }
        const got = statuses(await raw.rest());
        raw.socket.destroy();
        if (`${got}` !== `${code}`) {
            wrong.push(`${what}, cut at ${cut}: ${got}, not ${code}`);
        }
    }
    assert.deepEqual(wrong, []);
    assert.deepEqual(engine.rest, []);
});

test(`${CHUNKS.length} malformed chunked bodies: an error, and never a whole request at the engine`, async (t) => {
    const engine = await recorder(t);
    const server = await metered(t, engine, ['--ingest', 'open', '--control', 'open']);
    const wrong = [];
    for (const path of ['/v1/x', '/v1/chat/completions', '/ingest', '/command']) {
        for (const [what, body] of CHUNKS) {
            const text = await ask(server, `POST ${path} HTTP/1.1\r\n${H}${C}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
            const [code] = statuses(text);
            if (!(statuses(text).length === 1 && [400, 413, 431].includes(code))) {
                wrong.push(`${path}, ${what}: ${statuses(text)}`);
            }
        }
    }
    assert.deepEqual(wrong, []);
    assert.deepEqual(engine.requests, []);
    engine.rest.forEach((bytes) => assert.match(bytes, /^POST \/v1\//, 'what came so far was well-formed'));
});

/* ---- answers ------------------------------------------------------------------------ */

const OK = 'HTTP/1.1 200 OK\r\n';
const L2 = 'Content-Length: 2\r\n';
const CODED = 'Transfer-Encoding: chunked\r\n';
const BEHIND = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nSMUGGLED!';

/* [what, the engine's bytes, status, body | undefined: an error of ours, 'cut']. The status
 * of a well-formed head is passed on before its body is seen to be malformed: then the
 * client must see that the body is cut, without its last chunk or short of its length. */
const ANSWERS = [
    // ---- the status line
    ['no status line', '{}', 502],
    ['another protocol', 'ICY 200 OK\r\n\r\n', 502],
    ['an SSH greeting', 'SSH-2.0-OpenSSH_9.6\r\n', 502],
    ['TLS', '\x15\x03\x01\x00\x02\x02\x16', 502],
    ['an empty line first', `\r\n${OK}${L2}\r\n{}`, 502],
    ['nothing', '', 502],
    ['half a status line', 'HTTP/1.1 2', 502],
    ['half a head', `${OK}Content-Le`, 502],
    ['HTTP/2', `HTTP/2 200 OK\r\n${L2}\r\n{}`, 502],
    ['HTTP/1.2', `HTTP/1.2 200 OK\r\n${L2}\r\n{}`, 502],
    ['small letters', `http/1.1 200 OK\r\n${L2}\r\n{}`, 502],
    ['a status of two digits', `HTTP/1.1 20 OK\r\n${L2}\r\n{}`, 502],
    ['a status of four digits', `HTTP/1.1 2000 OK\r\n${L2}\r\n{}`, 502],
    ['a status of letters', `HTTP/1.1 abc OK\r\n${L2}\r\n{}`, 502],
    ['a status below 100', `HTTP/1.1 099 OK\r\n${L2}\r\n{}`, 502],
    ['a negative status', `HTTP/1.1 -20 OK\r\n${L2}\r\n{}`, 502],
    ['two blanks before the status', `HTTP/1.1  200 OK\r\n${L2}\r\n{}`, 502],
    ['a tab before the status', `HTTP/1.1\t200 OK\r\n${L2}\r\n{}`, 502],
    ['a NUL in the reason', `HTTP/1.1 200 O\0K\r\n${L2}\r\n{}`, 502],
    ['a CR in the reason', `HTTP/1.1 200 O\rK\r\n${L2}\r\n{}`, 502],
    ['no reason', `HTTP/1.1 200 \r\n${L2}\r\n{}`, 200, '{}'],
    ['no reason and no blank', `HTTP/1.1 200\r\n${L2}\r\n{}`, 200, '{}'],
    ['HTTP/1.0', `HTTP/1.0 200 OK\r\n${L2}\r\n{}`, 200, '{}'],
    // ---- fields
    ['LF alone all over', 'HTTP/1.1 200 OK\nContent-Length: 2\n\n{}', 502],
    ['one LF alone', `${OK}A: b\n${L2}\r\n{}`, 502],
    ['an empty line of LF', `${OK}${L2}\n{}`, 502],
    ['a CR in a value', `${OK}A: b\rC: d\r\n${L2}\r\n{}`, 502],
    ['a NUL in a value', `${OK}A: b\0\r\n${L2}\r\n{}`, 502],
    ['a control character in a value', `${OK}A: b\x07\r\n${L2}\r\n{}`, 502],
    ['a folded line', `${OK}A: b\r\n c\r\n${L2}\r\n{}`, 502],
    ['a folded line of a tab', `${OK}A: b\r\n\tc\r\n${L2}\r\n{}`, 502],
    ['a blank before the colon', `${OK}A : b\r\n${L2}\r\n{}`, 502],
    ['no colon', `${OK}nothing\r\n${L2}\r\n{}`, 502],
    ['no name', `${OK}: b\r\n${L2}\r\n{}`, 502],
    ['a byte over 127 in a name', `${OK}\xc4: b\r\n${L2}\r\n{}`, 502],
    ['a CR in a name', `${OK}Transfer\r-Encoding: chunked\r\n\r\n0\r\n\r\n`, 502],
    ['bytes over 127 in a value', `${OK}A: caf\xe9\r\n${L2}\r\n{}`, 200, '{}'],
    ['300 fields', `${OK}${'A: b\r\n'.repeat(300)}${L2}\r\n{}`, 502],
    ['a head of 64 KiB', `${OK}A: ${'b'.repeat(65536)}\r\n${L2}\r\n{}`, 502],
    // ---- lengths
    ['Content-Length and Transfer-Encoding', `${OK}${L2}${CODED}\r\n2\r\n{}\r\n0\r\n\r\n`, 502],
    ['Transfer-Encoding and Content-Length', `${OK}${CODED}${L2}\r\n2\r\n{}\r\n0\r\n\r\n`, 502],
    ['Content-Lengths that differ', `${OK}${L2}Content-Length: 3\r\n\r\n{} `, 502],
    ['Content-Lengths that differ, in a list', `${OK}Content-Length: 2, 3\r\n\r\n{} `, 502],
    ['Content-Lengths that are the same', `${OK}${L2}${L2}\r\n{}`, 200, '{}'],
    ['Content-Length of letters', `${OK}Content-Length: two\r\n\r\n{}`, 502],
    ['a negative Content-Length', `${OK}Content-Length: -2\r\n\r\n{}`, 502],
    ['Content-Length with a sign', `${OK}Content-Length: +2\r\n\r\n{}`, 502],
    ['an empty Content-Length', `${OK}Content-Length:\r\n\r\n{}`, 502],
    ['Content-Length over 2^64', `${OK}Content-Length: 18446744073709551618\r\n\r\n{}`, 502],
    ['Content-Length with a blank before its colon', `${OK}Content-Length : 2\r\n\r\n{}`, 502],
    ['Transfer-Encoding twice', `${OK}${CODED}${CODED}\r\n2\r\n{}\r\n0\r\n\r\n`, 502],
    ['Transfer-Encoding: chunked, chunked', `${OK}Transfer-Encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 502],
    ['an empty Transfer-Encoding', `${OK}Transfer-Encoding:\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 502],
    ['Transfer-Encoding: ,chunked', `${OK}Transfer-Encoding: ,chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 502],
    ['Transfer-Encoding in HTTP/1.0', `HTTP/1.0 200 OK\r\n${CODED}\r\n2\r\n{}\r\n0\r\n\r\n`, 502],
    ['Transfer-Encoding with a blank before its colon', `${OK}Transfer-Encoding : chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, 502],
    ['a body until the end', `${OK}\r\n{}`, 200, '{}'],
    ['chunks', `${OK}${CODED}\r\n2\r\n{}\r\n0\r\n\r\n`, 200, '{}'],
    // ---- bytes behind the end
    ['an answer behind a body', `${OK}${L2}\r\n{}${BEHIND}`, 200, '{}'],
    ['an answer behind the last chunk', `${OK}${CODED}\r\n2\r\n{}\r\n0\r\n\r\n${BEHIND}`, 200, '{}'],
    ['an answer behind a 204', `HTTP/1.1 204 No Content\r\n\r\n${BEHIND}`, 204, ''],
    ['a body in a 204', `HTTP/1.1 204 No Content\r\n${L2}\r\n{}`, 204, ''],
    ['an answer behind a 304', `HTTP/1.1 304 Not Modified\r\n${L2}\r\n${BEHIND}`, 304, ''],
    ['an answer behind no body', `${OK}Content-Length: 0\r\n\r\n${BEHIND}`, 200, ''],
    // ---- interim answers
    ['101, which nobody asked for', `HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n${BEHIND}`, 502],
    ['a malformed interim answer', `HTTP/1.1 103 Early Hints\r\nA : b\r\n\r\n${OK}${L2}\r\n{}`, 502],
    ['an interim answer alone', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', 502],
    ['an interim answer, then one', `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}${L2}\r\n{}`, 200, '{}'],
    // ---- bodies that go wrong behind their head
    ['a body that is short', `${OK}Content-Length: 9\r\n\r\n{}`, 200, '', 'cut'],
    ['chunks without a last one', `${OK}${CODED}\r\n2\r\n{}\r\n`, 200, '', 'cut'],
    ['half a chunk', `${OK}${CODED}\r\n9\r\n{}`, 200, '', 'cut'],
    ['a chunk size of letters', `${OK}${CODED}\r\n2\r\n{}\r\nxyz\r\n\r\n`, 200, '', 'cut'],
    ['a chunk size over 2^64', `${OK}${CODED}\r\n2\r\n{}\r\n10000000000000002\r\n{}\r\n0\r\n\r\n`, 200, '', 'cut'],
    ['a chunk that ends in LF', `${OK}${CODED}\r\n2\r\n{}\n0\r\n\r\n`, 200, '', 'cut'],
    ['a size line that ends in LF', `${OK}${CODED}\r\n2\r\n{}\r\n2\n{}\r\n0\r\n\r\n`, 200, '', 'cut'],
    ['a chunk that is longer than its size', `${OK}${CODED}\r\n2\r\n{}xx\r\n0\r\n\r\n`, 200, '', 'cut'],
    ['an extension with a bare CR', `${OK}${CODED}\r\n2\r\n{}\r\n2;a\rb\r\n{}\r\n0\r\n\r\n`, 200, '', 'cut'],
    ['a trailer without a colon', `${OK}${CODED}\r\n2\r\n{}\r\n0\r\nnothing\r\n\r\n`, 200, '', 'cut'],
    ['a last chunk that ends in LF', `${OK}${CODED}\r\n2\r\n{}\r\n0\n\n`, 200, '', 'cut'],
];

/* The one answer in the bytes as { status, body, whole, behind }: read strictly. */
function strictAnswer(text) {
    let at = 0;
    let status;
    let head;
    do {
        const end = text.indexOf('\r\n\r\n', at);
        assert.ok(end >= 0, `no head in ${JSON.stringify(text.slice(at, at + 200))}`);
        head = text.slice(at, end).split('\r\n');
        at = end + 4;
        const [, code] = head[0].match(/^HTTP\/1\.1 (\d{3}) [\t -~\x80-\xff]*$/) ?? [];
        assert.ok(code, `a status line: ${head[0]}`);
        head.slice(1).forEach((f) => assert.match(f, /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*$/));
        status = Number(code);
    } while (status < 200);
    const value = (name) => head.filter((f) => f.toLowerCase().startsWith(`${name}:`)).map((f) => f.slice(name.length + 1).trim());
    const lengths = value('content-length');
    const coded = value('transfer-encoding');
    assert.ok(lengths.length + coded.length <= 1, `one length: ${head}`);
    const rest = text.slice(at);
    if (status === 204 || status === 304) {
        return { status, body: '', whole: true, behind: rest };
    }
    if (coded.length) {
        let body = '';
        let left = rest;
        for (let found; (found = left.match(/^([0-9a-fA-F]+)\r\n/)) && left.length >= found[0].length + parseInt(found[1], 16) + 2; ) {
            const n = parseInt(found[1], 16);
            const from = found[0].length;
            if (left.slice(from + n, from + n + 2) !== '\r\n') {
                break;
            }
            body += left.slice(from, from + n);
            left = left.slice(from + n + 2);
            if (n === 0) {
                return { status, body, whole: true, behind: left };
            }
        }
        return { status, body, whole: false, behind: left };
    }
    const length = lengths.length ? Number(lengths[0]) : rest.length;
    return { status, body: rest.slice(0, length), whole: rest.length >= length, behind: rest.slice(length) };
}

for (const path of ['/v1/x', '/v1/chat/completions']) {
    test(`${ANSWERS.length} answers of an engine to ${path}, most malformed: what the client gets`, async (t) => {
        let bytes;
        const engine = await recorder(t, () => ({ end: bytes }));
        const server = await metered(t, engine, ['--ingest', 'open', '--control', 'open']);
        const wrong = [];
        for (const [what, given, code, body, cut] of ANSWERS) {
            bytes = given;
            const text = await ask(server, `POST ${path} HTTP/1.1\r\n${H}${C}Content-Length: 2\r\n\r\n{}`);
            try {
                const got = strictAnswer(text);
                assert.equal(got.status, code);
                assert.equal(got.whole, !cut, cut ? 'the answer must look cut' : 'the answer must be whole');
                if (cut) {
                    assert.ok(given.slice(given.indexOf('\r\n\r\n')).startsWith(text.slice(text.indexOf('\r\n\r\n'))),
                        'no byte but the engine\'s');
                    continue;
                }
                assert.equal(got.behind, '', 'bytes behind the answer');
                if (body !== undefined) {
                    assert.equal(got.body, body);
                } else {
                    assert.ok(JSON.parse(got.body).error);
                }
            } catch (error) {
                wrong.push(`${what}: ${error.message.split('\n').slice(0, 6).join(' ')}: ${JSON.stringify(text.slice(0, 300))}`);
            }
        }
        assert.deepEqual(wrong, []);
        assert.equal(engine.requests.length, ANSWERS.length, 'each was asked for once');
        assert.deepEqual(engine.rest, []);
    });
}
