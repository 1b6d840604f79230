// The same ticks from node and the npm package ws: a peer for the tables.
// usage: node peer-ws.mjs HZ
import { WebSocketServer } from 'ws';

const rate = Number(process.argv[2]);
const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
const start = performance.now();
let tokens = 0;
let made = 0;

server.on('connection', (socket) => {
  socket._socket.setNoDelay(true);
  socket.on('error', () => {});
});
server.on('listening', () => {
  console.error(`peer: listening on http://127.0.0.1:${server.address().port}`);
});

// Timers are no finer than a millisecond, so each one makes what is due.
setInterval(() => {
  const due = Math.floor((performance.now() - start) / 1000 * rate) - made;
  made += due;
  for (let i = 0; i < Math.min(due, Math.max(1, rate / 100)); i++) {
    const frame = JSON.stringify({
      event: 'inference_tick', model: 'llama3', tokens_generated: ++tokens,
      latency_ms: 118.341, tokens_per_second: 15.03,
      timestamp: (performance.timeOrigin + performance.now()) / 1000,
    });
    for (const client of server.clients) client.send(frame);
  }
}, Math.max(1, Math.min(1000 / rate, 20)));
process.on('SIGTERM', () => process.exit(0));
