/* How a project takes aidash in: a path that is wrong is named by make, CMake, Meson and the component; and tests/embed/every.c, which
 * shows every function of aidash.h at work, misses none. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { ROOT } from '../e2e/aidash.mjs';

const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-builds-'));
after(() => rmSync(dir, { recursive: true }));
const nowhere = path.join(dir, 'nowhere');
const example = path.join(ROOT, 'examples/firmware');

for (const [tool, ...command] of [
    ['make', process.env.MAKE || 'make', '-C', example, `AIDASH=${nowhere}`, '-n'],
    ['cmake', 'cmake', '-S', example, '-B', path.join(dir, 'cmake'), `-DAIDASH=${nowhere}`],
    ['cmake', 'cmake', '-S', path.join(ROOT, 'tests/embed/components'), '-B', path.join(dir, 'components'), `-DFIRMWARE=${example}`, `-DAIDASH=${nowhere}`],
    ['meson', 'meson', 'setup', path.join(dir, 'meson'), example, `-Daidash=${nowhere}`],
]) {
    test(`a wrong path is named: ${path.basename(command[0])} ${path.basename(command[2])}`, (t) => {
        mkdirSync(nowhere, { recursive: true });
        if (spawnSync('sh', ['toolchains/fetch.sh', 'need', tool], { cwd: ROOT }).status !== 0) {
            t.skip(`${tool} can't be had`);
            return;
        }
        const { status, stdout, stderr } = spawnSync(command[0], command.slice(1), { encoding: 'utf8', env: { ...process.env, MAKEFLAGS: '' } });
        assert.notEqual(status, 0);
        assert.match(`${stdout}${stderr}`.replace(/\s+/g, ' '), new RegExp(`${nowhere} has no aidash\\.[ch]: .*AIDASH=DIR|${nowhere} has no aidash\\.[ch]: .*aidash=DIR`));
    });
}

test('every function of aidash.h is called in every.c', () => {
    const functions = [...readFileSync(path.join(ROOT, 'aidash.h'), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
        .matchAll(/^[a-z][\w *]*?\b(aidash_\w+)\(/gm)].map(([, name]) => name);
    assert.ok(functions.length >= 20, functions.join());
    const program = readFileSync(path.join(ROOT, 'tests/embed/every.c'), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
    // aidash_main() is for programs that keep aidash's main(): the suite of the bridges calls it
    assert.deepEqual(functions.filter((name) => name !== 'aidash_main' && !program.includes(`${name}(`)), []);
});
