/* aidash.h on a gateway and on a board: events of other boards, in order, none lost, none twice; what is wrong is refused; commands
 * for a board and back. The program is gateway.c. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { after, before, test } from 'node:test';
import { Inbox, ROOT, Raw, SLOW, connect, isTick, numbered, poll, request, serve, status, validate, within } from './aidash.mjs';

const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-'));
const bin = path.join(dir, 'gateway');
/* AIDASH_LIB is another object, and LIB_FLAGS what it was compiled with: for a sanitizer. */
const object = process.env.AIDASH_LIB || path.join(ROOT, 'build/lib/aidash.o');
const flags = (process.env.LIB_FLAGS ?? '').split(' ').filter(Boolean);
before(() => {
    const built = spawnSync(process.env.CC || 'cc', ['-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', ...flags, '-I', ROOT, '-o', bin,
        path.join(ROOT, 'tests/e2e/gateway.c'), object, '-lpthread'], { encoding: 'utf8' });
    assert.equal(built.status, 0, built.stderr ?? built.error);
});
after(() => rmSync(dir, { recursive: true }));

/* The program, started; ask() waits as long as it takes, so that a busy machine is no failure. */
async function program(t, models = '') {
    const proc = spawn(bin, [], { stdio: ['pipe', 'pipe', 'inherit'] });
    const answers = new Inbox();
    const said = new Inbox();
    const left = new Promise((done) => { proc.on('close', (code, signal) => done(code ?? signal)); });
    readline.createInterface({ input: proc.stdout }).on('line', (line) => (line.startsWith('= ') ? answers : said).push(line));
    t.after(async () => {
        proc.stdin.end();
        try {
            assert.equal(await within(left, 'end of the program'), 0);
        } finally {
            proc.kill('SIGKILL');
        }
    });
    const ask = async (...words) => {
        proc.stdin.write(`${words.join('\t')}\n`);
        return (await answers.next(() => true, `answer to ${words[0]}`, 120_000 * SLOW)).slice(2);
    };
    const server = { host: '127.0.0.1', port: Number((await ask('start', models)).split(' ')[1]) };
    return { ask, said, server };
}

const nodes = async (server) => validate((await request(server, '/nodes')).json, 'NodesAnswer').nodes;
const nodeWhen = (server, name, match, what) => poll(async () => (await nodes(server)).find((n) => n.node === name && match(n)), what);
const TICK = { event: 'inference_tick', model: 'llama3', tokens_generated: 47, latency_ms: 118.3, tokens_per_second: 3.82, timestamp: 1741478400.123 };
const of = (node, more) => (e) => e.event === 'node' && e.node === node && more(e);

/* What GET /events of a board gives until there are n events, and one of its sensors: [[id, event], ...]. */
async function record(board, n) {
    const raw = await Raw.connect(board);
    await raw.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const frames = await raw.until((bytes) => {
        const found = [...bytes.toString().matchAll(/id: ([0-9a-f]+-\d+)\nevent: \w+\ndata: (.*)\n\n/g)];
        return found.length >= n && found.some(([frame]) => frame.includes('event: board')) && found;
    }, `${n} events, and one of the board`);
    raw.socket.destroy();
    return frames.map(([, id, json]) => [id, JSON.parse(json)]);
}

test('a real board, relayed: every event once, in order, as it was', async (t) => {
    const board = await serve(t, ['--source', 'sim', '--rate', '100'], { env: { AIDASH_NO_BOARD: undefined } });
    const { ask, server } = await program(t);
    const viewer = await connect(server);
    assert.equal(viewer.hello.nodes, undefined);
    assert.deepEqual(await nodes(server), []);
    const stream = await record(board, 60);
    const file = path.join(dir, 'stream');
    const write = (events) => writeFileSync(file, events.map(([id, event]) => `${id}\t${JSON.stringify(event)}\n`).join(''));
    write(stream);
    assert.equal(await ask('file', 'jetson', file), `${stream.length} 0`);
    write(stream.slice(20)); /* a link that broke begins again further back */
    assert.equal(await ask('file', 'jetson', file), `${stream.length - 20} 0`);
    assert.equal(await ask('relay', 'jetson', '', '{"event":"of_the_end"}'), '0');
    await viewer.next(of('jetson', (e) => e.data?.event === 'of_the_end'), 'the last event');
    const came = viewer.events.filter((e) => isTick(e) || (e.event === 'node' && e.data)).slice(0, -1)
        .map((e) => (isTick(e) ? e : e.data));
    assert.deepEqual(came, stream.map(([, event]) => (isTick(event) ? { ...event, node: 'jetson' } : event)));
    numbered(viewer.events); /* and the gateway's own numbers have no gap */
    const told = viewer.events.find((e) => e.event === 'node');
    assert.deepEqual([told.node, told.state], ['jetson', 'live'], 'its state comes before its first event');
    assert.equal(await ask('last', 'jetson', 64), `0 ${stream.at(-1)[0]}`);
    const { counters, nodes: n } = await status(server);
    assert.deepEqual([n, counters.relayed, counters.relay_doubles, counters.relay_refused], [1, stream.length + 1, stream.length - 20, 0]);

    const [known] = await nodes(server);
    assert.deepEqual([known.node, known.model], ['jetson', 'llama3']);
    assert.equal(known.tokens, stream.filter(([, e]) => isTick(e)).at(-1)[1].tokens_generated);
    assert.deepEqual(known.board, stream.filter(([, e]) => e.event === 'board').at(-1)[1]);
    const { hello } = await connect(server, '/ws/later');
    assert.equal(hello.nodes, 1);
});

test('no event of the contract has more members than may be relayed', () => {
    const { $defs } = JSON.parse(readFileSync(path.join(ROOT, 'www/contract.schema.json'), 'utf8'));
    const counts = $defs.Event.oneOf.map(({ $ref }) => $ref.split('/').pop()).map((name) => [name, Object.keys($defs[name].properties).length]);
    assert.deepEqual(counts.filter(([, n]) => n > 64), [], 'AD_MEMBERS_MAX of src/codec/json_members.c');
});

test('200,000 events of four boards at once: in order, none lost, none twice', async (t) => {
    const { ask, server } = await program(t);
    const each = Math.round(50_000 / SLOW);
    const began = Date.now();
    const [bad, wrong, all, waits] = (await ask('flood', each)).split(' ').map(Number);
    t.diagnostic(`${Math.round(each * 4.4 / (Date.now() - began))} events a millisecond, a full ring ${waits} times`);
    assert.deepEqual({ bad, wrong, all }, { bad: 0, wrong: 0, all: 1 });
    const { counters } = await status(server);
    assert.deepEqual([counters.relayed, counters.relay_doubles, counters.relay_ignored], [4 * each, 4 * Math.floor(each / 10), 0]);
    assert.deepEqual((await nodes(server)).map((n) => n.tokens), Array(4).fill(each % 4 === 0 ? each - 1 : each));
});

test('what is wrong is refused, and nothing of it comes to a viewer', async (t) => {
    const { ask, server } = await program(t);
    const viewer = await connect(server);
    const sse = await Raw.connect(server);
    await sse.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await sse.until((bytes) => bytes.includes('event: hello'));
    const json = (more) => JSON.stringify({ ...TICK, ...more });
    const wrong = [
        ['n', 'a-1', ''], ['n', 'a-1', 'x'], ['n', 'a-1', '[]'], ['n', 'a-1', '{}'], ['n', 'a-1', '{"event":"board"'],
        ['n', 'a-1', '{"event":"board"}{}'], ['n', 'a-1', '{"event":"a\\u000ab"}'], ['n', 'a-1', '{"event":"board","event":"status"}'],
        ['n', 'a-1', '{"event":"batch","seq":1,"ticks":[]}'], ['n', 'a-1', `{"event":"x","y":${'['.repeat(40)}${']'.repeat(40)}}`],
        ['n', 'a-1', json({ tokens_generated: -1 })], ['n', 'a-1', json({ model: '' })], ['n', 'a-1', json({ tokens: 5 })],
        ['n', 'a-1', json({ timestamp: undefined })], ['n', 'a-1', json({ request: 'x' })],
        ['n', 'a-1', `{"event":"x","y":"${'z'.repeat(30000)}"}`],
        ['n', 'a', '{"event":"x"}'], ['n', 'A-1', '{"event":"x"}'], ['n', 'a-1e3', '{"event":"x"}'],
        ['', 'a-1', '{"event":"x"}'], ['n'.repeat(32), 'a-1', '{"event":"x"}'], ['n\u0085', 'a-1', '{"event":"x"}'], ['\u202en', 'a-1', '{"event":"x"}'],
    ];
    for (const words of wrong) {
        assert.equal(await ask('relay', ...words), '-1', words.join(' ').slice(0, 100));
    }
    assert.equal(await ask('zeros'), '-1 -1 -1');
    assert.deepEqual(await nodes(server), []);

    /* What a third board sent goes no further: so no event goes round in a circle. */
    assert.equal(await ask('relay', 'n', 'a-1', json({ node: 'third' })), '0');
    assert.equal(await ask('relay', 'n', 'a-2', '{"event":"node","seq":1,"node":"third","data":{"event":"x"}}'), '0');
    /* A line end in an event is none in the stream. */
    assert.equal(await ask('relay', 'n'.repeat(31), 'a-1', '{"event":"x",\\n\\nevent: inference_tick\\ndata: {}\\n\\n"y":1}'), '-1');
    assert.equal(await ask('relay', 'n'.repeat(31), 'a-1', '{"event":"x",\\n\\n"y"\\n:\\n1\\n}\\n'), '0');
    await viewer.next(of('n'.repeat(31), (e) => e.data?.y === 1));
    const frames = await sse.until((bytes) => {
        const found = [...bytes.toString().matchAll(/id: \S+\nevent: (\w+)\ndata: (.*)\n\n/g)].map(([, name, json]) => [name, JSON.parse(json)]);
        return found.some(([, event]) => event.data?.y === 1) && found;
    }, 'the event by SSE');
    assert.ok(frames.every(([name, event]) => validate(event).event === name));
    assert.ok(!viewer.events.some((e) => isTick(e) || e.node === 'third'));
    const { counters } = await status(server);
    assert.deepEqual([counters.relay_refused, counters.relay_ignored, counters.relayed], [wrong.length + 3, 2, 1]);
    sse.socket.destroy();
});

test('a board that goes, and comes back with a new run', async (t) => {
    const { ask, server } = await program(t);
    const viewer = await connect(server);
    await ask('relay', 'orin', 'aa-7', '{"event":"x"}');
    await viewer.next(of('orin', (e) => e.state === 'live'));
    assert.equal(await ask('gone', 'orin'), '0');
    await viewer.next(of('orin', (e) => e.state === 'gone'));
    assert.equal((await nodes(server))[0].state, 'gone');
    const { text: metrics } = await request(server, '/metrics');
    assert.match(metrics, /^aidash_nodes\{state="gone"\} 1$/m);
    assert.match(metrics, /^aidash_relayed_total\{what="taken"\} 1$/m);
    assert.equal(await ask('relay', 'orin', 'ab-1', JSON.stringify(TICK)), '0');
    await viewer.next(of('orin', (e) => e.state === 'live'));
    assert.deepEqual(await viewer.tick(), { ...TICK, node: 'orin' });
    assert.equal(await ask('last', 'orin', 64), '0 ab-1');
    assert.equal(await ask('last', 'orin', 5), '0 ab-1');
    assert.equal(await ask('last', 'orin', 4), '-1 ');
    assert.equal(await ask('last', 'nobody', 64), '0 ');
    assert.equal(await ask('stop'), 'stopped');
    for (const words of [['relay', 'orin', '', '{"event":"x"}'], ['gone', 'orin'], ['last', 'orin', 64], ['run', 64], ['status', 20000], ['command', '{}', '', 512]]) {
        assert.match(await ask(...words), /^-2/, `${words[0]} when it does not run`);
    }
});

test('the board\'s side: the run and the count of on_event are the id of each event', async (t) => {
    const { ask, said, server } = await program(t, 'yolo,resnet');
    await ask('tell', 1);
    const sse = await Raw.connect(server);
    await sse.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await sse.until((bytes) => bytes.includes('event: hello'));
    await ask('publish', 'yolo');
    assert.equal(JSON.parse((await ask('command', '{"action":"pause","id":1}', 'me', 512)).slice(2)).event, 'ack');
    await ask('command', '{"action":"resume"}', '', 512);
    await ask('publish', 'yolo');
    const last = await said.next((line) => line.startsWith('event') && line.includes('"tokens_generated":2'), 'the second tick');
    const tapped = said.all.filter((line) => line.startsWith('event\t')).map((line) => line.split('\t').slice(1));
    const streamed = await sse.until((bytes) => {
        const frames = [...bytes.toString().matchAll(/id: (\S+)\nevent: \w+\ndata: (.*)\n\n/g)];
        return frames.length >= 4 && frames.map(([, id, json]) => [id, json]);
    }, 'four events by SSE');
    assert.deepEqual(streamed, tapped);
    assert.equal(tapped.length, 4);
    const run = (await ask('run', 17)).slice(2);
    assert.equal(last.split('\t')[1], `${run}-4`);
    assert.equal(await ask('run', run.length), '-1 ');

    const now = (await ask('status', 16384)).slice(2);
    assert.deepEqual(JSON.parse(now), { event: 'status', model: 'yolo', models: ['yolo', 'resnet'], paused: false,
        source: 'none', source_state: 'none', rate_hz: 0 });
    assert.match(await ask('status', now.length + 1), /^0 /);
    assert.equal(await ask('status', now.length), '-1 ');

    const error = JSON.parse((await ask('command', '{"action":"switch_model","model":"none","id":"x"}', 'a.b', 512)).slice(2));
    assert.deepEqual([validate(error).code, error.id], ['unknown_model', 'x']);
    for (const words of [['{"action":"pause"}', 'no spaces', 512], ['{"action":"pause"}', 'x'.repeat(65), 512], [' '.repeat(4097), '', 512], ['{"action":"pause"}', '', 8]]) {
        assert.equal(await ask('command', ...words), '-1 ');
    }
    sse.socket.destroy();
});

test('a command goes to its board, and the board\'s own answer back to the viewer', async (t) => {
    const board = await program(t, 'yolo,resnet');
    const { ask, said, server } = await program(t);
    const viewer = await connect(server, '/ws/phone');
    assert.equal((await viewer.command({ action: 'pause', node: 'jetson' })).code, 'unknown_node');
    assert.equal((await viewer.command({ action: 'pause', node: 7 })).code, 'invalid_command');
    await ask('relay', 'jetson', '', (await board.ask('status', 16384)).slice(2));
    const { model, status: known } = await nodeWhen(server, 'jetson', (n) => n.status, 'its status');
    assert.deepEqual([model, known.models], ['yolo', ['yolo', 'resnet']]);
    for (const [command, at, done, message] of [
        [{ action: 'switch_model', model: 'resnet' }, '{"action":"switch_model","model":"resnet"}', true, undefined],
        [{ action: 'switch_model', model: 'llama' }, '{"action":"switch_model","model":"llama"}', false, 'the model is not in the list that hello and status give'],
        [{ action: 'pause' }, '{"action":"pause"}', true, undefined],
    ]) {
        await ask('relay', 'jetson', '', '{"event":"x"}'); /* it lives */
        const ack = await viewer.command({ ...command, node: 'jetson' });
        assert.equal(ack.event, 'ack');
        const [, number, client, node, json] = (await said.next((line) => line.startsWith('command'), 'on_command')).split('\t');
        assert.deepEqual([Number(number), client, node, json], [ack.number, 'phone', 'jetson', at]);
        const running = await viewer.next((e) => e.event === 'command' && e.number === ack.number);
        assert.deepEqual([running.state, running.node], ['running', 'jetson']);
        const answer = JSON.parse((await board.ask('command', json, client, 512)).slice(2));
        assert.equal(await ask('finish', number, answer.event === 'ack' ? 1 : 0, answer.message ?? ''), '0');
        const end = await viewer.next((e) => e.event === 'command' && e.number === ack.number && e.state !== 'running');
        assert.deepEqual([end.state, end.message], [done ? 'done' : 'failed', message]);
    }
    const there = await status(board.server);
    const here = await status(server);
    assert.deepEqual([there.model, there.paused, here.paused], ['resnet', true, false]);
    await ask('gone', 'jetson');
    await nodeWhen(server, 'jetson', (n) => n.state === 'gone', 'its end');
    const late = await viewer.command({ action: 'resume', node: 'jetson' });
    assert.deepEqual([late.code, late.message], ['refused', 'the board is gone: it gets no commands until it is back']);
});
