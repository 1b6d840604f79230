/* --peer mdns: boards that Avahi announces in a network of real machines, of namespaces. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ROOT, poll, request, run, start, status } from './aidash.mjs';
import { assertWhole, caught, stream, watch, writes } from '../bridges/bridge.mjs';
import { avahi, noAvahi } from '../network/mdns.mjs';
import { network, noNetwork } from '../network/network.mjs';

const why = noNetwork() ?? noAvahi();
const skip = why ?? false;
const BIN = path.join(ROOT, 'build/hasty/aidash'); /* it looks for boards ten times as often */
const PATIENCE_MS = 90_000;
const KEY = `aidash_${'K'.repeat(43)}`;

async function on(t, machine, args, options = {}) {
    const server = await machine.reach(await start(args, { ...machine.start(BIN), ...options }));
    t.after(() => server.stop());
    return server;
}
const peers = async (server) => (await status(server)).fleet?.peers ?? [];
const peerWhen = (server, match, what = match.toString()) => poll(async () => (await peers(server)).find(match), what, PATIENCE_MS);
const boardArgs = ['--source', 'stdin', '--models', 'm', '--backlog', '4096'];

test('boards come, get another address and go; who announces a port of his own gets no key', { skip }, async (t) => {
    const lan = await network(t);
    const [jetson, other] = [await lan.machine('jetson'), await lan.machine('gateway')];
    const [there, here] = [await avahi(t, jetson), await avahi(t, other)];
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-mdns-'));
    t.after(() => rmSync(dir, { recursive: true }));
    writeFileSync(path.join(dir, 'key'), `${KEY}\n`);
    chmodSync(path.join(dir, 'key'), 0o600);

    // Somebody in this LAN who says that he is a board, to see what he is sent.
    const heard = [];
    const said = JSON.stringify({ event: 'inference_tick', model: 'm', tokens_generated: 1, latency_ms: 5, tokens_per_second: 1, timestamp: 1741478400 });
    const links = new Set();
    const trap = net.createServer((socket) => {
        links.add(socket);
        socket.on('error', () => {}).on('data', (data) => {
            heard.push(data.toString());
            if (heard.at(-1).startsWith('GET ')) socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: f00-1\ndata: ${said}\n\n`);
        });
    });
    await new Promise((ready) => { trap.listen(path.join(dir, 'trap'), ready); });
    t.after(() => trap.close());
    await jetson.lead(t, 9999, path.join(dir, 'trap'));

    const board = writes(await on(t, jetson, boardArgs, { ...jetson.start(BIN, '0.0.0.0:8080'), input: '' }));
    const gateway = await on(t, other, ['--source', 'none', '--backlog', '4096', '--control', 'open', '--peer', 'mdns',
        '--peer', 'named=http://10.77.0.250:1', '--peer-key-file', path.join(dir, 'key')], { env: here.env, ...other.start(BIN, '0.0.0.0:8080') });
    await here.publish('aidash on gateway', 8080, 'path=/', 'tls=no'); /* the gateway itself */
    const viewer = await watch(t, gateway);
    const service = await there.publish('aidash on jetson', 8080, 'path=/', 'tls=no', 'version=0.1.0');
    const fake = await there.publish('a trap', 9999, 'tls=no');
    const found = await peerWhen(gateway, (peer) => peer.node === 'jetson.local' && peer.state === 'up');
    assert.equal(found.mdns, true);
    await stream(board, viewer, 'jetson.local', 500);
    await caught(viewer, 'jetson.local', 500);

    await peerWhen(gateway, (peer) => peer.node === 'jetson.local:9999' && peer.state === 'up');
    await poll(() => heard.length > 0, 'a request to the trap', PATIENCE_MS);
    assert.match(heard[0], /^GET \/events HTTP\/1\.1\r\n/);
    viewer.send({ action: 'pause', node: 'jetson.local:9999', id: 1 });
    await poll(() => heard.some((each) => each.startsWith('POST /command ')), 'the command to the trap', PATIENCE_MS);
    assert.ok(heard.every((each) => !each.includes(KEY) && !/authorization/i.test(each)), 'the key is not for it');

    assert.deepEqual((await peers(gateway)).map(({ node }) => node).sort(), ['jetson.local', 'jetson.local:9999', 'named'], 'IPv4 and IPv6 are one; not itself');
    const nodes = (await request(gateway, '/nodes')).json.nodes;
    assert.equal(nodes.find(({ node }) => node === 'jetson.local').url, `http://${jetson.address}:8080/`);

    jetson.move(77);
    await poll(async () => (await request(gateway, '/nodes')).json.nodes.find(({ node }) => node === 'jetson.local').url === `http://${jetson.address}:8080/`,
        'the new address', PATIENCE_MS);
    await peerWhen(gateway, (peer) => peer.node === 'jetson.local' && peer.state === 'up');
    await stream(board, viewer, 'jetson.local', 500);
    await caught(viewer, 'jetson.local', 1000);
    assertWhole(viewer, 'jetson.local', 1, 1000);

    await here.stop(); /* Avahi is away for a while: nobody goes because of that */
    await gateway.logged(/peer: mdns: avahi-browse tells of no boards: .*; trying again/);
    assert.equal((await peers(gateway)).length, 3);
    await here.start();
    assert.equal((await peerWhen(gateway, (peer) => peer.node === 'jetson.local:9999')).state, 'up');
    await fake.end();
    trap.close(); /* a link that is up stays */
    for (const link of links) link.destroy();
    await peerWhen(gateway, (peer) => peer.node === 'jetson.local' && peer.state === 'up');
    await poll(async () => !(await peers(gateway)).some(({ node }) => node === 'jetson.local:9999'), 'the end of the trap', PATIENCE_MS);
    await service.end();
    await board.stop();
    await poll(async () => !(await peers(gateway)).some(({ node }) => node === 'jetson.local'), 'the end of the board', PATIENCE_MS);
    await gateway.logged(/peer: 'jetson\.local' is not announced any more/);
});

test('a program that prints many boards, or is not there, does no harm', { skip: noNetwork() ?? false }, async (t) => {
    const lan = await network(t);
    const other = await lan.machine('gateway');
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-mdns-'));
    t.after(() => rmSync(dir, { recursive: true }));
    const line = (host, last, port = 8080) => `=;eth0;IPv4;x;_aidash._tcp;local;${host}.local;10.77.0.${last};${port};"tls=no"\n`;
    const print = (text) => {
        writeFileSync(path.join(dir, 'lines.new'), text);
        renameSync(path.join(dir, 'lines.new'), path.join(dir, 'lines'));
    };
    print([...Array(20).keys()].map((i) => line(`board${i}`, 100 + i)).join('') + `${'x'.repeat(100_000)}\n`);
    writeFileSync(path.join(dir, 'avahi-browse'), `#!/bin/sh\nenv > ${dir}/env\necho "$@" > ${dir}/words\ncat ${dir}/lines\n`, { mode: 0o755 });
    const env = { PATH: `${dir}:${process.env.PATH}`, AIDASH_SEED: '7', SECRET: 'none of its business' };
    const gateway = await on(t, other, ['--source', 'none', '--peer', 'board0.local=http://10.77.0.99:8080', '--peer', 'mdns'], { env });
    await gateway.logged(/'board16\.local' at 10\.77\.0\.116 is announced, but not read: there are too many \(AIDASH_PEERS\)/);
    await gateway.logged(/'board0\.local' at 10\.77\.0\.100 is announced, but not read: another board has this name/);
    await poll(async () => (await peers(gateway)).length === 16, 'peers', PATIENCE_MS);
    assert.match(readFileSync(path.join(dir, 'words'), 'utf8'), /^--parsable --resolve --ignore-local --terminate _aidash\._tcp$/m);
    assert.doesNotMatch(readFileSync(path.join(dir, 'env'), 'utf8'), /AIDASH|SECRET/);

    print(line('board3', 103) + line('board3', 113, 9000));
    await poll(async () => (await peers(gateway)).map(({ node }) => node).sort().join() === 'board0.local,board3.local,board3.local:9000',
        'those that are there', PATIENCE_MS);
    print('Failed to create client object: Daemon not running\n');
    await gateway.logged(/avahi-browse tells of no boards: Failed to create client object: Daemon not running; trying again/);
    assert.equal((await peers(gateway)).length, 3);
    assert.equal(gateway.stderr().match(/too many/g).length, 4, 'each is said once');

    // It prints more than a pipe holds, and leaves a process behind: nothing of that is cut, and all of it ends.
    print(`${'+;eth0;IPv4;another one;_aidash._tcp;local\n'.repeat(10_000)}${line('board5', 105)}`);
    writeFileSync(path.join(dir, 'new'), `#!/bin/sh\nsleep 90 > ${dir}/nothing 2>&1 &\necho $! >> ${dir}/pids\ncat ${dir}/lines 2>> ${dir}/cut\n`, { mode: 0o755 });
    renameSync(path.join(dir, 'new'), path.join(dir, 'avahi-browse'));
    await poll(async () => (await peers(gateway)).some(({ node }) => node === 'board5.local'), 'the board behind the others', PATIENCE_MS);
    const left = await poll(() => {
        const pids = readFileSync(path.join(dir, 'pids'), 'utf8').split('\n');
        return pids.length > 4 && pids[0];
    }, 'four times', PATIENCE_MS);
    assert.equal(readFileSync(path.join(dir, 'cut'), 'utf8'), '');
    await poll(() => !existsSync(`/proc/${left}`) || / Z /.test(readFileSync(`/proc/${left}/stat`, 'utf8')), `the end of process ${left}`);

    const without = await start(['--source', 'none', '--peer', 'mdns'], { bin: BIN, env: { PATH: '/nothing' } });
    await without.logged(/avahi-browse tells of no boards: No such file or directory: install avahi-utils \(Debian, Ubuntu, Raspberry Pi OS\) or avahi-tools/);
    await without.stop();
    const refused = await run(['--source', 'none', '--peer', 'mdns', '--peer-key-file', path.join(dir, 'env')], { bin: BIN });
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /--peer-key-file: boards that mdns finds never get a key: name those that need one, NAME=URL/);
});
