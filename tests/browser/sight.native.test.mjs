/* Scales that an outlier does not flatten, keys for the whole page, the way back to the present, the page on a wall and as an app. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { assertAccessible, bind, engine, ingest, inside, live, open, says, screenshots, serve, until, visit } from './browser.mjs';

test('an outlier stands at the edge with its value; a logarithmic scale has room for it, and is remembered', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  const past = engine('llama3').past(50);
  past[200].latency_ms = 4200;
  await ingest(server, ...past);
  const page = await open(t, server, { before: (opened) => opened.addInitScript(() => {
    window.texts = new Set();
    const real = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function fillText(words, ...rest) {
      window.texts.add(words);
      real.call(this, words, ...rest);
    };
  }) });
  await until(page, () => window.texts.has('▲ 4.20 s') && !window.texts.has('5,000'));
  await screenshots(page, 'outlier');
  await page.evaluate(() => { // in one task, so that nothing is drawn in between
    window.texts.clear();
    document.querySelector('#log-scale').click();
  });
  await until(page, () => window.texts.has('10k') && window.texts.has('1,000'));
  assert.deepEqual(await page.evaluate(() => [...window.texts].filter((one) => one.startsWith('▲'))), []);
  await screenshots(page, 'log-scale');
  await page.reload();
  await bind(page);
  await until(page, () => window.texts.has('10k'));
  assert.equal(await page.getAttribute('#log-scale', 'aria-pressed'), 'true');
});

test('keys move and zoom; a chip tells how far behind the charts are, and leads back', async (t) => {
  const page = await live(await open(t, await serve(t, ['--rate', '20'])));
  await until(page, () => document.querySelector('#plot-rate canvas') && app.store.state.filled);
  const shown = () => page.evaluate(() => app.store.state.zoom?.map((time) => time - Date.now() / 1000));
  await page.keyboard.press('+');
  let [from, to] = await shown();
  assert.ok(Math.abs(to - from - 30) < 0.01 && to <= 0, 'the last half of the minute');
  await page.keyboard.press('ArrowLeft');
  const [earlier, until1] = await shown();
  assert.ok(Math.abs(until1 - earlier - 30) < 0.01 && until1 <= to - 7.4, 'a quarter of it earlier');
  await page.keyboard.press('-');
  [from, to] = await shown();
  assert.ok(Math.abs(to - from - 60) < 0.01 && to <= 0.01, 'never beyond the present');
  await says(page, 'behind', /^60 s shown, ended \d+ s ago$|^1 min shown, ended \d+ s ago$/);
  await page.keyboard.press('Control+ArrowLeft');
  await page.keyboard.press('Escape');
  assert.equal(await shown(), undefined);
  assert.equal(await page.isVisible('#live'), false);
  await page.keyboard.press('ArrowLeft');
  for (let i = 0; i < 200 && await shown(); i++) await page.keyboard.press('ArrowRight'); // up to the present
  assert.equal(await shown(), undefined);
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('.');
  assert.equal(await shown(), undefined);

  await page.keyboard.press(' ');
  await says(page, 'behind', /^[1-9]\d* s behind$/);
  const had = await inside(page, ({ feed }) => feed.ring.end);
  await until(page, (old) => app.feed.ring.end > old + 20, had); // numbers count on underneath
  await assertAccessible(page);
  await screenshots(page, 'frozen');
  await page.focus('#live');
  await page.keyboard.press('Enter');
  await until(page, () => app.store.state.frozenAt === 0);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'freeze', 'the focus is not lost');

  await page.keyboard.press('?');
  await page.locator('#help').waitFor();
  const numbers = await page.locator('#help-numbers dt').allTextContents();
  for (const name of ['Tokens per second', 'Latency', 'p95', 'Viewers', 'First token', 'Duration']) assert.ok(numbers.some((one) => one.startsWith(name)), `${name} of ${numbers}`);
  assert.deepEqual(await page.locator('#help-numbers dd').evaluateAll((nodes) => nodes.filter((node) => !node.textContent)), []);
  await assertAccessible(page);
  await screenshots(page, 'help');
  await page.evaluate(() => document.activeElement.blur()); // as when the button that was pressed can't be any more
  await page.keyboard.press('5');
  assert.equal(await page.evaluate(() => app.store.state.span), 60, 'the page behind a dialog gets no keys');
  await page.keyboard.press('Escape');
  await page.locator('#help').waitFor({ state: 'hidden' });
});

test('how the numbers are measured is a page that a phone shows whole', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  const { page } = await visit(t, `${server.url}/measure.html`);
  await page.setViewportSize({ width: 360, height: 740 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
});

test('on a wall the parts of a long page take turns, until somebody touches it', async (t) => {
  const server = await serve(t, ['--rate', '20']);
  const page = await live(await open(t, server, { where: '?kiosk=1&rotate=1', width: 360, height: 500 }));
  await until(page, () => scrollY > 100);
  await until(page, () => scrollY === 0); // the end was reached
  await until(page, () => scrollY > 100);
  await page.mouse.click(20, 20);
  await says(page, 'notice', /^Stopped\./);
  const at = await page.evaluate(() => {
    window.scrollTo = () => { window.moved = true; };
    return Date.now();
  });
  await until(page, (then) => Date.now() > then + 4000, at);
  assert.equal(await page.evaluate(() => window.moved), undefined);
});

test('the page can be installed', async (t) => {
  const page = await live(await open(t, await serve(t, ['--rate', '20'])));
  const session = await page.context().newCDPSession(page);
  const { url, errors } = await session.send('Page.getAppManifest');
  assert.match(url, /\/manifest\.webmanifest$/);
  assert.deepEqual(errors, []);
  const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
  assert.deepEqual(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito'), []);
});

test('the icons of the manifest, and of iOS, are those of icon.svg in their sizes', async (t) => {
  const page = await live(await open(t, await serve(t, ['--rate', '20'])));
  const icons = await page.evaluate(async () => {
    const { icons: all } = await (await fetch('./manifest.webmanifest')).json();
    const touch = document.querySelector('link[rel=apple-touch-icon]').getAttribute('href');
    const draw = async (src, size) => {
      const image = new Image(size, size);
      image.src = src;
      await image.decode();
      const canvas = Object.assign(document.createElement('canvas'), { width: size, height: size });
      const context = canvas.getContext('2d', { willReadFrequently: true });
      context.drawImage(image, 0, 0, size, size);
      return { natural: image.naturalWidth, pixels: context.getImageData(0, 0, size, size).data };
    };
    const told = [];
    for (const { src, sizes, type, purpose = 'any' } of [...all.filter((icon) => icon.type === 'image/png'), { src: touch, sizes: '180x180', type: 'image/png', purpose: 'touch' }]) {
      const size = parseInt(sizes, 10);
      const [{ natural, pixels }, wanted] = [await draw(src, size), await draw('./icon.svg', size)];
      let apart = 0;
      let clear = 0;
      for (let i = 3; i < pixels.length; i += 4) {
        clear += pixels[i] < 255;
        const inside = wanted.pixels[i] === 255; // beyond the round corners they may differ
        apart += inside ? Math.abs(pixels[i - 3] - wanted.pixels[i - 3]) : 0;
      }
      told.push({ src, natural, type, purpose, clear: clear > 0, apart: apart / (size * size) });
    }
    return told;
  });
  assert.deepEqual(icons.map(({ natural, purpose, clear }) => [natural, purpose, clear]),
    [[192, 'any', true], [512, 'any', true], [512, 'maskable', false], [180, 'touch', false]]);
  for (const { src, apart } of icons) assert.ok(apart < 1, `${src}: ${apart} of 255 apart from icon.svg`);
});
