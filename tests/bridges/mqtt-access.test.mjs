/* aidash-mqtt where not everybody may do everything: TLS, certificates, users and what they may. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { poll, status } from '../e2e/aidash.mjs';
import { authority } from '../e2e/tls.mjs';
import { assertWhole, board, bridge, caught, documented, folder, gateway, launch, nodes, watch } from './bridge.mjs';
import { client, mosquitto, noMosquitto, passwordLine } from './mosquitto.mjs';

const BIN = bridge('mqtt');
const skip = noMosquitto() ?? false;
const ca = authority();
after(() => ca.remove());

/* A broker with TLS alone. */
async function secured(t, { key, names, lines = ['allow_anonymous true'] } = {}) {
  const own = key ?? ca.issue({ names });
  const broker = await mosquitto(t, [`cafile ${ca.file}`, `certfile ${own.file}`, `keyfile ${own.keyFile}`, ...lines]);
  return Object.assign(broker, { tls: `localhost:${broker.port}` });
}

const publish = (t, url, ...more) => launch(t, BIN, ['--publish', '--node', 'jetson', '--mqtt', url, ...more]);

test('TLS with users, passwords and the ACL of docs/fleet.md: it is enough for a board and a gateway, and keeps a board to itself', { skip }, async (t) => {
  const { file } = folder(t);
  const passwords = file('passwords', ['jetson', 'pi', 'gateway', 'homeassistant'].map((user) => `${passwordLine(user, `s3cret of ${user}`)}\n`).join(''));
  const rules = documented('user jetson\n');
  const second = rules.slice(0, rules.indexOf('user gateway')).map((line) => line.replaceAll('jetson', 'pi'));
  const broker = await secured(t, { lines: ['allow_anonymous false', 'log_type all', `password_file ${passwords}`, `acl_file ${file('acl', `${[...rules, ...second].join('\n')}\n`)}`] });
  const as = (user) => ['--mqtt', `mqtts://${user}@${broker.tls}`, '--mqtt-ca', ca.file, '--mqtt-password-file', file(user, `s3cret of ${user}\n`)];

  const hub = await gateway(t, BIN, as('gateway'));
  const viewer = await watch(t, hub);
  await hub.logged(/connected to localhost/);
  const jetson = await board(t, BIN, 'jetson', [...as('jetson'), '--ha']);
  await jetson.send(100);
  await caught(viewer, 'jetson', 100);
  assertWhole(viewer, 'jetson', 1, 100);
  await poll(async () => (await nodes(hub)).length === 1, 'the board');
  assert.equal((await viewer.command({ action: 'pause', node: 'jetson' })).state, 'done');
  assert.equal((await status(jetson)).paused, true);
  for (const server of [hub, jetson]) assert.doesNotMatch(server.stderr(), /s3cret|refused by the broker/);

  const login = (user) => ({ user, password: `s3cret of ${user}`, ca: readFileSync(ca.file) });
  const ha = await client(t, broker.port, 'ha', login('homeassistant'));
  await ha.subscribe('homeassistant/#');
  await ha.get(({ topic }) => topic === 'homeassistant/device/aidash_jetson/config', 'what Home Assistant is told');
  for (const level of ['event/note', 'status', 'command', 'set', 'ack/0123456789abc']) {
    const pi = await client(t, broker.port, 'pi', login('pi'));
    pi.write(`aidash/jetson/${level}`, '{}');
    await poll(() => broker.log().includes(`Denied PUBLISH from pi (d0, q1, r0, m1, 'aidash/jetson/${level}'`), `refusal of ${level}`);
    pi.close();
  }
  const pi = await client(t, broker.port, 'pi', login('pi'));
  await pi.publish('aidash/pi/event/note', '{}');
});

test('a wrong password is said', { skip }, async (t) => {
  const { file } = folder(t);
  const broker = await mosquitto(t, ['allow_anonymous false', `password_file ${file('passwords', `${passwordLine('jetson', 'right')}\n`)}`]);
  const url = `mqtt://jetson@127.0.0.1:${broker.port}`;
  const wrong = await publish(t, url, '--mqtt-password-file', file('wrong', 's3cret\n', 0o644));
  await wrong.logged(/every user of this machine can read/);
  await wrong.logged(/can't reach the broker yet: Not authorized/i);
  assert.doesNotMatch(wrong.stderr(), /s3cret/);
  await (await publish(t, `mqtt://127.0.0.1:${broker.port}`)).logged(/can't reach the broker yet: Not authorized/i);
  await (await publish(t, url, '--mqtt-password-file', file('right', 'right'))).logged(/connected to/);
});

test('TLS: a certificate of another authority, or for another host, is refused; so is who has none where one is asked for', { skip }, async (t) => {
  const other = authority('another one');
  t.after(() => other.remove());
  const ours = await secured(t);
  await (await publish(t, `mqtts://${ours.tls}`, '--mqtt-ca', other.file)).logged(/can't reach the broker yet: .*certificate verify failed/);
  const elsewhere = await secured(t, { names: 'DNS:elsewhere.example' });
  await (await publish(t, `mqtts://${elsewhere.tls}`, '--mqtt-ca', ca.file)).logged(/can't reach the broker yet: .*(host name|certificate) verif/);

  const strict = await secured(t, { lines: ['allow_anonymous true', 'require_certificate true'] });
  const own = ca.issue({ usage: 'clientAuth' });
  await (await publish(t, `mqtts://${strict.tls}`, '--mqtt-ca', ca.file)).logged(/can't reach the broker yet: /);
  await (await publish(t, `mqtts://${strict.tls}`, '--mqtt-ca', ca.file, '--mqtt-cert', own.file, '--mqtt-key', own.keyFile)).logged(/connected to localhost/);
});
