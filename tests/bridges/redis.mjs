/* Debian's redis-server, on a unix socket and a port of its own, with nothing on the disk; and what a test asks it. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { poll, within } from '../e2e/aidash.mjs';
import { debian, freePort } from '../programs.mjs';

/* Why there is no Redis, or undefined. */
export const noRedis = () => debian('redis-server', 'bin').why;

/* One answer of RESP2 at `at`: [value, where the next one begins], or null: it is not all there. */
function answer(bytes, at) {
  const end = bytes.indexOf('\r\n', at);
  if (end < 0) return null;
  const line = bytes.toString('utf8', at + 1, end);
  const kind = String.fromCharCode(bytes[at]);
  if (kind === '+') return [line, end + 2];
  if (kind === '-') return [new Error(line), end + 2];
  if (kind === ':') return [Number(line), end + 2];
  if (kind === '$') {
    const len = Number(line);
    if (len < 0) return [null, end + 2];
    return bytes.length < end + 4 + len ? null : [bytes.toString('utf8', end + 2, end + 2 + len), end + 4 + len];
  }
  const list = [];
  let next = end + 2;
  for (let i = 0; i < Number(line); i++) {
    const one = answer(bytes, next);
    if (!one) return null;
    list.push(one[0]);
    [, next] = one;
  }
  return [Number(line) < 0 ? null : list, next];
}

/* Ask one thing, over a connection of its own. */
export function ask(where, ...words) {
  return within(new Promise((done, fail) => {
    const socket = net.connect(where);
    let bytes = Buffer.alloc(0);
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('Redis closed the connection')));
    socket.on('data', (part) => {
      bytes = Buffer.concat([bytes, part]);
      const found = answer(bytes, 0);
      if (!found) return;
      if (found[0] instanceof Error) fail(found[0]); else done(found[0]);
      socket.destroy();
    });
    socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(`${word}`)}\r\n${word}\r\n`).join('')}`);
  }), `answer of Redis to ${words[0]}`);
}

/* A server, which ends with the test. stop() and start() are a restart with nothing in it; halt() and go() a server that hangs. On a
 * machine of network.mjs it is there for the others on its address, without a password. */
export async function redis(t, { args = [], port, machine } = {}) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-redis-'));
  const socket = path.join(dir, 'socket');
  const { file, env } = debian('redis-server', 'bin');
  const server = { url: `unix:${socket}`, socket, port: port ?? await freePort(), proc: null, ask: (...words) => ask(socket, ...words) };
  const kill = () => server.proc?.kill('SIGKILL');

  server.start = async () => {
    const there = machine ? ['nsenter', ...machine.enter] : [];
    const [command, ...words] = [...there, file, '--port', `${server.port}`, '--bind', machine?.address ?? '127.0.0.1', '--protected-mode', 'no',
      '--unixsocket', socket, '--save', '', '--appendonly', 'no', '--dir', dir, '--daemonize', 'no', ...args];
    const proc = spawn(command, words, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let log = '';
    proc.stdout.on('data', (text) => { log += text; });
    server.proc = proc;
    server.ended = new Promise((done) => { proc.on('close', done); });
    await poll(async () => {
      if (proc.exitCode !== null) throw new Error(`redis-server left: ${log}`);
      return server.ask('PING').then((said) => said === 'PONG', (error) => /NOAUTH/.test(error.message));
    }, 'redis-server');
  };
  server.stop = async () => { kill(); await within(server.ended, 'end of redis-server'); };
  server.halt = () => server.proc.kill('SIGSTOP');
  server.go = () => server.proc.kill('SIGCONT');
  process.on('exit', kill);
  t.after(async () => {
    await server.stop();
    process.off('exit', kill);
    rmSync(dir, { recursive: true, force: true });
  });
  await server.start();
  return server;
}
