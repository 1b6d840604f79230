/* What www/strip.awk makes of the page's scripts is the same code, without the comments. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const www = fileURLToPath(new URL('../../www/', import.meta.url));
const strip = (text, keep = 0) => execFileSync('awk', ['-v', `keep=${keep}`, '-f', `${www}strip.awk`], { input: text, encoding: 'utf8' });

/* A script as the compiler prints it: the same for the same code. */
const code = (text) => ts.transpileModule(text,
    { compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext, removeComments: true } }).outputText;

test('the stripped scripts are the same code', () => {
    const scripts = readdirSync(www).filter((name) => name.endsWith('.js'));
    assert.ok(scripts.length > 5);
    for (const name of scripts) {
        const text = readFileSync(www + name, 'utf8');
        const stripped = strip(text);
        assert.equal(code(stripped), code(text), name);
        assert.doesNotMatch(stripped, /^\s*(\/\/|\/\*)/m, `${name} still has comments`);
    }
});

test('comments go, what looks like one in a text stays', () => {
    const text = '// one\n/* two */\n/**\n * three\n */ a();\n  b(); // beside\n\n  /* four */ c("/* text */");\nd("x; // y");\n';
    assert.equal(strip(text), 'a();\nb();\nc("/* text */");\nd("x; // y");\n');
    assert.equal(strip('const a = { b: "c = d, e", f };\n'), 'const a={b:"c = d, e",f};\n');
});

test('the first block comment stays where it tells how to use the file', () => {
    assert.equal(strip('// @ts-check\n/**\n * how\n */\n/* no */\n  a();\n', 1), '/**\n* how\n*/\na();\n');
});

test('the page is at most 60 kB, as it is embedded', () => {
    const header = readFileSync(`${www}../build/aidash_www.h`, 'utf8');
    const sizes = [...header.matchAll(/^\/\* (\S+): \d+ bytes, (\d+) here \*\/$/gm)].filter(([, name]) => name !== '/contract.json');
    assert.ok(sizes.length > 20);
    const sum = sizes.reduce((all, [, , bytes]) => all + Number(bytes), 0);
    assert.ok(sum <= 60_000, `${sum} bytes`);
});
