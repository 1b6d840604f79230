/* The page's modules are type-checked. The types of the events are generated from the contract's schema. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { declarations } from './contract-types.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const schema = JSON.parse(readFileSync(path.join(root, 'www/contract.schema.json'), 'utf8'));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

const check = (project) => spawnSync(process.execPath, [tsc, '-p', project], { encoding: 'utf8' });

test('the modules agree with the contract', () => {
  const { stdout, status } = check(path.join(root, 'www'));
  assert.equal(status, 0, stdout);
});

test('a field that the contract renames is noticed', () => {
  const types = path.join(root, 'build/types-renamed');
  rmSync(types, { recursive: true, force: true });
  mkdirSync(types, { recursive: true });
  const other = structuredClone(schema);
  const { latency_ms: latency, ...rest } = other.$defs.Tick.properties;
  other.$defs.Tick.properties = { ...rest, latency_s: latency };
  other.$defs.Tick.required = Object.keys(other.$defs.Tick.properties).filter((name) => name !== 'node' && name !== 'estimated');
  writeFileSync(path.join(types, 'contract.d.ts'), declarations(other));
  writeFileSync(path.join(types, 'tsconfig.json'), JSON.stringify({
    extends: '../../www/tsconfig.json', compilerOptions: { rootDirs: ['../../www', '.'] }, include: ['../../www/*.js', '*.d.ts'] }));
  const { stdout, status } = check(types);
  assert.notEqual(status, 0);
  assert.match(stdout, /latency_ms/);
});
