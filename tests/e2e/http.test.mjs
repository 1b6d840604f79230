/* Outputs over HTTP: server-sent events, polling, status, commands, the page, and refusals. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { EventSource } from 'eventsource';
import {
    Inbox, ROOT, Raw, SLOW, assertRefused, connect, exchange, ingest, isStatus, isTick, numbered, post,
    request, run, serve, start, status, statusWhen, validate, within,
} from './aidash.mjs';

/* One server for the tests that change nothing. */
let server;
before(async () => { server = await start(['--rate', '50', '--allow-origin', 'http://friend.example']); });
after(() => server.stop());

/* The number in an id, RUN-SEQ. */
const seqOf = (id) => Number(id.split('-')[1]);

/* ---- server-sent events --------------------------------------------------------------- */

/* Blocks of an event stream as { id, event, data, retry, comment }. */
function parseStream(text) {
    const end = text.lastIndexOf('\n\n');
    return end < 0 ? [] : text.slice(0, end).split('\n\n').map((block) => {
        const fields = {};
        for (const line of block.split('\n')) {
            const [, name, value] = line.match(/^([a-z]*): ?(.*)$/);
            fields[name || 'comment'] = value;
        }
        return fields;
    });
}

async function stream(target, where = '/events', headers = '') {
    const raw = await Raw.connect(target);
    raw.write(`GET ${where} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
    const head = await raw.until((bytes) => {
        const end = bytes.indexOf('\r\n\r\n');
        return end > 0 && bytes.subarray(0, end + 4).toString();
    }, 'head of the stream');
    const events = () => parseStream(raw.bytes.subarray(head.length).toString()).filter(({ data }) => data)
        .map((block) => ({ ...block, data: validate(JSON.parse(block.data)) }));
    const count = (n) => raw.until(() => events().length >= n && events(), `${n} server-sent events`);
    return { raw, head, events, count };
}

test('an event stream has the right head, retry, a hello, then numbered events', async () => {
    const { raw, head, count } = await stream(server);
    assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(head, /\r\nContent-Type: text\/event-stream/i);
    assert.match(head, /\r\nCache-Control: no-(cache|store)/i);
    assert.match(head, /\r\nConnection: close/i);
    assert.doesNotMatch(head, /Transfer-Encoding|Content-Length/i);
    const [hello, ...rest] = await count(6);
    assert.match(raw.bytes.subarray(head.length).toString(), /^retry: 1000\n/);
    assert.deepEqual([hello.event, hello.id], ['hello', undefined]);
    rest.forEach(({ id, event, data }, i) => {
        assert.equal(seqOf(id), hello.data.next_seq + i);
        assert.equal(event, 'inference_tick');
        assert.equal(data.event, event);
    });
    raw.reset();
});

test('server-sent ids are the numbers that WebSocket viewers count', async (t) => {
    const own = await serve(t, ['--rate', '200']);
    const viewer = await connect(own);
    const { count } = await stream(own);
    await viewer.command({ action: 'switch_model', model: 'mistral' });
    const sse = new Map((await count(40)).filter(({ id }) => id).map(({ id, data }) => [seqOf(id), data]));
    await viewer.tick();
    const shared = numbered(viewer.events).filter(({ seq }) => sse.has(seq));
    assert.ok(shared.length >= 20);
    assert.ok(shared.some(({ event }) => isStatus(event)));
    for (const { seq, event } of shared) {
        assert.deepEqual(sse.get(seq), event);
    }
});

test('EventSource gets named events and, after a cut, exactly those it missed', async (t) => {
    const own = await serve(t, ['--rate', '50', '--backlog', '1000']);
    const sockets = [];
    const proxy = net.createServer((inner) => {
        const outer = net.connect(own.port, '127.0.0.1');
        sockets.push(inner);
        inner.on('error', () => {}).pipe(outer).on('error', () => {}).pipe(inner);
        inner.on('close', () => outer.destroy());
    });
    await new Promise((done) => { proxy.listen(0, '127.0.0.1', done); });
    const source = new EventSource(`http://127.0.0.1:${proxy.address().port}/events`);
    t.after(() => {
        source.close();
        proxy.close();
        sockets.forEach((socket) => socket.destroy());
    });
    const inbox = new Inbox();
    for (const name of ['hello', 'inference_tick', 'status']) {
        source.addEventListener(name, ({ data, lastEventId }) => inbox.push({ name, id: lastEventId, ...JSON.parse(data) }));
    }
    await inbox.next((e) => e.name === 'hello');
    for (let cut = 0; cut < 2; cut++) {
        for (let i = 0; i < 10; i++) {
            await inbox.next(isTick);
        }
        sockets.at(-1).destroy();
        await inbox.next((e) => e.name === 'hello', 'hello after the cut');
    }
    const last = await statusWhen(own, () => true);
    await inbox.next((e) => isTick(e) && seqOf(e.id) >= last.next_seq);
    const ids = inbox.all.filter(isTick).map(({ id }) => seqOf(id));
    assert.deepEqual(ids, ids.map((_, i) => ids[0] + i), 'none lost, none doubled');
    assert.ok(sockets.length >= 3);
    assert.equal(inbox.all.filter((e) => e.dropped !== undefined).length, 0);
});

test('Last-Event-ID resumes after any number that is kept, by header or by query', async (t) => {
    const own = await serve(t, ['--rate', '500']);
    await statusWhen(own, (now) => now.next_seq > 30);
    await post(own, '/command', '{"action":"pause"}');
    const { next_seq: next } = await status(own);
    for (const last of [next - 1, next - 2, next - 11, 1, 0]) {
        for (const [where, headers] of [['/events', `Last-Event-ID: ${last}\r\n`], [`/events?last_event_id=${last}`, '']]) {
            const { raw, count } = await stream(own, where, headers);
            const [hello, ...missed] = await count(next - last);
            assert.equal(hello.event, 'hello');
            assert.deepEqual(missed.map(({ id }) => seqOf(id)), missed.map((_, i) => last + 1 + i));
            raw.reset();
        }
    }
});

test('Last-Event-ID of another run brings all that is kept', async (t) => {
    const before = await serve(t, ['--source', 'none']);
    await ingest(before, ...Array.from({ length: 5 }, () => '{"latency_ms":1}'));
    const first = await stream(before, '/events?last_event_id=0');
    const { id } = (await first.count(7)).at(-1);
    first.raw.reset();
    const after = await serve(t, ['--source', 'none']);
    await ingest(after, ...Array.from({ length: 3 }, () => '{"latency_ms":1}'));
    const { next_seq: next } = await status(after);
    assert.ok(seqOf(id) >= 5);
    for (const [where, headers] of [['/events', `Last-Event-ID: ${id}\r\n`], [`/events?last_event_id=${id}`, '']]) {
        const { raw, count } = await stream(after, where, headers);
        const [, ...kept] = await count(next);
        assert.deepEqual(kept.map((each) => seqOf(each.id)), Array.from({ length: next - 1 }, (_, i) => i + 1));
        raw.reset();
    }
    const { ticks, missed, run } = await ticksOf(after, `?since=${id}`);
    assert.deepEqual([ticks.length, missed], [3, 0]);
    assert.deepEqual((await ticksOf(after, `?since=${run}-${next - 2}`)).ticks, ticks.slice(-1), 'its own run goes on');
    const viewer = await connect(after);
    assert.equal(viewer.hello.run, run);
    assertRefused(await request(after, '/ticks?since=x-1'), 400);
    assertRefused(await request(after, '/events?last_event_id=-1'), 400);
});

test('Last-Event-ID beyond this run, or of no sense, starts with what comes now', async () => {
    for (const last of ['99999999', 'x', '-1', '1.5', '', '18446744073709551616']) {
        const { raw, head, count } = await stream(server, '/events', `Last-Event-ID: ${last}\r\n`);
        assert.match(head, /^HTTP\/1\.1 200 /);
        const [hello, first] = await count(2);
        assert.equal(seqOf(first.id), hello.data.next_seq);
        raw.reset();
    }
});

test('a stream goes on when its client shuts its sending side, RFC 9112 9.6', async (t) => {
    const own = await serve(t, ['--source', 'none']);
    for (const early of [true, false]) {
        const raw = await Raw.connect(own);
        raw.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
        if (!early) {
            await raw.until((bytes) => bytes.includes('event: hello'));
        }
        raw.socket.end();
        await raw.until((bytes) => bytes.includes(': ping\n\n'), 'comment after the FIN');
        for (let i = 1; i < 4; i++) {
            await ingest(own, { latency_ms: i });
            await raw.until((bytes) => bytes.includes(`"latency_ms":${i}`), 'event after the FIN');
        }
        assert.equal((await status(own)).clients.sse, 1);
        raw.reset();
        await ingest(own, { latency_ms: 5 }); /* which its system answers with a reset */
        await statusWhen(own, (now) => now.clients.sse === 0);
    }
});

test('a stream without events ends as soon as its client has closed', async (t) => {
    const own = await serve(t, ['--source', 'none']);
    const { raw, count } = await stream(own);
    await count(1);
    const since = performance.now();
    raw.socket.destroy(); /* all is read: a FIN, no reset */
    await statusWhen(own, (now) => now.clients.sse === 0);
    assert.ok(performance.now() - since < 12_000 * SLOW, 'before a ping is due, after 20 s');
});

test('what is no longer kept for a resuming stream is told by number', async (t) => {
    const own = await serve(t, ['--source', 'none']);
    for (let i = 0; i < 4; i++) {
        await ingest(own, ...Array.from({ length: 10000 }, () => '{"latency_ms":1}'));
    }
    const { next_seq: next } = await statusWhen(own, (now) => now.counters.ticks >= 40000);
    const { raw } = await stream(own, '/events?last_event_id=0');
    await raw.until((bytes) => bytes.includes(`-${next - 1}\nevent: `), 'newest event');
    const blocks = parseStream(raw.bytes.subarray(raw.bytes.indexOf('\r\n\r\n') + 4).toString())
        .filter(({ data }) => data).map((block) => ({ ...block, data: JSON.parse(block.data) }));
    const told = blocks.filter(({ data }) => data.dropped !== undefined).at(-1);
    const kept = blocks.filter(({ id }) => id);
    assert.equal(told.id, undefined);
    assert.equal(told.data.dropped + kept.length, next - 1);
    assert.equal(seqOf(kept[0].id), told.data.next_seq);
    assert.ok(kept.length >= 100);
});

test('an event stream that the viewer leaves frees its slot', async () => {
    const open = (await status(server)).clients.sse;
    const streams = await Promise.all(Array.from({ length: 10 }, () => stream(server)));
    await statusWhen(server, (now) => now.clients.sse >= open + 10);
    streams.forEach(({ raw }) => raw.socket.destroy());
    await statusWhen(server, (now) => now.clients.sse <= open);
});

test('what a stream\'s viewer sends after its request is ignored', async () => {
    const { raw, count } = await stream(server);
    for (let i = 0; i < 20; i++) {
        await raw.write(Buffer.alloc(10000, 0x81));
    }
    const seen = (await count(1)).length;
    await count(seen + 5);
    raw.reset();
});

/* ---- polling ---------------------------------------------------------------------------- */

const ticksOf = async (target, query) => 
    validate((await request(target, `/ticks${query}`)).json, 'TicksAnswer');

test('walking the pages of /ticks gives what a WebSocket viewer saw', async (t) => {
    const own = await serve(t, ['--rate', '500']);
    const viewer = await connect(own);
    for (let i = 0; i < 60; i++) {
        await viewer.tick();
    }
    await viewer.command({ action: 'switch_model', model: 'mistral' });
    for (let i = 0; i < 20; i++) {
        await viewer.tick();
    }
    await viewer.command({ action: 'pause' });
    const end = (await viewer.next((e) => isStatus(e) && e.paused)).seq;
    const seen = viewer.events.filter(isTick);
    for (const limit of [1, 7, 1000]) {
        const walked = [];
        let since = viewer.hello.next_seq - 1;
        for (let pages = 0; pages < 200; pages++) {
            const { ticks, last_seq, missed, started } = await ticksOf(own, `?since=${since}&limit=${limit}`);
            assert.ok(ticks.length <= limit);
            assert.equal(missed, 0);
            assert.equal(started, viewer.hello.started);
            walked.push(...ticks);
            if (ticks.length === 0) {
                assert.ok(last_seq >= since);
                break;
            }
            assert.ok(last_seq > since);
            since = last_seq;
        }
        assert.deepEqual(walked, seen, `pages of ${limit}`);
    }
    assert.deepEqual((await ticksOf(own, '?last=5')).ticks, seen.slice(-5));
    const { last_seq: newest } = await ticksOf(own, '?last=5');
    assert.deepEqual((await ticksOf(own, `?since=${newest}`)).ticks, []);
    for (const beyond of [end, end + 1, 2 ** 40]) {
        const { ticks, last_seq } = await ticksOf(own, `?since=${beyond}`);
        assert.deepEqual([ticks, last_seq], [[], end]);
    }
});

test('/ticks without a query gives the oldest hundred, each a whole tick', async () => {
    await statusWhen(server, (now) => now.counters.ticks > 3);
    const { ticks, missed } = await ticksOf(server, '');
    assert.ok(ticks.length >= 3 && ticks.length <= 100);
    assert.equal(missed, 0);
    assert.deepEqual(Object.keys(ticks[0]).slice(0, 6), ['event', 'model', 'tokens_generated', 'latency_ms',
        'tokens_per_second', 'timestamp']);
});

test('/ticks says how many events it has missed', async (t) => {
    const own = await serve(t, ['--source', 'none']);
    for (let i = 0; i < 4; i++) {
        await ingest(own, ...Array.from({ length: 10000 }, () => '{"latency_ms":1}'));
    }
    const { next_seq } = await statusWhen(own, (now) => now.counters.ticks >= 40000);
    let since = 0;
    let got = 0;
    const first = await ticksOf(own, '?since=0&limit=10000');
    assert.ok(first.missed > 0 && first.ticks.length > 0);
    for (let page = first; page.ticks.length; page = await ticksOf(own, `?since=${since}&limit=10000`)) {
        got += page.ticks.length;
        since = page.last_seq;
    }
    assert.equal(since, next_seq - 1);
    assert.equal(first.missed + got, next_seq - 1, 'kept and missed are all there were');
    const newest = await ticksOf(own, '?last=10000');
    assert.equal(newest.ticks.length, Math.min(got, 10000));
});

test('/ticks refuses numbers that are none', async () => {
    for (const query of ['since=-1', 'since=x', 'since=1e3', 'since=1.5', 'since=18446744073709551616', 'limit=0',
        'limit=10001', 'limit=-5', 'limit=x', 'last=10001', 'last=x', 'since=0x10', 'since=%31x']) {
        assertRefused(await request(server, `/ticks?${query}`), 400);
    }
});

/* ---- status ------------------------------------------------------------------------------ */

test('/status has every field, and its counters move with what happens', async (t) => {
    const own = await serve(t, ['--source', 'none', '--models', 'a,b']);
    const zero = await status(own);
    for (const name of ['ticks', 'events', 'dropped', 'inbox_dropped', 'paused_dropped', 'bytes_sent', 'bytes_received',
        'commands', 'command_errors', 'ingest_lines', 'ingest_errors', 'accepted', 'refused', 'stalled']) {
        assert.equal(typeof zero.counters[name], 'number', name);
    }
    assert.equal(zero.version, '0.1.0');
    assert.ok(Math.abs(zero.time - zero.started - zero.uptime_s) < 0.01);
    assert.equal(zero.source_state, 'none');
    assert.equal(zero.clients.max, 1024);
    assert.equal(zero.next_seq, 1);

    const viewer = await connect(own, '/ws/a');
    const batch = await connect(own, '/ws/b?batch=1');
    const sse = await stream(own);
    await viewer.command({ action: 'pause' });
    await viewer.command({ action: 'fly' });
    await ingest(own, { tokens: 1 });
    await viewer.command({ action: 'resume' });
    await ingest(own, { tokens: 1 }, 'bad');
    await viewer.tick();
    await batch.tick();
    await sse.count(3);
    await request(own, '/ws/x', { headers: { Origin: 'http://evil.example', Connection: 'Upgrade', Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' } });
    const now = await statusWhen(own, (each) => each.clients.sse === 1);
    assert.deepEqual([now.clients.websocket, now.clients.batch, now.clients.sse], [2, 1, 1], 'one of the two WebSockets has batches');
    assert.equal(now.counters.ticks, 1);
    assert.equal(now.counters.events, 3, 'paused, resumed, one tick');
    assert.equal(now.next_seq, 4);
    assert.equal(now.counters.paused_dropped, 1);
    assert.equal(now.counters.commands, 3);
    assert.equal(now.counters.command_errors, 1);
    assert.deepEqual([now.counters.ingest_lines, now.counters.ingest_errors], [3, 1]);
    assert.equal(now.counters.refused, 1);
    assert.ok(now.counters.accepted > zero.counters.accepted);
    const received = viewer.texts.reduce((sum, each) => sum + Buffer.byteLength(each), 0);
    assert.ok(now.counters.bytes_sent > 2 * received);
    assert.ok(now.counters.bytes_received > zero.counters.bytes_received);
    assert.ok(now.uptime_s > zero.uptime_s);
    viewer.close();
    batch.close();
    sse.raw.socket.destroy();
    await statusWhen(own, (each) => each.clients.websocket === 0 && each.clients.batch === 0 && each.clients.sse === 0);
});

/* ---- commands ------------------------------------------------------------------------------ */

test('POST /command answers as a WebSocket does, and all viewers are told', async (t) => {
    const own = await serve(t, ['--rate', '50']);
    const viewer = await connect(own);
    const paused = await post(own, '/command', '{"action":"pause","id":"p-1"}');
    assert.equal(paused.status, 200);
    assert.deepEqual(validate(paused.json), { event: 'ack', action: 'pause', id: 'p-1' });
    await viewer.next((e) => isStatus(e) && e.paused);
    await post(own, '/command', '{"action":"resume"}');
    const switched = await post(own, '/command', '{"action":"switch_model","model":"mistral"}');
    assert.deepEqual(switched.json, { event: 'ack', action: 'switch_model' });
    assert.equal((await request(own, '/ticks?last=1')).status, 200);
    await viewer.tick((tick) => tick.model === 'mistral');
    for (const [body, code] of [['x', 'invalid_json'], ['', 'invalid_json'], ['[]', 'invalid_command'],
        ['{"action":"fly","id":3}', 'unknown_action'], ['{"action":"switch_model","model":"x"}', 'unknown_model']]) {
        const answer = await post(own, '/command', body);
        assert.equal(answer.status, 400, body);
        assert.equal(validate(answer.json).code, code, body);
    }
    assert.equal((await post(own, '/command', `{"action":"resume"${' '.repeat(4096 - 19)}}`)).status, 200);
    assert.equal((await post(own, '/command', `{"action":"resume"${' '.repeat(4097 - 19)}}`)).status, 413);
    assert.equal((await post(own, '/command', ' '.repeat(100000))).status, 413);
});

test('POST /command takes a chunked body', async () => {
    const answer = await exchange(server, 'POST /command HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
        + 'a\r\n{"action":\r\n9\r\n"resume"}\r\n0\r\n\r\n');
    assert.match(answer, /^HTTP\/1\.1 200 [^]*\{"event":"ack","action":"resume"\}/);
});

/* ---- the page --------------------------------------------------------------------------------- */

/* The page's files, by the path that each has. */
const FILES = [['/', /^text\/html/], ...readdirSync(path.join(ROOT, 'build/www')).filter((name) => name !== 'index.html'),
    ...readdirSync(path.join(ROOT, 'build/icons')), ...readdirSync(path.join(ROOT, 'www')).filter((name) => name.endsWith('.svg'))]
    .map((name) => (typeof name !== 'string' ? name
        : [`/${name}`, name.endsWith('.js') ? /^text\/javascript/ : name.endsWith('.css') ? /^text\/css/ : /./]));

test('the page and its files come with gzip or without, typed, with an ETag each', async () => {
    const zipped = { 'Accept-Encoding': 'gzip, deflate, br' };
    for (const [where, type] of FILES) {
        const answers = [];
        for (const [headers, coding] of [[zipped, 'gzip'], [{}, undefined], [{ 'Accept-Encoding': 'identity' }, undefined]]) {
            const answer = await request(server, where, { headers });
            answers.push(answer);
            assert.equal(answer.status, 200, where);
            assert.match(answer.headers['content-type'], type, where);
            assert.equal(answer.headers['content-encoding'], coding, where);
            assert.equal(answer.headers.vary, 'Accept-Encoding');
            assert.equal(Number(answer.headers['content-length']), answer.bytes.length, where);
            assert.match(answer.headers.etag, /^"[^"]+"$/);
            assert.equal(answer.headers['access-control-allow-origin'], '*');
            assert.equal(answer.headers['x-content-type-options'], 'nosniff');
            assert.match(answer.headers.connection, /close/);
            const head = await request(server, where, { method: 'HEAD', headers });
            assert.deepEqual({ ...head.headers, date: 0 }, { ...answer.headers, date: 0 }, where);
            assert.equal(head.bytes.length, 0);
            for (const condition of [answer.headers.etag, '*', `"other", ${answer.headers.etag}`, `W/${answer.headers.etag}`,
                `${'"x", '.repeat(100)}${answer.headers.etag}`, ['"other"', answer.headers.etag]]) {
                const same = await request(server, where, { headers: { ...headers, 'If-None-Match': condition } });
                assert.equal(same.status, 304, `${where} ${condition}`);
                assert.equal(same.bytes.length, 0);
                assert.equal(same.headers['content-length'], undefined, 'RFC 9110 8.6: it would be the length of a 200');
                assert.equal(same.headers.etag, answer.headers.etag);
                assert.equal(same.headers.vary, 'Accept-Encoding');
            }
            for (const condition of ['"other"', answer.headers.etag.slice(0, -2), 'x',
                `"x${answer.headers.etag}`, `"x" ${answer.headers.etag}`, `w/${answer.headers.etag}`, '"*"']) {
                assert.equal((await request(server, where, { headers: { ...headers, 'If-None-Match': condition } })).status, 200, condition);
            }
        }
        const [coded, plain, identity] = answers;
        assert.ok(plain.bytes.length > 50, where);
        assert.deepEqual(gunzipSync(coded.bytes), plain.bytes, where);
        assert.deepEqual(identity.bytes, plain.bytes, where);
        assert.notEqual(coded.headers.etag, plain.headers.etag, 'one ETag for each coding');
        const other = await request(server, where, { headers: { ...zipped, 'If-None-Match': plain.headers.etag } });
        assert.equal(other.status, 200, 'the plain file is not the coded one');
    }
});

test('the page comes without gzip to clients that refuse it or prefer none', async () => {
    for (const [value, coding] of [['gzip;q=0', undefined], ['gzip;q=0, *', undefined], ['', undefined], ['br', undefined],
        ['*;q=0', undefined], ['identity;q=0', undefined], ['gzip;q=0.5, identity', undefined], ['gzip;q=0.5', 'gzip'],
        ['*', 'gzip'], ['identity, gzip', 'gzip'], ['br;q=1, x-gzip;q=0.1', 'gzip']]) {
        const answer = await request(server, '/style.css', { headers: { 'Accept-Encoding': value } });
        assert.equal(answer.status, 200, value);
        assert.equal(answer.headers['content-encoding'], coding, value);
    }
});

test('many clients at once get the page without gzip, whole', async () => {
    const wanted = (await request(server, '/uplot.js')).bytes;
    const answers = await Promise.all(Array.from({ length: 48 }, (_, i) => request(server, i % 2 ? '/uplot.js' : '/')));
    assert.ok(answers.every(({ bytes }, i) => (i % 2 ? bytes.equals(wanted) : bytes.includes('</html>'))));
});

test('the page has a content security policy without inline script', async () => {
    const { headers, bytes } = await request(server, '/');
    const policy = headers['content-security-policy'];
    assert.match(policy, /default-src 'self'|default-src 'none'/);
    assert.doesNotMatch(policy.replace(/style-src[^;]*/, ''), /unsafe-inline|unsafe-eval/);
    assert.doesNotMatch(bytes.toString(), /<script(?![^>]*\bsrc=)|\son\w+=|https?:\/\/(?!www\.w3\.org)/);
});

test('a page may frame the dashboard only if --allow-frame names its origin', async (t) => {
    const ancestors = async (at) => (await request(at, '/')).headers['content-security-policy'].match(/frame-ancestors (.*)$/)[1];
    assert.equal(await ancestors(server), '\'none\'');
    const longest = `http://${`${'a'.repeat(60)}.`.repeat(3)}${'b'.repeat(50)}.example`;
    const origins = ['http://ha.local:8123', 'https://home.example', longest, 'http://[fd00::1]:3000'];
    const open = await serve(t, ['--source', 'none', ...origins.flatMap((origin) => ['--allow-frame', origin])]);
    assert.equal(await ancestors(open), origins.join(' '));
    assert.equal((await request(open, '/', { headers: { 'Accept-Encoding': 'gzip' } })).status, 200);
    const any = await serve(t, ['--source', 'none', '--allow-frame', '*']);
    assert.equal(await ancestors(any), '*');
    for (const wrong of ['null', 'ha.local', 'http://a b', 'http://a;script-src *', '\'self\'', 'http://a\r\nX: y']) {
        const { code, stderr } = await run(['--listen', '127.0.0.1:0', '--allow-frame', wrong]);
        assert.equal(code, 2, wrong);
        assert.match(stderr, /--allow-frame: [^]* is not an origin/);
    }
    assert.equal((await run(['--allow-frame', 'http://a,http://b,http://c,http://d,http://e'])).code, 2, 'four at most');
});

test('the contract is served as an uncompressed JSON Schema', async () => {
    const answer = await request(server, '/contract.json');
    assert.match(answer.headers['content-type'], /^application\/schema\+json/);
    assert.equal(answer.headers['content-encoding'], undefined);
    assert.match(answer.json.$schema, /2020-12/);
    assert.equal(Number(answer.headers['content-length']), answer.bytes.length);
});

/* ---- methods, origins, refusals ----------------------------------------------------------------- */

test('/healthz is one small JSON object', async () => {
    const answer = await request(server, '/healthz');
    assert.equal(answer.text.trim(), '{"status":"ok"}');
    assert.match(answer.headers['content-type'], /^application\/json/);
    assert.match(answer.headers['cache-control'], /no-(store|cache)/);
});

test('HEAD answers as GET does, without a body', async () => {
    for (const where of ['/', '/app.js', '/healthz', '/contract.json', '/ticks?since=0&limit=1', '/status', '/nowhere']) {
        const [get, head] = [await request(server, where), await request(server, where, { method: 'HEAD' })];
        assert.equal(head.status, get.status, where);
        assert.equal(head.bytes.length, 0, where);
        assert.equal(head.headers['content-type'], get.headers['content-type']);
        if (!/^\/(status|ticks)/.test(where)) {
            assert.equal(head.headers['content-length'], get.headers['content-length'], where);
            assert.equal(Number(get.headers['content-length']), get.bytes.length, where);
        }
        const raw = await exchange(server, `HEAD ${where} HTTP/1.1\r\nHost: x\r\n\r\n`);
        assert.ok(raw.endsWith('\r\n\r\n'), `${where}: ${raw.slice(-100)}`);
    }
});

test('HEAD of what is refused has no body', async () => {
    for (const [where, code] of [['/ws/a', 405], ['/ticks?last=x', 400], ['/nothing', 404], ['/command', 405]]) {
        const text = await exchange(server, `HEAD ${where} HTTP/1.1\r\nHost: x\r\n\r\n`);
        assert.match(text, new RegExp(`^HTTP/1\\.1 ${code} [^]*\\r\\n\\r\\n$`), where);
    }
});

test('HEAD of the stream has the fields that GET has', async (t) => {
    const open = await serve(t, ['--source', 'none', '--allow-origin', 'http://a.test']);
    for (const where of ['/ticks', '/events', '/status', '/requests?last=x', '/app.js', '/ticks?since=x']) {
        for (const extra of ['', 'Origin: http://a.test\r\n']) {
            const fields = async (method) => {
                const raw = await Raw.connect(open);
                raw.write(`${method} ${where} HTTP/1.1\r\nHost: x\r\n${extra}\r\n`);
                await raw.until((got) => got.includes('\r\n\r\n'), `head of ${where}`);
                const head = raw.bytes.toString('latin1').split('\r\n\r\n')[0];
                raw.reset();
                return head.split('\r\n').map((line) => line.replace(/^(Content-Length): .*/, '$1')).sort();
            };
            assert.deepEqual(await fields('HEAD'), await fields('GET'), where);
        }
    }
});

test('HEAD of an event stream ends at once', async () => {
    assert.match(await exchange(server, 'HEAD /events HTTP/1.1\r\nHost: x\r\n\r\n'),
        /^HTTP\/1\.1 200 [^]*text\/event-stream[^]*\r\n\r\n$/i);
});

test('OPTIONS says what is allowed, with CORS headers for allowed origins only', async () => {
    for (const [where, methods] of [['/', 'GET'], ['/status', 'GET'], ['/events', 'GET'], ['/ticks', 'GET'],
        ['/command', 'POST'], ['/ingest', 'POST'], ['/ingest', 'PUT'], ['/healthz', 'HEAD']]) {
        const friend = await request(server, where, { method: 'OPTIONS', headers: { Origin: 'http://friend.example',
            'Access-Control-Request-Method': methods, 'Access-Control-Request-Headers': 'content-type' } });
        assert.equal(friend.status, 204, where);
        assert.equal(friend.bytes.length, 0);
        assert.match(friend.headers.allow, new RegExp(`\\b${methods}\\b`));
        assert.equal(friend.headers['access-control-allow-origin'], 'http://friend.example');
        assert.match(friend.headers['access-control-allow-methods'], new RegExp(`\\b${methods}\\b`));
        assert.match(friend.headers['access-control-allow-headers'], /content-type/i);
        const stranger = await request(server, '/command', { method: 'OPTIONS', headers: { Origin: 'http://evil.example' } });
        assert.equal(stranger.headers['access-control-allow-origin'], undefined);
    }
});

test('each route answers HEAD and OPTIONS: a head, and no byte of a body', async (t) => {
    const metered = await serve(t, ['--upstream', 'http://127.0.0.1:9']);
    const read = 'GET, HEAD, OPTIONS';
    for (const [where, allow] of [['/', read], ['/style.css', read], ['/contract.json', read], ['/healthz', read], ['/status', read],
        ['/ticks', read], ['/events', read], ['/requests', read], ['/ingest', 'POST, PUT, OPTIONS'], ['/command', 'POST, OPTIONS']]) {
        const head = await exchange(metered, `HEAD ${where} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n`);
        assert.match(head, new RegExp(`^HTTP/1\\.1 ${allow === read ? 200 : 405} [^]*\r\nContent-Type: `), where);
        assert.equal(head.indexOf('\r\n\r\n'), head.length - 4, where);
        assert.equal(/\r\nAllow: (.*)\r\n/.exec(head)?.[1], allow === read ? undefined : allow, where);
        const options = await exchange(metered, `OPTIONS ${where} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n`);
        assert.match(options, /^HTTP\/1\.1 204 /, where);
        assert.equal(options.indexOf('\r\n\r\n'), options.length - 4, where);
        assert.equal(/\r\nAllow: (.*)\r\n/.exec(options)?.[1], allow, where);
        assert.doesNotMatch(options, /\r\n(Content-(Length|Type)|Transfer-Encoding|Access-Control-Allow-Origin):/i, 'RFC 9110 8.6: none with 204');
    }
});

test('answers carry CORS headers for allowed origins only', async () => {
    for (const where of ['/status', '/ticks', '/healthz']) {
        const friend = await request(server, where, { headers: { Origin: 'http://friend.example' } });
        assert.equal(friend.headers['access-control-allow-origin'], 'http://friend.example', where);
        assert.match(friend.headers.vary ?? '', /origin/i, where);
    }
    assert.equal((await request(server, '/contract.json')).headers['access-control-allow-origin'], '*', 'the contract is for all');
    for (const where of ['/status', '/ticks', '/healthz']) {
        const stranger = await request(server, where, { headers: { Origin: 'http://evil.example' } });
        assert.equal(stranger.headers['access-control-allow-origin'], undefined, where);
    }
    const friend = await stream(server, '/events', 'Origin: http://friend.example\r\n');
    assert.match(friend.head, /\r\nAccess-Control-Allow-Origin: http:\/\/friend\.example\r\n/i);
    friend.raw.reset();
    const stranger = await stream(server, '/events', 'Origin: http://evil.example\r\n');
    assert.doesNotMatch(stranger.head, /Access-Control-Allow-Origin/i);
    stranger.raw.reset();
});

test('unknown paths are 404, wrong methods 405 with Allow, both with a JSON body', async () => {
    for (const where of ['/nowhere', '/index.htm', '/status/x', '/statusx', '/STATUS', '/ticks/', '/healthz/x', '/.git/config',
        '/app.js/x', '/aidash.c', '/%C3%BF', '/a'.repeat(500), '/favicon.icox']) {
        assertRefused(await request(server, where), 404);
    }
    for (const [method, where, allowed] of [['POST', '/', 'GET'], ['DELETE', '/status', 'GET'], ['PUT', '/command', 'POST'],
        ['GET', '/command', 'POST'], ['GET', '/ingest', 'POST'], ['POST', '/events', 'GET'], ['PATCH', '/ticks', 'GET'],
        ['PUT', '/app.js', 'GET'], ['DELETE', '/healthz', 'HEAD'], ['PROPFIND', '/', 'GET']]) {
        const answer = await request(server, where, { method, headers: { 'Content-Length': 0 } });
        assertRefused(answer, 405);
        assert.match(answer.headers.allow, new RegExp(`\\b${allowed}\\b`), `${method} ${where}`);
    }
});

test('no directory and no file of the machine is ever served', async () => {
    const page = (await request(server, '/')).bytes;
    for (const where of ['/..', '/../', '/www/', '/www', '//', '/./', '/%2e%2e/', '/%2e%2e/%2e%2e/etc/passwd',
        '/../../../../etc/passwd', '/..%2f..%2fetc%2fpasswd', '/..%5c..%5cetc', '/etc/passwd', '//etc/passwd',
        '/tests/', '/.', '/app.js/..', '/%2e/', '/proc/self/maps', '/....//....//etc/passwd']) {
        const answer = await request(server, where);
        if (answer.status === 200) {
            assert.deepEqual(answer.bytes, page, where);
        } else {
            assertRefused(answer, answer.status);
            assert.ok([400, 404].includes(answer.status), `${where}: ${answer.status}`);
        }
    }
});

test('a head over 32 KiB is answered with 431, a target over 8 KiB with 414, however they grow', async () => {
    for (const [bytes, code] of [[`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(33000)}\r\n\r\n`, 431],
        [`GET /${'x'.repeat(9000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 414],
        [`GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(257)}\r\n`, 431], [`GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(6000)}\r\n`, 431],
        [`GET / HTTP/1.1\r\nX: ${'x'.repeat(100000)}`, 431], ['x'.repeat(40000), 501]]) {
        const raw = await Raw.connect(server);
        raw.write(bytes);
        const answer = await raw.until((got) => got.includes('\r\n\r\n{') && got.toString('latin1'), 'answer');
        assert.match(answer, new RegExp(`^HTTP/1\\.1 ${code} `));
        assert.match(answer, new RegExp(`"code":${code}`));
        await within(raw.closed, 'end of connection');
    }
    const fits = await exchange(server, `GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(32600)}\r\n\r\n`);
    assert.match(fits, /^HTTP\/1\.1 200 /);
});

test('what is not HTTP, or not as the standard has it, is refused at once, with its status', async () => {
    const post = 'POST /command HTTP/1.1\r\nHost: x\r\n';
    for (const [bytes, code] of [['\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n', 400], ['GARBAGE\r\n\r\n', 400], ['GET\r\n\r\n', 400], ['GET / \r\n\r\n', 400],
        ['GET / HTTP/9.9\r\n\r\n', 505], ['GET  HTTP/1.1\r\n\r\n', 400], ['GET / HTTP/1.1\r\nno colon\r\n\r\n', 400],
        ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505], ['\0\0\0\0\r\n\r\n', 400], ['GET nowhere HTTP/1.1\r\n\r\n', 400],
        [`${post}Content-Length: -1\r\n\r\n`, 400], [`${post}Content-Length: x\r\n\r\n`, 400],
        [`${post}Content-Length: 99999999999999999999\r\n\r\n`, 413], [`${post}Content-Length: 100000000000000000\r\n\r\n`, 413],
        [`${post}Transfer-Encoding: gzip\r\n\r\n`, 501], ['CONNECT example.com:80 HTTP/1.1\r\nHost: x\r\n\r\n', 501],
        ['TRACE / HTTP/1.1\r\nHost: x\r\n\r\n', 405], [Buffer.from('16030100c8010000c40303', 'hex'), 400],
        ['PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n', 400]]) {
        const raw = await Raw.connect(server);
        raw.write(bytes);
        assert.match(await raw.rest(), new RegExp(`^HTTP/1\\.1 ${code} `), bytes.toString());
    }
});

test('a connection to one of our own paths answers one request', async () => {
    const requestOfTwo = await exchange(server, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /status HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal(requestOfTwo.match(/HTTP\/1\.1 200/g).length, 1, 'one request a connection');
});

test('HTTP/1.0 and absolute request targets are answered', async () => {
    assert.match(await exchange(server, 'GET /healthz HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 [^]*\{"status":"ok"\}/);
    assert.match(await exchange(server, `GET http://127.0.0.1:${server.port}/healthz HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`),
        /^HTTP\/1\.1 200 [^]*\{"status":"ok"\}/);
});

test('many requests at once are all answered', async () => {
    const answers = await Promise.all(Array.from({ length: 150 }, (_, i) => request(server,
        ['/healthz', '/status', '/ticks?last=10', '/', '/nowhere'][i % 5])));
    assert.deepEqual(answers.map((answer) => answer.status), answers.map((_, i) => (i % 5 === 4 ? 404 : 200)));
});

test('repeated slashes lead to our own paths', async (t) => {
    const server = await serve(t, ['--source', 'none']);
    for (const where of ['//status', '///healthz', '//', '//ticks?last=1', '//contract.json']) {
        assert.equal((await request(server, where)).status, 200, where);
    }
    assert.equal((await post(server, '//ingest', '{"tokens":1}')).json.accepted, 1);
    assert.equal((await connect(server, '//ws//twice')).hello.client_id, 'twice');
    assert.equal((await request(server, '//nothing')).status, 404);
    assert.equal((await request(server, '//status', { headers: { Origin: 'http://a.example' } })).status, 403);
});
