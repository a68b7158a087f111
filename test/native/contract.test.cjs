'use strict';
// What src/ expects of the addon, src/native.d.cts, is what the addon has.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { native } = require('./addon.cjs');

test('the addon exports what native.d.cts declares, and nothing else', () => {
  const text = readFileSync(path.join(__dirname, '..', '..', 'src', 'native.d.cts'), 'utf8');
  const body = text.slice(text.indexOf('export interface Native {'));
  const declared = new Set([...body.matchAll(/^ {2}(?:(\w+)\(|readonly (\w+): new )/gm)].map(([, call, made]) => call ?? made));
  assert.deepEqual([...Object.keys(native)].sort(), [...declared].sort());
  for (const name of declared) assert.equal(typeof native[name], 'function', name);
});
