/* Several engines: their lists of models as one. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { once } from 'node:events';
import { Raw, exchange, poll, request, status, statusWhen } from './aidash.mjs';
import { abreast, answer, chunk, get, metered, replay, takeApart } from './engine.mjs';

const test = abreast('lists');
const openai = (...ids) => JSON.stringify({ object: 'list', data: ids.map((id) => ({ id, object: 'model', owned_by: 'x', meta: { n_ctx: 4096, tags: ['a]', '{"', '\\'] } })) });
const ollama = (...names) => JSON.stringify({ models: names.map((name) => ({ name, model: name, details: { families: ['f', 'g'] }, size: 5 })) });
const list = async (server, where, extra = '') => takeApart(Buffer.from(await exchange(server, get(where, extra)), 'latin1'));
const names = ({ lines, data }) => { const found = JSON.parse(data); assert.ok(found.data ?? found.models, lines + data); return (found.data ?? found.models).map((each) => each.id ?? each.name); };
const up = (server, n) => statusWhen(server, (now) => now.models.length === n);

/* An engine that takes connections and says `bytes`, piece by piece, or nothing. */
async function odd(t, bytes) {
    const server = net.createServer({ noDelay: true }, (socket) => {
        socket.on('error', () => {});
        socket.on('data', async () => {
            for (const piece of bytes) {
                socket.write(piece);
                await new Promise(setImmediate); // as a whole it has 2 s, on a slow machine too
            }
            if (bytes.length > 0) {
                socket.end();
            }
        });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    return { url: `http://127.0.0.1:${server.address().port}` };
}

test('each engine\'s models, as it describes them; one that several have is the first\'s', async (t) => {
    const one = await replay(t, { lists: { '/v1/models': openai('a', 'both'), '/api/tags': ollama('a', 'both'), '/api/ps': ollama('a') } });
    const two = await replay(t, { lists: { '/v1/models': openai('both', 'b'), '/api/tags': ollama('both', 'b', 'b'), '/api/ps': ollama() } });
    const three = await replay(t, { lists: { '/v1/models': ` { "object" : "list", "models" : [ {"name":"no"} ], "data":\n[ {"id":"c", "x": [1,[2,{}]] } , {"id":"d"}\t] } `,
        '/api/tags': null, '/api/ps': null } });
    const server = await metered(t, [one, two, three]);
    await up(server, 5);
    const models = await list(server, '/v1/models');
    assert.ok(models.lines.includes('Content-Type: application/json'), models.lines.join());
    const { object, data } = JSON.parse(models.data);
    assert.equal(object, 'list');
    assert.deepEqual(data.map((each) => each.id), ['a', 'both', 'b', 'c', 'd']);
    assert.deepEqual(data.slice(0, 2), JSON.parse(openai('a', 'both')).data);
    assert.deepEqual(data[3], { id: 'c', x: [1, [2, {}]] });
    assert.deepEqual(names(await list(server, '/api/tags')), ['a', 'both', 'b', 'b']);
    assert.deepEqual(names(await list(server, '/api/ps')), ['a']);
    assert.equal((await status(server)).requests.running, 0);
    // What the client sends goes to each engine; but it gets no other form than the list itself.
    for (const engine of [one, two]) {
        engine.pages['/v1/models'] = undefined;
        engine.answerAll((call) => call.socket.end(answer(openai(call.request.value('authorization') ?? 'none'))));
    }
    assert.deepEqual(names(await list(server, '/v1/models', 'Authorization: Bearer k\r\nAccept-Encoding: gzip\r\nIf-None-Match: "x"\r\n')), ['Bearer k', 'c', 'd']);
    const sent = one.all.find((call) => call.request.value('authorization')).request;
    assert.deepEqual([sent.value('accept-encoding'), sent.value('if-none-match'), sent.value('x-forwarded-for')], [undefined, undefined, '127.0.0.1']);
});

test('one connection may ask again and again; HEAD and a single model go to an engine', async (t) => {
    const one = await replay(t, { models: ['a'] });
    const two = await replay(t, { models: ['b'] });
    const server = await metered(t, [one, two]);
    await up(server, 2);
    const client = await Raw.connect(server);
    for (let i = 0; i < 3; i++) {
        client.bytes = Buffer.alloc(0);
        client.write('GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n');
        await client.until((bytes) => bytes.includes(']}'));
        assert.deepEqual(names(takeApart(client.bytes)), ['a', 'b']);
    }
    one.answerAll();
    client.write('GET /v1/models/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    assert.match(await client.rest(), /\{\}$/);
});

test('an engine that is down, answers wrong, breaks off or gives no end does not spoil the list', async (t) => {
    const good = await replay(t, { models: ['a'] });
    const last = await replay(t, { models: ['z'] });
    const begin = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    for (const bytes of [[answer('no', { status: '500 Oops' })], [answer('{"data":[{"id":"x"}')], [answer('{"data":[{"id":"x"}]}]')],
        [answer('[{"id":"x"}]')], [answer('{"data":{"id":"x"}}')], ['HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"data":[{"id":"x"}]}'],
        [`${begin}${chunk('{"data":[{"id":"x"},')}`], ['SSH-2.0-x\r\n'], [answer(`{"data":[${'['.repeat(3000)}`)], ['HTTP/1.1 204 None\r\n\r\n']]) {
        const bad = await odd(t, bytes);
        const server = await metered(t, [good, bad, last]);
        await up(server, 2);
        assert.deepEqual(names(await list(server, '/v1/models')), ['a', 'z'], bytes[0].slice(0, 80));
        await server.stop();
    }
    // In pieces of one byte it is the same list as whole.
    const bytewise = await odd(t, [...answer(openai('p', 'q'))]);
    const server = await metered(t, [good, bytewise, last]);
    await poll(async () => names(await list(server, '/v1/models')).join() === 'a,p,q,z', 'all four');
    await good.down();
    await last.down();
    await poll(async () => names(await list(server, '/v1/models')).join() === 'p,q', 'the list of the one that is left');
});

test('an engine that takes a connection and says nothing does not cost the list', async (t) => {
    const good = await replay(t, { models: ['a'] });
    const mute = await odd(t, []);
    const server = await metered(t, [mute, good]);
    await up(server, 1);
    assert.deepEqual(names(await list(server, '/v1/models')), ['a']);
});

test('no engine has a list: what the first said, or 502', async (t) => {
    const refusing = () => odd(t, [answer('{}', { status: '401 Unauthorized' })]);
    const server = await metered(t, [await refusing(), await refusing()]);
    const refused = await request(server, '/v1/models');
    assert.deepEqual([refused.status, refused.json.error.message], [401, 'no engine gave a list of its models']);
    const one = await replay(t);
    const two = await replay(t);
    await one.down();
    await two.down();
    const dead = await metered(t, [one, two]);
    await statusWhen(dead, (now) => now.engine === 'down');
    assert.equal((await request(dead, '/api/tags')).status, 502);
    await two.up(); // nobody has noticed yet
    assert.equal((await request(dead, '/v1/models')).status, 200);
});

test('lists that are too long are cut between models, and said so', async (t) => {
    const many = (begin) => openai(...Array.from({ length: 600 }, (_, i) => `${begin}-${i}`));
    const one = await replay(t, { lists: { '/v1/models': many('one') } });
    const two = await replay(t, { lists: { '/v1/models': many('two') } });
    const server = await metered(t, [one, two]);
    await up(server, 32);
    const found = names(await list(server, '/v1/models'));
    assert.ok(found.length > 600 && found.length < 1200 && found[0] === 'one-0', `${found.length}`);
    await server.logged(/lists are longer than \d+ bytes: models are left out/);
    const endless = await odd(t, ['HTTP/1.1 200 OK\r\n\r\n{"data":[{"id":"x', ...Array.from({ length: 80 }, () => 'x'.repeat(65536))]);
    const other = await metered(t, [endless, one]);
    assert.equal(names(await list(other, '/v1/models'))[0], 'one-0');
});

test('a client that leaves meanwhile takes its questions along', async (t) => {
    const mute = await odd(t, []);
    const server = await metered(t, [mute, mute]);
    const client = await Raw.connect(server);
    client.write('GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n');
    await new Promise((done) => { setTimeout(done, 100); });
    client.reset();
    assert.equal((await request(server, '/healthz')).status, 200);
});

test.run();
