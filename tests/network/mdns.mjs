/* Avahi on a machine of network.mjs: Debian's avahi-daemon with a bus of its own, and its programs. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { poll, within } from '../e2e/aidash.mjs';
import { debian } from '../programs.mjs';

const BUS = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>`;

const programs = () => ({ daemon: debian('avahi-daemon'), bus: debian('dbus-daemon', 'bin', 'dbus'), browse: debian('avahi-browse', 'bin', 'avahi-utils') });

/* Why there is no Avahi, or undefined. */
export const noAvahi = () => Object.values(programs()).find(({ why }) => why)?.why;

/* Starts it. Returns { env, browse, publish, stop, start }. */
export async function avahi(t, machine) {
  const { daemon, bus, browse } = programs();
  const running = new Set();
  const launch = ({ file, env }, ...args) => {
    const proc = spawn('nsenter', [...machine.enter, file, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const log = { text: '' };
    for (const from of [proc.stdout, proc.stderr]) from.on('data', (data) => { log.text += data; });
    running.add(proc);
    const kill = () => proc.kill('SIGKILL');
    process.on('exit', kill);
    proc.ended = new Promise((done) => { proc.on('close', () => { running.delete(proc); process.off('exit', kill); done(); }); });
    return { proc, log };
  };
  t.after(async () => {
    const all = [...running];
    for (const proc of all) proc.kill('SIGKILL');
    await within(Promise.all(all.map((proc) => proc.ended)), 'end of Avahi');
  });
  // The daemon wants a user of its own, and reads /etc/avahi/services: this machine gets an /etc of its own.
  machine.run('sh', '-c', `mkdir -p /run/etc/avahi/services /run/avahi-daemon; cd /etc; cp nsswitch.conf ld.so.cache localtime hosts /run/etc/ 2>/dev/null
    for list in passwd group; do { grep -v ^avahi: $list; [ $list = group ] && echo avahi:x:9999: || echo avahi:x:9999:9999::/:/bin/false; } > /run/etc/$list; done
    mount --bind /run/etc /etc`);
  machine.write('/run/dbus/bus.conf', BUS);
  const started = launch(bus, '--config-file=/run/dbus/bus.conf', '--nofork', '--nopidfile');
  await poll(() => machine.has('/run/dbus/system_bus_socket') || (started.proc.exitCode !== null && assertNot(started.log)), 'the bus');
  machine.write('/run/avahi.conf', `[server]\nhost-name=${machine.name}\nuse-ipv4=yes\nuse-ipv6=yes\nallow-interfaces=eth0\n[wide-area]\nenable-wide-area=no\n[rlimits]\n`);
  const a = {
    env: { ...browse.env, PATH: `${path.dirname(browse.file)}:${process.env.PATH}` },
    async start() {
      a.daemon = launch(daemon, '--no-drop-root', '--no-chroot', '--no-rlimits', '-f', '/run/avahi.conf');
      await poll(() => /Server startup complete/.test(a.daemon.log.text) || (a.daemon.proc.exitCode !== null && assertNot(a.daemon.log)), 'avahi-daemon');
    },
    async stop() {
      a.daemon.proc.kill('SIGTERM');
      await within(a.daemon.proc.ended, 'end of avahi-daemon');
    },
    /* As package/aidash.avahi does. Returns { end }. */
    async publish(name, port, ...txt) {
      const one = launch({ ...browse, file: browse.file.replace('avahi-browse', 'avahi-publish') }, '-s', name, '_aidash._tcp', `${port}`, ...txt);
      await poll(() => /Established under name/.test(one.log.text) || (one.proc.exitCode !== null && assertNot(one.log)), 'announcement');
      return { log: one.log, end: async () => { one.proc.kill('SIGTERM'); await one.proc.ended; } };
    },
  };
  await a.start();
  return a;
}
function assertNot(log) { throw new Error(`it left: ${log.text}`); }
