// Gateways with many boards and viewers: what an event costs on its way in, and to each viewer. Prints a table in Markdown and
// keeps it as gateways.md. Asserts no time; a torn or disordered stream, or an event that is lost, makes it fail.
//
// usage: node tests/bench/gateways.mjs [--quick]       make gateway-bench, make fleet-bench PART=viewers
// environment: AIDASH_GATEWAY (the binary for 10,000 viewers), BENCH_OUT (a directory with the programs of load.c and boards.c);
// for one case in place of all: VIEWERS, and BOARDS (50), GATEWAYS (2), SECONDS (60), BATCH=no for viewers without ?batch=1
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
const LINKS_MAX = 120; // further boards are models of those
const LINES_MAX = 250; // of a POST
const SAMPLE = 50; // the ticks of so many viewers are read at one of them, and the numbers of all events at all
const seconds = quick ? 2 : Number(process.env.SECONDS || (process.env.VIEWERS ? 60 : 8));
const faults = [];
const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

const children = new Set();
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));
function begin(file, args, options) {
  const child = spawn(file, args.map(String), options);
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}

/* A viewer may be behind by half a second of the events. */
function start(boards = 0) {
  const child = begin(bin, ['--listen', '127.0.0.1:0', '--source', 'none', '--backlog', Math.max(100, boards * EVENTS_A_BOARD / 2)], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, AIDASH_NO_BOARD: 'yes' } });
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

/* Ten events a second of each board, to all gateways. Returns, when all links are open, how to stop it: that gives what was sent. */
async function feed(gateways, boards) {
  const child = begin(path.join(out, 'boards'), [...gateways.flatMap(({ port }) => ['--port', port]), '--boards', boards, '--links', Math.min(boards, LINKS_MAX),
    '--rate', EVENTS_A_BOARD], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  const ended = new Promise((done) => { child.on('close', done); });
  await new Promise((done, fail) => {
    child.stdout.on('data', (text) => { said += text; if (said.includes('ready\n')) done(); });
    ended.then((code) => fail(new Error(`the boards ended with ${code}`)));
  });
  return async () => {
    child.kill('SIGTERM');
    await ended;
    return JSON.parse(said.replace('ready\n', ''));
  };
}

/* Events as fast as one sender can, and nobody watches. */
async function inflow() {
  const gateway = await start();
  const tick = (i) => JSON.stringify({ model: `m-${i}`, node: `board-${i % LINKS_MAX}`, tokens_generated: 3, latency_ms: 40.5, tokens_per_second: 24.5, timestamp: Date.now() / 1000 });
  const body = Array.from({ length: LINES_MAX }, (_, i) => tick(i)).join('\n');
  const before = cpu(gateway);
  const began = process.hrtime.bigint();
  let sent = 0;
  const until = Date.now() + 1000 * seconds;
  await Promise.all([1, 2].map(async () => {
    while (Date.now() < until) {
      await post(gateway, body);
      sent += LINES_MAX;
    }
  }));
  const took = Number(process.hrtime.bigint() - began) / 1e9;
  const used = cpu(gateway) - before;
  await stop(gateway);
  return { rate: sent / took, us: (used / sent) * 1e6 };
}

/* So many boards and viewers, the viewers on one or two gateways. */
async function sample(boards, viewers, count = 1, batch = true) {
  const gateways = await Promise.all(Array.from({ length: count }, () => start(boards)));
  const done = await feed(gateways, boards);
  const runs = await Promise.all(gateways.map(async (gateway) => JSON.parse((await promisify(execFile)(path.join(out, 'load'), ['--port', gateway.port, '--clients', viewers / count,
    ...(batch ? ['--batch'] : []), '--sample', SAMPLE, '--warmup', 1, '--seconds', seconds, '--pid', gateway.child.pid].map(String),
  { timeout: 120_000 + 2000 * seconds })).stdout)));
  const fed = await done();
  const dropped = (await Promise.all(gateways.map(status))).reduce((sum, { counters }) => sum + counters.dropped, 0);
  await Promise.all(gateways.map(stop));
  const sum = (field) => runs.reduce((total, run) => total + run[field], 0);
  for (const field of ['torn', 'disordered', 'gaps', 'closed', 'lost']) if (sum(field)) faults.push(`${boards} boards, ${viewers} viewers: ${sum(field)} ${field}`);
  if (fed.left_out) faults.push(`${boards} boards, ${viewers} viewers: this machine was too slow for ${fed.left_out} events of the boards`);
  return {
    boards, viewers, count, dropped,
    events: sum('delivered') / viewers / runs[0].seconds,
    delivered: sum('delivered') / runs[0].seconds,
    bytes: sum('bytes') / sum('delivered'),
    reads: sum('reads') / viewers / runs[0].seconds,
    us: (sum('server_cpu_s') / sum('delivered')) * 1e6,
    core: (sum('server_cpu_s') / runs[0].seconds) * 100,
    own: (sum('own_cpu_s') / runs[0].seconds) * 100,
    mb: Math.max(...runs.map(({ rss_kb: kb }) => kb)) * 1.024 / 1000,
    p50: Math.max(...runs.map(({ p50_us: us }) => us)) / 1000,
    p99: Math.max(...runs.map(({ p99_us: us }) => us)) / 1000,
  };
}

const load = os.loadavg()[0];
const one = process.env.VIEWERS && [[Number(process.env.BOARDS || 50), Number(process.env.VIEWERS), Number(process.env.GATEWAYS || 2), process.env.BATCH !== 'no']];
const cases = one || (quick ? [[50, 100], [50, 200, 2]] : [[1, 1000], [50, 100], [50, 1000], [50, 2000, 2], [50, 5000], [50, 9000], [50, 500, 1, false], [200, 1000], [1000, 100]]);
const flow = one ? null : await inflow();
const lines = [`Measured on ${new Date().toISOString().slice(0, 10)}, ${os.cpus().length} cores, load average ${load.toFixed(1)} at the start and ${'LATER'} at the end; ${seconds} s each.`, '',
  ...(flow ? [`In, by POST /ingest, ${LINES_MAX} ticks a request, from two connections, without viewers: ${Math.round(flow.rate)} events/s, ${flow.us.toFixed(1)} µs of CPU each.`, ''] : []),
  '| boards | viewers, gateways | events/s at each viewer | delivered, events/s | reads/s of a viewer | bytes, CPU each | gateways, of a core | viewers, of a core | resident | p50, p99 | lost |',
  '|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|'];
for (const [boards, viewers, count, batch] of cases) {
  process.stderr.write('.');
  const r = await sample(boards, viewers, count, batch);
  lines.push(`| ${boards} | ${viewers}${batch === false ? ' without batches' : ''}, ${r.count} | ${Math.round(r.events)} of ${boards * EVENTS_A_BOARD} | ${Math.round(r.delivered)} | ${r.reads.toFixed(1)} | `
    + `${Math.round(r.bytes)}, ${r.us.toFixed(3)} µs | ${r.core.toFixed(1)} % | ${r.own.toFixed(1)} % | ${r.mb.toFixed(1)} MB | ${r.p50.toFixed(0)} ms, ${r.p99.toFixed(0)} ms | ${r.dropped} |`);
}
lines[0] = lines[0].replace('LATER', os.loadavg()[0].toFixed(1));
writeFileSync(path.join(out, 'gateways.md'), `${lines.join('\n')}\n`);
console.log(`\n${lines.join('\n')}`);
for (const fault of faults) console.error(`FAULT: ${fault}`);
process.exitCode = faults.length ? 1 : 0;
