/* What README.md, docs and examples/pipeline print is true: each command in them runs here, or is named below with the reason why it can't and
 * the test that covers it; each program compiles; links lead somewhere; tables of options, limits and fields are those of the
 * program. A command that this file doesn't know is a failure.
 *
 * Commands are the lines of ```sh blocks (a comment begins with two spaces and #) and the code in a text that begins with a
 * program's name. Ports and hosts are replaced by free ones of this machine; nothing else is. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BIN, ROOT, SLOW, connect, ingest, poll, request, run, serve, status, statusWhen, validate, within } from './e2e/aidash.mjs';
import { answer, missing, replay } from './e2e/engine.mjs';
import { authority } from './e2e/tls.mjs';
import { assertDocumented, families } from './metrics.mjs';

const read = (file) => readFileSync(path.join(ROOT, file), 'utf8');
const pages = ['README.md', ...readdirSync(path.join(ROOT, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];
const VERSION = read('aidash.h').match(/#define AIDASH_VERSION "(.*)"/)[1];

/* ---- what the pages print -------------------------------------------------------- */

const PROGRAMS = /^make$|^(\S+=\S+ )*(aidash|make|curl|cc|cmake|node|npm|sh|echo|sudo|ssh|scp|tar|cd|man|dpkg|apt-get|git|journalctl|systemctl|systemd-analyze|llama-server|ollama|your-engine|\.\/\S+) /;
const blocks = []; // { page, at, language, text }
const commands = new Map(); // command -> the first place that prints it
const prose = []; // { page, at, line }

for (const page of [...pages, 'examples/pipeline/README.md']) {
  let block = null;
  read(page).split('\n').forEach((line, i) => {
    const at = `${page}:${i + 1}`;
    const fence = line.match(/^( *)```(\w*)$/);
    if (block && fence) {
      blocks.push(block);
      block = null;
    } else if (block) {
      block.text += `${line.slice(block.indent)}\n`;
    } else if (fence) {
      block = { page, at, indent: fence[1].length, language: fence[2], text: '' };
    } else {
      prose.push({ page, at, line });
    }
  });
  assert.equal(block, null, `${page}: a block that does not end`);
}
for (const { at, language, text } of blocks) {
  if (language !== 'sh') continue;
  for (const line of text.trimEnd().split('\n')) {
    const command = line.replace(/\s{2,}#.*$/, '');
    if (!commands.has(command)) commands.set(command, at);
  }
}
for (const { at, line } of prose) {
  for (const [, code] of line.matchAll(/`([^`]+)`/g)) {
    if (PROGRAMS.test(code) && !commands.has(code)) commands.set(code, at);
  }
}

/* ---- running a command ----------------------------------------------------------- */

let dir; // of each command, unless it is make's; `bin` in it is at the head of PATH
before(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-docs-'));
  mkdirSync(path.join(dir, 'bin'));
  symlinkSync(BIN, path.join(dir, 'bin/aidash'));
  for (const [name, line] of [['bin/your-engine', '{"model":"yours","tokens":7,"latency_ms":5}'], ['my-engine', 'word']]) {
    writeFileSync(path.join(dir, name), `#!/bin/sh\necho '${line}'\n`);
    chmodSync(path.join(dir, name), 0o755);
  }
  writeFileSync(path.join(dir, 'aidash.conf'), 'rate = 11\n');
  writeFileSync(path.join(dir, 'jwt.secret'), `${'s'.repeat(64)}\n`, { mode: 0o600 });
  writeFileSync(path.join(dir, 'jwks.json'),
    JSON.stringify({ keys: [generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })] }));
});
after(() => rmSync(dir, { recursive: true, force: true }));

const environment = (env) => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AIDASH_'))),
  HOME: dir, XDG_STATE_HOME: '', STATE_DIRECTORY: '', PATH: `${dir}/bin:${process.env.PATH}`, AIDASH_LISTEN: '127.0.0.1:0', ...env,
});

/* The command with this machine's ports. */
const local = (command, { port, engine }) => command
  .replace(/--listen 127\.0\.0\.1:808\d\b/, '--listen 127.0.0.1:0')
  .replace(/\b(localhost|BOARD):8080\b/g, `127.0.0.1:${port}`)
  .replace(/127\.0\.0\.1:(11434|8081|8000)\b/g, `127.0.0.1:${engine}`)
  .replace('--udp 9000', '--udp 127.0.0.1:0')
  .replace('/etc/aidash.conf', path.join(dir, 'aidash.conf'));

/* Runs it in a shell until it ends, or has printed `enough`. */
async function finish(command, { cwd = dir, env = {}, seconds = 60, enough } = {}) {
  const shell = spawn('sh', ['-c', command], { cwd, env: environment(env), detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  shell.stdout.on('data', (text) => { output += text; });
  shell.stderr.on('data', (text) => { output += text; });
  try {
    const code = await within(new Promise((done) => {
      shell.on('close', done);
      shell.stdout.on('data', () => enough?.test(output) && done(0));
    }), `end of ${command}`, seconds * 1000 * SLOW);
    return { code, output };
  } finally {
    try { process.kill(-shell.pid, 'SIGKILL'); } catch { /* it has ended */ }
  }
}

/* Runs it in a shell as a server, which ends with the test; returns where it listens. */
async function background(t, command, { cwd = dir, env = {}, seconds = 60 } = {}) {
  const shell = spawn('sh', ['-c', command], { cwd, env: environment(env), detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  const ended = new Promise((done) => { shell.on('close', done); });
  t.after(async () => {
    try { process.kill(-shell.pid, 'SIGTERM'); } catch { /* it has ended */ }
    await within(ended, `end of ${command}`);
  });
  const listens = new Promise((done, fail) => {
    shell.stderr.on('data', (text) => {
      log += text;
      const found = log.match(/listening on https?:\/\/127\.0\.0\.1:(\d+).*\n/);
      if (found) done(Number(found[1]));
    });
    ended.then(() => fail(new Error(`it ended: ${log}`)));
  });
  const port = await within(listens, `server of ${command}`, seconds * 1000 * SLOW);
  return { host: '127.0.0.1', port, url: `http://127.0.0.1:${port}`, log: () => log };
}

/* ---- ways to show that a command is right ------------------------------------------ */

/* It ends with 0 and prints what matches. */
const ends = (pattern, options) => async (t, command) => {
  const { code, output } = await finish(local(command, {}), options);
  assert.equal(code, 0, output);
  assert.match(output, pattern);
};

/* make, in the project's directory. */
const makes = (pattern, { as, ...options } = {}) => (t, command) =>
  ends(pattern, { cwd: ROOT, seconds: 300, ...options })(t, (as ?? command).replace(/^make\b/, process.env.MAKE || 'make'));

/* It starts aidash, for which check(server, engine) holds. In front of what it names as an engine is one that answers. */
const starts = (check, options) => async (t, command) => {
  const engine = await replay(t, { models: ['m'], lists: { '/metrics': 'llamacpp:tokens_predicted_total 5\n' } });
  engine.answerAll((call) => call.socket.end(answer(JSON.stringify({ path: call.request.target, was: call.request.body.toString() }))));
  const server = await background(t, local(command, { engine: engine.port }), options);
  await check(server, engine);
};

const needsKey = async (server) => assert.equal((await request(server, '/status')).status, 401);

/* A request with this Host and these fields gets in; one with another Host, or of another origin, does not. */
const answersTo = (Host, fields = {}) => async (server) => {
  const ask = async (headers) => (await request(server, '/status', { headers: { Host, ...fields, ...headers } })).status;
  assert.equal(await ask({}), 200);
  assert.equal(await ask({ Origin: 'https://other.example' }), 403);
  assert.equal(await ask({ [fields['X-Forwarded-Host'] ? 'X-Forwarded-Host' : 'Host']: 'other.example' }), 421);
};

/* A client's paths reach the engine, and its answer comes back. */
const proxies = async (server) => {
  for (const where of ['/api/chat', '/v1/chat/completions']) {
    const body = '{"model":"m","messages":[]}';
    const { status: code, text } = await request(server, where, { method: 'POST', body, headers: { 'Content-Length': body.length } });
    assert.deepEqual([code, JSON.parse(text)], [200, { path: where, was: body }]);
  }
};
const isSource = (source) => async (server) => assert.equal((await status(server)).source, source);
const hasTick = (match) => async (server) => {
  await poll(async () => (await request(server, '/ticks?last=10')).json.ticks.some(match), `tick ${match}`);
};

/* It asks a running aidash, that has ticks and a meter, and prints what matches. */
const asks = (pattern, { endless = false } = {}) => async (t, command) => {
  const server = await serve(t, ['--source', 'none', '--models', 'a,b']);
  await ingest(server, ...Array.from({ length: 150 }, () => ({ tokens: 1, latency_ms: 2 })));
  await statusWhen(server, (now) => now.counters.ticks === 150);
  const line = local(command, { port: server.port });
  if (endless) {
    assert.match((await finish(line, { enough: pattern })).output, pattern);
  } else {
    await ends(pattern)(t, line);
  }
};

/* It can't run here. `mark` is what runs it, in `file`. */
const covered = (file, mark, why) => async (t, command) => {
  assert.ok(read(file).includes(mark), `${file} has no ${mark} any more, which ran ${command}`);
  const target = command.match(/^make (?:-\S+ )*([a-z]\w*)( |$)/)?.[1];
  if (target) {
    const known = [...read('Makefile').matchAll(/^([a-z]+):/gm)].map((m) => m[1])
      .concat(readdirSync(path.join(ROOT, 'toolchains')).map((name) => path.basename(name, '.mk')), 'pi5');
    assert.ok(known.includes(target), `the Makefile has no ${target}`);
  }
  t.diagnostic(`${why}; run by ${file}`);
};
const onBoard = (mark, why = 'it changes the machine that it runs on') => covered('tests/package.test.sh', mark, why);

/* A copy of what make needs to clean. */
const cleans = (left) => async (t, command) => {
  const project = path.join(dir, 'project');
  for (const part of ['Makefile', 'toolchains', 'www', 'aidash.c', 'aidash.h']) {
    cpSync(path.join(ROOT, part), path.join(project, part), { recursive: true });
  }
  for (const name of ['build/deps/x', 'build/aidash', 'tests/node_modules/x']) {
    mkdirSync(path.join(project, path.dirname(name)), { recursive: true });
    writeFileSync(path.join(project, name), '');
  }
  await makes(/^/, { cwd: project })(t, command);
  assert.deepEqual(['build/deps', 'build/aidash', 'tests/node_modules'].filter((name) => existsSync(path.join(project, name))), left);
  rmSync(project, { recursive: true });
};

/* A page's program as app.c, beside the two files and tiny.h: compiled as printed, and run. */
const builds = async (t, command, page) => {
  const app = mkdtempSync(path.join(dir, 'app-'));
  const [program] = blocks.filter((block) => block.page === page && block.language === 'c');
  writeFileSync(path.join(app, 'app.c'), program.text.replace('"8080"', '"127.0.0.1:0"'));
  for (const file of ['build/dist/aidash.c', 'build/dist/aidash.h', 'examples/sizes/tiny.h']) {
    symlinkSync(path.join(ROOT, file), path.join(app, path.basename(file)));
  }
  const built = await finish(`${command.replace(/^cc /, `${process.env.CC || 'cc'} -Wall -Wextra -Werror `)}`, { cwd: app, seconds: 120 });
  assert.deepEqual(built, { code: 0, output: '' });
  const server = await background(t, './a.out', { cwd: app });
  const viewer = await connect(server);
  await viewer.tick((tick) => tick.model === 'yolov8n' && tick.latency_ms === 20);
};
const compiles = (t, command) => builds(t, command, 'README.md');
const compilesBoth = async (t, command) => {
  for (const page of ['README.md', 'docs/embed.md']) await builds(t, command, page);
};

const needs = (program, then) => async (t, command) => {
  const got = spawnSync('sh', ['toolchains/fetch.sh', 'need', program], { cwd: ROOT, encoding: 'utf8' });
  if (got.status === 0) await then(t, command);
  else t.skip(`${program} can't be had: ${got.stderr.trim().split('\n').at(-1)}`);
};
const curl = (pattern, options) => needs('curl', asks(pattern, options));

/* ---- the commands ---------------------------------------------------------------- */

const cases = {
  // aidash
  'aidash --upstream http://127.0.0.1:11434': starts(proxies),
  'aidash --upstream http://127.0.0.1:8081': starts(proxies),
  'aidash --upstream http://127.0.0.1:11434 --quota "*=200000" --quota 192.168.1.7=1000000': starts(proxies),
  'aidash --upstream http://127.0.0.1:8000': starts(proxies),
  'aidash --upstream ollama=http://127.0.0.1:11434 --upstream llama=http://127.0.0.1:8081': starts(proxies),
  'aidash --upstream https://engine.example:8443 --upstream-key-file /etc/aidash/key':
    covered('tests/e2e/meter-tls.test.mjs', "'--upstream-ca', ca.file, '--upstream-key-file', keyFile", 'it needs an engine of that name'),
  'aidash --upstream https://engine.lan:8443 --upstream-ca /etc/aidash/ca.pem':
    covered('tests/e2e/meter-tls.test.mjs', "args = ['--upstream-ca', ca.file]", 'it needs an engine of that name'),
  'aidash --upstream https://10.0.0.7:8443 --upstream-pin sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=':
    covered('tests/e2e/meter-tls.test.mjs', "'--upstream-pin', leaf.pin", 'it needs an engine there'),
  'openssl x509 -in cert.pem -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64': async (t, command) => {
    const ca = authority();
    t.after(ca.remove);
    const leaf = ca.issue();
    writeFileSync(path.join(ca.dir, 'cert.pem'), leaf.cert);
    assert.equal(`sha256/${(await finish(command, { cwd: ca.dir })).output.trim()}`, leaf.pin);
  },
  'aidash --scrape http://127.0.0.1:8000/metrics': starts((server, engine) => poll(() => engine.asked.includes('GET /metrics'), 'scrape')),
  "aidash --alert 'latency_p95_ms > 200 for 30s' --alert 'hot: temperature > 80 for 60s clear 70' --alert 'engine_down for 10s'":
    starts(async (server) => assert.equal((await status(server)).alerts.rules, 3)),
  "aidash --alert 'temperature > 80 for 60s' --alert-url https://ntfy.sh/my-board --alert-format ntfy":
    covered('tests/e2e/alerts.test.mjs', "'--alert-format', format", 'it would send to a server elsewhere'),
  'aidash alert test --alert-url https://ntfy.sh/my-board --alert-format ntfy':
    covered('tests/e2e/alerts.test.mjs', "run(['alert', 'test', '--alert-url', `${hook.url}/x`", 'it would send to a server elsewhere'),
  'aidash --upstream http://127.0.0.1:11434 --otlp http://127.0.0.1:4318': starts(proxies),
  'aidash --source none': starts(isSource('none')),
  'aidash keys add boards --rights ingest': ends(/^aidash_[\w-]{43}$/m),
  'aidash --upstream http://127.0.0.1:11434 --forward http://gateway.local:8080 --as-node jetson --forward-key-file gateway.key':
    covered('tests/e2e/fleet-links.test.mjs', "'--forward', url(gateway), '--as-node', 'jetson'", 'it would connect to another machine'),
  'aidash --source none --peer mdns': covered('tests/e2e/mdns.native.test.mjs', "'--peer', 'mdns'", 'it would look for other machines'),
  'aidash --source none --peer jetson=http://jetson.local:8080 --peer pi=http://pi.local:8080':
    covered('tests/e2e/fleet-links.test.mjs', "'--peer', `pi=${url(board)}`", 'it would connect to other machines'),
  'aidash --source none --udp 9000': starts((server) => poll(() => /UDP ingest on/.test(server.log()), 'UDP')),
  'aidash --rate 20': starts(async (server) => assert.equal((await status(server)).rate_hz, 20)),
  'AIDASH_RATE=20 aidash': starts(async (server) => assert.equal((await status(server)).rate_hz, 20)),
  'aidash --config /etc/aidash.conf': starts(async (server) => assert.equal((await status(server)).rate_hz, 11)),
  'aidash --listen 127.0.0.1:8080 --allow-host board.example': starts(answersTo('board.example')),
  'aidash --listen 127.0.0.1:8080 --allow-host board.example --trust-proxy 127.0.0.1':
    starts(answersTo('127.0.0.1', { 'X-Forwarded-Host': 'board.example', 'X-Forwarded-Proto': 'https', Origin: 'https://board.example' })),
  ...Object.fromEntries([8081, 8082].map((port) => [`aidash --source none --listen 127.0.0.1:${port} --allow-host boards.example --trust-proxy 127.0.0.1`,
    starts(answersTo('127.0.0.1', { 'X-Forwarded-Host': 'boards.example', 'X-Forwarded-Proto': 'https', Origin: 'https://boards.example' }))])),
  'aidash --allow-host board.example.com --allow-origin https://tools.example.com':
    starts(answersTo('board.example.com', { Origin: 'https://tools.example.com' })),
  'aidash --allow-frame http://homeassistant.local:8123': starts(async (server) => {
    assert.match((await request(server, '/')).headers['content-security-policy'], /frame-ancestors http:\/\/homeassistant\.local:8123$/);
  }),
  'aidash --allow-origin http://your-page': starts(async (server) => {
    for (const [Origin, code] of [['http://your-page', 200], ['http://other-page', 403]]) {
      assert.equal((await request(server, '/status', { headers: { Origin } })).status, code);
    }
  }),
  'aidash pair': covered('tests/e2e/keys.test.mjs', 'await pair(dir)', 'it needs a server with a state directory of its own'),
  'sudo aidash pair': covered('tests/e2e/keys.test.mjs', 'await pair(dir)', 'it needs the service'),
  'aidash keys': ends(/^there are no keys in .*\/\.local\/state\/aidash$/m),
  'aidash keys rename 1 "Anna\'s phone"': covered('tests/e2e/keys.test.mjs', "'rename', '2', 'zwei'", 'it needs a key'),
  'aidash keys revoke 1': covered('tests/e2e/keys.test.mjs', "'revoke', '1'", 'it needs a key'),
  'aidash keys add camera --rights ingest': ends(/^aidash_[\w-]{43}$/m),
  'aidash keys add prometheus --rights view': ends(/^aidash_[\w-]{43}$/m),
  'aidash keys add laptop --rights infer --ttl 30d': ends(/^aidash_[\w-]{43}$/m),
  'aidash token --scope view --ttl 1h': ends(/^aidash_[\w-]{43}$/m),
  'aidash token': covered('tests/e2e/keys.test.mjs', "'token', '--scope'", 'it is the name of a command'),
  'aidash --tls-cert board.crt --tls-key board.key': async (t, command) => {
    for (const one of [...commands.keys()].filter((text) => text.startsWith('openssl req'))) await ends(/^/)(t, one);
    await starts(async (server) => {
      const { code, output } = await finish(`curl -sS --cacert ca.crt --resolve board.local:${server.port}:127.0.0.1 https://board.local:${server.port}/healthz`);
      assert.equal(code, 0, output);
      assert.match(output, /"ok"/);
    })(t, command);
  },
  ...Object.fromEntries([...commands.keys()].filter((text) => /^(openssl req|curl --cacert ca\.crt) /.test(text))
    .map((text) => [text, covered('tests/docs.test.mjs', "startsWith('openssl req')", 'it is a part of the test of --tls-cert')])),
  'aidash --listen 127.0.0.1:8080': starts(isSource('sim')),
  '(umask 077; head -c 48 /dev/urandom | base64 > jwt.secret)': async (t, command) => {
    const cwd = mkdtempSync(path.join(dir, 'secret-'));
    assert.deepEqual(await finish(command, { cwd }), { code: 0, output: '' });
    assert.match(readFileSync(path.join(cwd, 'jwt.secret'), 'utf8'), /^[\w+/]{64}\n$/);
  },
  'aidash --jwt-secret-file jwt.secret --view key': starts(needsKey),
  'aidash --jwt-key-file jwks.json --jwt-issuer https://id.example --jwt-audience aidash --view key': starts(needsKey),
  'aidash token --scope view --ttl 1h --jwt-secret-file jwt.secret': ends(/^[\w-]+\.[\w-]+\.[\w-]{43}\n$/),
  'your-engine | aidash --stdin': starts(hasTick((tick) => tick.model === 'yours' && tick.tokens_generated === 7)),
  'echo \'{"tokens":3,"latency_ms":41.5,"model":"yolo"}\' | aidash --stdin':
    starts(hasTick((tick) => tick.model === 'yolo' && tick.tokens_generated === 3 && tick.latency_ms === 41.5)),
  './my-engine | while read -r word; do echo \'{"model":"my-engine","tokens":1}\'; done | aidash --stdin':
    starts(hasTick((tick) => tick.model === 'my-engine' && tick.tokens_generated === 1)),
  'aidash --sizes': ends(/^total +\d+$/m),
  'aidash --version': ends(new RegExp(`^aidash ${VERSION.replaceAll('.', '\\.')}\n$`)),
  'aidash --help': ends(/--upstream/),
  'aidash doctor': async (t) => {
    const { code, output } = await finish('aidash doctor');
    assert.ok(code === 0 || code === 1, output); // an engine may run here
    assert.match(output, /^engines\n[^]*^ports\n[^]*^addresses\n[^]*^next\n/m);
  },
  'aidash top': covered('tests/e2e/top.test.mjs', 'on a terminal: names of wide characters', 'it needs a terminal'),
  'aidash top [HOST:PORT]': covered('tests/e2e/top.test.mjs', 'on a terminal: names of wide characters', 'it needs a terminal'),
  'aidash top --once': covered('tests/e2e/top.test.mjs', "await top(['--once', place(server)])", 'it needs a server'),
  'aidash top --json https://board.local:8080 --ca ca.pem': covered('tests/e2e/top.test.mjs', "'--ca', ca.file", 'it needs a server'),
  'aidash bench': covered('tests/e2e/bench.test.mjs', 'aidash bench prints a table', 'it needs an engine'),
  'aidash bench [HOST:PORT]': covered('tests/e2e/bench.test.mjs', 'aidash bench prints a table', 'it needs an engine'),
  'aidash bench --model llama3 --streams 1,2,4 --prompt 1024 --tokens 256 127.0.0.1:8080':
    covered('tests/e2e/bench.test.mjs', "'--streams', '1,2', '--tokens=20', '--model', 'beta', place", 'it needs an engine'),

  // its clients
  'curl -d \'{"action":"pause"}\' http://localhost:8080/command': curl(/"event":"ack","action":"pause"/),
  'curl -H "Authorization: Bearer $KEY" -d \'{"action":"pause"}\' http://BOARD:8080/command':
    covered('tests/e2e/rights.test.mjs', '-H "Authorization: Bearer $KEY" http://192.0.2.7:8080/command', 'it needs a key'),
  'curl -d \'{"action":"resume"}\' http://localhost:8080/command': curl(/"event":"ack","action":"resume"/),
  'curl -d \'{"gauge":"temperature","unit":"C","value":61.5}\' http://localhost:8080/ingest': curl(/"accepted":1/),
  'curl -d \'{"watts":123.4}\' http://localhost:8080/ingest': curl(/"accepted":1/),
  'curl -d \'{"tokens":3,"latency_ms":41.5}\' http://localhost:8080/ingest': curl(/"accepted":1/),
  'curl -s http://localhost:8080/metrics': curl(/^# TYPE aidash_ticks_total counter\naidash_ticks_total \d+$/m),
  'curl -s -H \'Accept: application/openmetrics-text\' http://localhost:8080/metrics': curl(/^# TYPE aidash_ticks counter$[^]*\n# EOF\n$/m),
  'your-engine | curl -sN -T - http://BOARD:8080/ingest': curl(/"accepted":1/),
  'curl -T - http://BOARD:8080/ingest': curl(/"accepted":0/), // of nothing
  'curl -sN http://localhost:8080/events': curl(/^event: hello$/m, { endless: true }),
  'curl -s \'http://localhost:8080/ticks?last=10\'': curl(/"tokens_generated":150,/),
  'curl -s \'http://localhost:8080/ticks?since=100&limit=50\'': curl(/"tokens_generated":101,/),
  'curl -s \'http://localhost:8080/requests?last=10\'': curl(/^\{"running":\[\],"requests":\[\]\}$/),
  'curl -s \'http://localhost:8080/usage?by=client&span=today\'': curl(/^\{"by":"client","span":"today",.*"rows":\[\],/),
  'curl -s \'http://localhost:8080/usage?format=csv\'': curl(/^kind,client,key,agent,model,requests,/),
  'curl -s \'http://localhost:8080/history?from=-3600&series=tokens_per_second,latency_p95_ms,celsius\'':
    curl(/^\{"step":1,"models":\["a","other"\],"series":\["time","latency_p95_ms","celsius","tokens_per_second"\],"rows":\[/),
  'curl -s \'http://localhost:8080/history?model=other&from=-3600\'': curl(/"rows":\[/),
  'curl -s \'http://localhost:8080/history?step=300&format=csv\' >history.csv': (t, command) => curl(/^time,ticks,/)(t, command.replace(' >history.csv', '')),
  'sh tests/boards/collect.sh': ends(/^@ \/proc\/stat$/m, { cwd: ROOT }),
  'curl -s http://localhost:8080/alerts': curl(/^\{"alerts":\[\]\}$/),
  'curl -s http://localhost:8080/bench': curl(/^\{"results":\[\]\}$/),
  'curl -s http://localhost:8080/status': curl(/"ticks":150/),
  'curl -s http://localhost:8080/healthz': curl(/^\{"status":"ok"\}$/),
  'curl -s http://localhost:8080/contract.json': curl(/"IngestLine"/),
  'echo \'{"tokens":1}\' >/dev/udp/BOARD/9000': (t, command) => needs('bash', async () => {
    const server = await serve(t, ['--source', 'none', '--models', 'm', '--udp', '127.0.0.1:0']);
    const [, port] = await server.logged(/UDP ingest on \S+:(\d+)\n/);
    const sent = spawnSync('bash', ['-c', command.replace('BOARD/9000', `127.0.0.1/${port}`)], { encoding: 'utf8' });
    assert.equal(sent.status, 0, sent.stderr);
    await hasTick((tick) => tick.tokens_generated === 1)(server);
  })(t, command),
  'llama-server --port 8081': covered('tests/e2e/engine.mjs', "'--port', String(port)", 'it needs a model'),

  // make
  make: makes(/^/),
  'make NO_INSTALL=1': makes(/^/),
  'make help': makes(/make test/),
  'make map': makes(/src\/core\/feed\.c/),
  'make size': makes(/the page, in each of them/),
  'make amalgamation': makes(/build\/dist\/aidash\.c: \d+ lines/),
  'make run': starts(isSource('sim'), { cwd: ROOT, seconds: 120 }),
  'make run ARGS="--rate 20"': starts(async (server) => assert.equal((await status(server)).rate_hz, 20), { cwd: ROOT, seconds: 120 }),
  'make clean': cleans(['build/deps', 'tests/node_modules']),
  'make distclean': cleans([]),
  'make bench': (t) => makes(/aidash_publish/, { as: 'make bench PART="--quick start publish"', env: { BENCH_OUT: path.join(dir, 'bench') } })(t),
  'make bench PART=memory': makes(/^\| aidash \| [\d.]+ \| [\d.]+ \|/m, { as: 'make bench PART="--quick memory"', env: { BENCH_OUT: path.join(os.tmpdir(), 'aidash-docs-bench') } }),
  'make bridges': covered('tests/run.mjs', '`build/bridges/aidash-${name}`', 'it installs packages'),
  'make fleet-bench': covered('tests/bench/fleet.mjs', "test('fleet'", 'it takes minutes'),
  'build/bridges/aidash-redis --publish --node jetson --redis redis://broker.local': covered('tests/bridges/bridge.mjs', "'--publish', '--node', node", 'it needs a broker'),
  'build/bridges/aidash-redis --subscribe --redis redis://broker.local': covered('tests/bridges/bridge.mjs', "['--subscribe', ", 'it needs a broker'),
  'build/bridges/aidash-kafka --publish --node jetson --kafka broker.local:9092': covered('tests/bridges/bridge.mjs', "'--publish', '--node', node", 'it needs a broker'),
  'build/bridges/aidash-kafka --subscribe --kafka broker.local:9092': covered('tests/bridges/bridge.mjs', "['--subscribe', ", 'it needs a broker'),
  'build/bridges/aidash-mqtt --publish --node jetson --mqtt mqtt://broker.local': covered('tests/bridges/bridge.mjs', "'--publish', '--node', node", 'it needs a broker'),
  'build/bridges/aidash-mqtt --subscribe --mqtt mqtt://broker.local': covered('tests/bridges/bridge.mjs', "['--subscribe', ", 'it needs a broker'),
  'make page-soak': covered('tests/bench/page.mjs', 'process.env.MINUTES', 'it takes ten minutes'),
  'make page-soak MINUTES=10': covered('tests/bench/page.mjs', 'process.env.MINUTES', 'it takes ten minutes'),
  'make bench PART=tls': covered('tests/bench/tls.mjs', 'export async function viewersOverTls', 'it takes minutes'),
  'make bench PART=proxies': covered('tests/bench/proxies.mjs', 'export async function proxies', 'it takes minutes'),
  'make bench PART=gateway': covered('tests/embed/sizes.test.mjs', 'ten thousand viewers', 'it takes minutes, and needs 10,000 open files'),
  'make fuzz FUZZ_SECONDS=60': (t) => needs('clang', makes(/^ +FUZZ +line: \d+ inputs, none failed$/m, { as: 'make fuzz FUZZ_SECONDS=1 TEST=line' }))(t),
  'make test': covered('.ci/run', 'make test', 'this is a part of it'),
  'make test SUITE=e2e TEST=ingest': covered('tests/build.test.sh', 'TEST="${pick:-}" node tests/run.mjs e2e', 'this is a part of it'),
  'make test SUITE=browser TEST=fleet': covered('tests/browser/fleet.native.test.mjs', 'layout and style', 'it is a part of a suite'),
  'make test SUITE=browser TEST=texts': covered('tests/browser/texts.native.test.mjs', 'marked', 'it is a part of a suite'),
  'cp www/texts.js texts.de.js': covered('tests/build.test.sh', 'www/texts.js >texts.de.js', 'it is the first half of a case'),
  'make TEXTS=texts.de.js': covered('tests/build.test.sh', 'quick TEXTS=texts.de.js', 'it would build anew what the other tests use'),
  'make test SUITE=qemu-aarch64': covered('tests/run.mjs', "'qemu-aarch64': ", 'it is a suite'),
  'make lint': covered('tests/run.mjs', 'lint: ', 'it is a suite'),
  'make asan': covered('tests/run.mjs', "'e2e-asan': ", 'it is suites'),
  'make tsan': covered('tests/run.mjs', "'e2e-tsan': ", 'it is a suite'),
  'make kills KILLS=200': covered('tests/run.mjs', 'AIDASH_KILLS', 'it takes minutes; ten kills are in a suite'),
  'make gateways': covered('tests/e2e/gateways.native.test.mjs', 'AIDASH_VIEWERS', 'it takes minutes; 100 viewers are in a suite'),
  'make fleet-bench PART=viewers': covered('tests/bench/gateways.mjs', 'process.env.VIEWERS && ', 'it takes a minute; a small one of its kind is in tests/embed/sizes.test.mjs'),
  'make gateway-bench': covered('tests/bench/gateways.mjs', 'async function sample(boards, viewers', 'it takes minutes'),
  'make soak SECONDS=3600 SEED=7': covered('tests/run.mjs', '  soak: ', 'it takes an hour; a minute of it is a suite'),
  'make CC=clang CFLAGS=-O3': covered('tests/build.test.sh', 'quick CFLAGS=-O1', 'it would build anew what the other tests use'),
  'make TLS=0': covered('tests/build.test.sh', '--no-print-directory TLS=0', 'it would build anew what the other tests use'),
  'make CIVETWEB_VERSION=1.16': covered('tests/run.mjs', "'e2e-civetweb'", 'it would build anew what the other tests use'),
  'sudo make install': covered('tests/build.test.sh', 'install DESTDIR="$tmp/dest" PREFIX=/usr', 'it changes the machine that it runs on'),
  'make install PREFIX=/usr DESTDIR=/tmp/root': covered('tests/build.test.sh', 'install DESTDIR="$tmp/dest" PREFIX=/usr', 'it writes outside of the test'),
  ...Object.fromEntries(['aarch64', 'armv7', 'armv6', 'riscv64', 'x86_64'].map((target) => [`make ${target}`,
    covered('tests/run.mjs', 'boards.flatMap((target) => [target,', 'it is built and looked at by the suite cross')])),
  'make dist': covered('tests/run.mjs', 'boards.flatMap((target) => [target,', 'each target is built by the suite cross'),
  'make pi5': covered('tests/cross.test.sh', '--no-print-directory pi5', 'it needs its file'),
  'make deb': covered('tests/package.test.sh', '$make deb)', 'it needs the static program'),
  'make deb TOOLCHAIN=aarch64': covered('tests/package.test.sh', '$make deb)', 'it needs the static program'),
  [`make release VERSION=${VERSION}`]: covered('tests/package.test.sh', '$make release VERSION="$version"', 'it builds every target'),
  'make deploy HOST=pi@raspberrypi.local ARGS="--upstream http://127.0.0.1:11434"': onBoard('$make deploy HOST=board', 'it needs a board behind ssh'),
  'make deploy HOST=pi@raspberrypi.local SSH="ssh -p 2222"': onBoard('SSH="ssh -F $tmp/ssh_config" ARGS=', 'it needs a board behind ssh'),
  'make -C examples/firmware': covered('tests/run.mjs', "'build/firmware/firmware'", 'it writes into the example'),
  'cmake -S examples/firmware -B build/cmake && cmake --build build/cmake': covered('tests/run.mjs', "'build/firmware-cmake/firmware'", 'it is a suite'),
  'node tests/bench/meter.mjs': async (t, command) => {
    const reason = missing();
    if (reason) t.skip(reason);
    else await ends(/tokens\/s/, { cwd: ROOT, seconds: 120 })(t, `${command} --quick`);
  },

  // the compiler
  'cc app.c aidash.c -DAIDASH_NO_MAIN -lpthread': compilesBoth,
  'cc app.c aidash.c -DAIDASH_NO_MAIN -DAIDASH_CLIENTS=8 -lpthread': compiles,
  'cc app.c aidash.c -DAIDASH_NO_MAIN -DAIDASH_PROFILE_TINY -lpthread': compiles,
  'cc app.c aidash.c -DAIDASH_NO_MAIN -DAIDASH_CONFIG=\'"tiny.h"\' -lpthread': compiles,
  'cc app.c aidash.c -DAIDASH_NO_MAIN -DAIDASH_METER=0 -DAIDASH_DASHBOARD=0 -lpthread': compiles,

  // the example with Tesseract
  'sudo apt-get install -y tesseract-ocr': covered('tests/e2e/pipeline.native.test.mjs', "'need', 'tesseract'", 'it changes the machine that it runs on'),
  'sh pages.sh': covered('tests/e2e/pipeline.native.test.mjs', "'pages.sh'", 'it draws with Tesseract\'s program'),
  [read('examples/pipeline/README.md').match(/^for f in .*$/m)[0]]:
    covered('tests/e2e/pipeline.native.test.mjs', "match(/```sh\\n(for .*tesseract.*)", 'it needs Tesseract'),

  // a machine's administrator
  'sudo apt-get install -y make': covered('.ci/run', 'apt-get install -y', 'it changes the machine that it runs on'),
  [`sudo dpkg -i aidash_${VERSION}_arm64.deb`]: onBoard('dpkg_there --force-confold -i /root/aidash.deb'),
  'sudo dpkg -r aidash': onBoard('dpkg_there -r aidash'),
  'sudo dpkg -P aidash': onBoard('dpkg_there -P aidash'),
  [`tar -xf aidash-${VERSION}-aarch64.tar.gz`]: onBoard('-xf "$out/$tarball.tar.gz"', 'there is no release yet'),
  [`cd aidash-${VERSION}-aarch64`]: onBoard('tarball=aidash-$version-$target', 'there is no release yet'),
  'sudo ./install.sh --upstream http://127.0.0.1:11434': onBoard('sh new/install.sh --listen'),
  'sudo ./install.sh --uninstall': onBoard('sh new/install.sh --uninstall'),
  'sudo ./install.sh --purge': onBoard('sh new/install.sh --purge'),
  'journalctl -u aidash -f': onBoard('journalctl -u aidash -o cat', 'there is no service here'),
  'sudo systemctl restart aidash': onBoard('systemctl restart aidash', 'there is no service here'),
  'systemd-analyze security aidash': onBoard('systemd-analyze security --offline=true', 'there is no service here'),
  'man aidash': onBoard('mandoc -T lint package/aidash.1', 'it is not installed here'),
};

for (const [command, at] of commands) {
  test(`${at}: ${command}`, async (t) => {
    assert.ok(command in cases, 'no test knows this command: add it to `cases` in tests/docs.test.mjs');
    await cases[command](t, command);
  });
}

test('every command that this file knows is printed', () => {
  assert.deepEqual(Object.keys(cases).filter((command) => !commands.has(command)), []);
});

/* ---- the other blocks -------------------------------------------------------------- */

test('each block of code is of a kind that is tested', () => {
  const tested = { sh: /./, c: /README|embed/, json: /./, js: /api/, make: /build/, ini: /deploy/, nginx: /deploy/, caddy: /deploy/, text: /deploy|fleet/ };
  for (const { at, page, language } of blocks) assert.match(page, tested[language] ?? /^$/, `${at}: a block of "${language}"`);
  // an indented line after an empty one would be a block without a fence
  prose.forEach(({ at, line }, i) => assert.ok(!/^ {4}/.test(line) || prose[i - 1].line !== '', `${at}: code without a fence`));
});

const squeezed = (text) => text.replace(/\s+/g, ' ').trim();

test('the code in docs/embed.md is of examples/firmware, or compiles without a warning', () => {
  const [program, ...found] = blocks.filter(({ page, language }) => page === 'docs/embed.md' && language === 'c').map(({ at, text }) => ({ at, text }));
  assert.equal(program.text.trimEnd().split('\n').length, 12, 'the program at the top is one of a dozen lines');
  const firmware = squeezed(read('examples/firmware/firmware.c'));
  const own = found.filter(({ text }) => !text.split('\n\n').every((part) => firmware.includes(squeezed(part))));
  assert.ok(own.length >= 8);
  const functions = own.filter(({ text }) => text.startsWith('static '));
  const statements = own.filter(({ text }) => !text.startsWith('static '));
  const file = path.join(dir, 'embed.c');
  writeFileSync(file, ['#include "aidash.h"\n#include <stdint.h>\n#include <stdio.h>\n#include <string.h>\nint main(int argc, char **argv);\n', ...functions.map(({ text }) => text), 'int main(int argc, char **argv)\n{(void)argc, (void)argv;',
    ...statements.map(({ text }) => `{\n${text}}\n`), 'return 0;\n}\n'].join('\n'));
  const { status, stderr } = spawnSync(process.env.CC || 'cc', ['-std=c99', '-Wall', '-Wextra', '-Werror', '-I', ROOT, '-fsyntax-only', file], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
});

const DECLARED = [...read('aidash.h').replace(/\/\*[\s\S]*?\*\//g, '').matchAll(/^[a-z][\w *]*?\b(aidash_\w+)\(/gm)]
  .map(([, name]) => name.replace('_start_sized', '_start'));

test('docs/embed.md has every function: in its code, and once in the table of threads', () => {
  assert.deepEqual(codes(table('docs/embed.md', 'function')).sort(), [...DECLARED].sort());
  const code = blocks.filter(({ page, language }) => page === 'docs/embed.md' && language === 'c').map(({ text }) => text).join('');
  assert.deepEqual(DECLARED.filter((name) => !code.includes(`${name}(`) && !['aidash_stop', 'aidash_strerror'].includes(name)), []);
});

test('each JSON line is of the contract', () => {
  const kinds = [['{"event"', 'Event'], ['{"step"', 'HistoryAnswer'], ['{"nodes"', 'NodesAnswer'], ['{"forward"', 'FleetReport'], ['{"peers"', 'FleetReport'],
    ['{"last"', 'LinkLast'], ['[{"id"', 'LinkEvents'], ['{"number"', 'LinkCommand'], ['[{"number"', 'LinkAcks'], ['{', 'Command']];
  const lines = blocks.filter(({ language }) => language === 'json').flatMap(({ text }) => text.trim().split('\n'));
  assert.ok(lines.length >= 7);
  for (const line of lines) {
    const { host, text, ...rest } = JSON.parse(line);
    if (host) assert.equal(text, `${host}: ${rest.sentence}`); // what a webhook gets: an event without its number
    const [, name] = kinds.find(([begin]) => line.startsWith(begin));
    validate(host ? { ...rest, seq: 1 } : JSON.parse(line), name);
  }
});

test('the config in docs/deploy.md is taken', async () => {
  const [{ text }] = blocks.filter(({ language }) => language === 'ini');
  writeFileSync(path.join(dir, 'printed.conf'), text);
  const { code, stderr } = await run(['--config', path.join(dir, 'printed.conf'), '--version']);
  assert.deepEqual([code, stderr], [0, '']);
});

/* ---- links, versions, tables -------------------------------------------------------- */

test('links lead to pages and parts that exist, and to what a package has', () => {
  const anchor = (heading) => heading.toLowerCase().replace(/[^\w\- ]/g, '').trim().replaceAll(' ', '-');
  const packed = new Set([...pages, 'CHANGELOG.md', 'THIRD-PARTY.md', ...readdirSync(path.join(ROOT, 'docs')).map((name) => `docs/${name}`)]);
  let n = 0;
  for (const { page, at, line } of prose.filter((one) => pages.includes(one.page))) {
    for (const [, link] of line.matchAll(/\]\(([^)]+)\)/g)) {
      const [file, part] = link.split('#');
      const target = file ? path.normalize(path.join(path.dirname(page), file)) : page;
      assert.ok(packed.has(target), `${at}: ${link} is in no package`);
      if (part) {
        const headings = [...read(target).matchAll(/^#+ (.*)$/gm)].map((m) => anchor(m[1]));
        assert.ok(headings.includes(part), `${at}: ${link}`);
      }
      n++;
    }
  }
  assert.ok(n > 20);
});

test('files and versions that are named are those of the project', () => {
  for (const page of pages) {
    const text = read(page);
    for (const [, version] of text.matchAll(/(?:aidash[-_]|VERSION=)(\d+\.\d+\.\d+)/g)) assert.equal(version, VERSION, page);
    for (const [, file] of text.matchAll(/`((?:src|tests|examples|toolchains|core|codec|meter|web)\/[\w./-]+)`/g)) {
      assert.ok(existsSync(path.join(ROOT, file)) || existsSync(path.join(ROOT, 'src', file)), `${page}: ${file}`);
    }
  }
});

/* The rows of the table under a heading row that begins with this cell, cells as they are. */
function table(page, first) {
  const lines = read(page).split('\n');
  const at = lines.findIndex((line) => line.startsWith(`| ${first} |`));
  assert.ok(at >= 0, `${page} has no table of ${first}`);
  const rows = [];
  for (let i = at + 2; lines[i].startsWith('|'); i++) {
    rows.push(lines[i].replaceAll('\\|', '\0').split('|').slice(1, -1).map((cell) => cell.trim().replaceAll('\0', '|')));
  }
  return rows;
}
const codes = (rows) => rows.flatMap(([cell]) => [...cell.matchAll(/`([^`]+)`/g)].map((m) => m[1]));

test('the options are those of --help, with their defaults', async () => {
  const { stdout } = await run(['--help']);
  const known = [...stdout.matchAll(/^ {2}(--\S+(?: [^ ]+)?) +(.*)$/gm)].map(([, option, text]) => ({ option, by: text.match(/default (?:for sim: )?([\w.,]+?)[;,)]/)?.[1] }));
  const printed = table('docs/api.md', 'option');
  assert.deepEqual(codes(printed), known.map(({ option }) => option));
  printed.forEach(([name, , value], i) => {
    if (known[i].by) assert.ok(value.startsWith(known[i].by), `${name}: the default is ${known[i].by}, not ${value}`);
  });
});

test('the endpoints answer', async (t) => {
  const server = await serve(t, []);
  for (const endpoint of codes(table('docs/api.md', 'endpoint'))) {
    const [method, where] = endpoint.replace('ADDRESS', encodeURIComponent(`${server.url}/`)).split(' ');
    if (method.startsWith('ws:')) {
      await (await connect(server, '/ws/docs')).tick();
    } else if (method === 'POST') {
      assert.notEqual((await request(server, where, { method, body: '{}', headers: { 'Content-Length': 2 } })).status, 404, endpoint);
    } else if (method === 'GET') {
      const code = where === '/events' ? (await fetch(`${server.url}${where}`).then((r) => { r.body.cancel(); return r.status; }))
        : (await request(server, where)).status;
      assert.equal(code, 200, endpoint);
    }
  }
});

test('the limits are those of src/limits.h', () => {
  const rows = table('docs/api.md', 'limit');
  const defaults = Object.fromEntries([...read('src/limits.h').matchAll(/^#define (AIDASH_\w+) (\d+)$/gm)].map((m) => [m[1], Number(m[2])]));
  for (const [name, value] of rows) {
    const macro = name.match(/`(\w+)`/)[1];
    assert.equal(Number(value.match(/^[\d,]+/)[0].replaceAll(',', '')), defaults[macro], macro);
  }
});

test('docs/metrics.md has the metrics of the program, each with its type, labels and sentence', assertDocumented);

test('what the examples ask Prometheus for is there', () => {
  const known = new Set(families().flatMap(({ series }) => series));
  const named = (text) => [...text.matchAll(/\b(?:aidash|gen_ai|process)_\w+/g)].map(([name]) => name)
    .filter((name) => !families().some(({ labels }) => labels.includes(name)));
  const dashboard = JSON.parse(read('examples/grafana/aidash.json'));
  const asked = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  assert.ok(asked.length > 30);
  const variables = dashboard.templating.list;
  for (const text of [...asked, ...variables.map(({ query }) => query.query ?? ''), read('examples/prometheus/alerts.yml'), read('examples/prometheus/alerts.test.yml')]) {
    for (const name of named(text)) assert.ok(known.has(name), `${name} is no metric of aidash: ${text.slice(0, 200)}`);
  }
  for (const text of asked) {
    assert.ok(named(text).length > 0, text);
    for (const [, name] of text.matchAll(/\$(\w+)/g)) assert.ok(name === '__rate_interval' || variables.some((one) => one.name === name), `$${name}`);
    // the labels that a legend or a sum names are of the metric
    for (const [, list] of text.matchAll(/by \(([\w, ]+)\)/g)) {
      for (const label of list.split(', ')) {
        assert.ok(['instance', 'le'].includes(label) || families().some(({ labels, series }) => labels.includes(label) && series.some((one) => text.includes(one))), `${label} in ${text}`);
      }
    }
  }
  assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
  for (const panel of dashboard.panels) {
    for (const { legendFormat, expr } of panel.targets ?? []) {
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        assert.ok(label === 'instance' || families().some(({ labels, series }) => labels.includes(label) && series.some((one) => expr.includes(one))), `${label} in ${panel.title}`);
      }
    }
  }
});

test('events and fields are those of the contract', () => {
  const { $defs } = JSON.parse(read('www/contract.schema.json'));
  const events = $defs.Event.oneOf.map(({ $ref }) => $defs[$ref.split('/').at(-1)].properties.event.const);
  assert.deepEqual(codes(table('docs/api.md', 'event')).sort(), [...new Set(events)].sort());
  const line = Object.keys($defs.IngestLine.properties);
  const tick = Object.keys($defs.Tick.properties);
  const fields = codes(table('docs/api.md', 'field'));
  assert.deepEqual(fields, tick.filter((name) => name !== 'event'));
  const ingested = read('docs/api.md').split('## Send ticks')[1].split('\n## ')[0];
  assert.deepEqual([...ingested.matchAll(/^\| `(\w+)` \|/gm)].map((m) => m[1]).sort(), line.sort());
  const figures = codes(table('docs/measure.md', 'figure'));
  for (const name of figures) assert.ok(name in $defs.Request.properties || name in $defs.Tick.properties, name);
});

test('each member of a record and each command of the contract is explained', () => {
  const { $defs } = JSON.parse(read('www/contract.schema.json'));
  const explained = ['member of the record', 'member while it runs'].flatMap((head) => table('docs/api.md', head))
    .flatMap(([names]) => [...names.matchAll(/`(\w+)`/g)].map((m) => m[1]));
  assert.deepEqual(explained.slice().sort(), Object.keys($defs.Request.properties).filter((name) => !['event', 'seq'].includes(name)).sort());
  const actions = [...read('docs/api.md').split('\n## Commands')[1].split('\n## ')[0].matchAll(/\{"action":"(\w+)"/g)].map((m) => m[1]);
  assert.deepEqual([...new Set(actions)].sort(), $defs.Command.oneOf.map(({ $ref }) => $defs[$ref.split('/').at(-1)].properties.action.const).sort());
});

test('the folders in docs/architecture.md are those of src', () => {
  const folders = readdirSync(path.join(ROOT, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => `src/${name}`);
  assert.deepEqual(codes(table('docs/architecture.md', 'folder')).sort(), folders.sort());
});

test('the tests that SECURITY.md names exist', () => {
  let n = 0;
  for (const row of read('SECURITY.md').match(/^\| .* \|$/gm).slice(2)) {
    const shown = row.split(' | ')[2];
    const files = [...shown.matchAll(/`(tests\/[\w./]+)`((?::? ?;? ?"[^"]+")*)/g)];
    assert.ok(files.length > 0, `shown by nothing: ${row}`);
    for (const [, file, names] of files) {
      assert.ok(existsSync(path.join(ROOT, file)), file);
      for (const [, name] of names.matchAll(/"([^"]+)"/g)) {
        assert.ok(read(file).replaceAll("\\'", "'").includes(name), `${file} has no "${name}"`);
        n++;
      }
    }
  }
  assert.ok(n >= 20, `${n} names`);
});

test('the screen of aidash top is one of 80 columns', () => {
  const [screen] = blocks.filter(({ language }) => language === 'text');
  const lines = screen.text.split('\n');
  assert.ok(lines.every((line) => line.length <= 80));
  for (const label of ['aidash  ', 'model  ', 'tokens/s  ', 'latency  ', 'board  ', '    id model ']) assert.ok(lines.some((line) => line.startsWith(label)), label);
});

test('the README is two screens', () => {
  assert.ok(read('README.md').split('\n').length <= 110);
});
