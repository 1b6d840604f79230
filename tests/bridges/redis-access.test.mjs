/* aidash-redis where not everybody may do everything: TLS, certificates, users and what they may, more than one server. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { poll, status, statusWhen } from '../e2e/aidash.mjs';
import { authority } from '../e2e/tls.mjs';
import { freePort } from '../programs.mjs';
import { assertWhole, board, bridge, caught, documented, folder, gateway, launch, nodes, refuses, watch } from './bridge.mjs';
import { noRedis, redis } from './redis.mjs';

const BIN = bridge('redis');
const why = noRedis();
const skip = why && `no Redis: ${why}`;
const ADMIN = ['admin', 'all'];
const ca = authority();
after(() => ca.remove());

/* The users of docs/fleet.md, a second board, and one for the test. */
const users = (passwords) => ['--user', 'admin', 'on', '>all', '~*', '+@all', '--user', 'default', 'off',
  ...documented('user jetson on ').flatMap((line) => [line, ...(line.startsWith('user jetson') ? [line.replaceAll('jetson', 'pi')] : [])])
    .flatMap((line) => `--${line.replace('PASSWORD', passwords)}`.split(' '))];

/* A server with TLS alone, beside its unix socket. */
async function secured(t, { key, names, clients = 'no', args = [] } = {}) {
  const own = key ?? ca.issue({ names });
  const port = await freePort();
  const broker = await redis(t, { port: 0, admin: args.includes('admin') ? ADMIN : undefined, args: ['--tls-port', `${port}`, '--tls-cert-file', own.file,
    '--tls-key-file', own.keyFile, '--tls-ca-cert-file', ca.file, '--tls-auth-clients', clients, ...args] });
  return Object.assign(broker, { tls: `rediss://localhost:${port}`, tlsPort: port });
}

const publish = (t, url, ...more) => launch(t, BIN, ['--publish', '--node', 'jetson', '--redis', url, ...more]);

test('TLS with users and passwords: what docs/fleet.md lets a board and a gateway do is enough', { skip }, async (t) => {
  const broker = await secured(t, { args: users('s3cret:x') });
  const { file } = folder(t);
  const from = (name) => ['--redis-ca', ca.file, '--redis-password-file', file(name, `${name}:s3cret:x\n`)];
  const hub = await gateway(t, BIN, ['--node', 'jetson', '--redis', broker.tls, ...from('gateway')]);
  const viewer = await watch(t, hub);
  const jetson = await board(t, BIN, 'jetson', ['--redis', `rediss://127.0.0.1:${broker.tlsPort}`, ...from('jetson')]);
  for (const server of [hub, jetson]) await server.logged(/connected to/);
  await jetson.send(100);
  await caught(viewer, 'jetson', 100);
  assertWhole(viewer, 'jetson', 1, 100);
  await poll(async () => (await nodes(hub)).length === 1, 'the board');
  await poll(async () => (await broker.ask('CLIENT', 'LIST')).match(/ cmd=xread /g)?.length === 2, 'readers');
  assert.equal((await viewer.command({ action: 'pause', node: 'jetson' })).state, 'done');
  assert.equal((await status(jetson)).paused, true);
  for (const server of [hub, jetson]) assert.doesNotMatch(server.stderr(), /s3cret|NOPERM|can't read/);
});

test('TLS: a certificate of another authority, or for another host, is refused; so is who has none where one is asked for', { skip }, async (t) => {
  const other = authority('another one');
  t.after(() => other.remove());
  const ours = await secured(t);
  await (await publish(t, ours.tls, '--redis-ca', other.file)).logged(/can't reach the broker yet: its certificate is not accepted: .*(issuer|self.signed)/);
  const elsewhere = await secured(t, { names: 'DNS:elsewhere.example' });
  await (await publish(t, elsewhere.tls, '--redis-ca', ca.file)).logged(/can't reach the broker yet: its certificate is not accepted: .*hostname mismatch/i);
  await (await publish(t, `rediss://127.0.0.1:${elsewhere.tlsPort}`, '--redis-ca', ca.file)).logged(/its certificate is not accepted: .*IP address mismatch/i);
  const plain = await redis(t);
  await (await publish(t, `rediss://localhost:${plain.port}`, '--redis-ca', ca.file)).logged(/can't reach the broker yet: SSL_connect failed/);

  const strict = await secured(t, { clients: 'yes' });
  const client = ca.issue({ usage: 'clientAuth' });
  await (await publish(t, strict.tls, '--redis-ca', ca.file)).logged(/can't reach the broker yet: /);
  await (await publish(t, strict.tls, '--redis-ca', ca.file, '--redis-cert', client.file, '--redis-key', client.keyFile)).logged(/connected to localhost/);
  const { file } = folder(t);
  const on = ['--publish', '--redis', 'rediss://localhost'];
  await refuses(BIN, [
    [[...on, '--redis-ca', '/nowhere'], /--redis-ca: no file with certificates/],
    [[...on, '--redis-ca', file('no.pem', 'none')], /--redis-ca: no file with certificates/],
    [[...on, '--redis-cert', client.file], /--redis-cert: it needs --redis-key/],
    [[...on, '--redis-cert', client.file, '--redis-key', ca.issue().keyFile], /no certificate in PEM with the key/],
  ]);
});

test('signing in: a password in the URL, or in a file; a wrong one is said', { skip }, async (t) => {
  const broker = await redis(t, { admin: ADMIN, args: users('s3cret:x') });
  const { file } = folder(t);
  const stranger = await publish(t, broker.url, '--redis-password-file', file('bad', 'jetson:wrong\n', 0o644));
  await stranger.logged(/every user of this machine can read/);
  await stranger.logged(/can't reach the broker yet: WRONGPASS/);
  assert.doesNotMatch(stranger.stderr(), /jetson:wrong/);
  const jetson = await board(t, BIN, 'jetson', ['--redis', `redis://127.0.0.1:${await freePort()}`, '--redis', `redis://127.0.0.1:${broker.port}`,
    '--redis-password-file', file('good', 'jetson:s3cret:x\n')]);
  const hub = await gateway(t, BIN, ['--node', 'jetson', '--redis', `redis://gateway:s3cret%3Ax@127.0.0.1:${broker.port}`]);
  const viewer = await watch(t, hub);
  await jetson.send(10);
  await caught(viewer, 'jetson', 10);
  for (const server of [jetson, hub]) assert.doesNotMatch(server.stderr(), /s3cret/);
  await refuses(BIN, [[['--publish', '--redis', 'redis://a:s3cret@h', '--redis-password-file', file('c', 's3cret')], /the password is in --redis-password-file already/]]);
});

test('a board can\'t answer for another one, nor read its commands, nor send its events', { skip }, async (t) => {
  const broker = await redis(t, { admin: ADMIN, args: users('pw') });
  const PI = ['pi', 'pw'];
  const hub = await gateway(t, BIN, ['--node', 'jetson', '--redis', `redis://gateway:pw@127.0.0.1:${broker.port}`]);
  const viewer = await watch(t, hub);
  // The test is the board jetson.
  await broker.askAs(['jetson', 'pw'], 'XADD', 'aidash:events:jetson', '*', 'id', '', 'event', '{"event":"note","seq":1,"level":"info","text":"here","timestamp":1.5}');
  await poll(async () => (await nodes(hub)).length === 1, 'the board');
  await hub.logged(/connected to/);
  const asked = await viewer.ask({ action: 'pause', node: 'jetson' });
  assert.equal(asked.event, 'ack', JSON.stringify(asked));
  const [[, [, , , text]]] = await poll(async () => {
    const list = await broker.askAs(['jetson', 'pw'], 'XREVRANGE', 'aidash:commands:jetson', '+', '-');
    return list.length === 1 && list;
  }, 'the command');
  const { gateway: to, number } = JSON.parse(text);
  assert.ok(Number.isSafeInteger(number) && number > 1e6, `${number} can't be guessed`);

  const acks = `aidash:acks:${to}`;
  const ack = (node, ticket, answer) => JSON.stringify({ node, number: ticket, ack: answer });
  const done = { event: 'ack', action: 'pause' };
  for (const words of [['XREVRANGE', 'aidash:commands:jetson', '+', '-'], ['XREAD', 'STREAMS', 'aidash:commands:jetson', '0'], ['XRANGE', acks, '-', '+'],
    ['XADD', 'aidash:events:jetson', '*', 'id', '', 'event', '{}'], ['XADD', 'aidash:commands:jetson', '*', 'id', '', 'command', '{}'], ['DEL', acks]]) {
    await assert.rejects(broker.askAs(PI, ...words), /NOPERM/, words.join(' '));
  }
  // What it may write are answers: it does not know the number.
  const forged = [ack('jetson', asked.number, done), ack('jetson', number + 1, done), ack('pi', number, done), '{}', 'no JSON'];
  for (const one of forged) await broker.askAs(PI, 'XADD', acks, '*', 'id', '', 'ack', one);
  await hub.logged(/4 answers are to no command of that board, the last one: \?/);
  await broker.askAs(['jetson', 'pw'], 'XADD', acks, '*', 'id', '', 'ack', ack('jetson', number, { event: 'error', code: 'refused', message: 'not now' }));
  const end = await viewer.over(asked.number);
  assert.deepEqual([end.state, end.message], ['failed', 'not now']);
});

test('a board that spoils the stream of answers holds up no other board', { skip }, async (t) => {
  const broker = await redis(t, { admin: ADMIN, args: users('pw') });
  const server = (name) => ['--redis', `redis://${name}:pw@127.0.0.1:${broker.port}`];
  const hub = await gateway(t, BIN, ['--node', 'jetson', ...server('gateway')]);
  const viewer = await watch(t, hub);
  const jetson = await board(t, BIN, 'jetson', server('jetson'));
  for (const each of [hub, jetson]) await each.logged(/connected to/);
  await jetson.send(10);
  await caught(viewer, 'jetson', 10);
  await poll(async () => (await nodes(hub)).length === 1, 'the board');
  await poll(async () => (await broker.ask('CLIENT', 'LIST')).match(/ cmd=xread /g)?.length === 2, 'readers');
  assert.equal((await viewer.command({ action: 'pause', node: 'jetson' })).state, 'done');
  // The gateway is in each command; behind this number, Redis adds nothing.
  const [[, [, , , text]]] = await broker.askAs(['jetson', 'pw'], 'XREVRANGE', 'aidash:commands:jetson', '+', '-');
  const last = '18446744073709551615-18446744073709551615';
  assert.equal(await broker.askAs(['pi', 'pw'], 'XADD', `aidash:acks:${JSON.parse(text).gateway}`, last, 'id', '', 'ack', '{}'), last);
  await viewer.ask({ action: 'resume', node: 'jetson' });
  await statusWhen(jetson, ({ paused }) => !paused);
  await jetson.send(100);
  await caught(viewer, 'jetson', 110);
  assertWhole(viewer, 'jetson', 1, 110);
  await jetson.logged(/1 answers to commands were refused by Redis, the last one: ERR /);
  assert.doesNotMatch(jetson.stderr(), /can't reach the broker|is away/);
});

test('a replica is passed over for the server that writes; when that goes, and the replica becomes it, the board is back', { skip }, async (t) => {
  const main = await redis(t);
  const replica = await redis(t, { args: ['--replicaof', '127.0.0.1', `${main.port}`] });
  await poll(async () => (await replica.ask('INFO', 'replication')).includes('master_link_status:up'), 'replica');
  const args = ['--redis', `redis://127.0.0.1:${replica.port},redis://127.0.0.1:${main.port}`];
  const hub = await gateway(t, BIN, ['--node', 'jetson', ...args]);
  const viewer = await watch(t, hub);
  const jetson = await board(t, BIN, 'jetson', args);
  await jetson.send(100);
  await caught(viewer, 'jetson', 100);
  await poll(async () => (await replica.ask('XLEN', 'aidash:events:jetson')) === (await main.ask('XLEN', 'aidash:events:jetson')), 'the same in both');
  await main.stop();
  await jetson.send(100);
  await replica.ask('REPLICAOF', 'NO', 'ONE');
  await caught(viewer, 'jetson', 200);
  assertWhole(viewer, 'jetson', 1, 200);
  await poll(async () => (await nodes(hub)).length === 1, 'the board');
  await poll(async () => (await viewer.command({ action: 'pause', node: 'jetson' })).state === 'done', 'a command that reaches the board');
  await statusWhen(jetson, ({ paused }) => paused);
});
