/* Other programs that tests and benchmarks start: a port for them, and where Debian's are. Needs node alone. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const LIBRARIES = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu', arm: 'arm-linux-gnueabihf', riscv64: 'riscv64-linux-gnu' };

/* A free port of 127.0.0.1, for a program whose log does not tell which one it took, or that is restarted on its port: the system gives
 * it to nobody who asks for any, and to no connection. */
export async function freePort() {
  for (let tries = 0; tries < 100; tries++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000); // below Linux's range of such ports, 32768 to 60999
    const server = net.createServer();
    const free = await new Promise((done) => { server.once('error', () => done(false)).listen(port, '127.0.0.1', () => done(true)); });
    await new Promise((done) => { server.close(done); });
    if (free) return port;
  }
  throw new Error('no free port');
}

/* Does anybody listen on that port? */
export const accepts = (port) => new Promise((done) => {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('connect', () => { socket.destroy(); done(true); });
  socket.on('error', () => done(false));
});

/* A server program of Debian's: { file, env } to start it with, or { why } it can't be had. Where it is not installed its package is
 * unpacked beside the build: that starts no service. `folder`: where the package has it below /usr; `from`: the package's name. */
export function debian(name, folder = 'sbin', from = name) {
  const installed = [`/usr/${folder}/${name}`, `/usr/local/${folder}/${name}`].find((file) => existsSync(file));
  if (installed) return { file: installed, env: process.env };
  const dir = path.join(ROOT, 'build/deps', from);
  const file = path.join(dir, 'usr', folder, name);
  if (!existsSync(file)) {
    const { status, stderr } = spawnSync('sh', ['toolchains/fetch.sh', 'unpack', dir, from], { cwd: ROOT, encoding: 'utf8' });
    if (status !== 0) return { why: `there is no ${name}: ${stderr.trim().split('\n').at(-1)}` };
    if (!existsSync(file)) return { why: `there is no ${name} in ${dir}` };
  }
  const libraries = ['usr/lib', 'lib'].map((lib) => path.join(dir, lib, LIBRARIES[process.arch])).join(':');
  return { file, env: { ...process.env, LD_LIBRARY_PATH: libraries } };
}
