/* aidash-redis with Debian's Redis: board, broker, gateway, viewer. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { SLOW, poll, request, run, status, statusWhen } from '../e2e/aidash.mjs';
import { assertWhole, board, bridge, caught, gateway, helps, nodes, refuses, stream, watch } from './bridge.mjs';
import { noRedis, redis } from './redis.mjs';

const BIN = bridge('redis');
const why = noRedis();
const skip = why && `no Redis: ${why}`;
const MANY = SLOW > 1 ? 10_000 : 100_000;

test('options: what is missing or odd is said, and --help has both kinds', async () => {
  await helps(BIN, ['--publish', '--subscribe', '--node NAME', '--redis URL', '--redis-password-file FILE', '--redis-ca FILE', '--redis-cert FILE', '--redis-key FILE', '--stream-length N', '--buffer KIB', '--no-commands',
    '--listen ', '--alert RULE']);
  assert.match((await run(['--version'], { bin: BIN })).stdout, /^aidash-redis \d+\.\d+\.\d+\n$/);
  const on = ['--publish', '--redis', 'redis://127.0.0.1'];
  await refuses(BIN, [
    [['--publish'], /--redis: which server/],
    [['--redis', 'redis://127.0.0.1'], /choose one of --publish and --subscribe/],
    [[...on, '--subscribe'], /choose one of/],
    ...['http://127.0.0.1', 'redis://a:s3cret@', 'redis://a@h', 'redis://h:70000', 'redis://h:1x', 'redis://[::1', 'redis://h/x', 'unix:relative', 'redis://h,x']
      .map((url) => [['--publish', '--redis', url], /--redis: it must be redis:/]),
    [[...on, '--node', 'a,b'], /this board has one name/],
    [[...on, '--node', 'a b'], /--node: a board's name/],
    [['--subscribe', '--redis', 'redis://127.0.0.1', '--node', 'x'.repeat(32)], /--node: a board's name/],
    [[...on, '--stream-length', '9'], /from 100 to/],
    [[...on, '--buffer', '63'], /from 64 to/],
    [[...on, '--buffer', '64k'], /from 64 to/],
    [[...on, '--redis-password-file', '/nowhere'], /no file whose first line/],
    [[...on, '--redis-ca', '/nowhere'], /it must be rediss:/],
    [['--publish', '--rediss', 'x'], /unknown option --rediss; the nearest is --redis/],
  ]);
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
  assert.deepEqual((await nodes(two)).map(({ node, state, tokens }) => [node, state, tokens]), [['jetson', 'live', MANY + 620]]);
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
  await poll(async () => (await nodes(hub)).length === 2, 'both boards');

  await jetson.logged(/connected to/);
  await hub.logged(/connected to/);
  // Each of the three reads its commands or answers: what came before is not a board's.
  await poll(async () => (await broker.ask('CLIENT', 'LIST')).match(/ cmd=xread /g)?.length === 3, 'readers');

  assert.equal((await viewer.command({ action: 'pause', node: 'jetson' })).state, 'done');
  assert.ok((await statusWhen(jetson, (now) => now.paused)).paused);
  assert.equal((await request(hub, '/status')).json.paused, false, 'it is the board that is paused, not the gateway');
  assert.equal((await viewer.command({ action: 'resume', node: 'jetson' })).state, 'done');
  await statusWhen(jetson, (now) => !now.paused);
  assert.equal((await viewer.command({ action: 'switch_model', model: 'other', node: 'jetson' })).state, 'done');
  await statusWhen(jetson, (now) => now.model === 'other');
  const refused = await viewer.command({ action: 'switch_model', model: 'no "such"', node: 'jetson' });
  assert.equal(refused.state, 'failed');
  assert.match(refused.message, /the model is not in the list/, 'the board\'s own sentence');
  assert.equal((await viewer.command({ action: 'pause', node: 'nobody' })).event, 'error');

  // An answer that another board gives, or that is none, ends nothing.
  const [key] = await broker.ask('KEYS', 'aidash:acks:*');
  for (const forged of ['{"node":"jetson","number":9999,"ack":{"event":"ack","action":"pause"}}', '{}', 'no JSON', '{"node":3,"number":-1,"ack":[]}']) {
    await broker.ask('XADD', key, '*', 'id', '', 'ack', forged);
  }
  for (const odd of ['{}', 'no JSON', '{"gateway":"x","number":1,"command":3}', '{"gateway":"x","number":1,"command":{"action":"pause"}', `{"gateway":"x","number":1,"command":{"action":"${'x'.repeat(70_000)}"}}`]) {
    await broker.ask('XADD', 'aidash:commands:jetson', '*', 'id', '', 'command', odd);
  }
  assert.equal((await viewer.command({ action: 'pause', node: 'jetson' })).state, 'done');
  assert.ok((await statusWhen(jetson, (now) => now.paused)).paused);

  // A command that is older than its viewer waits is not carried out; nor is one that came before the board did.
  await broker.ask('XADD', 'aidash:commands:late', '1000-1', 'id', '', 'command', '{"gateway":"x","number":1,"command":{"action":"pause"}}');
  const late = await board(t, BIN, 'late', args);
  await late.logged(/connected to/);
  await late.send(1);
  await poll(async () => (await broker.ask('EXISTS', 'aidash:events:late')) === 1, 'events of late');
  assert.ok(!(await status(late)).paused);

  // A board that takes no commands: nobody carries it out.
  const seven = await viewer.ask({ action: 'pause', node: 'nano' });
  await poll(async () => (await broker.ask('XLEN', 'aidash:commands:nano')) === 1, 'the command in the stream');
  await nano.send(1);
  await caught(viewer, 'nano', 2);
  assert.ok(!(await status(nano)).paused);

  // The answer of another board is not its; its own may have quotes in it.
  const [[, [, , , command]]] = await broker.ask('XRANGE', 'aidash:commands:nano', '-', '+');
  const { gateway: name, number } = JSON.parse(command);
  for (const [node, message] of [['jetson', 'not for me to say'], ['nano', 'it "says" no \\ ever']]) {
    await broker.ask('XADD', `aidash:acks:${name}`, '*', 'id', '', 'ack', JSON.stringify({ node, number, ack: { event: 'error', code: 'refused', message } }));
  }
  assert.deepEqual([(await viewer.over(seven.number)).state, (await viewer.over(seven.number)).message], ['failed', 'it "says" no \\ ever']);
});
