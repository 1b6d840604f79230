/* Why it is slow, and what the answers take of energy: events `verdict` and `energy` are put into the stream of a real server, each
 * valid by the contract. How the server comes to them: tests/e2e/why.test.mjs, tests/e2e/energy.test.mjs. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { assertAccessibleInThemes, drawn, ingest, says, screenshots, text, until } from './browser.mjs';
import { stage } from './stage.mjs';

const watched = (t, options = {}) => stage(t, { args: ['--rate', '20'], more: () => ({ time: Date.now() / 1000 }), ...options });

const SLOW = '12.1 tok/s, usually 18.4: the GPU clock fell from 1300 to 624 MHz 40 s ago (thermal)';
const WAIT = '9.1 s until the first text, usually 1.2 s: 7.5 s in the queue';
const verdict = (more = {}) => ({ event: 'verdict', on: true, model: 'llama3', figure: 'decode', cause: 'thermal', also: 'gpu_clock', tokens_per_second: 12.1,
  usual_tokens_per_second: 18.4, since: Date.now() / 1000 - 40, sentence: SLOW, ...more });
const wait = (more = {}) => ({ event: 'verdict', on: true, model: 'mistral', figure: 'wait', cause: 'queue', wait_s: 9.1, usual_wait_s: 1.2,
  since: Date.now() / 1000 - 10, sentence: WAIT, ...more });
const energy = (more = {}) => ({ event: 'energy', source: 'board', watts: 23.4, scope: 'what the rails supply', wh: 0.2, known_s: 60, requests_wh: 0.1, ...more });
const lines = (node) => { // how many lines of text are drawn
  const range = document.createRange();
  range.selectNodeContents(node);
  return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size;
};

test('verdicts: one sentence for each, which keeps its place while it is told again, until it is over', async (t) => {
  const { page } = await watched(t);
  assert.equal(await page.isVisible('#verdict'), false);
  page.say(verdict());
  await says(page, 'verdict', `llama3: ${SLOW}`);
  await says(page, 'announce', `llama3: ${SLOW}`);
  assert.equal(await page.isVisible('#verdict'), true);
  page.say(wait());
  await says(page, 'verdict', `llama3: ${SLOW}\nmistral: ${WAIT}`);
  assert.equal(await page.locator('#verdict').evaluate(lines), 2);
  const marks = () => page.evaluate(() => app.feed.marks.filter(({ kind }) => kind === 'slow').map(({ text: said, from }) => [said, Math.round(Date.now() / 1000 - from)]));
  const [[first, age], [second]] = await marks();
  assert.deepEqual([first, second], ['llama3 is slow: thermal', 'mistral is slow: queue']);
  assert.ok(age >= 40, 'marked where it began');
  page.say(verdict({ cause: 'unknown', also: undefined, sentence: '11.0 tok/s, usually 18.4' })); // told again, with another cause
  await says(page, 'verdict', `llama3: 11.0 tok/s, usually 18.4\nmistral: ${WAIT}`);
  assert.equal(await text(page, 'announce'), `mistral: ${WAIT}`, 'what is told again is not read aloud again');
  await assertAccessibleInThemes(page);
  await page.setViewportSize({ width: 360, height: 740 });
  await drawn(page);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'no horizontal scrolling');
  await screenshots(page, 'why');
  page.say(verdict({ figure: 'wait', on: false })); // of another figure: what stands, stays
  page.say(verdict({ on: false }));
  await says(page, 'verdict', `mistral: ${WAIT}`);
  page.say(wait({ on: false }));
  await until(page, () => document.getElementById('verdict').hidden);
});

test('energy: in the engine\'s card, as much of it as is known', async (t) => {
  const { page } = await watched(t);
  assert.equal(await page.isVisible('#energy'), false);
  page.say(energy());
  await says(page, 'energy', '23.4 W');
  await page.locator('#card-control #energy').waitFor();
  assert.equal(await page.getAttribute('#energy', 'title'), 'Power of: what the rails supply · 0.20 Wh since the start');
  page.say(energy({ estimate: true, floor_watts: 4.5, joules_per_token: 1.8, wh: 12.4, cost: 0.37, tokens_per_wh: 890 }));
  await says(page, 'energy', '23.4 W · 1.80 J per token');
  assert.equal(await page.getAttribute('#energy', 'title'), 'Power of: what the rails supply, an estimate · at rest 4.50 W; joules above that are an estimate'
    + ' · 12.4 Wh since the start · cost 0.37 · 890 tokens per Wh');
  await assertAccessibleInThemes(page);
  page.say(energy({ source: 'none', watts: 'unknown', scope: undefined }));
  await says(page, 'energy', 'power unknown');
  page.say(energy({ source: 'none', watts: 'unknown', scope: undefined, joules_per_token: 1.8 }));
  await says(page, 'energy', 'power unknown · 1.80 J per token');
});

test('without a connection, neither is told; what is old is pale, and can be read', async (t) => {
  const { page, server } = await watched(t, { reducedMotion: 'reduce' }); // axe looks at nothing half faded in
  await ingest(server, { gauge: 'oven', unit: 'C', value: 85 });
  page.say(verdict());
  page.say(energy());
  await says(page, 'energy', '23.4 W');
  await says(page, 'verdict', `llama3: ${SLOW}`);
  await until(page, () => document.querySelector('.gauge')?.textContent === 'oven85 C'); // it comes another way than what the page is told here
  await page.cut();
  await until(page, () => document.getElementById('verdict').hidden && document.getElementById('energy').hidden);
  await until(page, () => document.querySelector('.gauge[data-stale]')?.textContent === 'oven85 C');
  assert.notEqual(await text(page, 'state'), 'Running');
  await assertAccessibleInThemes(page);
});
