// Gateways with many boards and viewers: what an event costs on its way in, and to each viewer. Prints a table in Markdown and
// keeps it as gateways.md. Asserts no time; a torn or disordered stream, or a lost event, makes it fail.
//
// usage: node tests/bench/gateways.mjs [--quick]       make gateway-bench
// environment: AIDASH_GATEWAY (the binary for 10,000 viewers), BENCH_OUT (a directory with load.c's program)
import { execFile, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const quick = process.argv.includes('--quick');
const out = path.resolve(process.env.BENCH_OUT ?? 'build/bench');
const bin = path.resolve(process.env.AIDASH_GATEWAY ?? 'build/gateway/aidash');
const EVENTS_A_BOARD = 10; // a second
const TURNS_A_SECOND = 100; // boards do not tick together: in each turn it is those of one tenth
const SHARES = TURNS_A_SECOND / EVENTS_A_BOARD;
const LINES_MAX = 250; // of a POST
const seconds = quick ? 2 : 8;
const faults = [];
const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

function start() {
  const child = spawn(bin, ['--listen', '127.0.0.1:0', '--source', 'none'], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, AIDASH_NO_BOARD: 'yes' } });
  process.on('exit', () => child.kill('SIGKILL'));
  return new Promise((done, fail) => {
    let said = '';
    child.stderr.on('data', (text) => {
      said += text;
      const port = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      if (port) done({ child, port: Number(port), agent: new http.Agent({ keepAlive: true, maxSockets: 4 }) });
    });
    child.on('exit', () => fail(new Error(`the gateway ended: ${said}`)));
  });
}

async function stop({ child, agent }) {
  agent.destroy();
  const ended = new Promise((done) => { child.on('exit', done); });
  child.kill('SIGTERM');
  await ended;
}

const post = ({ port, agent }, body) => new Promise((done, fail) => {
  const asked = http.request({ port, host: '127.0.0.1', path: '/ingest', method: 'POST', agent, headers: { 'Content-Length': Buffer.byteLength(body) } }, (answer) => {
    answer.resume();
    answer.on('end', () => (answer.statusCode === 200 ? done() : fail(new Error(`/ingest: ${answer.statusCode}`))));
  });
  asked.on('error', fail);
  asked.end(body);
});

const status = async ({ port }) => (await fetch(`http://127.0.0.1:${port}/status`)).json();

/* CPU seconds of a process. */
function cpu({ child }) {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

let tokens = 0;
/* The next tick of each board, or of a share of them. */
const round = (boards, share = 0, shares = 1) => {
  tokens += 3;
  const those = Array.from({ length: boards }, (_, i) => i).filter((i) => i % shares === share);
  const lines = those.map((i) => JSON.stringify({ model: `m-${i}`, node: `board-${i % 120}`, tokens_generated: tokens, latency_ms: 40.5, tokens_per_second: 24.5, timestamp: Date.now() / 1000 }));
  return Array.from({ length: Math.ceil(lines.length / LINES_MAX) }, (_, k) => lines.slice(k * LINES_MAX, (k + 1) * LINES_MAX).join('\n'));
};

/* Ten ticks a second of each board, to all gateways; returns how to stop it. */
function feed(gateways, boards) {
  let stopped = false;
  const run = (async () => {
    for (let next = Date.now(), turn = 0; !stopped; next += 1000 / TURNS_A_SECOND, turn++) {
      for (const body of round(boards, turn % SHARES, SHARES)) await Promise.all(gateways.map((gateway) => post(gateway, body)));
      await sleep(Math.max(0, next - Date.now()));
      if (Date.now() - next > 1000) next = Date.now(); // this machine is too slow: fewer are sent
    }
  })();
  return () => { stopped = true; return run; };
}

/* Events as fast as one sender can, and nobody watches. */
async function inflow() {
  const gateway = await start();
  const bodies = round(LINES_MAX);
  const before = cpu(gateway);
  const began = process.hrtime.bigint();
  let sent = 0;
  const until = Date.now() + 1000 * seconds;
  await Promise.all([1, 2].map(async () => {
    while (Date.now() < until) {
      await post(gateway, bodies[0]);
      sent += LINES_MAX;
    }
  }));
  const took = Number(process.hrtime.bigint() - began) / 1e9;
  const used = cpu(gateway) - before;
  await stop(gateway);
  return { rate: sent / took, us: (used / sent) * 1e6 };
}

/* So many boards and viewers, the viewers on one or two gateways. */
async function sample(boards, viewers, count = 1) {
  const gateways = await Promise.all(Array.from({ length: count }, start));
  const done = feed(gateways, boards);
  await sleep(500);
  const runs = await Promise.all(gateways.map(async (gateway) => JSON.parse((await promisify(execFile)(path.join(out, 'load'), ['--port', gateway.port, '--clients', viewers / count, '--batch',
    '--warmup', 1, '--seconds', seconds, '--pid', gateway.child.pid].map(String), { timeout: 180_000 })).stdout)));
  await done();
  const dropped = (await Promise.all(gateways.map(status))).reduce((sum, { counters }) => sum + counters.dropped, 0);
  await Promise.all(gateways.map(stop));
  const sum = (field) => runs.reduce((total, run) => total + run[field], 0);
  if (sum('torn') || sum('disordered') || sum('closed')) faults.push(`${boards} boards, ${viewers} viewers: ${sum('torn')} torn, ${sum('disordered')} disordered, ${sum('closed')} closed`);
  return {
    boards, viewers, count, dropped,
    events: sum('delivered') / viewers / runs[0].seconds,
    delivered: sum('delivered') / runs[0].seconds,
    bytes: sum('bytes') / sum('delivered'),
    us: (sum('server_cpu_s') / sum('delivered')) * 1e6,
    core: (sum('server_cpu_s') / runs[0].seconds) * 100,
    mb: Math.max(...runs.map(({ rss_kb: kb }) => kb)) * 1.024 / 1000,
    p50: Math.max(...runs.map(({ p50_us: us }) => us)) / 1000,
    p99: Math.max(...runs.map(({ p99_us: us }) => us)) / 1000,
  };
}

const load = os.loadavg()[0];
const flow = await inflow();
const lines = [`Measured on ${new Date().toISOString().slice(0, 10)}, ${os.cpus().length} cores, load average ${load.toFixed(1)} at the start and ${'LATER'} at the end.`, '',
  `In, by POST /ingest, ${LINES_MAX} ticks a request, from two connections, without viewers: ${Math.round(flow.rate)} events/s, ${flow.us.toFixed(1)} µs of CPU each.`, '',
  '| boards, events/s arrived at a viewer | viewers | gateways | delivered, events/s | bytes, CPU each | of a core | resident | p50, p99 | lost |', '|---|--:|--:|--:|--:|--:|--:|--:|--:|'];
const cases = quick ? [[50, 100], [50, 200, 2]] : [[1, 1000], [50, 100], [50, 1000], [50, 2000, 2], [50, 5000], [200, 1000], [1000, 100]];
for (const [boards, viewers, count] of cases) {
  process.stderr.write('.');
  const r = await sample(boards, viewers, count);
  lines.push(`| ${boards}, ${Math.round(r.events)} of ${boards * EVENTS_A_BOARD} | ${viewers} | ${r.count} | ${Math.round(r.delivered)} | ${Math.round(r.bytes)}, ${r.us.toFixed(2)} µs | ${r.core.toFixed(1)} % | `
    + `${r.mb.toFixed(1)} MB | ${r.p50.toFixed(1)} ms, ${r.p99.toFixed(1)} ms | ${r.dropped} |`);
}
lines[0] = lines[0].replace('LATER', os.loadavg()[0].toFixed(1));
writeFileSync(path.join(out, 'gateways.md'), `${lines.join('\n')}\n`);
console.log(`\n${lines.join('\n')}`);
for (const fault of faults) console.error(`FAULT: ${fault}`);
process.exitCode = faults.length ? 1 : 0;
