/* What the page looks like: build/screenshots/STATE-WIDTH-THEME.png, to be looked at; readme.png is for the README. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { engine, ingest, live, open, request, screenshot, serve, start, text, until } from './browser.mjs';

/* Five minutes, of which the last half minute is another model's, that runs on. */
async function busy(t, options = {}) {
  const server = await serve(t, ['--source', 'none', '--models', 'llama3,mistral,qwen2.5']);
  const [before, after] = [engine('llama3'), engine('mistral', { seed: 5, latency: 82, tokens: 4 })];
  await ingest(server, ...before.past(300).slice(0, -150));
  await ingest(server, ...after.past(30));
  after.run(t, server);
  const command = '{"action":"switch_model","model":"mistral"}';
  await request(server, '/command', { method: 'POST', body: command, headers: { 'Content-Length': command.length } });
  const page = await open(t, server, options);
  await until(page, () => app.store.state.filled);
  return page;
}

test('screenshots: busy', async (t) => {
  for (const [width, height] of [[360, 740], [1280, 860], [2560, 1440]]) {
    for (const theme of ['light', 'dark']) {
      const page = await busy(t, { width, height, theme });
      await live(page);
      await page.hover('#plot-latency .u-over', { position: { x: width * 0.45, y: 40 } });
      await until(page, () => document.querySelector('#legend-time').textContent !== 'latest');
      await screenshot(page, `busy-${width}-${theme}`);
      if (width === 1280 && theme === 'dark') {
        await page.mouse.move(1, 1);
        await until(page, () => document.querySelector('#legend-time').textContent === 'latest');
        await screenshot(page, 'readme', { fullPage: false });
      }
    }
  }
});

test('screenshots: empty, paused, disconnected', async (t) => {
  for (const [width, height, theme] of [[360, 740, 'dark'], [1280, 860, 'light'], [2560, 1440, 'dark']]) {
    const empty = await serve(t, ['--source', 'none']);
    const page = await open(t, empty, { width, height, theme });
    await page.locator('#empty').waitFor();
    await screenshot(page, `empty-${width}-${theme}`);

    const sim = await start(['--rate', '20']);
    const other = await open(t, sim, { width, height, theme });
    await live(other);
    await until(other, () => app.feed.ring.end > 60);
    await other.click('#pause');
    await until(other, () => document.documentElement.dataset.state === 'paused');
    await until(other, () => Date.now() / 1000 > app.feed.lastTime + 1.5);
    await screenshot(other, `paused-${width}-${theme}`);
    await sim.stop();
    await until(other, () => /attempt 2/.test(document.querySelector('#connection-text').textContent));
    await screenshot(other, `disconnected-${width}-${theme}`);
    assert.equal(await text(other, 'state'), 'No connection');
  }
});
