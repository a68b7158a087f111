// The programs in README.md and docs/, each run as a reader would (docs/programs.mjs), and what is
// in the package. How a block is marked as a program, or as a fragment that is only type-checked,
// stands at the top of docs/pages.mjs; the fragments, the languages and the links are the business
// of docs.test.mjs.
//
// DOCS=docs/guide/recipes.md runs the programs of that page alone.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { CHECKS } from './docs/checks.mjs';
import { PAGES, programs, root } from './docs/pages.mjs';
import { missing, must, project, running } from './docs/programs.mjs';

const noRedis = spawnSync('redis-server', ['--version']).status !== 0 && 'no redis-server';

for (const page of process.env.DOCS?.split(',') ?? PAGES) {
  const found = programs(page);
  for (const name of Object.keys(CHECKS[page] ?? {})) assert.ok(found.some((one) => one.name === name), `${page} has a program "${name}", as docs/checks.mjs says`);
  for (const program of found) {
    const { on = [program.entry.endsWith('.ts') ? 'bun' : 'node'], from, also, prepare, ask } = CHECKS[page]?.[program.name] ?? {};
    if (from) {
      const { files, entry } = found.find(({ name }) => name === from);
      Object.assign(program, { entry, files: { ...files, ...program.files } });
    }
    if (also) program.files = { ...found.find(({ name }) => name === also).files, ...program.files };
    const skip = Object.values(program.files).some((text) => /\b6379\b/.test(text)) && noRedis;
    for (const runtime of on) {
      test(`${page} "${program.name}" runs on ${runtime} as pasted`, { skip }, async (t) => {
        const why = await missing(runtime);
        if (why) return t.skip(why);
        const started = await running(t, program, runtime, prepare);
        await ask?.(t, started);
      });
    }
  }
}

/** As a release has it: the addon is in the package of its platform alone. */
function withoutAddon(where) {
  const lib = path.join(where, 'node_modules/wsbroker/lib');
  for (const name of readdirSync(lib).filter((name) => name.endsWith('.node'))) rmSync(path.join(lib, name));
  return where;
}

test('without an addon the error names what was tried and the command that builds it', () => {
  const where = withoutAddon(project('bare'));
  const { status, stderr } = spawnSync(process.execPath, ['-e', "require('wsbroker')"], { cwd: where, encoding: 'utf8' });
  assert.notEqual(status, 0);
  assert.match(stderr, /ERR_WSBROKER_BINARY/);
  assert.match(stderr, /no package for this platform is named by wsbroker/);
  const script = /node "([^"]+build\.mjs)"/.exec(stderr)?.[1];
  assert.ok(script && existsSync(script), `the script it names is there:\n${stderr}`);
});

test('the packed sources are whole: cargo understands them', { skip: spawnSync('cargo', ['--version']).status !== 0 && 'no cargo' }, () => {
  const where = project('sources');
  const manifest = path.join(where, 'node_modules/wsbroker/Cargo.toml');
  const { packages } = JSON.parse(must('cargo', ['metadata', '--no-deps', '--offline', '--locked', '--format-version', '1', '--manifest-path', manifest]));
  const missing = packages.flatMap(({ targets }) => targets.map(({ src_path: file }) => file)).filter((file) => !existsSync(file));
  assert.deepEqual(missing, []);
});

test('the package holds what is needed and nothing else', () => {
  const files = JSON.parse(must('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root }))[0].files.map((file) => file.path);
  for (const wanted of ['lib/index.cjs', 'lib/index.mjs', 'lib/index.d.cts', 'lib/index.d.mts', 'README.md', 'LICENSE.txt', 'CHANGELOG.md', 'SECURITY.md', 'docs/limits.md', 'Cargo.lock', 'scripts/build.mjs', 'scripts/path-flags.mjs']) {
    assert.ok(files.includes(wanted), `${wanted} is packed`);
  }
  assert.deepEqual(files.filter((file) => /^test\/|^bench\/|^target\/|(^|\/)\./.test(file)), []);
});
