/* aidash-kafka with TLS and passwords. The mock cluster has neither: TLS is put in front of it; of passwords it is shown that they reach
 * librdkafka, which says what it misses. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { poll, status } from '../e2e/aidash.mjs';
import { authority } from '../e2e/tls.mjs';
import { assertWhole, board, bridge, caught, folder, gateway, launch, nodes, refuses, watch } from './bridge.mjs';
import { kafka, noKcat, secure } from './kafka.mjs';

const BIN = bridge('kafka');
const skip = noKcat() ?? false;
const ca = authority();
after(() => ca.remove());

test('TLS, with a certificate to show: events and commands go over it; the wrong ones are refused', { skip }, async (t) => {
  const { file } = folder(t);
  const other = authority('another one');
  t.after(() => other.remove());
  const cluster = await kafka(t);
  const own = ca.issue({ usage: 'clientAuth' });
  const config = (name, from, ...more) => ['--kafka-config', file(name, [`security.protocol=ssl`, `ssl.ca.location=${from.file}`, ...more, ''].join('\n'))];
  const shown = [`ssl.certificate.location=${own.file}`, `ssl.key.location=${own.keyFile}`];
  const options = (names) => { const { key, cert } = ca.issue({ names }); return { key, cert, ca: readFileSync(ca.file), requestCert: true, rejectUnauthorized: true }; };
  const address = await secure(t, cluster.address, options());
  const args = ['--kafka', address, ...config('good', ca, ...shown)];
  const server = await board(t, BIN, 'jetson', args);
  const hub = await gateway(t, BIN, args);
  const viewer = await watch(t, hub);
  await server.send(100);
  await caught(viewer, 'jetson', 100);
  assertWhole(viewer, 'jetson', 1, 100);
  await poll(async () => (await nodes(hub)).length === 1, 'the board');
  await hub.logged(/connected to/);
  assert.equal((await viewer.command({ action: 'pause', node: 'jetson' })).state, 'done');
  assert.equal((await status(server)).paused, true);

  const refused = async (to, sentence, ...more) => (await launch(t, BIN, ['--publish', '--node', 'x', '--kafka', to, ...more])).logged(sentence);
  await refused(address, /can't reach the broker yet: .*certificate verify failed/, ...config('other', other, ...shown));
  await refused(address, /can't reach the broker yet: /, ...config('none', ca));
  await refused(await secure(t, cluster.address, options('DNS:elsewhere.example')), /can't reach the broker yet: .*certificate verify failed/, ...config('name', ca, ...shown));
});

test('what --kafka-config says reaches librdkafka, which says what is wrong with it', { skip }, async (t) => {
  const { file } = folder(t);
  const config = (name, ...lines) => ['--publish', '--kafka', '127.0.0.1:1', '--kafka-config', file(name, `${lines.join('\n')}\n`)];
  await refuses(BIN, [
    [config('a', 'security.protocol=ssl', 'ssl.ca.location=/nowhere/ca.pem'), /--kafka: ssl\.ca\.location failed/],
    [config('b', 'security.protocol=sasl_plaintext', 'sasl.mechanisms=none of all', 'sasl.password=s3cret'), /--kafka-config: librdkafka does not take line 2: sasl\.mechanisms/],
    [config('c', 'security.protocol=sasl_plaintext', 'sasl.mechanisms=PLAIN'), /--kafka: .*sasl\.username/],
    [config('d', 'sasl.pasword=s3cret'), /--kafka-config: librdkafka does not take line 1: sasl\.pasword/],
  ]);
  // SASL without TLS in front of a cluster that knows none: it is not signed in, and says so.
  const cluster = await kafka(t);
  const signing = await launch(t, BIN, ['--publish', '--node', 'x', '--kafka', cluster.address, '--kafka-config',
    file('e', 'security.protocol=sasl_plaintext\nsasl.mechanisms=PLAIN\nsasl.username=board\nsasl.password=s3cret\n')]);
  await signing.logged(/can't reach the broker yet: .*sasl/i);
  assert.doesNotMatch(signing.stderr(), /s3cret|connected to/);
});
