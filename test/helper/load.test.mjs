// Section A: what is loaded, and that the process can end.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { findBun } from '../runner/runtimes.mjs';

const folder = fileURLToPath(new URL('./programs/', import.meta.url));
const { binary: bun } = await findBun();
const runtimes = [['Node', process.execPath], ...(bun ? [['Bun', bun]] : [])];

/** Runs a program to its end; the addon is one that cannot be loaded. */
function run(binary, program, env = {}) {
  const end = spawnSync(binary, [`${folder}${program}`], { encoding: 'utf8', timeout: 60_000, env: { ...process.env, WSBROKER_BINARY: `${folder}no-addon.cjs`, ...env } });
  return { ...end, out: end.stdout.trim(), note: end.stderr };
}

for (const [name, binary] of runtimes) {
  test(`forms a and b with Bun's transport never load native code, from import to shutdown, and the process ends by itself (${name})`, () => {
    for (const program of ['no-native.cjs', 'no-native.mjs']) {
      const { status, out, note } = run(binary, program);
      assert.equal(status, 0, note);
      assert.deepEqual(JSON.parse(out), { loaded: [], native: [], connected: true });
    }
  });
}

test('the stand-in for the addon would have been noticed', () => {
  const { status, note } = run(process.execPath, 'loads-native.cjs');
  assert.notEqual(status, 0);
  assert.match(note, /the addon was loaded/);
});

test('the package says where the helper is, for both module systems', () => {
  const { exports, peerDependencies, peerDependenciesMeta } = createRequire(import.meta.url)('../../package.json');
  const entry = exports['./server-helper'];
  for (const kind of ['import', 'require']) for (const what of ['types', 'default']) assert.ok(existsSync(new URL(`../../${entry[kind][what]}`, import.meta.url)), `${kind} ${what}`);
  assert.ok(peerDependencies.ioredis);
  assert.deepEqual(peerDependenciesMeta.ioredis, { optional: true });
});
