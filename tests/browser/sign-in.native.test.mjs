/* Who this browser is: the dialog that signs it in by a code or by another device, the token in an address, and what a page sees
 * that may not watch, or not control. The page is opened by a name of the LAN: so it is not of the server's machine. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { poll, request, run } from '../e2e/aidash.mjs';
import { assertAccessible, bind, live, open, says as shows, screenshots, serve, text, until } from './browser.mjs';

const DENIED = /40[1-4]|410/; // what Chromium logs of answers that the test is about

async function board(t, ...args) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-sign-in-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const server = await serve(t, ['--allow-host', 'board.example', '--state-dir', dir, ...args]);
  const command = async (...words) => {
    const { code, stdout, stderr } = await run([...words, '--state-dir', dir]);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  return { server, lan: { url: `http://board.example:${server.port}` }, command };
}

const device = (t, { lan }, options = {}) => open(t, lan, { expected: DENIED, locale: 'en-GB', ...options }); // a context of its own has cookies of its own
const says = (page, wanted) => until(page, (name) => document.querySelector('#access-open').getAttribute('aria-label') === name, wanted);
const pairCode = async ({ command }) => (await command('pair')).match(/^ {4}(\d{4} \d{4})$/m)[1];
const shown = (page) => until(page, () => document.querySelector('#access').open);
const rights = (page) => page.evaluate(() => app.store.state.access.rights);
const cookies = (page) => page.context().cookies();

async function signIn(page, code, name = 'Test phone') {
  await page.fill('#access-code', code);
  await page.fill('#access-name', name);
  await page.click('#access-form button[type=submit]');
}

test('who may watch alone is asked for a code when he presses Pause, and may after it', async (t) => {
  const set = await board(t, '--control', 'key');
  const page = await live(await device(t, set));
  await says(page, 'Access: sign in to control the engine');
  await page.click('#pause');
  await shown(page);
  await until(page, () => document.activeElement.id === 'access-code');
  assert.match(await text(page, 'access-about'), /^This browser may watch\. To control the engine, sign in\.$/);
  assert.match(await text(page, 'posture'), /Control needs a key\./);
  assert.equal(await page.evaluate(() => app.store.state.paused), false);
  await assertAccessible(page);
  await screenshots(page, 'sign-in');

  const code = await pairCode(set);
  await signIn(page, `${code.slice(0, 8)}${(Number(code[8]) + 1) % 10}`);
  await shows(page, 'access-problem', /./);
  assert.equal((await cookies(page)).length, 0);
  await signIn(page, code);
  await until(page, () => !document.querySelector('#access').open);
  await says(page, 'Access: Test phone');
  assert.ok((await rights(page)).includes('control'));
  assert.equal(await page.evaluate(() => document.cookie), '', 'no script can read it');
  await live(page);
  await page.click('#pause');
  await until(page, () => app.store.state.paused && !app.store.state.pending);
  await shows(page, 'engine-reason', 'paused by Test phone');

  // It outlives a reload, and ends with its key.
  await page.reload();
  await bind(page);
  await says(page, 'Access: Test phone');
  await page.click('#access-open');
  await page.click('#access-out');
  await says(page, 'Access: sign in to control the engine');
  assert.doesNotMatch(await set.command('keys'), /Test phone/);
});

test('who may not even watch is asked at once; a second device is let in by the first', async (t) => {
  const set = await board(t, '--view', 'key', '--control', 'key');
  const page = await device(t, set);
  await shown(page);
  await says(page, 'Access: sign in to watch');
  assert.equal(await text(page, 'rate'), '–');
  await signIn(page, await pairCode(set), 'First');
  await live(page);

  const second = await device(t, set, { width: 360, height: 740 });
  await shown(second);
  await second.fill('#access-name', 'Second');
  await second.click('#access-ask');
  await shows(second, 'access-asked', /type \d{4} there/);
  await screenshots(second, 'sign-in-asking');
  const [code] = (await text(second, 'access-asked')).match(/\d{4}/);
  await page.click('#access-open');
  await page.fill('#access-approve-code', String((Number(code) + 1) % 1e4).padStart(4, '0'));
  await page.click('#access-approve button');
  await shows(page, 'access-approve-problem', /./);
  await page.fill('#access-approve-code', code);
  await page.click('#access-approve button');
  await shows(page, 'notice', /may watch and control/);
  await live(second);
  await says(second, 'Access: Second');

  // A revoked device is out at once, and says why.
  const [, number] = (await set.command('keys')).match(/^ +(\d+) .*Second$/m);
  await set.command('keys', 'revoke', number);
  await until(second, () => document.documentElement.dataset.state !== 'running');
  await shown(second);
  await live(page);
});

test('a key or a code in the address is used, and is not left there', async (t) => {
  const set = await board(t, '--view', 'key', '--control', 'key');
  const key = (await set.command('keys', 'add', 'wall', '--rights', 'view')).match(/aidash_[\w-]{43}/)[0];
  await poll(async () => (await request(set.server, '/status', { headers: { Authorization: `Bearer ${key}` } })).status === 200, 'key known to the server');
  const wall = await live(await device(t, set, { where: `?kiosk=1&token=${key}` }));
  assert.match(wall.url(), /\/\?kiosk=1$/);
  assert.deepEqual(await wall.evaluate(() => document.cookie), '');

  const phone = await device(t, set, { where: `#pair=${(await pairCode(set)).replace(' ', '')}` });
  await shown(phone);
  assert.match(phone.url(), /\/$/);
  await phone.click('#access-form button[type=submit]');
  await live(phone);

  const wrong = await device(t, set, { where: '?token=aidash_nobody' });
  await shows(wrong, 'notice', /wrong|expired|token/);
  assert.match(wrong.url(), /\/$/);
  await shown(wrong);
});

test('on the server\'s own machine nobody is asked', async (t) => {
  const set = await board(t, '--source', 'none', '--control', 'remote-key');
  const page = await open(t, set.server);
  await until(page, () => app.store.state.access?.local);
  assert.ok((await rights(page)).includes('control'));
  await says(page, 'Access');
  await page.click('#access-open');
  assert.equal(await page.isVisible('#access-sign-in'), false);
  assert.equal(await page.isVisible('#access-approve'), true);
});
