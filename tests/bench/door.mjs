// Measures the front door: WebSocket handshakes and page requests a second, one after another and 16 at a time, in turns
// for each binary given, in one run. Prints medians of the rounds.
//
//   node tests/bench/door.mjs [BINARY...]    build/aidash by default; environment: ROUNDS (5), COUNT (400 a round)
import { spawn } from 'node:child_process';
import net from 'node:net';

const binaries = process.argv.length > 2 ? process.argv.slice(2) : ['build/aidash'];
const rounds = Number(process.env.ROUNDS ?? 5);
const count = Number(process.env.COUNT ?? 400);

const start = (file) => new Promise((resolve, reject) => {
  const child = spawn(file, ['--listen', '127.0.0.1:0', '--source', 'none'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (data) => {
    log += data;
    const port = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(log)?.[1];
    if (port) resolve({ child, port: Number(port) });
  });
  child.on('exit', () => reject(new Error(`${file}: ${log}`)));
});

/** Connect, ask, and wait for `until` in the answer; returns how long it took in microseconds. */
const ask = (port, bytes, until) => new Promise((resolve, reject) => {
  const since = process.hrtime.bigint();
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true }, () => socket.write(bytes));
  let got = '';
  socket.setTimeout(5000, () => socket.destroy(new Error('no answer within 5 s')));
  socket.on('data', (data) => {
    got += data.toString('latin1');
    if (got.includes(until)) {
      resolve(Number(process.hrtime.bigint() - since) / 1000);
      socket.destroy();
    }
  });
  socket.on('error', reject);
  socket.on('close', () => reject(new Error(`closed after ${got.slice(0, 60)}`)));
});

const kinds = {
  handshake: ['GET /ws/bench HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    + 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n', '"event":"hello"'],
  page: ['GET /app.js HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n', '\r\n\r\n'],
};

const middle = (list) => list.sort((a, b) => a - b)[list.length >> 1];

const servers = await Promise.all(binaries.map(start));
const results = new Map();
for (let round = 0; round <= rounds; round++) { // round 0 warms up
  for (const [i, { port, child }] of servers.entries()) {
    for (const [kind, [bytes, until]] of Object.entries(kinds)) {
      for (const at of [1, 16]) {
        const times = [];
        const since = process.hrtime.bigint();
        for (let n = 0; n < count; n += at) {
          times.push(...await Promise.all(Array.from({ length: at }, () => ask(port, bytes, until))));
        }
        const key = `${kind}, ${at} at a time`;
        if (round > 0) {
          const all = results.get(key) ?? results.set(key, binaries.map(() => ({ p50: [], rate: [] }))).get(key);
          all[i].p50.push(middle(times));
          all[i].rate.push(times.length / (Number(process.hrtime.bigint() - since) / 1e9));
        }
      }
    }
    if (child.exitCode !== null) throw new Error(`${binaries[i]} has ended`);
  }
}
for (const { child } of servers) {
  child.removeAllListeners('exit');
  child.kill();
}
console.log(`| what | ${binaries.map((_, i) => `${i + 1}: p50, per second`).join(' | ')} |\n|---|${'---|'.repeat(binaries.length)}`);
for (const [key, all] of results) {
  console.log(`| ${key} | ${all.map(({ p50, rate }) => `${middle(p50).toFixed(0)} µs, ${middle(rate).toFixed(0)}/s`).join(' | ')} |`);
}
