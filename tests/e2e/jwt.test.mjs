/* JSON Web Tokens that another library (npm jose) makes: where a request may carry them, what their claims do, and that
 * a viewer is closed when his has expired. The attacks one by one: tests/unit_jwt.c. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { SignJWT, UnsecuredJWT, exportJWK, exportSPKI, jwtVerify } from 'jose';
import { ROOT, SLOW, connect, poll, request, run, serve, within } from './aidash.mjs';
import WebSocket from 'ws';

// A build without mbedTLS has no such options.
const skip = (await run(['--help'])).stdout.includes('--jwt-secret-file') ? false : 'this aidash is built without TLS';

/* The options' files. */
const folder = (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-jwt-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
};
const put = (file, text) => {
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return file;
};

const sign = (key, alg, claims, header = {}) => new SignJWT(claims).setProtectedHeader({ alg, ...header }).sign(key);
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;
const bearer = (token) => ({ Authorization: `Bearer ${token}` });
const viewAll = ['--source', 'none', '--view', 'key', '--control', 'key', '--ingest', 'key'];

/* A server with a secret; `token` signs claims with it. */
async function withSecret(t, args = []) {
  const secret = randomBytes(32).toString('base64url');
  const file = put(path.join(folder(t), 'secret'), `${secret}\n`);
  const server = await serve(t, [...viewAll, '--jwt-secret-file', file, ...args]);
  const token = (claims = {}, header = {}) => sign(new TextEncoder().encode(secret), 'HS256', { exp: inAnHour(), scope: 'view', ...claims }, header);
  return { server, token, file, secret };
}

/* A WebSocket that may not get anything. Returns its close. */
const refused = (server, where, first) => within(new Promise((done, fail) => {
  const ws = new WebSocket(`ws://${server.host}:${server.port}${where}`, { perMessageDeflate: false });
  ws.on('open', () => first && ws.send(JSON.stringify(first)));
  ws.on('message', (data) => fail(new Error(`it got ${data}`)));
  ws.on('close', (code, reason) => done({ code, reason: reason.toString() }));
  ws.on('error', fail);
}), 'close');

test('a token is taken in Authorization, x-api-key, the query and the first message', { skip }, async (t) => {
  const { server, token } = await withSecret(t);
  const good = await token({ sub: 'a program', scope: 'view' });
  assert.equal((await request(server, '/status')).status, 401);
  assert.equal((await request(server, '/status', { headers: bearer(good) })).status, 200);
  assert.equal((await request(server, '/status', { headers: { 'x-api-key': good } })).status, 200);
  assert.equal((await request(server, `/status?token=${good}`)).status, 200);
  for (const open of [
    () => connect(server, `/ws/a?token=${good}`),
    () => connect(server, '/ws/b', { headers: bearer(good) }),
  ]) {
    const viewer = await open();
    assert.ok(viewer.hello.rights.includes('view') && !viewer.hello.rights.includes('control'));
    assert.equal((await viewer.command({ action: 'pause' })).code, 'forbidden');
    viewer.close();
  }
  const ws = new WebSocket(`ws://${server.host}:${server.port}/ws/c`, { perMessageDeflate: false });
  const events = [];
  ws.on('message', (data) => events.push(JSON.parse(data)));
  ws.on('open', () => ws.send(JSON.stringify({ action: 'auth', token: good })));
  await poll(() => events.length >= 2, 'ack and hello');
  assert.deepEqual(events.slice(0, 2).map(({ event }) => event), ['ack', 'hello']);
  ws.close();
});

test('scope names the rights', { skip }, async (t) => {
  const { server, token } = await withSecret(t);
  const ask = async (scope) => {
    const headers = bearer(await token({ scope }));
    const body = '{"tokens":1}';
    const posted = (where, text) => request(server, where, { method: 'POST', body: text, headers: { ...headers, 'Content-Length': text.length } });
    return [(await request(server, '/status', { headers })).status, (await posted('/ingest', body)).status,
      (await posted('/command', '{"action":"pause"}')).status];
  };
  assert.deepEqual(await ask('view'), [200, 403, 403]);
  assert.deepEqual(await ask('openid ingest'), [403, 200, 403]);
  assert.deepEqual(await ask('control view'), [200, 403, 200]);
  assert.deepEqual(await ask('view ingest control'), [200, 200, 200]);
  const none = await request(server, '/status', { headers: bearer(await token({ scope: 'openid' })) });
  assert.equal(none.status, 401);
  assert.match(none.json.error.message, /names no right/);
});

test('a token that is no good is told why, with 401 and with 4401', { skip }, async (t) => {
  const { server, token, secret } = await withSecret(t, ['--jwt-issuer', 'https://id.example', '--jwt-audience', 'aidash']);
  const right = { iss: 'https://id.example', aud: ['other', 'aidash'] };
  const now = Math.floor(Date.now() / 1000);
  assert.equal((await request(server, '/status', { headers: bearer(await token(right)) })).status, 200);
  for (const [bad, why] of [
    [await token({ ...right, exp: now - 40 }), 'the token has expired'],
    [await token({ ...right, nbf: now + 3600 }), 'the token is not valid yet'],
    [await token({ ...right, exp: undefined }), 'the token has no "exp"'],
    [await token({ ...right, iss: 'https://other.example' }), 'the token is of another issuer'],
    [await token({ ...right, aud: 'other' }), 'the token is for another audience'],
    [await token({ iss: right.iss }), 'the token is for another audience'],
    [await token(right, { typ: 'logout+jwt' }), 'the token\'s "typ" must be JWT or at+jwt'],
    [await token(right, { jku: 'http://127.0.0.1/keys' }), 'the token names a key of its own'],
    [await sign(randomBytes(32), 'HS256', { ...right, exp: inAnHour(), scope: 'view' }), 'the token\'s signature is wrong'],
    [await sign(Buffer.concat([Buffer.from(secret), Buffer.alloc(32)]), 'HS512', { ...right, exp: inAnHour(), scope: 'view' }),
      'the token\'s "alg" is not that of a configured key'],
    [new UnsecuredJWT({ ...right, exp: inAnHour(), scope: 'view' }).encode(), 'the token\'s "alg" is not that of a configured key'],
  ]) {
    const answer = await request(server, '/status', { headers: bearer(bad) });
    assert.equal(answer.status, 401, why);
    assert.equal(answer.json.error.message, why);
    assert.match(answer.headers['www-authenticate'], /^Bearer realm="aidash", error="invalid_token"/);
    assert.deepEqual(await refused(server, '/ws/a', { action: 'auth', token: bad }), { code: 4401, reason: why });
    assert.ok(!server.stderr().includes(bad) && !server.stderr().includes(bad.split('.')[2] || bad), 'the log has no token');
  }
  assert.ok(!server.stderr().includes(secret), 'the log has no secret');
});

test('a viewer is closed with 4401 when his token has expired', { skip }, async (t) => {
  const { server, token } = await withSecret(t);
  const other = await connect(server, '/ws/other', { headers: bearer(await token()) });
  // It has expired and is within the leeway of 30 s: some seconds are left, on a slow machine more.
  let late = null;
  let end = 0;
  for (let left = 3; late === null && left < 30; left *= 2) {
    const exp = Math.floor(Date.now() / 1000) + left - 30;
    end = exp + 30;
    late = await connect(server, '/ws/late', { headers: bearer(await token({ exp })) }).catch(() => null);
  }
  const { code, reason } = await within(late.closed, 'close', 60000 * SLOW);
  assert.equal(code, 4401);
  assert.notEqual(reason, '');
  assert.ok(Date.now() / 1000 >= end, 'not before');
  assert.equal((await other.command({ action: 'ping' })).event, 'ack', 'another one stays');
});

test('keys of a JWKS: RS256 and ES256 by kid, and a rotation while it runs', { skip }, async (t) => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const fresh = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = async ({ publicKey }, kid, alg) => ({ ...await exportJWK(publicKey), kid, alg, use: 'sig' });
  const file = path.join(folder(t), 'jwks.json');
  put(file, JSON.stringify({ keys: [await jwk(rsa, 'r', 'RS256'), await jwk(ec, 'e', 'ES256'),
    { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', kid: 'o' }] }));
  const server = await serve(t, [...viewAll, '--jwt-key-file', file]);
  const claims = { exp: inAnHour(), scope: 'view' };
  const asked = async (key, alg, kid) => (await request(server, '/status', { headers: bearer(await sign(key.privateKey, alg, claims, { kid })) }));
  assert.equal((await asked(rsa, 'RS256', 'r')).status, 200);
  assert.equal((await asked(ec, 'ES256', 'e')).status, 200);
  assert.equal((await asked(rsa, 'RS256', 'e')).json.error.message, 'no configured key fits the token\'s "kid"');
  assert.equal((await asked(fresh, 'ES256', 'e')).status, 401);
  // The public key is no secret of HS256, in no form.
  for (const form of [await exportSPKI(ec.publicKey), JSON.stringify(await exportJWK(ec.publicKey))]) {
    const head = `${Buffer.from('{"alg":"HS256","kid":"e"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
    const forged = `${head}.${createHmac('sha256', form).update(head).digest('base64url')}`;
    assert.equal((await request(server, '/status', { headers: bearer(forged) })).status, 401);
  }
  put(file, '{"keys":[');
  await server.logged(/jwt-key-file: .* is neither PEM nor a JSON object.*what it had before stays valid/);
  // A wrong signature made the next ones wait for some milliseconds.
  await poll(async () => (await asked(ec, 'ES256', 'e')).status === 200, 'the old key, which a broken file does not change');
  put(file, JSON.stringify({ keys: [await jwk(fresh, 'f', 'ES256')] }));
  await server.logged(/jwt-key-file: .* was read again/);
  await poll(async () => (await asked(fresh, 'ES256', 'f')).status === 200, 'the new key');
  assert.equal((await asked(ec, 'ES256', 'e')).status, 401, 'the old one is gone');
});

test('aidash token signs one, which another library takes, too', { skip }, async (t) => {
  const names = ['--jwt-issuer', 'me', '--jwt-audience', 'aidash'];
  const { server, file, secret } = await withSecret(t, names);
  const { code, stdout } = await run(['token', '--scope', 'view ingest', '--ttl', '2h', '--name', 'Anna\'s "script"', '--jwt-secret-file', file, ...names]);
  assert.equal(code, 0);
  const { payload, protectedHeader } = await jwtVerify(stdout.trim(), new TextEncoder().encode(secret), { issuer: 'me', audience: 'aidash' });
  assert.deepEqual(protectedHeader, { alg: 'HS256', typ: 'JWT' });
  assert.deepEqual([payload.sub, payload.scope, payload.exp - payload.iat], ['Anna\'s "script"', 'view ingest', 7200]);
  assert.equal((await request(server, '/status', { headers: bearer(stdout.trim()) })).status, 200);
  for (const [args, why] of [
    [['--jwt-secret-file', '/nowhere'], /^aidash token: --jwt-secret-file: \/nowhere: No such file/],
    [['--jwt-secret-file', file, '--jwt-issuer', 'x'.repeat(256)], /1 to 255 bytes/],
    [['--jwt-secret-file', file, '--name', ''], /a name is 1 to 63 bytes/],
  ]) {
    const wrong = await run(['token', '--scope', 'view', ...args]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, why);
  }
});

test('the program that docs/api.md prints makes one', { skip }, async (t) => {
  const { server, file } = await withSecret(t);
  const [, program] = readFileSync(path.join(ROOT, 'docs/api.md'), 'utf8').match(/```js\n(import \{ readFileSync \}[^]*?)```/);
  const dir = mkdtempSync(path.join(ROOT, 'tests/node_modules/.jwt-')); // from there it finds jose
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  copyFileSync(file, path.join(dir, 'jwt.secret'));
  writeFileSync(path.join(dir, 'program.mjs'), `${program}\nconsole.log(token);\n`);
  const { status, stdout, stderr } = spawnSync(process.execPath, ['program.mjs'], { cwd: dir, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.equal((await request(server, '/status', { headers: bearer(stdout.trim()) })).status, 200);
});

test('a key in PEM', { skip }, async (t) => {
  const pair = generateKeyPairSync('rsa', { modulusLength: 3072 });
  const file = put(path.join(folder(t), 'key.pem'), await exportSPKI(pair.publicKey));
  const server = await serve(t, [...viewAll, '--jwt-key-file', file]);
  const token = await sign(pair.privateKey, 'RS256', { exp: inAnHour(), scope: 'view' }, { kid: 'any', typ: 'at+jwt' });
  assert.equal((await request(server, '/status', { headers: bearer(token) })).status, 200);
});

test('files and names that are no good are refused at the start', { skip }, async (t) => {
  const dir = folder(t);
  const short = put(path.join(dir, 'short'), 'secret\n');
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const secretPem = put(path.join(dir, 'private.pem'), pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const publicPem = put(path.join(dir, 'public.pem'), pair.publicKey.export({ type: 'spki', format: 'pem' }));
  for (const [args, why] of [
    [['--jwt-secret-file', short], /^aidash: --jwt-secret-file: .*short: its secret has fewer than 32 bytes/],
    [['--jwt-secret-file', publicPem], /^aidash: --jwt-secret-file: .*it has a key in PEM/],
    [['--jwt-secret-file', dir], /^aidash: --jwt-secret-file: .*it is no file/],
    [['--jwt-secret-file', '/nowhere'], /^aidash: --jwt-secret-file: \/nowhere: No such file/],
    [['--jwt-key-file', secretPem], /^aidash: --jwt-key-file: .*it has a private key/],
    [['--jwt-key-file', short], /^aidash: --jwt-key-file: .*it is neither PEM nor a JSON object/],
    [['--jwt-audience', 'a'], /^aidash: --jwt-audience: without jwt-secret-file or jwt-key-file/],
    [['--jwt-issuer', 'a'], /^aidash: --jwt-issuer: without jwt-secret-file or jwt-key-file/],
    [['--jwt-key-file', publicPem, '--jwt-issuer', 'x'.repeat(256)], /^aidash: --jwt-issuer: must have 1 to 255 bytes/],
  ]) {
    const { code, stderr } = await run(['--listen', '127.0.0.1:0', ...args]);
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, why);
    assert.doesNotMatch(stderr, /^secret$|PRIVATE/m);
  }
});
