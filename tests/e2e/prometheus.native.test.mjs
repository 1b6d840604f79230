/* A real Prometheus and its promtool, Debian's, with GET /metrics: its linter on pages of several states, its scrapes beside
 * GET /status, the rules and the dashboard in examples/. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT, ingest, poll, request, serve, status, statusWhen, within, connect, exchange } from './aidash.mjs';
import { DONE_EVENT, LAST_CHUNK, STREAM_HEAD, chatEvent, chunk, isRequest, metered, post, replay } from './engine.mjs';
import { freePort, debian } from '../programs.mjs';
import { families, read } from '../metrics.mjs';

const { file: prometheus, env, why } = debian('prometheus', 'bin');
const skip = why && `no Prometheus to read /metrics with: ${why}`;
const promtool = prometheus?.replace(/prometheus$/, 'promtool');
const EXAMPLES = path.join(ROOT, 'examples/prometheus');

let dir;
before(() => { dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-prometheus-')); });
after(() => rmSync(dir, { recursive: true, force: true }));

function tool(args, input) {
    const { status: code, stdout, stderr } = spawnSync(promtool, args, { cwd: EXAMPLES, env, input, encoding: 'utf8' });
    return { code, said: stdout + stderr };
}

/* The linter has nothing to say of this server's page. */
async function lint(server, what) {
    const { text } = await request(server, '/metrics');
    assert.deepEqual(tool(['check', 'metrics'], text), { code: 0, said: '' }, `${what}\n${text}`);
    return read(text);
}

/* A finished request of three tokens through the meter. */
async function ask(engine, server, viewer) {
    const answered = exchange(server, post('/v1/chat/completions', '{"model":"replayed"}'));
    const call = await engine.next();
    await call.write(STREAM_HEAD + ['a', 'b', 'c'].map((c) => chunk(chatEvent(c))).join('')
        + chunk(`data: ${JSON.stringify({ model: 'replayed', choices: [], usage: { prompt_tokens: 9, completion_tokens: 3,
            prompt_tokens_details: { cached_tokens: 4 } } })}\n\n` + DONE_EVENT) + LAST_CHUNK);
    call.socket.end();
    await answered;
    return viewer.next(isRequest);
}

test('promtool check metrics: idle, busy, a board, gauges of odd names', { skip }, async (t) => {
    await lint(await serve(t, ['--source', 'none']), 'idle');
    const boards = Promise.all(['jetson-orin-nano', 'raspberry-pi-4-hot', 'pc-nvidia', 'hostile'].map(async (name) => {
        const root = path.join(dir, name);
        execFileSync('sh', ['tests/boards/collect.sh', 'unpack', root], { cwd: ROOT, input: readFileSync(path.join(ROOT, `tests/boards/${name}/tree.txt`)) });
        const board = await serve(t, ['--source', 'none', '--sysroot', root], { env: { AIDASH_NO_BOARD: '' } });
        await statusWhen(board, (now) => now.board !== undefined);
        await lint(board, name);
    }));
    const busy = await serve(t, ['--rate', '100'], { env: { AIDASH_NO_BOARD: '' } });
    await statusWhen(busy, (now) => now.counters.ticks > 20 && now.board !== undefined);
    await lint(busy, 'busy');
    const odd = await serve(t, ['--source', 'none']);
    await ingest(odd, { gauge: 'a"b\\c', unit: '"', value: -1e99 }, { gauge: 'größe {x="1",}', unit: '°C', value: 1e-99 }, { tokens: 1, latency_ms: 5, model: 'm"{}\\' });
    await lint(odd, 'gauges');
    const engine = await replay(t);
    const server = await metered(t, engine);
    await ask(engine, server, await connect(server));
    const page = await lint(server, 'requests');
    assert.ok([...page.families.values()].filter(({ type }) => type === 'histogram').length >= 4);
    await boards;
    assert.notEqual(tool(['check', 'metrics'], 'aidash_x 1\n').code, 0, 'the linter finds what is wrong');
});

test('Prometheus scrapes both formats; a query gives the number that GET /status has', { skip }, async (t) => {
    const engine = await replay(t);
    const server = await metered(t, engine, ['--state-dir', dir]);
    const viewer = await connect(server);
    const record = await ask(engine, server, viewer);
    const port = await freePort();
    writeFileSync(path.join(dir, 'prometheus.yml'), readFileSync(path.join(EXAMPLES, 'prometheus.yml'), 'utf8')
        .replace('scrape_interval: 15s', 'scrape_interval: 1s').replace('evaluation_interval: 15s', 'evaluation_interval: 1s')
        .replace('- alerts.yml', `- ${path.join(EXAMPLES, 'alerts.yml')}`).replace('board.local:8080', `${server.host}:${server.port}`));
    const proc = spawn(prometheus, [`--config.file=${path.join(dir, 'prometheus.yml')}`, `--storage.tsdb.path=${path.join(dir, 'tsdb')}`,
        `--web.listen-address=127.0.0.1:${port}`, '--log.level=warn'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    proc.stderr.on('data', (text) => { log += text; });
    const ended = new Promise((done) => { proc.on('close', done); });
    t.after(async () => {
        proc.kill();
        await within(ended, 'the end of Prometheus');
    });
    const query = async (text) => {
        const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(text)}`).catch(() => null);
        return answer?.ok ? (await answer.json()).data.result : [];
    };
    const number = async (text) => Number((await query(text))[0]?.value[1] ?? NaN);
    await poll(async () => await number('up{job="aidash"}') === 1 && await number('aidash_ticks_total') > 0, `a scrape ${log}`);
    const { counters, started } = await status(server);
    await poll(async () => await number('aidash_ticks_total') === counters.ticks, 'the ticks of /status');
    assert.ok(counters.ticks >= 3);
    for (const [text, expected] of [
        ['aidash_commands_total', counters.commands], ['process_start_time_seconds', started], ['aidash_requests_running', 0],
        ['aidash_requests_total{outcome="finished",gen_ai_request_model="replayed",gen_ai_operation_name="chat"}', counters.requests],
        ['aidash_prompt_tokens_total', record.prompt_tokens], ['aidash_cached_tokens_total', record.cached_tokens],
        ['aidash_completion_tokens_total', record.completion_tokens], ['aidash_viewers{kind="websocket"}', 1], ['aidash_engine_up', 1],
        ['gen_ai_server_time_to_first_token_seconds_count', 1], ['histogram_quantile(1, gen_ai_client_token_usage_bucket{gen_ai_token_type="output"})', 4]]) {
        assert.equal(await number(text), expected, text);
    }
    /* Each line of the page became a sample: Prometheus threw none away. */
    const page = read((await request(server, '/metrics')).text);
    assert.equal(await number('scrape_samples_scraped'), page.samples.length);
    assert.equal(await number('scrape_samples_post_metric_relabeling'), page.samples.length);
    const meta = (await (await fetch(`http://127.0.0.1:${port}/api/v1/targets/metadata`)).json()).data;
    const told = new Map(meta.map((one) => [one.metric, one]));
    const table = families();
    for (const { name, prometheus: old, type, unit } of table.filter((family) => page.families.has(family.prometheus))) {
        const one = told.get(name) ?? told.get(old); // it speaks OpenMetrics
        assert.deepEqual([one.type, one.unit], [type, unit], name);
    }
    const rules = (await (await fetch(`http://127.0.0.1:${port}/api/v1/rules`)).json()).data.groups[0].rules;
    assert.deepEqual([...new Set(rules.map(({ health, lastError }) => `${health} ${lastError ?? ''}`))], ['ok '], JSON.stringify(rules));
    assert.deepEqual(rules.filter(({ state }) => state !== 'inactive').map(({ name }) => name), []);
    const asked = engine.asked.length;
    const before = await number('aidash_connections_total');
    await poll(async () => await number('aidash_connections_total') >= before + 2, 'two more scrapes');
    const discovery = engine.asked.slice(asked).filter((one) => !/^GET \/(v1\/models|api\/|props|slots|health)/.test(one));
    assert.deepEqual(discovery, [], 'a scrape asks the engine nothing');
    assert.equal(log, '', 'nor did it complain');
});

test('the rules and the configuration in examples/prometheus are right, and say what they should', { skip }, () => {
    for (const args of [['check', 'rules', 'alerts.yml'], ['check', 'config', 'prometheus.yml'], ['test', 'rules', 'alerts.test.yml']]) {
        const { code, said } = tool(args);
        assert.equal(code, 0, said);
        assert.match(said, /SUCCESS/);
    }
});
