// Measures how long a good viewer waits for its first event while other peers take what they can, and what that costs the
// hub, which is the server's busiest thread. Prints a row for each binary given; `make bench PART=starve` has the same figures.
//
//   node tests/bench/starve.mjs [BINARY...]    build/aidash by default; environment: SECONDS (4 a row), ONLY (a pattern)
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const attackFile = fileURLToPath(new URL('attack.mjs', import.meta.url));

/** [what, attack, how many, descriptors] */
export const attacks = [
  ['nothing else happens', 'none'],
  ['1,000 silent connections', 'silent', 1000],
  ['a flood of silent connections, 1,200 at a time', 'silent-flood', 1200],
  ['1,000 that drip a head, a byte a second', 'drip', 1000],
  ['2,000 that drip a head', 'drip', 2000],
  ['a flood of half heads, 1,200 at a time', 'drip-flood', 1200],
  ['a flood of handshakes, 50 at a time', 'handshakes', 50],
  ['a flood of requests, 600 at a time', 'requests', 600],
  ['a storm of resets, 50 at a time', 'resets', 50],
  ['200 that drip, and 64 descriptors', 'drip', 200, 64],
];

let others = 0;
/** Another address than the viewer's. Each has its own ports, and an attack uses up most of them. */
const another = () => `127.${2 + process.pid % 200}.${1 + others++ % 250}.1`;

const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

function start(file, descriptors) {
  const args = ['--listen', '127.0.0.1:0', '--source', 'sim', '--rate', '20'];
  const child = descriptors
    ? spawn('/bin/sh', ['-c', `ulimit -n ${descriptors}; exec "$0" "$@"`, file, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
    : spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (data) => {
      said += data;
      const port = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      if (port) resolve({ child, port: Number(port) });
    });
    child.on('exit', () => reject(new Error(`${file} ended: ${said}`)));
  });
}

/** CPU time of a process and of its busiest thread, in ms: proc(5), stat, fields 14 and 15, in ticks of 10 ms. */
function cpu(pid) {
  const of = (file) => readFileSync(file, 'utf8').replace(/^.*\) /, '').split(' ').slice(11, 13)
    .reduce((sum, ticks) => sum + 10 * Number(ticks), 0);
  return { all: of(`/proc/${pid}/stat`),
    threads: new Map(readdirSync(`/proc/${pid}/task`).map((tid) => [tid, of(`/proc/${pid}/task/${tid}/stat`)])) };
}

/** Milliseconds from connect() to the hello of a viewer. */
export function viewerWait(port, limitMs = 10000) {
  return new Promise((resolve, reject) => {
    const since = performance.now();
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    let got = '';
    socket.write('GET /ws/good HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
      + 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n');
    socket.setTimeout(limitMs, () => socket.destroy(new Error(`no hello within ${limitMs} ms`)));
    socket.on('data', (data) => {
      got += data.toString('latin1');
      if (got.includes('"event":"hello"')) {
        resolve(performance.now() - since);
        socket.destroy();
      }
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`a viewer was closed after "${got.slice(0, 40)}"`)));
  });
}

/** Under one attack: the waits of a viewer in ms, sorted; how many were turned away; the shares of a core. */
export async function starve(file, [, kind, count, descriptors], from, seconds) {
  const { child, port } = await start(file, descriptors);
  const attack = spawn(process.execPath, [attackFile, kind, port, from === 'another' ? another() : from, ...(count ? [count] : [])],
    { stdio: ['pipe', 'pipe', 'pipe'] });
  const waits = [];
  let failed = 0;
  let opened = '';
  attack.stderr.on('data', (data) => { opened += data; });
  try {
    const look = () => viewerWait(port).then((ms) => waits.push(ms), () => { failed++; });
    let ready = false;
    attack.stdout.on('data', () => { ready = true; });
    while (!ready) { // the attack begins: most is asked of the server now
      await look();
      await sleep(5);
    }
    const before = cpu(child.pid);
    const since = performance.now();
    while (performance.now() - since < seconds * 1000) {
      await look();
      await sleep(25);
    }
    const ms = performance.now() - since;
    const now = cpu(child.pid);
    const busiest = Math.max(...[...now.threads].map(([tid, t]) => t - (before.threads.get(tid) ?? 0)));
    waits.sort((a, b) => a - b);
    const end = new Promise((done) => { attack.once('close', done); });
    attack.stdin.end();
    await end;
    return { waits, failed, cpu: (now.all - before.all) / ms, hub: busiest / ms, opened: parseInt(opened, 10) };
  } finally {
    attack.kill('SIGKILL');
    child.removeAllListeners('exit');
    child.kill('SIGKILL');
  }
}

export const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const binaries = process.argv.length > 2 ? process.argv.slice(2) : [path.resolve('build/aidash')];
  const only = new RegExp(process.env.ONLY ?? '');
  console.log('| a viewer connects while ... | from | binary | p50 | p95 | worst | turned away | hub CPU | all CPU | connections |\n'
    + '|---|---|---|--:|--:|--:|--:|--:|--:|--:|');
  for (const attack of attacks) {
    for (const from of attack[1] === 'none' ? ['127.0.0.1'] : ['127.0.0.1', 'another', 'many']) {
      for (const [i, file] of binaries.entries()) {
        if (!only.test(`${attack[0]} ${from}`)) continue;
        const r = await starve(path.resolve(file), attack, from, Number(process.env.SECONDS ?? 4));
        const ms = (share) => `${at(r.waits, share)?.toFixed(1)} ms`;
        console.log(`| ${attack[0]} | ${from} | ${i + 1} | ${ms(0.5)} | ${ms(0.95)} | ${ms(1)} | ${r.failed} of ${r.waits.length + r.failed} `
          + `| ${Math.round(r.hub * 100)} % | ${Math.round(r.cpu * 100)} % | ${r.opened} |`);
      }
    }
  }
}
