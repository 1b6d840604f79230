/* The line of shell in examples/pipeline/README.md, as printed there, with the real engine: what it reads on the pages
 * arrives as ticks. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { BIN, ROOT, poll, within } from './aidash.mjs';

const example = path.join(ROOT, 'examples/pipeline');
const line = readFileSync(path.join(example, 'README.md'), 'utf8').match(/```sh\n(for .*tesseract.*)\n```/)[1];

test('a shell pipeline with Tesseract feeds aidash', async (t) => {
    const need = spawnSync('sh', ['toolchains/fetch.sh', 'need', 'tesseract', 'text2image', 'font-dejavu'],
        { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    if (need.status !== 0) {
        t.skip(`Tesseract can't be had: ${need.stderr.trim()}`);
        return;
    }
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-pipeline-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const drawn = spawnSync('sh', [path.join(example, 'pages.sh')], { cwd: dir, encoding: 'utf8' });
    assert.equal(drawn.status, 0, drawn.stderr);
    symlinkSync(BIN, path.join(dir, 'aidash'));

    const shell = spawn('sh', ['-c', line], {
        cwd: dir,
        detached: true,
        stdio: ['ignore', 'inherit', 'pipe'],
        env: { ...process.env, PATH: `${dir}:${process.env.PATH}`, AIDASH_LISTEN: '127.0.0.1:0' },
    });
    t.after(() => process.kill(-shell.pid, 'SIGKILL'));
    let log = '';
    const port = await within(new Promise((found) => {
        shell.stderr.on('data', (text) => {
            log += text;
            const at = log.match(/listening on http:\/\/127\.0\.0\.1:(\d+)/);
            if (at) found(at[1]);
        });
    }), 'address in the log');
    const ask = async (what) => (await fetch(`http://127.0.0.1:${port}${what}`)).json();

    await poll(async () => (await ask('/status')).source_state === 'ended', 'end of the pages', 60000);
    const { ticks } = await ask('/ticks?since=0&limit=100');
    const words = [9, 21, 26]; /* of pages.sh's three pages, added up */
    assert.deepEqual(ticks.map((tick) => tick.tokens_generated), words);
    for (const tick of ticks) {
        assert.equal(tick.model, 'tesseract');
        assert.ok(tick.latency_ms > 1 && tick.latency_ms < 60000, `${tick.latency_ms} ms for a page`);
    }
});
