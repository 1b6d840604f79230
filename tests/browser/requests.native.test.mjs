/* The requests panel's table: many requests and odd ones are put into the stream of a real server, each valid by the contract.
 * With the meter in front of an engine: meter.native.test.mjs. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { validate } from '../e2e/aidash.mjs';
import { assertAccessible, open, screenshots, serve, system, text, until } from './browser.mjs';

/* A page into whose stream page.say(event) puts an event; page.heard are the commands that it sends. */
async function withRequests(t, options = {}, args = []) {
  const server = await serve(t, args);
  const page = await open(t, server, { ...options, before: (opened) => opened.routeWebSocket(/\/ws\//, (socket) => {
    const upstream = socket.connectToServer();
    let seq = 0;
    opened.heard = [];
    upstream.onMessage((message) => {
      const event = JSON.parse(message);
      seq = event.seq ?? event.next_seq ?? seq + 1;
      if (event.event === 'hello') opened.restart = () => socket.send(JSON.stringify({ ...event, started: event.started + 9, next_seq: 1 }));
      socket.send(event.event === 'hello' ? JSON.stringify({ ...event, source: 'meter' }) : message);
    });
    socket.onMessage((message) => {
      const command = JSON.parse(message);
      opened.heard.push(command);
      if (command.action === 'cancel') socket.send(JSON.stringify({ event: 'error', code: 'refused', message: 'It has just ended.', id: command.id }));
      else upstream.send(message);
    });
    opened.say = (event) => socket.send(JSON.stringify(validate(event.event === 'inference_tick' ? event : { seq, ...event })));
  }) });
  await until(page, () => app.store.state.connection.phase === 'live' && app.feed.ring.end > 0);
  return page;
}

const start = (id, more = {}) => ({ event: 'request_start', id, model: 'llama3', route: '/v1/chat/completions', client: '192.168.1.20', status: 'running', ...more });
const end = (id, more = {}) => ({
  ...start(id), event: 'request', status: 'finished', prompt_tokens: 812, completion_tokens: 96, cached_tokens: 128, ttft_ms: 412.5, queue_ms: 3.1,
  prefill_tokens_per_second: 1651.2, decode_tokens_per_second: 24.31, itl_p50_ms: 40.2, itl_p95_ms: 66.9, itl_max_ms: 190.4, duration_ms: 4361.7,
  finish_reason: 'stop', ...more });
const tick = (tokens, more = {}) => ({ event: 'inference_tick', model: 'llama3', tokens_generated: tokens, latency_ms: 40, tokens_per_second: 12, timestamp: Date.now() / 1000, ...more });
const rows = (page) => page.locator('#requests-body tr:not(.more)');
const column = (page, n) => rows(page).locator(`td:nth-child(${n})`).allTextContents();

test('there is no requests panel until there was a request', async (t) => {
  const page = await withRequests(t);
  assert.equal(await page.isVisible('#requests'), false);
  assert.equal(await page.isVisible('#tile-requests'), true, 'a meter shows its line from the start');
  page.say(start(1));
  await page.locator('#requests').waitFor();
  await until(page, () => document.querySelector('#inflight').textContent === '1 / 0');
  page.say(start(2, { status: 'queued', client: 'nightly' }));
  await until(page, () => document.querySelector('#inflight').textContent === '1 / 1');
});

test('a running request counts its tokens and its time; at the end its true numbers stand', async (t) => {
  const page = await withRequests(t);
  const m = { model: 'other' };
  page.say(start(1, { ...m, timestamp: Date.now() / 1000 }));
  await until(page, () => document.querySelector('#requests-body td:nth-child(8)')?.textContent === '–');
  page.say(tick(40, { ...m, request: 1, first: true }));
  page.say(tick(41, { ...m, request: 2 })); // of another one
  page.say(tick(42, { ...m, request: 1 }));
  await until(page, () => document.querySelector('#requests-body td:nth-child(7)')?.textContent === '~2');
  page.say({ ...start(1, m), event: 'request', seq: 1e6, completion_tokens: 25, estimated: true, ttft_ms: 1204.5, tokens_per_second: 12.5 });
  await until(page, () => document.querySelector('#requests-body td:nth-child(7)')?.textContent === '~25');
  assert.deepEqual((await rows(page).first().locator('td').allTextContents()).slice(7, 10), ['1.20 s', '–', '~12.5']);
  const before = (await column(page, 11))[0];
  await until(page, (old) => document.querySelector('#requests-body td:nth-child(11)').textContent !== old, before);
  page.say(end(1, { seq: 1e6 + 1, ttft_ms: 1204.5 }));
  await until(page, () => document.querySelector('#requests-body tr').dataset.status === 'finished');
  const cells = await rows(page).first().locator('td').allTextContents();
  assert.deepEqual(cells.slice(2), ['llama3', '192.168.1.20', '/v1/chat/completions', '812', '96', '1.20 s', '1,651', '24.3', '4.36 s', '–']);
  assert.equal(await rows(page).first().locator('.status span').textContent(), 'finished');
  await until(page, () => document.querySelector('#ttft').textContent === '1.20 s');
  await page.locator('#plot-ttft canvas').waitFor();
  page.say(end(2, { seq: 2e6, estimated: true, completion_tokens: 7, cached_tokens: undefined, ttft_ms: undefined }));
  await until(page, () => document.querySelector('#requests-body td:nth-child(7)').textContent === '~7');
});

test('running ones are on top; the rest is sorted by any column; the last fifty stay', async (t) => {
  const page = await withRequests(t);
  page.say(start(1000, { client: 'first' }));
  for (let id = 1; id <= 60; id++) page.say(end(id, { prompt_tokens: (id * 37) % 101 }));
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 51);
  assert.equal(await rows(page).first().getAttribute('data-status'), 'running');
  const sorted = async (n, down) => {
    const numbers = (await column(page, n)).slice(1).map((one) => Number(one.replaceAll(',', '')));
    return numbers.every((one, i) => i === 0 || (down ? numbers[i - 1] >= one : numbers[i - 1] <= one));
  };
  await page.click('#requests-head th:nth-child(6) button');
  await until(page, () => document.querySelector('#requests-head th:nth-child(6)').getAttribute('aria-sort') === 'descending');
  await until(page, () => document.querySelectorAll('#requests-body tr')[1].children[5].textContent === '100');
  assert.ok(await sorted(6, true));
  await page.click('#requests-head th:nth-child(6) button');
  await until(page, () => document.querySelectorAll('#requests-body tr')[1].children[5].textContent !== '100');
  assert.ok(await sorted(6, false));
  assert.equal(await page.locator('#requests-head [aria-sort]').count(), 1);
  assert.equal(await rows(page).first().getAttribute('data-status'), 'running');
});

test('the columns that are chosen and their order stand in the address, and come from it', async (t) => {
  const page = await withRequests(t);
  for (let id = 1; id <= 3; id++) page.say(end(id, { prompt_tokens: id }));
  const seen = () => page.evaluate(() => ({
    order: [...document.querySelectorAll('#requests-head [aria-sort]')].map((head) => `${head.cellIndex} ${head.ariaSort}`).join(),
    out: [...document.querySelectorAll('#requests-head th')].filter((head) => head.hidden).map((head) => head.cellIndex),
    cells: [...document.querySelectorAll('#requests-body tr:first-child td')].filter((cell) => cell.hidden).map((cell) => cell.cellIndex),
    boxes: [...document.querySelectorAll('#columns input')].flatMap((box, i) => (box.checked ? [] : [i + 1])),
    first: document.querySelector('#requests-body .open').closest('tr').id,
  }));
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 3);
  assert.deepEqual(await seen(), { order: '0 descending', out: [], cells: [], boxes: [], first: 'request-3' });
  await page.click('#requests-head th:nth-child(6) button');
  await page.click('#requests-head th:nth-child(6) button');
  await page.click('#requests summary');
  await page.uncheck('#columns input[name=client]');
  await until(page, () => location.hash === '#s=in,up&h=client' && document.querySelector('#requests-body tr').id === 'request-1');
  assert.deepEqual(await seen(), { order: '5 ascending', out: [3], cells: [3], boxes: [3], first: 'request-1' });

  const to = async (hash, head, first) => {
    await page.evaluate((wanted) => { location.hash = wanted; }, hash);
    await until(page, ([n, id]) => document.querySelector('#requests-head [aria-sort]')?.cellIndex === n && document.querySelector('#requests-body tr').id === id, [head, first]);
    return seen();
  };
  assert.deepEqual(await to('#s=in&h=ttft,model', 5, 'request-3'), { order: '5 descending', out: [2, 7], cells: [2, 7], boxes: [2, 7], first: 'request-3' });
  assert.deepEqual(await to('#s=in,up&h=', 5, 'request-1'), { order: '5 ascending', out: [], cells: [], boxes: [], first: 'request-1' });
  assert.deepEqual(await page.evaluate(() => JSON.parse(localStorage.getItem('aidash')).hidden), ['client'], 'a link changes no setting');
  // Hostile: what the page was opened with.
  assert.deepEqual(await to('#s=__proto__,up&h=time,model', 0, 'request-3'), { order: '0 descending', out: [], cells: [], boxes: [], first: 'request-3' });
});

test('a row opens its details, and stays open and focused while others come', async (t) => {
  const page = await withRequests(t);
  page.say(end(1));
  const open1 = rows(page).last().locator('.open');
  await open1.focus();
  await page.keyboard.press('Enter');
  await page.locator('tr.more').waitFor();
  assert.equal(await open1.getAttribute('aria-expanded'), 'true');
  const details = await page.locator('tr.more dl div:visible').allTextContents();
  assert.deepEqual(details, ['Request1', 'Statusfinished: The answer is complete.', 'Route/v1/chat/completions', 'Cached prompt tokens128', 'Between tokens, p5040.2 ms', 'p9566.9 ms', 'longest190 ms', 'Finish reasonstop']);
  page.say(end(1, {
    seq: 1e6, cache_write_tokens: 64, load_ms: 1800, prefill_ms: 490, think_ms: 2100.4, decode_ms: 3800, reasoning_tokens: 41, thinking_share: 0.427, draft_tokens: 40,
    draft_accepted_tokens: 31, dialect: 'openai', counts: 'estimated', counts_reason: 'invalid_json', http_status: 200, audio_s: 30, real_time_factor: 0.25, operation: 'chat' }));
  await page.locator('tr.more dl div:visible', { hasText: 'Read as' }).waitFor();
  assert.deepEqual(await page.locator('tr.more dl div:visible').allTextContents(), ['Request1', 'Statusfinished: The answer is complete.', 'Route/v1/chat/completions', 'Cached prompt tokens128',
    'Written to the cache64', 'Thinking43 %, 41 tokens, 2.10 s', 'Draft accepted78 %, 31 of 40',
    'Between tokens, p5040.2 ms', 'p9566.9 ms', 'longest190 ms', 'Audio30.0 s, 4.00 × real time', 'Finish reasonstop', 'Read asopenai',
    'Countsestimated: the answer has broken JSON', 'HTTP status200']);
  page.say(end(1, { seq: 1e6 + 1, itl_p50_ms: undefined, bytes_received: 3_070_000, bytes_sent: 125 }));
  await page.locator('tr.more dl div:visible', { hasText: 'WebSocket3,070,000 bytes received, 125 sent' }).waitFor();
  page.say(end(2));
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 3);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-expanded')), 'true');
  assert.equal(await page.locator('tr.more').evaluate((node) => node.previousElementSibling.querySelector('.open').getAttribute('aria-expanded')), 'true');
  await page.keyboard.press('Enter');
  await page.locator('tr.more').waitFor({ state: 'detached' });
});

test('all numbers of the requests are to be seen at 1280 px, and Cancel; on a phone a card has no cut line', async (t) => {
  const page = await withRequests(t);
  const model = 'hf.co/some-owner/A-Very-Long-Model-Name-Q4_K_M';
  page.say(end(1, { model, context_tokens: 2055, context_length: 4096 }));
  page.say(end(2, { model, status: 'failed', http_status: 500, error: 'model requires more system memory (5.6 GiB) than is available (3.1 GiB)' }));
  page.say(start(3, { model, status: 'queued', place: 12 }));
  const cancel = page.locator('td.status button:visible');
  await cancel.waitFor();
  const within = (node) => {
    const [inner, outer] = [node, node.parentElement].map((one) => one.getBoundingClientRect());
    return inner.left >= outer.left && inner.right <= outer.right;
  };
  const fits = () => page.locator('#requests .scroll').evaluate((node) => node.scrollWidth <= node.clientWidth);
  assert.ok(await fits());
  assert.ok(await cancel.evaluate(within));
  await page.setViewportSize({ width: 360, height: 740 });
  assert.ok(await fits());
  assert.ok(await cancel.evaluate(within));
  assert.equal(await page.locator('td.route:visible, #requests-body .front:visible').count(), 0);
});

test('how full the context is, a cut prompt, a lost cache: in the row, and in words', async (t) => {
  const page = await withRequests(t);
  page.say(end(1, { context_tokens: 2055, context_length: 4096, prompt_cut: true, cache_broke: true, load_ms: 4200 }));
  page.say(end(2, { context_tokens: 4097, context_length: 4096 }));
  page.say(end(3));
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 3);
  assert.deepEqual(await column(page, 12), ['–', '100 %', '50 %']);
  assert.deepEqual(await page.locator('#requests-body .mark').allTextContents(), ['prompt cut', 'cache broke']);
  assert.match(await page.locator('#requests-body .mark').first().getAttribute('title'), /^The engine read only a part of the prompt/);
  assert.equal(await rows(page).last().locator('td:nth-child(12) span').getAttribute('title'), '2,055 of 4,096 tokens');
  await rows(page).last().locator('.open').click();
  const details = await page.locator('tr.more dl div:visible').allTextContents();
  assert.deepEqual(details.slice(4, 8), ['Between tokens, p5040.2 ms', 'p9566.9 ms', 'longest190 ms', 'Context used2,055 of 4,096']);
  assert.match(details[8], /^Promptprompt cut: The engine read/);
  assert.match(details[9], /^Prompt cachecache broke: The engine had/);
  // While it runs: what it waits for, until its first token.
  const big = start(4, { model: 'big' }); // no tick is of it
  page.say(big);
  page.say({ ...big, event: 'request', seq: 1e6, loading: { since: Date.now() / 1000 - 12.5, fraction: 0.25 } });
  await until(page, () => /^loading, [1-9]\d s, 25 %$/.test(document.querySelector('#requests-body .status span').textContent));
  page.say({ ...big, event: 'request', seq: 1e6 + 1, prefill: { processed: 1800, total: 4000, fraction: 0.45 } });
  await until(page, () => document.querySelector('#requests-body .status span').textContent === 'reading the prompt: 45 %');
  page.say({ ...big, event: 'request', seq: 1e6 + 2, completion_tokens: 3, context_tokens: 903, context_length: 4096 });
  await until(page, () => document.querySelector('#requests-body .status span').textContent === 'running');
  assert.equal((await column(page, 12))[0], '22 %');
});

test('cancel is sent for the one request, and a refusal is shown', async (t) => {
  const page = await withRequests(t);
  page.say(start(41));
  page.say(start(42));
  page.say(end(40));
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 3);
  assert.equal(await page.locator('#requests-body button:visible', { hasText: 'Cancel' }).count(), 2);
  await rows(page).first().locator('button', { hasText: 'Cancel' }).click();
  await page.locator('#notice.shown').waitFor();
  assert.equal(await text(page, 'notice'), 'Request 42 was not cancelled: It has just ended.');
  assert.deepEqual(page.heard.map(({ action, request }) => [action, request]), [['cancel', 42]]);
});

test('what became of a request is told in words: who ended it, and what the engine said', async (t) => {
  const page = await withRequests(t);
  const long = `out of memory: ${'<b>the cache of the model</b> '.repeat(6)}`.trim();
  for (const [i, more] of [
    { status: 'finished', http_status: 200 }, { status: 'left', ended_by: 'client' }, { status: 'cut', ended_by: 'engine', http_status: 200 },
    { status: 'cut', ended_by: 'viewer', http_status: 200 }, { status: 'cut', ended_by: 'aidash', http_status: 200 },
    { status: 'refused', ended_by: 'engine', http_status: 400, error: long }, { status: 'refused', ended_by: 'engine', http_status: 404 },
    { status: 'refused', ended_by: 'aidash', http_status: 503, error: 'the queue is full (64 waiting)' },
    { status: 'failed', ended_by: 'engine', http_status: 200, error: 'CUDA error' }, { status: 'failed' }].entries()) page.say(end(i + 1, more));
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 10);
  assert.deepEqual((await page.locator('#requests-body .status span').allTextContents()).reverse(), ['finished', 'client left', 'engine broke off', 'cancelled by viewer',
    'stopped: too slow', `400: ${long}`, '404: refused', '503: the queue is full (64 waiting)', 'CUDA error', 'engine failed']);
  assert.match(await page.locator('#requests-body .status span').first().getAttribute('title'), /^engine failed: The engine could not be reached/);
  await rows(page).nth(4).locator('.open').click();
  const error = page.locator('tr.more div', { hasText: 'Error' });
  assert.equal(await error.textContent(), `Error${long}`);
  for (const width of [1280, 360]) { // it is read whole
    await page.setViewportSize({ width, height: 740 });
    const box = await error.locator('dd').boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= width && box.height > 30, JSON.stringify(box));
  }
  page.say(start(17));
  await page.getByRole('button', { name: 'Cancel request 17' }).waitFor();
  page.say(end(17, { status: 'cut', ended_by: 'viewer', seq: 1e6 })); // after its start, whatever ticks came between
  await until(page, () => document.querySelector('#requests-body .status span').textContent === 'cancelled by viewer');
  await page.getByRole('button', { name: /^\d\d:\d\d:\d\d, details of request 17$/ }).waitFor();
});

test('the table can be searched, keeps its head in sight, and is cards on a phone', async (t) => {
  const page = await withRequests(t);
  for (let id = 1; id <= 50; id++) page.say(end(id, { client: id % 10 ? '10.0.0.1' : 'Nightly' }));
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 50);
  assert.ok((await page.locator('#requests').boundingBox()).height < 700);
  const scroll = page.locator('#requests .scroll');
  await scroll.evaluate((node) => { node.scrollTop = 800; });
  const [head, box] = [await page.locator('#requests-head').boundingBox(), await scroll.boundingBox()];
  assert.ok(Math.abs(head.y - box.y) < 2, 'the head stays');
  await page.fill('#filter', 'nightly');
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 5);
  await page.setViewportSize({ width: 360, height: 740 });
  await until(page, () => {
    const { scrollWidth, clientWidth } = document.querySelector('#requests .scroll');
    return scrollWidth === clientWidth;
  });
  for (const title of ['Model', 'Out', 'Decode /s', 'Duration']) assert.equal(await page.locator(`#requests-body tr:first-child [data-title="${title}"]`).isVisible(), true);
});

test('requests are exported with all that is known', async (t) => {
  const page = await withRequests(t);
  page.say(end(1, { client: '=cmd|x' }));
  await until(page, () => app.requests.any);
  const get = async (what) => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.evaluate((name) => document.querySelector(`[data-export="${name}"]`).click(), what)]);
    return readFileSync(await download.path(), 'utf8');
  };
  const [head, line] = (await get('requests-csv')).split('\r\n');
  assert.equal(head.split(',').length, line.split(',').length);
  const { $defs } = JSON.parse(readFileSync(new URL('../../www/contract.schema.json', import.meta.url)));
  const soFar = ['event', 'seq', 'prompt_processed', 'loading', 'prefill']; // what only running ones have
  assert.deepEqual(head.replace('time', 'timestamp').split(',').sort(), Object.keys($defs.Request.properties).filter((name) => !soFar.includes(name)).sort());
  assert.match(line, /^\d{4}-\d\d-\d\dT[^,]+,1,llama3,'=cmd\|x,\/v1\/chat\/completions,finished,812,128,96,412\.5,/);
  const record = JSON.parse(await get('requests-ndjson'));
  assert.deepEqual([record.id, record.itl_max_ms, record.client], [1, 190.4, '=cmd|x']);
});

test('what ran on a server that restarted runs no more', async (t) => {
  const page = await withRequests(t);
  page.say(end(1));
  page.say(start(2));
  await until(page, () => app.requests.inState('running') === 1);
  page.restart();
  await until(page, () => app.requests.list().length === 1);
  assert.equal(await rows(page).first().getAttribute('data-status'), 'finished');
});

test('screenshots: a busy proxy, with nothing for axe to find', async (t) => {
  const page = await withRequests(t, {}, ['--rate', '10']);
  const now = Date.now() / 1000;
  for (let id = 1; id <= 14; id++) {
    page.say(end(id, {
      timestamp: now - 60 + id * 4, ...(id % 4 === 1 && { model: 'hf.co/some-owner/A-Very-Long-Model-Name-Q4_K_M' }), client: `192.168.1.${20 + (id % 4)}`, route: ['/v1/chat/completions', '/api/chat', '/completion'][id % 3],
      ...[{}, {}, { status: 'left', ended_by: 'client' },
        { dialect: 'openai', counts: 'exact', draft_tokens: 40, draft_accepted_tokens: 31, thinking_share: 0.427, think_ms: 2100.4, decode_ms: 3800, prefill_ms: 490 },
        { status: 'refused', ended_by: 'engine', http_status: 400, error: 'out of memory: the context of 32,768 tokens does not fit beside the model' }][id % 5], ttft_ms: 200 + ((id * 97) % 400), decode_tokens_per_second: 22 + (id % 5),
      prompt_tokens: 200 + ((id * 331) % 3000), completion_tokens: 40 + ((id * 53) % 300), duration_ms: 900 + ((id * 777) % 9000),
      context_tokens: id === 9 ? 2055 : 240 + ((id * 384) % 3300), context_length: 4096, ...(id === 9 && { prompt_cut: true }), ...(id === 12 && { cache_broke: true }) }));
  }
  page.say(start(15, { timestamp: now - 2 }));
  page.say(start(16, { status: 'queued', client: 'nightly', route: '/api/generate', timestamp: now - 1 }));
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 16 && app.feed.ring.end > 30);
  for (const i of [3, 2]) await page.locator('#requests-body .open').nth(i).click();
  const fits = () => page.locator('#requests .scroll').evaluate((box) => [box.scrollWidth, ...[...box.querySelectorAll('dl div')].map((one) => Math.ceil(one.getBoundingClientRect().right - box.getBoundingClientRect().left))]
    .every((width) => width <= box.clientWidth));
  for (const width of [360, 1280]) {
    await page.setViewportSize({ width, height: 860 });
    assert.ok(await fits(), `all columns and details are seen at ${width}`);
  }
  await screenshots(page, 'requests');
  await page.click('#requests summary');
  for (const theme of ['light', 'dark']) {
    await system(page, theme);
    await assertAccessible(page);
  }
});

test('an open request tells where its time went, and shows it in the charts', async (t) => {
  const page = await withRequests(t);
  const at = Date.now() / 1000 - 20;
  page.say(end(3, { timestamp: at, duration_ms: 4000, ttft_ms: 1000, queue_ms: 100, prefill_ms: 800, decode_ms: 2900, think_ms: 900 }));
  await page.locator('#requests-body .open').click();
  const bar = page.locator('.more .fall');
  assert.equal(await bar.getAttribute('aria-label'), 'Where its time went: Waited 100 ms; Read the prompt 800 ms 1,651 tokens/s, '
    + '128 of 812 tokens from the cache; Until the first token 100 ms; Thought 900 ms; Answered 2.00 s 24.3 tokens/s; Other 100 ms');
  const widths = await bar.locator('i').evaluateAll((parts) => parts.map((part) => part.getBoundingClientRect().width));
  assert.ok(Math.abs(widths[4] / widths[1] - 2.5) < 0.1, String(widths));
  assert.equal((await page.locator('.phases li').allTextContents())[4], 'Answered 2.00 s 24.3 tokens/s');
  await page.locator('.more button').click();
  const [from, to] = await page.evaluate(() => app.store.state.zoom);
  assert.ok(Math.abs(to - from - 4.8) < 1e-6, 'the request and some room');
  await assertAccessible(page);
});

test('the row under the pointer, or with the focus, lights its part of the charts', async (t) => {
  const page = await withRequests(t);
  const at = Date.now() / 1000 - 20;
  page.say(end(3, { timestamp: at, duration_ms: 4000 }));
  const lit = () => page.evaluate(() => app.store.state.lit?.map((time) => time - app.requests.entries.get(3).at));
  await page.locator('#requests-body td:nth-child(3)').hover();
  assert.deepEqual((await lit()).map((s) => Math.round(s * 1000)), [0, 4000]);
  await page.mouse.move(0, 0);
  assert.equal(await lit(), undefined);
  await page.locator('#requests-body .open').focus();
  assert.equal((await lit()).length, 2);
});

test('what is seen stands in the address; a link to it shows the same', async (t) => {
  const page = await withRequests(t);
  for (const id of [1, 2, 3]) {
    page.say(end(id, { client: `client-${id}` }));
  }
  await page.locator('[data-span="300"]').click();
  await page.evaluate(() => app.store.set({ find: 'client-2' }));
  await until(page, () => document.querySelectorAll('#requests-body tr').length === 1);
  await page.locator('#requests-body .open').click();
  await until(page, () => location.hash === '#w=300&q=client-2&req=2');
  await page.locator('[data-span="60"]').click();
  await page.evaluate(() => { location.hash = '#w=all&q=client-&req=3'; });
  await until(page, () => document.querySelectorAll('#requests-body tr:not(.more)').length === 3);
  assert.equal(await page.inputValue('#filter'), 'client-');
  assert.equal(await page.getAttribute('[data-span="all"]', 'aria-pressed'), 'true');
  assert.equal(await page.locator('tr.more').count(), 2, 'the one that was open, and that of the link');
  await page.locator('h1').click();
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'filter');
});
