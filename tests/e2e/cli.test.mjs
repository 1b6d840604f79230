/* The command line, the environment, the config file, and leaving. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { freePort } from '../programs.mjs';
import {
    BIN, OP, Raw, RawViewer, SLOW, connect, environment, ingest, isStatus, poll, post, request, run, serve, start, status, statusWhen, udpPort, within,
} from './aidash.mjs';

const OPTIONS = ['listen', 'source', 'stdin', 'rate', 'seed', 'models', 'title', 'udp', 'backlog', 'per-address',
    'allow-origin', 'allow-frame', 'allow-host', 'trust-proxy', 'view', 'control', 'ingest', 'infer', 'state-dir', 'upstream-ca', 'upstream-pin', 'quota', 'history-file', 'no-board', 'sysroot', 'price-kwh', 'tls-cert', 'tls-key', 'hsts', 'alert', 'alert-url', 'alert-format', 'alert-key-file', 'otlp', 'forward', 'as-node', 'forward-key-file', 'peer', 'peer-key-file', 'log-level', 'config', 'sizes', 'version', 'help'];

const file = (t, name, text) => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-'));
    t.after(() => rmSync(dir, { recursive: true }));
    writeFileSync(path.join(dir, name), text);
    return path.join(dir, name);
};

test('--help lists every option and leaves with 0', async () => {
    const { code, stdout } = await run(['--help']);
    assert.equal(code, 0);
    for (const option of OPTIONS) {
        assert.match(stdout, new RegExp(`--${option}\\b`));
    }
});

test('--help names the doctor and the benchmark', async () => {
    assert.match((await run(['--help'])).stdout, /^ +aidash doctor \[options\] /m);
    assert.match((await run(['--help'])).stdout, /^ +aidash top \[options\] \[HOST:PORT\]$/m);
    assert.match((await run(['--help'])).stdout, /^ +aidash alert test \[options\]$/m);
    assert.match((await run(['--help'])).stdout, /^ +aidash bench \[options\] \[HOST:PORT\]$/m);
    const { code, stderr } = await run(['doctr']);
    assert.equal(code, 2);
    assert.match(stderr, /doctr.*doctor/);
});

test('--version prints name and version', async () => {
    assert.deepEqual(await run(['--version']), { code: 0, stdout: 'aidash 0.1.0\n', stderr: '' });
});

test('--sizes prints parts that add up to the total', async () => {
    const { code, stdout } = await run(['--sizes']);
    assert.equal(code, 0);
    const numbers = (line) => line.replace(/(\d),(?=\d{3})/g, '$1').match(/\b\d+\b/g)?.map(Number);
    const lines = stdout.split('\n').map((line) => ({ name: line, bytes: numbers(line)?.at(-1) }))
        .filter(({ bytes }) => bytes !== undefined);
    const total = lines.filter(({ name }) => /total/i.test(name));
    assert.equal(total.length, 1, stdout);
    const parts = lines.filter((line) => line !== total[0]);
    assert.ok(parts.length >= 5, stdout);
    assert.equal(parts.reduce((sum, part) => sum + part.bytes, 0), total[0].bytes, stdout);
});

test('/status shows the memory map that --sizes prints', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    const { memory } = await status(server);
    assert.equal(memory.parts.reduce((sum, part) => sum + part.bytes, 0), memory.static_bytes);
    assert.ok(memory.arena_used_bytes <= memory.arena_high_water_bytes);
    assert.ok(memory.arena_high_water_bytes <= memory.arena_bytes);
    const { stdout } = await run(['--sizes']);
    for (const part of memory.parts) {
        assert.ok(stdout.includes(part.name), part.name);
        assert.match(stdout.replaceAll(',', ''), new RegExp(`\\b${part.bytes}\\b`));
    }
});

test('a wrong option names itself, the reason and the nearest valid one', async (t) => {
    /* arguments, then what the message must contain */
    const wrong = [
        [['--lisen', '8080'], '--lisen', '--listen'],
        [['--rat', '5'], '--rat', '--rate'],
        [['--back-log', '5'], '--back-log', '--backlog'],
        [['--verison'], '--verison', '--version'],
        [['--source', 'simm'], '--source', 'simm', 'sim'],
        [['--log-level', 'wran'], '--log-level', 'wran', 'warn'],
        [['--rate'], '--rate'],
        [['--rate', ''], '--rate'],
        [['--rate', '0'], '--rate', '10000'],
        [['--rate', '-1'], '--rate', '-1'],
        [['--rate', '10000.1'], '--rate', '10000'],
        [['--rate', 'fast'], '--rate', 'fast'],
        [['--rate', '5hz'], '--rate', '5hz'],
        [['--rate', 'nan'], '--rate', 'nan'],
        [['--rate', 'inf'], '--rate', 'inf'],
        [['--rate', '1e999'], '--rate', '1e999'],
        [['--seed', 'x'], '--seed', 'x'],
        [['--seed', '-1'], '--seed', '-1'],
        [['--seed', '18446744073709551616'], '--seed'],
        [['--backlog', '0'], '--backlog', '0'],
        [['--backlog', '99999999'], '--backlog', '99999999'],
        [['--backlog', '1.5'], '--backlog', '1.5'],
        [['--models', ''], '--models'],
        [['--models', 'a,,b'], '--models'],
        [['--models', 'm'.repeat(64)], '--models', '63'],
        [['--models', Array.from({ length: 257 }, (_, i) => `m${i}`).join()], '--models'],
        [['--per-address', '-1'], '--per-address', '-1'],
        [['--listen', '65536'], '--listen', '65536'],
        [['--listen', 'x:y:1'], '--listen', 'x:y:1'],
        [['--listen', '[::1:80'], '--listen', '[::1:80'],
        [['--listen', '127.0.0.1:'], '--listen', '127.0.0.1:'],
        [['--listen', '300.1.1.1:80'], '--listen', '300.1.1.1:80'],
        [['--listen', '127.0.0.1:0', '--udp', 'x'], '--udp', 'x'],
        [['--config'], '--config'],
        [['--config', '/nonexistent/aidash.conf'], '/nonexistent/aidash.conf'],
        [['stray'], 'stray'],
        [['-x'], '-x'],
    ];
    for (const [args, ...parts] of wrong) {
        await t.test(`aidash ${args.join(' ').slice(0, 40)}`, async () => {
            const { code, stdout, stderr } = await run(args);
            assert.equal(code, 2, stderr);
            assert.equal(stdout, '');
            for (const part of parts) {
                assert.ok(stderr.includes(part), `${part} not in: ${stderr}`);
            }
            assert.ok(stderr.split('\n').length <= 4, `not short: ${stderr}`);
        });
    }
});

test('what is written like nothing gets no hint', async () => {
    for (const [args, said] of [[['--source', 'foo'], '--source: \'foo\' must be sim, stdin or none'],
        [['--log-level', 'loud'], '--log-level: \'loud\' must be error, warn, info or debug'],
        [['--frobnicate'], 'unknown option --frobnicate (--help lists all)']]) {
        assert.equal((await run(args)).stderr, `aidash: ${said}\n`);
    }
    for (const [args, hint] of [[['--source', 'non'], 'none'], [['--log-level', 'wran'], 'warn'], [['--prot', '1'], '--port']]) {
        assert.match((await run(args)).stderr, new RegExp(`; the nearest is ${hint}\\b`));
    }
});

test('the rate may be as slow as 0.001 and as fast as 10,000', async (t) => {
    for (const rate of [0.001, 10000]) {
        const server = await serve(t, ['--rate', String(rate)]);
        assert.equal((await status(server)).rate_hz, rate);
    }
});

test('every option can come from the environment', async (t) => {
    const server = await serve(t, [], {
        listen: [],
        env: {
            AIDASH_LISTEN: '127.0.0.1:0', AIDASH_RATE: '50', AIDASH_MODELS: 'a,b',
            AIDASH_SOURCE: 'sim', AIDASH_SEED: '7', AIDASH_BACKLOG: '33',
            AIDASH_UDP: '127.0.0.1:0', AIDASH_ALLOW_ORIGIN: 'http://a.example',
            AIDASH_LOG_LEVEL: 'info',
        },
    });
    await udpPort(server);
    const { hello } = await connect(server, '/ws/env', { origin: 'http://a.example' });
    assert.deepEqual(hello.models, ['a', 'b']);
    assert.equal(hello.rate_hz, 50);
    assert.equal(hello.source, 'sim');
    assert.equal(hello.limits.backlog_events, 33);
});

test('a variable that only names a version starts the server', async (t) => {
    await serve(t, ['--source', 'none'], { env: { AIDASH_VERSION: '0.1.0', AIDASH_HELP: '1', AIDASH_SIZES: '1' } });
});

test('a misspelt variable is told as a misspelt option is', async () => {
    const { code, stderr } = await run([], { env: { AIDASH_LISEN: '8080' } });
    assert.equal(code, 2);
    assert.match(stderr, /AIDASH_LISEN\b.*AIDASH_LISTEN\b/);
});

test('-h, -v and --port are what they are elsewhere', async (t) => {
    assert.equal((await run(['-h'])).stdout, (await run(['--help'])).stdout);
    assert.equal((await run(['-v'])).stdout, 'aidash 0.1.0\n');
    await serve(t, ['--source', 'none'], { listen: ['--port', '0'] });
});

test('a wrong value in the environment names its variable', async () => {
    const { code, stderr } = await run([], { env: { AIDASH_RATE: 'fast' } });
    assert.equal(code, 2);
    assert.match(stderr, /AIDASH_RATE/);
    assert.match(stderr, /fast/);
});

test('the config file has comments, blank lines and any spacing', async (t) => {
    const config = file(t, 'aidash.conf', [
        '\ufeff# the whole line', '', '  listen = 127.0.0.1:0  ', 'rate=25 # 40 ms', '\tmodels\t=\t"a,b"\r',
        `# ${'x'.repeat(3000)}`, 'backlog = 44', 'allow-origin = http://a.example', 'seed = 7',
    ].join('\n'));
    const server = await serve(t, ['--config', config], { listen: [] });
    const { hello } = await connect(server, '/ws/c', { origin: 'http://a.example' });
    assert.deepEqual(hello.models, ['a', 'b']);
    assert.equal(hello.rate_hz, 25);
    assert.equal(hello.limits.backlog_events, 44);
});

test('the command line wins over the environment, and that over the file', async (t) => {
    const config = file(t, 'aidash.conf', 'rate = 10\nmodels = file\nbacklog = 11\n');
    const server = await serve(t, ['--rate', '30'],
        { env: { AIDASH_CONFIG: config, AIDASH_RATE: '20', AIDASH_MODELS: 'env' } });
    const { hello } = await connect(server);
    assert.equal(hello.rate_hz, 30);
    assert.deepEqual(hello.models, ['env']);
    assert.equal(hello.limits.backlog_events, 11);
});

test('a mistake in the config file is told with file and line number', async (t) => {
    const wrong = [
        ['rate = 5\n\n# fine\nrates = 5\n', 4, /rates.*rate\b/s],
        ['rate = fast\n', 1, /fast/],
        ['rate = 5\nlisten\n', 2, /key = value/],
        ['= 5\n', 1, /./],
        [`models = ${'m'.repeat(5000)}\n`, 1, /./],
    ];
    for (const [text, line, reason] of wrong) {
        const config = file(t, 'wrong.conf', text);
        const { code, stderr } = await run(['--config', config]);
        assert.equal(code, 2, stderr);
        assert.match(stderr, new RegExp(`wrong\\.conf(:| line )${line}\\b`));
        assert.match(stderr, reason);
    }
});

test('a port in use exits with 3 and names the program that has it', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    const { code, stderr } = await run(['--listen', `127.0.0.1:${server.port}`]);
    assert.equal(code, 3);
    assert.match(stderr, new RegExp(`127\\.0\\.0\\.1:${server.port}: .*in use by \\S+ \\(process ${server.pid}\\); `
        + 'try --listen 127\\.0\\.0\\.1:809\\d$', 'm'));
});

test('a UDP port in use exits with 3 and says which', async (t) => {
    const server = await serve(t, ['--source', 'none', '--udp', '127.0.0.1:0']);
    const port = await udpPort(server);
    const { code, stderr } = await run(['--listen', '127.0.0.1:0', '--udp', `127.0.0.1:${port}`]);
    assert.equal(code, 3);
    assert.match(stderr, new RegExp(`127\\.0\\.0\\.1:${port}\\b`));
    assert.match(stderr, /in use/);
});

test('an address of another machine exits with 3', async () => {
    const { code, stderr } = await run(['--listen', '192.0.2.1:8080']);
    assert.equal(code, 3);
    assert.match(stderr, /192\.0\.2\.1:8080/);
});

test('several listeners serve the same stream, IPv6 too', async (t) => {
    const server = await serve(t, ['--rate', '100'],
        { listen: ['--listen', '127.0.0.1:0', '--listen', '[::1]:0', '--listen', '127.0.0.1:0'] });
    const all = /(?:listening on http:\/\/\S+\n[^]*?){3}/;
    const ends = [...(await server.logged(all))[0].matchAll(/http:\/\/(\S+):(\d+)\n/g)]
        .map(([, host, port]) => ({ host, port: Number(port) }));
    assert.deepEqual(ends.map(({ host }) => host), ['127.0.0.1', '[::1]', '127.0.0.1']);
    const ticks = [];
    for (const end of ends) {
        const viewer = await connect(end);
        ticks.push((await viewer.tick()).timestamp);
        assert.equal((await request(end, '/healthz')).text.trim(), '{"status":"ok"}');
    }
    assert.ok(ticks[0] < ticks[1] && ticks[1] < ticks[2]);
});

test('the port alone listens on all interfaces', async (t) => {
    const server = await serve(t, ['--source', 'none'], { listen: ['--listen', '0'] });
    assert.equal((await request({ host: '127.0.0.1', port: server.port }, '/healthz')).status, 200);
    assert.equal((await request({ host: '127.0.0.2', port: server.port }, '/healthz')).status, 200);
});

test('the addresses to open on the LAN are told, for listeners on all interfaces', async (t) => {
    const all = Object.entries(os.networkInterfaces())
        .filter(([name]) => !/^(docker|br-|veth|virbr|cni|flannel|lxc)/.test(name)).flatMap(([, list]) => list)
        .filter(({ internal, address }) => !internal && !/^fe[89ab]/.test(address));
    const v4 = all.filter(({ family }) => family === 'IPv4').map(({ address }) => address);
    const v6 = all.filter(({ family }) => family === 'IPv6').map(({ address }) => `[${address}]`);
    const server = await serve(t, ['--source', 'none'], { listen: ['--listen', '0', '--listen', '127.0.0.1:0'] });
    await server.logged(/listening on http:\/\/127\.0\.0\.1:\d+\n/);
    const told = [...server.stderr().matchAll(/on the LAN: http:\/\/(\S+):(\d+) \((\S+)\)\n/g)].filter(([, , , by]) => by !== 'mDNS');
    assert.deepEqual(told.map(([, host]) => host), (v4.length > 0 ? v4 : v6).slice(0, 8));
    for (const [, host, port] of told) {
        assert.equal((await request({ host, port }, '/healthz')).status, 200);
    }
});

test('nothing below the log level is logged', async (t) => {
    const { port } = await serve(t, ['--source', 'none']);
    const { stderr } = await run(['--log-level', 'error', '--listen', `127.0.0.1:${port}`]);
    assert.match(stderr, /in use/);
    const bad = /stdin line 1\b.*\n/;
    const server = await serve(t, ['--stdin', '--log-level', 'warn'],
        { input: 'bad\n', ready: bad });
    assert.match(server.stderr(), new RegExp(`^[^\\n]*${bad.source}$`));
});

for (const signal of ['SIGTERM', 'SIGINT']) {
    test(`${signal} closes viewers with 1001 and leaves`, async () => {
        const server = await start(['--rate', '100']);
        const viewers = await Promise.all(['a', 'b', 'c?batch=1'].map((id) => connect(server, `/ws/${id}`)));
        const sse = await Raw.connect(server);
        sse.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
        await sse.until((bytes) => bytes.includes('event: inference_tick'));
        await server.stop(signal);
        for (const viewer of viewers) {
            assert.equal((await viewer.closed).code, 1001);
        }
        await within(sse.closed, 'end of the event stream');
    });
}

test('the log says who paused, resumed and switched', async (t) => {
    const server = await serve(t, ['--models', 'a,b']);
    const viewer = await connect(server, '/ws/kitchen');
    await viewer.command({ action: 'pause' });
    await server.logged(/^aidash: pause: asked for by kitchen from 127\.0\.0\.1$/m);
    await statusWhen(server, ({ paused, reason }) => paused && reason === 'paused from this machine');
    await viewer.command({ action: 'switch_model', model: 'b' });
    await server.logged(/^aidash: switch_model b: asked for by kitchen from 127\.0\.0\.1$/m);
    await post(server, '/command', '{"action":"resume"}');
    await server.logged(/^aidash: resume: asked for by POST \/command from 127\.0\.0\.1$/m);
    await statusWhen(server, ({ paused, reason }) => !paused && reason === undefined);
    await viewer.command({ action: 'switch_model', model: 'c' });
    await viewer.command({ action: 'pause' });
    assert.doesNotMatch(server.stderr(), /switch_model c/, 'what had no effect');
});

test('the first tick from outside ends the simulated engine', async (t) => {
    const server = await serve(t, ['--rate', '50', '--udp', '127.0.0.1:0']);
    const viewer = await connect(server);
    await viewer.tick();
    await ingest(server, { model: 'real', tokens: 7 });
    await server.logged(/the simulated engine ends/);
    const ended = await viewer.next((e) => isStatus(e));
    assert.deepEqual([ended.source, ended.source_state, ended.rate_hz, ended.models], ['none', 'none', 0, []]);
    assert.deepEqual((await viewer.next((e) => isStatus(e))).models, ['real']);
    assert.equal((await viewer.tick()).tokens_generated, 7);
    await ingest(server, { tokens: 1 });
    assert.equal((await viewer.tick()).model, 'real', 'no simulated tick is in between');
    assert.equal((await status(server)).source, 'none');
});

test('the configured models stay when the simulated engine ends', async (t) => {
    const server = await serve(t, ['--models', 'a,b']);
    await ingest(server, { model: 'c', tokens: 7 });
    const now = await status(server);
    assert.deepEqual([now.source, now.models], ['none', ['a', 'b']]);
});

test('an upstream may be written with the /v1 that clients need', async (t) => {
    const paths = [];
    const engine = http.createServer((req, res) => {
        paths.push(req.url);
        res.end('{"object":"list","data":[]}');
    }).listen(0, '127.0.0.1');
    await once(engine, 'listening');
    t.after(() => { engine.closeAllConnections(); engine.close(); });
    const server = await serve(t, ['--upstream', `http://127.0.0.1:${engine.address().port}/v1/`]);
    assert.equal((await request(server, '/v1/embeddings')).status, 200);
    assert.ok(paths.includes('/v1/embeddings'), paths.join());
    assert.ok(!paths.some((each) => each.startsWith('/v1/v1')), paths.join());
});

test('a standard error that nobody reads stops nothing', async (t) => {
    /* A pipe that is its own reader, and full. */
    const script = 'mkfifo "$1/log" && exec 3<>"$1/log" && '
        + '{ ! dd if=/dev/zero of="$1/log" oflag=nonblock bs=4096 2>/dev/null; } && shift && exec "$@" 2>&3';
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-'));
    const port = await freePort();
    const proc = spawn('sh', ['-c', script, 'sh', dir, BIN, '--listen', `127.0.0.1:${port}`, '--rate', '100'],
        { env: environment(), stdio: 'ignore' });
    const exit = new Promise((done) => { proc.on('close', done); });
    t.after(() => { proc.kill('SIGKILL'); rmSync(dir, { recursive: true }); });
    const server = { host: '127.0.0.1', port };
    await poll(() => request(server, '/healthz').catch(() => null), 'answer of /healthz');
    const viewer = await connect(server);
    for (let i = 0; i < 100; i++) {
        await viewer.command({ action: i % 2 ? 'resume' : 'pause' });
    }
    await viewer.tick();
    proc.kill('SIGTERM');
    assert.equal(await within(exit, 'exit'), 0);
    assert.equal((await viewer.closed).code, 1001);
});

test('SIGHUP without a config file closes viewers with 1001, too', async () => {
    const server = await start(['--source', 'none']);
    const viewer = await connect(server);
    await server.stop('SIGHUP');
    assert.equal((await viewer.closed).code, 1001);
});

test('SIGHUP reads the config again, and what is wrong in it changes nothing', async (t) => {
    const config = file(t, 'aidash.conf', 'listen = 127.0.0.1:0\nsource = none\nallow-origin = http://a.example\n');
    const server = await serve(t, ['--config', config], { listen: [] });
    const viewer = await connect(server);
    const asked = (origin) => request(server, '/status', { headers: { Origin: origin } });
    const reread = async (text, said) => {
        writeFileSync(config, text);
        const before = server.stderr().length;
        server.proc.kill('SIGHUP');
        await poll(() => server.stderr().slice(before).match(said), `${said}`);
    };
    assert.equal((await asked('http://a.example')).status, 200);
    assert.equal((await asked('http://b.example')).status, 403);
    await reread('listen = 127.0.0.1:0\nsource = none\nallow-origin = http://b.example\n', /options read again/);
    assert.equal((await asked('http://a.example')).status, 403);
    assert.equal((await asked('http://b.example')).status, 200);
    await reread('source = none\nallow-origin = b\n', /aidash\.conf line 2: allow-origin: 'b'.*\n.*stay as they were/);
    await reread('sauce = none\n', /sauce.*\n.*stay as they were/);
    assert.equal((await asked('http://b.example')).status, 200);
    await reread('source = none\nlog-level = debug\n', /options read again/);
    assert.equal((await asked('http://b.example')).status, 403);
    const closed = await Promise.race([viewer.closed, null]);
    assert.equal(closed, null, 'the viewer stays');
});

test('a name that can not be resolved yet does not keep aidash from starting', async (t) => {
    const server = await serve(t, ['--upstream', 'http://engine.invalid:1']);
    await server.logged(/warn: engine engine\.invalid:1 is down: its name can't be resolved \(.+\)\n/);
    assert.equal((await status(server)).engine, 'down');
});

test('neither blocked viewers nor half requests nor open uploads delay the exit', async () => {
    const server = await start(['--rate', '5000', '--udp', '127.0.0.1:0']);
    const deaf = await RawViewer.open(server, { reading: false });
    const torn = await RawViewer.open(server);
    torn.write(Buffer.of(0x81, 0xff, 0));
    const head = await Raw.connect(server);
    head.write('GET / HTTP/1.1\r\nHos');
    const silent = await Raw.connect(server);
    const uploads = [];
    for (let i = 0; i < 6; i++) {
        const upload = await Raw.connect(server);
        upload.write('POST /ingest HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n'
            + '10\r\n{"latency_ms":1}\r\n');
        uploads.push(upload);
    }
    const body = await Raw.connect(server);
    body.write('POST /command HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n\r\n{');
    await torn.nextFrame(OP.TEXT);
    await server.stop();
    for (const raw of [torn, head, silent, body, ...uploads]) {
        await within(raw.closed, 'end of connection');
    }
    deaf.socket.destroy();
});

test('a thousand viewers are all told 1001', { timeout: 60_000 * SLOW }, async () => {
    const server = await start(['--source', 'none']);
    const viewers = [];
    while (viewers.length < 1000) {
        viewers.push(...await Promise.all(Array.from({ length: 50 }, async () => {
            const viewer = await RawViewer.open(server);
            await viewer.nextEvent((e) => e.event === 'hello');
            return viewer;
        })));
    }
    await server.stop();
    for (const viewer of viewers) {
        assert.equal(await viewer.closeCode(), 1001);
    }
});
