/* A real nginx in front of a server, in a directory of its own and on a free port. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { poll, ROOT, within } from '../e2e/aidash.mjs';
import { accepts, debian, freePort } from '../programs.mjs';

/* Why there is no nginx, or undefined. */
export const noNginx = () => debian('nginx').why;

/* The configuration in docs/deploy.md in front of the server; `change` may edit it. Returns nginx's port. */
export async function nginx(t, server, change = (text) => text) {
  const port = await freePort();
  const [, example] = readFileSync(path.join(ROOT, 'docs/deploy.md'), 'utf8').match(/```nginx\n([^]*?)```/);
  await runNginx(t, port, change(example)
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
    .replace('http://127.0.0.1:8080;', `http://127.0.0.1:${server.port};`));
  return port;
}

/* nginx with this configuration, which makes it listen on the port. Returns when it does. */
export async function runNginx(t, port, text, { viewers = 256 } = {}) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-nginx-'));
  writeFileSync(path.join(dir, 'aidash.conf'), text);
  writeFileSync(path.join(dir, 'nginx.conf'), `
daemon off;
master_process off;
${viewers > 256 ? `worker_rlimit_nofile ${8 * viewers};` : ''}
pid ${dir}/pid;
error_log stderr;
events { worker_connections ${4 * viewers}; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${kind};`).join(' ')}
  include ${dir}/aidash.conf;
}
`);
  const { file, env } = debian('nginx');
  const proc = spawn(file, ['-e', 'stderr', '-p', dir, '-c', `${dir}/nginx.conf`], { stdio: ['ignore', 'ignore', 'pipe'], env });
  let log = '';
  proc.stderr.on('data', (text) => { log += text; });
  const ended = new Promise((done) => { proc.on('close', done); });
  const kill = () => proc.kill('SIGKILL');
  process.on('exit', kill);
  t.after(async () => {
    proc.kill('SIGTERM');
    await within(ended, 'end of nginx').finally(kill);
    process.off('exit', kill);
    rmSync(dir, { recursive: true, force: true });
  });
  await poll(async () => {
    if (proc.exitCode !== null) throw new Error(`nginx left: ${log}`);
    return accepts(port);
  }, 'nginx');
  return proc;
}
