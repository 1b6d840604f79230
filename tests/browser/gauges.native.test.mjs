/* Gauges on the page: a tile and a chart each, with the values of the cursor; nothing but gauges; many of them. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { assertAccessible, drawn, engine, ingest, inked, open, screenshots, serve, until } from './browser.mjs';

const gauge = (name, unit, value, timestamp) => ({ gauge: name, unit, value, ...(timestamp ? { timestamp } : {}) });
const tile = (page, i) => page.evaluate((n) => [...document.querySelectorAll('.strip .gauge')][n]?.textContent, i);
const tiles = (page, n) => until(page, (wanted) => document.querySelectorAll('.strip .gauge').length === wanted, n);

test('a gauge has a tile and a chart; both follow its value', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  await ingest(server, ...engine('yolo').past(60), gauge('temperature', 'C', 41));
  const page = await open(t, server);
  await tiles(page, 1);
  assert.equal(await tile(page, 0), 'temperature41 C', 'its value before the page came');
  for (let value = 42; value <= 47; value++) {
    await ingest(server, gauge('temperature', 'C', value + 0.5));
    await until(page, (wanted) => app.gauges.list[0].value === wanted, value + 0.5);
  }
  await until(page, () => document.querySelector('.strip .gauge dd').textContent === '47.5 C');
  await until(page, () => document.querySelector('#plot-gauge-0 figcaption').textContent === 'temperature, C47.5');
  await page.keyboard.press('Tab');
  await page.focus('#plots');
  await page.keyboard.press('End');
  await until(page, () => /^\d\d:\d\d:\d\d/.test(document.querySelector('#legend-time').textContent));
  assert.ok(await inked(page, 'plot-gauge-0', 0.5, 1) > 0, 'a line');
  await assertAccessible(page);
  await screenshots(page, 'gauges');
});

test('gauges alone are no empty page, and only the first have a chart', async (t) => {
  const server = await serve(t, ['--source', 'none']);
  const page = await open(t, server);
  await until(page, () => !document.querySelector('#empty').hidden);
  await ingest(server, ...Array.from({ length: 10 }, (_, i) => gauge(`sensor ${i}`, 'mV', i - 5)));
  await tiles(page, 10);
  await until(page, () => document.querySelectorAll('.plot.gauge').length === 6 && document.querySelector('#empty').hidden);
  await page.setViewportSize({ width: 360, height: 740 });
  await drawn(page);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'no horizontal scrolling');
  await assertAccessible(page);
});
