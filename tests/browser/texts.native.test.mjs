/* All that the page says is in www/texts.js: with a copy in which each text is marked, like a translation, every text that a person
 * sees or hears is marked, in the page's main states. Names that the tests give, as of models, are marked by themselves. */
import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import ts from 'typescript';
import { ROOT, validate } from '../e2e/aidash.mjs';
import { gateway, board as boardOf, status as statusOf, verdict as verdictOf } from './gateway.mjs';
import { drawn, engine, ingest, inside, open, serve, start, until } from './browser.mjs';

const OUT = path.join(ROOT, 'build/marked');
const mark = (text) => `⟦${text}⟧`;

/* texts.js with each text marked; the language's code and the names of values stay. */
function marked() {
  const text = readFileSync(path.join(ROOT, 'www/texts.js'), 'utf8');
  const source = ts.createSourceFile('texts.js', text, ts.ScriptTarget.Latest, true);
  const found = [];
  const visit = (node) => {
    const named = ts.isVariableDeclaration(node) && node.name.text === 'LANGUAGE';
    if (ts.isStringLiteral(node) && node.text && !(ts.isPropertyAssignment(node.parent) && node.parent.name === node)) found.push(node);
    if (!named) ts.forEachChild(node, visit);
  };
  visit(source);
  assert.ok(found.length > 300);
  return found.reverse().reduce((all, node) => all.slice(0, node.getStart() + 1) + mark(all.slice(node.getStart() + 1, node.end - 1)) + all.slice(node.end - 1), text);
}

before(() => {
  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(OUT, { recursive: true });
  writeFileSync(path.join(OUT, 'texts.js'), marked());
  const { status, stderr } = spawnSync('sh', ['www/bundle.sh', path.join(OUT, 'www'), path.join(OUT, 'texts.js')], { cwd: ROOT, encoding: 'utf8', env: { ...process.env,
    ESBUILD: process.env.ESBUILD || 'build/deps/esbuild', UPLOT: process.env.UPLOT || 'build/deps/uplot' } });
  assert.equal(status, 0, stderr);
});

/* A server in front of another one, whose page it has with marked texts. */
async function front(t, { url }) {
  const { hostname: host, port } = new URL(url);
  const files = { '/': 'index.html', '/app.js': 'app.js' };
  const web = http.createServer((req, res) => {
    const name = files[new URL(req.url, url).pathname];
    const passed = http.request({ host: '127.0.0.1', port, path: req.url, method: req.method, headers: { ...req.headers, ...(name && { 'accept-encoding': 'identity' }) } }, (found) => {
      const { 'content-length': length, ...headers } = found.headers;
      const body = name && found.statusCode === 200 ? readFileSync(path.join(OUT, 'www', name)) : null;
      res.writeHead(found.statusCode, body || length === undefined ? headers : { ...headers, 'content-length': length });
      if (body) {
        found.resume();
        res.end(body);
      } else {
        found.pipe(res);
      }
    });
    passed.on('error', () => res.destroy());
    req.pipe(passed);
  });
  const open = new Set();
  web.on('upgrade', (req, socket, head) => {
    const upstream = net.connect(Number(port), '127.0.0.1', () => {
      const lines = req.rawHeaders.reduce((all, word, i) => (i % 2 ? `${all}: ${word}\r\n` : all + word), '');
      upstream.write(`GET ${req.url} HTTP/1.1\r\n${lines}\r\n`);
      upstream.write(head);
      socket.pipe(upstream).pipe(socket);
    });
    for (const [one, other] of [[socket, upstream], [upstream, socket]]) {
      open.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => { open.delete(one); other.destroy(); });
    }
  });
  await new Promise((done) => { web.listen(0, '127.0.0.1', done); });
  t.after(() => {
    open.forEach((socket) => socket.destroy());
    web.closeAllConnections();
    return new Promise((done) => { web.close(done); });
  });
  return { url: `http://${host}:${web.address().port}` };
}

/* The page of a server, with marked texts; page.say(event) puts an event into its stream. */
async function page(t, server, { source, ...options } = {}) {
  return open(t, await front(t, server), { ...options, before: async (opened) => {
    await opened.addInitScript(() => { // what canvases say
      window.said = new Set();
      const { fillText } = CanvasRenderingContext2D.prototype;
      CanvasRenderingContext2D.prototype.fillText = function say(text, ...rest) {
        window.said.add(text);
        return fillText.call(this, text, ...rest);
      };
    });
    await opened.routeWebSocket(/\/ws\//, (socket) => {
      const upstream = socket.connectToServer();
      let seq = 0;
      upstream.onMessage((message) => {
        const event = JSON.parse(message);
        seq = event.seq ?? event.next_seq ?? seq + 1;
        socket.send(event.event === 'hello' && source ? JSON.stringify({ ...event, source }) : message);
      });
      socket.onMessage((message) => upstream.send(message));
      opened.say = (event) => socket.send(JSON.stringify(validate({ seq, ...event })));
    });
  } });
}

/* What a person sees or hears without a mark: texts and labels of what is not hidden, of canvases, and the title. Data of the server
 * and of the computer, and what is typed, is left out: its address, the sentence about its rights, commands, names of keys. */
const unmarked = (opened) => opened.evaluate(() => {
  const DATA = '#host, #title, #posture, code, kbd, script, style, noscript, datalist, #alerts > *, .sprite, [data-lane] .name, input[name]';
  const ATTRIBUTES = ['title', 'aria-label', 'placeholder', 'alt', 'data-title', 'data-note', 'data-stale'];
  const bare = (text) => {
    let rest = text;
    for (let before = ''; rest !== before;) {
      before = rest;
      rest = rest.replace(/⟦[^⟦⟧]*⟧/g, '');
    }
    return rest.replace(/\baidash\b/g, '');
  };
  const found = new Set();
  const check = (text, where) => {
    if (text && (/\p{L}/u.test(bare(text)) || /[⟦⟧]/.test(bare(text)))) found.add(`${where}: ${text}`);
  };
  const walk = (node) => {
    if (node.matches(DATA) || node.hidden || getComputedStyle(node).display === 'none') return;
    for (const name of ATTRIBUTES) check(node.getAttribute(name), `${node.id || node.className || node.tagName}[${name}]`);
    if (node.querySelector(':scope > .option')) { // a text with a command in it
      check(node.textContent, node.id);
      return;
    }
    for (const child of node.childNodes) {
      if (child.nodeType === Node.TEXT_NODE) check(child.data, node.id || node.className || node.tagName);
      else if (child.nodeType === Node.ELEMENT_NODE) walk(child);
    }
  };
  walk(document.body);
  for (const text of window.said) check(text, 'canvas');
  check(document.title, 'title');
  return [...found];
});

/* The numbers that are seen and do not say what they are: neither they, nor what they are in, nor the head of their column has a title.
 * A time in a list, and what the cursor is at, are said by what stands beside them. */
const untold = (opened) => opened.evaluate(() => {
  const KNOWN = '#legend-time, #legend, #behind, #tip, #log-list, #usage-note, .models, caption';
  const told = (node) => node.closest('[title]:not([title=""])') || (node.children.length && [...node.children].every(({ title }) => title)) || (node.cellIndex !== undefined
    && node.closest('table').querySelector('thead')?.rows[0].cells[node.cellIndex]?.matches('[title], :has([title])'));
  return [...document.querySelectorAll('.number, .amount')].filter((node) => /\d/.test(node.textContent) && node.checkVisibility() && !node.closest(KNOWN) && !told(node))
    .map((node) => `${node.id || node.parentElement.id || node.parentElement.className || node.parentElement.tagName}: ${node.textContent}`);
});

/* In this state nothing is without a mark, and each number says what it is. */
async function allMarked(opened, state) {
  await drawn(opened);
  assert.deepEqual(await unmarked(opened), [], state);
  assert.deepEqual(await untold(opened), [], `${state}: numbers`);
}

const M = mark('m');
const C = mark('c');
const request = (id, more = {}) => ({ event: 'request', id, model: M, route: mark('/r'), client: C, status: 'finished', prompt_tokens: 812, completion_tokens: 96, ttft_ms: 412.5, duration_ms: 4361.7, ...more });
const running = (id, more = {}) => ({ event: 'request_start', id, model: M, route: mark('/r'), client: C, status: 'running', ...more });
const sensors = () => {
  const event = boardOf({ celsius: 84.6, watts: 7.5 });
  return { ...event, name: mark('board'), temperatures: [{ name: mark('cpu'), celsius: 84.6 }], power: { ...event.power, scope: mark('module') } };
};
const said = (more) => ({ event: 'status', model: M, models: [M, mark('n')], paused: false, source: 'meter', source_state: 'none', rate_hz: 0, ...more });

test('simulated: cards, charts, dialogs, pins and changes, the list of events', async (t) => {
  const server = await serve(t, ['--rate', '50', '--models', `${M},${mark('n')}`]);
  const opened = await page(t, server);
  await until(opened, () => app.store.state.filled && app.feed.ring.end > 100 && document.querySelector('#plot-rate canvas'));
  await allMarked(opened, 'live');
  for (const [button, dialog] of [['settings-open', 'settings'], ['access-open', 'access']]) {
    await opened.click(`#${button}`);
    await opened.locator(`#${dialog}[open]`).waitFor();
    await allMarked(opened, dialog);
    await opened.keyboard.press('Escape');
  }
  await opened.keyboard.press('?');
  await opened.locator('#help[open]').waitFor();
  await allMarked(opened, 'help');
  const told = await opened.locator('#help-numbers dl div').evaluateAll((all) => all.map(({ children: [name, what] }) => [name.textContent, what.textContent]));
  assert.ok(told.length > 10 && told.every((pair) => pair.every(Boolean)), JSON.stringify(told));
  const links = await opened.locator('#help-numbers a').evaluateAll((all) => all.map((link) => link.href));
  assert.ok(links.length >= 2);
  const about = await (await fetch(links[0])).text();
  assert.deepEqual(links.filter((link) => !about.includes(` id="${new URL(link).hash.slice(1)}"`)), []);
  await opened.keyboard.press('Escape');
  await opened.focus('#plots');
  for (const key of ['Home', 'Enter', 'End', 'ArrowLeft', 'Enter']) await opened.keyboard.press(key);
  await opened.locator('#compare-pins table').waitFor();
  await allMarked(opened, 'pins');
  await opened.click('summary[aria-label*="⟦Compare"]');
  await opened.click('#changed');
  await opened.locator('#compare-changes h3').waitFor();
  await opened.click('#export-menu summary');
  await allMarked(opened, 'changes');
  await opened.fill('#filter', 'nothing');
  await until(opened, () => document.querySelector('#legend-more').textContent !== '');
  await allMarked(opened, 'filtered');
  await opened.fill('#filter', '');
  await opened.keyboard.press('Escape');
  for (const level of ['info', 'warn', 'error']) {
    opened.say({ event: 'note', level, text: mark('note'), timestamp: Date.now() / 1000 });
    const end = await inside(opened, ({ feed }) => feed.ring.end);
    await until(opened, (before) => app.feed.ring.end > before + 1, end); // the next one has another number
  }
  await ingest(server, { gauge: mark('g'), unit: mark('u'), value: 61.5 });
  opened.say(said({ source: 'sim', paused: true, reason: mark('why') }));
  await until(opened, () => document.documentElement.dataset.state === 'paused' && app.feed.marks.length > 3 && app.gauges.list.length === 1);
  await opened.click('#log summary');
  await opened.click('#freeze');
  await until(opened, () => document.querySelector('#log-list').children.length > 3 && document.querySelector('#behind').textContent !== '');
  await allMarked(opened, 'paused, frozen, with gauge and events');
});

test('a meter: requests in each state, open ones, usage, benchmark, verdict, energy, board, alert, engine down and loading', async (t) => {
  const server = await serve(t, ['--rate', '50', '--models', M, '--alert', 'hot: gauge:⟦x⟧ > 80']);
  const opened = await page(t, server, { source: 'meter' });
  await until(opened, () => app.store.state.connection.phase === 'live' && app.store.state.status && app.feed.ring.end > 100);
  opened.say(said({ override: true, loaded: [M], model_facts: [{ model: M, context_length: 8192, cpu_share: 0.4, prompt_tokens: 1000, cached_tokens: 400 }] }));
  const details = { cached_tokens: 700, cache_write_tokens: 12, reasoning_tokens: 30, thinking_share: 0.3, think_ms: 900, draft_tokens: 40, draft_accepted_tokens: 30, itl_p50_ms: 20,
    itl_p95_ms: 30, itl_max_ms: 90, tokens_per_second: 22, queue_ms: 20, load_ms: 1200, prefill_ms: 300, decode_ms: 3800, audio_s: 3, real_time_factor: 0.2, bytes_received: 10, bytes_sent: 2000,
    context_tokens: 908, context_length: 4096, prompt_cut: true, cache_broke: true, joules: 30, slow: 'thermal', counts: 'exact', http_status: 200, prefill_tokens_per_second: 300,
    decode_tokens_per_second: 24, finish_reason: mark('stop'), dialect: mark('openai') };
  opened.say(request(1, details));
  opened.say(request(2, { status: 'left', ended_by: 'client', counts: 'estimated', counts_reason: 'not_told', estimated: true }));
  opened.say(request(3, { status: 'cut', ended_by: 'viewer' }));
  opened.say(request(4, { status: 'refused', ended_by: 'aidash', http_status: 503, error: mark('full') }));
  opened.say(request(5, { status: 'failed' }));
  opened.say(running(6));
  opened.say(running(7, { status: 'queued' }));
  opened.say(running(8));
  opened.say({ event: 'verdict', on: true, model: M, figure: 'decode', cause: 'gpu_clock', tokens_per_second: 12, usual_tokens_per_second: 18, since: Date.now() / 1000 - 40, sentence: mark('slow'), time: Date.now() / 1000 });
  opened.say({ event: 'energy', source: 'board', watts: 23.4, scope: mark('rails'), wh: 0.2, known_s: 60, requests_wh: 0.1, joules_per_token: 1.8, floor_watts: 3, cost: 0.1, tokens_per_wh: 300, time: Date.now() / 1000 });
  opened.say(sensors());
  await ingest(server, { gauge: mark('x'), value: 85 });
  await until(opened, () => document.querySelectorAll('#requests-body tr').length === 8 && !document.querySelector('#alerts').hidden && !document.querySelector('#verdict').hidden
    && !document.querySelector('#board').hidden && !document.querySelector('#energy').hidden);
  await opened.click('#request-1 .open');
  await opened.click('#request-3 .open');
  await opened.click('#usage summary');
  await until(opened, () => document.querySelectorAll('#requests-body .more').length === 2 && document.querySelector('#usage-note').textContent !== '');
  await opened.click('summary[aria-label*="⟦Columns"]');
  await allMarked(opened, 'requests');
  await opened.keyboard.press('Escape');
  await opened.evaluate(() => document.querySelector('#bench').showModal());
  await allMarked(opened, 'benchmark');
  await opened.keyboard.press('Escape');
  opened.say(said({ engine: 'loading', reason: mark('weights') }));
  await until(opened, () => document.documentElement.dataset.state === 'loading');
  await allMarked(opened, 'loading');
  opened.say(said({ engine: 'down' }));
  await until(opened, () => document.documentElement.dataset.state === 'down');
  await allMarked(opened, 'down');
  opened.say(said({ engine: 'up', paused: true }));
  await until(opened, () => document.documentElement.dataset.state === 'draining');
  await allMarked(opened, 'draining');
});

test('nothing to show yet, and no connection', async (t) => {
  const server = await start(['--source', 'none']);
  const opened = await page(t, server);
  await opened.locator('#empty').waitFor();
  await allMarked(opened, 'empty');
  await ingest(server, ...engine(M).past(30));
  await until(opened, () => app.feed.ring.end > 100);
  await server.stop();
  await until(opened, () => document.documentElement.dataset.state === 'waiting' && /2/.test(document.querySelector('#connection-text').textContent));
  await allMarked(opened, 'no connection');
});

test('boards behind a gateway, and the page of one', async (t) => {
  const fleet = await gateway(t, [
    { node: mark('jetson'), state: 'live', age_ms: 400, url: 'http://127.0.0.1:9/', model: M, tokens_per_second: 20, tokens: 100, status: { ...statusOf({ model: M, models: [M] }), seq: 1 }, board: { ...sensors(), seq: 1 } },
    { node: mark('pi'), state: 'gone', age_ms: 300_000, tokens_per_second: 0, tokens: 0 },
  ]);
  const opened = await page(t, fleet);
  await until(opened, () => document.querySelectorAll('#fleet-cards li').length === 2);
  fleet.tell(mark('jetson'), { ...verdictOf(true), model: M, sentence: mark('hot') });
  await until(opened, () => document.querySelector('.node-trouble').textContent !== '');
  await allMarked(opened, 'boards');
  const one = await page(t, fleet, { where: `#node=${encodeURIComponent(mark('jetson'))}` });
  await until(one, () => !document.querySelector('#narrowed').hidden && document.querySelector('#narrowed-state').textContent !== '');
  await allMarked(one, 'one board');
});

test('signed out', async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-texts-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const server = await serve(t, ['--allow-host', 'board.example', '--state-dir', dir, '--control', 'key', '--models', M]);
  const opened = await page(t, { url: `http://board.example:${server.port}` }, { expected: /40[1-4]|410/ });
  await until(opened, () => app.store.state.access && document.documentElement.dataset.state === 'running');
  await opened.click('#pause');
  await opened.locator('#access[open]').waitFor();
  await allMarked(opened, 'what a code is for');
});
