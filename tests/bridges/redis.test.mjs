/* aidash-redis with Debian's Redis: board, broker, gateway, viewer. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ROOT, SLOW, poll, request, run, status, statusWhen } from '../e2e/aidash.mjs';
import { assertWhole, board, bridge, caught, gateway, launch, stream, watch } from './bridge.mjs';
import { noRedis, redis } from './redis.mjs';
import { freePort } from '../programs.mjs';

const BIN = bridge('redis');
const why = noRedis();
const skip = why && `no Redis: ${why}`;
const MANY = SLOW > 1 ? 10_000 : 100_000;

test('options: what is missing or odd is said, and --help has both kinds', async () => {
  const asked = (...args) => run(args, { bin: BIN });
  const help = await asked('--help');
  assert.equal(help.code, 0);
  for (const option of ['--publish', '--subscribe', '--node NAME', '--redis URL', '--stream-length N', '--listen ', '--alert RULE']) assert.ok(help.stdout.includes(`\n  ${option}`), option);
  assert.match((await asked('--version')).stdout, /^aidash-redis \d+\.\d+\.\d+\n$/);
  for (const [args, sentence] of [
    [['--publish'], /--redis: which server/],
    [['--redis', 'redis://127.0.0.1'], /choose one of --publish and --subscribe/],
    [['--publish', '--subscribe', '--redis', 'redis://127.0.0.1'], /choose one of/],
    [['--publish', '--redis', 'http://127.0.0.1'], /--redis: it must be redis:/],
    [['--publish', '--redis', 'redis://a:b@'], /--redis: it must be redis:/],
    [['--publish', '--redis', 'redis://h:70000'], /--redis: it must be redis:/],
    [['--publish', '--redis', 'unix:relative'], /--redis: it must be redis:/],
    [['--publish', '--redis', 'redis://127.0.0.1', '--node', 'a,b'], /this board has one name/],
    [['--publish', '--redis', 'redis://127.0.0.1', '--node', 'a b'], /--node: a board's name/],
    [['--subscribe', '--redis', 'redis://127.0.0.1', '--node', 'x'.repeat(32)], /--node: a board's name/],
    [['--publish', '--redis', 'redis://127.0.0.1', '--stream-length', '9'], /from 100 to/],
    [['--publish', '--redis', 'redis://127.0.0.1', '--buffer', '63'], /from 64 to/],
    [['--publish', '--redis', 'redis://127.0.0.1', '--redis-password-file', '/nowhere'], /no file whose first line/],
    [['--publish', '--rediss', 'x'], /unknown option --rediss; the nearest is --redis/],
  ]) {
    const { code, stderr } = await asked(...args);
    assert.equal(code, 2, `${args}: ${stderr}`);
    assert.match(stderr, sentence);
  }
});

test(`${MANY} events: board, Redis, gateway, viewer, in order, none twice; a restarted gateway has them all again`, { skip }, async (t) => {
  const broker = await redis(t);
  const args = ['--redis', broker.url, '--stream-length', '1000000'];
  const one = await gateway(t, BIN, args);
  const viewer = await watch(t, one);
  const jetson = await board(t, BIN, 'jetson', args);

  await stream(jetson, viewer, 'jetson', MANY);
  await caught(viewer, 'jetson', MANY);
  assertWhole(viewer, 'jetson', 1, MANY);

  // What Redis has twice, as after a lost connection, a viewer gets once.
  const [[, fields]] = await broker.ask('XREVRANGE', 'aidash:events:jetson', '+', '-', 'COUNT', '1');
  for (let i = 0; i < 3; i++) await broker.ask('XADD', 'aidash:events:jetson', '*', ...fields);
  await stream(jetson, viewer, 'jetson', 10);
  await caught(viewer, 'jetson', MANY + 10);
  assertWhole(viewer, 'jetson', 1, MANY + 10);

  // What is no event is left out, and nothing else with it.
  for (const bad of [['event', 'no JSON'], ['event', '[]'], ['other', '{}'], ['event', `{"event":"${'x'.repeat(100_000)}"}`]]) {
    await broker.ask('XADD', 'aidash:events:jetson', '*', ...bad);
    await broker.ask('XADD', 'aidash:events:*', '*', ...bad);
  }
  await stream(jetson, viewer, 'jetson', 10);
  await caught(viewer, 'jetson', MANY + 20);
  assertWhole(viewer, 'jetson', 1, MANY + 20);

  // A gateway that dies: the next one reads what the stream has, while the board goes on.
  await one.kill();
  await jetson.send(500);
  const two = await gateway(t, BIN, args);
  const second = await watch(t, two);
  await caught(second, 'jetson', MANY + 520);
  await jetson.send(100);
  await caught(second, 'jetson', MANY + 620);
  const list = second.of('jetson');
  list.slice(1).forEach((number, i) => assert.equal(number, list[i] + 1, 'in order, none twice'));
  const { nodes } = (await request(two, '/nodes')).json;
  assert.deepEqual(nodes.map(({ node, state, tokens }) => [node, state, tokens]), [['jetson', 'live', MANY + 620]]);
});

test('what the broker says can\'t write lines of the log', { skip }, async (t) => {
  const broker = await redis(t);
  const odd = `aidash:events:${'n'.repeat(20)}\r\n\u001b[31mforged: `;
  for (const key of [odd, `${odd}${'x'.repeat(300)}`]) {
    await broker.ask('XADD', key, '*', 'event', '{"event":"note"}', 'id', 'no id');
    await broker.ask('XADD', key, '*', 'event', '{"event":"note"}');
  }
  const hub = await gateway(t, BIN, ['--redis', broker.url]);
  await hub.logged(/no events of a board, the last one: n{20}\?\?\?\[31mforged: \n/);
  assert.doesNotMatch(hub.stderr(), /\u001b|\r|^forged/m);
});

test('a server that answers with other types than Redis does no harm', async (t) => {
  const heard = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      const word = data.toString().match(/[A-Z]{4,}/)[0];
      heard.push(word);
      setTimeout(() => socket.write(word === 'SCAN' ? '*2\r\n$1\r\n0\r\n*3\r\n:5\r\n$-1\r\n*0\r\n' : '+PONG\r\n'), 20);
    });
  });
  await new Promise((ready) => { server.listen(0, '127.0.0.1', ready); });
  t.after(() => server.close());
  await gateway(t, BIN, ['--redis', `redis://127.0.0.1:${server.address().port}`]);
  await poll(() => heard.includes('XREAD') && heard.lastIndexOf('XREAD') > heard.indexOf('SCAN'), 'reading behind a list of no names');
});

test('a command from a gateway\'s viewer reaches the board, and the board\'s own answer comes back', { skip }, async (t) => {
  const broker = await redis(t);
  const args = ['--redis', broker.url];
  const jetson = await board(t, BIN, 'jetson', args);
  const nano = await board(t, BIN, 'nano', [...args, '--no-commands']);
  const hub = await gateway(t, BIN, [...args, '--node', 'jetson', '--node', 'nano']);
  const viewer = await watch(t, hub);

  for (const each of [jetson, nano]) await each.send(1);
  await caught(viewer, 'jetson', 1);
  await caught(viewer, 'nano', 1);
  await poll(async () => (await request(hub, '/nodes')).json.nodes.length === 2, 'both boards');

  const over = (number) => viewer.event((event) => event.event === 'command' && event.number === number && event.state !== 'running', `the end of command ${number}`);
  const asked = async (id, command) => {
    viewer.send({ ...command, id });
    const answer = await viewer.event((event) => (event.event === 'ack' || event.event === 'error') && event.id === id, `answer to ${id}`);
    return answer.event === 'ack' ? over(answer.number) : answer;
  };
  await jetson.logged(/connected to/);
  await hub.logged(/connected to/);
  // Each of the three reads its commands or answers: what came before is not a board's.
  await poll(async () => (await broker.ask('CLIENT', 'LIST')).match(/ cmd=xread /g)?.length === 3, 'readers');

  assert.equal((await asked(1, { action: 'pause', node: 'jetson' })).state, 'done');
  assert.ok((await statusWhen(jetson, (now) => now.paused)).paused);
  assert.equal((await request(hub, '/status')).json.paused, false, 'it is the board that is paused, not the gateway');
  assert.equal((await asked(2, { action: 'resume', node: 'jetson' })).state, 'done');
  await statusWhen(jetson, (now) => !now.paused);
  assert.equal((await asked(3, { action: 'switch_model', model: 'other', node: 'jetson' })).state, 'done');
  await statusWhen(jetson, (now) => now.model === 'other');
  const refused = await asked(4, { action: 'switch_model', model: 'no "such"', node: 'jetson' });
  assert.equal(refused.state, 'failed');
  assert.match(refused.message, /the model is not in the list/, 'the board\'s own sentence');
  assert.equal((await asked(5, { action: 'pause', node: 'nobody' })).event, 'error');

  // An answer that another board gives, or that is none, ends nothing.
  const [key] = await broker.ask('KEYS', 'aidash:acks:*');
  for (const forged of ['{"node":"jetson","number":9999,"ack":{"event":"ack","action":"pause"}}', '{}', 'no JSON', '{"node":3,"number":-1,"ack":[]}']) {
    await broker.ask('XADD', key, '*', 'id', '', 'ack', forged);
  }
  for (const odd of ['{}', 'no JSON', '{"gateway":"x","number":1,"command":3}', '{"gateway":"x","number":1,"command":{"action":"pause"}', `{"gateway":"x","number":1,"command":{"action":"${'x'.repeat(70_000)}"}}`]) {
    await broker.ask('XADD', 'aidash:commands:jetson', '*', 'id', '', 'command', odd);
  }
  assert.equal((await asked(6, { action: 'pause', node: 'jetson' })).state, 'done');
  assert.ok((await statusWhen(jetson, (now) => now.paused)).paused);

  // A command that is older than its viewer waits is not carried out; nor is one that came before the board did.
  await broker.ask('XADD', 'aidash:commands:late', '1000-1', 'id', '', 'command', '{"gateway":"x","number":1,"command":{"action":"pause"}}');
  const late = await board(t, BIN, 'late', args);
  await late.logged(/connected to/);
  await late.send(1);
  await poll(async () => (await broker.ask('EXISTS', 'aidash:events:late')) === 1, 'events of late');
  assert.ok(!(await status(late)).paused);

  // A board that takes no commands: nobody carries it out.
  viewer.send({ action: 'pause', node: 'nano', id: 7 });
  await poll(async () => (await broker.ask('XLEN', 'aidash:commands:nano')) === 1, 'the command in the stream');
  await nano.send(1);
  await caught(viewer, 'nano', 2);
  assert.ok(!(await status(nano)).paused);

  // The answer of another board is not its; its own may have quotes in it.
  const [[, [, , , asked7]]] = await broker.ask('XRANGE', 'aidash:commands:nano', '-', '+');
  const seven = await viewer.event((event) => event.event === 'ack' && event.id === 7, 'number of command 7');
  const { gateway: name, number } = JSON.parse(asked7);
  for (const [node, message] of [['jetson', 'not for me to say'], ['nano', 'it "says" no \\ ever']]) {
    await broker.ask('XADD', `aidash:acks:${name}`, '*', 'id', '', 'ack', JSON.stringify({ node, number, ack: { event: 'error', code: 'refused', message } }));
  }
  assert.deepEqual([(await over(seven.number)).state, (await over(seven.number)).message], ['failed', 'it "says" no \\ ever']);
});

test('signing in: a user with a password from a file, over TCP, at the second address; a wrong one is said', { skip }, async (t) => {
  // As docs/fleet.md has it.
  const [, rules] = readFileSync(path.join(ROOT, 'docs/fleet.md'), 'utf8').match(/^user aidash on >PASSWORD (.*)$/m);
  const broker = await redis(t, { args: `--user board on >s3cret:x ${rules} --user default off`.split(' ') });
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-password-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const [good, bad] = ['good', 'bad'].map((name) => path.join(dir, name));
  writeFileSync(good, 'board:s3cret:x\n', { mode: 0o600 });
  writeFileSync(bad, 'board:wrong\n', { mode: 0o644 });
  const addresses = ['--redis', `redis://127.0.0.1:${await freePort()}`, '--redis', `redis://127.0.0.1:${broker.port}`];

  const stranger = await launch(t, BIN, ['--publish', '--node', 'stranger', '--redis', broker.url, '--redis-password-file', bad]);
  await stranger.logged(/every user of this machine can read/);
  await stranger.logged(/can't read from Redis: WRONGPASS/);
  assert.doesNotMatch(stranger.stderr(), /wrong:|board:wrong|s3cret/);
  const jetson = await board(t, BIN, 'jetson', [...addresses, '--redis-password-file', good]);
  const hub = await gateway(t, BIN, ['--redis', `redis://board:s3cret%3Ax@127.0.0.1:${broker.port}`]);
  const viewer = await watch(t, hub);
  await jetson.send(100);
  await caught(viewer, 'jetson', 100);
  assertWhole(viewer, 'jetson', 1, 100);
  await poll(async () => (await request(hub, '/nodes')).json.nodes.length === 1, 'the board');
  await hub.logged(/connected to/);
  viewer.send({ action: 'pause', node: 'jetson', id: 1 });
  await statusWhen(jetson, (now) => now.paused);
  await viewer.event((event) => event.event === 'command' && event.state === 'done');
  for (const server of [jetson, hub]) assert.doesNotMatch(server.stderr(), /s3cret/);
});
