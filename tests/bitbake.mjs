/* What BitBake does with a recipe, as far as examples/yocto needs it: reads it strictly, expands its variables, unpacks SRC_URI,
 * compares LIC_FILES_CHKSUM, runs do_compile and do_install by sh -e, and looks whether every installed file is in a package.
 *
 *   node tests/bitbake.mjs RECIPE RELEASE OUT [NAME=VALUE...]    the tarball is in RELEASE; files go to OUT/image
 *
 * The NAME=VALUEs are as if from local.conf. What a recipe may have and this does not know is an error, not passed over. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';

/* Variables that a recipe sets for OE-Core; ${PN} stands for the package's name in an override. */
const KNOWN = /^(SUMMARY|DESCRIPTION|SECTION|LICENSE|LIC_FILES_CHKSUM|SRC_URI|PACKAGECONFIG|(SYSTEMD_SERVICE|CONFFILES):\$\{PN\}|AIDASH_\w+)$/;

/* A recipe's statements: { set: Map of NAME or NAME[FLAG] to { op, value }, inherits, functions: Map }. */
export function parse(text, file) {
  const recipe = { set: new Map(), inherits: [], functions: new Map() };
  const lines = text.split('\n');
  assert.equal(lines.pop(), '', `${file}: no newline at the end`);
  for (let i = 0; i < lines.length; i++) {
    const at = `${file}:${i + 1}`;
    let line = lines[i];
    if (line === '' || line.startsWith('#')) {
      assert.ok(!/\\$/.test(line), `${at}: a comment that goes on`);
      continue;
    }
    const body = line.match(/^(do_\w+)\(\) \{$/);
    if (body) {
      const start = i + 1;
      do {
        i++;
        assert.ok(i < lines.length, `${at}: a function that does not end`);
      } while (lines[i] !== '}');
      assert.ok(!recipe.functions.has(body[1]), `${at}: ${body[1]} is there twice`);
      recipe.functions.set(body[1], lines.slice(start, i).join('\n'));
      continue;
    }
    while (line.endsWith('\\')) {
      i++;
      assert.ok(i < lines.length && lines[i] !== '', `${at}: it goes on with nothing`);
      line = line.slice(0, -1) + lines[i];
    }
    const inherit = line.match(/^inherit ([\w -]+)$/);
    if (inherit) {
      recipe.inherits.push(...inherit[1].split(' '));
      continue;
    }
    const assignment = line.match(/^([A-Z][\w:${}]*)(\[\w+\])? (=|\?=) ("[^"]*"|'[^']*')$/);
    assert.ok(assignment, `${at}: not understood: ${line}`);
    const [, name, flag = '', op, quoted] = assignment;
    assert.match(name, KNOWN, `${at}: ${name} is no variable that is known`);
    assert.ok(!recipe.set.has(name + flag), `${at}: ${name}${flag} is set twice`);
    recipe.set.set(name + flag, { op, value: quoted.slice(1, -1) });
  }
  return recipe;
}

/* Replaces each ${NAME} and ${@bb.utils.contains('VARIABLE', 'WORD', 'YES', 'NO', d)}; what is not defined is an error. */
export function expander(variables) {
  const expand = (text, within = []) => text
    .replace(/\$\{@bb\.utils\.contains\('(\w+)', '([^']*)', '([^']*)', '([^']*)', d\)\}/g,
      (_, name, word, yes, no) => (expand(`\${${name}}`, within).split(/\s+/).includes(word) ? yes : no))
    .replace(/\$\{([^}]*)\}/g, (_, name) => {
      assert.ok(variables.has(name), `\${${name}} is not defined`);
      assert.ok(!within.includes(name), `\${${name}} is made of itself`);
      return expand(variables.get(name), [...within, name]);
    });
  return expand;
}

/* All that is below a directory, from "/". */
const files = (directory, at = '/') => readdirSync(path.join(directory, at), { withFileTypes: true })
  .flatMap((entry) => (entry.isDirectory() ? files(directory, path.join(at, entry.name)) : [path.join(at, entry.name)]));

/* What OE-Core's FILES have of a program and its service. */
const PACKAGED = ['/usr/bin/', '/etc/', '/usr/share/man/', '/usr/lib/systemd/system/'];

function build(file, release, out, settings) {
  const recipe = parse(readFileSync(file, 'utf8'), file);
  const [, name, version] = path.basename(file).match(/^([a-z]+)_(\d+\.\d+\.\d+)\.bb$/) ?? assert.fail(`${file}: not NAME_VERSION.bb`);
  const work = path.resolve(out);
  const variables = new Map(Object.entries({
    PN: name, BPN: name, PV: version, BP: `${name}-${version}`, WORKDIR: work, S: path.join(work, `${name}-${version}`), D: path.join(work, 'image'),
    prefix: '/usr', bindir: '/usr/bin', sysconfdir: '/etc', mandir: '/usr/share/man', systemd_system_unitdir: '/usr/lib/systemd/system',
    CC: process.env.CC || 'cc', CPPFLAGS: '', DISTRO_FEATURES: 'systemd',
    // as OE-Core's with security_flags.inc
    CFLAGS: `-O2 -g -pipe -feliminate-unused-debug-types -ffile-prefix-map=${work}=/usr/src/debug -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wformat -Wformat-security -Werror=format-security`,
    LDFLAGS: '-Wl,-O1 -Wl,--hash-style=gnu -Wl,--as-needed -Wl,-z,relro,-z,now',
  }));
  for (const setting of settings) variables.set(...setting.match(/^(\w+)=(.*)$/s).slice(1));
  for (const [key, { op, value }] of recipe.set) {
    if (op === '=' || !variables.has(key)) variables.set(key, value);
  }
  const expand = expander(variables);
  for (const [key, { value }] of recipe.set) expand(`${key}${value}`);
  for (const needed of ['SUMMARY', 'LICENSE', 'LIC_FILES_CHKSUM', 'SRC_URI']) assert.ok(recipe.set.has(needed), `${file}: no ${needed}`);
  const licences = expand('${LICENSE}').split(' & ');
  for (const each of licences) assert.ok(['MIT', 'Zlib', 'PD'].includes(each), `${each} is no licence that OE-Core knows`);

  // SRC_URI: one tarball of the release
  rmSync(work, { recursive: true, force: true });
  mkdirSync(variables.get('D'), { recursive: true });
  const [, tarball, parameters] = expand('${SRC_URI}').match(/^file:\/\/([\w.-]+);(.*)$/) ?? assert.fail(`SRC_URI: ${expand('${SRC_URI}')}`);
  const { subdir, striplevel, ...others } = Object.fromEntries(parameters.split(';').map((each) => each.split('=')));
  assert.deepEqual(others, {}, 'parameters of SRC_URI');
  assert.ok(existsSync(path.join(release, tarball)), `${release} has no ${tarball}`);
  const sh = (script, cwd) => {
    const { status, stdout, stderr } = spawnSync('sh', ['-e'], { cwd, input: script, encoding: 'utf8' });
    assert.equal(status, 0, `${script}\n${stdout}${stderr}`);
    return stdout + stderr;
  };
  mkdirSync(path.join(work, subdir), { recursive: true });
  sh(`tar -xzf '${path.resolve(release, tarball)}' --no-same-owner --strip-components=${striplevel} -C '${path.join(work, subdir)}'`);

  for (const entry of expand('${LIC_FILES_CHKSUM}').split(' ')) {
    const [, licence, md5] = entry.match(/^file:\/\/([\w.]+);md5=([0-9a-f]{32})$/) ?? assert.fail(`LIC_FILES_CHKSUM: ${entry}`);
    assert.equal(createHash('md5').update(readFileSync(path.join(variables.get('S'), licence))).digest('hex'), md5, licence);
  }

  assert.deepEqual([...recipe.functions.keys()], ['do_compile', 'do_install']);
  for (const task of recipe.functions.keys()) {
    const said = sh(expand(recipe.functions.get(task)), variables.get('S'));
    assert.equal(said, '', `${task} says something`);
  }

  // What bitbake's own checks look for: each file in a package, none that names the build, a unit that systemd.bbclass finds.
  const installed = files(variables.get('D'));
  for (const each of installed) {
    assert.ok(PACKAGED.some((directory) => each.startsWith(directory)), `${each} is in no package`);
    assert.ok(!readFileSync(path.join(variables.get('D'), each)).includes(work), `${each} names the directory of the build`);
  }
  for (const each of expand(variables.get('CONFFILES:${PN}')).split(' ')) assert.ok(installed.includes(each), `${each} is not there`);
  assert.deepEqual(recipe.inherits, ['systemd']);
  const unit = path.join(variables.get('systemd_system_unitdir'), variables.get('SYSTEMD_SERVICE:${PN}'));
  const systemd = expand('${DISTRO_FEATURES}').split(' ').includes('systemd');
  assert.equal(installed.includes(unit), systemd, `${unit}: ${installed}`);
  if (systemd) {
    for (const [, program, config] of readFileSync(path.join(variables.get('D'), unit), 'utf8').matchAll(/^ExecStart=(\S+) --config (\S+)$/gm)) {
      assert.ok(installed.includes(program) && installed.includes(config), `the service starts ${program} with ${config}`);
    }
  }
  console.log(installed.sort().join('\n'));
}

const [file, release, out, ...settings] = process.argv.slice(2);
if (file) build(file, release, out, settings);
