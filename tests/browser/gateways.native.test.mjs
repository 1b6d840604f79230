/* The page behind nginx and two gateways (examples/nginx): it goes on at the other one, and its charts have no hole. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { balanced, feed, Gateway } from '../e2e/gateways.mjs';
import { poll, request } from '../e2e/aidash.mjs';
import { open, until } from './browser.mjs';
import { noNginx } from './nginx.mjs';

const have = (page) => page.evaluate(() => app.ring('tokens'));
const runOf = async ({ server }) => (await request(server, '/ticks?last=1')).json.run;

test('its gateway is killed: the page goes on at the other one, below a sub-path, without a hole', { skip: noNginx() }, async (t) => {
  const gateways = [await Gateway.start(t), await Gateway.start(t)];
  const proxy = await balanced(t, gateways);
  const past = feed(t, gateways);
  await poll(() => past.sent > 20, 'ticks');
  await past.stop(); // while the page loads, as what it fetches may come from the gateway that has a tick later
  const page = await open(t, { url: `${proxy.url}boards` }, { expected: /(401|50[24]) \(/ }); // nginx, for a gateway that has gone; POST /ingest, which asks why
  await until(page, () => app.store.state.connection.phase === 'live' && app.store.state.filled && app.feed.ring.end > 20);
  const ticks = feed(t, gateways, 50, past.sent);
  const run = await page.evaluate(() => app.store.state.hello.run);
  const runs = [await runOf(gateways[0]), await runOf(gateways[1])];
  await gateways[runs.indexOf(run)].kill();
  await until(page, (gone) => app.store.state.connection.phase === 'live' && app.store.state.hello.run !== gone, run);
  const at = ticks.sent;
  await until(page, (n) => app.ring('tokens').includes(n) && !app.feed.marks.some(({ kind }) => kind === 'restart'), at + 5);
  const numbers = await have(page);
  assert.deepEqual(numbers.slice(0, at + 5), Array.from({ length: at + 5 }, (_, i) => i + 1), 'each tick once, in order');
  const { breaks, silences } = await page.evaluate(() => {
    const flags = app.ring('flags');
    return { breaks: flags.filter((flag) => flag & 1).length, silences: flags.filter((flag) => flag & 8).length };
  });
  assert.equal(breaks - silences, 1, 'one line from the first tick on');
  const { lost, marks } = await page.evaluate(() => ({ lost: app.store.state.dropped, marks: app.feed.marks.map(({ kind }) => kind) }));
  assert.deepEqual([lost, marks.filter((kind) => kind !== 'offline')], [0, []]);
});
