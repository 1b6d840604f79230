/* The scripts in docs/api.md, as printed, on a page of another origin that --allow-origin lets in. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { ROOT, poll, serve, status, within } from '../e2e/aidash.mjs';

// That of Node.js is run by jwt.test.mjs.
const scripts = [...readFileSync(path.join(ROOT, 'docs/api.md'), 'utf8').matchAll(/```js\n([^]*?)```/g)].map(([, script]) => script)
  .filter((script) => !script.includes('from "node:'));

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] });
});
after(() => browser.close());

/* A page with this script as a module, of an origin of its own. */
async function host(t) {
  const page = { script: '' };
  const server = http.createServer((request, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.end(`<!doctype html><link rel="icon" href="data:,"><script type="module">${page.script}</script>`);
  });
  await new Promise((ready) => { server.listen(0, '127.0.0.1', ready); });
  t.after(() => server.close());
  page.origin = `http://127.0.0.1:${server.address().port}`;
  return page;
}

/* Runs the script there; returns what it prints, as it comes, and its errors. */
async function visit(t, page, script, aidash) {
  page.script = script.replaceAll('BOARD:8080', `127.0.0.1:${aidash.port}`);
  const tab = await browser.newPage();
  t.after(() => tab.close());
  const seen = { printed: [], errors: [] };
  tab.on('console', async (message) => {
    if (message.type() === 'error') seen.errors.push(message.text());
    else seen.printed.push(await message.args()[0].jsonValue());
  });
  tab.on('pageerror', (error) => seen.errors.push(error.message));
  await within(tab.goto(page.origin), 'page');
  return seen;
}

test('the module prints the rate, and its command is carried out', async (t) => {
  const page = await host(t);
  const aidash = await serve(t, ['--rate', '20', '--allow-origin', page.origin]);
  const { printed, errors } = await visit(t, page, scripts[0], aidash);
  await poll(async () => printed.length > 2 && (await status(aidash)).counters.commands === 1, 'rates and a command');
  assert.ok(printed.every((rate) => typeof rate === 'number'), printed.join());
  assert.deepEqual(errors, []);
});

test('the browser\'s WebSocket gets events, and pauses', async (t) => {
  const page = await host(t);
  const aidash = await serve(t, ['--rate', '20', '--allow-origin', page.origin]);
  const { printed, errors } = await visit(t, page, scripts[1], aidash);
  await poll(async () => printed.some(({ event }) => event === 'ack') && (await status(aidash)).paused, 'pause');
  assert.equal(printed[0].event, 'hello');
  assert.deepEqual(errors, []);
});

test('without --allow-origin neither is let in', async (t) => {
  const page = await host(t);
  const aidash = await serve(t, ['--rate', '20']);
  for (const script of scripts) {
    const { printed, errors } = await visit(t, page, script, aidash);
    await poll(() => errors.length > 0, 'refused connection');
    assert.deepEqual(printed, []);
  }
  assert.equal((await status(aidash)).paused, false);
});

test('docs/api.md has no other script', () => assert.equal(scripts.length, 2));
