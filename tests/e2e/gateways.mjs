/* Two gateways fed with the same ticks, and the nginx of examples/nginx in front of them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runNginx } from '../browser/nginx.mjs';
import { freePort } from '../programs.mjs';
import { ingest, ROOT, sleep, start, within } from './aidash.mjs';

export const example = (file) => readFileSync(path.join(ROOT, 'examples', file), 'utf8');

export class Gateway {
  #args = ['--source', 'none', '--trust-proxy', '127.0.0.1'];

  static async start(t) {
    const gateway = new Gateway();
    await gateway.start(await freePort());
    t.after(() => gateway.up && gateway.server.stop());
    return gateway;
  }

  async start(port) {
    this.server = await start(this.#args, { listen: ['--listen', `127.0.0.1:${port}`] });
    this.port = this.server.port;
    this.up = true;
  }

  async kill() {
    this.up = false;
    this.server.proc.kill('SIGKILL');
    await within(this.server.exit, 'end of the gateway');
  }

  async stop() {
    this.up = false;
    await this.server.stop();
  }

  again() {
    return this.start(this.port);
  }
}

/* Numbered ticks of a board from the one behind `sent` on, the same to each gateway that runs, as a broker would give them. */
export function feed(t, gateways, paceMs = 20, sent = 0) {
  let stopped = false;
  const one = { sent, stop: null };
  const run = (async () => {
    while (!stopped) {
      const n = one.sent + 1;
      const tick = { model: 'llama3', node: 'jetson', tokens_generated: n, latency_ms: 10, tokens_per_second: 50, timestamp: Date.now() / 1000 };
      await Promise.all(gateways.filter(({ up }) => up).map(({ server }) => ingest(server, tick).catch(() => {})));
      one.sent = n;
      await sleep(paceMs);
    }
  })();
  one.stop = () => { stopped = true; return run; };
  t.after(one.stop);
  return one;
}

/* nginx on ports of its own; `upstream`: which one of the example's. */
export async function balanced(t, gateways, { upstream = 'aidash', viewers } = {}) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-gateways-'));
  t.after(() => rmSync(dir, { recursive: true }));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=boards.example',
    '-keyout', path.join(dir, 'boards.key'), '-out', path.join(dir, 'boards.crt')], { stdio: 'ignore' });
  const port = await freePort();
  const tls = await freePort();
  const text = example('nginx/aidash.conf')
    .replace('listen 80;', `listen 127.0.0.1:${port};`).replace('listen 443 ssl;', `listen 127.0.0.1:${tls} ssl;`)
    .replaceAll('/etc/ssl/', `${dir}/`).replaceAll('http://aidash', `http://${upstream}`)
    .replaceAll('127.0.0.1:8081', `127.0.0.1:${gateways[0].port}`).replaceAll('127.0.0.1:8082', `127.0.0.1:${gateways[1].port}`);
  await runNginx(t, port, text, { viewers });
  return { port, tls, host: '127.0.0.1', url: `http://127.0.0.1:${port}/`, ca: readFileSync(path.join(dir, 'boards.crt')) };
}
