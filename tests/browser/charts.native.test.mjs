/* The charts: filled at once, windows, zoom, freeze, cursor, legend, marks, gaps, export. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { drawn, engine, ingest, inked, inside, open, serve, text, until } from './browser.mjs';

/* A server with five minutes of a past, and the page of it. */
async function history(t, options = {}, models = ['llama3']) {
  const server = await serve(t, ['--source', 'none']);
  for (const [i, model] of models.entries()) await ingest(server, ...engine(model, { seed: i + 1 }).past(300));
  const page = await open(t, server, options);
  await until(page, () => app.store.state.filled);
  await drawn(page);
  return { server, page };
}

const shown = (page) => page.evaluate(async () => app.view.range(Date.now() / 1000));
const span = async (page) => { const [from, to] = await shown(page); return to - from; };
/* Of the time from the left edge, or from the first tick, to the last tick: the share with a line. */
const filled = async (page, plot) => {
  await page.evaluate(() => app.store.state.frozenAt || document.querySelector('#freeze').click());
  await drawn(page);
  const [a, b] = await page.evaluate(async () => {
    const [from, to] = app.view.range(0);
    return [app.ring('time')[0], app.feed.lastTime].map((at) => Math.max(0, (at - from) / (to - from)));
  });
  const share = await inked(page, plot, a, b);
  await page.click('#freeze');
  return share;
};
const box = (page) => page.locator('#plot-latency .u-over').boundingBox();

test('a reload shows the past at once, in every window', async (t) => {
  const { page } = await history(t);
  assert.ok(await filled(page, 'plot-latency') > 0.98, 'a minute, without a gap');
  assert.ok(await filled(page, 'plot-rate') > 0.98);
  await page.click('[data-span="300"]');
  await drawn(page);
  assert.equal(Math.round(await span(page)), 300);
  assert.ok(await filled(page, 'plot-latency') > 0.98, 'five minutes');
  await page.click('[data-span="all"]');
  await drawn(page);
  assert.ok(await span(page) > 299);
  assert.equal(await page.getAttribute('[data-span="all"]', 'aria-pressed'), 'true');
  await until(page, () => location.hash === '#w=all'); // the address follows a moment later
  await page.reload();
  await until(page, () => document.querySelector('[data-span="all"]')?.getAttribute('aria-pressed') === 'true');
});

test('drag zooms, a double click and the button reset', async (t) => {
  const { page } = await history(t);
  await page.click('#freeze'); // so that time stands still between one step of the mouse and the next
  const { x, y, width, height } = await box(page);
  const [from, to] = await shown(page);
  await page.mouse.move(x + width * 0.25, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width * 0.4, y + height / 2);
  await page.mouse.move(x + width * 0.5, y + height / 2);
  await page.mouse.up();
  await until(page, () => app.store.state.zoom !== null);
  const zoom = await shown(page);
  assert.ok(Math.abs(zoom[0] - (from + (to - from) * 0.25)) < 0.2 && Math.abs(zoom[1] - (from + (to - from) * 0.5)) < 0.2, `${zoom} of ${from}..${to}`);
  assert.equal(await page.isDisabled('#reset'), false);
  await page.mouse.dblclick(x + width / 2, y + height / 2);
  await until(page, () => app.store.state.zoom === null);
  await page.locator('#plots').focus();
  await page.keyboard.press('+');
  await until(page, () => app.store.state.zoom !== null);
  await page.click('#reset');
  assert.equal(Math.round(await span(page)), 60);
});

test('freeze stands still while the data go on, and goes on from now', async (t) => {
  const { page, server } = await history(t);
  await page.click('#freeze');
  assert.equal(await page.getAttribute('#freeze', 'aria-pressed'), 'true');
  const frozen = await shown(page);
  const had = await inside(page, ({ feed }) => feed.ring.end);
  await ingest(server, { model: 'llama3', tokens: 3, latency_ms: 777 });
  await until(page, (end) => app.feed.ring.end === end + 1, had);
  assert.deepEqual(await shown(page), frozen);
  await until(page, () => document.querySelector('#latency').textContent === '777'); // the cards are not frozen
  await page.click('#freeze');
  const [, to] = await shown(page);
  assert.ok(to > frozen[1]);
});

for (const deviceScaleFactor of [1, 2, 3]) {
  test(`the labels of the axes are of the same size on every screen: ${deviceScaleFactor} device pixels a pixel`, async (t) => {
    const { page } = await history(t, { deviceScaleFactor });
    const sizes = await page.evaluate(() => new Promise((done) => {
      const seen = new Set();
      const context = document.querySelector('#plot-latency canvas').getContext('2d');
      const real = context.fillText;
      context.fillText = function fillText(words, ...rest) {
        if (/^[\d,.:]+$/.test(words)) seen.add(parseFloat(this.font) / devicePixelRatio);
        real.call(this, words, ...rest);
        if (words === '0') setTimeout(() => done([...seen])); // the rest of the axis comes in the same task
      };
    }));
    assert.deepEqual(sizes, [11]);
  });
}

test('what is not the present says how old it is, and the statistics follow what is shown', async (t) => {
  const { page } = await history(t);
  assert.equal(await text(page, 'behind'), '');
  await page.click('#freeze');
  await until(page, () => /^\d+ s behind$/.test(document.querySelector('#behind').textContent));
  await page.click('#freeze');
  await page.evaluate(() => app.view.zoomTo(Date.now() / 1000 - 115, Date.now() / 1000 - 100));
  await until(page, () => /^15 s shown, ended \d min \d+ s ago$/.test(document.querySelector('#behind').textContent));
  assert.equal(await page.locator('[data-span][aria-pressed=true]').count(), 0);
  await until(page, () => document.querySelector('#rate-over').textContent === '15 s');
  assert.ok(parseFloat(await text(page, 'rate-mean')) > 1, 'of the time that is shown');
  await page.click('#reset');
  await until(page, () => document.querySelector('#behind').textContent === '');
});

test('twelve models: each line has a colour of its own, and the rest is told', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  await ingest(server, ...Array.from({ length: 12 }, (_, i) => ({ model: `owner/m${i}`, tokens: 1, latency_ms: 10 + i })));
  const page = await open(t, server);
  await until(page, () => document.querySelectorAll('#legend li').length === 8);
  assert.equal(await text(page, 'legend-more'), '4 more are not drawn: hide others to see them');
  const colours = await page.locator('#legend .lane').evaluateAll((nodes) => nodes.map((node) => node.style.background));
  assert.equal(new Set(colours).size, 8);
});

test('very many ticks are ranges, drawn four times a second', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  const now = Date.now() / 1000;
  await ingest(server, ...Array.from({ length: 9000 }, (_, i) => ({ model: 'm', tokens: 1, latency_ms: 10 + (i % 7), timestamp: now - 9 + i / 1000 })));
  const page = await open(t, server);
  await until(page, () => app.store.state.filled);
  await page.evaluate(() => app.view.zoomTo(app.feed.lastTime - 2, app.feed.lastTime));
  await drawn(page);
  const path = () => page.evaluate(() => new Promise((done) => {
    const context = document.querySelector('#plot-latency canvas').getContext('2d');
    const real = context.fill;
    context.fill = function fill(...args) {
      context.fill = real;
      real.apply(this, args);
      done(true);
    };
    app.view.zoomTo(app.feed.lastTime - 8.9, app.feed.lastTime);
  }));
  assert.equal(await path(), true, 'an area is drawn');
  await ingest(server, { model: 'm', tokens: 1, latency_ms: 10 }); // a model that is silent for seconds has no value
  await until(page, () => /^\d/.test(document.querySelector('#legend b').textContent));
});

test('in forced colours the lines can still be told apart, and the axes be read', async (t) => {
  const { page } = await history(t, { forcedColors: 'active' }, ['llama3', 'mistral']);
  const seen = await page.evaluate(() => ({
    dots: [...document.querySelectorAll('#legend .lane')].map((node) => getComputedStyle(node).backgroundColor),
    pressed: getComputedStyle(document.querySelector('[data-span="60"]')).borderTopWidth,
    text: app.colours.muted,
    canvas: (() => {
      const context = document.createElement('canvas').getContext('2d');
      context.fillStyle = '#123456';
      context.fillStyle = app.colours.muted;
      return context.fillStyle;
    })(),
  }));
  assert.equal(new Set(seen.dots).size, 2, seen.dots.join());
  assert.equal(seen.pressed, '3px');
  assert.equal(seen.text, 'CanvasText');
  assert.notEqual(seen.canvas, '#123456', 'a canvas takes this colour');
});

test('the cursor reads values in all charts; arrow keys move it', async (t) => {
  const { page } = await history(t);
  await page.click('#freeze');
  const { x, y, width, height } = await box(page);
  await page.mouse.move(x + width / 2, y + height / 2);
  await until(page, () => /^\d\d:\d\d:\d\d\.\d\d$/.test(document.querySelector('#legend-time').textContent));
  await until(page, () => /^[\d.]+ ms$/.test(document.querySelector('#legend b').textContent));
  const [latency, rate] = await page.locator('#legend b').allTextContents();
  // What it says is a tick near the cursor.
  const near = await inside(page, async ({ feed, ring }, [a, b]) => {
    const [from, to] = app.view.range(Date.now() / 1000);
    const at = from + (to - from) / 2;
    return ring('time').map((time, i) => [time, ring('latency')[i], ring('rate')[i]])
      .filter(([time, l, r]) => Math.abs(time - at) < 1 && Math.abs(l - parseFloat(a)) < 1 && Math.abs(r - parseFloat(b)) < 0.1).length;
  }, [latency, rate]);
  assert.ok(near >= 1, `${latency} ${rate}`);
  assert.match(await text(page, 'tip'), /^\d\d:\d\d:\d\d\.\d\dllama3[\d.]+ ms  [\d.]+ tok\/s$/);
  assert.ok(await page.locator('#plot-rate .u-cursor-x').evaluate((node) => node.style.transform) !== '', 'the other chart has it too');
  await page.mouse.move(1, 1);
  await until(page, () => document.querySelector('#legend-time').textContent === 'latest');
  await page.locator('#plots').focus();
  await page.keyboard.press('End');
  for (let i = 0; i < 10; i++) await page.keyboard.press('ArrowLeft');
  await until(page, () => /^\d\d:/.test(document.querySelector('#legend-time').textContent));
  assert.match(await text(page, 'announce'), /^\d\d:\d\d:\d\d\.\d\d\. llama3: [\d.]+ ms, [\d.]+ per second$/);
  await page.keyboard.press('Escape');
  await until(page, () => document.querySelector('#legend-time').textContent === 'latest');
});

test('a line for each model and node, which the legend hides and shows', async (t) => {
  const { page } = await history(t, {}, ['llama3', 'mistral']);
  assert.deepEqual(await page.locator('#legend .name').allTextContents(), ['llama3', 'mistral']);
  const colours = await page.locator('#legend .lane').evaluateAll((nodes) => nodes.map((node) => node.style.background));
  assert.equal(new Set(colours).size, 2);
  await page.locator('#legend button').first().click();
  await until(page, () => document.querySelector('#legend button').getAttribute('aria-pressed') === 'false');
  await page.locator('#legend button').last().click();
  await drawn(page);
  assert.equal(await inked(page, 'plot-latency', 0, 1), 0, 'nothing is left');
  await page.locator('#legend button').first().click();
  await drawn(page);
  assert.ok(await filled(page, 'plot-latency') > 0.98);
});

test('a gap is a gap: a time without ticks has no line', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  const lines = engine('m').past(60);
  const from = lines[0].timestamp;
  await ingest(server, ...lines.filter(({ timestamp }) => timestamp < from + 20 || timestamp > from + 40));
  const page = await open(t, server);
  await until(page, () => app.store.state.filled);
  await page.evaluate(async () => {
    const [first] = app.ring('time');
    app.view.zoomTo(first, first + 60);
  });
  await drawn(page);
  assert.ok(await inked(page, 'plot-latency', 0, 0.33) > 0.98);
  assert.equal(await inked(page, 'plot-latency', 0.34, 0.66), 0);
  assert.ok(await inked(page, 'plot-latency', 0.67, 0.99) > 0.98);
});

test('a lone tick is seen', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  await ingest(server, { model: 'm', latency_ms: 50, tokens: 1, timestamp: Date.now() / 1000 - 30 });
  const page = await open(t, server);
  await until(page, () => app.store.state.filled);
  await page.evaluate(async () => app.view.zoomTo(app.feed.lastTime - 30, app.feed.lastTime + 30));
  await drawn(page);
  assert.ok(await inked(page, 'plot-latency', 0.3, 0.7) > 0);
});

test('decimation keeps a peak among very many ticks', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  const now = Date.now() / 1000;
  const lines = Array.from({ length: 4000 }, (_, i) => ({ model: 'm', tokens: 1, latency_ms: i === 2000 ? 900 : 10, timestamp: now - 40 + i / 100 }));
  await ingest(server, ...lines);
  const page = await open(t, server);
  await until(page, () => app.store.state.filled);
  await page.evaluate(async () => app.view.zoomTo(app.ring('time')[0], app.feed.lastTime));
  await drawn(page);
  const peak = await page.evaluate(() => {
    const canvas = document.querySelector('#plot-latency canvas');
    const over = document.querySelector('#plot-latency .u-over').getBoundingClientRect();
    const top = over.top - canvas.getBoundingClientRect().top;
    const { data } = canvas.getContext('2d').getImageData(0, Math.ceil(top + over.height * 0.3), canvas.width, 1);
    return Array.from({ length: canvas.width }, (_, x) => Math.max(data[4 * x], data[4 * x + 1], data[4 * x + 2])
      - Math.min(data[4 * x], data[4 * x + 1], data[4 * x + 2]) > 60 && data[4 * x + 3] > 100).filter(Boolean).length;
  });
  assert.ok(peak >= 1, 'the line passes high up');
});

test('two fingers zoom, one moves the cursor, a double tap resets', async (t) => {
  const { page } = await history(t, { width: 390, height: 844, hasTouch: true, isMobile: true });
  await page.locator('#plot-latency').scrollIntoViewIfNeeded();
  const { x, y, width, height } = await box(page);
  const session = await page.context().newCDPSession(page);
  const send = (type, timestamp, ...points) => session.send('Input.dispatchTouchEvent', {
    type, timestamp, touchPoints: points.map(([at, id]) => ({ x: x + width * at, y: y + height / 2, id })) });
  await send('touchStart', undefined, [0.4, 1]);
  await send('touchMove', undefined, [0.6, 1]);
  await until(page, () => document.querySelector('#plot-latency .u-cursor-x').style.transform !== '' && document.querySelector('#legend b').textContent !== '–');
  await send('touchEnd');
  await send('touchStart', undefined, [0.4, 1], [0.6, 2]);
  await send('touchMove', undefined, [0.3, 1], [0.7, 2]);
  await send('touchMove', undefined, [0.2, 1], [0.8, 2]);
  await until(page, () => app.store.state.zoom !== null);
  await send('touchEnd');
  const [from, to] = await shown(page);
  assert.ok(Math.abs((to - from) - 20) < 4, `three times nearer: ${to - from} s`);
  const tap = (timestamp) => [send('touchStart', timestamp, [0.5, 3]), send('touchEnd', timestamp + 0.05)];
  const now = Date.now() / 1000;
  await Promise.all([...tap(now), ...tap(now + 0.15)]);
  await until(page, () => app.store.state.zoom === null);
});

const saved = async (page, what) => {
  const [download] = await Promise.all([page.waitForEvent('download'), page.evaluate((name) => document.querySelector(`[data-export="${name}"]`).click(), what)]);
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
};

test('what is shown can be taken along: CSV, NDJSON, PNG', async (t) => {
  const { page } = await history(t);
  await page.click('#freeze');
  const count = await page.evaluate(async () => {
    const [from, to] = app.view.range(0);
    return app.ring('time').filter((at) => at >= from && at <= to).length;
  });
  await page.click('#export-menu summary');
  await page.locator('[data-export=csv]').waitFor();
  const csv = await saved(page, 'csv');
  assert.equal(csv.name, 'ticks.csv');
  const lines = csv.bytes.toString().trim().split('\r\n');
  assert.equal(lines[0], 'timestamp,model,node,latency_ms,tokens_generated,tokens_per_second,estimated,request,first');
  assert.ok(count > 100);
  assert.equal(lines.length, count + 1);
  assert.equal(await page.getAttribute('#export-menu', 'open'), null, 'the menu closes');
  const ndjson = await saved(page, 'ndjson');
  const ticks = ndjson.bytes.toString().trim().split('\n').map((line) => JSON.parse(line));
  assert.ok(ticks.every((tick) => tick.event === 'inference_tick' && tick.model === 'llama3'));
  assert.ok(Math.abs(Number(lines.at(-1).split(',')[0]) - ticks.at(-1).timestamp) < 1e-6);
  const png = await saved(page, 'png');
  assert.deepEqual([png.name, png.bytes.subarray(1, 4).toString()], ['aidash.png', 'PNG']);
  assert.ok(png.bytes.readUInt32BE(16) > 1000 && png.bytes.readUInt32BE(20) > 250);
});

test('with nothing to draw, nothing is drawn; hidden, nothing is drawn at all', async (t) => {
  const server = await serve(t, ['--rate', '50']);
  const page = await open(t, server, { before: (opened) => opened.addInitScript(() => {
    window.frames_ = 0;
    const real = window.requestAnimationFrame;
    window.requestAnimationFrame = (run) => real((time) => { window.frames_++; run(time); });
  }) });
  await until(page, () => app.feed.ring.end > 10 && window.frames_ > 5);
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { get: () => window.hidden_ ?? false, configurable: true });
    window.hidden_ = true;
    document.dispatchEvent(new Event('visibilitychange'));
  });
  const { frames, end } = await inside(page, ({ feed }) => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(
    () => done({ frames: window.frames_, end: feed.ring.end })))));
  await page.waitForFunction((old) => app.feed.ring.end > old + 50, end, { polling: 100 });
  assert.equal(await page.evaluate(() => window.frames_), frames, 'ticks came, no frame was asked for');
  await page.evaluate(() => { window.hidden_ = false; document.dispatchEvent(new Event('visibilitychange')); });
  await page.waitForFunction((old) => window.frames_ > old + 2, frames, { polling: 100 });
});
