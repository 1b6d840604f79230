/* The page's address for others: GET /addresses, and GET /qr, whose picture a reader of QR codes reads. */
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import jsQR from 'jsqr';
import { assertRefused, request, serve, validate } from './aidash.mjs';

const MAX = 412; // bytes of a text: docs/api.md
const qr = (server, text, options) => request(server, `/qr?text=${encodeURIComponent(text)}`, options);

/* What a reader sees in the SVG: its path has runs of dark modules, row by row. */
function read(svg) {
    const [, side, d] = svg.match(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 (\d+) \1" shape-rendering="crispEdges"><rect width="\1" height="\1" fill="#fff"\/><path stroke="#000" d="([\dMmh. ]+)"\/><\/svg>\n$/);
    const scale = 4;
    const width = side * scale;
    const pixels = new Uint8ClampedArray(width * width * 4).fill(255);
    let [x, y] = [0, 0];
    for (const [, command, a, b] of d.matchAll(/([Mmh])([\d.]+)(?: ([\d.]+))?/g)) {
        if (command === 'M') {
            [x, y] = [Number(a), Number(b) - 0.5];
        } else if (command === 'm') {
            assert.equal(b, '0');
            x += Number(a);
        } else {
            for (let row = y * scale; row < (y + 1) * scale; row++) {
                for (let at = x * scale; at < (x + Number(a)) * scale; at++) pixels.fill(0, (row * width + at) * 4, (row * width + at) * 4 + 3);
            }
            x += Number(a);
        }
    }
    return jsQR(pixels, width, width)?.data;
}

test('a QR code is an SVG picture of the address: it can be read, runs nothing and is not stored', async (t) => {
    const server = await serve(t);
    for (const text of ['http://192.168.1.7:8080/', 'https://board.local/a%20b/#w=300&t=1741478400.123,1741478460.123&q=model%3A%22m%C3%A4%22', `http://a/${'x'.repeat(MAX - 9)}`]) {
        const answer = await qr(server, text);
        assert.equal(answer.status, 200);
        assert.equal(answer.headers['content-type'], 'image/svg+xml');
        assert.equal(answer.headers['cache-control'], 'no-store');
        assert.equal(answer.headers['content-security-policy'], "default-src 'none'");
        assert.equal(read(answer.text), text);
        const head = await qr(server, text, { method: 'HEAD' });
        assert.deepEqual([head.status, head.headers['content-length'], head.bytes.length], [200, String(answer.bytes.length), 0]);
    }
});

test('no QR code: of a text too long by a byte, of no address, of a secret', async (t) => {
    const server = await serve(t);
    for (const [where, why] of [
        [`text=http://a/${'x'.repeat(MAX - 8)}`, `text is at most ${MAX} bytes, coded as %XX`],
        [`text=${'%68'.repeat(MAX + 1)}`, `text is at most ${MAX} bytes, coded as %XX`],
        ['text=http://a/%0', `text is at most ${MAX} bytes, coded as %XX`],
        ['text=http://a/%00', `text is at most ${MAX} bytes, coded as %XX`],
        ['', 'text is missing: /qr?text=ADDRESS'],
        ['txt=http://a/', 'text is missing: /qr?text=ADDRESS'],
        ['text=', 'text is an address that begins with http:// or https://'],
        ['text=javascript:alert(1)', 'text is an address that begins with http:// or https://'],
        ['text=http://a/%0D%0AX:%20y', 'text is an address: ASCII without spaces'],
        ['text=http://a/%C3%A4', 'text is an address: ASCII without spaces'],
        ['text=http://a/?token=aidash_x', 'an address with a token or a code is not drawn here'],
        ['text=http://a/%23pair=12345678', 'an address with a token or a code is not drawn here'],
    ]) {
        const answer = await request(server, `/qr?${where}`);
        assertRefused(answer, 400);
        assert.equal(answer.json.error.message, why, where);
    }
    assert.equal((await request(server, '/qr?text=http://a/', { method: 'POST' })).headers.allow, 'GET, HEAD, OPTIONS');
});

test('the addresses on the LAN: those of this machine, none where only it is reached, the one that is listened on', async (t) => {
    const of = async (listen) => {
        const server = await serve(t, [], { listen: ['--listen', listen] });
        const { addresses } = validate((await request({ ...server, host: '127.0.0.1' }, '/addresses')).json, 'AddressesAnswer');
        return addresses.map((address) => { // each leads to this server
            assert.equal(new URL(address).port, String(server.port));
            return new URL(address).hostname;
        });
    };
    assert.deepEqual(await of('127.0.0.1:0'), []);
    const all = Object.values(networkInterfaces()).flat();
    const own = all.filter(({ internal, family }) => !internal && family === 'IPv4').map(({ address }) => address);
    for (const listen of ['*:0', '0.0.0.0:0']) {
        const hosts = (await of(listen)).filter((host) => !host.endsWith('.local') && !host.startsWith('['));
        assert.ok(hosts.every((host) => own.includes(host)), `${hosts} of ${own}`);
    }
    for (const address of own.slice(0, 1)) {
        const server = await serve(t, [], { listen: ['--listen', '127.0.0.1:0', '--listen', `${address}:0`], ready: /listening on http:\/\/(\S+):(\d+)\n[^]*listening on http:\/\/\S+:(\d+)\n/ });
        const { addresses } = (await request(server, '/addresses')).json;
        assert.deepEqual(addresses, [`http://${address}:${server.stderr().match(/http:\/\/(?!127)\S+:(\d+)\n/)[1]}/`], 'not the one that only this machine reaches');
    }
});
