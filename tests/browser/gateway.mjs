/* A gateway of the contract, in front of a real server: the page and all else is the server's, but the WebSocket, GET /nodes,
 * /status and /ticks are this one's. A test says what the boards behind it tell. What it sends is of the contract. */
import http from 'node:http';
import { WebSocketServer } from 'ws';
import { connect, request, validate } from '../e2e/aidash.mjs';
import { serve } from './browser.mjs';

const ANSWERS = { '/ticks': 'TicksAnswer', '/status': 'StatusAnswer', '/nodes': 'NodesAnswer' };

export async function gateway(t, nodes = []) {
  const behind = await serve(t, ['--source', 'none']);
  const viewer = await connect(behind, '/ws/template');
  const { hello } = viewer;
  viewer.close();
  const ticks = [];
  let seq = hello.next_seq;
  const counted = () => (nodes.length ? { nodes: nodes.length } : {});
  const answers = {
    '/ticks': async () => ({ started: hello.started, run: hello.run, last_seq: seq - 1, missed: 0, ticks }),
    '/status': async () => ({ ...(await request(behind, '/status')).json, ...counted() }),
    '/nodes': async () => ({ nodes }),
  };

  const web = http.createServer(async (req, res) => {
    const answer = answers[new URL(req.url, behind.url).pathname];
    if (answer) {
      const body = await answer();
      validate(body, ANSWERS[new URL(req.url, behind.url).pathname]);
      res.setHeader('Content-Type', 'application/json');
      res.end(JSON.stringify(body));
      return;
    }
    const passed = http.request({ host: '127.0.0.1', port: behind.port, path: req.url, method: req.method, headers: req.headers }, (found) => {
      res.writeHead(found.statusCode, found.headers);
      found.pipe(res);
    });
    passed.on('error', () => res.destroy());
    req.pipe(passed);
  });
  const sockets = new WebSocketServer({ server: web });
  const commands = [];
  sockets.on('connection', (socket) => {
    socket.on('message', (data) => {
      const command = JSON.parse(data);
      const later = command.node ? { number: commands.push(command) } : {};
      socket.send(JSON.stringify(validate({ event: 'ack', id: command.id, action: command.action, ...later })));
    });
    socket.on('error', () => {});
    socket.send(JSON.stringify(validate({ ...hello, ...counted(), next_seq: seq })));
  });
  await new Promise((done) => { web.listen(0, '127.0.0.1', done); });
  t.after(() => {
    sockets.clients.forEach((socket) => socket.terminate());
    web.closeAllConnections();
    return new Promise((done) => { web.close(done); });
  });

  const send = (event) => {
    const text = JSON.stringify(validate(event));
    sockets.clients.forEach((socket) => socket.send(text));
  };
  return {
    url: `http://127.0.0.1:${web.address().port}`,
    /* No page has a connection from now on, nor gets one. */
    cut() {
      sockets.on('connection', (socket) => socket.terminate());
      sockets.clients.forEach((socket) => socket.terminate());
    },
    nodes,
    commands,
    send(event) {
      send({ ...event, seq });
      seq += 1;
    },
    /* An event of a board. */
    tell(node, data) {
      let known = nodes.find((one) => one.node === node);
      if (!known) nodes.push(known = { node, state: 'live', age_ms: 0, tokens_per_second: 0, tokens: 0 });
      if (['status', 'board', 'verdict', 'energy'].includes(data.event)) known[data.event] = { seq: 1, ...data };
      send({ event: 'node', seq, node, data: validate({ seq: 1, ...data }) });
      seq += 1;
    },
    state(node, state) {
      nodes.find((one) => one.node === node).state = state;
      send({ event: 'node', seq, node, state });
      seq += 1;
    },
    tick(node, more = {}) {
      const tick = { event: 'inference_tick', model: 'llama3', tokens_generated: 100, latency_ms: 50, tokens_per_second: 20, timestamp: Date.now() / 1000,
        ...(node && { node }), ...more };
      send(tick);
      ticks.push(tick);
      seq += 1;
    },
  };
}

/* What a board's sensors say, as far as the cards show it. */
export const board = ({ celsius = 61.4, watts = 12.5 } = {}) => ({
  event: 'board', time: Date.now() / 1000, name: 'Some Board',
  cpu: { percent: 10, iowait_percent: 0, steal_percent: 0, clock_mhz: 1500, clock_max_mhz: 1800, load: 0.5, count: 4, cores: [10, 10, 10, 10] },
  memory: { total_bytes: 4e9, available_bytes: 2e9, swap_total_bytes: 0, swap_used_bytes: 0 },
  temperatures: [{ name: 'cpu', celsius }, { name: 'pmic', celsius: celsius - 9 }],
  throttling: { now: [], since_boot: [], events: {}, cooling: [] }, gpus: [], npus: [], rails: [],
  power: { watts, scope: 'module', estimate: false }, fans: [], disk: { total_bytes: 3e10, free_bytes: 1e10 }, networks: [],
});

export const verdict = (on, sentence = 'slower than usual: the board is hot (84 °C).') => ({ event: 'verdict', time: Date.now() / 1000, on, model: 'llama3', figure: 'decode',
  cause: 'thermal', since: Date.now() / 1000 - 5, sentence });

export const status = (more = {}) => ({ event: 'status', model: 'llama3', models: ['llama3', 'mistral'], paused: false, source: 'meter', source_state: 'none', rate_hz: 0, ...more });
