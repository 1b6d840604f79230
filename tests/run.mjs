/* Runs the test suites and sums them up: one line a program or file, what failed with its reasons, full logs in
 * build/test-logs/, and at the end, alone on a line, "N passed, N failed" (", N skipped" when there are any). Exits 1 if
 * anything failed or nothing ran.
 *
 *   node tests/run.mjs [SUITE...]     all suites by default; environment: TEST (only files whose name contains it),
 *                                     MAKE, CC
 *
 * A suite is a list of jobs. A job builds its make targets, then runs a command that prints "not ok - WHAT" for what fails,
 * "skipped: WHAT", and in the end "N passed, N failed"; tests/reporter.mjs makes node's test runner do so. Files named
 * *.native.test.mjs run on the ordinary build alone. How jobs share the machine: see `plan` at the end.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { debian } from './programs.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const logs = path.join(root, 'build/test-logs');
const only = process.env.TEST ?? '';
const make = process.env.MAKE || 'make';
const cores = os.availableParallelism?.() ?? os.cpus().length;
process.chdir(root);

// The jobs below are children of a make that may have -j: they can't share its job server, but its variables.
const environment = { ...process.env };
for (const name of ['MAKEFLAGS', 'MFLAGS']) {
  if (environment[name]) {
    environment[name] = environment[name].replace(/(^| )-?-j\S*|(^| )--jobserver-\S+/g, '');
  }
}
for (const name of ['TEST', 'MAKELEVEL']) delete environment[name];

// ---- what there is to run

const list = (directory, pattern) => (existsSync(directory) ? readdirSync(directory) : [])
  .filter((name) => pattern.test(name) && name.includes(only)).sort().map((name) => path.join(directory, name));

/* A file of node's test runner, which tests the program `bin`. Its tests wait `slow` times as long as for an ordinary build. */
const node = (file, { variant = '', slow = 1, env = {}, build = [], bin = 'build/aidash' } = {}) => ({
  name: `${variant && `${variant}: `}${path.basename(file, '.test.mjs')}`,
  build,
  command: [process.execPath, '--test-reporter=./tests/reporter.mjs', file],
  env: { ...env, AIDASH_BIN: path.resolve(bin), AIDASH_SLOW: String(slow) },
  seconds: 300 * slow,
  narrow: slow === 1,
});

/* The end-to-end tests whose names match, on build/VARIANT/aidash. */
const on = (variant, names, options) => list('tests/e2e', /\.test\.mjs$/)
  .filter((file) => names.test(path.basename(file)) && !file.includes('.native.'))
  .map((file) => node(file, { variant, build: [`build/${variant}/aidash`], bin: `build/${variant}/aidash`, ...options }));

const program = (source, target, args = []) => ({
  name: path.basename(target),
  build: [target],
  command: [path.resolve(target), ...args],
  seconds: 300,
});

const script = (name, build, args = [], seconds = 900) => (name.includes(only)
  ? [{ name, build, command: ['sh', `tests/${name === 'lint' ? 'lint' : `${name}.test`}.sh`, ...args], seconds }] : []);

const ARM = ['sh', '-c', `${make} -s TOOLCHAIN=aarch64 toolchain && sh toolchains/fetch.sh need qemu-aarch64-static`];

// examples/firmware, built by make, CMake and Meson for this machine, and by make for another.
const firmware = (file) => [
  ['firmware', 'build/firmware/firmware', [], []],
  ['firmware by cmake', 'build/firmware-cmake/firmware', [], ['sh', 'toolchains/fetch.sh', 'need', 'cmake']],
  ['firmware of components', 'build/firmware-components/firmware', [], ['sh', 'toolchains/fetch.sh', 'need', 'cmake']],
  ['firmware by meson', 'build/firmware-meson/firmware', [], ['sh', 'toolchains/fetch.sh', 'need', 'meson']],
  ['firmware for aarch64', 'build/aarch64/firmware/firmware', ['qemu-aarch64-static'], ARM],
].map(([name, target, runner, needs]) => {
  const reason = needs.length && refused(...needs);
  return reason ? { name, skip: `${name} can't be built and run here. ${reason}` } : {
    ...node(file, { slow: runner.length ? 5 : 1, build: [target], env: { FIRMWARE: [...runner, path.resolve(target)].join(' ') } }),
    name,
  };
});

// tests/embed/every.c: as C++ and as C under the sanitizers, and on another machine.
const every = (file) => [
  ['every function from C++', 'build/asan/embed/every', []],
  ['every function from C', 'build/tsan/embed/every', []],
  ['every function on aarch64', 'build/aarch64/embed/every', ['qemu-aarch64-static']],
].map(([name, target, runner]) => {
  const reason = runner.length && refused(...ARM);
  return reason ? { name, skip: `${name} can't be built and run here. ${reason}` }
    : { ...program(file, target), name, command: [...runner, path.resolve(target)], env: sanitized.env };
});

const named = (file, prefix) => path.basename(file, '.c').slice(prefix.length);

// The civetweb that the ordinary build doesn't use.
const otherCivetweb = () => {
  const link = 'build/deps/civetweb';
  return existsSync(link) && readlinkSync(link).endsWith('1.16') ? 'civetweb-1.15' : 'civetweb-1.16';
};

/* Runs what brings something optional; returns why it can't be had, or ''. */
function refused(...command) {
  const { status, stderr } = spawnSync(command[0], command.slice(1), { env: environment, encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  return status === 0 ? '' : stderr.match(/^aidash: (?!installing|reading|fetch).*$/m)?.[0] ?? 'It failed without a word.';
}

const noBrowser = () => !process.env.CHROMIUM && refused('sh', 'toolchains/fetch.sh', 'need', 'chromium');

/* What is shipped for a target, under qemu-user where this machine is another. In a run of all suites each target takes the
 * files whose names match, which together touch everything once; asked for by name, it takes them all. */
const shipped = (suite, target, names) => () => {
  const pattern = wanted.includes(suite) ? /./ : names;
  const emulated = !target.startsWith(os.machine().replace(/^armv(\d).*/, 'armv$1'));
  const options = { variant: target, slow: emulated ? 5 : 1, build: [target, `build/${target}/run`], bin: `build/${target}/run` };
  const pages = list('tests/browser', /^live\./).filter((file) => pattern.test(path.basename(file))).map((file) => node(file, options));
  const jobs = on(target, pattern, options);
  const reason = pages.length + jobs.length > 0 && refused(make, '-s', `TOOLCHAIN=${target}`, 'toolchain');
  if (reason) return [{ name: target, skip: `${target} can't be built or run here. ${reason}` }];
  const lacking = pages.length && noBrowser();
  return lacking ? [{ name: target, skip: `no browser to test the page of ${target} in. ${lacking}` }, ...jobs] : [...pages, ...jobs];
};

const boards = readdirSync('toolchains').filter((name) => name.endsWith('.mk')).map((name) => path.basename(name, '.mk'));

const sanitized = {
  slow: 5,
  env: {
    AIDASH_SANITIZED: '1',
    ASAN_OPTIONS: 'detect_leaks=1:abort_on_error=0:exitcode=66',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
    TSAN_OPTIONS: `halt_on_error=0:exitcode=66:second_deadlock_stack=1:suppressions=${path.join(root, 'tests/tsan.supp')}`,
  },
};

/* The tests of the library, with an object for these sanitizers. */
const library = (variant, sanitizers) => list('tests/e2e', /^library.*\.native\.test\.mjs$/).map((file) => node(file, {
  ...sanitized,
  variant,
  build: [`build/${variant}/aidash`, `build/${variant}/lib/aidash.o`],
  bin: `build/${variant}/aidash`,
  env: { ...sanitized.env, AIDASH_LIB: path.resolve(`build/${variant}/lib/aidash.o`), LIB_FLAGS: `-O1 -fsanitize=${sanitizers}` },
}));

/* What the bridges to message brokers are compiled with, and the program that is the broker; a test's file begins with the broker's name. */
const BROKERS = {
  kafka: { needs: 'librdkafka-dev', broker: ['kcat', 'bin'] },
  mqtt: { needs: 'libmosquitto-dev', broker: ['mosquitto'] },
  redis: { needs: 'libssl-dev', broker: ['redis-server', 'bin'] },
};

/* Tests bring what they need and the machine lacks, or say that they can't. What several files need is brought before they run. */
const bring = (files) => {
  const has = (pattern) => files.some((file) => pattern.test(path.basename(file)));
  if (has(/^(cut|mdns|redis-cut)\./)) refused('sh', 'toolchains/fetch.sh', 'need', 'ip', 'unshare', 'nsenter');
  if (has(/^mdns\./)) for (const program of [['avahi-daemon'], ['dbus-daemon', 'bin', 'dbus'], ['avahi-browse', 'bin', 'avahi-utils']]) debian(...program);
  for (const [name, { broker }] of Object.entries(BROKERS)) if (has(new RegExp(`^${name}\\b`))) debian(...broker);
  return files;
};

const bridges = (file) => {
  const [name] = path.basename(file).match(/^[a-z]+/);
  const reason = refused('sh', 'toolchains/fetch.sh', 'need', BROKERS[name].needs);
  if (reason) return [{ name: `${name} bridge`, skip: `the bridge to ${name} can't be built here. ${reason}` }];
  const helpers = name === 'kafka' ? ['build/bridges/kafka_mock'] : [];
  const plain = node(file, { build: [`build/bridges/aidash-${name}`, ...helpers] });
  return file.includes('.native.') ? [plain]
    : [plain, node(file, { ...sanitized, variant: 'asan', build: [`build/asan/bridges/aidash-${name}`, ...helpers] })];
};

/* A build that differs from the ordinary one in one thing runs what concerns that thing:
 *   poll      poll() for epoll: all that waits, wakes up, is held back or hangs up
 *   civetweb  the other civetweb: request heads, handshakes, and what it hands over to the hub
 *   onefile   tests/onefile.test.sh proves that it is the same program; one file shows that it runs */
const suites = {
  lint: () => {
    if ('lint'.includes(only)) for (const tool of ['clang-tidy', 'cppcheck']) refused('sh', 'toolchains/fetch.sh', 'need', tool); // where one can't be had, lint.sh says so
    return script('lint', ['build/compile', 'build/aidash_www.h', 'build/aidash_misspelt.h']);
  },
  docs: () => list('tests', /^docs\.test\.mjs$/)
    .map((file) => ({ ...node(file, { build: ['all', 'amalgamation', 'build/gateway/aidash', 'build/lib/aidash.o'] }), seconds: 600 })),
  build: () => script('build', []),
  onefile: () => script('onefile', ['amalgamation', 'build/compile']),
  'e2e-onefile': () => on('onefile', /^contract\./),
  package: () => script('package', [], [], 1200),
  unit: () => list('tests', /^unit_.*\.c$/).map((file) => program(file, `build/unit/${named(file, 'unit_')}`)),
  corpus: () => list('tests', /^fuzz_(?!replay).*\.c$/).map((file) => program(file,
    `build/replay/${named(file, 'fuzz_')}`, [`tests/corpus/${named(file, 'fuzz_')}`])),
  alloc: () => list('tests', /^alloc_count\.c$/).map((file) => program(file, 'build/alloc_count')),
  'fuzz-sockets': () => list('tests', /^fuzz_sockets\.mjs$/)
    .map((file) => ({ ...node(file, { variant: 'asan', build: ['build/asan/aidash'], bin: 'build/asan/aidash', ...sanitized }),
      seconds: Number(process.env.FUZZ_SOCKETS_SECONDS || 20) + 180 })),
  soak: () => [['', {}], ['asan', { build: ['build/asan/aidash'], bin: 'build/asan/aidash', ...sanitized }]]
    .flatMap(([variant, options]) => list('tests', /^soak\.mjs$/).map((file) => ({
      ...node(file, { variant, build: ['all'], ...options }), seconds: Number(process.env.SOAK_SECONDS || 60) + 600, narrow: false }))),
  web: () => list('tests/web', /\.test\.mjs$/).map((file) => node(file, { build: ['types', 'build/aidash_www.h'] })),
  e2e: () => bring(list('tests/e2e', /\.test\.mjs$/)).map((file) => ({ ...node(file, { build: ['all',
    ...[['library', 'lib/aidash.o'], ['standstill', 'hasty/aidash'], ['history', 'hasty/aidash'], ['cut', 'hasty/aidash'], ['mdns', 'hasty/aidash'], ['limits', 'strict/aidash'], ['tls-full', 'few-tls/aidash'],
      ['workers', 'one-worker/aidash']]
      .filter(([name]) => file.includes(name)).map(([, target]) => `build/${target}`)] }),
    ...(file.includes('history') && process.env.AIDASH_KILLS ? { seconds: 180 + 20 * process.env.AIDASH_KILLS } : {}) })),
  bridges: () => bring(list('tests/bridges', /\.test\.mjs$/)).flatMap(bridges),
  firmware: () => [
    ...list('tests/embed', /^firmware\.test\.mjs$/).flatMap(firmware),
    ...list('tests/embed', /^every\.c$/).flatMap(every),
    ...list('tests/embed', /^builds\.test\.mjs$/).map((file) => node(file, { build: ['amalgamation'] })),
  ],
  sizes: () => list('tests/embed', /^sizes\.test\.mjs$/)
    .map((file) => node(file, { build: ['all', ...['tiny/aidash', 'tiny-meter/aidash', 'gateway/aidash', 'bare/aidash', 'bench/load', 'bench/boards'].map((target) => `build/${target}`)] })),
  browser: () => {
    const files = list('tests/browser', /\.test\.mjs$/);
    const reason = files.length && noBrowser();
    return reason ? [{ name: 'browser', skip: `no browser to test the page in. ${reason}` }]
      : files.map((file) => ({ ...node(file, { build: ['all', 'build/tiny/aidash', 'build/lib/aidash.o'] }), alone: file.includes('load') })); // it measures
  },
  'e2e-asan': () => [...on('asan', /./, sanitized), ...library('asan', 'address,undefined')],
  'e2e-tsan': () => [...on('tsan', /./, sanitized), ...library('tsan', 'thread')],
  'e2e-poll': () => on('poll', /^(backpressure|contract|ingest|meter-control|meter-faults|rfc6455|slow|tls|meter-tls)\./),
  cross: () => {
    if (!'cross'.includes(only)) return [];
    const reason = refused('sh', '-c', boards.map((target) => `${make} -s TOOLCHAIN=${target} toolchain`).join(' && '));
    return reason ? [{ name: 'cross', skip: `not every target can be built and run here. ${reason}` }]
      : script('cross', boards.flatMap((target) => [target, `build/${target}/run`]), boards, 600);
  },
  'qemu-aarch64': shipped('qemu-aarch64', 'aarch64', /^(rfc6455|contract|ingest|http|cli|meter-replay|meter-engine|live)\./),
  'qemu-armv7': shipped('qemu-armv7', 'armv7', /^(rfc6455|contract|ingest|cli)\./),
  'qemu-armv6': shipped('qemu-armv6', 'armv6', /^(contract|cli)\./),
  'qemu-riscv64': shipped('qemu-riscv64', 'riscv64', /^(contract|cli)\./),
  x86_64: shipped('x86_64', 'x86_64', /^(contract|cli|meter-control)\./),
  'e2e-civetweb': () => {
    const other = otherCivetweb();
    const reason = refused(make, '-s', `build/deps/${other}/src/civetweb.c`);
    return reason ? [{ name: other, skip: `${other} can't be had here. ${reason}` }]
      : on(other, /^(cli|contract|http|meter-control|rfc6455)\./);
  },
};

// ---- running one command

// Older sanitizer runtimes can't place their shadow memory where addresses are randomised by more than 28 bits.
const randomBits = '/proc/sys/vm/mmap_rnd_bits';
const wrapper = existsSync(randomBits) && Number(readFileSync(randomBits, 'utf8')) > 28
  && spawnSync('setarch', ['-R', 'true']).status === 0 ? ['setarch', '-R'] : [];

// The shell tells at the end, on another channel, how much CPU time the command took.
const timed = ['sh', '-c', '"$@"; code=$?; times >&3; exit $code', 'sh'];
const cpuSeconds = (times) => [...(times.split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g)]
  .reduce((sum, [, minutes, seconds]) => sum + 60 * minutes + Number(seconds), 0);

const running = new Set();
const killGroup = (child) => { try { process.kill(-child.pid, 'SIGKILL'); } catch { /* it is gone */ } };
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => { running.forEach(killGroup); process.exit(130); });

/* Runs a command in a process group of its own, which is gone when this returns. */
function run(command, { env = {}, seconds, log }) {
  return new Promise((resolve) => {
    const [name, ...args] = [...timed, ...command];
    const child = spawn(name, args, { env: { ...environment, ...env }, stdio: ['ignore', 'pipe', 'pipe', 'pipe'], detached: true });
    const file = createWriteStream(log, { flags: 'a' });
    let output = '';
    let times = '';
    let late = false;
    const take = (data) => { output += data; file.write(data); };
    const timer = setTimeout(() => { late = true; killGroup(child); }, seconds * 1000);
    running.add(child);
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.stdio[3].on('data', (data) => { times += data; });
    // What a job leaves behind may hold its pipes open: the group ends with its leader, so that 'close' comes.
    child.on('exit', () => killGroup(child));
    child.on('close', (code) => {
      clearTimeout(timer);
      running.delete(child);
      file.end(() => resolve({ output, code: code ?? 128, late, cpu: cpuSeconds(times) }));
    });
  });
}

/* What a job printed: its sums, why it failed, what it left out. */
function read(output) {
  const [, passed, failed, skipped = 0] = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].at(-1) ?? [, 0, 0];
  return {
    passed: Number(passed),
    failed: Number(failed),
    skipped: Number(skipped),
    failures: [...output.matchAll(/^(?:not ok -|.*: FAILED) .*(?:\n {4}.*){0,25}/gm)].map(([text]) => text),
    reasons: [...output.matchAll(/^skipped: (.*)$/gm)].map(([, reason]) => reason),
  };
}

const tail = (text, n) => text.trimEnd().split('\n').slice(-n).join('\n');
const column = (number, unit) => `${number.toFixed(1).padStart(7)} ${unit}`;
const total = { passed: 0, failed: 0, skipped: 0, cpu: 0 };
const started = performance.now();

/* What may have failed because of what ran beside it: no crash, no signal, no sanitizer's report, no standstill. */
const mayBeChance = ({ output, code, late }, beside) => beside && !late && code > 0 && code < 66
  && !/Sanitizer|runtime error:|SIG(SEGV|ABRT|BUS|ILL|FPE)|core dumped|\bexit (null|66|1[23]\d)\b|exited with|Assertion .* failed\./.test(output);
const AGAIN = 3; // jobs that are run once more
const again = [];

/* Runs a job and counts what it says. One that failed beside others is run again at the end. */
async function runJob({ suite, ...job }, first) {
  if (job.skip) {
    total.skipped++;
    console.log(`skip  ${suite}  ${job.skip}`);
    return;
  }
  const log = path.join(logs, `${suite}-${job.name.replace(/[^\w.-]+/g, '-')}.log`);
  const began = performance.now();
  const built = job.build.length ? await run([make, '--no-print-directory', ...job.build], { seconds: 600, log }) : { code: 0, cpu: 0 };
  const { output, code, late, cpu } = built.code === 0 ? await run([...wrapper, ...job.command], { ...job, log }) : { ...built, cpu: 0 };
  const result = read(output);
  const nothing = result.passed + result.failed + result.skipped === 0;
  if (late || nothing || (code !== 0 && result.failed === 0)) {
    const why = built.code !== 0 ? 'was not built' : late ? `still ran after ${job.seconds} s`
      : `ended with code ${code}${nothing ? ' and without a result' : ''}`;
    result.failed++;
    result.failures.push(`${job.name} ${why}\n${tail(output, 30)}`);
  }
  const chance = result.failed > 0 && mayBeChance({ output, code, late: late || nothing || built.code !== 0 }, plan.length > 1 && !job.alone && !first);
  const later = chance && again.length < AGAIN;
  if (later) {
    again.push({ suite, ...job, said: result.failures.map((failure) => failure.split('\n')[0].slice(0, 200)) });
  } else {
    for (const key of ['passed', 'failed', 'skipped']) total[key] += result[key];
  }
  total.cpu += built.cpu + cpu;
  console.log(`${result.failed ? 'FAIL' : 'ok  '}  ${`${suite}  ${job.name}`.padEnd(44)} ${String(result.passed).padStart(4)} passed`
    + `${result.failed ? `, ${result.failed} failed` : ''}${result.skipped ? `, ${result.skipped} skipped` : ''}`.padEnd(24)
    + `${column((performance.now() - began) / 1000, 's')} ${column(built.cpu + cpu, 's of CPU')}`);
  for (const reason of result.reasons) console.log(`        skipped: ${reason}`);
  if (result.failed) {
    for (const failure of result.failures) console.log(failure.replace(/^.*/gm, (line) => `      | ${line.slice(0, 300)}`));
    console.log(`      | all of it: ${path.relative(root, log)}`);
    if (later) console.log('      | it is run again, alone, at the end');
  }
  return result.failed === 0;
}

/* Gives functions that tell the share of time in which the cores had nothing to do, since the call before. */
const spent = () => os.cpus().reduce(([idle, all], { times }) => [idle + times.idle, all + Object.values(times).reduce((a, b) => a + b)], [0, 0]);
function idleness() {
  let before = spent();
  return () => {
    const now = spent();
    const share = now[1] > before[1] ? (now[0] - before[0]) / (now[1] - before[1]) : 0;
    before = now;
    return share;
  };
}

/* Runs jobs: `least` at a time, and one more every second, up to `most`, as long as the cores are idle for more than this share. */
async function runAll(jobs, least, most, share) {
  const queue = [...jobs];
  const now = new Set();
  const idle = idleness();
  const start = () => {
    const job = runJob(queue.shift()).finally(() => now.delete(job));
    now.add(job);
  };
  for (let next = performance.now() + 1000; queue.length > 0 || now.size > 0;) {
    while (queue.length > 0 && now.size < least) start();
    let timer;
    await Promise.race([...now, ...(queue.length > 0 && now.size < most ? [new Promise((done) => { timer = setTimeout(done, next - performance.now()); })] : [])]);
    clearTimeout(timer);
    if (performance.now() >= next) {
      if (idle() > share && queue.length > 0 && now.size >= least && now.size < most) start();
      next = performance.now() + 1000;
    }
  }
}

// ---- all of it

const wanted = process.argv.slice(2).flatMap((arg) => arg.split(',')).filter(Boolean);
const unknown = wanted.filter((name) => !(name in suites));
if (unknown.length) {
  console.error(`no suite ${unknown.join(', ')}; there are: ${Object.keys(suites).join(', ')}`);
  process.exit(2);
}
mkdirSync(logs, { recursive: true });
for (const file of readdirSync(logs)) rmSync(path.join(logs, file));
const plan = (wanted.length ? wanted : Object.keys(suites)).flatMap((suite) => suites[suite]().map((job) => ({ suite, ...job })));

const targets = [...new Set(plan.flatMap(({ build = [] }) => build))];
if (targets.length > 0) {
  // All at once, on all cores. What fails here is made again by its job, which tells why.
  console.log(`building ${targets.length} target${targets.length > 1 ? 's' : ''}`);
  const built = await run([make, '--no-print-directory', '-k', `-j${cores}`, ...targets], { seconds: 1200, log: path.join(logs, 'builds.log') });
  total.cpu += built.cpu;
  console.log(`built${' '.repeat(78)}${column((performance.now() - started) / 1000, 's')} ${column(built.cpu, 's of CPU')}`);
}

// What mostly waits runs beside all others: the tests of the long limits, the soak, and files that take a minute and a second of CPU. Of
// the others, what has narrow limits of time comes first, one job a core; then what is slow or has no such limits, two a core, the
// longest jobs at the beginning and the shortest at the end; more where the cores are idle, as most tests wait; in the end, alone, what
// measures.
const waits = ({ suite, name }) => /^(e2e|bridges|soak)/.test(suite) && /\b(slow|soak|keys|alerts|energy|otlp|standstill)\b/.test(name);
const LONG = /^(package|lint|cross|qemu-aarch64|build|onefile|fuzz-sockets)$/;
const SHORT = /^(unit|corpus|alloc)$/;
const inTurn = (jobs) => [...jobs.filter(({ suite }) => LONG.test(suite)), ...jobs.filter(({ suite }) => !LONG.test(suite) && !SHORT.test(suite)),
  ...jobs.filter(({ suite }) => SHORT.test(suite))];
const waiting = plan.filter(waits);
const rest = plan.filter((job) => !waits(job));
await Promise.all([
  runAll([...waiting.filter((job) => job.narrow), ...waiting.filter((job) => !job.narrow)], 5 * cores, waiting.length, 0.2),
  (async () => {
    await runAll(rest.filter((job) => job.narrow && !job.alone), cores, 4 * cores, 0.4);
    await runAll(inTurn(rest.filter((job) => !job.narrow)), 2 * cores, 6 * cores, 0.2);
  })(),
]);
await runAll(rest.filter((job) => job.alone), 1, 1, 1);

// A test that fails beside others and passes alone says something about the test, or about a race: it is not passed over in silence.
for (const { said, ...job } of [...again]) {
  if (await runJob(job, true)) {
    console.log(`\n*** ${job.suite} ${job.name}: PASSED ALONE; beside others it failed:`);
    for (const failure of said) console.log(`***   ${failure}`);
    console.log('');
  }
}

console.log(`${Math.round((performance.now() - started) / 1000)} s, ${Math.round(total.cpu)} s of CPU`);
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped ? `, ${total.skipped} skipped` : ''}`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
