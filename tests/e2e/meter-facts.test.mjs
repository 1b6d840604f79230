/* What the meter tells beside the counts: context and cut prompts, what is on the
 * CPU, loading, the reading of the prompt, the prompt cache. Replayed engines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Raw, connect, exchange, isStatus, poll, request, status, statusWhen, validate } from './aidash.mjs';
import { LAST_CHUNK, answer, chatEvent, chunk, isProgress, isRequest, metered, post, replay } from './engine.mjs';

const GIB = 2 ** 30;
const item = (name) => ({ name, model: name, size: 5 * GIB, digest: 'd' });
const inMemory = (name, more) => JSON.stringify({ models: [{ ...item(name), size: 10 * GIB, size_vram: 10 * GIB, ...more }] });
const NDJSON = 'HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n';
const SSE = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n';
const line = (object) => chunk(`${JSON.stringify(object)}\n`);

/* An Ollama with llama3 in memory, 4,096 tokens of context. */
async function ollama(t, more = {}) {
    const engine = await replay(t, { lists: { '/v1/models': null,
        '/api/tags': JSON.stringify({ models: [item('llama3:latest'), item('qwen3:4b'), item('qwen3:480b-cloud')] }),
        '/api/ps': inMemory('llama3:latest', { context_length: 4096, ...more }) } });
    const server = await metered(t, engine);
    await statusWhen(server, (now) => now.loaded.length === 1);
    return { engine, server, viewer: await connect(server) };
}

/* Ask; the engine says that the prompt has so many tokens. Returns the record. */
async function ask({ engine, server, viewer }, body, last, { route = '/api/chat', head = NDJSON, first } = {}) {
    const from = viewer.events.length;
    const answered = exchange(server, post(route, typeof body === 'string' ? body : JSON.stringify(body)));
    const call = await engine.next();
    await call.write(head);
    await call.write(first ?? line({ model: 'llama3', message: { role: 'assistant', content: 'yes' }, done: false }));
    call.socket.end((typeof last === 'string' ? last : line({ model: 'llama3', done: true, done_reason: 'stop', total_duration: 5e9, load_duration: 3e7,
        prompt_eval_duration: 2e9, eval_count: 5, eval_duration: 1e9, ...last })) + LAST_CHUNK);
    await answered;
    return await poll(() => viewer.events.slice(from).find(isRequest), 'record');
}

const chat = (content, more = {}) => ({ model: 'llama3', messages: [{ role: 'user', content }], ...more });
const words = (tokens) => 'river stone '.repeat(Math.ceil(tokens / 2)).slice(0, tokens * 6);

test('the context of Ollama, how full it is, and a prompt that it cut in silence', async (t) => {
    const stage = await ollama(t);
    assert.deepEqual((await status(stage.server)).model_facts, [{ model: 'llama3:latest', context_length: 4096, cpu_share: 0 }]);
    const fits = await ask(stage, chat(words(3000)), { prompt_eval_count: 3010 });
    assert.deepEqual([fits.context_tokens, fits.context_length, fits.prompt_cut], [3015, 4096, undefined]);
    // 12,000 words are 12,000 tokens: Ollama reads num_ctx / 2 + 2 of them, or num_ctx, and says nothing.
    const half = await ask(stage, chat(words(12000)), { prompt_eval_count: 2050 });
    assert.deepEqual([half.context_tokens, half.context_length, half.prompt_cut], [2055, 4096, true]);
    const full = await ask(stage, chat(words(12000)), { prompt_eval_count: 4096, eval_count: 1 });
    assert.deepEqual([full.context_tokens, full.context_length, full.prompt_cut], [4097, 4096, true]);
    // Old messages left out: the prompt is anywhere below the context.
    assert.equal((await ask(stage, { model: 'llama3', messages: Array.from({ length: 60 }, (_, i) => ({ role: 'user', content: words(200) + i })) },
        { prompt_eval_count: 3200 })).prompt_cut, true);
    // Its OpenAI route, too.
    const usage = `data: ${JSON.stringify({ model: 'llama3', choices: [], usage: { prompt_tokens: 2050, completion_tokens: 5, total_tokens: 2055 } })}\n\n`;
    const openai = await ask(stage, chat(words(12000), { stream: true }), chunk(`${usage}data: [DONE]\n\n`),
        { route: '/v1/chat/completions', head: SSE, first: chunk(chatEvent('yes', { model: 'llama3' })) });
    assert.deepEqual([openai.context_tokens, openai.prompt_cut], [2055, true]);
});

test('no sign of a cut prompt where there was none', async (t) => {
    const stage = await ollama(t);
    const image = Buffer.alloc(300_000, 'an image, ').toString('base64');
    const cut = async (body, last) => (await ask(stage, body, last)).prompt_cut;
    assert.equal(await cut(chat('hi'), { prompt_eval_count: 11 }), undefined, 'short');
    assert.equal(await cut(chat('what is this', { messages: [{ role: 'user', content: 'what is this', images: [image] }] }),
        { prompt_eval_count: 2050 }), undefined, 'an image');
    assert.equal(await cut(chat([{ type: 'image_url', image_url: { url: `data:image/png;base64,${image}` } }]),
        { prompt_eval_count: 4096 }), undefined, 'an image as URL');
    assert.equal(await cut(chat(words(12000)), {}), undefined, 'all of it cached, so no count');
    assert.equal(await cut(chat(words(3500)), { prompt_eval_count: 12 }), undefined, 'most of it cached, and left out');
    assert.equal(await cut(chat(`${' '.repeat(40)}x\n`.repeat(1000)), { prompt_eval_count: 2050 }), undefined, 'indented');
    assert.equal(await cut(chat(words(12000), { options: { num_ctx: 32768 } }), { prompt_eval_count: 12010 }), undefined, 'a larger context');
    const larger = await ask(stage, chat(words(12000), { options: { num_ctx: 32768 } }), { prompt_eval_count: 12010 });
    assert.deepEqual([larger.context_tokens, larger.context_length], [12015, 32768]);
});

test('what llama-server and vLLM tell of the context, and truncated', async (t) => {
    const lists = {
        '/v1/models': JSON.stringify({ data: [{ id: 'm', owned_by: 'llamacpp', meta: { n_ctx_train: 131072, n_ctx: 2048, size: 5 } }] }) };
    const engine = await replay(t, { lists });
    const server = await metered(t, engine);
    const viewer = await connect(server);
    await statusWhen(server, (now) => now.models.length === 1);
    assert.deepEqual((await status(server)).model_facts, [{ model: 'm', context_length: 2048 }]);
    assert.ok(!engine.asked.some((line) => /props|slots|health/.test(line)), engine.asked.join());
    const native = (text, more) => ask({ engine, server, viewer }, JSON.stringify({ prompt: text }),
        chunk(`data: ${JSON.stringify({ content: '', stop: true, model: 'm', tokens_predicted: 20, tokens_evaluated: 5, truncated: true, ...more })}\n\n`),
        { route: '/completion', head: SSE, first: chunk('data: {"content":"a","stop":false}\n\n') });
    assert.equal((await native(words(6000), { tokens_evaluated: 1100 })).prompt_cut, true);
    const answerCut = await native('river', { tokens_predicted: 2043 });
    assert.deepEqual([answerCut.context_tokens, answerCut.context_length, answerCut.prompt_cut], [2048, 2048, undefined]);

    const vllm = await metered(t, await replay(t, { lists: {
        '/v1/models': JSON.stringify({ data: [{ id: 'a', max_model_len: 8192 }, { id: 'b', max_model_len: 'x' }, { id: 'c' }] }) } }));
    await statusWhen(vllm, (now) => now.models.join() === 'a,b,c');
    assert.deepEqual((await status(vllm)).model_facts, [{ model: 'a', context_length: 8192 }]);
});

test('an older llama-server is asked for /props; a router never is', async (t) => {
    const props = { '/props': JSON.stringify({ default_generation_settings: { n_ctx: 1024, params: { n_ctx: 7 } }, total_slots: 4 }) };
    const old = await replay(t, { lists: { ...props,
        '/v1/models': JSON.stringify({ data: [{ id: 'm', owned_by: 'llamacpp', meta: { n_ctx_train: 131072 } }] }) } });
    const server = await metered(t, old);
    await statusWhen(server, (now) => now.model_facts[0]?.context_length === 1024);
    const router = await replay(t, { lists: { ...props, '/v1/models': JSON.stringify({ data: [
        { id: 'm', owned_by: 'llamacpp', status: { value: 'unloaded' } }] }) } });
    const other = await metered(t, router);
    await statusWhen(other, (now) => now.models.length === 1);
    assert.deepEqual((await status(other)).model_facts, []);
    // A request makes it load: its list is asked for each second until it has.
    const answered = exchange(other, post('/v1/chat/completions', '{"model":"m"}'));
    router.pages['/v1/models'] = JSON.stringify({ data: [{ id: 'm', owned_by: 'llamacpp', status: { value: 'loading' } }] });
    (await router.next()).socket.end(answer('{}'));
    await answered;
    const loads = await statusWhen(other, (now) => now.model_facts.length === 1);
    assert.equal(loads.model_facts[0].model, 'm');
    assert.ok(Math.abs(loads.model_facts[0].loading.since - Date.now() / 1000) < 20);
    router.pages['/v1/models'] = JSON.stringify({ data: [{ id: 'm', owned_by: 'llamacpp', status: { value: 'loaded' }, meta: { n_ctx: 4096 } }] });
    await statusWhen(other, (now) => now.model_facts[0]?.context_length === 4096 && !now.model_facts[0].loading);
    assert.ok(router.asked.every((line) => /^(GET \/(v1\/models|api\/ps)|POST .*)$/.test(line)), router.asked.join());
});

test('a model that is partly on the CPU', async (t) => {
    const { server, viewer } = await ollama(t, { size_vram: 6.3 * GIB });
    assert.deepEqual((await status(server)).model_facts, [{ model: 'llama3:latest', context_length: 4096, cpu_share: 0.37 }]);
    assert.ok([viewer.hello, ...viewer.events].some((event) => event.model_facts?.[0]?.cpu_share === 0.37));
});

test('Ollama loads a model that is not in memory', async (t) => {
    const { engine, server, viewer } = await ollama(t);
    // One that is in memory, and what only looks at a model, loads nothing.
    for (const [route, model] of [['/api/chat', 'llama3'], ['/api/show', 'qwen3:4b'], ['/api/chat', 'qwen3:480b-cloud']]) {
        const other = exchange(server, post(route, JSON.stringify({ model })));
        const call = await engine.next();
        assert.ok((await status(server)).model_facts.every((one) => !one.loading), `${route} ${model}`);
        call.socket.end(answer('{}'));
        await other;
    }
    const answered = exchange(server, post('/api/chat', JSON.stringify({ model: 'qwen3:4b', messages: [] })));
    const call = await engine.next();
    const told = await poll(() => viewer.events.find((e) => isStatus(e) && e.model_facts[0]?.loading), 'loading');
    assert.deepEqual([told.model_facts[0].model, told.model_facts[0].loading.fraction], ['qwen3:4b', undefined]);
    const waiting = await poll(() => viewer.events.find((e) => isProgress(e) && e.loading), 'loading of the request');
    const { running } = validate((await request(server, '/requests')).json, 'RequestsAnswer');
    assert.ok(running[0].loading.since > 0);
    assert.deepEqual([waiting.id, waiting.loading], [running[0].id, running[0].loading]);
    engine.pages['/api/ps'] = inMemory('qwen3:4b', { context_length: 8192, size_vram: 5 * GIB });
    await call.write(NDJSON + line({ model: 'qwen3:4b', message: { content: 'yes' }, done: false }));
    await poll(() => viewer.events.find((e) => isStatus(e) && e.seq > told.seq && !e.model_facts.some((m) => m.loading)), 'end of the loading');
    // What it has now is asked for soon, so that this request's record knows it.
    await statusWhen(server, (now) => now.model_facts.some((m) => m.model === 'qwen3:4b' && m.cpu_share === 0.5));
    call.socket.end(line({ model: 'qwen3:4b', done: true, load_duration: 4.2e9, prompt_eval_count: 10, eval_count: 2 }) + LAST_CHUNK);
    await answered;
    const record = await poll(() => viewer.events.find((e) => isRequest(e) && e.load_ms), 'record');
    assert.deepEqual([record.load_ms, record.context_tokens, record.context_length], [4200, 12, 8192]);
});

test('two wait for a model to load, and one of them is cancelled: it still loads', async (t) => {
    const { engine, server, viewer } = await ollama(t);
    const asked = [];
    for (let i = 0; i < 2; i++) {
        asked.push(exchange(server, post('/api/chat', JSON.stringify({ model: 'qwen3:4b', messages: [] }))));
        await engine.next();
    }
    await statusWhen(server, (now) => now.requests.running === 2 && now.model_facts[0]?.loading);
    const ids = (await request(server, '/requests')).json.running.map(({ id }) => id).sort();
    await viewer.command({ action: 'cancel', request: ids[0] });
    await asked[0];
    assert.ok((await status(server)).model_facts.some((one) => one.model === 'qwen3:4b' && one.loading));
    await viewer.command({ action: 'cancel', request: ids[1] });
    await asked[1];
    await statusWhen(server, (now) => !now.model_facts.some((one) => one.loading));
});

test('a model loads as long as one of those that wait for it does', async (t) => {
    const { engine, server, viewer } = await ollama(t);
    const loads = (now) => now.model_facts.some((m) => m.model === 'qwen3:4b' && m.loading);
    const clients = [];
    const calls = [];
    for (let i = 0; i < 2; i++) {
        clients.push(await Raw.connect(server));
        clients[i].write(post('/api/chat', JSON.stringify({ model: 'qwen3:4b', messages: [] })));
        calls.push(await engine.next());
    }
    assert.ok(loads(await status(server)));
    clients[0].reset();
    await poll(() => viewer.events.find((e) => isRequest(e) && e.status === 'left'), 'record of the one that left');
    assert.ok(loads(await status(server)), 'for the other one it still does');
    clients[1].reset();
    await poll(async () => !loads(await status(server)), 'nobody waits');
});

test('llama-server loads its model: 503 on every route, to discovery and to requests', async (t) => {
    const engine = await replay(t, { lists: { '/v1/models': null, '/api/tags': null } });
    const loading = answer('{"error":{"message":"Loading model","type":"unavailable_error","code":503}}', { status: '503 Service Unavailable' });
    const list = engine.pages;
    delete list['/v1/models'];
    engine.answerAll((call) => call.socket.end(loading));
    const server = await metered(t, engine);
    const viewer = await connect(server);
    const now = await statusWhen(server, ({ model_facts: facts }) => facts[0]?.loading);
    assert.deepEqual([now.model_facts.length, now.model_facts[0].model, now.engine], [1, '', 'up']);
    await exchange(server, post('/v1/chat/completions', '{"model":"m"}'));
    const record = await poll(() => viewer.events.find(isRequest), 'record');
    assert.equal(record.status, 'failed');
    assert.equal((await status(server)).model_facts[0].loading.since, now.model_facts[0].loading.since);
    list['/v1/models'] = JSON.stringify({ data: [{ id: 'm', owned_by: 'llamacpp', meta: { n_ctx: 2048 } }] });
    await statusWhen(server, ({ model_facts: facts }) => facts.length === 1 && facts[0].model === 'm' && !facts[0].loading);
});

test('progress of the loading and of the prompt, in the forms that there are', async (t) => {
    const engine = await replay(t);
    const server = await metered(t, engine);
    const viewer = await connect(server);
    const stream = async (pieces) => {
        const from = viewer.events.length;
        const answered = exchange(server, post('/v1/chat/completions', '{"model":"replayed","stream":true}'));
        const call = await engine.next();
        await call.write(SSE);
        const told = [];
        for (const piece of pieces) {
            const n = viewer.events.length;
            await new Promise((done) => { setTimeout(done, 120); }); // at most ten a second are told
            await call.write(chunk(piece));
            told.push(await poll(() => viewer.events.slice(n).find(isProgress), 'progress'));
        }
        const { running } = (await request(server, '/requests')).json;
        assert.deepEqual(running[0].prefill, told.at(-1).prefill);
        await call.write(chunk(chatEvent('yes')));
        await poll(async () => (await request(server, '/requests')).json.running[0]?.completion_tokens === 1, 'first token');
        assert.equal((await request(server, '/requests')).json.running[0].prefill, undefined);
        call.socket.end(chunk('data: [DONE]\n\n') + LAST_CHUNK);
        await answered;
        await poll(() => viewer.events.slice(from).find(isRequest), 'record');
        return told;
    };
    const llama = (processed) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { role: 'assistant' } }], prompt_progress: { total: 4000, cache: 1000, processed, time_ms: 5 } })}\n\n`;
    assert.deepEqual((await stream([llama(1800), llama(4000)])).map((e) => e.prefill), [
        { processed: 1800, total: 4000, cached: 1000, fraction: 0.45 }, { processed: 4000, total: 4000, cached: 1000, fraction: 1 }]);
    assert.deepEqual((await stream([': keepalive 2048/4096\n\n'])).map((e) => e.prefill), [{ processed: 2048, total: 4096, fraction: 0.5 }]);
    const studio = (type, more) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
    const told = await stream([studio('model_load.progress', { progress: 0.25 }), studio('prompt_processing.progress', { progress: 0.5 })]);
    assert.deepEqual([told[0].loading.fraction, told[0].prefill, told[1].loading, told[1].prefill], [0.25, undefined, undefined, { fraction: 0.5 }]);
    assert.ok(viewer.events.some((e) => isStatus(e) && e.model_facts[0]?.loading?.fraction === 0.25));
});

test('the prompt cache: how often it helps, and that the beginning of a prompt changed', async (t) => {
    const stage = await ollama(t);
    const told = [];
    for (const [prompt, cached] of [[1000, 0], [1200, 1000], [1400, 10], [1500, 1400], [300, 0], [1600, 1500], [1610, 40]]) {
        told.push((await ask(stage, chat('x'), { prompt_eval_count: prompt, prompt_eval_cached_count: cached })).cache_broke);
    }
    // A short prompt is another conversation; after a break there is nothing to break.
    assert.deepEqual(told, [undefined, undefined, true, undefined, undefined, undefined, true]);
    const [facts] = (await status(stage.server)).model_facts;
    assert.deepEqual([facts.prompt_tokens, facts.cached_tokens], [8610, 3950]);
    // Another model is another cache.
    await ask(stage, chat('x'), { prompt_eval_count: 2000, prompt_eval_cached_count: 1900 });
    const other = await ask(stage, { ...chat('x'), model: 'qwen3:4b' }, { model: 'qwen3:4b', prompt_eval_count: 2000, prompt_eval_cached_count: 0 },
        { first: line({ model: 'qwen3:4b', message: { content: 'yes' }, done: false }) });
    assert.equal(other.cache_broke, undefined);
});
