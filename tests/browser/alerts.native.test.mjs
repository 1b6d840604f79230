/* The alerts that fire, on the page. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ingest } from '../e2e/aidash.mjs';
import { assertAccessible, live, open, says, screenshots, serve, until } from './browser.mjs';

test('an alert is a line on the page while it fires, also for who comes later', async (t) => {
  const server = await serve(t, ['--rate', '20', '--alert', 'hot: gauge:x > 80 clear 70', '--alert', 'gauge:y > 5']);
  const page = await open(t, server);
  await live(page);
  assert.equal(await page.isHidden('#alerts'), true);
  await ingest(server, { gauge: 'x', value: 85 });
  await says(page, 'alerts', 'hot gauge x is 85, above 80');
  await assertAccessible(page);
  await screenshots(page, 'alerts');
  const late = await open(t, server);
  await says(late, 'alerts', 'hot gauge x is 85, above 80');
  await ingest(server, { gauge: 'y', value: 6 });
  await until(late, () => document.querySelectorAll('#alerts div').length === 2);
  await ingest(server, { gauge: 'x', value: 70 });
  await says(late, 'alerts', 'gauge:y > 5 gauge y is 6, above 5');
  await ingest(server, { gauge: 'y', value: 0 });
  await until(page, () => document.getElementById('alerts').hidden);
});
