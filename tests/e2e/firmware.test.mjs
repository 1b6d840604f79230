/* The example that a firmware starts from: aidash as a library. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ROOT, connect, request, start } from './aidash.mjs';

const bin = path.resolve(process.env.AIDASH_FIRMWARE ?? path.join(ROOT, 'build/examples/firmware'));

test('the firmware example publishes ticks and reacts to a model switch', async () => {
    assert.ok(existsSync(bin), `${bin} is built by make`);
    const firmware = await start([], { bin, listen: [], env: { AIDASH_LISTEN: '127.0.0.1:0' } });
    const viewer = await connect(firmware, '/ws/bench');
    const tick = await viewer.tick();
    assert.equal(tick.model, viewer.hello.model);
    const model = viewer.hello.models.find((name) => name !== viewer.hello.model);
    assert.equal((await viewer.command({ action: 'switch_model', model })).event, 'ack');
    await viewer.tick((each) => each.model === model);
    assert.equal((await viewer.command({ action: 'switch_model', model: 'no-such-model' })).event, 'error');
    assert.equal((await request(firmware, '/healthz')).status, 200);
    firmware.proc.kill('SIGKILL');
    await firmware.exit;
});
