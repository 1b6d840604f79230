/* A firmware with paths of its own: own_paths.c, in C and in C++, which tests lead by lines. */
import assert from 'node:assert/strict';
import { compiled, here, runWords } from './firmware.mjs';

export const bins = compiled('own_paths', ['C', 'C++']);

export const ROUTES = [['route', '/echo', 'text/plain', 0, 'echo'], ['route', '/size', 'application/x-x', 0, 'size'],
    ['route', '/code', 'text/plain', 0, 'code'], ['route', '/stuck', 'text/plain', 0, 'stuck'], ['static', '/acme/logo.png', 'image/png', 0, 1000]];

/* A firmware with these paths, which runs. */
export async function firmware(t, { bin = bins.C, routes = ROUTES, config = [] } = {}) {
    const { ask, said } = runWords(t, bin);
    for (const route of routes) {
        assert.equal((await ask(...route)).split(' ')[0], '0', route.join(' '));
    }
    const start = async (...words) => {
        const [rc, port, ...why] = (await ask('start', ...words)).split(' ');
        return { rc, server: here(port), why: why.join(' ') };
    };
    return { ask, said, start, ...await start(...config) };
}
