// Measures what aidash adds to each token of a real llama-server: in turns, the
// same answer is streamed engine -> clock -> client and engine -> clock -> aidash
// -> client, where the clock notes when it passes bytes on. A token's delay is the
// time from there to the client's read that completes its bytes; what aidash adds
// is the difference of the two. Prints rows of a table in Markdown; asserts no time.
//
// usage: node tests/bench/meter.mjs [--quick]
import net from 'node:net';
import { start } from '../e2e/aidash.mjs';
import { llama, missing } from '../e2e/engine.mjs';

const quick = process.argv.includes('--quick');
const reason = missing();
if (reason) {
  console.error(`bench: ${reason}`);
  process.exit(1);
}

const now = () => Number(process.hrtime.bigint()) / 1000;

/** Passes one connection after the other on to the engine; `passed` has [bytes of the body so far, time in µs]. */
async function clock(port) {
  const it = { passed: [] };
  const server = net.createServer({ noDelay: true }, (down) => {
    const up = net.connect({ host: '127.0.0.1', port, noDelay: true });
    let head = true;
    let bytes = 0;
    up.on('data', (part) => {
      bytes += part.length;
      if (head) {
        head = false;
        bytes -= part.indexOf('\r\n\r\n') + 4;
      }
      it.passed.push([bytes, now()]);
      down.write(part);
    });
    down.on('data', (part) => {
      if (part.includes('"stream":true')) it.passed = [];
      up.write(part);
    });
    for (const [from, to] of [[up, down], [down, up]]) {
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
    }
  });
  await new Promise((ready) => { server.listen(0, '127.0.0.1', ready); });
  it.port = server.address().port;
  return it;
}

/** Streams one answer; the delay of each of its reads behind the clock, in µs. */
async function round(it, port, tokens) {
  const body = JSON.stringify({ stream: true, temperature: 0, seed: 1, max_tokens: tokens, cache_prompt: false,
    messages: [{ role: 'user', content: 'tell of the river' }] });
  const reads = [];
  await new Promise((done, fail) => {
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    let head = true;
    let bytes = 0;
    socket.on('error', fail);
    socket.on('data', (part) => {
      bytes += part.length;
      if (head) {
        head = false;
        bytes -= part.indexOf('\r\n\r\n') + 4;
      }
      reads.push([bytes, now()]);
    });
    socket.on('close', done);
    socket.write('POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Type: application/json\r\n'
      + `Content-Length: ${body.length}\r\n\r\n${body}`);
  });
  const delays = [];
  let at = 0;
  for (const [bytes, sent] of it.passed.slice(1)) {
    while (at < reads.length && reads[at][0] < bytes) at++;
    if (at < reads.length) delays.push(reads[at][1] - sent);
  }
  return delays;
}

const at = (values, p) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))];

console.log('| tokens behind aidash | direct p50 | through aidash p50 | added p50 | direct p99 | through aidash p99 | added p99 |');
console.log('|---|--:|--:|--:|--:|--:|--:|');
for (const [alias, tokens, rounds] of quick ? [['tiny-a', 200, 6]] : [['mid', 200, 6], ['tiny-a', 1000, 10]]) {
  const engine = await llama(alias);
  const it = await clock(engine.port);
  const server = await start(['--upstream', `http://127.0.0.1:${it.port}`]);
  const delays = { direct: [], through: [] };
  await round(it, it.port, 20);
  const began = Date.now();
  for (let i = 0; i < rounds; i++) {
    const turns = [['direct', it.port], ['through', server.port]];
    for (const [way, port] of i % 2 ? turns.reverse() : turns) {
      delays[way].push(...await round(it, port, tokens));
    }
  }
  const rate = 2 * rounds * tokens / (Date.now() - began) * 1000;
  const cell = (p) => [at(delays.direct, p), at(delays.through, p), at(delays.through, p) - at(delays.direct, p)]
    .map((us) => `${us.toFixed(0)} µs`).join(' | ');
  console.log(`| ${alias}, ${rate.toFixed(0)} tokens/s, ${delays.through.length} reads | ${cell(0.5)} | ${cell(0.99)} |`);
  await server.stop();
  await engine.stop();
}
process.exit(0);
