/* Who may come in: one address's share, and a port that somebody else has. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { BIN, request, start } from './aidash.mjs';

const open = (port, host = '127.0.0.1', localAddress = '127.0.0.1') => new Promise((resolve, reject) => {
    const socket = net.connect({ port, host, localAddress }, () => resolve(socket));
    socket.on('error', reject);
});

const answer = (socket) => new Promise((resolve) => {
    let text = '';
    socket.on('data', (bytes) => { text += bytes; });
    socket.on('close', () => resolve(text));
});

test('--per-address limits one address and leaves the others alone', async (t) => {
    const server = await start(['--source', 'none', '--per-address', '3']);
    t.after(() => server.stop());
    const silent = await Promise.all([1, 2, 3].map(() => open(server.port)));
    const text = await answer(await open(server.port));
    assert.match(text, /^HTTP\/1\.1 503 /);
    assert.match(text, /too many connections from this address/);
    const other = await open(server.port, '127.0.0.1', '127.0.0.2');
    other.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.match(await answer(other), /^HTTP\/1\.1 200 /);
    for (const socket of silent) socket.destroy();
    /* Their places are free as soon as the server has seen them go. */
    for (let left = 100; ; left--) {
        const status = await request(server, '/healthz').then((each) => each.status, () => 0);
        if (status === 200) break;
        assert.ok(left > 0, 'a place was freed');
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
});

test('a port in use is told with the program that has it', async (t) => {
    const server = await start(['--source', 'none']);
    t.after(() => server.stop());
    const second = spawnSync(BIN, ['--listen', `127.0.0.1:${server.port}`], { encoding: 'utf8' });
    assert.equal(second.status, 3);
    assert.match(second.stderr, new RegExp(`127\\.0\\.0\\.1:${server.port}: .*in use by \\S+ \\(process ${server.proc.pid}\\)`));
});
