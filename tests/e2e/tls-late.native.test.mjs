/* A TLS client whose first bytes come just after the server has looked for them. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { ROOT, serve } from './aidash.mjs';

test('the first byte decides between TLS and HTTP, however late it comes', async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-tls-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const at = (name) => path.join(dir, name);
  const run = (program, ...args) => {
    const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  };
  run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost',
    '-addext', 'subjectAltName=DNS:localhost', '-keyout', at('key'), '-out', at('crt'));
  run(process.env.CC?.split(' ')[0] || 'cc', '-O1', '-shared', '-fPIC', '-o', at('late_peek.so'), path.join(ROOT, 'tests/late_peek.c'), '-ldl');
  const server = await serve(t, ['--tls-cert', at('crt'), '--tls-key', at('key')],
    { ready: /listening on https:\/\/(\S+):(\d+).*\n/, env: { LD_PRELOAD: at('late_peek.so') } });
  for (let i = 0; i < 5; i++) {
    const status = await new Promise((done, fail) => {
      https.get({ host: '127.0.0.1', port: server.port, servername: 'localhost', path: '/healthz', ca: readFileSync(at('crt')), agent: false },
        (answer) => { answer.resume(); done(answer.statusCode); }).on('error', fail);
    });
    assert.equal(status, 200);
  }
});
