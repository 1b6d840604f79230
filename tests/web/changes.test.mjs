/* What moved between two times, in words; which times are pinned; tables as Markdown. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { changes, difference, mean, meanOf } from '../../www/changes.js';
import { markdown } from '../../www/format.js';
import { pinned } from '../../www/pins.js';

const ms = (value) => `${value} ms`;

test('what moved most stands first; what did not, or is not known, is left out', () => {
  const of = (name, before, after, unit) => ({ name, before, after, text: ms, unit });
  assert.deepEqual(changes([
    of('same', 100, 104), of('less', 41, 12), of('more', 10, 1000), of('new', 0, 5), of('gone', 5, 0), of('none', 0, 0),
    of('unknown', NaN, 5), of('unknown', 5, NaN), of('warm', 51, 78, '°C'), of('cool', 51, 50.5, '°C'), of('points', 100, 0, 'points'),
  ]), ['new 0 ms → 5 ms', 'gone 5 ms → 0 ms (-100 %)', 'more 10 ms → 1000 ms (+9,900 %)', 'points 100 ms → 0 ms (-100 points)',
    'less 41 ms → 12 ms (-71 %)', 'warm 51 ms → 78 ms (+27 °C)']);
  assert.equal(difference({ before: -4, after: -2, unit: '°C' }), '+2 °C');
  assert.ok(Number.isNaN(mean([])));
});

test('means of the history: whole rows of the time, without those that have no value', () => {
  const answer = { step: 10, series: ['time', 'watts', 'requests'], rows: [[100, 4, 1], [110, null, 2], [120, 8, 3], [130, 100, null]] };
  assert.equal(meanOf(answer, 'watts', 100, 130), 6);
  assert.equal(meanOf(answer, 'requests', 100, 130), 12, 'a minute');
  assert.ok(Number.isNaN(meanOf(answer, 'watts', 105, 119)));
  assert.ok(Number.isNaN(meanOf(answer, 'celsius', 100, 130)));
});

test('a second pin makes two in the order of time, a third begins anew, the same place takes it away', () => {
  assert.deepEqual(pinned([], 5, 1), [5]);
  assert.deepEqual(pinned([5], 3, 1), [3, 5]);
  assert.deepEqual(pinned([5], 5.5, 1), []);
  assert.deepEqual(pinned([3, 5], 3, 1), [3]);
});

test('a table as Markdown: no cell ends early, breaks a line or is formatted', () => {
  assert.equal(markdown(['a', 'b'], []), '');
  assert.equal(markdown(['a|b', 'c'], [['x\n y', '[*_`<\\']]), '| a\\|b | c |\n| --- | --- |\n| x y | \\[\\*\\_\\`\\<\\\\ |\n');
});
