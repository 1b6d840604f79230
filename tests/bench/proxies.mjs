// The meter beside nginx and HAProxy: what each costs a token event in CPU, and what
// it adds to an event's way. relay.c is the engine and the clients. Part `proxies` of
// run.mjs; a proxy that can't be had is left out, with a word.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { accepts, debian, freePort } from '../programs.mjs';

const STREAMS = [8, 32, 90];
const RATE = 50; // tokens a second of each stream

/** Their configurations: one thread, each event passed on at once. */
const configurations = {
  nginx: (dir, port, engine) => `daemon off;
master_process off;
pid ${dir}/nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${kind};`).join(' ')}
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${engine};
      proxy_http_version 1.1;
      proxy_buffering off;
    }
  }
}
`,
  haproxy: (dir, port, engine) => `global
  nbthread 1
  maxconn 1024
defaults
  mode http
  option http-no-delay
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen relay
  bind 127.0.0.1:${port}
  server engine 127.0.0.1:${engine}
`,
};

function commandOf(kind, { out, aidash, port, engine, program }) {
  const dir = path.join(out, kind);
  mkdirSync(dir, { recursive: true });
  if (kind === 'aidash') {
    return [aidash, ['--listen', `127.0.0.1:${port}`, '--upstream', `http://127.0.0.1:${engine}`, '--max-inflight', '96']];
  }
  const file = path.join(dir, 'conf');
  writeFileSync(file, configurations[kind](dir, port, engine));
  return [program.file, kind === 'nginx' ? ['-e', 'stderr', '-p', dir, '-c', file] : ['-db', '-f', file]];
}

/** One window of one of them: what relay.c prints. */
async function sample(kind, tools, streams, seconds) {
  const engine = await freePort();
  const args = ['--engine', engine, '--streams', streams, '--rate', RATE, '--seconds', seconds];
  if (kind === 'direct') return tools.json('relay', args);
  const port = await freePort();
  const [file, argv] = commandOf(kind, { ...tools, port, engine, program: tools.programs[kind] });
  const child = spawn(file, argv, { stdio: ['ignore', 'ignore', 'pipe'], env: tools.programs[kind]?.env ?? process.env });
  let said = '';
  child.stderr.on('data', (text) => { said += text; });
  const ended = new Promise((done) => { child.on('close', done); });
  try {
    for (let i = 0; !await accepts(port); i++) {
      if (i === 200 || child.exitCode !== null) throw new Error(`${kind} does not serve: ${said}`);
      await new Promise((go) => { setTimeout(go, 25); });
    }
    return await tools.json('relay', [...args, '--proxy', port, '--pid', child.pid]);
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

/** Rows of a table in Markdown. `tools`: what run.mjs builds and runs with. */
export async function proxies(tools, { quick, median }) {
  const kinds = ['direct', 'aidash'];
  const notes = [];
  const programs = {};
  for (const name of ['nginx', 'haproxy']) {
    programs[name] = debian(name);
    if (programs[name].why) notes.push(`${programs[name].why}: left out.`);
    else kinds.push(name);
  }
  const lines = [`| streams of ${RATE} tokens/s | | CPU a token event | ratio to nginx | of the calmest rounds | p50 | added p50 | p99 | added p99 |`, '|---|---|--:|--:|--:|--:|--:|--:|--:|'];
  for (const streams of STREAMS) {
    const runs = Object.fromEntries(kinds.map((kind) => [kind, []]));
    for (let i = 0; i < (quick ? 1 : 7); i++) {
      for (const kind of i % 2 ? kinds.slice().reverse() : kinds) {
        process.stderr.write('.');
        const one = await sample(kind, { ...tools, programs }, streams, quick ? 1 : 2);
        if (one.events !== one.sent || one.missed > 0) {
          notes.push(`FAULT: ${kind}, ${streams} streams: ${one.sent} events sent, ${one.events} came, ${one.missed} not taken`);
        }
        runs[kind].push(one);
      }
    }
    const middle = (kind, field) => median(runs[kind].map((one) => one[field]));
    for (const kind of kinds) {
      const us = (field) => `${middle(kind, field).toFixed(0)} µs`;
      const added = (field) => (kind === 'direct' ? '' : `${(middle(kind, field) - middle('direct', field)).toFixed(0)} µs`);
      const lowest = (one) => Math.min(...runs[one].map((run) => run.cpu_us));
      const ratio = (of) => (kind === 'direct' || !runs.nginx ? '' : `${(of(kind) / of('nginx')).toFixed(2)} ×`);
      lines.push(`| ${streams} | ${kind} | ${kind === 'direct' ? '' : `${middle(kind, 'cpu_us').toFixed(1)} µs`} | ${
        ratio((one) => middle(one, 'cpu_us'))} | ${ratio(lowest)} | ${us('p50_us')} | ${
        added('p50_us')} | ${us('p99_us')} | ${added('p99_us')} |`);
    }
  }
  return [...lines, '', 'Medians over rounds that take turns. Each proxy has one thread and passes each event on at once; aidash counts the tokens, too.',
    ...notes, ''];
}
