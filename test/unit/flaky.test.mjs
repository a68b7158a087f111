import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { AGAIN } from '../runner/flaky.mjs';

/** What `node --test` says of these files: the first has two failures, the others one each. */
function failures(t, count) {
  const folder = mkdtempSync(path.join(tmpdir(), 'wsbroker-flaky-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const files = Array.from({ length: count }, (_, i) => path.join(folder, `${i}.test.mjs`));
  for (const [i, file] of files.entries()) {
    writeFileSync(file, `import { test } from 'node:test';
test('fails', () => { throw new Error('test at elsewhere.mjs:1:1'); });
test('passes', () => {});
${i === 0 ? "test('fails, too', () => { throw new Error(); });" : ''}`);
  }
  const { NODE_TEST_CONTEXT, ...env } = process.env;
  const { stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=spec', ...files], { cwd: folder, encoding: 'utf8', env });
  return { output: stdout, names: files.map((file) => path.basename(file)) };
}

/** A fresh count of what was borne. */
const fresh = () => import(`../runner/flaky.mjs?${Math.random()}`);
const names = (files) => files.map((file) => path.basename(file)).sort();

test('files whose failures do not come again are flaky, each run so often', async (t) => {
  const { flakyFiles } = await fresh();
  const { output, names: all } = failures(t, 2);
  const ran = [];
  assert.deepEqual(names(await flakyFiles(output, async (file) => ran.push(path.basename(file)))), all);
  assert.deepEqual(ran.sort(), all.flatMap((name) => Array.from({ length: AGAIN }, () => name)));
});

test('one that fails again has failed, at the last time, too', async (t) => {
  const { flakyFiles } = await fresh();
  const { output } = failures(t, 1);
  assert.deepEqual(await flakyFiles(output, async (file, time) => time < AGAIN - 1), []);
});

test('more than two of a run are not borne, and are not run again', async (t) => {
  const { flakyFiles } = await fresh();
  assert.equal((await flakyFiles(failures(t, 2).output, async () => true)).length, 2);
  assert.deepEqual(await flakyFiles(failures(t, 1).output, () => assert.fail('it ran again')), []);
  const other = await fresh();
  assert.deepEqual(await other.flakyFiles(failures(t, 3).output, () => assert.fail('it ran again')), []);
});

test('a run that failed without naming a file is not flaky', async () => {
  const { flakyFiles } = await fresh();
  assert.deepEqual(await flakyFiles('ℹ pass 1\nℹ fail 1\n', () => assert.fail('it ran again')), []);
});
