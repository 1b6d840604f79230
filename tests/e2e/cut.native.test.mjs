/* Boards and gateways on machines of their own, whose network is cut: --forward and --peer. `make fleet-cut` cuts it for longer, with the
 * ordinary build's own limits of time. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import path from 'node:path';
import { describe, test } from 'node:test';
import { ROOT, poll, start, status } from './aidash.mjs';
import { assertWhole, caught, stream, watch, writes } from '../bridges/bridge.mjs';
import { CUTS, away, network, noNetwork } from '../network/network.mjs';

const CUT_MS = Number(process.env.FLEET_CUT_MS ?? 0);
const BIN = path.join(ROOT, CUT_MS ? 'build/aidash' : 'build/hasty/aidash'); /* hasty: it gives up a silent link after 3 s, a stream after 6.5 s */
const FORWARD_MS = CUT_MS || 4000;
const PEER_MS = CUT_MS || 8000;
const skip = noNetwork() ?? false;
EventEmitter.defaultMaxListeners = 100; /* all tests run at once, and each program is ended with this one */
const MANY = 20_000; /* more than a board keeps */

async function on(t, machine, args, { input } = {}) {
    const server = await machine.reach(await start(args, { ...machine.start(BIN), input }));
    t.after(() => server.stop());
    return server;
}
const gatewayOn = (t, machine, ...args) => on(t, machine, ['--source', 'none', '--backlog', '4000', '--control', 'open', ...args]);
const boardOn = async (t, machine, ...args) => writes(await on(t, machine, ['--source', 'stdin', '--models', 'm,other', ...args], { input: '' }));

/* A board that forwards to a gateway, or is read by one; a viewer has its first 500 ticks. */
async function pair(t, way) {
    const lan = await network(t);
    const [jetson, other] = [await lan.machine('jetson'), await lan.machine('gateway')];
    let board;
    let gateway;
    if (way === 'forward') {
        gateway = await gatewayOn(t, other, '--ingest', 'open');
        board = await boardOn(t, jetson, '--forward', `http://${other.address}:${gateway.lan}`, '--as-node', 'jetson');
    } else {
        board = await boardOn(t, jetson);
        gateway = await gatewayOn(t, other, '--peer', `jetson=http://${jetson.address}:${board.lan}`);
    }
    const viewer = await watch(t, gateway);
    const link = async () => (way === 'forward' ? (await status(board)).fleet.forward : (await status(gateway)).fleet.peers[0]);
    await poll(async () => (await link()).state === 'up', 'the link');
    await stream(board, viewer, 'jetson', 500);
    await caught(viewer, 'jetson', 500);
    return { jetson, other, board, gateway, viewer, link };
}
const ticks = async (server) => (await status(server)).counters.ticks;

describe('a network that is cut', { concurrency: true, skip }, () => {
    for (const way of ['forward', 'peer']) {
        /* A board whose address is written in --peer can't get another. */
        for (const cut of CUTS.filter(([what]) => way === 'forward' || !what.includes('address'))) {
            test(`--${way}: ${cut[0]}: nothing is lost, nothing comes twice`, async (t) => {
                const { jetson, other, board, viewer, link } = await pair(t, way);
                await away(cut, jetson, other, way === 'forward' ? FORWARD_MS : PEER_MS, async () => {
                    await board.send(500);
                    await poll(async () => await ticks(board) === 1000, 'ticks of the board');
                    await board.send(1000);
                });
                await caught(viewer, 'jetson', 2000);
                await stream(board, viewer, 'jetson', 500);
                await caught(viewer, 'jetson', 2500);
                assertWhole(viewer, 'jetson', 1, 2500);
                const { dropped, missed } = await link();
                assert.equal(dropped ?? missed, 0);
            });
        }

        test(`--${way}: packets are lost in silence, for so short a time that nobody gives up: nothing is lost, nothing comes twice`, async (t) => {
            const { jetson, other, board, viewer, link } = await pair(t, way);
            await away(CUTS[1], jetson, other, 0, async () => {
                await board.send(4500);
                await poll(async () => await ticks(board) === 5000, 'ticks of the board');
            });
            await caught(viewer, 'jetson', 5000);
            await stream(board, viewer, 'jetson', 500);
            await caught(viewer, 'jetson', 5500);
            assertWhole(viewer, 'jetson', 1, 5500);
            const { dropped, missed } = await link();
            assert.equal(dropped ?? missed, 0);
        });

        test(`--${way}: what a board can't keep over a cut is lost, counted and said`, async (t) => {
            const { jetson, other, board, gateway, viewer, link } = await pair(t, way);
            await away(CUTS[1], jetson, other, way === 'forward' ? FORWARD_MS : PEER_MS, async () => {
                for (let i = 0; i < MANY; i += 1000) await board.send(1000);
                await poll(async () => await ticks(board) === 500 + MANY, 'ticks of the board');
            });
            await caught(viewer, 'jetson', 500 + MANY);
            let lost;
            await poll(async () => {
                const { dropped, missed } = await link();
                lost = dropped ?? missed;
                return lost === 500 + MANY - await ticks(gateway);
            }, 'a count of what was lost that is what the gateway has not got');
            assert.ok(lost > MANY / 4, `${lost} lost`);
            const list = viewer.of('jetson');
            list.slice(1).forEach((number, i) => assert.ok(number > list[i], 'in order'));
            const who = way === 'forward' ? board : gateway;
            await poll(() => [...who.stderr().matchAll(/: (\d+) events of .* were lost: /g)].reduce((sum, [, n]) => sum + Number(n), 0) === lost, 'the log');
            await viewer.event((event) => [event, event.data].some((each) => each?.event === 'note' && each.level === 'warn' && each.text.includes('were lost')), 'note');
        });
    }
});
