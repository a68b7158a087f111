'use strict';
// Where the addon is looked for, and what is said if it is nowhere. On a copy of the compiled package, without any binary.
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { after, before, beforeEach, test } = require('node:test');

const lib = join(__dirname, '..', '..', 'lib');
const fake = join(__dirname, 'fake-native.cjs');
const { platformTarget } = require(join(lib, 'native', 'target.cjs'));
let root;

/** Loads the copy and prints the error's code and message, or what `send` is. */
function load(env = {}, flags = []) {
  const program = `try { console.log(typeof require(${JSON.stringify(join(root, 'lib', 'index.cjs'))}).send) } catch (e) { console.log(e.code); console.log(e.message); console.log('cause', e.cause?.message) }`;
  const { WSBROKER_BINARY: _, ...rest } = process.env;
  return spawnSync(process.execPath, [...flags, '-e', program], { env: { ...rest, ...env }, encoding: 'utf8' }).stdout.trim();
}

before(() => {
  root = join(realpathSync(mkdtempSync(join(tmpdir(), 'wsbroker-'))), 'node_modules', 'wsbroker');
});
beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(join(root, 'lib'), { recursive: true });
  cpSync(lib, join(root, 'lib'), { recursive: true, filter: (path) => !path.endsWith('.node') });
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

/** A package for this platform that holds the stand-in, and what package.json of the main one says. */
function install(version, main, target = platformTarget()) {
  const folder = join(root, '..', `wsbroker-${target}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: `wsbroker-${target}`, version, main: 'fake.cjs' }));
  cpSync(fake, join(folder, 'fake.cjs'));
  writeFileSync(join(root, 'package.json'), JSON.stringify(main));
  return folder;
}
const release = { version: '1.2.3', optionalDependencies: Object.fromEntries([platformTarget(), 'plan9-x64'].map((target) => [`wsbroker-${target}`, '1.2.3'])) };

test('the_package_of_the_platform_must_have_the_same_version', () => {
  for (const [version, loads] of [['1.2.3', true], [undefined, true], ['1.2.4', false], ['0.1.0', false]]) {
    const folder = install(version, release);
    const said = load();
    rmSync(folder, { recursive: true });
    if (loads) assert.equal(said, 'function');
    else {
      assert.ok(said.startsWith('ERR_WSBROKER_BINARY'), said);
      assert.ok(said.includes(`package wsbroker-${platformTarget()}: its version is ${version}, that of wsbroker is 1.2.3`), said);
      assert.ok(said.includes('must have the same version. Run: npm install wsbroker@1.2.3') && !said.includes('build'), said);
    }
  }
});

test('of_a_package_that_was_left_out_the_error_says_how_to_get_it_back', () => {
  writeFileSync(join(root, 'package.json'), JSON.stringify(release));
  const said = load();
  assert.ok(said.includes(`wsbroker-${platformTarget()} is an optional dependency of wsbroker, and optional dependencies were not installed (--omit=optional`), said);
  assert.ok(said.includes('npm install --include=optional') && !said.includes('build'), said);
});

test('node_modules_of_another_platform_are_recognised', () => {
  const folder = install('1.2.3', release, 'plan9-x64');
  const said = load();
  rmSync(folder, { recursive: true });
  assert.ok(said.includes('node_modules holds wsbroker-plan9-x64 instead: it was installed on or for another platform') && !said.includes('build'), said);
});

test('of_a_platform_without_a_package_the_error_says_how_to_build', () => {
  writeFileSync(join(root, 'package.json'), JSON.stringify({ version: '1.2.3', optionalDependencies: { 'wsbroker-plan9-x64': '1.2.3' } }));
  assert.match(load(), /To build it from source .*\n {2}node ".*build\.mjs"/);
});

test('where_addons_are_forbidden_nobody_is_told_to_build_one', () => {
  writeFileSync(join(root, 'lib', `wsbroker.${platformTarget()}.node`), '');
  const said = load({}, ['--no-addons']);
  assert.ok(said.includes('--no-addons forbids addons: run Node without that flag') && !said.includes('build'), said);
});

const permission = ['--permission', '--experimental-permission'].find((flag) => process.allowedNodeEnvironmentFlags.has(flag));
if (permission !== undefined) {
  test('where_the_permission_model_forbids_addons_the_flags_are_told_that_permit_them', () => {
    writeFileSync(join(root, 'lib', `wsbroker.${platformTarget()}.node`), '');
    const said = load({}, [permission, '--allow-fs-read=*']);
    assert.ok(said.includes("Node's permission model forbids loading it. Run node with --allow-addons") && said.includes(`--allow-fs-read=${join(root, '..', '*')}`) && !said.includes('build'), said);
  });
}

test('a_pool_that_the_permission_model_forbids_is_told_the_flag', async () => {
  const { explainLoadError } = require(join(lib, 'worker', 'load-errors.cjs'));
  const denied = (fields) => explainLoadError('/x/worker.mjs', Object.assign(new Error('restricted'), { code: 'ERR_ACCESS_DENIED', ...fields }));
  assert.match(await denied({ permission: 'WorkerThreads' }), /run node with --allow-worker, or start with threads: 0\.$/);
  assert.match(await denied({ permission: 'FileSystemRead', resource: '/etc/x' }), /\(FileSystemRead \/etc\/x\): allow it with flags such as --allow-fs-read/);
  assert.match(await denied({}), /forbids it: allow it with flags such as/);
});
