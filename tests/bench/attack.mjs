// Peers that take what they can and give nothing, in a process of their own: so what they cost is not counted as a good
// viewer's wait. Says "ready" when the attack stands; ends when stdin does.
//
//   node tests/bench/attack.mjs KIND PORT [ADDRESS [COUNT]]
//
// ADDRESS is where the connections come from, one of 127.0.0.0/8, or "many" for one of 127.0.1.1 to 127.0.1.250 each.
import net from 'node:net';

const [kind, port, address = '127.0.0.1', asked] = process.argv.slice(2);

let opened = 0;
const from = () => (address === 'many' ? `127.0.1.${1 + opened % 250}` : address);

function open(bytes = '') {
  const socket = net.connect({ host: '127.0.0.1', port: Number(port), ...(address === '127.0.0.1' ? {} : { localAddress: from() }) });
  opened++;
  socket.on('error', () => {});
  if (bytes) socket.write(bytes);
  return socket;
}

const connected = (socket) => new Promise((done) => { socket.once('connect', done).once('close', done); });
const ended = (socket) => new Promise((done) => { socket.once('close', done); });

/** COUNT connections, each left to itself. */
async function hold(count, bytes) {
  const sockets = Array.from({ length: count }, () => open(bytes));
  await Promise.all(sockets.map(connected));
  return sockets;
}

/** As many connections at a time, one for each that ends. Ready when each has begun. */
async function flood(lanes, one) {
  for (let i = 0; i < lanes; i++) {
    (async () => { for (;;) await one(); })();
  }
}

const handshake = 'GET /ws/flood HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
  + 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
const get = (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n`;
const halfHead = 'GET /status HTTP/1.1\r\nHost: a\r\nA: ';

/** One connection that asks, and goes when the first of its answer has come. */
async function ask(bytes) {
  const socket = open(bytes);
  socket.once('data', () => socket.resetAndDestroy()); // so that its port is free again
  await ended(socket);
}

const stages = ['', 'GET', get('/'), handshake, get('/events'), 'POST /ingest HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{}',
  get('/status'), `${handshake}\x81`];

const kinds = {
  none: async () => {},
  silent: () => hold(Number(asked ?? 1000)),
  async drip() {
    const sockets = await hold(Number(asked ?? 1000), halfHead);
    setInterval(() => sockets.forEach((socket) => socket.destroyed || socket.write('x')), 1000);
  },
  // Each goes after 5 s, or when it is closed, and another one comes.
  'silent-flood': () => flood(Number(asked ?? 1200), async () => {
    const socket = open();
    const timer = setTimeout(() => socket.destroy(), 5000);
    await ended(socket);
    clearTimeout(timer);
  }),
  'drip-flood': () => flood(Number(asked ?? 1200), async () => {
    const socket = open(halfHead);
    const timer = setTimeout(() => socket.destroy(), 5000);
    await ended(socket);
    clearTimeout(timer);
  }),
  handshakes: () => flood(Number(asked ?? 50), () => ask(handshake)),
  requests: () => flood(Number(asked ?? 600), () => ask(get('/status'))),
  resets: () => flood(Number(asked ?? 50), async () => {
    const turn = opened;
    const socket = open();
    socket.once('connect', () => {
      socket.write(stages[turn % stages.length]);
      const reset = () => socket.resetAndDestroy();
      setImmediate(() => (turn % 3 ? reset() : setTimeout(reset, 2)));
    });
    await ended(socket);
  }),
};

if (!(kind in kinds)) {
  console.error(`attack: no ${kind}; there are: ${Object.keys(kinds).join(', ')}`);
  process.exit(2);
}
await kinds[kind]();
console.log('ready');
process.stdin.on('end', () => {
  console.error(`${opened} connections`);
  process.exit(0);
}).resume();
