/* A firmware that tests lead by lines on its standard input: tests/e2e/NAME.c, compiled with aidash's object. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { after, before } from 'node:test';
import { Inbox, ROOT, within } from './aidash.mjs';

/* AIDASH_LIB is another object, and LIB_FLAGS what it was compiled with: for a sanitizer. */
const object = process.env.AIDASH_LIB || path.join(ROOT, 'build/lib/aidash.o');
const flags = (process.env.LIB_FLAGS ?? '').split(' ').filter(Boolean);

/* The program by language, C or C++, there from the first test of the file to its last. */
export function compiled(name, languages = ['C']) {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-'));
    const source = path.join(ROOT, `tests/e2e/${name}.c`);
    const bins = Object.fromEntries(languages.map((language) => [language, path.join(dir, language)]));
    before(() => {
        for (const [language, bin] of Object.entries(bins)) {
            const [cc, ...from] = language === 'C' ? [process.env.CC || 'cc', source] : [process.env.CXX || 'c++', '-x', 'c++', source, '-x', 'none'];
            const built = spawnSync(cc, ['-Wall', '-Wextra', '-Werror', ...flags, '-I', ROOT, '-o', bin, ...from, object, '-lpthread'], { encoding: 'utf8' });
            assert.equal(built.status, 0, built.stderr ?? built.error);
        }
    });
    after(() => rmSync(dir, { recursive: true }));
    return bins;
}

/* Run it; behind the test it has to end well. ask() gives its answer to a line, the "= ..." that it prints. Lines for which
 * `takes` is not true are in `said`. */
export function run(t, bin, takes = () => false) {
    const proc = spawn(bin, [], { stdio: ['pipe', 'pipe', 'inherit'] });
    const said = new Inbox();
    const left = new Promise((done) => { proc.on('close', (code, signal) => done(code ?? signal)); });
    readline.createInterface({ input: proc.stdout }).on('line', (line) => takes(line) || said.push(line));
    t.after(async () => {
        proc.stdin.end();
        try {
            assert.equal(await within(left, 'end of the firmware'), 0);
        } finally {
            proc.kill('SIGKILL');
        }
    });
    const ask = async (line, ms) => {
        proc.stdin.write(`${line}\n`);
        return (await said.next((each) => each.startsWith('= '), `answer to ${line}`, ms)).slice(2);
    };
    return { pid: proc.pid, said, ask };
}

/* A server on this machine, as requests and pages take it. */
export const here = (port) => ({ host: '127.0.0.1', port: Number(port), url: `http://127.0.0.1:${port}` });

/* The same with a line of words between bars. */
export function runWords(t, bin) {
    const { ask, ...rest } = run(t, bin);
    return { ...rest, ask: (...words) => ask(words.join('|')) };
}
