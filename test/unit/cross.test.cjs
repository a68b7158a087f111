'use strict';
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { readdirSync } = require('node:fs');
const { join } = require('node:path');
const { test } = require('node:test');

const root = join(__dirname, '../..');
const cross = (...args) => spawnSync(process.execPath, [join(root, 'scripts/cross.mjs'), ...args], { encoding: 'utf8', timeout: 60_000 });

test('a_target_that_there_is_not_is_refused_with_those_there_are', () => {
  const { status, stderr } = cross('linux-x64-uclibc');
  assert.equal(status, 2);
  assert.match(stderr, /^unknown target: linux-x64-uclibc; expected one of /);
  for (const name of readdirSync(join(root, 'platforms'))) assert.ok(stderr.includes(name), name);
});

test('what_is_for_tests_only_is_not_built_for_a_release', () => {
  const { status, stderr } = cross('win32-x64-gnu');
  assert.equal(status, 2);
  assert.match(stderr, /^unknown target: win32-x64-gnu/);
});

test('paths_of_the_standard_library_are_replaced_even_below_the_package', async () => {
  const { pathFlags } = await import('../../scripts/path-flags.mjs');
  const library = join(root, 'test/.cache/tools/rust-src/library');
  const replaced = pathFlags(root, library).map((flag) => flag.replace('--remap-path-prefix=', '').split('='));
  // rustc takes the last one that fits.
  const [, to] = replaced.filter(([from]) => join(library, 'std/src/lib.rs').startsWith(from)).at(-1);
  assert.equal(to, '/rust/library');
  assert.equal(pathFlags(root).length, replaced.length - 1);
});

test('an_option_that_there_is_not_is_refused', () => {
  const { status, stderr } = cross('--native-only', 'linux-x64-musl');
  assert.notEqual(status, 0);
  assert.match(stderr, /--native-only/);
});

test('what_can_only_be_linked_elsewhere_says_what_can_be_done_here', { skip: process.platform === 'win32' && 'there it is linked' }, () => {
  const { status, stdout } = cross('win32-arm64-msvc');
  assert.equal(status, 1);
  assert.equal(stdout, 'win32-arm64-msvc: NOT BUILT: it is linked on Windows only. Here it can be compiled: npm run cross -- --check win32-arm64-msvc\n');
});
