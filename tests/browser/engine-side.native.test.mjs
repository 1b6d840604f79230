/* What a firmware adds to the page: notes on the charts and in the list of events, its own state, own commands, commands that
 * take their time. The firmware is tests/e2e/engine_side.c. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { compiled, here, runWords } from '../e2e/firmware.mjs';
import { assertAccessible, drawn, engine, ingest, open, says, screenshots, until } from './browser.mjs';

const bins = compiled('engine_side');

async function firmware(t) {
  const { ask, said } = runWords(t, bins.C);
  return { ask, said, server: here((await ask('start')).split(' ')[1]) };
}

test('notes are marks on the charts, and a list', async (t) => {
  const { ask, server } = await firmware(t);
  await ask('note', 3, 'before the page');
  await ingest(server, ...engine('yolo').past(30));
  const page = await open(t, server);
  await until(page, () => app.feed.marks.some(({ text }) => text === 'before the page'));
  await ask('note', 1, 'the lens is dirty');
  await says(page, 'log-latest', /error: the lens is dirty$/);
  assert.deepEqual(await page.evaluate(() => app.feed.marks.map(({ kind, text }) => [kind, text])), [['note', 'before the page'], ['error', 'the lens is dirty']]);
  await page.focus('#log summary');
  await page.keyboard.press('Enter');
  await until(page, () => document.querySelectorAll('#log-list li').length === 2);
  assert.match(await page.textContent('#log-list li'), /^\d\d:\d\d:\d\d error: the lens is dirty$/, 'the latest first');
  await assertAccessible(page);
  await screenshots(page, 'notes');
  await page.reload();
  await says(page, 'log-latest', /error: the lens is dirty$/);
});

test('the page shows what the engine\'s side says of its state and its models', async (t) => {
  const { ask, said, server } = await firmware(t);
  const page = await open(t, server);
  for (const [state, reason, shown] of [[3, 'resnet', 'Loading'], [4, 'no camera', 'Engine down'], [2, 'the button on the board', 'Paused'], [1, '', 'No data yet']]) {
    await ask('state', state, reason);
    await says(page, 'state', shown);
    await says(page, 'engine-reason', reason);
  }
  await ask('models', 'a,b', 'b');
  await says(page, 'model', 'b');
  await until(page, () => document.querySelectorAll('#models button').length === 2);
  assert.deepEqual(said.all.filter((line) => line.startsWith('command')), []);
});

test('own commands: a button, a switch and a number, by the keyboard, too', async (t) => {
  const { ask, said, server } = await firmware(t);
  await ask('add', 'reload', 1, 0, 0, 0, 'Reload');
  const page = await open(t, server);
  await until(page, () => document.querySelectorAll('#own-commands > *').length === 1);
  await ask('add', 'night', 2, 0, 0, 0, 'Night mode');
  await ask('add', 'threshold', 3, 0, 1, 0.5, 'Threshold');
  await until(page, () => document.querySelectorAll('#own-commands > *').length === 3);
  await page.click('[data-command=reload]');
  await said.next((line) => /^command 8 {2}reload 0 /.test(line));
  await page.focus('[data-command=night]');
  await page.keyboard.press('Enter');
  await until(page, () => document.querySelector('[data-command=night]').getAttribute('aria-pressed') === 'true');
  await page.fill('[data-command=threshold] input', '0.75');
  await page.keyboard.press('Enter');
  await said.next((line) => /^command 8 {2}threshold 0.75 /.test(line));
  await until(page, () => app.store.state.commands[2].value === 0.75);
  await ask('on', 'refuse', 'the camera is busy');
  await page.click('[data-command=reload]');
  await says(page, 'control-problem', 'the camera is busy');
  await assertAccessible(page);
  await screenshots(page, 'own-commands');
  await page.setViewportSize({ width: 360, height: 740 });
  await drawn(page);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'no horizontal scrolling');
});

test('a command that is given while another waits for its answer is carried out, too', async (t) => {
  const { ask, said, server } = await firmware(t);
  await ask('add', 'reload', 1, 0, 0, 0, 'Reload');
  await ask('add', 'night', 2, 0, 0, 0, 'Night mode');
  const page = await open(t, server);
  await until(page, () => document.querySelectorAll('#own-commands > *').length === 2);
  await page.evaluate(() => { // in one task of the page: no answer comes between
    document.querySelector('[data-command=reload]').click();
    document.querySelector('[data-command=night]').click();
    document.querySelector('#pause').click();
    document.querySelector('#pause').click();
    document.querySelector('#models button[data-model=resnet]').click();
  });
  await said.next((line) => /^command 8 {2}reload 0 /.test(line));
  await said.next((line) => /^command 8 {2}night 1 /.test(line));
  await says(page, 'model', 'resnet');
  await until(page, () => document.querySelector('[data-command=night]').getAttribute('aria-pressed') === 'true');
  await until(page, () => document.querySelector('#card-control').getAttribute('aria-busy') === null);
  await says(page, 'pause-text', 'Pause');
});

test('a command that takes its time: the page says so, then its end', async (t) => {
  const { ask, server } = await firmware(t);
  await ask('on', 'later', 100);
  const page = await open(t, server);
  await page.click('#models button[data-model=resnet]');
  await says(page, 'engine-reason', 'Switching to resnet…');
  await says(page, 'model', 'yolo');
  await ask('finish', 1, 1, '');
  await says(page, 'model', 'resnet');
  await says(page, 'engine-reason', '');
  await page.click('#pause');
  await says(page, 'engine-reason', 'Pausing…');
  await ask('finish', 2, 0, 'the motor is stuck');
  await says(page, 'engine-reason', 'Pausing: failed: the motor is stuck');
  assert.equal(await page.textContent('#pause-text'), 'Pause');
});

test('requests of an own engine are rows, for who comes later, too', async (t) => {
  const { ask, server } = await firmware(t);
  await ask('begin', '', 'door camera', 'describe', 128, 0);
  const page = await open(t, server);
  await until(page, () => app.requests.inState('running') === 1 && document.querySelectorAll('#requests-body tr').length === 1);
  await ask('progress', 1, 1, 9);
  await ask('end', 1, 1, '');
  await until(page, () => document.querySelector('#requests-body tr').dataset.status === 'finished');
  assert.match(await page.textContent('#requests-body tr'), /yolo.*10/);
  await says(page, 'inflight', '0 / 0');
});
