/* The benchmark's dialog: begin, follow, stop, compare; its time on the charts. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { chatEvent, chunk, DONE_EVENT, LAST_CHUNK, metered, replay, STREAM_HEAD } from '../e2e/engine.mjs';
import { bind, open, screenshots, serve, until } from './browser.mjs';

/* An engine that says so many tokens per second, and no answer's second before `held` is over. */
async function stage(t, { rate = 200, held } = {}) {
  const engine = await replay(t, { models: ['alpha', 'beta'] });
  engine.answerAll(async (call) => {
    const { model, max_tokens: count } = JSON.parse(call.request.body);
    await call.write(STREAM_HEAD);
    for (let n = 0; n < count && !call.ended; n++) {
      if (n === 1) await held;
      await new Promise((go) => { setTimeout(go, 1000 / rate); });
      call.socket.write(chunk(chatEvent(' word', { model, system_fingerprint: 'b4711-tiny' })));
    }
    call.socket.end(chunk(`data: ${JSON.stringify({ model, choices: [], usage: { prompt_tokens: 500, completion_tokens: count } })}\n\n`)
      + chunk(DONE_EVENT) + LAST_CHUNK);
  });
  const server = await metered(t, engine);
  const page = await open(t, server);
  await until(page, () => app.store.state.models.length === 2);
  return { engine, server, page };
}

const rows = (page) => page.locator('#bench-results tbody').evaluateAll((groups) => groups.map((group) =>
  [...group.rows].map((row) => [...row.cells].map((cell) => cell.textContent))));
const marks = (page) => page.evaluate(() => app.feed.marks.filter(({ kind }) => kind === 'bench').map(({ from, to }) => [from, to]));

test('a benchmark from its begin to its end, after a reload, and beside another one', async (t) => {
  let go;
  const { page } = await stage(t, { held: new Promise((resolve) => { go = resolve; }) });
  await page.click('#bench-open');
  await page.selectOption('#bench-model', 'beta');
  await page.fill('#bench-streams', '1, 2');
  await page.fill('#bench-tokens', '30');
  await page.click('#bench-start');
  await until(page, () => app.store.state.benchRuns === 1 && document.querySelector('#bench-start').textContent === 'Stop');
  await until(page, () => /step 1 of 2, 1 stream$/.test(document.querySelector('#bench-results tbody th')?.textContent));
  go();
  await until(page, () => document.querySelector('#bench-results tbody[data-state=ended]'));
  assert.equal(await page.textContent('#bench-start'), 'Start');
  const [[head, ...steps]] = await rows(page);
  assert.match(head[0], /^\d\d:\d\d:\d\d · beta · 512 → 30 tokens · b4711-tiny$/);
  assert.deepEqual(steps.map(([streams]) => streams), ['1', '2']);
  for (const [, prefill, decode, total, ttft, itl, others] of steps) {
    assert.match(`${prefill} ${decode} ${total} ${ttft} ${itl} ${others}`, /^[\d.,k]+\* [\d.]+ [\d.]+ [\d.]+ ms, [\d.]+ ms [\d.]+ ms, [\d.]+ ms 0$/);
    assert.ok(Number(decode) > 1 && Number(decode) < 2000, decode); // 200, or what a busy machine makes of it
  }
  const [[from, to]] = await marks(page);
  assert.ok(to > from && to - from < 60, `${from} to ${to}`);

  await page.reload();
  await bind(page);
  await until(page, () => app.feed.marks.some(({ kind, to }) => kind === 'bench' && to < Infinity));
  await page.click('#bench-open');
  await page.fill('#bench-streams', '4');
  await page.fill('#bench-tokens', '20');
  await page.click('#bench-start');
  await until(page, () => document.querySelectorAll('#bench-results tbody[data-state=ended]').length === 2);
  assert.deepEqual((await rows(page)).map((group) => group.length), [2, 3]); // the newest first
  assert.equal((await marks(page)).length, 2);
  await screenshots(page, 'bench');
});

test('it is stopped from the page; what the server refuses is said', async (t) => {
  const { page } = await stage(t, { rate: 20 });
  await page.click('#bench-open');
  await page.fill('#bench-streams', '99');
  await page.click('#bench-start');
  await until(page, () => /from 1 to 16/.test(document.querySelector('#bench-problem').textContent));
  await page.fill('#bench-streams', '2');
  await page.fill('#bench-tokens', '4000');
  await page.click('#bench-start');
  await until(page, () => app.store.state.benchRuns === 1 && app.requests.inState('running') === 2);
  await page.click('#bench-start');
  await until(page, () => / · stopped: a viewer stopped it$/.test(document.querySelector('#bench-results tbody[data-state=stopped] th')?.textContent));
  assert.equal(await page.textContent('#bench-problem'), '');
  await page.keyboard.press('Escape');
  await page.locator('#bench').waitFor({ state: 'hidden' });
});

test('with a simulated engine there is no such button', async (t) => {
  const server = await serve(t, ['--rate', '20']);
  const page = await open(t, server);
  await until(page, () => app.store.state.hello !== null);
  assert.equal(await page.isVisible('#bench-open'), false);
});
