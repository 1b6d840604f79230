// Viewers over TLS: what they cost aidash, beside plain aidash, and nginx with TLS in front of plain
// aidash. Part `tls` of run.mjs. CPU is the time that the processes have used, so a busy machine
// changes it little; memory is resident.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { accepts, debian, freePort } from '../programs.mjs';

const VIEWERS = 1000;
const RATE = 5;
const HANDSHAKES = 600;
const TICKS_PER_S = 100; // of the clock of /proc: sysconf(_SC_CLK_TCK) on Linux

const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** Seconds of CPU that a process has used, and its resident kB of 1000 bytes. */
function used(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /, '').split(' ');
  return {
    cpu: (Number(stat[11]) + Number(stat[12])) / TICKS_PER_S,
    kb: Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]) * 1.024,
  };
}
const sum = (pids) => pids.map(used).reduce((a, b) => ({ cpu: a.cpu + b.cpu, kb: a.kb + b.kb }));

const nginx = (dir, port, inner, cert, key) => `daemon off;
master_process off;
pid ${dir}/nginx.pid;
error_log stderr;
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${kind};`).join(' ')}
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {
      proxy_pass http://127.0.0.1:${inner};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header Host $http_host;
      proxy_buffering off;
    }
  }
}
`;

async function program(file, args, port, env = process.env) {
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
  let said = '';
  child.stderr.on('data', (text) => { said += text; });
  const ended = new Promise((done) => { child.on('close', done); });
  for (let i = 0; !await accepts(port); i++) {
    if (i === 400 || child.exitCode !== null) throw new Error(`${file} does not serve: ${said}`);
    await sleep(25);
  }
  return { pid: child.pid, stop: async () => { child.kill('SIGKILL'); await ended; } };
}

/** The programs of one kind: { port, secure, programs }. */
async function start(kind, { out, aidash, web, cert, key }) {
  const port = await freePort();
  const common = ['--source', 'sim', '--rate', String(RATE), '--log-level', 'warn'];
  if (kind === 'plain') {
    return { port, secure: false, programs: [await program(aidash, ['--listen', `127.0.0.1:${port}`, ...common], port)] };
  }
  if (kind === 'tls') {
    return { port, secure: true, programs: [await program(aidash, ['--listen', `127.0.0.1:${port}`, ...common, '--tls-cert', cert, '--tls-key', key], port)] };
  }
  const inner = await freePort();
  const dir = path.join(out, 'nginx-tls');
  mkdirSync(dir, { recursive: true });
  const file = path.join(dir, 'conf');
  writeFileSync(file, nginx(dir, port, inner, cert, key));
  return {
    port,
    secure: true,
    programs: [await program(aidash, ['--listen', `127.0.0.1:${inner}`, ...common], inner),
      await program(web.file, ['-e', 'stderr', '-p', dir, '-c', file], port, web.env)],
  };
}

const open = (server, ca) => new Promise((done, fail) => {
  const where = { host: '127.0.0.1', port: server.port };
  const socket = server.secure ? tls.connect({ ...where, ca, session: undefined }, () => done(socket)) : net.connect(where, () => done(socket));
  socket.on('error', fail);
});

/** One viewer, which counts the bytes that it gets. */
async function view(server, ca, id, counts) {
  const socket = await open(server, ca);
  socket.on('data', (data) => { counts.bytes += data.length; counts.reads++; });
  socket.write(`GET /ws/v${id} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
    + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
  return socket;
}

async function sample(kind, tools, seconds) {
  const server = await start(kind, tools);
  const pids = server.programs.map(({ pid }) => pid);
  const counts = { bytes: 0, reads: 0 };
  const sockets = [];
  try {
    for (let i = 0; i < VIEWERS; i += 20) {
      sockets.push(...await Promise.all(Array.from({ length: 20 }, (_, k) => view(server, tools.ca, i + k, counts))));
    }
    await sleep(2000);
    counts.reads = 0;
    const before = sum(pids);
    await sleep(seconds * 1000);
    const after = sum(pids);
    if (counts.reads < VIEWERS * RATE * seconds * 0.8) throw new Error(`${kind}: ${counts.reads} reads only`);
    return { cpu: (after.cpu - before.cpu) / seconds, kb: after.kb, each: sockets.length };
  } finally {
    sockets.forEach((socket) => socket.destroy());
    for (const one of server.programs) await one.stop();
  }
}

/** Whole handshakes, 20 at a time, without resumption: CPU seconds of each. */
async function handshakes(kind, tools, version) {
  const server = await start(kind, tools);
  const pids = [server.programs.at(-1).pid];
  try {
    const before = sum(pids);
    for (let i = 0; i < HANDSHAKES; i += 20) {
      await Promise.all(Array.from({ length: 20 }, () => new Promise((done, fail) => {
        const socket = tls.connect({ host: '127.0.0.1', port: server.port, ca: tools.ca, minVersion: version, maxVersion: version }, () => { socket.destroy(); done(); });
        socket.on('error', fail);
      })));
    }
    await sleep(200);
    return (sum(pids).cpu - before.cpu) / HANDSHAKES;
  } finally {
    for (const one of server.programs) await one.stop();
  }
}

/** Rows of tables in Markdown. `tools`: { out, aidash }. */
export async function viewersOverTls(tools, { quick, median }) {
  const cert = path.join(tools.out, 'tls.crt');
  const key = path.join(tools.out, 'tls.key');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert,
    '-days', '30', '-subj', '/CN=bench', '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'ignore' });
  const web = debian('nginx');
  const all = { ...tools, cert, key, ca: readFileSync(cert), web };
  const kinds = ['plain', 'tls', ...(web.why ? [] : ['nginx'])];
  const names = { plain: 'aidash, plain', tls: 'aidash, TLS', nginx: 'nginx with TLS, and aidash, plain' };
  const runs = Object.fromEntries(kinds.map((kind) => [kind, []]));
  for (let i = 0; i < (quick ? 1 : 3); i++) {
    for (const kind of i % 2 ? kinds.slice().reverse() : kinds) {
      process.stderr.write('.');
      runs[kind].push(await sample(kind, all, quick ? 5 : 10));
    }
  }
  const lines = [`| ${VIEWERS} viewers, ${RATE} ticks/s | CPU of one core | CPU a frame | resident | a viewer |`, '|---|--:|--:|--:|--:|'];
  for (const kind of kinds) {
    const cpu = median(runs[kind].map((run) => run.cpu));
    const kb = median(runs[kind].map((run) => run.kb));
    lines.push(`| ${names[kind]} | ${(cpu * 100).toFixed(1)} % | ${(cpu / VIEWERS / RATE * 1e6).toFixed(1)} µs | ${(kb / 1000).toFixed(1)} MB | ${(kb / VIEWERS).toFixed(1)} kB |`);
  }
  lines.push('', '| whole handshakes, P-256 | CPU of one | a second and core |', '|---|--:|--:|');
  for (const kind of kinds.slice(1)) {
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      const s = await handshakes(kind, all, version);
      lines.push(`| ${kind === 'tls' ? 'aidash' : 'nginx'}, ${version} | ${(s * 1000).toFixed(2)} ms | ${Math.round(1 / s)} |`);
    }
  }
  return [...lines, '', ...(web.why ? [`${web.why}: left out.`, ''] : [])];
}
