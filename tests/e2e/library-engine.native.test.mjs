/* aidash.h as a firmware leads: gauges, notes, its state, its models, commands that are refused with a sentence, that take their
 * time, and that are its own. The firmware is engine_side.c, in C and in C++. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, isStatus, post, request, status, validate } from './aidash.mjs';
import { compiled, here, runWords } from './firmware.mjs';

const bins = compiled('engine_side', ['C', 'C++']);

async function firmware(t, bin = bins.C) {
    const { ask, said } = runWords(t, bin);
    return { ask, said, server: here((await ask('start')).split(' ')[1]) };
}

const is = (kind) => (event) => event.event === kind;
const list = async (server, name) => validate((await request(server, `/${name}`)).json, `${name[0].toUpperCase()}${name.slice(1)}Answer`);

for (const [language, bin] of Object.entries(bins)) {
    test(`gauges and notes from ${language}`, async (t) => {
        const { ask, server } = await firmware(t, bin);
        const viewer = await connect(server);
        assert.equal(await ask('gauge', 'temperature', 'C', 61.5), '0');
        const { gauge, unit, value } = validate(await viewer.next(is('gauge')));
        assert.deepEqual([gauge, unit, value], ['temperature', 'C', 61.5]);
        assert.equal(await ask('note', 2, 'the lens is "dirty"'), '0');
        const note = validate(await viewer.next(is('note')));
        assert.deepEqual([note.level, note.text], ['warn', 'the lens is "dirty"']);
        assert.deepEqual((await list(server, 'notes')).notes, [note]);
    });
}

test('what is out of range is refused, at the edge of each limit', async (t) => {
    const { ask, server } = await firmware(t);
    for (const [words, code] of [
        [['gauge', '', 'C', 1], -1], [['gauge', 'g'.repeat(32), '', 1], -1], [['gauge', 'g'.repeat(31), 'u'.repeat(15), 1], 0],
        [['gauge', 'g', 'u'.repeat(16), 1], -1], [['gauge', 'g', '', 'nan'], -1], [['gauge', 'g', '', 'inf'], -1], [['gauge', 'g', '', 1e100], -1],
        [['note', 4, 'x'], -1], [['note', 0, ''], -1], [['note', 0, 'x'.repeat(160)], -1], [['note', 0, 'x'.repeat(159)], 0], [['note', 1, 'a\tb'], -1],
        [['state', 0, ''], -1], [['state', 5, ''], -1], [['state', 1, 'r'.repeat(64)], -1], [['state', 2, 'r'.repeat(63)], 0],
        [['models', '', ''], -1], [['models', 'a,,b', ''], -1], [['models', 'a,a', ''], -1], [['models', 'a,b', 'c'], -1],
        [['models', Array.from({ length: 33 }, (_, i) => `m${i}`).join(), ''], -1], [['models', Array.from({ length: 32 }, (_, i) => `m${i}`).join(), 'm31'], 0],
        [['finish', 0, 1, ''], -1], [['finish', 99, 1, ''], 0],
        [['add', 'Bad', 1, 0, 0, 0, ''], -1], [['add', 'a'.repeat(32), 1, 0, 0, 0, ''], -1], [['add', 'n', 3, 1, 1, 1, ''], -1],
        [['add', 'n', 3, 0, 1, 2, ''], -1], [['add', 's', 2, 0, 0, 2, ''], -1], [['add', 'k', 4, 0, 0, 0, ''], -1],
    ]) {
        assert.equal(await ask(...words), String(code), words.join(' ').slice(0, 80));
    }
    for (let i = 0; i < 8; i++) {
        assert.equal(await ask('add', `c${i}`, 1, 0, 0, 0, 'x'.repeat(159)), '0');
    }
    assert.equal(await ask('add', 'c8', 1, 0, 0, 0, ''), '-5', 'AIDASH_COMMANDS are there');
    assert.equal(await ask('add', 'c7', 3, -1, 1, 0.5, 'again'), '0', 'but one of them may be another');
    assert.deepEqual((await list(server, 'commands')).commands[7], { command: 'c7', kind: 'number', label: 'again', min: -1, max: 1, value: 0.5 });
    assert.equal(await ask('outside'), '-1 -1 -1', 'not in on_command');
    assert.equal(await ask('stop'), 'stopped');
    for (const words of [['gauge', 'g', '', 1], ['note', 0, 'x'], ['state', 1, ''], ['models', 'a', ''], ['finish', 1, 1, ''], ['add', 'a', 1, 0, 0, 0, '']]) {
        assert.equal(await ask(...words), '-2', `${words[0]} when it does not run`);
    }
});

test('notes: the latest are kept', async (t) => {
    const { ask, server } = await firmware(t);
    const viewer = await connect(server);
    for (let i = 0; i < 40; i++) {
        assert.equal(await ask('note', 3, `n${i}`), '0');
        await viewer.next(is('note'));
    }
    assert.deepEqual((await list(server, 'notes')).notes.map(({ text }) => text), Array.from({ length: 32 }, (_, i) => `n${i + 8}`));
});

test('the engine\'s side says its state and its models, and on_command is not asked', async (t) => {
    const { ask, said, server } = await firmware(t);
    const viewer = await connect(server);
    const next = () => viewer.next(isStatus);
    for (const [state, reason, paused, engine] of [[2, 'the button', true, 'up'], [3, 'resnet', false, 'loading'], [4, '', false, 'down'], [1, '', false, 'up']]) {
        assert.equal(await ask('state', state, reason), '0');
        const told = validate(await next());
        assert.deepEqual([told.paused, told.engine, told.reason], [paused, engine, reason || undefined]);
    }
    await ask('state', 2, 'the button');
    assert.equal((await next()).reason, 'the button');
    assert.equal((await viewer.command({ action: 'resume' })).event, 'ack');
    assert.deepEqual([(await next()).reason, viewer.events.filter(isStatus).at(-1).paused], [undefined, false], 'a viewer\'s resume ends the reason');
    assert.equal(await ask('models', 'a,b,c', 'b'), '0');
    const { model, models } = await next();
    assert.deepEqual([model, models], ['b', ['a', 'b', 'c']]);
    assert.equal((await viewer.command({ action: 'switch_model', model: 'yolo' })).code, 'unknown_model');
    assert.deepEqual(said.all.filter((line) => line.startsWith('command')), ['command 3   0 1'], 'the resume alone');
    assert.deepEqual(validate((await request(server, '/status')).json, 'StatusAnswer').models, ['a', 'b', 'c']);
});

test('a refusal has its sentence', async (t) => {
    const { ask, server } = await firmware(t);
    const viewer = await connect(server);
    await ask('on', 'refuse', 'the camera is "busy"');
    const error = await viewer.command({ action: 'pause' });
    assert.deepEqual([error.code, error.message], ['refused', 'the camera is "busy"']);
    const over = await post(server, '/command', '{"action":"pause"}');
    assert.deepEqual([over.status, validate(over.json).message], [409, 'the camera is "busy"']);
    await ask('on', 'refuse', 'x'.repeat(160));
    assert.equal((await viewer.command({ action: 'pause' })).message, 'the engine refused the command');
    assert.equal((await viewer.command({ action: 'fly' })).code, 'unknown_action');
});

test('a command may take its time: it takes effect when it is finished', async (t) => {
    const { ask, server } = await firmware(t);
    const viewer = await connect(server);
    await ask('on', 'later', 100);
    const ack = validate(await viewer.command({ action: 'switch_model', model: 'resnet' }));
    assert.deepEqual([ack.event, ack.number], ['ack', 1]);
    const running = validate(await viewer.next(is('command')));
    assert.deepEqual([running.state, running.number, running.action, running.model], ['running', 1, 'switch_model', 'resnet']);
    assert.equal((await status(server)).model, 'yolo', 'not yet');
    assert.deepEqual((await list(server, 'commands')).running.map(({ number }) => number), [1], 'who comes later finds it');
    assert.equal(await ask('finish', 1, 1, 'in 3 s'), '0');
    assert.equal((await viewer.next(isStatus)).model, 'resnet');
    const done = validate(await viewer.next(is('command')));
    assert.deepEqual([done.state, done.message], ['done', 'in 3 s']);
    assert.equal((await viewer.command({ action: 'pause' })).number, 2);
    await viewer.next(is('command'));
    await ask('finish', 2, 0, 'the motor is stuck');
    const failed = validate(await viewer.next(is('command')));
    assert.deepEqual([failed.state, failed.message], ['failed', 'the motor is stuck']);
    assert.equal((await status(server)).paused, false);
    assert.deepEqual((await list(server, 'commands')).running, []);
});

test('one that is not finished in time has failed, and no more than AIDASH_UNFINISHED wait', async (t) => {
    const { ask, server } = await firmware(t);
    const viewer = await connect(server);
    await ask('on', 'later', 1);
    assert.equal((await viewer.command({ action: 'pause' })).number, 1);
    const { state, message } = await viewer.next((event) => event.event === 'command' && event.state !== 'running', 'end of its time');
    assert.deepEqual([state, message], ['failed', 'it was not finished within 1 s']);
    await ask('finish', 1, 1, 'too late');
    await ask('on', 'later', 100);
    for (let i = 2; i < 66; i++) {
        assert.equal((await viewer.command({ action: 'pause' })).number, i);
    }
    const full = await viewer.command({ action: 'pause' });
    assert.deepEqual([full.code, full.message], ['refused', 'too many commands are not finished yet']);
    await ask('on', 'later', 0);
    assert.equal((await viewer.command({ action: 'pause' })).code, 'refused', 'no time');
    assert.equal((await status(server)).paused, false, 'what was too late took no effect');
});

test('another thread may finish a command before on_command has returned', async (t) => {
    const { ask, server } = await firmware(t);
    const viewer = await connect(server);
    await ask('on', 'finish', 1, 'at once');
    assert.equal((await viewer.command({ action: 'pause' })).event, 'ack');
    const { message } = await viewer.next((event) => event.event === 'command' && event.state === 'done');
    assert.equal(message, 'at once');
    assert.equal((await status(server)).paused, true);
});

test('own commands: a button, a switch, a number; checked, offered, told', async (t) => {
    const { ask, said, server } = await firmware(t);
    const viewer = await connect(server);
    assert.equal(viewer.hello.commands, undefined);
    await ask('add', 'reload', 1, 0, 0, 0, 'Reload');
    assert.equal(validate(await viewer.next(isStatus)).commands, 1);
    await ask('add', 'night', 2, 0, 0, 1, 'Night mode');
    await ask('add', 'threshold', 3, 0, 1, 0.5, 'Threshold');
    assert.deepEqual((await list(server, 'commands')).commands, [
        { command: 'reload', kind: 'button', label: 'Reload' }, { command: 'night', kind: 'switch', label: 'Night mode', value: 1 },
        { command: 'threshold', kind: 'number', label: 'Threshold', min: 0, max: 1, value: 0.5 }]);
    for (const [command, value, code] of [['fly', undefined, 'unknown_action'], ['reload', 1, 'invalid_command'], ['night', 2, 'invalid_command'],
        ['night', undefined, 'invalid_command'], ['threshold', 1.01, 'invalid_command'], ['threshold', '1', 'invalid_command'], ['', 1, 'invalid_command'],
        [undefined, 1, 'invalid_command']]) {
        assert.equal((await viewer.command({ action: 'own', command, value })).code, code, `${command} ${value}`);
    }
    for (const [command, value] of [['reload', undefined], ['night', 0], ['threshold', 0.25]]) {
        assert.equal((await viewer.command({ action: 'own', command, value })).event, 'ack');
        const told = validate(await viewer.next(is('command')));
        assert.deepEqual([told.action, told.command, told.value, told.state], ['own', command, value, 'done']);
    }
    await said.next((line) => line.startsWith('command 8  threshold')); // what it prints comes by a pipe of its own
    assert.deepEqual(said.all.filter((line) => line.startsWith('command')), ['command 8  reload 0 1', 'command 8  night 0 2', 'command 8  threshold 0.25 3']);
    assert.deepEqual((await list(server, 'commands')).commands.map(({ value }) => value), [undefined, 0, 0.25]);
    await ask('on', 'refuse', 'not now');
    assert.equal((await viewer.command({ action: 'own', command: 'threshold', value: 1 })).message, 'not now');
    assert.equal((await list(server, 'commands')).commands[2].value, 0.25);
    assert.equal((await connect(server)).hello.commands, 3);
});

test('hello holds the longest names and reason, and all else', async (t) => {
    const { ask, server } = await firmware(t);
    await ask('models', Array.from({ length: 32 }, (_, i) => `${i}${'"'.repeat(63 - String(i).length)}`).join());
    await ask('state', 3, '"'.repeat(63));
    await ask('begin', '', '', '', 0, 0);
    await ask('add', 'a', 1, 0, 0, 0, '');
    const { hello } = await connect(server, `/ws/${'c'.repeat(64)}`);
    assert.deepEqual([hello.models.length, hello.reason.length, hello.running, hello.commands, hello.client_id.length], [32, 63, 1, 1, 64]);
    validate(hello);
});

test('on_command may replace the models', async (t) => {
    const { ask, server } = await firmware(t);
    const viewer = await connect(server);
    await ask('on', 'models', 'x,resnet', 'x');
    assert.equal((await viewer.command({ action: 'switch_model', model: 'resnet' })).event, 'ack');
    await viewer.next((event) => isStatus(event) && event.model === 'resnet');
    assert.deepEqual((await status(server)).models, ['x', 'resnet']);
});

test('requests of an own engine: queue, first token, ticks, the record', async (t) => {
    const { ask, said, server } = await firmware(t);
    const viewer = await connect(server);
    assert.equal(viewer.hello.running, undefined);
    const next = async (kind) => validate(await viewer.next(is(kind)));
    assert.equal(await ask('begin', '', 'door camera', 'describe', 128, 1), '1');
    const start = await next('request_start');
    assert.deepEqual([start.id, start.model, start.client, start.route, start.status], [1, 'yolo', 'door camera', 'describe', 'queued']);
    assert.deepEqual(((s) => [s.running, s.queued])(await status(server)), [0, 1]);
    assert.equal(await ask('run', 1), '0');
    assert.equal((await next('request')).status, 'running');
    assert.equal(await ask('progress', 1, 2, 0), '0');
    const tick = await viewer.tick();
    assert.deepEqual([tick.request, tick.first, tick.tokens_generated], [1, true, 2]);
    const first = await next('request');
    assert.deepEqual([first.completion_tokens, first.prompt_tokens], [2, 128]);
    assert.ok(first.ttft_ms > 0 && first.queue_ms > 0 && first.queue_ms <= first.ttft_ms);
    const { running } = await list(server, 'requests');
    assert.deepEqual(running.map(({ id }) => id), [1], 'who comes later finds it');
    assert.equal(await ask('progress', 1, 1, 49), '0');
    assert.equal(await ask('end', 1, 1, ''), '0');
    const over = validate(await viewer.next((event) => event.event === 'request' && event.status === 'finished'));
    assert.equal(over.completion_tokens, 52, 'all its tokens, though they waited in the inbox');
    assert.equal(over.ttft_ms, first.ttft_ms);
    for (const name of ['itl_p50_ms', 'itl_p95_ms', 'itl_max_ms', 'decode_tokens_per_second', 'prefill_ms', 'decode_ms', 'duration_ms']) {
        assert.ok(over[name] > 0, name);
    }
    assert.deepEqual((await list(server, 'requests')), { running: [], requests: [over] });
    assert.equal(await ask('end', 1, 1, ''), '-1', 'once');
    assert.equal(await ask('begin', 'resnet', '', '', 0, 0), '2');
    assert.equal((await viewer.command({ action: 'cancel', request: 2 })).event, 'ack');
    await said.next((line) => line.startsWith('command 5'));
    assert.equal(await ask('end', 2, 4, 'cancelled by a viewer'), '0');
    const cut = validate(await viewer.next((event) => event.event === 'request' && event.id === 2));
    assert.deepEqual([cut.status, cut.error, cut.ttft_ms], ['cut', 'cancelled by a viewer', undefined]);
    assert.equal((await viewer.command({ action: 'cancel', request: 2 })).event, 'error', 'it is gone');
    assert.equal((await connect(server)).hello.running, 0);
});

test('requests of an own engine: no more than AIDASH_REQUESTS, and the latest records', async (t) => {
    const { ask, server } = await firmware(t);
    for (let id = 1; id <= 32; id++) {
        assert.equal(await ask('begin', 'm'.repeat(63), 'c'.repeat(31), 'r'.repeat(63), 2 ** 53, 0), String(id));
    }
    assert.equal(await ask('begin', '', '', '', 0, 0), '0');
    for (const bad of [['m'.repeat(64), '', '', 0], ['', 'c'.repeat(32), '', 0], ['', '', 'r'.repeat(64), 0]]) {
        assert.equal(await ask('begin', ...bad, 0), '0');
    }
    assert.equal((await list(server, 'requests')).running.length, 32);
    for (let id = 1; id <= 32; id++) {
        assert.equal(await ask('end', id, 2, 'e'.repeat(63)), '0');
    }
    for (let id = 33; id <= 60; id++) {
        await ask('begin', '', '', '', 0, 0);
        assert.equal(await ask('end', id, 1, ''), '0');
    }
    const { running, requests } = await list(server, 'requests');
    assert.deepEqual([running.length, requests.map(({ id }) => id)], [0, Array.from({ length: 50 }, (_, i) => i + 11)]);
    assert.equal((await request(server, '/requests?last=2')).json.requests.length, 2);
    assert.equal((await request(server, '/requests?last=x')).status, 400);
    for (const words of [['run', 99], ['end', 99, 1, ''], ['end', 1, 0, ''], ['progress', 0, 1, 0], ['progress', 1, 0, 0]]) {
        assert.equal(await ask(...words), '-1', words.join(' '));
    }
});

test('four threads call all of it at once', async (t) => {
    const { ask, server } = await firmware(t);
    const viewer = await connect(server);
    const [wrong, full] = (await ask('storm', 400)).split(' ').map(Number);
    t.diagnostic(`${full} notes of 1600 found the ring full`);
    assert.equal(wrong, 0);
    await ask('note', 3, 'the end');
    await viewer.next((event) => event.event === 'note' && event.text === 'the end');
    const { gauges } = await list(server, 'gauges');
    assert.deepEqual(gauges.map(({ gauge }) => gauge).sort(), ['t0', 't1', 't2', 't3']);
});
