/* zopfli.mjs PACKAGE - gzip from standard input to standard output, smaller than gzip -9 by some 3 %: PACKAGE is npm's @gfx/zopfli. */
import { readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const { gzipAsync } = createRequire(import.meta.url)(path.resolve(process.argv[2]));
const packed = await gzipAsync(readFileSync(0), {});
for (let at = 0; at < packed.length;) at += writeSync(1, packed, at);
