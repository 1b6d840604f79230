/* aidash-mqtt against a real mosquitto: what Home Assistant sees, what it may do, and a gateway's viewer. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import Ajv2020 from 'ajv/dist/2020.js';
import { ROOT, poll, status, statusWhen } from '../e2e/aidash.mjs';
import { assertWhole, board, bridge, caught, gateway, helps, nodes, refuses, stream, watch } from './bridge.mjs';
import { client, mosquitto, noMosquitto } from './mosquitto.mjs';

const BIN = bridge('mqtt');
const skip = noMosquitto() ?? false;
const discovery = new Ajv2020({ strictTypes: false, strictRequired: false })
  .compile(JSON.parse(readFileSync(path.join(ROOT, 'tests/bridges/homeassistant.schema.json'), 'utf8')));
const CONFIG = 'homeassistant/device/aidash_jetson-1/config';
const NODE = 'jetson-1';
const on = (broker, ...more) => ['--mqtt', broker.url, ...more];

/* The newest message on a topic that is valid JSON and matches. */
const newest = (who, topic, match, what) => poll(() => who.on(topic).map(({ payload }) => payload && JSON.parse(payload)).findLast(match), what);

test('Home Assistant finds a board, and it looks at what is kept for it', { skip }, async (t) => {
  const broker = await mosquitto(t);
  const server = await board(t, BIN, NODE, on(broker, '--ha', '--ha-url', 'http://jetson.example:8080/'));
  await server.send(3);
  const early = await client(t, broker.port, 'early');
  await early.subscribe('#');
  await early.get(({ topic }) => topic === `aidash/${NODE}/state/inference_tick`, 'the state of ticks');

  const late = await client(t, broker.port, 'late');
  await late.subscribe('#');
  const kept = (topic) => late.get((one) => one.topic === topic && one.retain, `what is kept at ${topic}`);
  assert.equal((await kept(`aidash/${NODE}/status`)).payload, 'online');
  const config = JSON.parse((await kept(CONFIG)).payload);
  assert.ok(discovery(config), JSON.stringify(discovery.errors?.slice(0, 3)));
  assert.equal(config.device.name, NODE);
  assert.equal(config.device.configuration_url, 'http://jetson.example:8080/');
  assert.equal(config.availability_topic, `aidash/${NODE}/status`);
  const components = Object.values(config.components);
  assert.deepEqual([...new Set(components.map((each) => each.platform))], ['sensor'], 'without --ha-control it may do nothing');
  assert.equal(new Set(components.map((each) => each.unique_id)).size, components.length);
  const tick = JSON.parse((await kept(config.components.speed.state_topic)).payload);
  assert.equal(typeof tick.tokens_per_second, 'number');
  assert.equal(typeof tick.latency_ms, 'number');
  assert.match((await kept(config.components.tokens.state_topic)).payload, /^\d+$/);
  assert.equal(JSON.parse((await kept(config.components.model.state_topic)).payload).model, 'm');
  assert.ok(late.all.every(({ topic, retain }) => !topic.includes('/event/') || !retain), 'no event is kept');
});

test('Home Assistant\'s buttons and its choice of the model work, where they are granted', { skip }, async (t) => {
  const broker = await mosquitto(t);
  const ha = await client(t, broker.port, 'homeassistant');
  // What is kept there is of the past: it must not pause a board that starts.
  await ha.publish(`aidash/${NODE}/set`, '{"action":"pause"}', { retain: true });
  const server = await board(t, BIN, NODE, on(broker, '--ha', '--ha-control'));
  await ha.subscribe(CONFIG, `aidash/${NODE}/state/status`, `aidash/${NODE}/status`);
  const { components } = await newest(ha, CONFIG, (config) => config?.components.choice, 'choice of the model');
  assert.ok(discovery(await newest(ha, CONFIG, (config) => config)), JSON.stringify(discovery.errors?.slice(0, 3)));
  assert.deepEqual(components.choice.options, ['m', 'other']);

  const choose = (value) => ha.publish(components.choice.command_topic, components.choice.command_template.replace('{{ value | tojson }}', JSON.stringify(value)));
  await choose('other');
  const chosen = await newest(ha, components.choice.state_topic, ({ model }) => model === 'other', 'other model');
  assert.equal(chosen.paused, false, 'the command that the broker had kept was carried out');
  await ha.publish(components.pause.command_topic, components.pause.payload_press);
  await newest(ha, components.paused.state_topic, ({ paused }) => paused, 'pause');
  assert.equal((await status(server)).paused, true);
  await ha.publish(components.resume.command_topic, components.resume.payload_press);
  await statusWhen(server, ({ paused }) => !paused);
  await choose('nothing that there is');
  await server.logged(/Home Assistant's command is refused: .*unknown_model/);

  // The right is taken away: the buttons are removed, and pressing them does nothing.
  await server.stop();
  await ha.get(({ topic, payload }) => topic === `aidash/${NODE}/status` && payload === 'offline', 'good-bye');
  const before = ha.on(CONFIG).length;
  const again = await board(t, BIN, NODE, on(broker, '--ha'));
  const messages = await poll(() => ha.on(CONFIG).length >= before + 2 && ha.on(CONFIG).slice(before).map(({ payload }) => JSON.parse(payload)), 'new config');
  for (const message of messages) assert.ok(discovery(message), JSON.stringify(discovery.errors?.slice(0, 3)));
  assert.deepEqual(messages[0].components.pause, { platform: 'button' });
  assert.equal(messages[1].components.pause, undefined);
  await ha.publish(components.pause.command_topic, components.pause.payload_press);
  const shown = await gateway(t, BIN, on(broker));
  const viewer = await watch(t, shown);
  await poll(async () => (await nodes(shown)).length === 1, 'board on the gateway');
  assert.equal((await viewer.command({ action: 'switch_model', model: 'other', node: NODE })).state, 'done');
  assert.equal((await status(again)).model, 'other');
  assert.equal((await status(again)).paused, false);
});

test('a gateway\'s viewer sees all ticks, in order, over a restart of the broker; doubles are left out', { skip }, async (t) => {
  const broker = await mosquitto(t);
  const shown = await gateway(t, BIN, on(broker));
  const viewer = await watch(t, shown);
  await shown.logged(/connected to 127\.0\.0\.1/);
  const spy = await client(t, broker.port, 'spy');
  await spy.subscribe(`aidash/${NODE}/event/+`);
  const server = await board(t, BIN, NODE, on(broker));
  await stream(server, viewer, NODE, 2000);
  await caught(viewer, NODE, 2000);

  const ticks = await poll(() => spy.on(`aidash/${NODE}/event/inference_tick`).length >= 2000 && spy.on(`aidash/${NODE}/event/inference_tick`), 'ticks at the broker');
  assert.match(ticks[0].user.id, /^[0-9a-f]+-\d+$/);
  for (const { topic, payload, user } of ticks.slice(-20)) await spy.publish(topic, payload, { user });

  await broker.stop();
  await server.logged(/the broker is away/);
  await server.send(1000);
  await broker.start();
  await caught(viewer, NODE, 3000);
  await server.send(1);
  await caught(viewer, NODE, 3001);
  assertWhole(viewer, NODE, 1, 3001);
});

test('a board that is killed is offline by its last will, and gone on the gateway; its commands come back with its own answer', { skip }, async (t) => {
  const broker = await mosquitto(t);
  const shown = await gateway(t, BIN, on(broker, '--node', NODE));
  const viewer = await watch(t, shown);
  const server = await board(t, BIN, NODE, on(broker));
  await server.send(1);
  await caught(viewer, NODE, 1);
  assert.equal((await viewer.command({ action: 'pause', node: NODE })).state, 'done');
  assert.equal((await status(server)).paused, true);
  assert.equal((await status(shown)).paused, false, 'the gateway itself is not paused');
  const refused = await viewer.command({ action: 'switch_model', model: 'nothing that there is', node: NODE });
  assert.equal(refused.state, 'failed');
  assert.match(refused.message, /the model is not in the list/, 'the board\'s own sentence');

  await server.kill();
  const late = await client(t, broker.port, 'late');
  await late.subscribe(`aidash/${NODE}/status`);
  assert.equal((await late.get(({ payload }) => payload === 'offline', 'last will')).topic, `aidash/${NODE}/status`);
  await viewer.event((event) => event.event === 'node' && event.node === NODE && event.state === 'gone', 'gone');
});

test('a board answers for itself alone', { skip }, async (t) => {
  const broker = await mosquitto(t);
  const shown = await gateway(t, BIN, on(broker));
  const viewer = await watch(t, shown);
  await shown.logged(/connected to 127\.0\.0\.1/);
  const boards = await client(t, broker.port, 'boards');
  await boards.subscribe(`aidash/${NODE}/command`);
  await poll(async () => { // the gateway reads what comes from some time on
    await boards.publish(`aidash/${NODE}/event/note`, JSON.stringify({ event: 'note', seq: 1, level: 'info', text: 'here', timestamp: 1.5 }));
    return viewer.events.some((event) => event.event === 'node' && event.node === NODE);
  }, 'board on the gateway');
  const asked = await viewer.ask({ action: 'pause', node: NODE });
  const { gateway: to, number } = JSON.parse((await boards.get(({ topic }) => topic === `aidash/${NODE}/command`, 'command')).payload);
  const answer = (ack) => JSON.stringify({ node: NODE, number, ack });
  await boards.publish(`aidash/other/ack/${to}`, answer({ event: 'ack', action: 'pause' }));
  await boards.publish(`aidash/${NODE}/ack/${to}`, answer({ event: 'error', code: 'refused', message: 'not now' }));
  const end = await viewer.over(asked.number);
  assert.deepEqual([end.state, end.message], ['failed', 'not now']);
  await shown.logged(/1 answers are to no command of that board, the last one: other/);
});

test('options', { skip }, async () => {
  await helps(BIN, ['--publish', '--subscribe', '--node NAME', '--mqtt URL', '--mqtt-password-file FILE', '--mqtt-ca FILE', '--mqtt-cert FILE', '--mqtt-key FILE', '--mqtt-client ID', '--ha ', '--ha-control',
    '--ha-url URL', '--ha-prefix PREFIX', '--buffer KIB', '--no-commands', '--listen ', '--view ']);
  await refuses(BIN, [
    [['--publish'], /--mqtt: which broker/],
    [['--publish', '--mqtt', 'http://x'], /--mqtt: it must be mqtt:/],
    [['--publish', '--mqtt', 'mqtt://me:s3cret@x'], /--mqtt-password-file/],
    [['--publish', '--mqtt', 'mqtt://x/y'], /--mqtt: it must be mqtt:/],
    [['--publish', '--mqtt', 'mqtt://x', '--node', 'a/b'], /none of \/ \+ # \$/],
    [['--publish', '--mqtt', 'mqtt://x', '--ha-control'], /it needs --ha/],
    [['--publish', '--mqtt', 'mqtts://x', '--mqtt-ca', '/nowhere/ca.pem'], /files of TLS/],
  ]);
});
