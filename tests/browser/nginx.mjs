/* A real nginx in front of a server, in a directory of its own and on a free port. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { poll, ROOT, within } from '../e2e/aidash.mjs';

const installed = ['/usr/sbin/nginx', '/usr/local/sbin/nginx'].find((file) => existsSync(file));
const unpacked = path.join(ROOT, 'build/deps/nginx');
const libraries = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu', arm: 'arm-linux-gnueabihf', riscv64: 'riscv64-linux-gnu' };

/* Why there is no nginx, or undefined. Where it is not installed its package is unpacked: that starts no service. */
export function noNginx() {
  if (installed || existsSync(`${unpacked}/usr/sbin/nginx`)) return undefined;
  const { status, stderr } = spawnSync('sh', ['toolchains/fetch.sh', 'unpack', unpacked, 'nginx'], { cwd: ROOT, encoding: 'utf8' });
  return status === 0 ? undefined : `there is no nginx: ${stderr.trim().split('\n').at(-1)}`;
}

const freePort = () => new Promise((done, fail) => {
  const probe = net.createServer();
  probe.on('error', fail);
  probe.listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => done(port));
  });
});

const answers = (port) => new Promise((done) => {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('connect', () => { socket.destroy(); done(true); });
  socket.on('error', () => done(false));
});

/* The configuration in docs/deploy.md in front of the server; `change` may edit it. Returns nginx's port. */
export async function nginx(t, server, change = (text) => text) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-nginx-'));
  const port = await freePort();
  const [, example] = readFileSync(path.join(ROOT, 'docs/deploy.md'), 'utf8').match(/```nginx\n([^]*?)```/);
  writeFileSync(path.join(dir, 'aidash.conf'), change(example)
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
    .replace('http://127.0.0.1:8080;', `http://127.0.0.1:${server.port};`));
  writeFileSync(path.join(dir, 'nginx.conf'), `
daemon off;
master_process off;
pid ${dir}/pid;
error_log stderr;
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${kind};`).join(' ')}
  include ${dir}/aidash.conf;
}
`);
  const proc = spawn(installed ?? `${unpacked}/usr/sbin/nginx`, ['-e', 'stderr', '-p', dir, '-c', `${dir}/nginx.conf`], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...(installed ? {} : { LD_LIBRARY_PATH: `${unpacked}/usr/lib/${libraries[process.arch]}:${unpacked}/lib/${libraries[process.arch]}` }) },
  });
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
    return answers(port);
  }, 'nginx');
  return port;
}
