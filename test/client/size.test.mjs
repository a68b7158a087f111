// What a page loads: small, and by itself.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

import { root } from '../runner/child.mjs';

const entry = path.join(root, 'lib/client.mjs');

test('the client has less than 4 KiB, minified and gzipped', async (t) => {
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, minify: true, format: 'esm', target: 'es2022', write: false });
  const [{ contents }] = outputFiles;
  const size = gzipSync(contents).length;
  t.diagnostic(`${contents.length} bytes, ${size} gzipped`);
  assert.ok(size < 4096, `${size} bytes`);
});

test('a page can load it from a folder or a CDN as it is: it imports its own files and nothing else', () => {
  const seen = new Set();
  const look = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    assert.doesNotMatch(text, /\brequire\(|\bprocess\.|\bBuffer\.|\bimport\(/);
    for (const [, from] of text.matchAll(/^(?:import|export) [^'\n;]*from '([^']+)'/gm)) {
      assert.match(from, /^\.\.?\/[\w./-]+\.mjs$/);
      look(path.resolve(path.dirname(file), from));
    }
  };
  look(entry);
  assert.ok(seen.size > 5);
});
