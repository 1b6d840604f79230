/* Boards and gateways over a message broker: programs of examples/bridges/, and a viewer that counts. Every wait is for a fact,
 * on the channel that the fact comes by, and ends only when nothing more comes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import WebSocket from 'ws';
import { ROOT, SLOW, isTick, poll, request, run, sleep, start, validate, within } from '../e2e/aidash.mjs';

const SANITIZER = process.env.AIDASH_BRIDGES ?? (process.env.AIDASH_SANITIZED ? 'asan/' : '');
export const bridge = (name) => path.join(ROOT, `build/${SANITIZER}bridges/aidash-${name}`);

/* A folder that goes with the test; file() writes one into it, which its owner alone may read, and returns its path. */
export function folder(t) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-bridges-'));
  t.after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  return {
    dir,
    file(name, text, mode = 0o600) {
      writeFileSync(path.join(dir, name), text, { mode });
      return path.join(dir, name);
    },
  };
}

/* A server that is no aidash: it begins with start(), which waits until ready() holds, and ends with the test, or by stop(). */
export async function daemon(t, { file, args = [], env }, ready, extra = {}) {
  let log = '';
  const server = {
    proc: null,
    log: () => log,
    ...extra,
    async start() {
      const proc = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
      for (const from of [proc.stdout, proc.stderr]) from.on('data', (text) => { log += text; });
      proc.stdout.on('data', (text) => server.onOutput?.(`${text}`));
      proc.stdin.on('error', () => {});
      server.proc = proc;
      server.ended = new Promise((done) => { proc.on('close', done); proc.on('error', done); });
      await poll(() => {
        if (proc.exitCode !== null) throw new Error(`${file} left: ${log}`);
        return ready(server);
      }, file);
    },
    async stop(signal = 'SIGKILL') { server.proc.kill(signal); await within(server.ended, `end of ${file}`); },
    halt: () => server.proc.kill('SIGSTOP'),
    go: () => server.proc.kill('SIGCONT'),
  };
  const kill = () => server.proc?.kill('SIGKILL');
  process.on('exit', kill);
  t.after(async () => { await server.stop(); process.off('exit', kill); });
  await server.start();
  return server;
}

/* Lines of docs/fleet.md's block that begins with this one. */
export function documented(first) {
  const text = readFileSync(path.join(ROOT, 'docs/fleet.md'), 'utf8');
  const blocks = [...text.matchAll(/^```text\n([^]*?)^```$/gm)].map(([, block]) => block);
  const found = blocks.find((block) => block.startsWith(first));
  assert.ok(found, `docs/fleet.md has a block that begins with ${first}`);
  return found.trimEnd().split('\n');
}

/* Each of [OPTIONS, SENTENCE]: the program refuses them with that, exit code 2, and never tells a secret. */
export async function refuses(bin, cases) {
  for (const [args, sentence] of cases) {
    const { code, stderr } = await run(args, { bin });
    assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, sentence);
    assert.doesNotMatch(stderr, /s3cret/);
  }
}

/* Its --help has these. */
export async function helps(bin, options) {
  const { code, stdout } = await run(['--help'], { bin });
  assert.equal(code, 0);
  for (const option of options) assert.ok(stdout.includes(`\n  ${option}`), `${option} in --help`);
}

export const nodes = async (server) => (await request(server, '/nodes')).json.nodes;

/* Wait until `done()` holds, as long as `progress()` changes. */
export async function settle(done, progress, what, ms = 60_000 * SLOW) {
  let last;
  let since = Date.now();
  while (!await done()) {
    const now = progress();
    if (now !== last) {
      last = now;
      since = Date.now();
    }
    assert.ok(Date.now() - since < ms, `no ${what}: nothing comes any more, after ${now}`);
    await sleep(5);
  }
}

/* A program that is stopped, and checked, when the test ends; it may be killed before. */
export async function launch(t, bin, args, options = {}) {
  const server = await start(args, { bin, ...options });
  let killed = false;
  server.kill = async () => { killed = true; server.proc.kill('SIGKILL'); await server.exit; };
  const stop = server.stop;
  server.stop = async () => { if (!killed) { killed = true; await stop(); } };
  t.after(() => server.stop());
  return server;
}

/* The test writes the ticks of this server, which reads its standard input: number i has tokens_generated i. */
export function writes(server) {
  server.sent = 0;
  server.send = async (n) => {
    let lines = '';
    for (let i = 0; i < n; i++) lines += `{"model":"m","tokens":1,"tokens_generated":${++server.sent},"latency_ms":5}\n`;
    if (!server.proc.stdin.write(lines)) await new Promise((done) => { server.proc.stdin.once('drain', done); });
  };
  return server;
}

/* A board whose ticks the test writes. */
export const board = async (t, bin, node, args, options) => writes(await launch(t, bin,
  ['--publish', '--node', node, '--source', 'stdin', '--models', 'm,other', '--control', 'open', ...args], { input: '', ...options }));

/* A gateway; its viewers may be far behind. */
export const gateway = (t, bin, args, options) => launch(t, bin, ['--subscribe', '--backlog', '4000', '--control', 'open', ...args], options);

/* A viewer that keeps what it needs of the boards' ticks alone: their numbers, in the order in which they came. */
export async function watch(t, server) {
  const ws = new WebSocket(`ws://${server.host}:${server.port}/ws/watch`, { perMessageDeflate: false });
  const nodes = new Map();
  const viewer = { ws, nodes, events: [], dropped: 0, latest: null, asked: 1000,
    of: (node) => nodes.get(node) ?? [],
    total: () => [...nodes.values()].reduce((sum, list) => sum + list.length, 0),
    /* The first event that matches, now or later. */
    event: (match, what = match.toString()) => poll(() => viewer.events.find(match), what),
    send: (command) => ws.send(JSON.stringify(command)),
    /* Send a command, and wait for its number: the event `ack`, or `error`. */
    async ask(command) {
      const id = ++viewer.asked;
      viewer.send({ ...command, id });
      return viewer.event((event) => (event.event === 'ack' || event.event === 'error') && event.id === id, `answer to ${JSON.stringify(command)}`);
    },
    /* How the command with this number ended. */
    over: (number) => viewer.event((event) => event.event === 'command' && event.number === number && event.state !== 'running', `the end of command ${number}`),
    /* Both: what the board said, or why it was not asked. */
    async command(command) {
      const answer = await viewer.ask(command);
      return answer.event === 'ack' ? viewer.over(answer.number) : answer;
    } };
  ws.on('message', (data) => {
    const event = JSON.parse(data);
    if (isTick(event)) {
      const list = nodes.get(event.node) ?? [];
      nodes.set(event.node, list);
      if (list.length % 1000 === 0) validate(event);
      list.push(event.tokens_generated);
      viewer.latest = event;
      viewer.onTick?.(event);
      return;
    }
    validate(event);
    if (event.dropped !== undefined && event.event !== 'hello') viewer.dropped += event.dropped;
    viewer.events.push(event);
  });
  const opened = new Promise((done, fail) => { ws.once('open', done); ws.once('error', fail); });
  ws.on('error', () => {});
  await opened;
  await viewer.event((event) => event.event === 'hello');
  t.after(() => ws.terminate());
  return viewer;
}

/* Send n ticks, as fast as the viewer takes them: it is never further behind than a gateway lets it be. */
export async function stream(from, viewer, node, n, ahead = 1500) {
  const end = from.sent + n;
  while (from.sent < end) {
    await from.send(Math.min(250, end - from.sent));
    await settle(() => viewer.of(node).at(-1) >= from.sent - ahead || from.sent <= ahead, () => viewer.of(node).length, `tick ${from.sent - ahead} of ${node}`);
  }
}

/* The newest tick of the board has come. */
export const caught = (viewer, node, number) => settle(() => viewer.of(node).at(-1) === number, () => viewer.of(node).length, `tick ${number} of ${node}`);

/* All ticks from the first to the last have come, in order, none twice, none lost. */
export function assertWhole(viewer, node, first, last) {
  const list = viewer.of(node);
  assert.equal(viewer.dropped, 0, 'the viewer itself lost events');
  assert.equal(list.length, last - first + 1, `ticks of ${node}`);
  const odd = list.findIndex((number, i) => number !== first + i);
  assert.equal(odd, -1, `${node}: tick ${first + odd} came as ${list[odd]}, behind ${list[odd - 1]}`);
}

/* A board and a gateway that have met, and a viewer of the gateway that has the board's first n ticks. */
export async function fleet(t, bin, args, n = 1000) {
  const hub = await gateway(t, bin, args);
  const viewer = await watch(t, hub);
  const jetson = await board(t, bin, 'jetson', args);
  await stream(jetson, viewer, 'jetson', n);
  await caught(viewer, 'jetson', n);
  return { hub, viewer, jetson };
}

/* How often the log says so. */
export const said = (server, pattern) => [...server.stderr().matchAll(pattern)].length;
