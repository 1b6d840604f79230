/* How it is made: accessible, steady, remembers its settings, in both themes and at every size. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { assertAccessible, bind, inside, live, open, says, serve, start, system, until } from './browser.mjs';

for (const theme of ['light', 'dark']) {
  test(`axe finds nothing: ${theme}`, async (t) => {
    const server = await serve(t, []);
    const page = await open(t, server, { theme });
    await live(page);
    await assertAccessible(page);
    await page.click('#settings-open');
    await assertAccessible(page);
    await page.click('#settings-close');
    await page.evaluate(() => localStorage.setItem('aidash', JSON.stringify({ limitLatency: 1, limitRate: 1e6 })));
    await page.reload();
    await bind(page);
    await page.locator('#card-latency[data-alarm]').waitFor();
    await assertAccessible(page);
    await page.click('#pause');
    await until(page, () => document.documentElement.dataset.state === 'paused');
    await page.mouse.move(1, 1);
    await assertAccessible(page);
  });

  test(`axe finds nothing without a connection, empty, and small: ${theme}`, async (t) => {
    const server = await start(['--source', 'none']);
    const page = await open(t, server, { theme, width: 360, height: 740 });
    await page.locator('#empty').waitFor();
    await assertAccessible(page);
    await server.stop();
    await until(page, () => document.documentElement.dataset.state === 'waiting');
    await assertAccessible(page);
  });
}

test('the keyboard reaches everything, and shows where it is', async (t) => {
  const server = await serve(t, []);
  const page = await open(t, server);
  await live(page);
  await page.locator('#legend button').waitFor();
  await until(page, () => !document.querySelector('[data-span="3600"]').hidden); // the server has a history
  const reached = [];
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const node = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(node);
      return node === document.body ? null : { name: node.id || node.dataset.model || node.dataset.span || node.dataset.lane || node.textContent.trim(), outline: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 };
    });
    if (!at) break;
    reached.push(at);
  }
  assert.deepEqual(reached.map(({ name }) => name), ['access-open', 'theme', 'settings-open', 'llama3', 'mistral', 'qwen2.5', 'pause', 'filter', '60', '300', '3600', '21600', '86400', '1209600', 'all', 'log-scale', 'freeze', 'Compare',
    'Export', 'llama3', 'plots', 'API schema', 'status']);
  assert.deepEqual(reached.filter(({ outline }) => !outline), []);
});

for (const width of [1280, 360]) {
  test(`nothing jumps: no layout shift while it loads, runs, pauses and loses the connection: ${width} px`, async (t) => {
    const server = await start(['--rate', '50']);
    const page = await open(t, server, { width, before: (opened) => opened.addInitScript(() => {
      window.shifts = [];
      new PerformanceObserver((list) => list.getEntries().forEach((entry) => window.shifts.push([entry.value,
        entry.sources.map(({ node }) => node?.id || node?.className || node?.nodeName)]))).observe({ type: 'layout-shift', buffered: true });
    }) });
    await live(page);
    await until(page, () => app.feed.ring.end > 100);
    await inside(page, async ({ client }) => { await client.send({ action: 'pause' }); });
    await says(page, 'state', 'Paused');
    await inside(page, async ({ client }) => { await client.send({ action: 'resume' }); });
    await live(page);
    await server.stop();
    await says(page, 'connection-text', /attempt 2/);
    await says(page, 'state', 'No connection');
    const shifts = await page.evaluate(() => window.shifts);
    const sum = shifts.reduce((all, [value]) => all + value, 0);
    t.diagnostic(`layout shift ${sum.toFixed(4)}`);
    assert.ok(sum < 0.02, JSON.stringify(shifts)); // 0.1 is what a person notices (Core Web Vitals)
  });
}

test('settings are remembered; a wrong memory does no harm', async (t) => {
  const server = await serve(t, []);
  const page = await open(t, server, { expected: /404 \(/ });
  await live(page);
  await page.click('#theme');
  assert.equal(await page.getAttribute('html', 'data-theme'), 'dark');
  await page.click('[data-span="300"]');
  await page.click('#settings-open');
  await page.fill('#limit-latency', '5');
  await page.keyboard.press('Escape');
  await page.locator('#card-latency[data-alarm]').waitFor();
  assert.equal(await page.isVisible('#latency-alarm'), true);
  await page.reload();
  await bind(page);
  assert.equal(await page.getAttribute('html', 'data-theme'), 'dark');
  assert.equal(await page.getAttribute('[data-span="300"]', 'aria-pressed'), 'true');
  await page.locator('#card-latency[data-alarm]').waitFor();
  await page.click('#settings-open');
  assert.equal(await page.inputValue('#limit-latency'), '5');
  await page.fill('#limit-latency', '');
  await page.check('input[name=theme][value=auto]');
  assert.equal(await page.getAttribute('html', 'data-theme'), 'light');
  await page.click('#settings-close');
  await page.locator('#card-latency:not([data-alarm])').waitFor();
  for (const odd of ['{', '[]', 'null', '{"theme":"pink","span":7,"limitLatency":"x","limitRate":-1}']) {
    await page.goto('about:blank');
    await page.goto(`${server.url}/healthz`); // where no page saves what it shows; it has no icon
    await page.evaluate((value) => localStorage.setItem('aidash', value), odd);
    await page.goto(`${server.url}/`);
    await bind(page);
    await until(page, () => document.querySelector('[data-span="60"]').getAttribute('aria-pressed') === 'true');
  }
});

test('a limit that is passed notifies once, if it may', async (t) => {
  const server = await serve(t, ['--rate', '20']);
  const page = await open(t, server, { permissions: ['notifications'], before: (opened) => opened.addInitScript(() => {
    window.notified = [];
    window.Notification = class {
      static permission = 'granted';
      static requestPermission = async () => 'granted';
      constructor(title, { body }) { window.notified.push([title, body]); }
    };
  }) });
  await live(page);
  await page.click('#settings-open');
  await page.fill('#limit-rate', '100000');
  await page.check('#notify');
  await until(page, () => window.notified.length > 0);
  const end = await inside(page, ({ feed }) => feed.ring.end);
  await until(page, (old) => app.feed.ring.end > old + 20, end);
  const notified = await page.evaluate(() => window.notified);
  assert.equal(notified.length, 1);
  assert.match(notified[0][1], /^[\d.,]+ per second, below 100000$/);
});

test('reduced motion: the picture moves once a second', async (t) => {
  const server = await serve(t, ['--rate', '50']);
  const page = await open(t, server, { reducedMotion: 'reduce' });
  await live(page);
  await until(page, () => app.store.state.filled && app.store.state.status); // what draws at once
  const draws = await page.evaluate(() => new Promise((done) => {
    const canvas = document.querySelector('#plot-latency canvas');
    const context = canvas.getContext('2d');
    const times = [];
    const real = context.clearRect;
    context.clearRect = function clearRect(...args) {
      times.push(performance.now());
      real.apply(this, args);
      if (times.length === 6) done(times);
    };
  }));
  assert.ok(draws[5] - draws[0] > 3500, String(draws)); // five seconds, but for when the first was late
});

test('the theme follows the system, and so do the charts', async (t) => {
  const server = await serve(t, []);
  const page = await open(t, server);
  await live(page);
  const colours = () => page.evaluate(async () => app.colours.lane(0) + getComputedStyle(document.body.parentElement).backgroundColor);
  const light = await colours();
  await system(page, 'dark');
  const dark = await colours();
  assert.notEqual(light, dark);
});

test('no page is wider than its window', async (t) => {
  const server = await serve(t, ['--models', Array.from({ length: 20 }, (_, i) => `a-rather-long-name-of-a-model-${i}:latest-q4_k_m`).join()]);
  const page = await open(t, server, { width: 3840 });
  await live(page);
  for (const width of [3840, 1280, 768, 360]) {
    await page.setViewportSize({ width, height: 800 });
    await until(page, (wanted) => innerWidth === wanted && document.documentElement.scrollWidth === wanted, width);
  }
});
