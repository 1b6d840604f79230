/* The page's modules are type-checked, with the contract's schema as the source of the events' types. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { declarations } from './contract-types.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const schema = JSON.parse(readFileSync(path.join(root, 'www/contract.schema.json'), 'utf8'));
const types = path.join(root, 'build/types');
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

function check(contract) {
  mkdirSync(types, { recursive: true });
  writeFileSync(path.join(types, 'contract.d.ts'), contract);
  const uplot = process.env.UPLOT || path.join(root, 'build/deps/uplot');
  copyFileSync(path.join(uplot, 'dist/uPlot.d.ts'), path.join(types, 'uPlot.esm.d.ts'));
  const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', path.join(root, 'tests/tsconfig.json')], { encoding: 'utf8' });
  return { stdout, status };
}

test('the modules agree with the contract', () => {
  const { stdout, status } = check(declarations(schema));
  assert.equal(status, 0, stdout);
});

test('a field that the contract renames is noticed', () => {
  const other = structuredClone(schema);
  const { latency_ms: latency, ...rest } = other.$defs.Tick.properties;
  other.$defs.Tick.properties = { ...rest, latency_s: latency };
  other.$defs.Tick.required = Object.keys(other.$defs.Tick.properties).filter((name) => name !== 'node' && name !== 'estimated');
  const { stdout, status } = check(declarations(other));
  assert.notEqual(status, 0);
  assert.match(stdout, /latency_ms/);
});
