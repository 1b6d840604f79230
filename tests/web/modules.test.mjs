/* The page's modules: importing one has no side effect, and what index.html and app.js say of them is true. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';

const www = fileURLToPath(new URL('../../www/', import.meta.url));
const modules = readdirSync(www).filter((name) => name.endsWith('.js'));
const read = (name) => readFileSync(www + name, 'utf8');
const html = read('index.html');
const found = (pattern, text) => [...text.matchAll(pattern)].map(([, what]) => what);
const entries = found(/<script [^>]*src="\.\/([^"]+)"/g, html);
const preloads = found(/<link rel="modulepreload" href="\.\/([^"]+)">/g, html);

/* What each module imports, at once or later; imports of types alone are comments, and none of these. */
const imports = new Map(modules.map((name) => [name,
  ts.preProcessFile(read(name), true, true).importedFiles.map(({ fileName }) => fileName.replace(/^\.\//, ''))]));
const UPLOT = 'uplot';

/* The modules, and a uPlot that does nothing, in a directory of their own. */
let copy;
before(() => {
  copy = mkdtempSync(path.join(os.tmpdir(), 'aidash-modules-'));
  for (const name of modules) cpSync(www + name, path.join(copy, name));
  mkdirSync(path.join(copy, 'node_modules', UPLOT), { recursive: true });
  writeFileSync(path.join(copy, 'node_modules', UPLOT, 'index.js'), 'export default class {}\n');
  writeFileSync(path.join(copy, 'node_modules', UPLOT, 'package.json'), '{"type":"module","exports":"./index.js"}');
  writeFileSync(path.join(copy, 'package.json'), '{"type":"module"}');
});
after(() => rmSync(copy, { recursive: true }));

/* Whatever a module could act on. Each is a trap while `run` runs: to touch it is an error, and is noted, so that neither
 * `typeof`, `?.` nor `catch` hides it. A name that is not here and not in plain node is an error by itself. */
const TRAPS = ['window', 'document', 'location', 'navigator', 'localStorage', 'sessionStorage', 'matchMedia', 'getComputedStyle',
  'devicePixelRatio', 'addEventListener', 'removeEventListener', 'dispatchEvent', 'WebSocket', 'EventSource', 'fetch', 'Notification',
  'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'requestAnimationFrame', 'Worker', 'BroadcastChannel', 'console'];

async function touched(run) {
  const names = [];
  const kept = TRAPS.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  for (const name of TRAPS) {
    Object.defineProperty(globalThis, name, { configurable: true, get() { names.push(name); throw new Error(`${name} was touched`); } });
  }
  try {
    await run();
  } catch (error) {
    names.push(error.message);
  } finally {
    for (const [name, descriptor] of kept) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else delete globalThis[name];
    }
  }
  return names;
}

const load = (name) => import(pathToFileURL(path.join(copy, name)));

test('importing a module has no side effect', async () => {
  const known = new Set(Object.getOwnPropertyNames(globalThis));
  const passive = modules.filter((name) => !entries.includes(name));
  assert.ok(passive.length > 20);
  for (const name of passive) {
    assert.deepEqual(await touched(() => load(name)), [], name);
  }
  assert.deepEqual(Object.getOwnPropertyNames(globalThis).filter((name) => !known.has(name)), []);
});

test('the scripts of index.html are the only modules that act, and no module imports them', async () => {
  assert.deepEqual(entries, ['theme.js', 'app.js']);
  for (const name of entries) {
    assert.notDeepEqual(await touched(() => load(name)), [], `${name} acts, and the traps see it`);
  }
  for (const [name, imported] of imports) {
    assert.deepEqual(imported.filter((one) => entries.includes(one)), [], name);
  }
});

/* What a script imports, at once or later. ts.preProcessFile() loses its way in minified ones. */
function importedBy(text) {
  const found = [];
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) found.push(node.moduleSpecifier.text);
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword && ts.isStringLiteralLike(node.arguments[0])) found.push(node.arguments[0].text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('script.js', text, ts.ScriptTarget.Latest));
  return found;
}

/* The modules are put together into a few files, which index.html preloads: no script waits for another. */
test('index.html preloads exactly the files that its scripts reach', () => {
  const bundle = (name) => readFileSync(`${www}../build/www/${name}`, 'utf8');
  const reached = new Set(entries);
  for (const name of reached) {
    for (const file of importedBy(bundle(name))) reached.add(file.replace(/^\.\//, ''));
  }
  assert.deepEqual([...preloads].sort(), [...reached].filter((name) => !entries.includes(name)).sort());
});

/* What a browser loads of the page's own. A licence, and how the client is used, stand at a file's head. */
test('the page is embedded without comments', () => {
  for (const [name, heads] of [['app.js', 0], ['theme.js', 0], ['aidash-client.js', 1]]) {
    const text = readFileSync(`${www}../build/www/${name}`, 'utf8');
    const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest);
    const comments = new Set();
    const visit = (node) => {
      for (const { pos } of ts.getLeadingCommentRanges(text, node.pos) ?? []) comments.add(pos);
      for (const { pos } of ts.getTrailingCommentRanges(text, node.end) ?? []) comments.add(pos);
      ts.forEachChild(node, visit);
    };
    visit(source);
    assert.equal(comments.size, heads, name);
  }
  assert.doesNotMatch(readFileSync(`${www}../build/www/style.css`, 'utf8'), /\/\*/);
});

test('uPlot keeps its licence', () => {
  assert.match(readFileSync(`${www}../build/www/uplot.js`, 'utf8'), /\/\*!\nThe MIT License \(MIT\)[^]{900,1300}?\*\//);
});

test('the client for other pages tells how it is used', () => {
  assert.match(readFileSync(`${www}../build/www/aidash-client.js`, 'utf8'), /^\/\*\*[^]+new AidashClient\(/);
});

/* The PNG icons are no part of what a browser loads with the page: it fetches them when somebody installs it. Nor is what the help
 * leads to. */
test('the page is at most 90 kB, as it is embedded, its PNG icons at most 11 kB, and the page about its numbers 6 kB', () => {
  const header = readFileSync(`${www}../build/aidash_www.h`, 'utf8');
  const all = [...header.matchAll(/^\/\* (\S+): \d+ bytes, (\d+) here \*\/$/gm)];
  const sizes = all.filter(([, name]) => name !== '/contract.json' && name !== '/measure.html');
  assert.ok(Number(all.find(([, name]) => name === '/measure.html')[2]) <= 6_000);
  const sum = (files) => files.reduce((all, [, , bytes]) => all + Number(bytes), 0);
  const icons = sizes.filter(([, name]) => name.endsWith('.png'));
  const page = sizes.filter((file) => !icons.includes(file));
  assert.ok(page.some(([, name]) => name === '/app.js'));
  assert.ok(sum(page) <= 90_000, `${sum(page)} bytes`);
  assert.equal(icons.length, 4);
  assert.ok(sum(icons) <= 11_000, `${sum(icons)} bytes`);
});

test('each part of the page has its section in the page about its numbers, which needs nothing else', () => {
  const text = readFileSync(`${www}../build/www/measure.html`, 'utf8');
  const ids = new Set(found(/ id="([^"]+)"/g, text));
  const wanted = [...found(/data-measure="([^"]+)"/g, html), ...found(/<a href="#([^"]+)"/g, text)];
  assert.ok(wanted.length > 6);
  assert.deepEqual(wanted.filter((id) => !ids.has(id)), []);
  assert.deepEqual(found(/<a href="([^#][^"]*)"/g, text), [], 'other files are not served');
  assert.doesNotMatch(text.replace(/<[^>]*>/g, ''), /[`]|\]\(|\*\*|&(?!(amp|lt);)/, 'all of its Markdown is understood');
});

test('every text is used, and has one name', () => {
  const names = found(/^export const (\w+) =/gm, read('texts.js'));
  assert.deepEqual(names.filter((name, i) => names.indexOf(name) !== i), []);
  const used = new Set([...found(/\{\{(\w+)\}\}/g, html + readFileSync(`${www}manifest.webmanifest`, 'utf8')),
    ...modules.flatMap((name) => found(/\btexts\.(\w+)/g, read(name)))]);
  assert.deepEqual(names.filter((name) => !used.has(name)), []);
});

test('every module is reached, every import exists, and none is circular', () => {
  const order = [];
  const visit = (name, way) => {
    assert.ok(!way.includes(name), [...way, name].join(' -> '));
    if (order.includes(name)) return;
    assert.ok(name === UPLOT || imports.has(name), `${way.at(-1)} imports ${name}`);
    for (const one of imports.get(name) ?? []) visit(one, [...way, name]);
    order.push(name);
  };
  for (const name of entries) visit(name, []);
  assert.deepEqual(order.filter((name) => name !== UPLOT).sort(), [...modules].sort());
});

test('the map in app.js names every other module once', () => {
  const rows = found(/^ \* {3}((?:[\w-]+, )*[\w-]+) {2,}\S/gm, read('app.js').split('*/')[0]);
  const named = rows.flatMap((row) => row.split(', ')).map((name) => `${name}.js`);
  assert.deepEqual(named.sort(), modules.filter((name) => name !== 'app.js').sort());
});

/* docs/deploy.md names the oldest browsers. tsconfig.json leaves newer parts of the language's library out of the types; the browser
 * suite takes newer APIs of the browser away. This is the syntax. */
test('the page has no syntax that its oldest browsers do not know', () => {
  for (const name of modules) {
    const source = ts.createSourceFile(name, read(name), ts.ScriptTarget.Latest);
    const visit = (node) => {
      assert.notEqual(node.kind, ts.SyntaxKind.ClassStaticBlockDeclaration, `${name}: static {} is of Safari 16.4`);
      if (ts.isRegularExpressionLiteral(node)) {
        assert.doesNotMatch(node.text, /\(\?<[=!]/, `${name}: ${node.text}: lookbehind is of Safari 16.4`);
        assert.doesNotMatch(node.text, /\/[a-z]*[dv][a-z]*$/, `${name}: ${node.text}: the flags d and v are newer`);
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  assert.doesNotMatch(read('style.css'), /:has\(|@container|@layer|color-mix\(|@scope|\blight-dark\(/);
});
