'use strict';
// Where the addon is looked for, and what is said if it is nowhere. On a copy of the compiled package, without any binary.
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { after, before, beforeEach, test } = require('node:test');

const lib = join(__dirname, '..', '..', 'lib');
const fake = join(__dirname, 'fake-native.cjs');
const { platformTarget } = require(join(lib, 'target.cjs'));
let root;

/** Loads the copy and prints the error's code and message, or what `send` is. */
function load(env = {}) {
  const program = `try { console.log(typeof require(${JSON.stringify(join(root, 'lib', 'index.cjs'))}).send) } catch (e) { console.log(e.code); console.log(e.message); console.log('cause', e.cause?.message) }`;
  const { WSBROKER_BINARY: _, ...rest } = process.env;
  return spawnSync(process.execPath, ['-e', program], { env: { ...rest, ...env }, encoding: 'utf8' }).stdout.trim();
}

before(() => {
  root = join(realpathSync(mkdtempSync(join(tmpdir(), 'wsbroker-'))), 'node_modules', 'wsbroker');
});
beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(join(root, 'lib'), { recursive: true });
  for (const name of readdirSync(lib)) if (name.endsWith('.cjs')) cpSync(join(lib, name), join(root, 'lib', name));
});
after(() => rmSync(join(root, '..', '..'), { recursive: true }));

test('without_a_binary_the_error_names_every_path_and_the_command_that_builds', () => {
  const said = load();
  const file = `wsbroker.${platformTarget()}.node`;
  for (const part of [
    'ERR_WSBROKER_BINARY', `no addon for ${platformTarget()}`, `${join(root, 'lib', file)}: no such file`, `${join(root, file)}: no such file`,
    `package wsbroker-${platformTarget()}: not installed`, `node "${join(root, 'scripts', 'build.mjs')}"`,
  ]) assert.ok(said.includes(part), `${part} is in:\n${said}`);
});

test('a_binary_that_does_not_load_says_why', () => {
  const path = join(root, 'lib', `wsbroker.${platformTarget()}.node`);
  writeFileSync(path, 'no binary');
  const said = load();
  assert.match(said, /cause .+/);
  assert.ok(!said.includes('cause undefined'));
  assert.ok(said.includes(`${path}: `) && !said.includes(`${path}: no such file`), said);
});

test('WSBROKER_BINARY_names_the_only_place', () => {
  assert.equal(load({ WSBROKER_BINARY: fake }), 'function');
  const said = load({ WSBROKER_BINARY: './nowhere.node' });
  assert.ok(said.includes(`${join(process.cwd(), 'nowhere.node')}: no such file`), said);
  assert.ok(!said.includes('package wsbroker-'), said);
});

test('the_package_of_the_platform_is_found', () => {
  const folder = join(root, '..', `wsbroker-${platformTarget()}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: `wsbroker-${platformTarget()}`, main: 'fake.cjs' }));
  cpSync(fake, join(folder, 'fake.cjs'));
  assert.equal(load(), 'function');
  rmSync(folder, { recursive: true });
});
