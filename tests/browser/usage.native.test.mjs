/* The usage panel: a real server in front of an engine that tells its counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer, metered, replay } from '../e2e/engine.mjs';
import { request } from '../e2e/aidash.mjs';
import { nginx, noNginx } from './nginx.mjs';
import { assertAccessible, open, screenshots, serve, until } from './browser.mjs';

const CLIENTS = [['sk-workstation-1', 'OpenAI/Python 1.50', 9], ['sk-notebook-2', 'OpenAI/JS 4.2', 5], ['', 'ollama-python/0.4', 3],
  ['', '=HYPERLINK("http://evil.example")', 1], ['sk-nightly', 'curl/8.5', 2]];
const MODELS = ['llama3.2:3b', 'hf.co/some-owner/A-Very-Long-Model-Name-Q4_K_M', 'qwen2.5-coder:14b'];

async function used(t, args = []) {
  const engine = await replay(t, { models: MODELS });
  const server = await metered(t, engine, args);
  let n = 0;
  engine.answerAll((call) => {
    const { model } = JSON.parse(call.request.body);
    n += 1;
    call.socket.end(n % 6 === 0 ? answer('{"error":{"message":"out of memory"}}', { status: '500 Internal Server Error' }) : answer(JSON.stringify({
      object: 'chat.completion', model, choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'a' } }],
      usage: { prompt_tokens: 1200 * n, completion_tokens: 340 * n, prompt_tokens_details: { cached_tokens: 700 * n } } })));
  });
  const ask = async (key, agent, model) => (await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', body: JSON.stringify({ model, messages: [] }),
    headers: { 'User-Agent': agent, ...(key && { Authorization: `Bearer ${key}` }) } })).text(); // to its end: then it counts
  for (const [i, [key, agent, times]] of CLIENTS.entries()) {
    for (let k = 0; k < times; k++) await ask(key, agent, MODELS[(i + k) % MODELS.length]);
  }
  return { server, ask };
}

const rows = (page) => page.locator('#usage-body tr');
const cells = async (page, n) => (await rows(page).nth(n).locator('th, td').allTextContents());
const total = async (server, query) => (await (await fetch(`${server.url}/usage${query}`)).json()).total;

test('the panel is asked for when it is opened, by client and by model', async (t) => {
  const { server } = await used(t);
  const page = await open(t, server);
  await page.locator('#usage').waitFor();
  const asked = [];
  page.on('request', (request) => /\/usage\?/.test(request.url()) && asked.push(new URL(request.url()).search));
  assert.equal(await page.isVisible('#usage-body'), false, 'closed at first');
  assert.deepEqual(asked, []);
  await page.click('#usage summary');
  await until(page, () => document.querySelectorAll('#usage-body tr').length === 6); // five clients, and the sum
  const tokens = (await rows(page).locator('td:nth-child(5)').allTextContents()).slice(0, -1).map((text) => Number(text.replaceAll(/\D/g, '')));
  assert.deepEqual(tokens, [...tokens].sort((a, b) => b - a), 'those that used most are on top');
  const sum = await total(server, '?span=today');
  const last = await cells(page, 5);
  assert.deepEqual(last.slice(0, 1), ['all']);
  assert.equal(last[3], String(sum.requests));
  assert.equal(Number(last[4].replaceAll(',', '')), sum.prompt_tokens);
  assert.match(await page.textContent('#usage-note'), /^since \d\d:\d\d:\d\d; ~ is an estimate$/);

  await page.click('[data-usage-by=model]');
  await until(page, () => document.querySelectorAll('#usage-head th').length === 8);
  assert.equal(await rows(page).count(), 4);
  await Promise.all([page.waitForRequest(/by=model&span=all&format=json/), page.click('[data-usage-span=all]')]);
  await until(page, () => document.querySelector('#usage-csv').getAttribute('href') === './usage?by=model&span=all&format=csv');
  assert.equal(await page.getAttribute('[data-usage-span=all]', 'aria-pressed'), 'true');
  assert.equal(await page.getAttribute('[data-usage-span=today]', 'aria-pressed'), 'false');
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('#usage-csv')]);
  assert.equal(file.suggestedFilename(), 'aidash-usage.csv');
  assert.deepEqual([...new Set(asked)].filter((query) => query.endsWith('json')),
    ['?by=client&span=today&format=json', '?by=model&span=today&format=json', '?by=model&span=all&format=json']);
});

test('it follows what is used while it is open, and not while it is closed', async (t) => {
  const { server, ask } = await used(t);
  const page = await open(t, server, { before: (opened) => opened.clock.install() });
  await page.locator('#usage').waitFor();
  await page.click('#usage summary');
  await until(page, () => document.querySelectorAll('#usage-body tr').length === 6);
  await ask('sk-new', 'fresh/1', MODELS[0]);
  await page.clock.runFor(10_500);
  await until(page, () => document.querySelectorAll('#usage-body tr').length === 7);
  await page.click('#usage summary');
  let asked = 0;
  page.on('request', (request) => { asked += /\/usage\?/.test(request.url()); });
  await page.clock.runFor(60_000);
  assert.equal(asked, 0);
});

test('without a meter there is no panel; an answer that does not come is told', async (t) => {
  const plain = await open(t, await serve(t, []));
  await until(plain, () => app.store.state.connection.phase === 'live');
  assert.equal(await plain.isVisible('#usage'), false);
  const { server } = await used(t);
  const page = await open(t, server, { before: (opened) => opened.route('**/usage?*', (route) => route.fulfill({ status: 503, body: '{}' })) });
  await page.click('#usage summary');
  await until(page, () => document.querySelector('#usage-note').textContent === 'The usage could not be loaded: status 503');
});

const skip = noNginx();
test('behind nginx, as docs/deploy.md has it, clients are told apart, whatever they claim', { skip }, async (t) => {
  const { server } = await used(t, ['--trust-proxy', '127.0.0.1']);
  const port = await nginx(t, server);
  const ask = (localAddress, headers) => request({ host: '127.0.0.1', port }, '/v1/chat/completions', { method: 'POST', localAddress,
    body: '{"model":"m"}', headers: { 'Content-Length': 13, 'User-Agent': 'behind', ...headers } });
  await ask('127.0.0.2', {});
  await ask('127.0.0.3', { 'X-Forwarded-For': '203.0.113.1' });
  await ask('127.0.0.4', { Forwarded: 'for=203.0.113.2' }); // nginx passes it on: neither is believed
  const { rows: found } = await (await fetch(`${server.url}/usage?by=client`)).json();
  assert.deepEqual(found.filter(({ agent }) => agent === 'behind').map(({ client }) => client), ['127.0.0.2', '127.0.0.3', '127.0.0.1']);
});

test('screenshots: usage, with nothing for axe to find', async (t) => {
  const { server, ask } = await used(t, ['--quota', 'agent:curl=1']);
  await ask('sk-nightly', 'curl/8.5', MODELS[0]);
  const page = await open(t, server);
  await page.click('#usage summary');
  await until(page, () => document.querySelectorAll('#usage-body tr').length === 6);
  await assertAccessible(page);
  await page.locator('#usage').scrollIntoViewIfNeeded();
  await screenshots(page, 'usage');
  await page.click('[data-usage-by=model]');
  await until(page, () => document.querySelectorAll('#usage-head th').length === 8);
  await screenshots(page, 'usage-models');
});
