/* Boards and gateways without a broker: --forward with GET /forward, and --peer. Real boards with a simulated engine, a real gateway, and
 * between them a TCP proxy that cuts, stops, holds and leads elsewhere. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import {
    OP, Raw, SLOW, assertRefused, closeFrame, connect, frame, isTick, parseFrame, poll, request, run, serve, start, status, statusWhen, text,
} from './aidash.mjs';
import { said, stream, watch, writes } from '../bridges/bridge.mjs';
import { authority } from './tls.mjs';

const PATIENCE_MS = 60_000 * SLOW;
const KEYED = { board: `aidash_${'B'.repeat(43)}`, wrong: `aidash_${'W'.repeat(43)}` };

/* ---- helpers --------------------------------------------------------------------------- */

/* A proxy that passes bytes on to `port`, which may change. */
async function proxy(t, port) {
    const sockets = new Set();
    const p = { target: port, refuses: false, held: false, connections: 0 };
    const server = net.createServer((client) => {
        p.connections++;
        if (p.refuses || !p.target) {
            client.destroy();
            return;
        }
        const far = net.connect(p.target, '127.0.0.1');
        for (const [one, other] of [[client, far], [far, client]]) {
            sockets.add(one);
            one.on('data', (bytes) => { if (!p.held) other.write(bytes); });
            one.on('end', () => other.end());
            one.on('error', () => other.destroy());
            one.on('close', () => { sockets.delete(one); other.destroy(); });
        }
    });
    await new Promise((ready) => { server.listen(0, '127.0.0.1', ready); });
    p.port = server.address().port;
    p.url = `http://127.0.0.1:${p.port}`;
    p.cut = () => { for (const socket of sockets) socket.destroy(); };
    p.stop = () => { for (const socket of sockets) socket.pause(); };
    p.go = () => { for (const socket of sockets) socket.resume(); };
    t.after(() => { p.cut(); server.close(); });
    return p;
}

const url = (server) => `http://127.0.0.1:${server.port}`;
const gatewayArgs = ['--source', 'none', '--backlog', '4096']; /* a viewer that is slow loses nothing of what comes at once */
const boardArgs = ['--source', 'sim', '--rate', '20', '--backlog', '4096'];
const nodes = async (server) => (await request(server, '/nodes')).json.nodes;
const node = async (server, name) => (await nodes(server)).find((each) => each.node === name);
const nodeWhen = (server, name, match) => poll(async () => {
    const found = await node(server, name);
    return found && match(found) && found;
}, `node ${name} ${match}`, PATIENCE_MS);
const fleetWhen = (server, match) => poll(async () => {
    const { fleet } = await status(server);
    return fleet && match(fleet) && fleet;
}, `fleet ${match}`, PATIENCE_MS);

/* What a board's own viewer and a gateway's viewer see of one event, in one form. Heartbeats and hellos have no number. */
const tickOf = (e) => `tick ${e.model} ${e.tokens_generated} ${e.latency_ms} ${e.tokens_per_second} ${e.timestamp}`;
const own = (e) => (isTick(e) ? tickOf(e) : e.event === 'hello' || e.seq === undefined ? null : `${e.event} ${e.seq}`);
const relayed = (e, name) => {
    if (e.node !== name) return null;
    if (isTick(e)) return tickOf(e);
    return e.event === 'node' && e.data ? own(e.data) : null;
};
const ownList = (viewer) => viewer.events.map(own).filter(Boolean);
const relayedList = (viewer, name) => viewer.events.map((e) => relayed(e, name)).filter(Boolean);

/* The gateway's viewer has seen all that the board's has seen so far: then their lists are the same, from the first that both have. */
async function assertSame(boardViewer, gatewayViewer, name) {
    const last = ownList(boardViewer).at(-1);
    assert.ok(last);
    await poll(() => relayedList(gatewayViewer, name).includes(last), `event '${last}' at the gateway`, PATIENCE_MS);
    const there = relayedList(gatewayViewer, name);
    assert.equal(new Set(there).size, there.length, 'none came twice');
    const here = ownList(boardViewer);
    const from = there.indexOf(here[0]);
    const begin = from >= 0 ? 0 : here.indexOf(there[0]);
    assert.ok(from >= 0 || begin >= 0, 'they have an event in common');
    const to = there.indexOf(last) + 1;
    assert.deepEqual(there.slice(Math.max(from, 0), to), here.slice(begin, here.indexOf(last) + 1), 'in order, none lost');
}

/* Wait for `n` more ticks of this viewer. */
async function ticks(viewer, n) {
    const until = viewer.events.filter(isTick).length + n;
    await poll(() => viewer.events.filter(isTick).length >= until, `${n} more ticks`, PATIENCE_MS);
}

function keyFile(t, key) {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-fleet-'));
    const file = path.join(dir, 'key');
    t.after(() => rmSync(dir, { recursive: true }));
    writeFileSync(file, `${key}\n`);
    chmodSync(file, 0o600);
    return file;
}

/* ---- --forward ------------------------------------------------------------------------- */

test('--forward: every event comes in order, once, over cuts and a gateway that is away', async (t) => {
    const gateway = await serve(t, gatewayArgs);
    const link = await proxy(t, gateway.port);
    const viewer = await connect(gateway, '/ws/of-the-gateway');
    const board = await serve(t, [...boardArgs, '--forward', link.url, '--as-node', 'jetson']);
    const boardViewer = await connect(board, '/ws/of-the-board');
    await nodeWhen(gateway, 'jetson', (n) => n.state === 'live');
    assert.equal((await boardViewer.command({ action: 'switch_model', model: 'mistral' })).event, 'ack');
    await ticks(boardViewer, 20);
    await assertSame(boardViewer, viewer, 'jetson');

    link.cut();
    await ticks(boardViewer, 10);
    await fleetWhen(board, (fleet) => fleet.forward.ups >= 2 && fleet.forward.state === 'up');
    await assertSame(boardViewer, viewer, 'jetson');

    link.refuses = true;
    link.cut();
    assert.equal((await boardViewer.command({ action: 'switch_model', model: 'llama3' })).event, 'ack');
    await ticks(boardViewer, 60);
    const down = (await status(board)).fleet.forward;
    assert.equal(down.state, 'down');
    assert.match(down.why, /broke off the connection|can't be reached/);
    link.refuses = false;
    await assertSame(boardViewer, viewer, 'jetson');

    link.held = true; /* what is on its way is lost, and then the connection */
    await ticks(boardViewer, 20);
    link.cut();
    link.held = false;
    await assertSame(boardViewer, viewer, 'jetson');
    const { fleet } = await status(board);
    assert.equal(fleet.forward.dropped, 0);
    assert.equal(fleet.forward.node, 'jetson');
    assert.ok(viewer.events.some((e) => e.event === 'node' && e.data?.event === 'status' && e.data.model === 'llama3'));
    await gateway.logged(/board 'jetson' from 127\.0\.0\.1: the link is up/);
    await board.logged(/forward: 127\.0\.0\.1:\d+ as 'jetson': the link is down: it /);
});

test('--forward: what is dropped on a connection that loses what is behind it, too, is counted once', async (t) => {
    const MANY = 100_000; /* more than a board keeps, and the system for a socket */
    const gateway = await serve(t, gatewayArgs);
    const link = await proxy(t, gateway.port);
    const viewer = await watch(t, gateway);
    const board = writes(await serve(t, ['--source', 'stdin', '--backlog', '4096', '--forward', link.url, '--as-node', 'jetson'], { input: '' }));
    const sum = async (server) => (await status(server)).counters.ticks;
    const flood = async () => {
        for (let i = 0; i < MANY; i += 1000) await board.send(1000);
        await poll(async () => await sum(board) === board.sent, 'ticks of the board', PATIENCE_MS);
    };
    await fleetWhen(board, (fleet) => fleet.forward.state === 'up');
    await stream(board, viewer, 'jetson', 100);
    await poll(() => viewer.of('jetson').length === 100, 'the first ticks', PATIENCE_MS);
    link.stop();
    await flood();
    link.held = true; /* what comes now is taken, and lost */
    link.go();
    await fleetWhen(board, (fleet) => fleet.forward.dropped > 1000);
    await flood();
    link.cut();
    link.held = false;
    await poll(() => viewer.of('jetson').at(-1) === board.sent, 'the newest tick', PATIENCE_MS);
    /* A note says what was lost; one that was said before the cut is lost, too. */
    const notes = () => said(board, / events of this board were lost: /g) - viewer.events.filter((e) => e.data?.event === 'note').length;
    await poll(async () => (await status(board)).fleet.forward.dropped === board.sent - await sum(gateway) + notes(), 'as many as the gateway has not got', PATIENCE_MS);
});

test('--forward: a gateway that was restarted gets all that the board still has', async (t) => {
    const first = await start(gatewayArgs);
    const link = await proxy(t, first.port);
    const board = await serve(t, [...boardArgs, '--forward', link.url, '--as-node', 'jetson']);
    const boardViewer = await connect(board);
    await nodeWhen(first, 'jetson', (n) => n.state === 'live');
    await ticks(boardViewer, 10);
    link.target = 0;
    await first.stop();
    await board.logged(/the link is down: it (closed the connection: the gateway stops|broke off)/); /* a write may fail first */
    await ticks(boardViewer, 20);
    const second = await serve(t, gatewayArgs);
    const viewer = await connect(second);
    link.target = second.port;
    await assertSame(boardViewer, viewer, 'jetson');
    assert.ok(relayedList(viewer, 'jetson').includes(ownList(boardViewer)[0]), 'those from before the restart, too');
});

test('--forward: a board that was restarted goes on under its name, and is gone in between', async (t) => {
    const gateway = await serve(t, gatewayArgs);
    const viewer = await connect(gateway);
    const args = [...boardArgs, '--forward', url(gateway), '--as-node', 'jetson'];
    const first = await start(args);
    await nodeWhen(gateway, 'jetson', (n) => n.state === 'live' && n.tokens > 0);
    await first.stop();
    await nodeWhen(gateway, 'jetson', (n) => n.state === 'gone');
    const second = await serve(t, args);
    const boardViewer = await connect(second);
    await nodeWhen(gateway, 'jetson', (n) => n.state === 'live');
    await ticks(boardViewer, 10);
    await assertSame(boardViewer, viewer, 'jetson');
    const states = viewer.events.filter((e) => e.event === 'node' && e.state).map((e) => e.state);
    const known = states.filter((state) => state !== 'stale'); /* as a busy machine may have been */
    assert.deepEqual(known.filter((state, i) => state !== known[i - 1]), ['live', 'gone', 'live']);
});

test("--forward: a viewer of the gateway pauses the board, and gets the board's own answer", async (t) => {
    const gateway = await serve(t, gatewayArgs);
    const viewer = await connect(gateway);
    const board = await serve(t, [...boardArgs, '--forward', url(gateway), '--as-node', 'jetson']);
    await nodeWhen(gateway, 'jetson', (n) => n.state === 'live');
    const ended = (number) => viewer.next((e) => e.event === 'command' && e.number === number && e.state !== 'running', `end of command ${number}`, PATIENCE_MS);
    const pause = await viewer.command({ action: 'pause', node: 'jetson' });
    assert.equal(pause.event, 'ack');
    assert.equal((await ended(pause.number)).state, 'done');
    assert.equal((await status(board)).paused, true);
    await viewer.next((e) => e.event === 'node' && e.data?.event === 'status' && e.data.paused === true, 'the status of the board', PATIENCE_MS);
    const unknown = await viewer.command({ action: 'switch_model', model: 'nothing', node: 'jetson' });
    assert.equal(unknown.event, 'ack', 'the board decides');
    const failed = await ended(unknown.number);
    assert.equal(failed.state, 'failed');
    assert.equal(failed.message, (await (await connect(board)).command({ action: 'switch_model', model: 'nothing' })).message);
    const resume = await viewer.command({ action: 'resume', node: 'jetson' });
    assert.equal((await ended(resume.number)).state, 'done');
    assert.equal((await status(board)).paused, false);
    assert.equal((await status(gateway)).paused, false, 'the gateway itself is not meant');
    await board.logged(/pause: asked for by gateway from 127\.0\.0\.1/);
    assert.equal((await status(board)).fleet.forward.commands, 3);
});

test('--forward: a board whose control is local takes no commands from a gateway', async (t) => {
    const gateway = await serve(t, gatewayArgs);
    const viewer = await connect(gateway);
    const board = await serve(t, [...boardArgs, '--control', 'local', '--forward', url(gateway), '--as-node', 'jetson']);
    await nodeWhen(gateway, 'jetson', (n) => n.state === 'live');
    const pause = await viewer.command({ action: 'pause', node: 'jetson' });
    const end = await viewer.next((e) => e.event === 'command' && e.number === pause.number && e.state === 'failed', 'the failure', PATIENCE_MS);
    assert.match(end.message, /machine/);
    assert.equal((await status(board)).paused, false);
});

test('--forward: a wrong key, then the right one', async (t) => {
    const state = mkdtempSync(path.join(os.tmpdir(), 'aidash-fleet-'));
    t.after(() => rmSync(state, { recursive: true }));
    const made = await run(['keys', 'add', 'board', '--rights', 'ingest', '--state-dir', state]);
    assert.equal(made.code, 0, made.stderr);
    const key = made.stdout.match(/aidash_[A-Za-z0-9_-]{43}/)[0];
    const gateway = await serve(t, [...gatewayArgs, '--ingest', 'key', '--state-dir', state]);
    const args = [...boardArgs, '--forward', url(gateway), '--as-node', 'jetson'];
    const without = await start(args);
    await without.logged(/the link is down: it answers with status 401: a key with the right ingest is needed/);
    await without.stop();
    const wrong = await start([...args, '--forward-key-file', keyFile(t, KEYED.wrong)]);
    await wrong.logged(/the link is down: it answers with status 401: the key is wrong, expired or revoked/);
    assert.doesNotMatch(wrong.stderr(), new RegExp(KEYED.wrong), 'a key is never logged');
    await wrong.stop();
    const elsewhere = await start([...boardArgs, '--forward', `${url(gateway)}/elsewhere`, '--as-node', 'jetson', '--forward-key-file', keyFile(t, key)]);
    await elsewhere.logged(/the link is down: it answers with status 404: is it an aidash that takes boards, and its path right\?/);
    await elsewhere.stop();
    assert.deepEqual(await nodes(gateway), []);
    await serve(t, [...args, '--forward-key-file', keyFile(t, key)]);
    await nodeWhen(gateway, 'jetson', (n) => n.state === 'live');
});

test('--forward: another board of the same name is told to take another one', async (t) => {
    const gateway = await serve(t, gatewayArgs);
    await serve(t, [...boardArgs, '--forward', url(gateway), '--as-node', 'jetson']);
    await nodeWhen(gateway, 'jetson', (n) => n.state === 'live');
    const other = await serve(t, [...boardArgs, '--forward', url(gateway), '--as-node', 'jetson']);
    await other.logged(/answers with status 409: another board of this name is linked, from 127\.0\.0\.1: give one of them another name \(--as-node\)/);
    assert.equal((await status(gateway)).fleet.links.length, 1);
});

/* ---- GET /forward by hand --------------------------------------------------------------- */

const handshake = (server, where, extra = '') => `GET ${where} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nUpgrade: websocket\r\n`
    + `Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${extra}\r\n`;

/* A board that is not one: frames as it likes. */
async function uplink(t, server, where = '/forward?node=hand', extra = '') {
    const socket = net.connect({ host: '127.0.0.1', port: server.port, noDelay: true });
    const raw = new Raw(socket);
    t.after(() => socket.destroy());
    raw.write(Buffer.from(handshake(server, where, extra)));
    const end = await raw.until((bytes) => bytes.indexOf('\r\n\r\n') + 1, 'handshake');
    assert.match(raw.bytes.toString('latin1'), /^HTTP\/1\.1 101 [^]*\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
    raw.bytes = raw.bytes.subarray(end + 3);
    raw.frame = async () => {
        await raw.until((bytes) => (parseFrame(bytes) ? 1 : 0), 'a frame');
        const found = parseFrame(raw.bytes);
        raw.bytes = raw.bytes.subarray(found.size);
        return found;
    };
    raw.last = JSON.parse((await raw.frame()).payload.toString()).last;
    return raw;
}
const note = (seq, run = 'abc') => ({ id: `${run}-${seq}`, event: { event: 'note', seq, level: 'info', text: `note ${seq}`, timestamp: 1.5 } });
const closed = async (raw) => {
    let found = await raw.frame();
    while (found.op !== OP.CLOSE) found = await raw.frame();
    return { code: found.payload.readUInt16BE(0), why: found.payload.subarray(2).toString() };
};

test('GET /forward: says what it knows last, takes each event once, leaves out what is wrong', async (t) => {
    const gateway = await serve(t, gatewayArgs);
    const viewer = await connect(gateway);
    const first = await uplink(t, gateway);
    assert.equal(first.last, '');
    first.write(text(JSON.stringify([note(3), note(4), note(4), note(3), { id: 'no id', event: note(5).event }, { event: 7 }, 7,
        { id: 'abc-6' }, { id: 'abc-7', event: { event: 'node', node: 'other', data: {} } }, { id: 'abc-8', event: note(8).event, more: 1 },
        { number: 77, ack: { event: 'ack', action: 'pause' } }])));
    await viewer.next((e) => e.event === 'node' && e.data?.seq === 8, 'note 8', PATIENCE_MS);
    assert.deepEqual(viewer.events.filter((e) => e.data).map((e) => [e.node, e.data.seq]), [['hand', 3], ['hand', 4], ['hand', 8]]);
    assert.deepEqual((await status(gateway)).fleet.links.map(({ node: name, wrong }) => [name, wrong]), [['hand', 4]]);
    first.write(closeFrame(1000));
    assert.equal((await closed(first)).code, 1000);
    const second = await uplink(t, gateway);
    assert.equal(second.last, 'abc-8');
    second.write(text(JSON.stringify([note(8), note(1, 'abd'), note(9)])));
    await viewer.next((e) => e.event === 'node' && e.data?.seq === 9, 'note 9', PATIENCE_MS);
    assert.deepEqual(viewer.events.filter((e) => e.data).map((e) => e.data.seq), [3, 4, 8, 1, 9]);
    assert.equal((await node(gateway, 'hand')).node, 'hand');
});

test('GET /forward: the same run takes its link over; a node is of one link', async (t) => {
    const gateway = await serve(t, gatewayArgs);
    const first = await uplink(t, gateway, '/forward?node=J%C3%BCrgens%20Pi&run=a1');
    assertRefused(await request(gateway, '/forward?node=J%C3%BCrgens%20Pi&run=a2', { headers: upgrade }), 409);
    const second = await uplink(t, gateway, '/forward?node=J%C3%BCrgens%20Pi&run=a1');
    assert.deepEqual(await closed(first), { code: 4409, why: 'the board has opened another link' });
    second.write(text(JSON.stringify([note(1)])));
    await nodeWhen(gateway, 'Jürgens Pi', (n) => n.state === 'live');
});

test('GET /forward: who knows the run of a board, but not its key, is another board', async (t) => {
    const state = mkdtempSync(path.join(os.tmpdir(), 'aidash-fleet-'));
    t.after(() => rmSync(state, { recursive: true }));
    const keys = [];
    for (const name of ['pi', 'jetson']) {
        const made = await run(['keys', 'add', name, '--rights', 'ingest', '--state-dir', state]);
        keys.push(`Authorization: Bearer ${made.stdout.match(/aidash_[A-Za-z0-9_-]{43}/)[0]}`);
    }
    const gateway = await serve(t, [...gatewayArgs, '--ingest', 'key', '--state-dir', state]);
    const first = await uplink(t, gateway, '/forward?node=pi&run=a1', `${keys[0]}\r\n`);
    const other = { ...upgrade, Authorization: keys[1].slice('Authorization: '.length) };
    assertRefused(await request(gateway, '/forward?node=pi&run=a1', { headers: other }), 409);
    await uplink(t, gateway, '/forward?node=pi&run=a1', `${keys[0]}\r\n`);
    assert.equal((await closed(first)).code, 4409);
});

test('GET /forward: who finds no place for a link leaves no board behind', async (t) => {
    const gateway = await serve(t, gatewayArgs);
    let n = 0;
    let answer;
    do {
        const raw = new Raw(net.connect({ host: '127.0.0.1', port: gateway.port, noDelay: true }));
        t.after(() => raw.socket.destroy());
        raw.write(Buffer.from(handshake(gateway, `/forward?node=n${n}`)));
        await raw.until((bytes) => bytes.includes('\r\n\r\n'), 'answer');
        answer = raw.bytes.toString('latin1');
    } while (answer.startsWith('HTTP/1.1 101 ') && ++n < 1024);
    assert.match(answer, /^HTTP\/1\.1 503 [^]*\r\nRetry-After: 5\r\n/);
    assert.deepEqual((await nodes(gateway)).map(({ node: name }) => name), Array.from({ length: n }, (_, i) => `n${i}`));
});

const upgrade = { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' };

test('GET /forward: what is no link is refused, what is no message closed, with a sentence', async (t) => {
    const gateway = await serve(t, gatewayArgs);
    assertRefused(await request(gateway, '/forward?node=a'), 426);
    for (const where of ['/forward', '/forward?node=', `/forward?node=${'n'.repeat(32)}`, '/forward?node=%zz', '/forward?node=%00', '/forward?node=%0A',
        '/forward?node=a&run=12345678901234567']) {
        assertRefused(await request(gateway, where, { headers: upgrade }), 400);
    }
    for (const [bytes, code, why] of [
        [text('{}'), 1008, 'a message is not an array of events'],
        [text('[1,]'), 1007, 'a message is not JSON'],
        [frame(OP.BINARY, '[]'), 1003, 'a message is not text'],
        [text('[]', { mask: false }), 1002, "a frame is not RFC 6455's"],
        [frame(OP.TEXT, '', { length: 16385 }), 1009, 'a message is too long'],
        [text('[\xff]', { rsv: 4 }), 1002, "a frame is not RFC 6455's"],
    ]) {
        const raw = await uplink(t, gateway);
        raw.write(bytes);
        assert.deepEqual(await closed(raw), { code, why });
    }
    const long = await uplink(t, gateway); /* the longest that is taken, in two pieces */
    const padded = JSON.stringify([note(1)]).padEnd(16384);
    long.write(frame(OP.TEXT, padded.slice(0, 9000), { fin: false }));
    long.write(frame(OP.PING, 'there?'));
    long.write(frame(OP.MORE, padded.slice(9000)));
    let found = await long.frame();
    assert.deepEqual([found.op, found.payload.toString()], [OP.PONG, 'there?']);
    await nodeWhen(gateway, 'hand', (n) => n.state === 'live');
    assert.equal((await status(gateway)).fleet.links[0].events, 1);
});

/* ---- --peer ----------------------------------------------------------------------------- */

test('--peer: every event comes in order, once, over cuts; commands go back', async (t) => {
    const board = await serve(t, boardArgs);
    const link = await proxy(t, board.port);
    const boardViewer = await connect(board);
    const gateway = await serve(t, [...gatewayArgs, '--peer', `pi=${link.url}`]);
    const viewer = await connect(gateway);
    assert.equal((await nodeWhen(gateway, 'pi', (n) => n.state === 'live')).url, `${link.url}/`);
    await ticks(boardViewer, 20);
    await assertSame(boardViewer, viewer, 'pi');
    for (const away of [0, 40]) {
        link.refuses = away > 0;
        link.cut();
        await ticks(boardViewer, away + 5);
        link.refuses = false;
        await assertSame(boardViewer, viewer, 'pi');
    }
    const { fleet } = await status(gateway);
    assert.equal(fleet.peers[0].state, 'up');
    assert.ok(fleet.peers[0].ups >= 2);
    assert.deepEqual([fleet.peers[0].missed, fleet.peers[0].wrong], [0, 0]);
    const ended = (number) => viewer.next((e) => e.event === 'command' && e.number === number && e.state !== 'running', `end of command ${number}`, PATIENCE_MS);
    const pause = await viewer.command({ action: 'pause', node: 'pi' });
    assert.equal((await ended(pause.number)).state, 'done');
    assert.equal((await status(board)).paused, true);
    const unknown = await viewer.command({ action: 'switch_model', model: 'nothing', node: 'pi' });
    const failed = await ended(unknown.number);
    assert.equal(failed.state, 'failed');
    assert.equal(failed.message, (await boardViewer.command({ action: 'switch_model', model: 'nothing' })).message);
});

test('--peer: a board and a gateway that restart', async (t) => {
    const first = await start(boardArgs);
    const link = await proxy(t, first.port);
    const gateway = await serve(t, [...gatewayArgs, '--peer', `pi=${link.url}`]);
    const viewer = await connect(gateway);
    await nodeWhen(gateway, 'pi', (n) => n.tokens > 0);
    link.target = 0;
    await first.stop();
    await gateway.logged(/peer: 'pi' at 127\.0\.0\.1:\d+: the link is down: it /);
    const second = await serve(t, boardArgs);
    const boardViewer = await connect(second);
    link.target = second.port;
    await ticks(boardViewer, 10);
    await assertSame(boardViewer, viewer, 'pi');
    const again = await serve(t, [...gatewayArgs, '--peer', `pi=${link.url}`]); /* as a gateway that begins anew */
    const newcomer = await connect(again);
    await ticks(boardViewer, 5);
    await assertSame(boardViewer, newcomer, 'pi');
});

test('--peer: keys, and what is no board', async (t) => {
    const state = mkdtempSync(path.join(os.tmpdir(), 'aidash-fleet-'));
    t.after(() => rmSync(state, { recursive: true }));
    const key = (await run(['keys', 'add', 'gateway', '--rights', 'view,control', '--state-dir', state])).stdout.match(/aidash_[A-Za-z0-9_-]{43}/)[0];
    const board = await serve(t, [...boardArgs, '--view', 'key', '--control', 'key', '--state-dir', state]);
    const wrong = await start([...gatewayArgs, '--peer', `pi=${url(board)}`, '--peer-key-file', keyFile(t, KEYED.wrong)]);
    await wrong.logged(/peer: 'pi' at \S+: the link is down: it answers with status 401: the key is wrong, expired or revoked/);
    assert.doesNotMatch(wrong.stderr(), new RegExp(KEYED.wrong));
    await wrong.stop();
    const right = await serve(t, [...gatewayArgs, '--peer', `pi=${url(board)}`, '--peer-key-file', keyFile(t, key)]);
    await nodeWhen(right, 'pi', (n) => n.tokens > 0);
    const viewer = await connect(right);
    const pause = await viewer.command({ action: 'pause', node: 'pi' });
    await viewer.next((e) => e.event === 'command' && e.number === pause.number && e.state === 'done', 'the end', PATIENCE_MS);

    for (const [bytes, why] of [
        ['SSH-2.0-OpenSSH\r\n\r\n', /it answers with what is no HTTP/],
        ['HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n', /it answers with what is no stream of events/],
        ['HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n', /it answers with status 302/],
        ['HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n', /it answers with status 404: is it an aidash, and its path right\?/],
    ]) {
        const other = net.createServer((socket) => { socket.on('error', () => {}); socket.once('data', () => socket.end(bytes)); });
        await new Promise((ready) => { other.listen(0, '127.0.0.1', ready); });
        t.after(() => other.close());
        const gateway = await serve(t, [...gatewayArgs, '--peer', `x=http://127.0.0.1:${other.address().port}`]);
        await gateway.logged(new RegExp(`peer: 'x' at \\S+: the link is down: ${why.source}`));
    }
});

test('--peer: a board that leaves out more and more events is asked anew, and counted as far as numbers go', async (t) => {
    const status = '{"event":"status","model":"m","models":["m"],"paused":false}';
    const far = Array.from({ length: 3000 }, (_, i) => [1, 2 ** 53].map((seq) => `id: ${(i + 1).toString(16)}-${seq}\ndata: ${status}\n\n`).join('')).join('');
    const other = net.createServer((socket) => {
        socket.on('error', () => {}).once('data', () => socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n${far}`));
    });
    await new Promise((ready) => { other.listen(0, '127.0.0.1', ready); });
    t.after(() => other.close());
    const gateway = await serve(t, [...gatewayArgs, '--peer', `x=http://127.0.0.1:${other.address().port}`]);
    const { fleet } = await statusWhen(gateway, (now) => now.fleet.peers[0].events >= 6000 && now.fleet.peers[0].state === 'up');
    assert.ok(fleet.peers[0].ups > 1, 'asked anew');
    assert.equal(fleet.peers[0].missed, Number.MAX_SAFE_INTEGER);
});

/* ---- TLS -------------------------------------------------------------------------------- */

const withTls = (await run(['--help'])).stdout.includes('--tls-cert') ? test : test.skip;

withTls('--forward and --peer by https: the certificate has to be good', async (t) => {
    const ca = authority();
    t.after(() => ca.remove());
    const { key, cert } = ca.issue();
    for (const [name, content] of [['tls.key', key], ['tls.crt', cert]]) writeFileSync(path.join(ca.dir, name), content);
    const tls = ['--tls-cert', path.join(ca.dir, 'tls.crt'), '--tls-key', path.join(ca.dir, 'tls.key')];
    const secure = (server) => `https://127.0.0.1:${server.port}`;
    const gateway = await serve(t, [...gatewayArgs, ...tls]);
    const board = await serve(t, [...boardArgs, ...tls, '--upstream-ca', ca.file, '--forward', secure(gateway), '--as-node', 'jetson']);
    await nodeWhen(gateway, 'jetson', (n) => n.state === 'live' && n.tokens > 0);
    const viewer = await connect(gateway);
    const pause = await viewer.command({ action: 'pause', node: 'jetson' });
    await viewer.next((e) => e.event === 'command' && e.number === pause.number && e.state === 'done', 'the end', PATIENCE_MS);
    assert.equal((await status(board)).paused, true);
    const reader = await serve(t, [...gatewayArgs, '--upstream-ca', ca.file, '--peer', `pi=${secure(board)}`]);
    await nodeWhen(reader, 'pi', (n) => n.state === 'live' && n.url === `${secure(board)}/`);
    const doubter = await serve(t, [...boardArgs, '--upstream-pin', `sha256/${'A'.repeat(43)}=`, '--forward', secure(gateway), '--as-node', 'other']);
    await doubter.logged(/forward: \S+ as 'other': the link is down: it can't be reached: /);
    assert.equal(await node(gateway, 'other'), undefined);
});

/* ---- the options ------------------------------------------------------------------------ */

test('the options say what is wrong with them', async () => {
    for (const [args, sentence] of [
        [['--forward', 'ftp://x'], /--forward: 'ftp:\/\/x': it must begin with http/],
        [['--as-node', 'x'], /--as-node: without forward it is not used/],
        [['--forward', 'http://127.0.0.1:1', '--as-node', 'n'.repeat(32)], /--as-node: 'n+' is not a name of 1 to 31 bytes/],
        [['--forward', 'http://127.0.0.1:1', '--forward-key-file', '/nonexistent'], /--forward-key-file: can't read/],
        [['--peer-key-file', 'x'], /--peer-key-file: without peer it is not used/],
        [['--peer', 'http://127.0.0.1:1', '--peer', 'http://127.0.0.1:1'], /--peer: .*another one has the same name/],
        [['--peer', `http://${'a'.repeat(40)}.local`], /--peer: .* is not a name of 1 to 31 bytes: write NAME=URL/],
        [Array.from({ length: 17 }, (_, i) => ['--peer', `n${i}=http://127.0.0.1:${i + 1}`]).flat(), /--peer: .*there are too many/],
    ]) {
        const { code, stderr } = await run(['--listen', '127.0.0.1:0', ...args]);
        assert.equal(code, 2, stderr);
        assert.match(stderr, sentence);
    }
});
