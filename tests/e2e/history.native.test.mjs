/* History over a reboot, of a server whose seconds of history pass 500 times faster: killed at random times, stopped, with a
 * file of somebody else. And the history of each model. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ROOT, post, request, run, serve, sleep, start, status, statusWhen, validate } from './aidash.mjs';

const HASTE = 500;
const bin = path.join(ROOT, 'build/hasty/aidash');
const RUNS = 128; // whose rows are told apart
const KILLS = Number(process.env.AIDASH_KILLS ?? 10);

const history = async (server, query = '') => validate((await request(server, `/history${query}`)).json, 'HistoryAnswer');
const tokensOf = async (server, step) => (await history(server, `?series=tokens&step=${step}`)).rows;

function place(t) {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-history-'));
    t.after(() => rmSync(dir, { recursive: true }));
    return path.join(dir, 'history');
}

async function kill(server) {
    server.proc.kill('SIGKILL');
    await server.exit;
}

/* Each row that had ended by `until` is there again, with its tokens and at its time, if it is not older than all that is kept. */
function assertKept(before, after, stepS, until, what) {
    const found = new Map(after);
    for (const [time, tokens] of before) {
        if (time + stepS <= until && time >= after[0]?.[0]) assert.equal(found.get(time), tokens, `${what}: the row of ${time}, with all until ${until}`);
    }
}

test(`killed at ${KILLS} random times: all that had been written is there`, { timeout: 60_000 + KILLS * 20_000 }, async (t) => {
    const file = place(t);
    const before = { fives: [], tens: [], until: 0, seconds: 0, counted: 0 };
    let most = 0;
    let rows = 0;
    for (let i = 0; i < KILLS; i++) {
        const server = await start(['--source', 'sim', '--rate', '200', '--history-file', file], { bin });
        try {
            const { seconds } = (await status(server)).history;
            assert.ok(seconds >= before.seconds, `kill ${i}: ${seconds} s of ${before.seconds} s that were written`);
            const [fives, tens] = [await tokensOf(server, 300), await tokensOf(server, 10)];
            assertKept(before.fives, fives, 300 / HASTE, before.until, `kill ${i}, five minutes`);
            assertKept(before.tens, tens, 10 / HASTE, before.until, `kill ${i}, ten seconds`);
            assert.ok(fives.length >= rows || i >= RUNS, `kill ${i}: ${fives.length} rows of ${rows}`);
            most = Math.max(most, before.counted - seconds);
            // After a write, and at any moment from then on: also within the next one.
            await statusWhen(server, ({ history: { file: { written } } }) => written > i % 3);
            await sleep(Math.random() * 1000);
            const now = (await status(server)).history;
            assert.equal(now.file.failed, 0);
            Object.assign(before, {
                until: now.file.until,
                seconds: before.seconds + 300 * now.file.written,
                counted: now.seconds,
                fives: await tokensOf(server, 300),
                tens: await tokensOf(server, 10),
            });
            rows = before.fives.filter(([time]) => time + 300 / HASTE <= before.until).length;
            assert.ok(rows > Math.min(i, RUNS - 1), `a row at least is in the file of each run: ${rows} of ${i + 1}`);
        } finally {
            await kill(server);
        }
        assert.equal(statSync(file).size % 4096, 0);
    }
    t.diagnostic(`at most ${most} s of history were lost by a kill; a period is 300 s`);
});

test('a stop loses nothing; the file has a size of its own and one writer; the history goes on', { timeout: 60_000 }, async (t) => {
    const file = place(t);
    const first = await start(['--source', 'none', '--history-file', file]);
    await post(first, '/ingest', '{"model":"a b","tokens":7,"latency_ms":10}\n{"model":"c","tokens":5,"latency_ms":10}\n{"model":"d","tokens":3,"latency_ms":30}\n');
    const { bytes } = (await statusWhen(first, (now) => now.history.tokens === 15)).history.file;
    assert.equal(statSync(file).size, bytes);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const second = await run(['--listen', '127.0.0.1:0', '--source', 'none', '--history-file', file]);
    assert.equal(second.code, 2);
    assert.match(second.stderr, /history-file: \S+: another aidash writes to it/);
    await first.stop();
    const server = await serve(t, ['--source', 'none', '--history-file', file]);
    const { rows, models } = await history(server, '?series=tokens&step=10');
    const sum = (numbers) => numbers.reduce((all, n) => all + n, 0);
    assert.equal(sum(rows.map(([, tokens]) => tokens)), 15);
    assert.deepEqual(models, ['a b', 'c', 'other']);
    for (const [model, tokens] of [['a%20b', 7], ['c', 5], ['other', 3]]) {
        const own = await history(server, `?step=10&model=${model}`);
        assert.deepEqual(own.series, ['time', 'ticks', 'tokens', 'latency_min_ms', 'latency_mean_ms', 'latency_p50_ms', 'latency_p95_ms',
            'latency_max_ms', 'requests', 'tokens_per_second']);
        assert.equal(sum(own.rows.map((row) => row[2])), tokens, model);
    }
    assert.equal((await request(server, '/history?model=e')).status, 404);
    assert.equal((await request(server, '/history?model=c&series=celsius')).status, 400);
    assert.equal((await request(server, '/history?model=c&series=tokens,latency_p95_ms&format=csv')).status, 200);
    assert.equal((await status(server)).history.tokens, 15);
});

test('a file of something else stays as it is; so does one of another build, and the server runs without', { timeout: 60_000 }, async (t) => {
    const file = place(t);
    writeFileSync(file, 'my diary\n');
    const { code, stderr } = await run(['--listen', '127.0.0.1:0', '--source', 'none', '--history-file', file]);
    assert.equal(code, 2);
    assert.match(stderr, /history-file: \S+: it is not a file of aidash's history; it was left as it is/);
    assert.equal(readFileSync(file, 'utf8'), 'my diary\n');
    rmSync(file);
    await (await start(['--source', 'none', '--history-file', file])).stop();
    const bytes = readFileSync(file);
    const server = await start(['--source', 'none', '--history-file', file], { bin });
    await server.logged(/history: \S+ is of another version or build of aidash, and was left as it is: this run writes no history/);
    assert.equal((await status(server)).history.file, null);
    await server.stop();
    assert.ok(readFileSync(file).equals(bytes));
});

test('a path that leads nowhere is an error at the start', async () => {
    const { code, stderr } = await run(['--listen', '127.0.0.1:0', '--source', 'none', '--history-file', '/nonexistent/history']);
    assert.equal(code, 2);
    assert.match(stderr, /history-file: \/nonexistent\/history: No such file or directory/);
});
