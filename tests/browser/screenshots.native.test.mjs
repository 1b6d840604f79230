/* What the page looks like in its main states, to be looked at (see browser.mjs); dashboard.png is README.md's:
 * AIDASH_SCREENSHOTS=1 make test SUITE=browser TEST=screenshots, then copy build/screenshots/dashboard.png to docs. */
import { test } from 'node:test';
import { sleep } from '../e2e/aidash.mjs';
import { chatEvent, chunk, DONE_EVENT, LAST_CHUNK, metered, replay, STREAM_HEAD } from '../e2e/engine.mjs';
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
  await screenshots(page, 'live', async (width) => {
    await page.hover('#plot-latency .u-over', { position: { x: width * 0.45, y: 40 } });
    await until(page, () => document.querySelector('#legend-time').textContent !== 'latest');
  });
});

// A minute of requests, so only where it is asked for.
const asked = process.env.AIDASH_SCREENSHOTS ? test : () => {};
asked('screenshots: the dashboard of README.md', async (t) => {
  // Two models of different pace; their clients ask one question after the other.
  const pace = { 'llama3.2:3b': 45, 'mistral:7b': 85 };
  const engine = await replay(t, { models: Object.keys(pace) });
  const server = await metered(t, engine);
  let over = false;
  engine.answerAll(async (call) => {
    const { model, max_tokens: count } = JSON.parse(call.request.body);
    await sleep(3 * pace[model] + 2 * count);
    await call.write(STREAM_HEAD);
    for (let n = 0; n < count && !over; n++) {
      await call.write(chunk(chatEvent(' word', { model })));
      await sleep(pace[model] * (1 + 0.2 * Math.sin(n / 6) + 0.1 * Math.sin(n)));
    }
    const usage = { prompt_tokens: 40 + 3 * count, completion_tokens: count };
    await call.write(chunk(`data: ${JSON.stringify({ model, choices: [], usage })}\n\n`) + chunk(DONE_EVENT) + LAST_CHUNK);
    call.socket.end();
  });
  const clients = Object.keys(pace).map(async (model, i) => {
    for (let n = 0; !over; n++) {
      const body = { model, stream: true, max_tokens: 90 + 40 * ((3 * n + i) % 4), messages: [] };
      await (await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', body: JSON.stringify(body) })).text();
      await sleep(900);
    }
  });
  await sleep(75_000);
  const page = await open(t, server, { theme: 'dark', height: 1180 });
  await filled(page);
  await until(page, () => document.querySelectorAll('#requests-body [data-status=running]').length === 2);
  await sleep(2000);
  await screenshot(page, 'dashboard', { fullPage: false });
  over = true;
  await Promise.all(clients);
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
