/* The real llama-server, throttled: it is stopped for most of the time, as cpulimit does it. What is usual is learned in the same run;
 * then a verdict says that it is slow, and that nothing here tells why; energy comes from a wall meter that is fed; history has all of it. */
import assert from 'node:assert/strict';
import { after, test as nodeTest } from 'node:test';
import { SLOW, connect, post as send, request, status } from './aidash.mjs';
import { isRequest, llama, metered, missing } from './engine.mjs';

const skip = missing() || false;
const engine = skip ? null : await llama('tiny-a');
after(async () => { await engine?.stop(); });

const PATIENCE = 240_000 * SLOW;

/* Let it run for 20 ms of each 420; returns a function that ends that. */
function throttle(pid) {
    let over = false;
    let timer;
    const turn = (runs) => {
        process.kill(pid, runs ? 'SIGCONT' : 'SIGSTOP');
        if (!over) {
            timer = setTimeout(turn, runs ? 20 : 400, !runs);
        }
    };
    turn(false);
    return () => {
        over = true;
        clearTimeout(timer);
        try { process.kill(pid, 'SIGCONT'); } catch { /* it has ended */ }
    };
}

nodeTest('a throttled engine: what is usual, a verdict, energy, history', { skip, timeout: 2 * PATIENCE }, async (t) => {
    const server = await metered(t, engine);
    const viewer = await connect(server);
    let watts = 30;
    const meter = setInterval(() => { send(server, '/ingest', `{"watts":${watts}}\n`).catch(() => {}); }, 500);
    t.after(() => clearInterval(meter));
    const ask = async (tokens) => {
        const answer = await request(server, '/v1/chat/completions', { method: 'POST', headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify({ model: 'tiny-a', stream: true, temperature: 0, seed: 1, max_tokens: tokens, cache_prompt: false,
                stream_options: { include_usage: true }, messages: [{ role: 'user', content: 'say river stone' }] }) });
        assert.equal(answer.status, 200);
        return viewer.next((event) => isRequest(event) && event.status === 'finished', 'a record', PATIENCE);
    };
    const energy = await viewer.next((event) => event.event === 'energy' && event.floor_watts !== undefined, 'the power at rest', PATIENCE);
    assert.equal(energy.floor_watts, 30);
    watts = 80;
    const probe = await ask(64);
    const tokens = Math.min(800, Math.max(32, Math.round(probe.decode_tokens_per_second)));
    const fast = [];
    for (let i = 0; i < 8; i++) {
        fast.push(await ask(tokens));
    }
    assert.deepEqual((await status(server)).verdicts, [], 'nothing is slow yet');
    const release = throttle(engine.pid);
    t.after(release);
    let verdict;
    const slow = [];
    for (let i = 0; i < 12 && !verdict; i++) {
        slow.push(await ask(tokens));
        verdict = viewer.events.find((event) => event.event === 'verdict' && event.on);
    }
    release();
    assert.ok(verdict, `a verdict: ${fast.map((r) => r.decode_tokens_per_second)}, ${slow.map((r) => r.decode_tokens_per_second)}`);
    assert.equal(verdict.figure, 'decode');
    assert.equal(verdict.model, 'tiny-a');
    assert.equal(verdict.cause, 'unknown', 'no sensor sees that its process is stopped');
    assert.match(verdict.sentence, /^[\d.]+ tok\/s, usually [\d.]+; nothing that is measured here tells why$/);
    assert.ok(verdict.tokens_per_second < 0.6 * verdict.usual_tokens_per_second, verdict.sentence);
    assert.equal((await status(server)).verdicts[0].cause, 'unknown');
    assert.equal(slow.at(-1).slow, 'unknown', 'the record has it, too');
    assert.equal(fast.at(-1).slow, undefined);
    /* Energy: 50 W above the rest, for the time that each took at the engine. */
    for (const { joules, duration_ms: ms } of slow) {
        assert.ok(joules > 0 && joules <= ms / 1000 * 50 * 1.05 + 1, `${joules} J in ${ms} ms`);
    }
    let over;
    for (let i = 0; i < 12 && !over; i++) { // it runs again
        await ask(tokens);
        over = viewer.events.find((event) => event.event === 'verdict' && !event.on);
    }
    assert.match(over.sentence, / tok\/s again$/);
    const { series, rows } = (await request(server, '/history?from=-900&series=tokens,requests')).json;
    const sum = rows.reduce((all, row) => all + row[series.indexOf('tokens')], 0);
    assert.ok(sum >= tokens * 10, `${sum} tokens in history`);
});
