/* TLS for tests: an authority of the test's own, certificates of all kinds, and a
 * server that takes TLS off in front of an engine. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate, createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';

function openssl(dir, ...args) {
    const done = spawnSync('openssl', args, { cwd: dir, encoding: 'utf8' });
    assert.equal(done.status, 0, `openssl ${args.join(' ')}: ${done.error ?? done.stderr}`);
}

const KEYS = { ec: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], rsa: ['-newkey', 'rsa:2048'] };
const NAMES = 'DNS:localhost,IP:127.0.0.1,IP:::1';
let number = 0;

/* An authority in a directory that goes with remove(). issue() gives { key, cert,
 * pin }, and the first two as files: `from` and `to` are as openssl ca has them, YYYYMMDDHHMMSSZ. */
export function authority(name = 'aidash test') {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-ca-'));
    writeFileSync(path.join(dir, 'ca.cnf'), `[ca]
default_ca = a
[a]
new_certs_dir = .
database = index.txt
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = p
rand_serial = yes
unique_subject = no
copy_extensions = none
[p]
commonName = supplied
`);
    writeFileSync(path.join(dir, 'index.txt'), '');
    openssl(dir, 'req', '-x509', ...KEYS.ec, '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '30', '-subj', `/CN=${name}`);
    const read = (id) => {
        const cert = readFileSync(path.join(dir, `${id}.pem`), 'utf8');
        const spki = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' });
        return { key: readFileSync(path.join(dir, `${id}.key`), 'utf8'), cert, keyFile: path.join(dir, `${id}.key`), file: path.join(dir, `${id}.pem`), pin: `sha256/${createHash('sha256').update(spki).digest('base64')}` };
    };
    return {
        dir,
        file: path.join(dir, 'ca.pem'),
        remove: () => rmSync(dir, { recursive: true }),
        issue({ names = NAMES, kind = 'ec', from = '20200101000000Z', to = '20400101000000Z', usage = 'serverAuth' } = {}) {
            const id = `leaf-${number++}`;
            writeFileSync(path.join(dir, `${id}.ext`), `subjectAltName = ${names}\nextendedKeyUsage = ${usage}\nbasicConstraints = CA:FALSE\n`);
            openssl(dir, 'req', '-new', ...KEYS[kind], '-nodes', '-keyout', `${id}.key`, '-out', `${id}.csr`, '-subj', `/CN=${id}`);
            openssl(dir, 'ca', '-batch', '-notext', '-config', 'ca.cnf', '-startdate', from, '-enddate', to, '-extfile', `${id}.ext`,
                '-in', `${id}.csr`, '-out', `${id}.pem`);
            return read(id);
        },
        selfSigned(names = NAMES) {
            const id = `own-${number++}`;
            openssl(dir, 'req', '-x509', ...KEYS.ec, '-nodes', '-keyout', `${id}.key`, '-out', `${id}.pem`, '-days', '30', '-subj', `/CN=${id}`,
                '-addext', `subjectAltName = ${names}`);
            return read(id);
        },
    };
}

/* In front of a server on 127.0.0.1: TLS, both ways, half-closed where that is.
 * `names` are those that clients asked for. */
export async function terminate(t, port, { key, cert }, options = {}) {
    const names = [];
    const sockets = new Set();
    const server = tls.createServer({ key, cert, allowHalfOpen: true, noDelay: true, ...options }, (down) => {
        names.push(down.servername);
        const up = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
        for (const [from, to] of [[down, up], [up, down]]) {
            sockets.add(from);
            from.on('error', () => to.destroy());
            from.on('close', () => { sockets.delete(from); to.destroySoon?.(); });
            from.pipe(to);
        }
    });
    server.on('tlsClientError', () => {});
    await new Promise((ready, fail) => { server.once('error', fail); server.listen(0, '127.0.0.1', ready); });
    t.after(() => { server.close(); sockets.forEach((socket) => socket.destroy()); });
    return { names, server, port: server.address().port, url: `https://localhost:${server.address().port}` };
}
