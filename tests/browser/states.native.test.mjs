/* What the page says of an engine and of requests that are not "all is well": each with its words, looked at by axe and as a screenshot.
 * Events are put into the stream of a real server, each valid by the contract. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ingest, inside, looked, says, text, until } from './browser.mjs';
import { stage } from './stage.mjs';

/* A meter's page; page.line is its queue. */
async function metersPage(t, options = {}) {
  const { page, server } = await stage(t, { ...options, heard: (event) => (event.event === 'hello' ? { ...event, source: 'meter' } : event), before: async (opened) => {
    opened.line = { running: 0, queued: 0, refused: 0, max_inflight: 4, queue: 16 };
    await opened.route('**/status', async (route) => {
      try {
        const response = await route.fetch();
        await route.fulfill({ response, json: { ...await response.json(), requests: opened.line } });
      } catch { // the test, and with it the server or the page, has ended meanwhile
        await route.abort().catch(() => {});
      }
    });
  } });
  await until(page, () => app.store.state.status);
  return { page, server };
}

const start = (id, more = {}) => ({ event: 'request_start', id, model: 'llama3', route: '/v1/chat/completions', client: '192.168.1.20', status: 'running', ...more });
const end = (id, more = {}) => ({ ...start(id), event: 'request', status: 'finished', prompt_tokens: 812, completion_tokens: 96, ttft_ms: 412.5, duration_ms: 4361.7, ...more });
const said = (more) => ({ event: 'status', model: 'llama3', models: ['llama3'], paused: false, source: 'meter', source_state: 'none', rate_hz: 0, ...more });

test('the engine: loading, down, paused by whom, draining', async (t) => {
  const { page } = await metersPage(t);
  page.say(said({ engine: 'loading', reason: 'weights: 45 %' }));
  await says(page, 'state', 'Loading');
  await says(page, 'engine-reason', 'weights: 45 %');
  await looked(page, 'loading');
  page.say(said({ engine: 'down' }));
  await says(page, 'state', 'Engine down');
  await says(page, 'engine-reason', /^No answer since \d\d:\d\d:\d\d$/);
  const since = await text(page, 'engine-reason');
  await looked(page, 'down');
  page.say(said({ engine: 'down', models: ['llama3', 'mistral'] }));
  await until(page, () => app.store.state.models.length === 2);
  assert.equal(await text(page, 'engine-reason'), since, 'told again, it is down since the same time');
  page.say(start(1));
  page.say(said({ engine: 'up', paused: true, reason: 'paused by Anna\'s phone' }));
  await says(page, 'state', 'Pausing, 1 left');
  await looked(page, 'draining');
  page.say(end(1));
  await says(page, 'state', 'Paused');
  await says(page, 'engine-reason', 'paused by Anna\'s phone');
  await looked(page, 'paused');
});

test('requests: a full line, a cut prompt, unknown counts; and what a connection that is lost leaves', async (t) => {
  const { page, server } = await metersPage(t, { reducedMotion: 'reduce', args: ['--rate', '20', '--alert', 'hot: gauge:x > 80'] });
  page.line.queue = 2;
  page.say(end(1, { prompt_cut: true, counts: 'none', counts_reason: 'compressed', completion_tokens: undefined }));
  page.say(end(2, { status: 'refused', ended_by: 'aidash', http_status: 503, error: 'the queue is full (2 waiting)' }));
  for (const id of [3, 4]) page.say(start(id, { status: 'queued' }));
  page.say(start(5));
  await says(page, 'inflight', /^1 \/ 2( full)?$/);
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange'))); // it asks for the line's length again
  await says(page, 'inflight', '1 / 2 full');
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 5);
  const cells = await page.locator('#requests-body tr').evaluateAll((rows) => rows.map((row) => [row.querySelector('.status').textContent, row.querySelector('[data-title=Out]').title]));
  assert.deepEqual(cells.map(([status]) => status.replace('Cancel', '')).sort(), ['503: the queue is full (2 waiting)', 'finishedprompt cut', 'queued, place 1', 'queued, place 2', 'running']);
  assert.deepEqual(cells.map(([, title]) => title).filter(Boolean), ['none: the answer is compressed']);
  await ingest(server, { gauge: 'x', value: 85 });
  await says(page, 'alerts', 'hot gauge x is 85, above 80');
  await looked(page, 'full-line');

  await page.cut();
  await says(page, 'state', 'No connection');
  await page.locator('#alerts[data-stale]').waitFor();
  await says(page, 'inflight', '–');
  await until(page, () => document.querySelectorAll('#requests-body [data-lost]').length === 3);
  assert.deepEqual(await page.locator('[data-lost] .status span').allTextContents(), ['not known', 'not known', 'not known']);
  assert.equal(await page.locator('#requests-body .status button:visible').count(), 0, 'nothing can be cancelled');
  const took = () => page.locator('[data-lost] [data-title=Duration]').allTextContents();
  const [before, ended] = [await took(), await inside(page, () => Date.now())];
  await until(page, (at) => Date.now() > at + 1200, ended);
  assert.deepEqual(await took(), before, 'no clock runs on');
  await looked(page, 'lost');
});
