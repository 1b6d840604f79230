/* Debian's mosquitto on a port of its own, and a small MQTT 5 client (OASIS, MQTT Version 5.0): QoS 1, user properties. */
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { Inbox, poll, within } from '../e2e/aidash.mjs';
import { accepts, debian, freePort } from '../programs.mjs';
import { daemon, folder } from './bridge.mjs';

/* Why there is no mosquitto, or undefined. */
export const noMosquitto = () => debian('mosquitto').why;

/* 1.5: numbers and texts of the wire. */
const number = (value) => { // variable byte integer
  const bytes = [];
  do {
    bytes.push((value % 128) + (value >= 128 ? 128 : 0));
    value = Math.floor(value / 128);
  } while (value > 0);
  return Buffer.from(bytes);
};
const two = (value) => Buffer.from([value >> 8, value & 255]);
const text = (value) => Buffer.concat([two(Buffer.byteLength(value)), Buffer.from(value)]);
const packet = (type, ...parts) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([type]), number(body.length), body]);
};
function readNumber(bytes, at) {
  let value = 0;
  for (let i = 0; i < 4 && at + i < bytes.length; i++) {
    value += (bytes[at + i] & 127) * 128 ** i;
    if (bytes[at + i] < 128) return [value, at + i + 1];
  }
  return null;
}

/* A PUBLISH (3.3): mosquitto sends no property but those of its publisher, and of these the bridge uses user properties alone. */
function message(flags, body) {
  const topicEnd = 2 + body.readUInt16BE(0);
  let at = topicEnd;
  const qos = (flags >> 1) & 3;
  const id = qos > 0 ? body.readUInt16BE(at) : 0;
  at += qos > 0 ? 2 : 0;
  const [length, begin] = readNumber(body, at);
  const user = {};
  for (at = begin; at < begin + length;) {
    if (body[at] !== 0x26) throw new Error(`property ${body[at]} in a PUBLISH`);
    const nameEnd = at + 3 + body.readUInt16BE(at + 1);
    const end = nameEnd + 2 + body.readUInt16BE(nameEnd);
    user[body.toString('utf8', at + 3, nameEnd)] = body.toString('utf8', nameEnd + 2, end);
    at = end;
  }
  return { topic: body.toString('utf8', 2, topicEnd), payload: body.toString('utf8', begin + length), retain: (flags & 1) === 1, qos, id, user };
}

/* A client that has connected, with TLS where there is a `ca`. messages is an Inbox of { topic, payload, retain, user }. */
export async function client(t, port, name, { user, password, ca } = {}) {
  const socket = ca ? tls.connect({ port, host: '127.0.0.1', ca }) : net.connect(port, '127.0.0.1');
  const messages = new Inbox();
  const answers = new Map();
  let bytes = Buffer.alloc(0);
  let last = 0;
  const answered = (key, what) => within(new Promise((done) => { answers.set(key, done); }), what);
  socket.on('error', (error) => messages.end(error.message));
  socket.on('close', () => messages.end('the broker closed the connection'));
  socket.on('data', (part) => {
    bytes = Buffer.concat([bytes, part]);
    for (;;) {
      const length = readNumber(bytes, 1);
      if (!length || bytes.length < length[1] + length[0]) return;
      const body = bytes.subarray(length[1], length[1] + length[0]);
      const type = bytes[0];
      bytes = bytes.subarray(length[1] + length[0]);
      if (type >> 4 === 3) {
        const one = message(type & 15, body);
        if (one.qos > 0) socket.write(packet(0x40, two(one.id)));
        messages.push(one);
      } else if (type === 0x20) {
        answers.get('connect')?.(body[1]);
      } else if (type === 0x40 || type === 0x90) {
        answers.get(body.readUInt16BE(0))?.(body[2] ?? 0);
      }
    }
  });
  t.after(() => socket.destroy());
  const login = user === undefined ? [] : [text(user), text(password)];
  socket.write(packet(0x10, text('MQTT'), Buffer.from([5, user === undefined ? 2 : 0xc2, 0, 0, 0]), text(name), ...login));
  const reason = await answered('connect', 'CONNACK');
  if (reason !== 0) throw new Error(`CONNACK ${reason}`);
  const mine = {
    messages,
    all: messages.all,
    /* Of the messages on this topic, those that have come. */
    on: (topic) => messages.all.filter((one) => one.topic === topic),
    /* The first message that matches, now or later. */
    get: (match, what = match.toString()) => poll(() => messages.all.find(match), what),
    async subscribe(...topics) {
      const id = ++last;
      const done = answered(id, 'SUBACK');
      socket.write(packet(0x82, two(id), number(0), ...topics.flatMap((topic) => [text(topic), Buffer.from([1])])));
      await done;
    },
    /* Without waiting for the broker's answer: Mosquitto 2.0.11 closes the connection of who publishes what he may not. */
    write(topic, payload, { retain = false, user = {} } = {}) {
      const id = ++last;
      const properties = Buffer.concat(Object.entries(user).flatMap(([key, value]) => [Buffer.from([0x26]), text(key), text(value)]));
      socket.write(packet(0x32 + Number(retain), text(topic), two(id), number(properties.length), properties, Buffer.from(payload)));
      return id;
    },
    publish: (...message) => answered(mine.write(...message), 'PUBACK'),
    close: () => socket.destroy(),
  };
  return mine;
}

/* A broker, which ends with the test. It keeps sessions and retained messages over stop() and start(). On a machine of network.mjs it is
 * there for the others on its address. */
export async function mosquitto(t, lines = ['allow_anonymous true'], machine = null) {
  const { dir, file: write } = folder(t);
  const { file, env } = debian('mosquitto');
  const port = machine ? 1883 : await freePort();
  const host = machine?.address ?? '127.0.0.1';
  const config = write('conf', [`listener ${port} ${host}`, ...lines, 'persistence true', `persistence_location ${dir}/`, 'max_queued_messages 0',
    ...(process.getuid() === 0 ? ['user root'] : []), ''].join('\n'));
  const [command, ...words] = [...(machine ? ['nsenter', ...machine.enter] : []), file];
  const broker = await daemon(t, { file: command, env, args: [...words, '-c', config] },
    ({ log }) => (machine ? /^\S+ mosquitto version \S+ running$/m.test(log()) : accepts(port)), { port, url: `mqtt://${host}:${port}` });
  const { stop } = broker;
  broker.stop = () => stop('SIGTERM');
  return broker;
}

/* A line of its password file: PBKDF2 of SHA-512, as mosquitto_passwd writes it. */
export function passwordLine(user, password) {
  const salt = randomBytes(12);
  return `${user}:$7$101$${salt.toString('base64')}$${pbkdf2Sync(password, salt, 101, 64, 'sha512').toString('base64')}`;
}
