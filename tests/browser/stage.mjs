/* A page with the test between it and a real server: the test puts events into the stream, as an engine or a board would make them. */
import { serve, validate } from '../e2e/aidash.mjs';
import { open, until } from './browser.mjs';

/* A server with these arguments, and its page, live and with a first tick. page.say(event) puts an event into the stream, with its number
 * and `more()`, valid by the contract; page.cut() ends the connection for good. The page hears what `heard` makes of the server's
 * events; `before` runs on the page before it loads, and the rest goes to open(). */
export async function stage(t, { args = [], before = () => {}, heard = (event) => event, more = () => ({}), ...options } = {}) {
  const server = await serve(t, args);
  let over = false;
  const page = await open(t, server, { ...options, before: async (opened) => {
    await before(opened);
    await opened.routeWebSocket(/\/ws\//, (socket) => {
      if (over) {
        socket.close({ code: 3000 });
        return;
      }
      const upstream = socket.connectToServer();
      let seq = 0;
      upstream.onMessage((message) => {
        const event = JSON.parse(message);
        seq = event.seq ?? event.next_seq ?? seq + 1;
        socket.send(JSON.stringify(heard(event)));
      });
      socket.onMessage((message) => upstream.send(message));
      opened.say = (event) => socket.send(JSON.stringify(validate({ seq, ...more(), ...event })));
      opened.cut = () => { over = true; return socket.close({ code: 1001 }); };
    });
  } });
  await until(page, () => app.store.state.connection.phase === 'live' && app.feed.ring.end > 0);
  return { page, server };
}
