/* The example that a firmware starts from: aidash as a library. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { ROOT, connect, isStatus, sleep, start, status } from './aidash.mjs';

const bin = path.join(ROOT, 'build/examples/firmware');

test('the firmware example publishes ticks and obeys model switch and pause', async (t) => {
    const firmware = await start([], { bin, listen: [], env: { AIDASH_LISTEN: '127.0.0.1:0' } });
    t.after(() => firmware.proc.kill('SIGKILL'));
    const viewer = await connect(firmware, '/ws/bench');
    assert.deepEqual([viewer.hello.model, viewer.hello.models], ['yolov8n', ['yolov8n', 'resnet50']]);
    assert.equal((await viewer.tick()).model, 'yolov8n');
    await viewer.command({ action: 'switch_model', model: 'resnet50' });
    await viewer.tick((tick) => tick.model === 'resnet50' && tick.latency_ms === 45);
    assert.equal((await viewer.command({ action: 'switch_model', model: 'none-such' })).code, 'unknown_model');
    await viewer.command({ action: 'pause' });
    await viewer.next((e) => isStatus(e) && e.paused);
    await sleep(100); /* for the inference that was under way */
    const { counters } = await status(firmware);
    await sleep(200);
    assert.deepEqual((await status(firmware)).counters.paused_dropped, counters.paused_dropped, 'its loop stands still');
    await viewer.command({ action: 'resume' });
    await viewer.tick();
});
