/* The page over TLS: a certificate of an authority of the test's own, a device that signs in by a code, ticks, a command. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { run } from '../e2e/aidash.mjs';
import { authority } from '../e2e/tls.mjs';
import { live, open, serve, text, until } from './browser.mjs';

const skip = (await run(['--help'])).stdout.includes('--tls-cert') ? false : 'this aidash is built without TLS';

test('over TLS a device signs in by a code, sees ticks, and its cookie is for TLS alone', { skip }, async (t) => {
  const ca = authority();
  t.after(ca.remove);
  const leaf = ca.issue({ names: 'DNS:board.example' });
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-page-tls-'));
  t.after(() => rmSync(dir, { recursive: true }));
  for (const name of ['cert', 'key']) writeFileSync(path.join(dir, name), leaf[name], { mode: 0o600 });
  const state = path.join(dir, 'state');
  const server = await serve(t, ['--rate', '20', '--allow-host', 'board.example', '--state-dir', state, '--view', 'key', '--control', 'key',
    '--tls-cert', path.join(dir, 'cert'), '--tls-key', path.join(dir, 'key')]);
  /* Chromium has a store of its own, which a test does not change; it is the only one that does not look at the certificate here. */
  const page = await open(t, { url: `https://board.example:${server.port}` }, { ignoreHTTPSErrors: true, locale: 'en-GB', expected: /40[1-4]|410/ });
  assert.equal(await page.evaluate(() => [location.protocol, isSecureContext].join()), 'https:,true');
  await until(page, () => document.querySelector('#access').open);
  const { code, stdout, stderr } = await run(['pair', '--state-dir', state]);
  assert.equal(code, 0, stderr);
  await page.fill('#access-code', stdout.match(/^ {4}(\d{4} \d{4})$/m)[1]);
  await page.fill('#access-name', 'Phone');
  await page.click('#access-form button[type=submit]');
  await live(page);
  const seen = await page.evaluate(() => app.feed.ring.end);
  await until(page, (end) => app.feed.ring.end > end + 10, seen);
  assert.equal(await text(page, 'connection-text'), 'Connected');
  const cookies = await page.context().cookies();
  assert.deepEqual(cookies.map(({ secure, httpOnly, sameSite }) => [secure, httpOnly, sameSite]), [[true, true, 'Strict']]);
  await page.click('#pause');
  await until(page, () => app.store.state.paused && !app.store.state.pending);
  await page.reload();
  await until(page, () => document.documentElement.dataset.state === 'paused');
});
