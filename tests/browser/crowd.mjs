/* A busy engine, and its clients: so many parallel streams, of so many tokens a second each. What comes back is not read closely:
 * the page is what is watched. */
import http from 'node:http';
import net from 'node:net';
import { chatEvent, chunk, DONE_EVENT, LAST_CHUNK, metered, STREAM_HEAD } from '../e2e/engine.mjs';

const BEAT_MS = 30; // each stream gets a token: 33 a second

/* aidash in front of an engine with `streams` requests all the time; each has `tokens` tokens, and its client asks again. */
export async function crowd(t, { streams = 30, tokens = 600, models = ['llama3.2:3b', 'mistral:7b', 'qwen2.5:7b'] } = {}) {
  const words = models.map((model) => chunk(chatEvent(' word', { model })));
  const running = new Set(); // answers
  const engine = http.createServer((req, res) => {
    if (req.method !== 'POST') {
      const lists = req.url === '/v1/models';
      res.writeHead(lists ? 200 : 404, { 'Content-Type': 'application/json' });
      res.end(lists ? JSON.stringify({ object: 'list', data: models.map((id) => ({ id, object: 'model' })) }) : '{}');
      return;
    }
    let body = '';
    req.on('data', (part) => { body += part; });
    req.on('end', () => {
      const { model, max_tokens: left } = JSON.parse(body);
      const { socket } = req;
      res.detachSocket(socket); // from here on bytes that are made once
      socket.write(STREAM_HEAD);
      const answer = { socket, left, model, word: words[models.indexOf(model)], total: left };
      socket.on('close', () => running.delete(answer)).on('error', () => {});
      running.add(answer);
    });
  });
  await new Promise((done) => { engine.listen(0, '127.0.0.1', done); });
  let written = 0;
  // A busy machine lets a beat come late: then there are two, so that the pace holds.
  let due = performance.now();
  const beat = setInterval(() => {
    for (let n = 0; due <= performance.now() && n < 10; n++, due += BEAT_MS) {
      for (const answer of running) {
        answer.socket.write(answer.word);
        written++;
        if (--answer.left <= 0) {
          running.delete(answer);
          const usage = { prompt_tokens: 300, completion_tokens: answer.total };
          answer.socket.end(chunk(`data: ${JSON.stringify({ model: answer.model, choices: [], usage })}\n\n`) + chunk(DONE_EVENT) + LAST_CHUNK);
        }
      }
    }
    due = Math.max(due, performance.now() - 10 * BEAT_MS);
  }, BEAT_MS / 2);

  const server = await metered(t, `http://127.0.0.1:${engine.address().port}`, ['--max-inflight', String(streams)]);
  const clients = new Set();
  let over = false;
  const ask = (number, most) => {
    const body = JSON.stringify({ model: models[number % models.length], stream: true, max_tokens: most, messages: [] });
    const socket = net.connect(server.port, '127.0.0.1');
    clients.add(socket);
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    socket.resume().on('error', () => {}).on('close', () => {
      clients.delete(socket);
      if (!over) {
        ask(number, tokens);
      }
    });
  };
  for (let n = 0; n < streams; n++) {
    ask(n, Math.ceil((tokens * (n + 1)) / streams)); // they do not end at the same time
  }
  const stop = () => {
    over = true;
    clearInterval(beat);
    clients.forEach((socket) => socket.destroy());
    engine.closeAllConnections();
    engine.close();
  };
  t.after(stop);
  return { server, stop, streams: () => running.size, written: () => written };
}

/* From now on the page counts each event that its panels hear: counted(page) is what came, and how many numbers the server gave. */
export const count = (page) => page.evaluate(async () => {
  const { session } = (await import('./app.js')).context;
  const { tap } = session;
  window.heard = { events: 0, ticks: 0, from: session.client.sequence.next };
  session.tap = (event, data) => {
    window.heard.events++;
    window.heard.ticks += Number(event === 'inference_tick');
    tap(event, data);
  };
});

/* { events, ticks, numbers, next }: all in one turn of the page, so that they belong together. */
export const counted = (page) => page.evaluate(async () => {
  const { session } = (await import('./app.js')).context;
  const { next } = session.client.sequence;
  return { ...window.heard, numbers: next - window.heard.from, next, dropped: (await import('./app.js')).context.store.state.dropped };
});

/* Bytes of script after a collection, DOM nodes and listeners. */
export async function footprint(session) {
  await session.send('HeapProfiler.collectGarbage');
  await session.send('HeapProfiler.collectGarbage'); // what the first one let go of
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  const metrics = Object.fromEntries((await session.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
  return { heap: usedSize, nodes: metrics.Nodes, listeners: metrics.JSEventListeners, metrics };
}
