/* What the program that embeds aidash puts on the page: its title, its logo, a panel that a module of its own fills. The firmware is
 * tests/e2e/own_paths.c. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { compiled, here, runWords } from '../e2e/firmware.mjs';
import { assertAccessible, engine, ingest, open, says, screenshots, serve, until } from './browser.mjs';

const bins = compiled('own_paths');

const PANEL = `export default function mount(element, { on, send }) {
  const heading = document.createElement('h2'), text = document.createElement('p'), button = document.createElement('button');
  const seen = {};
  heading.textContent = 'Door';
  text.id = 'panel-text';
  button.textContent = 'Pause it';
  const draw = () => { text.textContent = JSON.stringify(seen); };
  on('hello', ({ source }) => { seen.source = source; draw(); });
  on('gauge', ({ gauge, value }) => { seen[gauge] = value; draw(); });
  on('inference_tick', ({ model }) => { seen.model = model; draw(); });
  on('status', ({ paused }) => { seen.paused = paused; draw(); });
  const end = on('note', () => { seen.notes = (seen.notes ?? 0) + 1; draw(); end(); });
  button.addEventListener('click', () => send({ action: button.dataset.action ?? 'pause' }).catch((error) => { seen.error = error.message; draw(); }));
  element.append(heading, text, button);
}`;
const LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><rect width="10" height="10" fill="teal"/></svg>';

async function firmware(t, { title = '', logo = '', panel = '', texts = [], routes = [] } = {}) {
  const { ask } = runWords(t, bins.C);
  for (const [where, type, text] of texts) {
    assert.equal(await ask('text', where, type, text.replaceAll('\n', ' ')), '0 ');
  }
  for (const route of routes) {
    assert.equal(await ask('route', ...route), '0 ');
  }
  return { ask, server: here((await ask('start', '', '', '', title, logo, panel)).split(' ')[1]) };
}

const panelOf = (text) => ({ panel: '/acme/panel.js', texts: [['/acme/panel.js', 'text/javascript', text]] });

test('title, logo and panel: the panel hears events, and sends commands', async (t) => {
  const { ask, server } = await firmware(t, { title: 'Door <7> & "more"', logo: '/acme/logo.svg', panel: '/acme/panel.js',
    texts: [['/acme/panel.js', 'text/javascript', PANEL], ['/acme/logo.svg', 'image/svg+xml', LOGO]] });
  const page = await open(t, server);
  await says(page, 'title', 'Door <7> & "more"');
  await until(page, () => document.title.endsWith('Door <7> & "more"'));
  await until(page, () => document.getElementById('logo').naturalWidth > 0 && !document.getElementById('logo').hidden);
  assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('.brand svg')).display), 'none');
  await says(page, 'panel-text', '{"source":"none"}');
  await ask('gauge', 'temperature', 61.5);
  await says(page, 'panel-text', /"temperature":61.5/);
  await ingest(server, ...engine('yolo').past(3));
  await says(page, 'panel-text', /"model":"yolo"/);
  await page.click('#own-panel button');
  await says(page, 'panel-text', /"paused":true/);
  await says(page, 'state', 'Paused');
  await page.evaluate(() => { document.querySelector('#own-panel button').dataset.action = 'fly'; });
  await page.click('#own-panel button');
  await says(page, 'panel-text', /"error":"[^"]+action/);
  assert.equal(await page.getAttribute('#own-panel', 'aria-label'), 'Door <7> & "more"');
  await assertAccessible(page);
  await screenshots(page, 'own-panel');
});

test('what is typed into a panel\'s own fields is no key of the page', async (t) => {
  const { server } = await firmware(t, panelOf(`export default (element) => {
    for (const tag of ['textarea', 'div']) {
      const field = document.createElement(tag);
      field.id = 'panel-' + tag;
      field.setAttribute('aria-label', tag);
      if (tag === 'div') field.contentEditable = 'true';
      element.append(field);
    }
  }`));
  await ingest(server, ...engine('yolo').past(3));
  const page = await open(t, server);
  await until(page, () => document.getElementById('panel-div'));
  for (const field of ['panel-textarea', 'panel-div']) {
    await page.focus(`#${field}`);
    await page.keyboard.type('pa 5');
    assert.equal(await page.evaluate((id) => document.getElementById(id).value ?? document.getElementById(id).textContent.replace('\u00a0', ' '), field), 'pa 5');
  }
  assert.equal(await page.evaluate(() => app.store.state.span), 60);
  assert.equal(await page.getAttribute('#freeze', 'aria-pressed'), 'false');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('p');
  await says(page, 'state', 'Paused');
});

test('without them the page is aidash\'s', async (t) => {
  const server = await serve(t, []);
  const page = await open(t, server);
  await until(page, () => app.store.state.status !== null);
  await says(page, 'title', 'aidash');
  await until(page, () => document.title.endsWith('· aidash'));
  assert.deepEqual(await page.evaluate(() => [document.getElementById('own-panel').hidden, document.getElementById('logo').hidden,
    getComputedStyle(document.querySelector('.brand svg')).display === 'none']), [true, true, false]);
});

for (const [what, text, why] of [
  ['is no script', 'export default (', /Unexpected|token|expression/],
  ['has no default export', 'export const a = 1;', /default/],
  ['fails to mount', 'export default () => { throw new Error("no camera"); }', /: no camera$/],
  ['fails to mount later', 'export default async () => { await null; throw new Error("no camera later"); }', /: no camera later$/],
  ['fails at an event', 'export default (element, { on }) => { on("gauge", ({ value }) => { throw new Error(`no ${value}`); }); element.textContent = "here"; }', /: no 7$/],
  ['imports another host', 'import "http://elsewhere.example/x.js"; export default () => {}', /./],
]) {
  test(`a panel that ${what} says so, and the page goes on`, async (t) => {
    const { ask, server } = await firmware(t, panelOf(text));
    const page = await open(t, server, { expected: /Content Security Policy|Failed to load|blocked/ });
    const event = what === 'fails at an event';
    if (event) {
      await says(page, 'own-panel', 'here');
    }
    await ask('gauge', 'g', 7);
    await says(page, 'own-panel', /^The panel \/acme\/panel.js does not work: /);
    assert.match(await page.textContent('#own-panel [role=alert]'), why);
    await ask('gauge', 'g', 8);
    await until(page, () => app.gauges.list.some(({ value }) => value === 8));
    if (what === 'imports another host') {
      assert.ok(page.problems.splice(0).every((problem) => /content security policy|elsewhere/.test(problem)), 'the policy forbids it');
    }
  });
}

test('a panel by a callback, and one whose path is not there', async (t) => {
  const { server } = await firmware(t, { panel: '/code', routes: [['/code', 'text/javascript', 0, 'code']] });
  const page = await open(t, server, { expected: /Failed to load/ });
  await says(page, 'own-panel', /^The panel \/code does not work: /); /* its callback gives no status */
});
