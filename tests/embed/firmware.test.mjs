/* examples/firmware, the project that a firmware starts from: aidash as a library,
 * dropped in as two files. FIRMWARE is the command that runs it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, isStatus, poll, request, sleep, start, status } from '../e2e/aidash.mjs';

const [bin, ...args] = process.env.FIRMWARE.split(' ');

for (const signal of ['SIGTERM', 'SIGINT']) {
    test(`the firmware publishes up to 1,000 steps a second, obeys viewers, and ends with ${signal}`, async (t) => {
        const firmware = await start(args, { bin, listen: [], env: { AIDASH_LISTEN: '127.0.0.1:0' } });
        t.after(() => firmware.proc.kill('SIGKILL'));
        const viewer = await connect(firmware, '/ws/bench');
        assert.deepEqual([viewer.hello.model, viewer.hello.models], ['yolov8n', ['yolov8n', 'resnet50']]);
        await viewer.tick((tick) => tick.model === 'yolov8n' && tick.latency_ms > 0
            && tick.tokens_per_second > 200 && tick.tokens_per_second < 1100); /* a busy machine has fewer */

        assert.equal((await viewer.command({ action: 'switch_model', model: 'none-such' })).code, 'unknown_model');
        assert.ok((await viewer.command({ action: 'switch_model', model: 'resnet50' })).number > 0, 'it takes its time');
        await viewer.next((event) => event.event === 'command' && event.state === 'done');
        await viewer.tick((tick) => tick.model === 'resnet50');

        await viewer.command({ action: 'pause' });
        await viewer.next((event) => isStatus(event) && event.paused);
        const steps = async () => (await status(firmware)).counters;
        await poll(async () => {
            const before = await steps();
            await sleep(100); /* a hundred steps of a loop that did not stand still */
            const after = await steps();
            return after.ticks === before.ticks && after.paused_dropped === before.paused_dropped;
        }, 'loop that stands still');
        await viewer.command({ action: 'switch_model', model: 'yolov8n' });
        const held = viewer.events.length;
        await viewer.command({ action: 'resume' });
        await viewer.tick();
        assert.deepEqual(viewer.events.slice(held).filter((event) => event.event === 'inference_tick')
            .map((tick) => tick.model).filter((model) => model !== 'yolov8n'), []);

        assert.deepEqual((await status(firmware)).page, { title: 'Door camera', panel: '/door/panel.js' });
        const picture = await request(firmware, '/door/snap.bmp?1');
        assert.deepEqual([picture.status, picture.headers['content-type'], picture.bytes.length, picture.bytes.readUInt16BE(0), picture.bytes.readUInt32LE(2)],
            [200, 'image/bmp', 54 + 3 * 32 * 24, 0x424d, 54 + 3 * 32 * 24]);
        assert.match((await request(firmware, '/door/panel.js')).text, /^export default function mount[^]*\}\n$/);

        const gauge = await viewer.next((event) => event.event === 'gauge', 'temperature');
        assert.deepEqual([gauge.gauge, gauge.unit], ['temperature', 'C']);
        const record = await viewer.next((event) => event.event === 'request' && event.status === 'finished', 'description');
        assert.deepEqual([record.client, record.route, record.completion_tokens], ['door camera', 'describe', 20]);
        assert.ok(record.ttft_ms > 0 && record.itl_p50_ms > 0);
        assert.equal((await viewer.command({ action: 'own', command: 'threshold', value: 0.75 })).event, 'ack');
        assert.equal((await viewer.command({ action: 'own', command: 'threshold', value: 2 })).code, 'invalid_command');
        firmware.proc.kill('SIGUSR1');
        const pressed = await viewer.next((event) => isStatus(event) && event.paused, 'button');
        assert.equal(pressed.reason, 'the button on the board');
        await viewer.next((event) => event.event === 'note' && event.text === 'button: paused');

        await firmware.stop(signal);
        assert.match(firmware.stderr(), /stopped after \d+ steps\n$/);
        assert.equal((await viewer.closed).code, 1001);
    });
}
