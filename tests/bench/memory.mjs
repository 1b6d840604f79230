// What each build keeps in memory, as the kernel counts it: idle, and with viewers. Part `memory` of run.mjs.
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** kB of 1000 bytes of a process: all that is resident; without the pages of files, which other programs share; and its static
 * memory alone, which is what is writable in the program's file and the mapping without a name behind it. */
export function resident(pid) {
  const sums = { all: 0, own: 0, statics: 0 };
  const file = readlinkSync(`/proc/${pid}/exe`);
  let counts = false;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const mapping = line.match(/^[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \d+ *(.*)$/);
    if (mapping) {
      const [, rights, name] = mapping;
      counts = rights.startsWith('rw') && (name === file || (name === '' && counts));
    } else if (/^(Rss|Anonymous):/.test(line)) {
      const kb = Number(line.match(/\d+/)[0]) * 1.024;
      if (line.startsWith('Rss')) sums.all += kb;
      else sums.own += kb;
      if (line.startsWith('Rss') && counts) sums.statics += kb;
    }
  }
  return sums;
}

async function measure(bin, load, viewers) {
  const state = mkdtempSync(path.join(os.tmpdir(), 'aidash-memory-'));
  const child = spawn(bin, ['--listen', '127.0.0.1:0', '--source', 'sim', '--rate', '5', '--state-dir', state], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((done) => { child.on('close', done); });
  try {
    const port = await new Promise((done, fail) => {
      let said = '';
      child.stderr.on('data', (text) => {
        said += text;
        const found = said.match(/listening on http:\/\/127\.0\.0\.1:(\d+)/);
        if (found) done(Number(found[1]));
      });
      ended.then(() => fail(new Error(`${bin} ended: ${said}`)));
    });
    await sleep(3000);
    const idle = resident(child.pid);
    const threads = readdirSync(`/proc/${child.pid}/task`).length;
    let over = false;
    const watching = promisify(execFile)(load, ['--port', port, '--clients', viewers, '--seconds', 4, '--warmup', 1, '--pid', child.pid].map(String),
      { timeout: 300_000 }).finally(() => { over = true; });
    watching.catch(() => {}); // awaited below
    let full = idle;
    while (!over) {
      const now = resident(child.pid);
      if (now.all > full.all) full = now;
      await sleep(200);
    }
    const { closed } = JSON.parse((await watching).stdout);
    if (closed > 0) throw new Error(`${bin}: ${closed} viewers were turned away`);
    return { idle, full, threads };
  } finally {
    child.kill('SIGTERM');
    await ended;
    rmSync(state, { recursive: true, force: true });
  }
}

/** Lines of Markdown. programs: { NAME: { bin, viewers } }; those that are not built are left out. */
export async function memory(load, programs) {
  const mb = (kb) => (kb / 1000).toFixed(2);
  const lines = ['', '| resident, MB | idle | of it no file | of it static | viewers | with them | of it static | each, kB | threads |',
    '|---|--:|--:|--:|--:|--:|--:|--:|--:|'];
  for (const [name, { bin, viewers }] of Object.entries(programs)) {
    if (!bin || !existsSync(bin)) continue;
    process.stderr.write('.');
    const { idle, full, threads } = await measure(bin, load, viewers);
    lines.push(`| ${[name, mb(idle.all), mb(idle.own), mb(idle.statics), viewers, mb(full.all), mb(full.statics),
      ((full.all - idle.all) / viewers).toFixed(2), threads].join(' | ')} |`);
  }
  return lines;
}
