/* What the page takes from another board, by the contract: it agrees with a full validator on events of every kind, right and wrong. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { checker } from '../../www/contract-check.js';
import { validate } from '../e2e/aidash.mjs';

const schema = JSON.parse(readFileSync(new URL('../../www/contract.schema.json', import.meta.url), 'utf8'));
const isRight = checker(schema);
const byAjv = (event) => { try { validate(event); return true; } catch { return false; } };

/* An example of what a schema describes, with all that it may have. */
function example(of, name = '') {
  const { $ref, oneOf, anyOf = oneOf, type, enum: names, pattern } = of;
  if ($ref) return example(schema.$defs[$ref.slice('#/$defs/'.length)], name);
  if ('const' in of) return of.const;
  if (names) return names[0];
  if (of.properties) return Object.fromEntries(Object.entries(of.properties).map(([key, own]) => [key, example(own, key)]));
  if (anyOf) return example(anyOf[0], name);
  switch ([type].flat()[0]) {
    case 'integer': case 'number': return Math.max(1, of.minimum ?? 0);
    case 'boolean': return true;
    case 'array': return Array.from({ length: Math.max(1, of.minItems ?? 1) }, () => example(of.items ?? {}));
    case 'string': return pattern ? ['a', '0', 'ab12', '00000000-0', '0123456789abcdef'].find((text) => new RegExp(pattern, 'u').test(text)) ?? 'a' : 'x'.repeat(of.minLength ?? 1);
    default: return {};
  }
}

const WRONG = [null, true, 0, -1, 0.5, 1e9, '', 'x', 'x'.repeat(5000), [], [null], {}, [{}], ['x']];

/* Each way to put something wrong into one place of a value. */
function* spoiled(value) {
  yield* WRONG;
  if (value !== null && typeof value === 'object') {
    for (const key of Object.keys(value)) {
      for (const other of spoiled(value[key])) {
        const copy = structuredClone(value);
        copy[key] = other;
        yield copy;
      }
      if (!Array.isArray(value)) {
        const { [key]: _, ...rest } = value;
        yield rest;
      }
    }
  }
}

test('events of every kind, and each with something wrong in each place: as a full validator says', () => {
  let [right, wrong] = [0, 0];
  for (const { $ref } of schema.$defs.Event.oneOf) {
    const name = $ref.slice('#/$defs/'.length);
    if (['Batch', 'Node'].includes(name)) continue; // of a gateway; no board says them
    const event = example({ $ref });
    for (const one of [event, ...spoiled(event)]) {
      const found = isRight(one);
      const wanted = byAjv(one);
      if (found !== wanted) {
        assert.fail(`${name}: ${found} for ${JSON.stringify(one).slice(0, 500)}`);
      }
      if (found) right++; else wrong++;
    }
  }
  assert.ok(right > 100 && wrong > 1000, `${right} right, ${wrong} wrong`);
});

test('a newer board may say more', () => {
  assert.equal(isRight({ ...example({ $ref: '#/$defs/Note' }), colour: 'blue' }), true);
  assert.equal(isRight({ event: 'unheard_of' }), false);
});
