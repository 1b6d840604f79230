/* Runs the test suites and sums them up: one line a program or file, what failed with its reasons, full logs in
 * build/test-logs/, and at the end, alone on a line, "N passed, N failed" (", N skipped" when there are any). Exits 1 if
 * anything failed or nothing ran.
 *
 *   node tests/run.mjs [SUITE...]     all suites by default; environment: TEST (only files whose name contains it),
 *                                     MAKE, CC
 *
 * A suite is a list of jobs. A job builds its make targets, then runs a command that either prints "N passed, N failed"
 * or, for a file of node's test runner, TAP. Files named *.native.test.mjs run on the ordinary build alone, and
 * *.full.test.mjs are left out of the builds that differ in one thing (poll instead of epoll, another civetweb).
 */
import { spawn, spawnSync } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const logs = path.join(root, 'build/test-logs');
const only = process.env.TEST ?? '';
const make = process.env.MAKE || 'make';
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

const node = (file, variant, { slow = 1, env = {}, build = [], bin = variant === 'native' ? 'build/aidash' : `build/${variant}/aidash` } = {}) => ({
  name: `${variant === 'native' ? '' : `${variant}: `}${path.basename(file, '.test.mjs')}`,
  build,
  command: [process.execPath, '--test-reporter=tap', file],
  env: {
    ...env,
    AIDASH_VARIANT: variant,
    AIDASH_BIN: path.resolve(bin),
    ...(slow > 1 ? { AIDASH_SLOW: String(slow) } : {}),
  },
  seconds: 180 * slow,
});

// End-to-end tests wait more than they compute, so several run at a time; those of the long limits wait most and come first.
const on = (variant, without, options) => () => list('tests/e2e', /\.test\.mjs$/)
  .filter((file) => !without.some((kind) => file.includes(`.${kind}.`)))
  .sort((a, b) => b.includes('slow') - a.includes('slow'))
  .map((file) => ({
    ...node(file, variant, { build: [`build/${variant}/aidash`], ...options }),
    ...(variant === 'native' ? {} : { lanes: 3 }),
  }));

const program = (source, target, args = []) => ({
  name: path.basename(target),
  build: [target],
  command: [path.resolve(target), ...args],
  seconds: 300,
});

// examples/firmware, built by make and by CMake for this machine, and by make for another.
const firmware = (file) => [
  ['firmware', 'build/firmware/firmware', [], []],
  ['firmware by cmake', 'build/firmware-cmake/firmware', [], ['sh', 'toolchains/fetch.sh', 'need', 'cmake']],
  ['firmware for aarch64', 'build/aarch64/firmware/firmware', ['qemu-aarch64-static'],
    ['sh', '-c', `${make} -s TOOLCHAIN=aarch64 toolchain && sh toolchains/fetch.sh need qemu-aarch64-static`]],
].map(([name, target, runner, needs]) => {
  const reason = needs.length && refused(...needs);
  return reason ? { name, skip: `${name} can't be built and run here. ${reason}` } : {
    ...node(file, 'native', { slow: runner.length ? 5 : 1, build: [target], env: { FIRMWARE: [...runner, path.resolve(target)].join(' ') } }),
    name,
  };
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
 * files of its pattern, which together touch everything once; asked for by name, it takes them all. */
const shipped = (suite, target, pattern) => () => {
  const options = { slow: 5, build: [target, `build/${target}/run`], bin: `build/${target}/run` };
  const page = list('tests/browser', /^live\./).map((file) => ({ ...node(file, target, options), lanes: 3, page: true }));
  const jobs = [...page, ...on(target, ['native'], options)()].filter(({ name }) => wanted.includes(suite) || pattern.test(name));
  const reason = jobs.length && refused(make, '-s', `TOOLCHAIN=${target}`, 'toolchain');
  if (reason) return [{ name: target, skip: `${target} can't be built or run here. ${reason}` }];
  const lacking = jobs.some((job) => job.page) && noBrowser();
  return lacking ? [{ name: target, skip: `no browser to test the page of ${target} in. ${lacking}` }, ...jobs.filter((job) => !job.page)]
    : jobs;
};

const boards = readdirSync('toolchains').filter((name) => name.endsWith('.mk')).map((name) => path.basename(name, '.mk'));

const sanitizers = {
  ASAN_OPTIONS: 'detect_leaks=1:abort_on_error=0:exitcode=66',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  TSAN_OPTIONS: `halt_on_error=0:exitcode=66:second_deadlock_stack=1:suppressions=${path.join(root, 'tests/tsan.supp')}`,
};

const suites = {
  lint: () => [{ name: 'lint', build: ['build/compile', 'build/aidash_www.h'], command: ['sh', 'tests/lint.sh'], seconds: 300 }],
  docs: () => list('tests', /^docs\.test\.mjs$/)
    .map((file) => ({ ...node(file, 'native', { build: ['all', 'amalgamation', 'build/gateway/aidash', 'build/lib/aidash.o'] }), seconds: 600 })),
  build: () => [{ name: 'build', build: [], command: ['sh', 'tests/build.test.sh'], seconds: 300 }],
  onefile: () => [{
    name: 'onefile', build: ['amalgamation', 'build/compile'], command: ['sh', 'tests/onefile.test.sh'], seconds: 300,
  }],
  'e2e-onefile': () => on('onefile', ['native', 'full'], { slow: 1 })()
    .filter(({ name }) => /contract|rfc6455/.test(name)),
  package: () => [{ name: 'package', build: [], command: ['sh', 'tests/package.test.sh'], seconds: 600 }],
  unit: () => list('tests', /^unit_.*\.c$/).map((file) => program(file, `build/unit/${named(file, 'unit_')}`)),
  corpus: () => list('tests', /^fuzz_(?!replay).*\.c$/).map((file) => program(file,
    `build/replay/${named(file, 'fuzz_')}`, [`tests/corpus/${named(file, 'fuzz_')}`])),
  alloc: () => list('tests', /^alloc_count\.c$/).map((file) => program(file, 'build/alloc_count')),
  web: () => list('tests/web', /\.test\.mjs$/).map((file) => node(file, 'native')),
  e2e: () => on('native', [], { build: ['all'] })(),
  firmware: () => list('tests/embed', /^firmware\.test\.mjs$/).flatMap(firmware),
  sizes: () => list('tests/embed', /^sizes\.test\.mjs$/)
    .map((file) => node(file, 'native', { build: ['all', ...['tiny/aidash', 'gateway/aidash', 'bare/aidash', 'bench/load'].map((file) => `build/${file}`)] })),
  browser: () => {
    const files = list('tests/browser', /\.test\.mjs$/);
    const reason = files.length && noBrowser();
    return reason ? [{ name: 'browser', skip: `no browser to test the page in. ${reason}` }]
      : files.map((file) => ({ ...node(file, 'native', { build: ['all'] }), ...(file.includes('load') ? { lanes: 1 } : {}) })); // it measures
  },
  'e2e-asan': on('asan', ['native'], { slow: 5, env: sanitizers }),
  'e2e-tsan': on('tsan', ['native'], { slow: 5, env: sanitizers }),
  'e2e-poll': on('poll', ['native', 'full'], { slow: 5 }),
  cross: () => {
    if (!'cross'.includes(only)) return [];
    const reason = refused('sh', '-c', boards.map((target) => `${make} -s TOOLCHAIN=${target} toolchain`).join(' && '));
    return reason ? [{ name: 'cross', skip: `not every target can be built and run here. ${reason}` }]
      : [{ name: 'cross', build: boards.flatMap((target) => [target, `build/${target}/run`]),
        command: ['sh', 'tests/cross.test.sh', ...boards], seconds: 600 }];
  },
  'qemu-aarch64': shipped('qemu-aarch64', 'aarch64', /: (rfc6455|contract|ingest|http|cli|meter-replay|meter-engine|live)\b/),
  'qemu-armv7': shipped('qemu-armv7', 'armv7', /: (rfc6455|contract|ingest|cli)\b/),
  'qemu-armv6': shipped('qemu-armv6', 'armv6', /: (contract|cli)\b/),
  'qemu-riscv64': shipped('qemu-riscv64', 'riscv64', /: (contract|cli)\b/),
  x86_64: shipped('x86_64', 'x86_64', /: (contract|cli|meter-control)\b/),
  'e2e-civetweb': () => {
    const other = otherCivetweb();
    const reason = refused(make, '-s', `build/deps/${other}/src/civetweb.c`);
    return reason ? [{ name: other, skip: `${other} can't be had here. ${reason}` }]
      : on(other, ['native', 'full'], { slow: 5 })().filter(({ name }) => !name.includes('faults')); // civetweb has no part in those
  },
};

// ---- running one command

// Older sanitizer runtimes can't place their shadow memory where addresses are randomised by more than 28 bits.
const randomBits = '/proc/sys/vm/mmap_rnd_bits';
const wrapper = existsSync(randomBits) && Number(readFileSync(randomBits, 'utf8')) > 28
  && spawnSync('setarch', ['-R', 'true']).status === 0 ? ['setarch', '-R'] : [];

const running = new Set();
const killAll = () => running.forEach((child) => { try { process.kill(-child.pid, 'SIGKILL'); } catch { /* gone */ } });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => { killAll(); process.exit(130); });

/* Runs a command in a process group of its own, which is gone when this returns. */
function run(command, { env = {}, seconds, log }) {
  return new Promise((resolve) => {
    const child = spawn(command[0], command.slice(1),
      { env: { ...environment, ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const file = createWriteStream(log, { flags: 'a' });
    let output = '';
    let late = false;
    const take = (data) => { output += data; file.write(data); };
    const timer = setTimeout(() => { late = true; process.kill(-child.pid, 'SIGKILL'); }, seconds * 1000);
    const end = (code) => {
      clearTimeout(timer);
      running.delete(child);
      try { process.kill(-child.pid, 'SIGKILL'); } catch { /* none of the group is left, as it should be */ }
      file.end(() => resolve({ output, code, late }));
    };
    running.add(child);
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', (error) => { take(`${error.message}\n`); end(127); });
    // What a job leaves behind may hold its pipes open: the group ends with its leader, so that 'close' comes.
    child.on('exit', () => { try { process.kill(-child.pid, 'SIGKILL'); } catch { /* as above */ } });
    child.on('close', (code) => end(code ?? 128));
  });
}

// ---- reading what it printed

function readTap(output) {
  const count = (word) => Number(output.match(new RegExp(`^# ${word} (\\d+)$`, 'm'))?.[1] ?? 0);
  const lines = output.split('\n');
  const failures = [];
  for (let i = 0; i < lines.length; i++) {
    if (!/^\s*not ok /.test(lines[i])) continue;
    // The diagnosis is a YAML block; what matters in it is the error and where.
    const block = lines.slice(i + 1, i + 40);
    const to = block.findIndex((line) => /^\s*\.\.\.$/.test(line));
    const text = block.slice(1, to < 0 ? undefined : to);
    if (text.some((line) => /subtestsFailed/.test(line))) continue; // its parts are listed themselves
    const wanted = text.filter((line) => !/duration_ms|type:|failureType|code:|name:|^\s*---/.test(line));
    failures.push([lines[i].trim(), ...wanted.slice(0, 18)].join('\n'));
  }
  return {
    passed: count('pass'),
    failed: count('fail') + count('cancelled'),
    skipped: count('skipped') + count('todo'),
    failures,
    reasons: [...output.matchAll(/^\s*ok \d+ - (.*) # SKIP ?(.*)$/gm)].map((m) => `${m[1]}${m[2] && `: ${m[2]}`}`),
  };
}

function readCounts(output) {
  const lines = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)];
  const [, passed = 0, failed = 0, skipped = 0] = lines.at(-1) ?? [];
  return {
    passed: Number(passed),
    failed: Number(failed),
    skipped: Number(skipped),
    failures: failed > 0 ? [output.split('\n').filter((line) => /fail|not ok|error/i.test(line)).slice(0, 40).join('\n')] : [],
    reasons: [...output.matchAll(/^skip(?:ped)?:? (.*)$/gm)].map((m) => m[1]),
  };
}

const tail = (text, n) => text.trimEnd().split('\n').slice(-n).join('\n');

async function runJob(suite, job) {
  const log = path.join(logs, `${suite}-${job.name.replace(/[^\w.-]+/g, '-')}.log`);
  const started = Date.now();
  let result;
  if (job.skip) {
    console.log(`skip  ${suite}  ${job.skip}`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const failed = (why, output) => ({ passed: 0, failed: 1, skipped: 0, reasons: [], failures: [`${why}\n${tail(output, 30)}`] });
  const built = job.build.length
    ? await run([make, '--no-print-directory', ...job.build], { seconds: 600, log }) : { code: 0 };
  if (built.code !== 0) {
    result = failed(`${job.name} was not built`, built.output);
  } else {
    const { output, code, late } = await run([...wrapper, ...job.command], { ...job, log });
    result = job.command.includes('--test-reporter=tap') ? readTap(output) : readCounts(output);
    const none = result.passed + result.failed + result.skipped === 0;
    if (late || none || (code !== 0 && result.failed === 0)) {
      const why = late ? `still ran after ${job.seconds} s` : `ended with code ${code}${none ? ' and without a result' : ''}`;
      result.failed += 1;
      result.failures.push(`${job.name} ${why}\n${tail(output, 30)}`);
    }
  }
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${result.failed ? 'FAIL' : 'ok  '}  ${`${suite}  ${job.name}`.padEnd(44)} ${String(result.passed).padStart(4)} passed`
    + `${result.failed ? `, ${result.failed} failed` : ''}${result.skipped ? `, ${result.skipped} skipped` : ''}`.padEnd(24)
    + `${seconds.padStart(7)} s`);
  for (const reason of result.reasons) console.log(`        skipped: ${reason}`);
  if (result.failed) {
    for (const failure of result.failures) console.log(failure.replace(/^.*/gm, (line) => `      | ${line.slice(0, 300)}`));
    console.log(`      | all of it: ${path.relative(root, log)}`);
  }
  return result;
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
const plan = (wanted.length ? wanted : Object.keys(suites)).flatMap((suite) => suites[suite]().map((job) => ({ suite, job })));
const targets = [...new Set(plan.flatMap(({ job }) => job.build ?? []))];
if (targets.length > 1) {
  // All at once, on all cores. What fails here is made again by its job, which tells why.
  console.log(`building ${targets.length} targets`);
  await run([make, '--no-print-directory', '-k', `-j${os.availableParallelism?.() ?? os.cpus().length}`, ...targets],
    { seconds: 1200, log: path.join(logs, 'builds.log') });
}
const total = { passed: 0, failed: 0, skipped: 0 };
// A job takes a part of the machine: as much as leaves room for so many (`lanes`) of its kind.
const LANES = 2;
const queue = plan.sort((a, b) => (a.job.lanes ?? LANES) - (b.job.lanes ?? LANES));
let free = 1;
await new Promise((done) => {
  let under = 0;
  const next = () => {
    while (queue.length && 1 / (queue[0].job.lanes ?? LANES) <= free + 1e-9) {
      const { suite, job } = queue.shift();
      free -= 1 / (job.lanes ?? LANES);
      under++;
      runJob(suite, job).then((result) => {
        for (const key of Object.keys(total)) total[key] += result[key];
        free += 1 / (job.lanes ?? LANES);
        under--;
        next();
      });
    }
    if (!queue.length && under === 0) done();
  };
  next();
});
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped ? `, ${total.skipped} skipped` : ''}`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
