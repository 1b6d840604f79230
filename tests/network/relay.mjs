/* Holds a network namespace, and leads into it: `node relay.mjs SOCKET` takes connections on a unix socket, whose first line is a port,
 * and passes them on to that port of 127.0.0.1 in its own namespace. Ends with its standard input, so with who started it. */
import net from 'node:net';

const server = net.createServer({ allowHalfOpen: true }, (near) => {
  let head = Buffer.alloc(0);
  near.on('error', () => near.destroy());
  const begin = (bytes) => {
    head = Buffer.concat([head, bytes]);
    const end = head.indexOf(10);
    if (end < 0) return;
    near.off('data', begin);
    near.pause();
    const far = net.connect({ port: Number(head.toString('latin1', 0, end)), host: '127.0.0.1', allowHalfOpen: true });
    far.on('error', () => near.destroy());
    far.on('close', () => near.destroy());
    near.on('close', () => far.destroy());
    far.write(head.subarray(end + 1));
    near.pipe(far);
    far.pipe(near);
  };
  near.on('data', begin);
});
server.listen(process.argv[2], () => process.stdout.write('ready\n'));
process.stdin.on('end', () => process.exit()).resume();
