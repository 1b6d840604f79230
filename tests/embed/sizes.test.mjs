/* examples/sizes: aidash for eight viewers, and for ten thousand; and without its parts. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { execFile, execSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { BIN, ROOT, assertRefused, connect, exchange, ingest, poll, request, run, serve, sleep, status } from '../e2e/aidash.mjs';

const tiny = path.join(ROOT, 'build/tiny/aidash');
const tinyMeter = path.join(ROOT, 'build/tiny-meter/aidash');
const gateway = path.join(ROOT, 'build/gateway/aidash');
const bare = path.join(ROOT, 'build/bare/aidash');
const load = path.join(ROOT, 'build/bench/load');
const boards = path.join(ROOT, 'build/bench/boards');

/* The map that a program prints: { PART: BYTES }. */
const sizes = async (bin) => Object.fromEntries([...(await run(['--sizes'], { bin })).stdout.matchAll(/^(\w+) +(?:\d+ +)?(\d+)$/gm)]
    .map(([, part, bytes]) => [part, Number(bytes)]));

/* Which parts of that map a row of docs/embed.md sums up, by the words that it begins with; what none of them has is in the last one. */
const ROWS = {
    'the feed': /^(feed|inbox|events)$/,
    'viewers and exchanges': /^(clients|client_buffers|client_input)$/,
    'connections without a whole head': /^pending(_buffers)?$/,
    'the meter': /^(bench|discovery|fetch|models|prox(ies|y_.*)|quotas|records|resolver|rewrites|scrape|trust|upstreams|usage)$/,
    history: /^(history.*|board|probe|nvidia_smi)$/, // and the board
    'other boards': /^(nodes|relay|link_input|uplinks|browse|follows)$/,
    civetweb: /^arena$/,
    'the page without gzip': /^inflate$/,
    TLS: /^(tls.*|jwt.*)$/,
};

test('docs/embed.md states what each size needs, row by row', async () => {
    const text = readFileSync(path.join(ROOT, 'docs/embed.md'), 'utf8');
    const inBytes = (cell) => { // "20 kB", "0.73 MB" or ""
        const [, number, unit] = cell.replaceAll('*', '').match(/^([\d.]+) (kB|MB)$/) ?? [null, 0, 'kB'];
        return Number(number) * (unit === 'MB' ? 1e6 : 1e3);
    };
    const stated = Object.fromEntries([...text.matchAll(/^\| ([^|]+) \| ([^|]*) ?\| ([^|]*) ?\| ([^|]*) ?\|$/gm)]
        .map(([, row, ...cells]) => [row, cells.map((cell) => inBytes(cell.trim()))]));
    const real = await Promise.all([tiny, BIN, gateway].map(sizes));
    const near = (row, i, bytes, tolerance) => {
        const cell = stated[Object.keys(stated).find((name) => name.startsWith(row))]?.[i];
        assert.ok(bytes === 0 ? cell === 0 : Math.abs(cell / bytes - 1) < tolerance, `${row}, column ${i + 1}: ${bytes} bytes, and not ${cell}`);
    };
    real.forEach(({ total, ...parts }, i) => {
        let rest = total;
        for (const [row, pattern] of Object.entries(ROWS)) {
            const bytes = Object.entries(parts).filter(([part]) => pattern.test(part)).reduce((sum, [, each]) => sum + each, 0);
            near(row, i, bytes, 0.1);
            rest -= bytes;
        }
        near('keys', i, rest, 0.1);
        near('**total**', i, total, 0.05);
    });
    const [, withMeter] = text.match(/with the meter, `tiny\.h` makes ([\d.]+) MB/i).map(Number);
    const { total } = await sizes(tinyMeter);
    assert.ok(Math.abs(total / 1e6 / withMeter - 1) < 0.05, `${total}, and not ${withMeter} MB`);
});

test('tiny serves eight viewers, and the page and a feeder beside them', async (t) => {
    const server = await serve(t, ['--source', 'none'], { bin: tiny });
    const viewers = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((n) => connect(server, `/ws/v${n}?batch=${n % 2}`)));
    assertRefused(await request(server, '/ws/ninth', { headers: { Connection: 'Upgrade', Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' } }), 503);
    for (let n = 0; n < 20; n++) {
        await ingest(server, ...Array.from({ length: 50 }, () => ({ tokens: 1, latency_ms: 1 })));
    }
    for (const viewer of viewers) {
        await viewer.next((event) => JSON.stringify(event).includes('"tokens_generated":1000,'), 'thousandth tick');
    }
    assert.equal((await viewers[0].command({ action: 'pause' })).event, 'ack');
    const page = await request(server, '/', { headers: { Cookie: 'x'.repeat(1500) } });
    assert.deepEqual([page.status, page.headers['content-type']], [200, 'text/html; charset=utf-8']);
    const { memory } = await status(server);
    assert.ok(memory.arena_high_water_bytes < memory.arena_bytes);
    viewers[7].send(' '.repeat(600));
    assert.equal((await viewers[7].closed).code, 1009);
});

test('tiny with the meter: eight viewers watch two requests at once, and no byte of a long body is lost', async (t) => {
    const bodies = [];
    const engine = http.createServer(async (req, res) => {
        const parts = [];
        for await (const part of req) parts.push(part);
        if (req.method === 'POST') bodies.push(Buffer.concat(parts).toString());
        const list = { object: 'list', data: [{ id: 'm', object: 'model' }] };
        const text = { object: 'text_completion', model: 'm', choices: [{ text: 'x' }], usage: { prompt_tokens: 3, completion_tokens: 7 } };
        res.setHeader('Content-Type', 'application/json').end(JSON.stringify(req.method === 'POST' ? text : list));
    }).listen(0, '127.0.0.1');
    await once(engine, 'listening');
    t.after(() => { engine.closeAllConnections(); engine.close(); });
    const server = await serve(t, ['--upstream', `http://127.0.0.1:${engine.address().port}`], { bin: tinyMeter });
    const viewers = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((n) => connect(server, `/ws/v${n}`)));
    const ask = (length) => {
        const body = JSON.stringify({ model: 'm', prompt: 'p'.repeat(length) });
        const head = `POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: ${'y'.repeat(1500)}\r\nContent-Length: ${body.length}\r\n\r\n`;
        return exchange(server, head + body).then((answer) => [answer.slice(0, 12), bodies.includes(body)]);
    };
    for (const length of [1, 400, 2048, 16_384, 30_000, 100_000]) {
        assert.deepEqual(await Promise.all([ask(length), ask(length + 1)]), [['HTTP/1.1 200', true], ['HTTP/1.1 200', true]], `${length} bytes`);
    }
    for (const viewer of viewers) {
        await viewer.next((event) => event.event === 'request' && event.status === 'finished' && event.completion_tokens === 7);
    }
    const { requests, clients } = await status(server);
    assert.deepEqual([requests.max_inflight, clients.websocket], [2, 8]);
});

test('tiny refuses what is longer than its limits', async (t) => {
    const server = await serve(t, [], { bin: tiny });
    assertRefused(await request(server, '/', { headers: { Cookie: 'x'.repeat(2048) } }), 431);
    const { errors } = (await ingest(server, { tokens: 1, x: 'y'.repeat(600) }, { tokens: 1 })).json;
    assert.deepEqual(errors.map(({ line }) => line), [1]);
});

test('without the page and the meter, the stream and commands stay', async (t) => {
    const server = await serve(t, [], { bin: bare });
    assertRefused(await request(server, '/'), 404);
    const viewer = await connect(server);
    await viewer.tick();
    assert.equal((await viewer.command({ action: 'switch_model', model: 'mistral' })).event, 'ack');
    await viewer.tick((tick) => tick.model === 'mistral');
    for (const [option, part] of [['--upstream', 'meter'], ['--peer', 'meter'], ['--forward', 'meter'], ['--otlp', 'meter'], ['--tls-cert', 'TLS']]) {
        const { code, stderr } = await run([option, 'http://127.0.0.1:9'], { bin: bare });
        assert.equal(code, 2);
        assert.match(stderr, new RegExp(`${option}: this aidash was built without (the )?${part} \\(AIDASH_`));
    }
});

const files = Number(execSync('ulimit -Hn').toString().replace('unlimited', 'Infinity'));
const needed = 10_300;

test('a gateway brings each tick to ten thousand viewers, and loses none', {
    skip: files < needed && `a process may open ${files} files at most (ulimit -Hn), and it needs ${needed}`,
}, async (t) => {
    const server = await serve(t, ['--source', 'none'], { bin: gateway });
    const viewers = promisify(execFile)(load,
        ['--port', server.port, '--clients', '10000', '--ticks', '10', '--seconds', '150', '--pid', server.pid].map(String));
    viewers.catch(() => {}); /* awaited below */
    t.after(() => viewers.child.kill());
    const all = async () => {
        await sleep(200);
        return (await status(server)).clients.websocket === 10_000;
    };
    await Promise.race([viewers, poll(all, 'ten thousand viewers', 150_000)]);
    for (let n = 0; n < 10; n++) {
        await ingest(server, { tokens: 1, latency_ms: 200 });
        await sleep(200);
    }
    const { stdout } = await viewers;
    const { least, most, losses_told, disordered, torn, closed, rss_kb } = JSON.parse(stdout);
    assert.deepEqual({ least, most, losses_told, disordered, torn, closed },
        { least: 10, most: 10, losses_told: 0, disordered: 0, torn: 0, closed: 0 });
    assert.equal((await status(server)).counters.dropped, 0);
    assert.ok(rss_kb < 16_000, `below 1 kB resident a viewer: ${stdout}`);
});

test('two gateways bring the events of fifty boards to their viewers, joined, in order, without a gap', async (t) => {
    const gateways = await Promise.all([1, 2].map(() => serve(t, ['--source', 'none'], { bin: gateway })));
    const watching = gateways.map(({ port, pid }) => promisify(execFile)(load,
        ['--port', port, '--clients', 40, '--batch', '--sample', 4, '--ticks', 1000, '--seconds', 100, '--pid', pid].map(String)));
    watching.forEach((each) => each.catch(() => {})); /* awaited below */
    t.after(() => watching.forEach(({ child }) => child.kill()));
    const feeding = execFile(boards, [...gateways.flatMap(({ port }) => ['--port', port]), '--boards', 50, '--rate', 10].map(String));
    t.after(() => feeding.kill());
    for (const [i, { stdout }] of (await Promise.all(watching)).entries()) {
        const { delivered, reads, losses_told, lost, gaps, disordered, torn, closed } = JSON.parse(stdout);
        assert.deepEqual({ losses_told, lost, gaps, disordered, torn, closed }, { losses_told: 0, lost: 0, gaps: 0, disordered: 0, torn: 0, closed: 0 });
        assert.ok(delivered >= 40 * 1000, `${delivered} events`);
        assert.ok(reads < delivered / 5, `${delivered} events in ${reads} reads`);
        assert.equal((await status(gateways[i])).nodes, 50);
    }
});
