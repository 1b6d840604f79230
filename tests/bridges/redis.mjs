/* Debian's redis-server, on a unix socket and a port of its own, with nothing on the disk; and what a test asks it. */
import net from 'node:net';
import path from 'node:path';
import { within } from '../e2e/aidash.mjs';
import { debian, freePort } from '../programs.mjs';
import { daemon, folder } from './bridge.mjs';

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

/* Ask one thing, over a connection of its own; as a user: [NAME, PASSWORD]. */
function ask(where, words, user) {
  const all = [...(user ? [['AUTH', ...user]] : []), words];
  return within(new Promise((done, fail) => {
    const socket = net.connect(where);
    let bytes = Buffer.alloc(0);
    let rest = all.length;
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('Redis closed the connection')));
    socket.on('data', (part) => {
      bytes = Buffer.concat([bytes, part]);
      for (let found; rest > 0 && (found = answer(bytes, 0)); bytes = bytes.subarray(found[1])) {
        rest--;
        if (found[0] instanceof Error) fail(found[0]); else if (rest === 0) done(found[0]);
      }
      if (rest === 0) socket.destroy();
    });
    socket.write(all.map((each) => `*${each.length}\r\n${each.map((word) => `$${Buffer.byteLength(`${word}`)}\r\n${word}\r\n`).join('')}`).join(''));
  }), `answer of Redis to ${words[0]}`);
}

/* A server, which ends with the test. stop() and start() are a restart with nothing in it; halt() and go() a server that hangs.
 * ask() is by the unix socket, as the user `admin`, if one is named. On a machine of network.mjs it is there for the others on its
 * address, without a password. */
export async function redis(t, { args = [], port, admin, machine } = {}) {
  const { dir } = folder(t);
  const socket = path.join(dir, 'socket');
  const listens = port ?? await freePort();
  const { file, env } = debian('redis-server', 'bin');
  const [command, ...words] = [...(machine ? ['nsenter', ...machine.enter] : []), file];
  return daemon(t, { file: command, env, args: [...words, '--port', `${listens}`, '--bind', machine?.address ?? '127.0.0.1', '--protected-mode', 'no',
    '--unixsocket', socket, '--save', '', '--appendonly', 'no', '--dir', dir, '--daemonize', 'no', ...args],
  }, (server) => server.ask('PING').then((said) => said === 'PONG', (error) => /NOAUTH/.test(error.message)), {
    url: `unix:${socket}`, socket, port: listens,
    ask: (...each) => ask(socket, each, admin),
    askAs: (user, ...each) => ask(socket, each, user),
  });
}
