/* The event `board`: what the sensors of a board say, on the stream and in /status; copies of boards; without it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { connect, poll, post, request, run, serve, status, statusWhen, validate } from './aidash.mjs';

const ON = { AIDASH_NO_BOARD: '' };
const BOARDS = 'tests/boards';

/* A directory for --sysroot, of the board NAME. */
function tree(t, name) {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-'));
    t.after(() => rmSync(dir, { recursive: true }));
    execFileSync('sh', [`${BOARDS}/collect.sh`, 'unpack', dir], { input: readFileSync(`${BOARDS}/${name}/tree.txt`) });
    return dir;
}

const nextBoard = (viewer) => viewer.next((event) => event.event === 'board', 'a board event');

test('a viewer gets the board once a second, with numbers that count on', async (t) => {
    const server = await serve(t, ['--rate', '20'], { env: ON });
    const viewer = await connect(server);
    const boards = [];
    while (boards.length < 4) boards.push(await nextBoard(viewer));
    for (const { cpu, memory } of boards) {
        assert.ok(cpu.percent >= 0 && cpu.percent <= 100, JSON.stringify(cpu));
        assert.ok(memory.total_bytes > memory.available_bytes && memory.available_bytes > 0, JSON.stringify(memory));
    }
    /* One may be late, and the next one in time. */
    assert.ok(boards[3].time - boards[0].time > 1.5, 'three seconds, about, lie between four');
    const numbers = viewer.events.filter((event) => event.seq !== undefined).map((event) => event.seq);
    assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
    assert.equal(new Set(numbers).size, numbers.length);
    const { board } = await status(server);
    assert.equal(board.cpu.count, boards[0].cpu.count);
});

test('server-sent events have it by its name', async (t) => {
    const server = await serve(t, ['--source', 'none'], { env: ON });
    await statusWhen(server, (now) => now.board !== undefined);
    const answer = await fetch(`${server.url}/events?last_event_id=0`);
    let text = '';
    for await (const piece of answer.body) {
        text += Buffer.from(piece).toString();
        if (/\nevent: board\ndata: \{"event":"board",.*\}\n\n/.test(text)) break;
    }
});

test('--sysroot: the values of another board', async (t) => {
    const dir = tree(t, 'jetson-orin-nano');
    const server = await serve(t, ['--source', 'none', '--sysroot', dir], { env: ON });
    const viewer = await connect(server);
    const first = await nextBoard(viewer);
    assert.equal(first.name, 'NVIDIA Jetson Orin Nano Developer Kit');
    assert.deepEqual(first.power, { watts: 12.64, scope: 'module', estimate: false });
    assert.deepEqual(first.gpus[0].percent, 99.8);
    assert.equal(first.throttling.events.over_current_instant, 17);
    assert.equal(first.cpu.percent, 'unknown', 'no time passes in a copy');
    assert.deepEqual(first.disk, { total_bytes: 'absent', free_bytes: 'absent' });
    /* Files are read anew each second. */
    writeFileSync(path.join(dir, 'sys/class/hwmon/hwmon2/oc3_event_cnt'), '18\n');
    await poll(async () => (await nextBoard(viewer)).throttling.events.over_current_instant === 18, 'the next count');
});

test('each board of tests/boards is served, as the contract has it', async (t) => {
    for (const name of ['raspberry-pi-4-hot', 'rock-5b', 'pc-nvidia', 'hostile']) {
        const server = await serve(t, ['--source', 'none', '--sysroot', tree(t, name)], { env: ON });
        const { board } = await statusWhen(server, (now) => now.board !== undefined); /* validates */
        const expected = JSON.parse(readFileSync(`${BOARDS}/${name}/expected.json`));
        assert.deepEqual(board.gpus.map((gpu) => gpu.name), expected.gpus.map((gpu) => gpu.name));
        assert.deepEqual(board.throttling.now, expected.throttling.now);
        assert.deepEqual(board.temperatures, expected.temperatures);
    }
});

test('--no-board: no event, nothing in /status', async (t) => {
    const server = await serve(t, ['--rate', '20', '--no-board'], { env: ON });
    await statusWhen(server, (now) => now.uptime_s > 2.5);
    const now = await status(server);
    assert.equal(now.board, undefined);
    const { json } = await request(server, '/ticks?since=0&limit=1000');
    assert.ok(json.ticks.length > 0);
    assert.ok((await status(server)).counters.events <= (await status(server)).counters.ticks + 2);
});

test('a sysroot that is no directory is refused', async () => {
    for (const wrong of ['/nonexistent', '/proc/meminfo']) {
        const { code, stderr } = await run(['--listen', '127.0.0.1:0', '--sysroot', wrong], { env: ON });
        assert.equal(code, 2);
        assert.match(stderr, /--sysroot: can't use the directory/);
    }
});

test('collect.sh copies this machine, without its names and addresses', async (t) => {
    const text = execFileSync('sh', [`${BOARDS}/collect.sh`]).toString();
    assert.match(text, /^@ \/proc\/stat\ncpu /m);
    assert.ok(!text.includes(os.hostname()) || os.hostname().length < 4, 'the host name');
    for (const { address, mac } of Object.values(os.networkInterfaces()).flat()) {
        if (address !== '127.0.0.1' && address !== '::1') assert.ok(!text.includes(address), address);
        if (mac !== '00:00:00:00:00:00') assert.ok(!text.toLowerCase().includes(mac), mac);
    }
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-'));
    t.after(() => rmSync(dir, { recursive: true }));
    execFileSync('sh', [`${BOARDS}/collect.sh`, 'unpack', dir], { input: text });
    assert.ok(existsSync(path.join(dir, 'proc/meminfo')));
    const server = await serve(t, ['--source', 'none', '--sysroot', dir], { env: ON });
    const { board } = await statusWhen(server, (now) => now.board !== undefined);
    assert.ok(board.memory.total_bytes > 0);
    assert.throws(() => execFileSync('sh', [`${BOARDS}/collect.sh`, 'unpack', dir],
        { input: '@ /../outside\nx\n', stdio: ['pipe', 'ignore', 'ignore'] }));
});

/* ---- history ---------------------------------------------------------------- */

const history = async (server, query = '') => validate((await request(server, `/history${query}`)).json, 'HistoryAnswer');

test('GET /history: what the ticks of each second were', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    const sent = [[3, 10], [4, 20], [5, 90]];
    await post(server, '/ingest', sent.map(([tokens, latency_ms]) => JSON.stringify({ tokens, latency_ms })).join('\n'));
    const { series, step, rows } = await poll(async () => {
        const answer = await history(server, '?step=1');
        return answer.rows.some((row) => row[1] > 0) && answer;
    }, 'a second with ticks');
    assert.equal(step, 1);
    const sum = (name) => rows.reduce((all, row) => all + (row[series.indexOf(name)] ?? 0), 0);
    assert.equal(sum('ticks'), 3);
    assert.equal(sum('tokens'), 12);
    const busy = rows.filter((row) => row[1] > 0);
    const least = Math.min(...busy.map((row) => row[series.indexOf('latency_min_ms')]));
    assert.equal(least, 10);
    assert.equal(Math.max(...busy.map((row) => row[series.indexOf('latency_max_ms')])), 90);
    for (const [i, row] of rows.entries()) {
        if (i > 0) assert.ok(Math.abs(row[0] - rows[i - 1][0] - 1) < 0.002, 'a row a second');
    }
    assert.ok(Math.abs(rows[0][0] - (await status(server)).started) < 0.01);
});

test('GET /history: columns, times and forms that are asked for; the board is in it', async (t) => {
    const server = await serve(t, ['--source', 'none'], { env: ON });
    const { rows } = await poll(async () => {
        const answer = await history(server, '?series=cpu_percent,memory_used_bytes');
        assert.deepEqual(answer.series, ['time', 'cpu_percent', 'memory_used_bytes']);
        return answer.rows.some((row) => row[2] !== null) && answer;
    }, 'a row with the board');
    assert.ok(rows.at(-1)[0] < Date.now() / 1000 + 1);
    const csv = await request(server, '/history?format=csv&series=celsius,ticks');
    assert.match(csv.headers['content-type'], /^text\/csv/);
    assert.match(csv.text, /^time,ticks,celsius\r\n(\d+(\.\d+)?,\d+,[\d.]*\r\n)+$/);
    assert.equal((await request(server, '/history', { headers: { Accept: 'text/csv' } })).text.slice(0, 5), 'time,');
    assert.deepEqual((await history(server, '?to=1')).rows, []);
    assert.ok((await history(server, '?from=-2')).rows.length <= 3);
    for (const wrong of ['?series=none', '?step=7', '?step=301', '?from=x', '?to=-', '?format=xml']) {
        assert.equal((await request(server, `/history${wrong}`)).status, 400, wrong);
    }
    assert.equal((await request(server, '/history', { method: 'HEAD' })).status, 200);
    assert.equal((await request(server, '/history', { method: 'POST' })).status, 405);
});
