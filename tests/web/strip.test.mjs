/* www/strip.awk changes how long the page's files are, not what they do. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const www = fileURLToPath(new URL('../../www/', import.meta.url));
const strip = (text, { keep = 0, css = 0 } = {}) => execFileSync('awk',
    ['-v', `keep=${keep}`, '-v', `css=${css}`, '-f', `${www}strip.awk`], { input: text, encoding: 'utf8' });

/* The nodes and tokens of a script, as the compiler reads them. */
function code(text) {
    const source = ts.createSourceFile('x.js', text, ts.ScriptTarget.ESNext, true);
    assert.deepEqual(source.parseDiagnostics.map(({ messageText, start }) => `${messageText}: ${text.slice(start, start + 80)}`), []);
    const nodes = [];
    const visit = (node) => {
        const parts = node.getChildren(source).filter((part) => !ts.isJSDoc(part));
        nodes.push(`${ts.SyntaxKind[node.kind]} ${parts.length ? '' : node.getText(source)}`);
        parts.forEach(visit);
    };
    visit(source);
    return nodes;
}

test('the stripped scripts are the same code', () => {
    const scripts = readdirSync(www).filter((name) => name.endsWith('.js'));
    assert.ok(scripts.length > 5);
    for (const name of scripts) {
        const text = readFileSync(www + name, 'utf8');
        const stripped = strip(text);
        assert.deepEqual(code(stripped), code(text), name);
        assert.doesNotMatch(stripped, /^\s*(\/\/|\/\*)/m, `${name} still has comments`);
    }
});

/* A style sheet without comments and without the spaces that mean nothing. */
const rules = (text) => text.replace(/\/\*[^]*?\*\//g, '').replace(/\s+/g, ' ').replace(/ ?([{};:,]) ?/g, '$1').trim();

test('the stripped style sheet has the same rules', () => {
    const text = readFileSync(`${www}style.css`, 'utf8');
    assert.equal(rules(strip(text, { css: 1 })), rules(text));
    assert.equal(strip('a > b { margin: calc(1px + 2px); }\n/* x */\n.a .b,\n.c { color: red }\n', { css: 1 }),
        'a > b{margin:calc(1px + 2px);}\n.a .b,.c{color:red}\n');
});

test('comments go; what looks like a comment in a text stays', () => {
    assert.equal(strip('// one\n/* two */\n/**\n * three\n */ a()\n  b() // beside\n\n  /* four */ c("/* text */")\nd("x; // y") // "z"\n'),
        'a()\nb()\nc("/* text */")\nd("x; // y")\n');
    assert.equal(strip('for (const a of /** @type {const} */ (["x"])) {\n'), 'for(const a of(["x"])){');
});

test('spaces go where they mean nothing', () => {
    for (const [text, stripped] of [
        ['const a = { b: "c = d, e", f };', 'const a={b:"c = d, e",f};'],
        ['return a - -b + +c - d;', 'return a- -b+ +c-d;'],
        ["x = 'a \\' b' + `c ${d + e} f` + g;", "x='a \\' b'+`c ${d + e} f`+g;"],
        ['const r = s.match(/a = "b/) + t;', 'const r=s.match(/a = "b/) + t;'], // after a slash nothing is known
        ['x = `a ${b ? ` c = d ` : "e"} f = g`;', 'x=`a ${b ? ` c = d ` : "e"} f = g`;'],
        ['y = `one', 'y=`one'],
    ]) {
        assert.equal(strip(`${text}\n`).trim(), stripped);
    }
});

test('the first block comment stays where it tells how to use the file', () => {
    assert.equal(strip('// @ts-check\n/**\n * how\n */\n/* no */\n  a()\n', { keep: 1 }), '/**\n* how\n*/\na()\n');
});

test('the page is at most 90 kB, as it is embedded', () => {
    const header = readFileSync(`${www}../build/aidash_www.h`, 'utf8');
    const sizes = [...header.matchAll(/^\/\* (\S+): \d+ bytes, (\d+) here \*\/$/gm)].filter(([, name]) => name !== '/contract.json');
    assert.ok(sizes.length > 20);
    const sum = sizes.reduce((all, [, , bytes]) => all + Number(bytes), 0);
    assert.ok(sum <= 90_000, `${sum} bytes`);
});
