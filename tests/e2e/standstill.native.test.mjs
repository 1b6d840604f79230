/* A server that stood still (SIGSTOP, a debugger, a suspended machine): its peers are not blamed for it. build/hasty/aidash pings
 * after 2 s and closes after 6 s of silence, instead of 20 s and 60 s. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { OP, ROOT, RawViewer, frame, serve, sleep } from './aidash.mjs';

const bin = path.join(ROOT, 'build/hasty/aidash');
const SILENCE_MS = 6000;

/* A viewer that answers pings, as browsers do, or does not. */
async function viewer(server, { answers }) {
    const raw = await RawViewer.open(server);
    if (answers) {
        raw.socket.on('data', () => {
            for (; raw.pongs < raw.frames.filter(({ op }) => op === OP.PING).length; raw.pongs++) {
                raw.write(frame(OP.PONG));
            }
        });
        raw.pongs = 0;
    }
    return raw;
}

test('a standstill longer than the silence that is allowed: viewers are pinged, and only the silent one is closed', { timeout: 60_000 }, async (t) => {
    const server = await serve(t, ['--source', 'none'], { bin });
    const good = await viewer(server, { answers: true });
    const mute = await viewer(server, { answers: false });
    const { event } = await good.nextFrame(OP.TEXT);
    assert.deepEqual([event.limits.ping_s, event.limits.silence_s], [2, 6]);
    await good.nextFrame(OP.PING);
    server.proc.kill('SIGSTOP');
    await sleep(SILENCE_MS + 2000);
    const before = good.frames.length;
    const continued = performance.now();
    server.proc.kill('SIGCONT');
    await good.nextFrame(OP.PING);
    assert.ok(!good.frames.slice(before).some(({ op }) => op === OP.CLOSE), 'pinged, and not closed');
    assert.ok(!mute.frames.some(({ op }) => op === OP.CLOSE), 'nor the silent one yet: it has had no chance');
    const { payload } = await mute.nextFrame(OP.CLOSE);
    assert.equal(payload.readUInt16BE(), 1001);
    assert.equal(payload.subarray(2).toString(), 'no answer to a ping');
    assert.ok(performance.now() - continued > 1500);
    await sleep(2500);
    assert.ok(!good.frames.some(({ op }) => op === OP.CLOSE));
});
