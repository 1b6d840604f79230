/* What people come to the page for, by the keyboard alone, on a desk and at the width of a phone: find the slowest request and say
 * why; cancel the third of eight that run; take the requests along; lay two models over each other; link a colleague to each. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { validate } from '../e2e/aidash.mjs';
import { open, serve, until } from './browser.mjs';

const RUNNING = 8;
const ENDED = 20;
const SLOWEST = 13;

const start = (id, more = {}) => ({ event: 'request_start', id, model: 'llama3', route: '/v1/chat/completions', client: `192.168.1.${id}`, status: 'running', timestamp: Date.now() / 1000 - 30, ...more });
const end = (id, more = {}) => ({ ...start(id), event: 'request', status: 'finished', timestamp: Date.now() / 1000 - 3000 + 100 * id, prompt_tokens: 812,
  completion_tokens: 96, ttft_ms: 400, queue_ms: 3, prefill_ms: 390, decode_ms: 3600, decode_tokens_per_second: 24.3, duration_ms: 4000 + id, finish_reason: 'stop', ...more });
const slow = end(SLOWEST, { queue_ms: 88_000, ttft_ms: 88_400, duration_ms: 92_000, slow: 'queue' });

/* A page of a meter with these requests; page.heard are the commands that it sends, which are carried out. */
async function busy(t, options) {
  const server = await serve(t, ['--rate', '20']);
  const page = await open(t, server, { ...options, acceptDownloads: true, before: async (opened) => {
    opened.heard = [];
    const requests = [...Array.from({ length: ENDED }, (_, i) => (i + 1 === SLOWEST ? slow : end(i + 1)))];
    const running = Array.from({ length: RUNNING }, (_, i) => start(ENDED + 1 + i));
    await opened.route('**/requests', (route) => route.fulfill({ json: { requests: requests.map((one) => ({ seq: 1, ...one })), running: running.map((one) => ({ seq: 1, ...one })) } }));
    await opened.routeWebSocket(/\/ws\//, (socket) => {
      const upstream = socket.connectToServer();
      upstream.onMessage((message) => {
        const event = JSON.parse(message);
        socket.send(event.event === 'hello' ? JSON.stringify({ ...event, source: 'meter', running: RUNNING, queued: 0 }) : message);
      });
      socket.onMessage((message) => {
        const command = JSON.parse(message);
        opened.heard.push(command);
        if (command.action === 'cancel') {
          socket.send(JSON.stringify(validate({ event: 'ack', action: 'cancel', id: command.id })));
          socket.send(JSON.stringify(validate({ ...start(command.request), event: 'request', status: 'cut', ended_by: 'viewer', duration_ms: 30_000, seq: 1_000_000 })));
        }
      });
    });
  } });
  await until(page, (count) => document.querySelectorAll('#requests-body tr:not(.more)').length === count, RUNNING + ENDED);
  return { page, server };
}

/* Press Tab until the focus is on what this selects, and see that it can be seen there. */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 300; presses++) {
    await page.keyboard.press('Tab');
    const seen = await page.evaluate((wanted) => {
      const node = document.activeElement;
      if (!node.matches(wanted)) return '';
      const { width, height, left, right } = node.getBoundingClientRect();
      const { outlineStyle, outlineWidth } = getComputedStyle(node);
      return width > 8 && height > 8 && left >= 0 && right <= innerWidth + 1 && outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 ? 'seen' : `${node.outerHTML} is not to be seen: ${JSON.stringify([width, height, left, right, outlineStyle])}`;
    }, selector);
    if (seen) {
      assert.equal(seen, 'seen');
      return;
    }
  }
  assert.fail(`Tab does not reach ${selector}`);
}

for (const width of [1280, 360]) {
  test(`by the keyboard alone: ${width} px`, async (t) => {
    const { page, server } = await busy(t, { width, height: 740 });

    // The slowest request, and why.
    await tabTo(page, '#requests-head th:nth-child(11) button');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Duration');
    await page.keyboard.press('Enter');
    await until(page, () => document.querySelector('#requests-head th:nth-child(11)').getAttribute('aria-sort') === 'descending'
      && document.querySelector('#requests-body tr:not([data-status=running]) [data-title=Duration]').textContent === '92.0 s');
    await tabTo(page, '#requests-body tr:not([data-status=running]) .open');
    await page.keyboard.press('Enter');
    await page.locator('tr.more').waitFor();
    const told = await page.locator('tr.more').evaluate((node) => node.innerText);
    assert.match(told, /Slow\s*queue/);
    assert.match(told, /88\.0 s/, 'how long it waited');
    assert.match(told, new RegExp(`Request\\s*${SLOWEST}\\b`));

    // A link to it.
    await until(page, (id) => location.hash === `#req=${id}&s=duration`, SLOWEST);
    const { page: other } = await busy(t, { width, height: 740, where: new URL(page.url()).hash });
    await other.locator('tr.more').waitFor();
    assert.match(await other.locator('tr.more').evaluate((node) => node.innerText), new RegExp(`Request\\s*${SLOWEST}\\b`));

    // The third of eight that run: by the order of the rows.
    const third = Number((await page.locator('#requests-body [data-status=running] .status button').nth(2).getAttribute('aria-label')).match(/\d+$/)[0]);
    await page.evaluate(() => document.activeElement.blur());
    await tabTo(page, `[aria-label="Cancel request ${third}"]`);
    await page.keyboard.press('Enter');
    await until(page, (count) => document.querySelectorAll('#requests-body [data-status=running]').length === count, RUNNING - 1);
    assert.deepEqual(page.heard.filter(({ action }) => action === 'cancel').map(({ request }) => request), [third]);

    // All of them as a file.
    await page.evaluate(() => document.activeElement.blur());
    await tabTo(page, '#requests summary[aria-label="Export requests"]');
    await page.keyboard.press('Enter');
    await tabTo(page, '[data-export=requests-csv]');
    const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')]);
    const lines = readFileSync(await download.path(), 'utf8').trim().split('\r\n');
    assert.equal(lines.length, 1 + RUNNING + ENDED, 'the head, and all that are known');
    assert.equal(lines.filter((line) => line.includes('92000')).length, 1);

    // Two models, or one now and a day ago, laid over each other; and a link to that.
    await page.evaluate(() => document.activeElement.blur());
    await tabTo(page, 'summary[aria-label=Compare]');
    await page.keyboard.press('Enter');
    await tabTo(page, '#versus-open');
    await page.keyboard.press('Enter');
    await until(page, () => document.activeElement.id === 'versus-a' && document.querySelectorAll('#versus-result tbody tr').length === 7);
    await tabTo(page, '#versus-b');
    await page.keyboard.press('ArrowUp');
    await until(page, () => app.store.state.versus.b.model === '' && document.querySelector('#versus-result th:nth-child(3)')?.textContent.startsWith('B: all models'));
    await until(page, () => /&a=[\d.]+,llama3&b=[\d.]+,&l=\d+$/.test(location.hash));
    const { page: shown } = await busy(t, { width, height: 740, where: new URL(page.url()).hash });
    await until(shown, () => document.querySelector('#versus-result th:nth-child(3)')?.textContent.startsWith('B: all models'));
    assert.ok(await shown.evaluate(() => document.documentElement.scrollWidth) <= width);
    await tabTo(page, '#versus-close');
    await page.keyboard.press('Enter');
    await page.locator('#versus').waitFor({ state: 'hidden' });
    assert.equal(server.proc.exitCode, null);
  });
}
