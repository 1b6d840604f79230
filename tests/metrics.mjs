/* What tests of /metrics share: the rows of the table in src/board/metrics.c, the part of docs/metrics.md that is made of it,
 * and a strict reader of a page.
 *
 *   node tests/metrics.mjs     writes that part of docs/metrics.md anew */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const PAGE = path.join(ROOT, 'docs/metrics.md');
const BEGIN = '<!-- Made of src/board/metrics.c by tests/metrics.mjs: change it there. -->\n';
const END = '<!-- The end of what is made. -->\n';

const SUFFIX = { counter: '_total', info: '_info' };

/* The families, as the table has them: { group, name, type, unit, labels, help, series }. `series` is what their lines begin with. */
export function families() {
  const source = readFileSync(path.join(ROOT, 'src/board/metrics.c'), 'utf8');
  const [, table] = source.match(/ad_metric_table\[\] = \{\n([^]*?)\n\};/);
  const row = /^ {4}\{\{"(\w+)", (NULL|"[\w,]+"), "([^"]+)",\s+AD_METRIC_(\w+), AD_METRIC_IN_(\w+)\},\s+\w+, (?:NULL|"[\w.]+"), \w+\},\n?/;
  const found = [];
  let group = '';
  let rest = `${table}\n`;
  while (rest !== '') {
    const other = rest.match(/^ {4}\/\* (.*) \*\/\n|^#.*\n/);
    if (other) {
      group = other[1]?.replace(/;.*/, '') ?? group;
      rest = rest.slice(other[0].length);
      continue;
    }
    const parts = rest.match(row);
    assert.ok(parts, `a row that is not understood: ${rest.slice(0, 200)}`);
    const type = parts[4].toLowerCase();
    const name = parts[1];
    found.push({ group, name, type, help: `${parts[3]}.`, unit: parts[5] === 'NONE' ? '' : parts[5].toLowerCase(),
      labels: parts[2] === 'NULL' ? [] : parts[2].slice(1, -1).split(','), prometheus: name + (SUFFIX[type] ?? ''),
      series: type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name + (SUFFIX[type] ?? '')] });
    rest = rest.slice(parts[0].length);
  }
  return found;
}

function made() {
  const lines = [];
  let group = '';
  for (const family of families()) {
    if (family.group !== group) {
      group = family.group;
      lines.push('', `### ${group[0].toUpperCase()}${group.slice(1)}`, '', '| metric | type | unit | labels | what it says |', '| --- | --- | --- | --- | --- |');
    }
    lines.push(`| \`${family.prometheus}\` | ${family.type} | ${family.unit} | ${family.labels.map((label) => `\`${label}\``).join(' ')} | ${family.help} |`);
  }
  return `${BEGIN}${lines.join('\n')}\n\n${END}`;
}

function cut() {
  const text = readFileSync(PAGE, 'utf8');
  const from = text.indexOf(BEGIN);
  const to = text.indexOf(END) + END.length;
  assert.ok(from > 0 && to > from, 'docs/metrics.md has its two marks');
  return { before: text.slice(0, from), now: text.slice(from, to), after: text.slice(to) };
}

/* Does docs/metrics.md say what the program does? */
export function assertDocumented() {
  assert.equal(cut().now, made(), 'docs/metrics.md is not that of the table: node tests/metrics.mjs');
}

/* Read a page of either format, strictly: { families: Map name -> { type, help, unit }, samples: [{ name, labels, value }], get }.
 * get(name, labels) is the number of the series, or undefined. */
export function read(text, open = false) {
  const lines = text.split('\n');
  assert.equal(lines.pop(), '', 'the last line ends');
  if (open) assert.equal(lines.pop(), '# EOF');
  const found = new Map();
  const samples = [];
  const seen = new Set();
  let current;
  for (const line of lines) {
    const about = line.match(/^# (HELP|TYPE|UNIT) ([a-z_]+) (.+)$/);
    if (about) {
      const [, what, name, value] = about;
      if (what === 'HELP') {
        assert.ok(!found.has(name), `${name} comes once`);
        found.set(name, {});
        current = name;
      }
      assert.equal(name, current, 'the lines of a family are together');
      found.get(name)[what.toLowerCase()] = value;
      continue;
    }
    const sample = line.match(/^([a-z_]+)(?:\{(.*)\})? (\S+)$/);
    assert.ok(sample, `a line that is no sample: ${line}`);
    const { type } = found.get(current);
    const ends = { histogram: ['_bucket', '_sum', '_count'], counter: open ? ['_total'] : [''], info: ['_info'] }[type] ?? [''];
    assert.ok(ends.some((end) => sample[1] === current + end), `${sample[1]} in ${current}, a ${type}`);
    const labels = {};
    let rest = sample[2] ?? '';
    while (rest !== '') {
      const label = rest.match(/^([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/);
      assert.ok(label, `a label that is none: ${rest}`);
      labels[label[1]] = label[2].replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
      rest = rest.slice(label[0].length);
    }
    const value = { '+Inf': Infinity, '-Inf': -Infinity, NaN }[sample[3]] ?? Number(sample[3]);
    const series = JSON.stringify([sample[1], labels]);
    assert.ok(!seen.has(series), `${series} comes once`);
    seen.add(series);
    samples.push({ name: sample[1], labels, value });
  }
  const same = (a, b) => Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([key, value]) => b[key] === value);
  return { families: found, samples, get: (name, labels = {}) => samples.find((s) => s.name === name && same(s.labels, labels))?.value };
}

/* Each histogram of a page: its buckets rise, the last of them is the count. */
export function assertHistograms({ samples }) {
  const series = new Map();
  for (const { name, labels, value } of samples.filter((s) => s.name.endsWith('_bucket'))) {
    const { le, ...others } = labels;
    const key = JSON.stringify([name, others]);
    if (!series.has(key)) series.set(key, []);
    series.get(key).push([le === '+Inf' ? Infinity : Number(le), value, others, name]);
  }
  for (const [key, buckets] of series) {
    buckets.slice(1).forEach(([le, value], i) => {
      assert.ok(le > buckets[i][0] && value >= buckets[i][1], key);
    });
    const [le, count, others, name] = buckets.at(-1);
    assert.equal(le, Infinity, key);
    const total = samples.find((s) => s.name === name.replace(/_bucket$/, '_count') && JSON.stringify(s.labels) === JSON.stringify(others));
    assert.equal(total.value, count, key);
  }
  return series.size;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { before, after } = cut();
  writeFileSync(PAGE, before + made() + after);
}
