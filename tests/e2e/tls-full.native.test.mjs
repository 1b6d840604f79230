/* All TLS sessions are taken: in a build with four of them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test as any } from 'node:test';
import tls from 'node:tls';
import { ROOT, connect, poll, run, serve, status, within } from './aidash.mjs';

const SESSIONS = 4;
/* `make TLS=0` has none of it. */
const test = (await run(['--help'])).stdout.includes('--tls-cert') ? any : any.skip;

test('viewers keep their sessions, silent ones give way, the next one gets an alert, plain viewers go on', async (t) => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-tls-full-'));
    t.after(() => rmSync(dir, { recursive: true }));
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', path.join(dir, 'key'),
        '-out', path.join(dir, 'crt'), '-days', '30', '-subj', '/CN=full', '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'ignore' });
    const server = await serve(t, ['--rate', '20', '--tls-cert', path.join(dir, 'crt'), '--tls-key', path.join(dir, 'key')],
        { bin: path.join(ROOT, 'build/few-tls/aidash'), ready: /listening on https:\/\/(\S+):(\d+).*\n/ });
    const plain = await connect(server, '/ws/plain');
    const open = () => within(new Promise((done, fail) => {
        const socket = tls.connect({ host: '127.0.0.1', port: server.port, ca: readFileSync(path.join(dir, 'crt')) }, () => done(socket));
        socket.on('error', fail);
    }), 'TLS connection');
    const view = async () => {
        const socket = await open();
        socket.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n');
        await within(new Promise((done) => { socket.once('data', done); }), 'first event');
        socket.on('data', () => {});
        socket.on('error', () => {});
        t.after(() => socket.destroy());
        return socket;
    };

    const silent = [];
    for (let i = 0; i < SESSIONS; i++) {
        const socket = net.connect(server.port, '127.0.0.1');
        socket.on('error', () => {});
        socket.write(Buffer.from([22, 3, 1]));
        t.after(() => socket.destroy());
        silent.push(new Promise((done) => { socket.on('close', done); }));
    }
    await poll(async () => (await status(server)).tls.sessions === SESSIONS, 'sessions that are all taken');
    /* A silent one has its grace of 50 ms; until then the newcomer is refused, and it asks again. */
    const viewers = [];
    for (let i = 0; i < SESSIONS; i++) {
        viewers.push(await poll(() => view().catch(() => null), `place for viewer ${i}`));
    }
    await within(Promise.all(silent), 'end of the silent ones');
    assert.equal((await status(server)).tls.sessions, SESSIONS);

    const { full } = (await status(server)).tls;
    await assert.rejects(open(), /alert|internal error/i, 'the viewers do not give way');
    assert.equal((await status(server)).tls.full, full + 1);
    assert.equal((await plain.command({ action: 'pause' })).event, 'ack', 'the plain connection goes on');

    viewers[0].destroy();
    await poll(() => view().catch(() => null), 'session that has become free');
    plain.ws.terminate();
});
