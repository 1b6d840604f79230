// What GET /metrics costs aidash: CPU and bytes a scrape, beside GET /healthz, which does the same work
// around an answer of 15 bytes. Part `scrape` of run.mjs. CPU is the time that the process has used.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { freePort, accepts } from '../programs.mjs';

const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });
const TICKS_PER_S = 100; // of the clock of /proc: sysconf(_SC_CLK_TCK) on Linux

const get = (port, path, headers) => new Promise((done, fail) => {
  http.get({ host: '127.0.0.1', port, path, headers, agent: false }, (res) => {
    let bytes = 0;
    res.on('data', (data) => { bytes += data.length; }).on('end', () => done(bytes));
  }).on('error', fail);
});

function cpu(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /, '').split(' ');
  return (Number(stat[11]) + Number(stat[12])) / TICKS_PER_S;
}

/** A few models and the board of this machine, or all places taken. */
async function sample(aidash, models, gauges, n) {
  const port = await freePort();
  const child = spawn(aidash, ['--listen', `127.0.0.1:${port}`, '--source', 'none'], { stdio: 'ignore' });
  const ended = new Promise((done) => { child.on('close', done); });
  try {
    while (!await accepts(port)) await sleep(20);
    const lines = [
      ...Array.from({ length: models }, (_, i) => JSON.stringify({ tokens: 3, latency_ms: 30 + i, model: `model-with-a-name-${i}` })),
      ...Array.from({ length: gauges }, (_, i) => JSON.stringify({ gauge: `gauge-${i}`, unit: 'C', value: i / 7 })),
    ];
    await fetch(`http://127.0.0.1:${port}/ingest`, { method: 'POST', body: lines.join('\n') });
    await sleep(2500); // the board
    const cost = {};
    for (const [name, path] of [['scrape', '/metrics'], ['healthz', '/healthz']]) {
      const before = cpu(child.pid);
      for (let i = 0; i < n; i++) cost[`${name} bytes`] = await get(port, path, { Accept: 'application/openmetrics-text' });
      cost[name] = (cpu(child.pid) - before) / n;
    }
    return cost;
  } finally {
    child.kill();
    await ended;
  }
}

/** Lines of Markdown. */
export async function scrapes({ aidash }, { quick }) {
  const n = quick ? 500 : 2000;
  const lines = ['| a scrape of `GET /metrics`, mean of '
    + `${n} | bytes | CPU | beside it \`GET /healthz\` |`, '| --- | --- | --- | --- |'];
  for (const [what, models, gauges] of [['one model', 1, 1], ['17 models, 32 gauges', 40, 40]]) {
    const cost = await sample(aidash, models, gauges, n);
    lines.push(`| ${what}, this machine's board | ${cost['scrape bytes']} | ${(cost.scrape * 1000).toFixed(3)} ms | ${(cost.healthz * 1000).toFixed(3)} ms |`);
  }
  return lines;
}
