/* The page in front of the meter: a request from its start to its end, the line, drain, the model for all, an engine that is down. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Raw, request, SLOW, statusWhen, within } from '../e2e/aidash.mjs';
import { chatEvent, chunk, DONE_EVENT, LAST_CHUNK, metered, post, replay, STREAM_HEAD } from '../e2e/engine.mjs';
import { assertAccessible, bind, open, says, screenshots, system, until } from './browser.mjs';

const USAGE = `data: ${JSON.stringify({ object: 'chat.completion.chunk', model: 'replayed', choices: [], usage: { prompt_tokens: 31, completion_tokens: 9 } })}\n\n`;
/* The answer to a request. It lasts as long as the page is looked at meanwhile. */
const ask = async (server, model = 'replayed') => {
  const client = await Raw.connect(server);
  client.write(post('/v1/chat/completions', JSON.stringify({ model, stream: true, messages: [] }), 'Connection: close\r\n'));
  await within(client.closed, 'end of the answer', 60_000 * SLOW);
  return client.bytes.toString('latin1');
};

async function stage(t, { models = ['replayed', 'other'], args = [] } = {}) {
  const engine = await replay(t, { models });
  const server = await metered(t, engine, args);
  const page = await open(t, server);
  await until(page, (count) => app.store.state.models.length === count, models.length);
  return { engine, server, page };
}

/* The engine takes the next request and sends these tokens, and goes on when finish() is called. */
async function serveNext(engine, words = ['one', 'two', 'three']) {
  const call = await engine.next();
  await call.write(STREAM_HEAD);
  for (const word of words) await call.write(chunk(chatEvent(word)));
  call.finish = async () => {
    await call.write(chunk(USAGE) + chunk(DONE_EVENT) + LAST_CHUNK);
    call.socket.end();
  };
  return call;
}

test('the engine card tells the context, the share on the CPU, and what loads', async (t) => {
  const lists = { '/v1/models': null, '/api/tags': JSON.stringify({ models: [{ name: 'llama3:8b' }, { name: 'qwen3:4b' }] }),
    '/api/ps': JSON.stringify({ models: [{ name: 'llama3:8b', size: 1000, size_vram: 630, context_length: 8192 }] }) };
  const engine = await replay(t, { lists });
  const server = await metered(t, engine);
  const page = await open(t, server);
  await says(page, 'model-facts', 'context 8,192 · 37 % on the CPU');
  const notes = () => page.locator('#models button').evaluateAll((all) => all.map((one) => one.dataset.note ?? ''));
  assert.deepEqual(await notes(), ['', ' loaded, 37 % on the CPU', '']);
  const asked = fetch(`${server.url}/api/chat`, { method: 'POST', body: '{"model":"qwen3:4b","messages":[]}' }); // as long as the pictures take
  const call = await engine.next();
  await says(page, 'model-facts', /^Loading qwen3:4b, \d+ s$/);
  assert.deepEqual(await notes(), ['', ' loaded, 37 % on the CPU', ' loading']);
  await until(page, () => /^loading, \d+ s$/.test(document.querySelector('#requests-body .status span')?.textContent));
  await says(page, 'rate-note', /^loading, \d+ s$/);
  for (const theme of ['light', 'dark']) {
    await system(page, theme);
    await assertAccessible(page);
  }
  await screenshots(page, 'loading');
  call.socket.end('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}');
  await asked;
  await says(page, 'model-facts', 'context 8,192 · 37 % on the CPU');
});

test('a request from its start to its end, and after a reload', async (t) => {
  const { engine, server, page } = await stage(t);
  await says(page, 'state', 'No data yet');
  assert.equal(await page.isVisible('#requests'), false);
  const asked = ask(server);
  const call = await serveNext(engine);
  await until(page, () => document.querySelector('#requests-body tr')?.dataset.status === 'running');
  await until(page, () => document.querySelector('#requests-body td:nth-child(7)').textContent === '~3');
  await says(page, 'inflight', '1 / 0');
  await page.locator('#rate-about').waitFor(); // a live count is an estimate
  await call.finish();
  await asked;
  await until(page, () => document.querySelector('#requests-body tr').dataset.status === 'finished');
  const cells = await page.locator('#requests-body tr td').allTextContents();
  assert.deepEqual(cells.slice(2, 7), ['replayed', '127.0.0.1', '/v1/chat/completions', '31', '9']);
  assert.match(cells[7], /^[\d.,]+ ms$/);
  await says(page, 'tokens', '9');
  await says(page, 'inflight', '0 / 0');
  await until(page, () => document.querySelector('#plot-ttft canvas') !== null);

  // Another one runs while the page is loaded again: both are there, and that one goes on.
  const asking = ask(server);
  const second = await serveNext(engine, ['one', 'two', 'three', 'four']);
  await until(page, () => document.querySelector('#requests-body [data-status=running] td:nth-child(7)')?.textContent === '~4');
  await page.reload();
  await bind(page);
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 2);
  // But for the time: the clocks of page and board were compared anew.
  assert.deepEqual((await page.locator('#requests-body [data-status=finished] td').allTextContents()).slice(1), cells.slice(1));
  await until(page, () => document.querySelector('#requests-body [data-status=running] td:nth-child(7)').textContent === '~4');
  await says(page, 'inflight', '1 / 0');
  await second.write(chunk(chatEvent('five')));
  await until(page, () => document.querySelector('#requests-body [data-status=running] td:nth-child(7)').textContent === '~5');
  await second.finish();
  await asking;
  await until(page, () => document.querySelectorAll('#requests-body [data-status=finished]').length === 2);
  await says(page, 'tokens', '18');
});

test('while the first token is awaited the page says so, and a request that has ended leaves no number standing', async (t) => {
  const { engine, server, page } = await stage(t);
  const asked = ask(server);
  const call = await engine.next();
  await says(page, 'empty-lead', /^1 request is waiting for its first token, [1-9]\d* s$/);
  await says(page, 'rate-note', /^no token yet, \d+ s$/);
  await call.write(STREAM_HEAD);
  for (const word of ['one', 'two', 'three']) await call.write(chunk(chatEvent(word)));
  await page.locator('#empty').waitFor({ state: 'hidden' });
  await says(page, 'rate', /^[1-9]/);
  await call.write(chunk(USAGE) + chunk(DONE_EVENT) + LAST_CHUNK);
  call.socket.end();
  await asked;
  await says(page, 'inflight', '0 / 0');
  await says(page, 'state', 'Idle');
  await says(page, 'rate', '0');
  await says(page, 'rate-note', /^idle for \d+ s$/);
  await says(page, 'announce', /^Connected\.|^$/); // a request's end is nothing to announce
});

test('several requests on one model: each counts by itself while it runs', async (t) => {
  const { engine, server, page } = await stage(t);
  const asked = [ask(server), ask(server)];
  const calls = [await serveNext(engine, ['one', 'two']), await serveNext(engine, ['one', 'two', 'three', 'four', 'five'])];
  await until(page, () => [...document.querySelectorAll('#requests-body td:nth-child(7)')].map(({ textContent }) => textContent).sort().join() === '~2,~5');
  await until(page, () => [...document.querySelectorAll('#requests-body [data-status=running] td:nth-child(8)')].every(({ textContent }) => /s$/.test(textContent)));
  await says(page, 'ttft', /s$/);
  await calls[0].write(chunk(chatEvent('three')));
  await until(page, () => [...document.querySelectorAll('#requests-body td:nth-child(7)')].map(({ textContent }) => textContent).sort().join() === '~3,~5');
  for (const call of calls) await call.finish();
  await Promise.all(asked);
});

test('two clients that take turns on two models: no switch is marked, and all tokens count', async (t) => {
  const { engine, server, page } = await stage(t);
  for (const model of ['replayed', 'other', 'replayed', 'other']) {
    const asked = ask(server, model);
    const call = await engine.next();
    await call.write(STREAM_HEAD);
    for (let i = 0; i < 10; i++) await call.write(chunk(chatEvent('word', { model })));
    await call.write(chunk(DONE_EVENT) + LAST_CHUNK);
    call.socket.end();
    await asked;
  }
  await says(page, 'tokens', /^~?40$/);
  assert.deepEqual(await page.evaluate(() => app.feed.marks), []);
  await page.reload();
  await bind(page);
  await until(page, () => app.store.state.filled);
  assert.deepEqual(await page.evaluate(() => app.feed.marks), []);
});

test('the first token of an answer is no latency', async (t) => {
  const { engine, server, page } = await stage(t);
  const asked = ask(server);
  const call = await engine.next();
  await new Promise((go) => setTimeout(go, 2500)); // the engine reads the prompt
  await call.write(STREAM_HEAD);
  for (const word of ['one', 'two', 'three', 'four']) {
    await call.write(chunk(chatEvent(word)));
    await new Promise((go) => setTimeout(go, 30));
  }
  await call.write(chunk(USAGE) + chunk(DONE_EVENT) + LAST_CHUNK);
  call.socket.end();
  await asked;
  await until(page, () => app.requests.list()[0].running === false);
  const check = async () => {
    await until(page, () => /ms$/.test(document.querySelector('#latency-p95').textContent));
    assert.ok(parseFloat(await page.textContent('#latency-p95')) < 2400, await page.textContent('#latency-p95'));
    assert.deepEqual(await page.evaluate(() => app.ring('flags').map((flags) => flags & 4)).then((all) => [all[0], all[1]]), [4, 0]);
  };
  await check();
  await page.reload();
  await bind(page);
  await until(page, () => app.store.state.filled && app.requests.any);
  await check();
});

test('cancel ends the one request at the engine', async (t) => {
  const { engine, server, page } = await stage(t);
  const asked = ask(server);
  const call = await serveNext(engine);
  await page.locator('#requests-body button', { hasText: 'Cancel' }).click();
  await within(call.closed, 'end of the engine\'s connection');
  await asked;
  await until(page, () => !['running', 'queued'].includes(document.querySelector('#requests-body tr').dataset.status));
  assert.equal(await page.locator('#requests-body button:visible', { hasText: 'Cancel' }).count(), 0);
});

test('pause holds new requests in line, in order; resume lets them go', async (t) => {
  const { engine, server, page } = await stage(t);
  await page.click('#pause');
  await statusWhen(server, (now) => now.paused); // the page shows it before the server has heard of it
  const asked = [ask(server)];
  await says(page, 'inflight', '0 / 1');
  asked.push(ask(server));
  await says(page, 'inflight', '0 / 2');
  await until(page, () => [...document.querySelectorAll('#requests-body .status span')].map(({ textContent }) => textContent).sort().join() === 'queued, place 1,queued, place 2');
  await page.click('#pause');
  for (const call of [await serveNext(engine), await serveNext(engine)]) await call.finish();
  await Promise.all(asked);
  await until(page, () => document.querySelectorAll('#requests-body [data-status=finished]').length === 2);
});

test('pause lets the running ones end, and tells when they have', async (t) => {
  const { engine, server, page } = await stage(t);
  const asked = ask(server);
  const call = await serveNext(engine);
  await says(page, 'inflight', '1 / 0');
  await page.click('#pause');
  await says(page, 'state', 'Pausing, 1 left');
  await call.finish();
  await asked;
  await says(page, 'state', 'Paused');
});

test('the key p asks before it pauses an engine that works; requests of an engine that is gone are no longer shown as running', async (t) => {
  const { engine, server, page } = await stage(t);
  const asked = ask(server);
  const call = await serveNext(engine);
  await says(page, 'inflight', '1 / 0');
  const questions = [];
  page.on('dialog', (dialog) => { questions.push(dialog.message()); dialog[questions.length > 1 ? 'accept' : 'dismiss'](); });
  await page.keyboard.press('p');
  assert.equal((await (await request(server, '/status')).json).paused, false);
  await page.keyboard.press('p');
  await says(page, 'state', 'Pausing, 1 left');
  assert.match(questions[0], /^1 request runs, and will finish\./);
  await until(page, () => !app.store.state.pending); // the server has answered
  await page.keyboard.press('p'); // resume needs no question
  await says(page, 'state', 'Running');
  assert.equal(questions.length, 2);
  await until(page, () => {
    app.store.set({ down: true }); // again, if a status came after it
    return document.querySelector('#requests-body .status span')?.textContent === 'no answer';
  });
  await page.evaluate(() => app.store.set({ down: false }));
  await until(page, () => document.querySelector('#requests-body .status span').textContent === 'running');
  await call.finish();
  await asked;
});

test('one model for all requests, and each its own again', async (t) => {
  const { engine, server, page } = await stage(t);
  assert.deepEqual(await page.locator('#models button').allTextContents(), ['Client\'s choice', 'replayed', 'other']);
  assert.equal(await page.getAttribute('[data-model=""]', 'aria-pressed'), 'true');
  await page.click('[data-model=other]');
  await until(page, () => !app.store.state.pending && document.querySelector('[data-model=other]').getAttribute('aria-pressed') === 'true');
  const asked = ask(server);
  const call = await serveNext(engine);
  assert.equal(JSON.parse(call.request.body).model, 'other');
  await call.finish();
  await asked;
  await page.click('[data-model=""]');
  await until(page, () => !app.store.state.pending && document.querySelector('[data-model=""]').getAttribute('aria-pressed') === 'true');
  assert.equal(await page.getAttribute('[data-model=other]', 'aria-pressed'), 'false');
});

test('an engine that is down is told', async (t) => {
  const { engine, server, page } = await stage(t);
  const before = ask(server);
  await (await serveNext(engine)).finish();
  await before;
  await until(page, () => app.feed.ring.end >= 3);
  await engine.down();
  const answer = await request(server, '/v1/chat/completions', { method: 'POST', body: '{}', headers: { 'Content-Length': 2 } });
  assert.equal(answer.status, 502);
  await says(page, 'state', 'Engine down');
  await says(page, 'announce', 'Engine: Engine down.');
  await says(page, 'rate', '0'); // the last number stands above
  await says(page, 'rate-note', /^last \d/);
  await says(page, 'engine-reason', /^No answer since \d\d:\d\d:\d\d$/);
  await until(page, () => document.title.startsWith('Engine down'));
  await until(page, () => document.querySelector('#requests-body tr').dataset.status === 'failed');
  await engine.up();
  const asked = ask(server); // else it is looked for every ten seconds
  await until(page, () => document.querySelector('#state').textContent !== 'Engine down');
  await (await serveNext(engine)).finish();
  await asked;
});
