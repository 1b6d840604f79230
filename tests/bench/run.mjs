// Measures aidash beside a raw limit (raw.c: one send() of a finished frame a
// client and tick, and nothing else), in turns, in one run. Prints a table in
// Markdown and keeps it as report.md; and the meter beside nginx and HAProxy
// (proxies.mjs). Asserts no time: only a torn or disordered
// stream makes it fail.
//
// usage: node tests/bench/run.mjs [--quick] [PART...]     the parts: see `parts`
// environment: CC, AIDASH (the binary), AIDASH_GATEWAY (the one for 10,000
// viewers), AIDASH_LIB (what to link publish.c with: aidash.c compiled with
// AIDASH_NO_MAIN, and libraries), BENCH_OUT (a directory)
import { execFile, execFileSync, execSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { memory } from './memory.mjs';
import { proxies } from './proxies.mjs';
import { scrapes } from './scrape.mjs';
import { at, attacks, starve } from './starve.mjs';
import { viewersOverTls } from './tls.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');
const quick = process.argv.includes('--quick');
const out = path.resolve(process.env.BENCH_OUT ?? path.join(root, 'build/bench'));
const cc = (process.env.CC ?? 'cc').split(' ').filter(Boolean);
const aidash = path.resolve(process.env.AIDASH ?? path.join(root, 'build/aidash'));
const gateway = process.env.AIDASH_GATEWAY && path.resolve(process.env.AIDASH_GATEWAY);
const lib = (process.env.AIDASH_LIB ?? '').split(' ').filter(Boolean);
const seconds = quick ? 1.2 : 2.4;
const faults = [];

// ---- building and running

function build(name, ...extra) {
  execFileSync(cc[0], [...cc.slice(1), '-O2', '-std=c11', '-o', path.join(out, name),
    path.join(here, `${name}.c`), ...extra, '-lpthread'], { cwd: root, stdio: 'inherit' });
}

/** What a measuring program prints. */
async function json(name, args) {
  const { stdout } = await promisify(execFile)(path.join(out, name), args.map(String), { timeout: 120000 });
  return JSON.parse(stdout);
}

const simulated = (bin) => ({ rate }) => [bin, '--listen', '127.0.0.1:0', '--source', 'sim', '--rate', rate];
const servers = {
  aidash: simulated(aidash),
  gateway: simulated(gateway),
  raw: ({ rate, clients }) => [path.join(out, 'raw'), rate, clients],
  ws: ({ rate }) => [process.execPath, path.join(here, 'peer-ws.mjs'), rate],
};

/** Start a server; resolves when it says where it listens. */
function start(kind, load) {
  const [file, ...args] = servers[kind](load);
  const child = spawn(file, args.map(String), { stdio: ['ignore', 'ignore', 'pipe'] });
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (data) => {
      said += data;
      const port = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      if (port) resolve({ child, port: Number(port) });
    });
    child.on('error', reject);
    child.on('exit', () => reject(new Error(`${kind} ended: ${said}`)));
  });
}

async function stop({ child }) {
  const ended = new Promise((resolve) => child.on('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}

// The kernel's kB are of 1024 bytes, those in the table of 1000.
const KIB = 1.024;

/** Kilobytes of a process: { Rss, Private_Dirty, ... }. */
function rollup(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Object.fromEntries([...text.matchAll(/^(\w+):\s+(\d+) kB/gm)].map((m) => [m[1], m[2] * KIB]));
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One window of one server under one load: what load.c prints, and more. */
async function sample(kind, load) {
  const server = await start(kind, load);
  try {
    await sleep(200);
    const idle = rollup(server.child.pid);
    const r = await json('load', ['--port', server.port, '--clients', load.clients,
      '--silent', load.silent ?? 0, '--seconds', load.seconds ?? seconds, '--warmup', load.warmup ?? 0.3,
      '--pid', server.child.pid]);
    if (r.torn > 0 || r.disordered > 0 || r.closed > 0) {
      faults.push(`${kind}, ${JSON.stringify(load)}: ${r.torn} torn, ${r.disordered} disordered, ${r.closed} closed`);
    }
    const status = kind === 'aidash' || kind === 'gateway'
      ? await (await fetch(`http://127.0.0.1:${server.port}/status`)).json() : undefined;
    return {
      ...r,
      rss_kb: r.rss_kb * KIB,
      idle_kb: idle.Rss,
      idle_dirty_kb: idle.Private_Dirty,
      delivered_ratio: r.delivered / (r.seconds * load.rate * (load.clients - (load.silent ?? 0))),
      cpu_s_per_million: r.server_cpu_s / r.delivered * 1e6,
      viewer_kb: (r.rss_kb * KIB - idle.Rss) / load.clients,
      server_dropped: status?.counters.dropped,
    };
  } finally {
    await stop(server);
  }
}

/** Several rounds, each of all the variants, every other one backwards. */
async function rounds(n, variants) {
  const results = Object.fromEntries(Object.keys(variants).map((name) => [name, []]));
  for (let i = 0; i < n; i++) {
    const order = Object.entries(variants);
    if (i % 2 === 1) order.reverse();
    for (const [name, run] of order) {
      process.stderr.write('.');
      results[name].push(await run());
    }
  }
  return results;
}

/** One round, with all the variants at once. */
async function together(variants) {
  process.stderr.write('.');
  const runs = await Promise.all(Object.values(variants).map((run) => run()));
  return Object.fromEntries(Object.keys(variants).map((name, i) => [name, [runs[i]]]));
}

// ---- the table

const median = (values) => {
  const v = [...values].sort((a, b) => a - b);
  return (v[(v.length - 1) >> 1] + v[v.length >> 1]) / 2;
};
const lowest = (runs, field) => Math.min(...runs.map((r) => r[field]));
const middle = (runs, field) => median(runs.map((r) => r[field]));

const rows = [];
const digits = (v) => (v === undefined ? '' : Number.isInteger(v) ? String(v)
  : v.toPrecision(Math.max(3, Math.ceil(Math.log10(Math.abs(v) + 1)))));
/** limit: the most that the judged number (ratio, or else ours) may be. */
function row(what, { ours, raw, ratio, calm, unit = '', aim = '', limit, least, judged = ratio ?? ours }) {
  const met = limit === undefined && least === undefined ? ''
    : (limit === undefined || judged <= limit) && (least === undefined || judged >= least) ? 'yes' : '**no**';
  const cell = (v, of = unit) => (v === undefined ? '' : `${digits(v)}${of}`);
  rows.push(`| ${what} | ${cell(ours)} | ${cell(raw)} | ${cell(ratio, ' ×')} | ${cell(calm, ' ×')} | ${aim} | ${met} |`);
}
function compared(what, r, field, { unit, aim, limit, scale = 1 }) {
  row(what, { ours: middle(r.aidash, field) * scale, raw: middle(r.raw, field) * scale,
    ratio: middle(r.aidash, field) / middle(r.raw, field),
    calm: r.raw.length > 1 ? lowest(r.aidash, field) / lowest(r.raw, field) : undefined, unit, aim, limit });
}

// ---- the measurements

const pair = (load) => ({ aidash: () => sample('aidash', load), raw: () => sample('raw', load) });
const n = (full) => (quick ? 1 : full);

if (!existsSync(aidash)) {
  console.error(`bench: ${path.relative(process.cwd(), aidash)} is not there; run make first`);
  process.exit(1);
}
mkdirSync(out, { recursive: true });
for (const name of ['raw', 'load', 'start']) build(name);
const began = Date.now();
const loadBefore = os.loadavg()[0];

const peer = [];
const relays = [];
const parts = {
  async viewers() {
    for (const clients of [1, 100, 1000]) {
      const load = { rate: 5, clients };
      // One client leaves both cores idle: both servers run at once, under the same
      // disturbances, for five times as long.
      const r = clients === 1
        ? await together(pair({ ...load, seconds: seconds * 5 }))
        : await rounds(n(clients === 100 ? 3 : 7), pair(load));
      const name = `5 ticks/s, ${clients} client${clients > 1 ? 's' : ''}`;
      const p50 = clients === 1 ? { aim: '≤ 1.3 ×', limit: 1.3 } : {};
      const p99 = clients === 1000 ? { aim: '≤ 1.1 ×', limit: 1.1 } : {};
      compared(`${name}: latency p50`, r, 'p50_us', { unit: ' µs', ...p50 });
      compared(`${name}: latency p99`, r, 'p99_us', { unit: ' µs', ...p99 });
      if (clients > 1) {
        compared(`${name}: server CPU a million ticks delivered`, r, 'cpu_s_per_million', { unit: ' s', ...p99 });
      }
      if (clients === 1000) {
        row('resident, idle (Rss)', { ours: middle(r.aidash, 'idle_kb') / 1000,
          raw: middle(r.raw, 'idle_kb') / 1000, unit: ' MB', aim: '≤ 2.5 MB', limit: 2.5 });
        row('of which its own (Private_Dirty)', { ours: middle(r.aidash, 'idle_dirty_kb'),
          raw: middle(r.raw, 'idle_dirty_kb'), unit: ' kB' });
        row('resident, more a viewer at 1000', { ours: middle(r.aidash, 'viewer_kb'),
          raw: middle(r.raw, 'viewer_kb'), unit: ' kB', aim: '< 1 kB', limit: 1 });
      }
    }
  },

  async rates() {
    for (const [rate, aim] of [[2000, 0.35], [10000, 0.1]]) {
      const r = await rounds(n(rate === 2000 ? 4 : 3), pair({ rate, clients: 100 }));
      const name = `${rate} ticks/s asked, 100 clients`;
      row(`${name}: delivered`, { ours: middle(r.aidash, 'delivered_ratio') * 100,
        raw: middle(r.raw, 'delivered_ratio') * 100, unit: ' %', aim: 'all', least: 99 });
      compared(`${name}: server CPU a million ticks delivered`, r, 'cpu_s_per_million',
        { unit: ' s', aim: `≤ ${aim} ×`, limit: aim });
      compared(`${name}: latency p50`, r, 'p50_us', { unit: ' µs' });
      compared(`${name}: latency p99`, r, 'p99_us', { unit: ' µs' });
    }
  },

  async silent() {
    // Here the two columns are aidash with two silent viewers of 20, and without.
    const load = { rate: 1000, clients: 20 };
    const r = await rounds(n(5), {
      aidash: () => sample('aidash', { ...load, silent: 2 }),
      raw: () => sample('aidash', load),
    });
    rows.push('| _two of 20 viewers never read, 1000 ticks/s:_ | _with them_ | _without_ | | | | |');
    row('delivered to the others', { ours: middle(r.aidash, 'delivered_ratio') * 100,
      raw: middle(r.raw, 'delivered_ratio') * 100, unit: ' %', aim: 'all', least: 99 });
    compared('latency of the others p50', r, 'p50_us', { unit: ' µs', aim: 'the same' });
    compared('latency of the others p99', r, 'p99_us', { unit: ' µs', aim: 'the same' });
    compared('resident', r, 'rss_kb', { unit: ' kB', aim: 'the same' });
    row('events that the silent two lost', { ours: middle(r.aidash, 'server_dropped'),
      raw: middle(r.raw, 'server_dropped') });
  },

  async gateway() {
    const files = Number(execSync('ulimit -Hn').toString().replace('unlimited', 'Infinity'));
    if (!gateway || files < 10300) {
      rows.push(`| _10,000 viewers: skipped, ${gateway ? `a process may open ${files} files at most` : 'AIDASH_GATEWAY is not set'}_ | | | | | | |`);
      return;
    }
    const load = { rate: 5, clients: 10000, warmup: 1, seconds: quick ? 2 : 5 };
    const r = await rounds(n(3), { aidash: () => sample('gateway', load), raw: () => sample('raw', load) });
    const name = '5 ticks/s, 10,000 clients';
    row(`${name}: delivered`, { ours: middle(r.aidash, 'delivered_ratio') * 100,
      raw: middle(r.raw, 'delivered_ratio') * 100, unit: ' %' });
    row(`${name}: events lost`, { ours: Math.max(...r.aidash.map((one) => one.server_dropped)), aim: 'none', limit: 0 });
    compared(`${name}: latency p50`, r, 'p50_us', { unit: ' ms', scale: 1e-3 });
    compared(`${name}: latency p99`, r, 'p99_us', { unit: ' ms', scale: 1e-3 });
    compared(`${name}: server CPU a million ticks delivered`, r, 'cpu_s_per_million', { unit: ' s' });
    row(`${name}: resident`, { ours: middle(r.aidash, 'rss_kb') / 1000, raw: middle(r.raw, 'rss_kb') / 1000, unit: ' MB' });
  },

  async start() {
    const times = quick ? 5 : 20;
    const ours = await json('start', [times, aidash, '--listen', '127.0.0.1:PORT', '--source', 'none']);
    const raw = await json('start', [times, path.join(out, 'raw'), 5, 1, 'PORT']);
    row('exec to the first connection accepted', { ours: ours.connected_us / 1000,
      raw: raw.connected_us / 1000, unit: ' ms', aim: '≤ 10 ms', limit: 10 });
    row(`… the fastest of ${times}`, { ours: ours.fastest_us / 1000, raw: raw.fastest_us / 1000, unit: ' ms' });
    row('exec to the first WebSocket handshake answered', { ours: ours.answered_us / 1000,
      raw: raw.answered_us / 1000, unit: ' ms' });
  },

  async starve() {
    // Here the two columns are the attack from another address than the viewer's, and from the same.
    rows.push('| _a viewer connects while …, 95th percentile and longest wait; the hub\'s CPU_ | _from another address_ | _from its own_ | | | | |');
    for (const attack of attacks) {
      const results = [];
      for (const from of attack[1] === 'none' ? ['127.0.0.1'] : ['another', '127.0.0.1']) {
        process.stderr.write('.');
        results.push(await starve(aidash, attack, from, quick ? 1 : 3));
      }
      const cell = (r) => (r === undefined ? '' : `${digits(at(r.waits, 0.95))} ms, ${digits(at(r.waits, 1))} ms; ${Math.round(r.hub * 100)} %`);
      rows.push(`| … ${attack[0]} | ${cell(results[0])} | ${cell(results[1])} | | | ≤ 100 ms | `
        + `${results.every(({ waits }) => at(waits, 1) <= 100) ? 'yes' : '**no**'} |`);
      const failed = results.reduce((sum, r) => sum + r.failed, 0);
      if (failed > 0) faults.push(`while ${attack[0]}: ${failed} viewers were turned away`);
    }
  },

  async publish() {
    if (lib.length > 0) {
      build('publish', ...lib);
      const p = await json('publish', [quick ? 0.3 : 1]);
      row('`aidash_publish()`, hub awake, 1 thread', { ours: p.awake, unit: ' ns', aim: '< 150 ns', limit: 150 });
      row('… 4 threads', { ours: p.awake4, unit: ' ns' });
      row('… inbox always full, 1 thread', { ours: p.flood, unit: ' ns' });
      row('… inbox always full, 4 threads', { ours: p.flood4, unit: ' ns' });
      row('… hub asleep', { ours: p.asleep, unit: ' ns' });
    }
  },

  async proxies() {
    build('relay');
    relays.push(...await proxies({ json, out, aidash }, { quick, median }));
    faults.push(...relays.filter((line) => line.startsWith('FAULT: ')).map((line) => line.slice(7)));
  },

  async memory() {
    const beside = (dir) => path.resolve(path.dirname(aidash), dir, 'aidash');
    relays.push(...await memory(path.join(out, 'load'), quick ? { aidash: { bin: aidash, viewers: 100 } } : {
      aidash: { bin: aidash, viewers: 1000 },
      static: { bin: beside(os.machine().replace(/^armv(\d).*/, 'armv$1')), viewers: 1000 },
      tiny: { bin: beside('tiny'), viewers: 8 },
      gateway: { bin: gateway, viewers: 1000 },
    }));
  },

  async tls() {
    relays.push('', ...await viewersOverTls({ out, aidash }, { quick, median }));
  },

  async scrape() {
    relays.push('', ...await scrapes({ aidash }, { quick }));
  },

  async peer() {
    if (existsSync(path.join(root, 'tests/node_modules/ws'))) {
      const calm = await sample('ws', { rate: 5, clients: 1000 });
      const busy = await sample('ws', { rate: 2000, clients: 100 });
      peer.push(
        `A peer, node with ws, one round: 5 ticks/s, 1000 clients: p99 ${calm.p99_us} µs, `
        + `${digits(calm.cpu_s_per_million)} s CPU a million ticks, ${digits(calm.rss_kb / 1000)} MB resident; `
        + `2000 ticks/s asked, 100 clients: ${digits(busy.delivered_ratio * 100)} % delivered, `
        + `${digits(busy.cpu_s_per_million)} s CPU a million ticks.`, '');
    }
  },
};

const asked = process.argv.slice(2).filter((arg) => arg !== '--quick');
const unknown = asked.filter((name) => !(name in parts));
if (unknown.length > 0) {
  console.error(`bench: no part ${unknown.join(', ')}; there are: ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}
for (const [name, measure] of Object.entries(parts)) {
  if (asked.length === 0 || asked.includes(name)) await measure();
}
process.stderr.write('\n');

// ---- the report

const compiler = execFileSync(cc[0], ['--version'], { encoding: 'utf8' }).split('\n')[0];
const report = [
  `${os.cpus()[0].model}, ${os.cpus().length} cores, Linux ${os.release()}, ${compiler}, node ${process.version}`,
  `${new Date().toISOString().slice(0, 10)}, ${Math.round((Date.now() - began) / 1000)} s${quick ? ', quick' : ''}, `
    + `load average ${loadBefore.toFixed(1)} before, ${os.loadavg()[0].toFixed(1)} at the end (about 1 of it from here)`,
  '',
  '| | aidash | raw | ratio | of the calmest rounds | aim | met |',
  '|---|--:|--:|--:|--:|--:|---|',
  ...rows,
  '',
  'Medians over rounds that take turns, and the ratio of them; on a busy machine the ratio of each side\'s calmest round says',
  'more about the programs. raw: one send() of a finished frame a client and tick, and nothing else.',
  '',
  ...relays.filter((line) => !line.startsWith('FAULT: ')),
  ...peer,
  ...faults.map((f) => `FAULT: ${f}`),
  '',
].join('\n');
writeFileSync(path.join(out, 'report.md'), report);
console.log(report);
process.exit(faults.length > 0 ? 1 : 0);
