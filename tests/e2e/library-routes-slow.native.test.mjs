/* A callback that does not return for 30 s: its client and those who wait behind it are told so; then it goes on. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { SLOW, request, within } from './aidash.mjs';
import { firmware } from './own-paths.mjs';

/* As request(), which waits for less. */
async function answer(server, where) {
    const began = performance.now();
    return within(new Promise((done, fail) => {
        http.get({ host: server.host, port: server.port, path: where, agent: false }, (res) => {
            let text = '';
            res.on('data', (part) => { text += part; });
            res.on('end', () => done({ status: res.statusCode, headers: res.headers, text, ms: performance.now() - began }));
        }).on('error', fail);
    }), where, 60_000 * SLOW);
}

test('a callback that is too slow is a 503 for all who wait for it', async (t) => {
    const { ask, said, server } = await firmware(t);
    const late = answer(server, '/stuck');
    await said.next((line) => line === 'called');
    const behind = answer(server, '/echo');
    for (const { status, headers, text, ms } of [await late, await behind]) {
        assert.deepEqual([status, headers['retry-after']], [503, '5']);
        assert.match(text, /"there was no answer in time"/);
        assert.ok(ms >= 29_000, `after ${ms} ms`);
    }
    assert.equal((await request(server, '/healthz')).status, 200);
    await ask('release', 1);
    assert.equal((await request(server, '/echo')).status, 200);
    assert.equal(await ask('stop'), '2 2 0', 'who gave up was not called for');
});
