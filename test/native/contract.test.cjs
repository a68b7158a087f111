'use strict';
// What src/ expects of the addon is what the addon has: src/native.cts and the numbers that both
// sides use are made from Rust.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { native } = require('./addon.cjs');

const read = (file) => readFileSync(path.join(__dirname, '..', '..', file), 'utf8').replaceAll('\r\n', '\n');

test('the addon exports what native.cts declares, and nothing else', () => {
  const [body] = /^export interface Native \{[\s\S]*?^\}/m.exec(read('src/native.cts'));
  const declared = new Set([...body.matchAll(/^ {2}(?:(\w+)\(|readonly (\w+): new )/gm)].map(([, call, made]) => call ?? made));
  assert.deepEqual([...Object.keys(native)].sort(), [...declared].sort());
  for (const name of declared) assert.equal(typeof native[name], 'function', name);
});

test('types and numbers are those of the Rust sources', async () => {
  const { generated } = await import('../../scripts/native-types.mjs');
  for (const [file, text] of Object.entries(generated())) {
    assert.equal(read(file), text, `${file} is not what the Rust sources make; npm run build makes it anew`);
  }
});
