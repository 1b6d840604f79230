/* Debian's mosquitto on a port of its own, and a small MQTT 5 client (OASIS, MQTT Version 5.0): QoS 1, user properties. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Inbox, poll, within } from '../e2e/aidash.mjs';
import { accepts, debian, freePort } from '../programs.mjs';

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

/* A client that has connected. messages is an Inbox of { topic, payload, retain, user }. */
export async function client(t, port, name) {
  const socket = net.connect(port, '127.0.0.1');
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
        answers.get(body.readUInt16BE(0))?.();
      }
    }
  });
  t.after(() => socket.destroy());
  socket.write(packet(0x10, text('MQTT'), Buffer.from([5, 2, 0, 0, 0]), text(name)));
  const reason = await answered('connect', 'CONNACK');
  if (reason !== 0) throw new Error(`CONNACK ${reason}`);
  return {
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
    async publish(topic, payload, { retain = false, user = {} } = {}) {
      const id = ++last;
      const done = answered(id, 'PUBACK');
      const properties = Buffer.concat(Object.entries(user).flatMap(([key, value]) => [Buffer.from([0x26]), text(key), text(value)]));
      socket.write(packet(0x32 + Number(retain), text(topic), two(id), number(properties.length), properties, Buffer.from(payload)));
      await done;
    },
    close: () => socket.destroy(),
  };
}

/* A broker, which ends with the test. It keeps sessions and retained messages over stop() and start(). */
export async function mosquitto(t) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-mosquitto-'));
  const { file, env } = debian('mosquitto');
  const port = await freePort();
  const broker = { port, url: `mqtt://127.0.0.1:${port}`, proc: null };
  const kill = () => broker.proc?.kill('SIGKILL');
  writeFileSync(path.join(dir, 'conf'), `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location ${dir}/\n`
    + `max_queued_messages 0\n${process.getuid() === 0 ? 'user root\n' : ''}`);
  broker.start = async () => {
    const proc = spawn(file, ['-c', path.join(dir, 'conf')], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    proc.stderr.on('data', (data) => { log += data; });
    broker.proc = proc;
    broker.ended = new Promise((done) => { proc.on('close', done); });
    await poll(() => {
      if (proc.exitCode !== null) throw new Error(`mosquitto left: ${log}`);
      return accepts(port);
    }, 'mosquitto');
  };
  broker.stop = async () => { broker.proc.kill('SIGTERM'); await within(broker.ended, 'end of mosquitto'); };
  process.on('exit', kill);
  t.after(async () => {
    kill();
    await within(broker.ended, 'end of mosquitto');
    process.off('exit', kill);
    rmSync(dir, { recursive: true, force: true });
  });
  await broker.start();
  return broker;
}
