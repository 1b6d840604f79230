/* Machines in a network of their own: each is a set of namespaces (network, mounts, host name) that a process of ours holds, with one
 * interface, eth0, whose other end is a port of a switch, which is a machine with a bridge. Nothing has a name outside, and all is gone
 * when its processes are, which end with the test, however that ends. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { poll, sleep, within } from '../e2e/aidash.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const KINDS = ['--net', '--mount', '--uts'];

/* Why there can be no network, or undefined. */
export function noNetwork() {
  const fetched = spawnSync('sh', ['toolchains/fetch.sh', 'need', 'ip', 'unshare', 'nsenter'], { cwd: ROOT, encoding: 'utf8' });
  if (fetched.status !== 0) return `no network namespaces: ${fetched.stderr.trim().split('\n').at(-1)}`;
  const tried = spawnSync('unshare', [...KINDS, 'sh', '-c',
    'mount -t tmpfs none /run && ip link set lo up && ip link add br0 type bridge && ip link add port1 type veth peer name eth0'], { encoding: 'utf8' });
  return tried.status === 0 ? undefined : `no network namespaces: ${(tried.stderr || String(tried.error)).trim().split('\n')[0]}`;
}

const mac = (number) => `02:00:00:00:00:${number.toString(16).padStart(2, '0')}`;

export async function network(t) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'aidash-network-'));
  const machines = [];
  const holders = [];
  const doors = [];
  t.after(async () => {
    doors.forEach((door) => door.close());
    for (const holder of holders) {
      holder.stdin.end();
      if (holder.exitCode === null) await within(once(holder, 'exit'), 'end of a machine');
    }
    rmSync(dir, { recursive: true, force: true });
  });

  async function hold(name) {
    const socket = path.join(dir, name);
    const holder = spawn('unshare', [...KINDS, process.execPath, path.join(ROOT, 'tests/network/relay.mjs'), socket], { stdio: ['pipe', 'pipe', 'inherit'] });
    holders.push(holder);
    await within(once(holder.stdout, 'data'), `machine ${name}`);
    const enter = ['-t', `${holder.pid}`, '-n', '-m', '-u', '--'];
    const run = (...command) => execFileSync('nsenter', [...enter, ...command], { encoding: 'utf8' });
    const write = (file, text) => execFileSync('nsenter', [...enter, 'sh', '-c', `mkdir -p "\${1%/*}" && cat > "$1"`, 'sh', file], { input: text });
    const has = (file) => spawnSync('nsenter', [...enter, 'test', '-e', file]).status === 0;
    run('mount', '-t', 'tmpfs', 'none', '/run');
    run('hostname', name);
    run('ip', 'link', 'set', 'lo', 'up');
    return { name, pid: holder.pid, socket, enter, run, write, has };
  }

  const hub = await hold('switch');
  hub.run('ip', 'link', 'add', 'br0', 'type', 'bridge');
  hub.run('ip', 'link', 'set', 'br0', 'up');

  /* A machine, whose address is 10.77.0.NUMBER. */
  async function machine(name) {
    const number = machines.length + 1;
    const port = `port${number}`;
    const m = await hold(name);
    Object.assign(m, { number, mac: mac(number), address: `10.77.0.${number}` });
    machines.push(m);
    hub.run('ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'address', m.mac, 'netns', `${m.pid}`);
    hub.run('ip', 'link', 'set', port, 'master', 'br0', 'up');
    m.run('ip', 'address', 'add', `${m.address}/24`, 'dev', 'eth0');
    m.run('ip', 'link', 'set', 'eth0', 'up');

    /* Options of start() of e2e/aidash.mjs: `bin` runs on this machine. */
    m.start = (bin, listen = '0.0.0.0:0') => ({ bin: 'nsenter', listen: [...m.enter, bin, '--listen', listen] });

    /* A port of 127.0.0.1 here that leads to one of 127.0.0.1 there. */
    m.door = async (there) => {
      const door = net.createServer({ allowHalfOpen: true }, (near) => {
        const far = net.connect({ path: m.socket, allowHalfOpen: true });
        far.write(`${there}\n`);
        near.pipe(far);
        far.pipe(near);
        for (const [one, other] of [[near, far], [far, near]]) {
          one.on('error', () => other.destroy());
          one.on('close', () => other.destroy());
        }
      });
      doors.push(door);
      await new Promise((ready) => { door.listen(0, '127.0.0.1', ready); });
      return door.address().port;
    };

    /* A port there, on all its addresses, that leads to a unix socket. */
    m.lead = async (test, port, to) => {
      const script = `const net = require('net'); net.createServer((near) => {
        const far = net.connect('${to}'); near.pipe(far); far.pipe(near);
        for (const [one, other] of [[near, far], [far, near]]) one.on('error', () => other.destroy()).on('close', () => other.destroy());
      }).listen(${port}, () => console.log('ready')); process.stdin.on('end', () => process.exit()).resume()`;
      const proc = spawn('nsenter', [...m.enter, process.execPath, '-e', script],
        { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, NODE_EXTRA_CA_CERTS: '' } }); // files of /etc may not be there
      test.after(() => proc.stdin.end());
      await within(once(proc.stdout, 'data'), `port ${port} of ${name}`);
    };

    /* The server that runs there is reached from here; its port there is `lan`. */
    m.reach = async (server) => {
      server.lan = server.port;
      server.port = await m.door(server.lan);
      server.host = '127.0.0.1';
      server.url = `http://127.0.0.1:${server.port}`;
      return server;
    };

    /* No frame passes any more, and nobody hears of that: the port leaves the switch; and no address is looked up in vain. */
    m.cut = () => {
      for (const one of machines) {
        for (const other of machines.filter((each) => each !== one)) {
          one.run('ip', 'neigh', 'replace', other.address, 'lladdr', other.mac, 'dev', 'eth0', 'nud', 'permanent');
        }
      }
      hub.run('ip', 'link', 'set', port, 'nomaster');
    };
    m.mend = () => {
      hub.run('ip', 'link', 'set', port, 'master', 'br0');
      for (const one of machines) one.run('ip', 'neigh', 'flush', 'dev', 'eth0', 'nud', 'permanent');
    };

    /* The machine's own interface is switched off and on, which it knows. */
    m.unplug = () => m.run('ip', 'link', 'set', 'eth0', 'down');
    m.plug = () => m.run('ip', 'link', 'set', 'eth0', 'up');

    /* It gets another address. */
    m.move = (last) => {
      m.address = `10.77.0.${last}`;
      m.run('ip', 'address', 'flush', 'dev', 'eth0');
      m.run('ip', 'address', 'add', `${m.address}/24`, 'dev', 'eth0');
    };
    return m;
  }
  return { machine };
}

/* Does a packet pass between the two, and back? The other one has nobody at port 9, and says so. Blocks nothing: a viewer of the test has
 * to answer pings meanwhile. */
const passes = (from, to) => new Promise((done) => {
  const script = `require('net').connect(9, '${to.address}').on('error', (e) => process.exit(e.code === 'ECONNREFUSED' ? 0 : 1));
    setTimeout(() => process.exit(1), 1500)`;
  spawn('nsenter', [...from.enter, process.execPath, '-e', script], { stdio: 'ignore' }).on('exit', (code) => done(code === 0));
});

/* Ways to cut a board off, and how it comes back. */
export const CUTS = [
  ['its link is switched off', (m) => m.unplug(), (m) => m.plug()],
  ['packets are lost in silence', (m) => m.cut(), (m) => m.mend()],
  ['packets are lost in silence, and it gets another address', (m) => m.cut(), (m) => { m.move(100 + m.number); m.mend(); }],
];

/* Cut it off for so long, while `then` goes on. */
export async function away([what, cut, mend], m, other, ms, then) {
  await poll(() => passes(m, other), 'answer over the network');
  const end = Date.now() + ms;
  cut(m);
  assert.ok(!await passes(m, other), `${what}: nothing passes`);
  await then();
  while (Date.now() < end) await sleep(50);
  mend(m);
}
