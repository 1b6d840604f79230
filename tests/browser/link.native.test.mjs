/* A link to what is seen, and a QR code of it: as a colleague opens it, with back and forward, and when it is hostile. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import jsQR from 'jsqr';
import { assertAccessibleInThemes, drawn, engine, ingest, inked, inside, open, screenshots, serve, until } from './browser.mjs';

const HOUR_MS = 3_600_000;
const hashIs = (page, pattern) => until(page, (wanted) => new RegExp(wanted).test(location.hash), pattern);

/* A server that has a minute of two models' ticks. */
async function past(t) {
  const server = await serve(t, ['--source', 'none']);
  await ingest(server, ...['llama3', 'mistral'].flatMap((model, i) => engine(model, { seed: i + 1 }).past(50)).sort((a, b) => a.timestamp - b.timestamp));
  return server;
}

test('a link shows a colleague the same: window, pins, filter, scale; in another time zone, by a clock that is an hour ahead', async (t) => {
  const server = await past(t);
  const page = await open(t, server);
  await until(page, () => app.store.state.filled && app.store.state.status && app.feed.ring.end > 0);
  await inside(page, ({ view, store, feed }) => {
    view.zoomTo(feed.lastTime - 30, feed.lastTime - 5);
    store.set({ pins: [feed.lastTime - 20, feed.lastTime - 10], find: 'model:mistral' });
  });
  await page.click('#log-scale');
  await hashIs(page, '^#t=[\\d.]+,[\\d.]+&p=[\\d.]+,[\\d.]+&q=model%3Amistral&log=1$');
  const seen = (one) => inside(one, ({ store, feed }) => {
    const { zoom, pins, find, log } = store.state;
    return { times: [...zoom, ...pins].map((time) => time + feed.clock.skew), find, log };
  });
  const mine = await seen(page);
  const other = await open(t, server, { where: new URL(page.url()).hash, timezoneId: 'Asia/Kathmandu', before: (opened) => opened.addInitScript((ahead) => {
    const { now } = Date;
    Date.now = () => now() + ahead;
  }, HOUR_MS) });
  await until(other, () => app.store.state.zoom && Math.abs(app.feed.clock.skew + 3600) < 60 && document.querySelectorAll('#legend li').length === 1
    && document.querySelectorAll('#compare-pins tbody tr').length === 2); // its status is asked for each ten seconds
  await until(other, (ahead) => app.store.state.zoom[0] * 1000 > Date.now() - ahead, HOUR_MS); // its own clock's time
  const theirs = await seen(other);
  assert.deepEqual([theirs.find, theirs.log], [mine.find, mine.log]);
  theirs.times.forEach((time, i) => assert.ok(Math.abs(time - mine.times[i]) < 5, `${theirs.times} of ${mine.times}`));
  assert.equal(await other.getAttribute('#log-scale', 'aria-pressed'), 'true');
  assert.equal(await other.inputValue('#filter'), 'model:mistral');
  assert.equal(await other.evaluate(() => JSON.parse(localStorage.getItem('aidash') ?? '{}').log ?? false), false, 'a link changes no setting');
  await drawn(other);
  assert.ok(await inked(other, 'plot-rate', 0.1, 0.9) > 0.9);
});

test('a link to a time before this page\'s ticks: the server\'s history', async (t) => {
  const now = Math.floor(Date.now() / 1000);
  const asked = [];
  const page = await open(t, await past(t), { where: `#t=${now - 9000},${now - 8400}`, before: (opened) => opened.route(/\/history\?/, (route) => {
    asked.push(new URL(route.request().url()).searchParams);
    const rows = Array.from({ length: 300 }, (_, i) => [now - 10_200 + 10 * i, 10, 20, 30, 50, 90]);
    return route.fulfill({ json: { step: 10, models: ['llama3'], series: ['time', 'ticks', 'tokens_per_second', 'latency_min_ms', 'latency_p50_ms', 'latency_p95_ms'], rows } });
  }) });
  await until(page, () => app.past.lanes.length > 0);
  for (let share = 0; share < 0.9;) { // the test's limit ends it
    await drawn(page);
    share = await inked(page, 'plot-rate', 0.05, 0.95);
  }
  assert.ok(asked.some((query) => query.get('from') === '-10800'), 'as far back as needed, in whole hours');
  await page.click('#live');
  await until(page, () => app.store.state.zoom === null && location.hash === '');
});

test('back and forward go from what was seen to what was seen; ticks, typing and zooming on are no steps', async (t) => {
  const page = await open(t, await serve(t, ['--rate', '20']), { where: '#w=60' });
  await until(page, () => app.store.state.filled && app.feed.ring.end > 20);
  await hashIs(page, '^$'); // what is usual is not said: the address was read, and written
  const start = await page.evaluate(() => history.length);
  await page.click('[data-span="300"]');
  await hashIs(page, '^#w=300$');
  await page.locator('#filter').focus();
  await page.keyboard.type('sim');
  await hashIs(page, '^#w=300&q=sim$');
  await page.keyboard.type('ulated');
  await hashIs(page, '^#w=300&q=simulated$');
  const far = await page.evaluate(() => app.feed.ring.end);
  await until(page, (end) => app.feed.ring.end > end + 40, far); // two seconds of ticks
  await inside(page, ({ view, feed }) => view.zoomTo(feed.lastTime - 40, feed.lastTime - 10));
  await hashIs(page, '^#w=300&t=.*&q=simulated&log=0$');
  await inside(page, ({ view }) => view.scale(0.5));
  await until(page, () => { const [from, to] = location.hash.match(/t=([\d.]+),([\d.]+)/).slice(1).map(Number); return to - from < 20; });
  assert.equal(await page.evaluate(() => history.length), start + 3, 'the window, the text as a whole, the zoom as a whole');
  await page.goBack();
  await until(page, () => app.store.state.zoom === null && app.store.state.find === 'simulated');
  await page.goBack();
  await until(page, () => app.store.state.find === '' && app.store.state.span === 300);
  await page.goBack();
  await until(page, () => location.hash === '' && document.querySelector('[data-span="60"]').getAttribute('aria-pressed') === 'true');
  await page.goForward();
  await until(page, () => app.store.state.span === 300 && document.querySelector('[data-span="300"]').getAttribute('aria-pressed') === 'true');
  await page.goForward();
  await until(page, () => document.querySelector('#filter').value === 'simulated');
});

test('a hostile address does nothing bad', async (t) => {
  const server = await serve(t, ['--rate', '20']);
  const long = 'x'.repeat(10_000);
  for (const where of [`#w=1e308&t=-1e308,1e308&p=NaN,Infinity&req=${'9'.repeat(400)}`, '#t=1000000000,10000000000&p=1000000000,10000000000', `#q=${long}&a=${long}&b=${long}&l=${long}`,
    `#a=9999999999,%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&b=1000000000,${long}&l=1209600`, '#t=9999990000,9999999999&w=1209600', '#node=']) {
    const page = await open(t, server, { where });
    await until(page, () => app.feed.ring.end > 20 && document.documentElement.dataset.state === 'running'); // and no error: page.problems
    await page.locator('#plot-rate canvas').waitFor();
    await drawn(page);
    await page.keyboard.press('.');
    await until(page, () => app.store.state.zoom === null);
  }
});

/* What a reader sees in the code. */
const read = async (page) => {
  const { data, size } = await page.evaluate(() => {
    const image = document.getElementById('share-code');
    const size = 4 * 85;
    const canvas = Object.assign(document.createElement('canvas'), { width: size, height: size });
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0, size, size);
    return { size, data: [...context.getImageData(0, 0, size, size).data] };
  });
  return jsQR(Uint8ClampedArray.from(data), size, size)?.data;
};
const drawnCode = (page, address) => until(page, (wanted) => {
  const image = document.getElementById('share-code');
  return image.alt === `QR code of ${wanted}` && image.complete && image.naturalWidth > 0 && !image.hidden;
}, address);

test('the settings have the page\'s address for others, as text and as a QR code; never with a token', async (t) => {
  const server = await serve(t, ['--rate', '20', '--control', 'open']);
  const lan = ['http://board.local:8080/', 'http://192.168.1.7:8080/'];
  const page = await open(t, server, { where: '?token=aidash_secret#w=300', expected: /401|403|429/, before: async (opened) => {
    await opened.addInitScript(() => {
      Object.defineProperty(navigator, 'clipboard', { value: undefined }); // as on a page that is not secure
      document.execCommand = () => { window.copied = document.activeElement.value; return true; };
    });
    await opened.route('**/addresses', (route) => route.fulfill({ json: { addresses: lan } }));
  } });
  await page.click('#settings-open');
  await drawnCode(page, lan[0]);
  assert.equal(await read(page), lan[0]);
  assert.deepEqual(await page.locator('#share-address option').allTextContents(), lan, 'this machine\'s own name is of no use to others');
  await page.selectOption('#share-address', lan[1]);
  await page.check('#share-seen');
  await drawnCode(page, `${lan[1]}#w=300`);
  assert.equal(await read(page), `${lan[1]}#w=300`);
  await page.click('#share-copy');
  await until(page, () => window.copied);
  assert.equal(await page.evaluate(() => window.copied), `${lan[1]}#w=300`);
  await assertAccessibleInThemes(page);
  await screenshots(page, 'share');
  await page.setViewportSize({ width: 360, height: 740 });
  await drawn(page);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 360);
  assert.ok(await page.locator('#share-code').evaluate((image) => image.getBoundingClientRect().width) > 200);
});

test('where only this machine reaches the page, the settings say so; by another name, that is the address', async (t) => {
  const server = await serve(t, ['--rate', '20', '--allow-host', 'board.example']);
  const page = await open(t, server);
  await page.click('#settings-open');
  await until(page, () => document.getElementById('share-text').textContent.startsWith('Only this machine reaches this page'));
  assert.equal(await page.isVisible('#share-code'), false);
  assert.deepEqual(await Promise.all(['copy', 'address', 'seen'].map((id) => page.isVisible(`#share-${id}`))), [false, false, false]);
  const named = await open(t, { url: `http://board.example:${server.port}` }, { where: '?kiosk=0' });
  await named.click('#settings-open');
  await drawnCode(named, `http://board.example:${server.port}/`);
});
