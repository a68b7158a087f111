// The images of example/docker: what their files say, and the check of health that they call.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { startExample } from '../e2e/example.mjs';
import { mainManifest, root } from '../../scripts/packages.mjs';

const HEALTHCHECK = path.join(root, 'example/docker/healthcheck.mjs');

/** The instructions of the last stage, which is the image: [name, arguments]. */
function image(system) {
  const text = readFileSync(path.join(root, `example/docker/${system}.Dockerfile`), 'utf8').replaceAll('\r\n', '\n');
  const instructions = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => [line.split(' ', 1)[0], line.slice(line.indexOf(' ') + 1)]);
  return { text, last: instructions.slice(instructions.findLastIndex(([name]) => name === 'FROM')), instructions };
}

for (const system of ['debian', 'alpine']) {
  test(`${system}: the image has no compiler, and runs Node itself without being root`, () => {
    const { last, instructions } = image(system);
    const value = (wanted) => last.findLast(([name]) => name === wanted)?.[1];
    assert.match(value('FROM'), /^node:\d+-/);
    assert.match(value('USER'), /^[1-9]\d*:[1-9]\d*$/, 'a number, so that Kubernetes can tell that it is not root');
    assert.deepEqual(JSON.parse(value('CMD')), ['node', 'chat/server.mjs']);
    assert.match(value('HEALTHCHECK'), /CMD \["node", "healthcheck\.mjs"\]$/);
    assert.ok(!last.some(([name]) => name === 'ENTRYPOINT'));
    const user = last.findIndex(([name]) => name === 'USER');
    assert.ok(last.slice(user).every(([name]) => !['RUN', 'COPY', 'ADD'].includes(name)), 'files belong to root');
    for (const [name, rest] of instructions) {
      if (name !== 'COPY' || rest.startsWith('--from') || rest.startsWith('. ')) continue;
      assert.ok(existsSync(path.join(root, rest.split(' ')[0])), `${rest.split(' ')[0]} is in the clone`);
    }
  });

  test(`${system}: what builds the addon is what the clone has`, () => {
    const { text } = image(system);
    const [, script] = /RUN node (\S+) /.exec(text);
    assert.ok(existsSync(path.join(root, script)));
    // Old enough for every system that has a newer one; see rust-version in Cargo.toml.
    assert.match(text, /^FROM rust:1-/m);
    assert.ok(text.includes(`mv ${mainManifest().name}-*.tgz`));
  });
}

test('files that an image does not need are not sent to Docker', () => {
  const ignored = readFileSync(path.join(root, '.dockerignore'), 'utf8').split(/\r?\n/);
  for (const wanted of ['.git', '**/node_modules', '**/target', '**/*.node']) assert.ok(ignored.includes(wanted), wanted);
  for (const needed of ['lib', 'crates', 'scripts', 'example']) assert.ok(!ignored.includes(needed), needed);
});

test('the check of health is 0 while the chat is ready, and 1 once it is gone', { timeout: 60_000 }, async () => {
  const chat = await startExample('example/chat/server.mjs');
  const check = () => spawnSync(process.execPath, [HEALTHCHECK], { env: { ...process.env, PORT: chat.ports.PORT }, timeout: 20_000 }).status;
  try {
    assert.equal(check(), 0);
  } finally {
    await chat.stop();
  }
  assert.equal(check(), 1);
});
