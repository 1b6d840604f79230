/* A firmware with paths of its own: own_paths.c, in C and in C++, which tests lead by lines. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { after, before } from 'node:test';
import { Inbox, ROOT, within } from './aidash.mjs';

const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-'));
const source = path.join(ROOT, 'tests/e2e/own_paths.c');
/* AIDASH_LIB is another object, and LIB_FLAGS what it was compiled with: for a sanitizer. */
const object = process.env.AIDASH_LIB || path.join(ROOT, 'build/lib/aidash.o');
const flags = (process.env.LIB_FLAGS ?? '').split(' ').filter(Boolean);
export const bins = { C: path.join(dir, 'c'), 'C++': path.join(dir, 'cc') };
before(() => {
    for (const [cc, from, out] of [[process.env.CC || 'cc', [source], bins.C],
        [process.env.CXX || 'c++', ['-x', 'c++', source, '-x', 'none'], bins['C++']]]) {
        const built = spawnSync(cc, ['-Wall', '-Wextra', '-Werror', ...flags, '-I', ROOT, '-o', out, ...from, object, '-lpthread'], { encoding: 'utf8' });
        assert.equal(built.status, 0, built.stderr ?? built.error);
    }
});
after(() => rmSync(dir, { recursive: true }));

export const ROUTES = [['route', '/echo', 'text/plain', 0, 'echo'], ['route', '/size', 'application/x-x', 0, 'size'],
    ['route', '/code', 'text/plain', 0, 'code'], ['route', '/stuck', 'text/plain', 0, 'stuck'], ['static', '/acme/logo.png', 'image/png', 0, 1000]];

/* A firmware with these paths, which runs. */
export async function firmware(t, { bin = bins.C, routes = ROUTES, config = [] } = {}) {
    const proc = spawn(bin, [], { stdio: ['pipe', 'pipe', 'inherit'] });
    const said = new Inbox();
    const left = new Promise((done) => { proc.on('close', (code, signal) => done(code ?? signal)); });
    readline.createInterface({ input: proc.stdout }).on('line', (line) => said.push(line));
    t.after(async () => {
        proc.stdin.end();
        try {
            assert.equal(await within(left, 'end of the firmware'), 0);
        } finally {
            proc.kill('SIGKILL');
        }
    });
    const ask = async (...words) => {
        proc.stdin.write(`${words.join('|')}\n`);
        return (await said.next((each) => each.startsWith('= '), `answer to ${words}`)).slice(2);
    };
    for (const route of routes) {
        assert.equal((await ask(...route)).split(' ')[0], '0', route.join(' '));
    }
    const start = async (...words) => {
        const [rc, port, ...why] = (await ask('start', ...words)).split(' ');
        return { rc, server: { host: '127.0.0.1', port: Number(port) }, why: why.join(' ') };
    };
    return { ask, said, start, ...await start(...config) };
}
