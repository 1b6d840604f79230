/* One worker answers all: nothing of a request may be left for the one behind it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { before, test } from 'node:test';
import { ROOT, Raw, connect, handshakeText, run, serve, start } from './aidash.mjs';

const bin = path.join(ROOT, 'build/one-worker/aidash');
before(() => {
    const made = spawnSync(process.env.MAKE || 'make', ['-s', '-C', ROOT, 'build/one-worker/aidash'], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
});

const H = 'Host: a\r\n';
const GZIP = 'Accept-Encoding: gzip\r\n';
const SECRET = 'SECRET-OF-ANOTHER';
const PRIVATE = `Authorization: Bearer ${SECRET}\r\nCookie: c=${SECRET}\r\nSec-WebSocket-Protocol: ${SECRET}\r\n`;

/* name: the bytes of a request. Those that stay open end with their handshake's answer. */
const kinds = (server, etag) => ({
    page: `GET / HTTP/1.1\r\n${H}${GZIP}\r\n`,
    'page, with secrets': `GET /?${SECRET} HTTP/1.1\r\n${H}${GZIP}${PRIVATE}\r\n`,
    304: `GET / HTTP/1.1\r\n${H}${GZIP}If-None-Match: ${etag}\r\n\r\n`,
    '304, a tab in the list': `GET / HTTP/1.1\r\n${H}${GZIP}If-None-Match: "a",\t${etag}\r\n\r\n`,
    'a list that is none': `GET / HTTP/1.1\r\n${H}${GZIP}If-None-Match: "\xe9"\t"%"\r\n\r\n`,
    'asset, HEAD': `HEAD /contract.json HTTP/1.1\r\n${H}\r\n`,
    'no gzip': `GET / HTTP/1.1\r\n${H}Accept-Encoding: gzip;q=0, identity;q=0\r\n\r\n`,
    '/status': `GET /status HTTP/1.1\r\n${H}\r\n`,
    '/status, with an origin': `GET /status HTTP/1.1\r\n${H}Origin: http://a\r\n\r\n`,
    '/healthz': `GET /healthz HTTP/1.1\r\n${H}\r\n`,
    '/healthz, HTTP/1.0': 'GET /healthz HTTP/1.0\r\n\r\n',
    '/healthz, HEAD': `HEAD /healthz HTTP/1.1\r\n${H}\r\n`,
    'one empty line first': `\r\nGET /healthz HTTP/1.1\r\n${H}\r\n`,
    'two empty lines first': `\r\n\r\nGET /healthz HTTP/1.1\r\n${H}\r\n`,
    handshake: handshakeText(server, '/ws/one'),
    'handshake, a subprotocol': handshakeText(server, '/ws/one', `Sec-WebSocket-Protocol: ${SECRET}\r\n`),
    'handshake, two lines of subprotocols': handshakeText(server, '/ws/one', 'Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\n'),
    'handshake, an extension': handshakeText(server, '/ws/one', 'Sec-WebSocket-Extensions: permessage-deflate\r\n'),
    'handshake, a body behind': `${handshakeText(server, '/ws/one')}\x88\x80abcd`,
    'handshake, no key': handshakeText(server).replace(/Sec-WebSocket-Key.*\r\n/, ''),
    'handshake, version 8': handshakeText(server).replace('Version: 13', 'Version: 8'),
    'handshake, two keys': handshakeText(server, '/ws/one', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'),
    'handshake, foreign origin': handshakeText(server, '/ws/one', 'Origin: http://evil.example\r\n'),
    'no such path': `GET /nowhere HTTP/1.1\r\n${H}\r\n`,
    'wrong method': `POST /healthz HTTP/1.1\r\n${H}Content-Length: 17\r\n\r\n${SECRET}`,
    OPTIONS: `OPTIONS /status HTTP/1.1\r\n${H}\r\n`,
    malformed: `GET / HTTP/1.1\r\n${H}A : b\r\n\r\n`,
    'a command': `POST /command HTTP/1.1\r\n${H}Content-Length: 19\r\n\r\n{"action":"${SECRET.slice(0, 6)}"}`,
    'an ingest': `POST /ingest HTTP/1.1\r\n${H}Content-Length: 3\r\n\r\n{} `,
});

/* A browser's WebSocket: node's own, by the rules of the WHATWG. Its first message's event. */
const browser = (url) => run(['--experimental-websocket', '--no-warnings', '-e', `
    const socket = new WebSocket(${JSON.stringify(url)});
    socket.onmessage = ({ data }) => {
        console.log(JSON.stringify({ event: JSON.parse(data).event, protocol: socket.protocol }));
        process.exit(0);
    };
    socket.onerror = () => process.exit(1);
`], { bin: process.execPath });

/* What differs between two runs, or grows while a server runs, is masked; all other bytes
 * are kept. A handshake's answer ends with its head: what follows are the frames of a viewer. */
const mask = (text) => (/^HTTP\/1\.1 101 /.test(text) ? text.slice(0, text.indexOf('\r\n\r\n') + 4) : text)
    .replace(/\d+(\.\d+)?([,}\]])/g, '#$2').replace(/^(Content-Length|Date): .*\r$/gm, '$1: #\r').replace(/"id":"[^"]*"/g, '"id":#')
    .replace(/("clients":\{)[^}]*/g, '$1');

async function ask(server, bytes) {
    const raw = await Raw.connect(server);
    await raw.write(Buffer.from(bytes, 'latin1'));
    await raw.until((got) => raw.over || /^HTTP\/1\.1 101 [^]*?\r\n\r\n/.test(got.toString('latin1')), `answer to ${bytes}`);
    raw.reset();
    return raw.bytes.toString('latin1');
}

test('on one worker, a request of each kind behind one of each other kind is answered as by a fresh server', async (t) => {
    const args = ['--source', 'none'];
    const probe = await serve(t, args, { bin });
    const [, etag] = (await ask(probe, `GET / HTTP/1.1\r\n${H}${GZIP}\r\n`)).match(/^ETag: (.*)\r$/m);
    const names = Object.keys(kinds(probe, etag));
    const fresh = {};
    for (const name of names) {
        const own = await start(args, { bin });
        try {
            fresh[name] = mask(await ask(own, kinds(own, etag)[name]));
        } finally {
            await own.stop();
        }
        assert.match(fresh[name], /^HTTP\/1\.1 \d{3} /, name);
        assert.ok(!fresh[name].includes(SECRET), `${name} tells what it was told`);
        assert.doesNotMatch(fresh[name], /^Sec-WebSocket-(Protocol|Extensions):/mi, name);
    }
    const server = await serve(t, args, { bin });
    const all = kinds(server, etag);
    const wrong = [];
    for (const before of names) {
        for (const name of names) {
            await ask(server, all[before]);
            const got = mask(await ask(server, all[name]));
            if (got !== fresh[name]) {
                wrong.push(`${name} behind ${before}: ${JSON.stringify(got.slice(0, 300))}, not ${JSON.stringify(fresh[name].slice(0, 300))}`);
            }
        }
    }
    assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} of ${names.length ** 2} differ`);
});

test('after a handshake with a subprotocol, viewers without one connect, as browsers and npm ws check it', async (t) => {
    const server = await serve(t, ['--rate', '50'], { bin });
    for (let i = 0; i < 20; i++) {
        const answer = await ask(server, handshakeText(server, '/ws/asks', `Sec-WebSocket-Protocol: ${SECRET}, chat\r\n`));
        assert.match(answer, /^HTTP\/1\.1 101 /);
        assert.doesNotMatch(answer.slice(0, answer.indexOf('\r\n\r\n')), /Sec-WebSocket-Protocol/i, 'it speaks none, so it chooses none');
        const viewer = await connect(server, '/ws/npm');
        assert.equal(viewer.ws.protocol, '');
        await viewer.tick();
        viewer.ws.terminate();
    }
    for (let i = 0; i < 5; i++) {
        await ask(server, handshakeText(server, '/ws/asks', `Sec-WebSocket-Protocol: ${SECRET}, chat\r\n`));
        const { code, stdout } = await browser(`ws://${server.host}:${server.port}/ws/browser`);
        assert.deepEqual([code, JSON.parse(stdout || '{}')], [0, { event: 'hello', protocol: '' }]);
    }
});
