/* The board's panel: copies of boards (tests/boards), and none. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { assertAccessible, live, open, says, screenshots, serve, until } from './browser.mjs';

async function board(t, name) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-'));
  t.after(() => rmSync(dir, { recursive: true }));
  execFileSync('sh', ['tests/boards/collect.sh', 'unpack', dir], { input: readFileSync(`tests/boards/${name}/tree.txt`) });
  const server = await serve(t, ['--rate', '20', '--sysroot', dir], { env: { AIDASH_NO_BOARD: '' } });
  const page = await open(t, server);
  await page.locator('#board').waitFor();
  return { page, dir };
}

const shown = (page) => page.evaluate(() => Object.fromEntries([...document.querySelectorAll('#board-tiles > div')]
  .map((tile) => [tile.children[0].textContent, [tile.children[1].textContent, tile.children[2].textContent]])));

test('the panel has what the board has, and says in words that it is slowed down', async (t) => {
  const { page, dir } = await board(t, 'raspberry-pi-4-hot');
  await says(page, 'board-name', 'Raspberry Pi 4 Model B Rev 1.4');
  const tiles = await shown(page);
  assert.deepEqual(tiles.Temperature, ['83.3 °C', 'cpu-thermal']);
  assert.deepEqual(tiles.Memory, ['996 MB', 'of 4.0 GB · swap 52.4 MB']);
  for (const absent of ['Power', 'Fan', 'Disk free']) assert.ok(!(absent in tiles), absent);
  await says(page, 'board-words', /^Under-voltage: the power supply or its cable is too weak\. The clock is capped\. Throttled: /);
  assert.equal(await page.getAttribute('#board', 'data-bad'), '');
  await live(page);
  await assertAccessible(page);
  await screenshots(page, 'board-hot');
  writeFileSync(path.join(dir, 'sys/devices/platform/soc/soc:firmware/get_throttled'), '50000\n');
  await says(page, 'board-words', 'Since its start: under-voltage · throttled');
  assert.equal(await page.getAttribute('#board', 'data-bad'), null);
});

test('a Jetson: power, GPU, over-current, what is cooled', async (t) => {
  const { page } = await board(t, 'jetson-orin-nano');
  const tiles = await shown(page);
  assert.deepEqual(tiles.Power, ['12.6 W', 'module']);
  assert.deepEqual(tiles.GPU, ['100 %', '625 MHz']);
  assert.deepEqual(tiles.Fan, ['2,710 rpm', '50 %']);
  await says(page, 'board-words', /^Slowed down to cool it: cpufreq-cpu4 3 of 20, .*\. Since its start: 17 times over-current$/);
  await live(page);
  await screenshots(page, 'board-jetson');
});

test('a PC with two cards fits; without a board there is no panel', async (t) => {
  const { page } = await board(t, 'pc-nvidia');
  const tiles = await shown(page);
  assert.deepEqual(tiles['GPU NVIDIA GeForce RTX 3090'], ['98 %', '1,695 MHz · 23.2 GB of 25.8 GB · 71 °C · 341 W']);
  await live(page);
  await screenshots(page, 'board-pc');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  const none = await open(t, await serve(t, ['--rate', '20']));
  await live(none);
  await until(none, () => app.store.state.filled);
  assert.equal(await none.isVisible('#board'), false);
});
