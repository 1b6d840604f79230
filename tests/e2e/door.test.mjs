/* A port that somebody else has. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { BIN, start } from './aidash.mjs';

test('a port in use is told with the program that has it', async (t) => {
    const server = await start(['--source', 'none']);
    t.after(() => server.stop());
    const second = spawnSync(BIN, ['--listen', `127.0.0.1:${server.port}`], { encoding: 'utf8' });
    assert.equal(second.status, 3);
    assert.match(second.stderr, new RegExp(`127\\.0\\.0\\.1:${server.port}: .*in use by \\S+ \\(process ${server.proc.pid}\\)`));
});
