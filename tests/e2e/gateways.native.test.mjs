/* Gateways behind a real nginx and a real Caddy, as examples/ has them: the page's own client comes back on the other gateway
 * when its own is killed or restarted, and has every tick.
 *
 *   AIDASH_VIEWERS   viewers, default 100 (make gateways: 500)
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import WebSocket from 'ws';
import { AidashClient, retryDelay } from '../../www/aidash-client.js';
import { noNginx } from '../browser/nginx.mjs';
import { accepts, debian, freePort } from '../programs.mjs';
import { poll, request, sleep } from './aidash.mjs';
import { balanced, example, feed, Gateway } from './gateways.mjs';

const VIEWERS = Number(process.env.AIDASH_VIEWERS ?? 100);
const PATIENCE_MS = 120_000;
const PACE_MS = 20 * Math.ceil(VIEWERS / 100);

/* ---- viewers: the page's own client, and what it fetches after a gap, as the page does ---- */

class Quiet extends WebSocket {
  constructor(url) {
    super(url, { perMessageDeflate: false });
    this.on('error', () => {}); // its close tells the client
  }
}

class Viewer {
  have = new Set();
  runs = []; // of the gateways that it was on
  closed = false;
  attempts = 0; // the most that it needed to come back
  filled = Promise.resolve();

  /* `ticks`: what feed() gave, if ticks come. */
  constructor(base, ticks) {
    this.base = base;
    this.ticks = ticks;
    this.client = new AidashClient({
      base, WebSocket: Quiet, batch: false,
      onTicks: (ticks) => ticks.forEach((tick) => this.have.add(tick.tokens_generated)),
      onHello: (hello) => {
        this.runs.push(hello.run);
        this.filled = this.#fill();
      },
      onState: ({ phase, attempt }) => { this.attempts = phase === 'live' ? Math.max(this.attempts, attempt) : this.attempts; },
    });
  }

  /* All up to the tick that its gateway may have had already when it said hello: another gateway may answer, and have it later. */
  async #fill() {
    const until = this.ticks ? this.ticks.sent + 1 : 0;
    while (!this.closed) {
      try {
        const { ticks } = await (await fetch(new URL('ticks?last=10000', this.base))).json();
        ticks.forEach((tick) => this.have.add(tick.tokens_generated));
        if ((ticks.at(-1)?.tokens_generated ?? 0) >= until) return;
      } catch {
        // the gateway of this request was killed with it
      }
      await sleep(100);
    }
  }

  close() {
    this.closed = true;
    this.client.close();
  }

  get live() {
    return this.client.state.phase === 'live';
  }

  /* Numbers up to `n` that it has not. */
  missing(n) {
    return Array.from({ length: n }, (_, i) => i + 1).filter((i) => !this.have.has(i));
  }
}

async function watch(t, base, count, ticks) {
  const viewers = [];
  t.after(() => viewers.forEach((viewer) => viewer.close()));
  for (let i = 0; i < count; i++) viewers.push(new Viewer(base, ticks));
  await poll(() => viewers.every(({ live }) => live), `${count} viewers`, PATIENCE_MS);
  return viewers;
}

const whole = async (viewers, n) => {
  await poll(() => viewers.every(({ live, have }) => live && have.has(n)), `tick ${n} at each viewer`, PATIENCE_MS);
  await Promise.all(viewers.map(({ filled }) => filled));
  assert.deepEqual(viewers.map((viewer) => viewer.missing(n)).filter((gaps) => gaps.length), [], 'no viewer lacks a tick');
};
const runOf = async ({ server }) => (await request(server, '/ticks?last=1')).json.run;
const counts = (viewers, run) => viewers.filter(({ runs }) => runs.at(-1) === run).length;

/* ---- nginx ---- */

const skip = noNginx();

test(`nginx, least_conn: a gateway is killed under ${VIEWERS} viewers`, { skip }, async (t) => {
  const gateways = [await Gateway.start(t), await Gateway.start(t)];
  const [a, b] = gateways;
  const proxy = await balanced(t, gateways, { viewers: VIEWERS });
  const ticks = feed(t, gateways, PACE_MS);
  const viewers = await watch(t, proxy.url, VIEWERS, ticks);
  const [runA, runB] = [await runOf(a), await runOf(b)];
  assert.ok(counts(viewers, runA) > 0 && counts(viewers, runB) > 0, 'both gateways have viewers');
  assert.equal(counts(viewers, runA) + counts(viewers, runB), VIEWERS);
  await whole(viewers, ticks.sent);

  const left = viewers.filter(({ runs }) => runs.at(-1) === runA);
  const stayed = viewers.filter(({ runs }) => runs.at(-1) === runB);
  const killed = Date.now();
  await a.kill();
  await poll(() => left.every(({ live, runs }) => live && runs.at(-1) === runB), 'all viewers at the other gateway', PATIENCE_MS);
  const took = Date.now() - killed;
  const at = ticks.sent;
  await whole(viewers, at + 10);
  const disturbed = stayed.filter(({ runs }) => runs.length > 1).length;
  t.diagnostic(`${left.length} of ${VIEWERS} viewers came back within ${took} ms, at attempt ${Math.max(...left.map(({ attempts }) => attempts))} at the latest; `
    + `the first attempt is ${retryDelay(1, () => 1)} to ${retryDelay(1, () => 0)} ms after the loss; of the ${stayed.length} others ${disturbed} had to connect again`);
  for (let i = 0; i < 20; i++) assert.equal((await request(proxy, '/healthz')).status, 200, 'the next gateway answers for the one that is away');
});

test('nginx: a rolling restart, one gateway after the other', { skip }, async (t) => {
  const gateways = [await Gateway.start(t), await Gateway.start(t)];
  const proxy = await balanced(t, gateways);
  const ticks = feed(t, gateways);
  const viewers = await watch(t, proxy.url, 20, ticks);
  for (const gateway of gateways) {
    await gateway.stop();
    const other = await runOf(gateways.find((one) => one !== gateway));
    await poll(() => viewers.every(({ live, runs }) => live && runs.at(-1) === other), 'all viewers at the other gateway', PATIENCE_MS);
    await whole(viewers, ticks.sent + 1);
    await gateway.again();
    const run = await runOf(gateway);
    await poll(async () => (await request(proxy, '/ticks?last=1')).json.run === run, 'nginx asks the gateway that is back', PATIENCE_MS);
    await poll(async () => (await request(gateway.server, '/ticks?last=10000')).json.ticks.length > 5, 'ticks at the gateway that is back');
  }
  assert.ok(viewers.every(({ runs }) => new Set(runs).size >= 2));
});

test('nginx: by address all of a viewer goes to one gateway; a sub-path, TLS and who asks', { skip }, async (t) => {
  const gateways = [await Gateway.start(t), await Gateway.start(t)];
  const proxy = await balanced(t, gateways, { upstream: 'aidash_by_address' });
  const viewers = await watch(t, `${proxy.url}boards/`, 5);
  assert.equal(new Set(viewers.map(({ runs }) => runs[0])).size, 1, 'one address, one gateway');
  assert.match((await request(proxy, '/boards/')).text, /<title>aidash/);
  const page = await new Promise((done, fail) => {
    https.get({ host: '127.0.0.1', port: proxy.tls, path: '/boards/status', ca: proxy.ca, servername: 'boards.example', checkServerIdentity: () => undefined, agent: false,
      headers: { 'X-Forwarded-For': '203.0.113.9', 'X-Forwarded-Host': 'evil.example' } }, (answer) => {
      const parts = [];
      answer.on('data', (text) => parts.push(text));
      answer.on('end', () => done({ status: answer.statusCode, text: Buffer.concat(parts).toString() }));
    }).on('error', fail);
  });
  assert.equal(page.status, 200, 'what a client says of itself is replaced: a name of the public internet would get 421');
  assert.match(JSON.parse(page.text).version, /^\d/);
});

/* ---- Caddy ---- */

const caddy = () => debian('caddy', 'bin');

test('Caddy: health checks take a dead gateway away, and the viewers come back on the other', { skip: caddy().why }, async (t) => {
  const gateways = [await Gateway.start(t), await Gateway.start(t)];
  const [a, b] = gateways;
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-caddy-'));
  const port = await freePort();
  const text = example('caddy/Caddyfile').replace('boards.example {', `http://127.0.0.1:${port} {\n\tbind 127.0.0.1`)
    .replace('127.0.0.1:8081 127.0.0.1:8082', `127.0.0.1:${a.port} 127.0.0.1:${b.port}`);
  writeFileSync(path.join(dir, 'Caddyfile'), `{\n\tadmin off\n\tauto_https off\n}\n${text}`);
  const { file, env } = caddy();
  const proc = spawn(file, ['run', '--config', path.join(dir, 'Caddyfile'), '--adapter', 'caddyfile'],
    { env: { ...env, HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir }, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  proc.stderr.on('data', (part) => { log += part; });
  const ended = new Promise((done) => { proc.on('close', done); });
  const kill = () => proc.kill('SIGKILL');
  process.on('exit', kill);
  t.after(async () => {
    kill();
    await ended;
    process.off('exit', kill);
    rmSync(dir, { recursive: true, force: true });
  });
  await poll(async () => {
    assert.equal(proc.exitCode, null, log);
    return accepts(port);
  }, 'Caddy');
  const ticks = feed(t, gateways);
  const viewers = await watch(t, `http://127.0.0.1:${port}/boards/`, 20, ticks);
  const [runA, runB] = [await runOf(a), await runOf(b)];
  assert.ok(counts(viewers, runA) > 0 && counts(viewers, runB) > 0, 'both gateways have viewers');
  await a.kill();
  await poll(() => viewers.every(({ live, runs }) => live && runs.at(-1) === runB), 'all viewers at the other gateway', PATIENCE_MS);
  await whole(viewers, ticks.sent + 5);
  await poll(() => /"host":"[^"]*:\d+"[^]*(unhealthy|connection refused)|HTTP request failed/.test(log), 'a failed health check in the log');
  await a.again();
  const runC = await runOf(a);
  await poll(async () => (await (await fetch(`http://127.0.0.1:${port}/ticks?last=1`)).json()).run === runC, 'the gateway that is back is used again', PATIENCE_MS);
});
