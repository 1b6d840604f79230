/* What the page looks like in its main states, to be looked at (see browser.mjs); readme.png is for the README. */
import { test } from 'node:test';
import { engine, ingest, live, open, post, says, screenshot, screenshots, serve, start, status, until } from './browser.mjs';

const filled = (page) => until(page, () => app.store.state.filled);

test('screenshots: live', async (t) => {
  // Five minutes, of which the last half minute is another model's, that runs on.
  const server = await serve(t, ['--source', 'none', '--models', 'llama3,mistral,qwen2.5']);
  const [before, after] = [engine('llama3'), engine('mistral', { seed: 5, latency: 82, tokens: 4 })];
  await ingest(server, ...before.past(300).slice(0, -150));
  await ingest(server, ...after.past(30));
  after.run(t, server);
  await post(server, '/command', '{"action":"switch_model","model":"mistral"}');
  const page = await open(t, server, { theme: 'dark' });
  await filled(page);
  await live(page);
  await screenshot(page, 'readme', { fullPage: false });
  await screenshots(page, 'live', async (width) => {
    await page.hover('#plot-latency .u-over', { position: { x: width * 0.45, y: 40 } });
    await until(page, () => document.querySelector('#legend-time').textContent !== 'latest');
  });
});

test('screenshots: empty, paused, reconnecting', async (t) => {
  const empty = await serve(t, ['--source', 'none']);
  const page = await open(t, empty);
  await page.locator('#empty').waitFor();
  await screenshots(page, 'empty');

  const sim = await start(['--rate', '20']);
  const other = await open(t, sim);
  await live(other);
  await until(other, () => app.store.state.filled && app.feed.ring.end > 40);
  await other.click('#pause');
  await says(other, 'state', 'Paused');
  await screenshots(other, 'paused');
  await sim.stop();
  await says(other, 'connection-text', /attempt 2/);
  await screenshots(other, 'reconnecting');
});

test('screenshots: a full server, without anything to show', async (t) => {
  const server = await serve(t, []);
  const told = await status(server);
  const page = await open(t, server, { before: async (opened) => {
    await opened.route('**/status', (route) => route.fulfill({ json: { ...told, clients: { ...told.clients, websocket: told.clients.max } } }));
    await opened.routeWebSocket(/\/ws\//, (socket) => socket.close({ code: 3000 }));
  } });
  await says(page, 'connection-text', /^Server full/);
  await page.locator('#empty').waitFor();
  await screenshots(page, 'full');
});

test('screenshots: a vision pipeline on two cameras', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  const cameras = ['cam-1', 'cam-2'].map((node, i) => {
    const ticks = engine('yolov8n', { hz: 10, seed: i + 3, latency: 31 + 12 * i }).past(60);
    return ticks.map(({ model, timestamp, latency_ms }) => ({ model, node, timestamp, latency_ms }));
  });
  await ingest(server, ...cameras.flat().sort((a, b) => a.timestamp - b.timestamp));
  const page = await open(t, server);
  await filled(page);
  await says(page, 'rate-label', 'Inferences per second');
  await screenshots(page, 'vision');
});
