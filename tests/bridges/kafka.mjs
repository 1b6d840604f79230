/* A Kafka cluster of one broker: librdkafka's mock, in kafka_mock.c; and kcat, which reads and writes what a bridge does not. No
 * package of Debian's or npm's has a real Kafka. */
import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { Inbox, ROOT, within } from '../e2e/aidash.mjs';
import { debian } from '../programs.mjs';

/* Why there is no kcat, or undefined. */
export const noKcat = () => debian('kcat', 'bin').why;

/* The cluster, which ends with the test. */
export async function kafka(t) {
  const proc = spawn(path.join(ROOT, 'build/bridges/kafka_mock'), { stdio: ['pipe', 'pipe', 'ignore'] });
  const lines = new Inbox();
  let rest = '';
  proc.stdout.on('data', (data) => {
    const all = (rest + data).split('\n');
    rest = all.pop();
    all.forEach((line) => lines.push(line));
  });
  const ended = new Promise((done) => { proc.on('close', done); proc.on('error', done); });
  ended.then(() => lines.end('the mock cluster ended'));
  const kill = () => proc.kill('SIGKILL');
  process.on('exit', kill);
  t.after(async () => {
    kill();
    await within(ended, 'end of the mock cluster');
    process.off('exit', kill);
  });
  const address = await lines.next((line) => /^127\.0\.0\.1:\d+$/.test(line), 'address of the mock cluster');
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
      proc.stdin.write(`${command}\n`);
      await lines.next((line) => line === 'ok', command);
    },
    /* All messages of a topic: { key, payload, headers, partition, offset }. */
    read: (topic) => kcat(['-C', '-t', topic, '-o', 'beginning', '-e', '-q', '-J']).split('\n').filter(Boolean).map((line) => JSON.parse(line))
      .map(({ headers = [], ...message }) => ({ ...message, headers: Object.fromEntries(Array.from({ length: headers.length / 2 }, (_, i) => headers.slice(2 * i, 2 * i + 2))) })),
    write: (topic, { key, payload, headers = {} }) => kcat(['-P', '-t', topic, '-k', key, ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}=${value}`])], payload),
  };
}
