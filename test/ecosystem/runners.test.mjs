// The guide to testing, as its reader would paste it: its test for vitest on Node, and that for `bun test` on Bun. That for
// node:test is run with the other programs of the documentation.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { blocks } from '../docs/pages.mjs';
import { onBun, runtime, within } from '../e2e/harness.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = blocks('docs/guide/testing.md');
const runner = onBun ? 'bun:test' : 'vitest';

test(`the test in the guide passes: ${runner}`, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'wsb-runner-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const modules = path.join(folder, 'node_modules');
  mkdirSync(modules);
  const { name } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  symlinkSync(root, path.join(modules, name), 'junction');
  for (const one of ['vitest', 'ws']) symlinkSync(path.join(root, 'node_modules', one), path.join(modules, one), 'junction');
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  writeFileSync(path.join(folder, 'worker.mjs'), page.find(({ mark }) => mark === 'run: real worker.mjs').text);
  writeFileSync(path.join(folder, 'worker.test.ts'), page.find(({ text }) => text.includes(`from '${runner}'`)).text);
  const args = onBun ? ['test', './worker.test.ts'] : [path.join(root, 'node_modules/vitest/vitest.mjs'), 'run'];
  // What this runner tells its children is not for another one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(runtime, args, { cwd: folder, env: { ...env, NO_COLOR: '1' }, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
  const code = await within(new Promise((resolve) => child.on('close', resolve)), 'the runner to end', 60_000, () => `\n${said}`);
  assert.equal(code, 0, said);
  assert.match(said, /\b1 pass/);
});
