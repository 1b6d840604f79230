/* A Kafka cluster of one broker: librdkafka's mock, in kafka_mock.c; and kcat, which reads and writes what a bridge does not. No
 * package of Debian's or npm's has a real Kafka. */
import { spawnSync } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { Inbox, ROOT } from '../e2e/aidash.mjs';
import { debian } from '../programs.mjs';
import { daemon } from './bridge.mjs';

/* Why there is no kcat, or undefined. */
export const noKcat = () => debian('kcat', 'bin').why;

/* The cluster, which ends with the test. */
export async function kafka(t) {
  const lines = new Inbox();
  let rest = '';
  let address;
  const cluster = await daemon(t, { file: path.join(ROOT, 'build/bridges/kafka_mock') }, () => {
    address ??= lines.all.find((line) => /^127\.0\.0\.1:\d+$/.test(line));
    return address;
  }, {
    onOutput(data) {
      const all = (rest + data).split('\n');
      rest = all.pop();
      all.forEach((line) => lines.push(line));
    },
  });
  const { file, env } = debian('kcat', 'bin');
  const kcat = (args, input) => {
    const { status, stdout, stderr } = spawnSync(file, ['-b', address, ...args], { env, input, encoding: 'utf8', timeout: 60_000, maxBuffer: 1 << 28 });
    if (status !== 0) throw new Error(`kcat ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  return {
    address,
    /* down, up, refuse N: see kafka_mock.c. */
    async tell(command) {
      cluster.proc.stdin.write(`${command}\n`);
      await lines.next((line) => line === 'ok', command);
    },
    /* All messages of a topic: { key, payload, headers, partition, offset }. */
    read: (topic) => kcat(['-C', '-t', topic, '-o', 'beginning', '-e', '-q', '-J']).split('\n').filter(Boolean).map((line) => JSON.parse(line))
      .map(({ headers = [], ...message }) => ({ ...message, headers: Object.fromEntries(Array.from({ length: headers.length / 2 }, (_, i) => headers.slice(2 * i, 2 * i + 2))) })),
    write: (topic, { key, payload, headers = {} }) => kcat(['-P', '-t', topic, '-k', key, ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}=${value}`])], payload),
  };
}

/* TLS in front of the mock cluster, which has none: takes it off, and names itself where an answer names the cluster (host and port,
 * as in MetadataResponse and FindCoordinatorResponse). Returns HOST:PORT; `options` are those of tls.createServer(). */
export async function secure(t, address, options) {
  const [host, port] = address.split(':');
  const named = (at) => { const bytes = Buffer.alloc(host.length + 4, host); bytes.writeInt32BE(at, host.length); return bytes; };
  const sockets = new Set();
  const server = tls.createServer(options, (down) => {
    const up = net.connect(Number(port), host);
    let bytes = Buffer.alloc(0);
    for (const [one, other] of [[down, up], [up, down]]) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => { sockets.delete(one); other.destroy(); });
    }
    down.pipe(up);
    up.on('data', (part) => {
      bytes = Buffer.concat([bytes, part]);
      while (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) { // a whole answer
        const whole = bytes.subarray(0, 4 + bytes.readInt32BE(0));
        for (let at = -1; (at = whole.indexOf(named(Number(port)), at + 1)) >= 0;) named(server.address().port).copy(whole, at);
        bytes = bytes.subarray(whole.length);
        down.write(whole);
      }
    });
  });
  server.on('tlsClientError', () => {});
  await new Promise((ready) => { server.listen(0, host, ready); });
  t.after(() => { server.close(); sockets.forEach((socket) => socket.destroy()); });
  return `${host}:${server.address().port}`;
}
