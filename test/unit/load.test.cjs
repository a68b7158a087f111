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
const main = require('../../package.json');
let loaderSource;
let root;

/** Loads the copy and prints the error's code and message, or what `send` is. */
function load(env = {}, flags = []) {
  const program = `try { console.log(typeof require(${JSON.stringify(join(root, 'lib', 'index.cjs'))}).send) } catch (e) { console.log(e.code); console.log(e.message); console.log('cause', e.cause?.message) }`;
  const { WSBROKER_BINARY: _, ...rest } = process.env;
  return spawnSync(process.execPath, [...flags, '-e', program], { env: { ...rest, ...env }, encoding: 'utf8' }).stdout.trim();
}

before(async () => {
  ({ loaderSource } = await import('../../scripts/packages.mjs'));
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
    'ERR_WSBROKER_BINARY', `no addon for ${platformTarget()}`, `${join(root, 'lib', file)}: no such file`,
    'no package for this platform is named by wsbroker', `node "${join(root, 'scripts', 'build.mjs')}"`,
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

test('a_function_of_the_package_can_be_replaced_by_an_applications_test', (t) => {
  const { wsbroker } = require('./setup.cjs');
  // The stand-in for the addon does not have all of them.
  const functions = Object.keys(wsbroker).filter((name) => name !== 'WSBrokerError' && wsbroker[name] !== undefined);
  for (const name of ['start', 'send', 'recover']) assert.ok(functions.includes(name), name);
  for (const name of functions) {
    const { mock } = t.mock.method(wsbroker, name, () => 'replaced');
    assert.equal(wsbroker[name](), 'replaced', name);
    mock.restore();
  }
});

/** A package that holds the stand-in for the addon. */
function install(name, version) {
  const folder = join(root, '..', name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version, main: 'fake.cjs' }));
  cpSync(fake, join(folder, 'fake.cjs'));
  return () => rmSync(folder, { recursive: true });
}

/** Makes the copy a release, of which these platforms have packages. */
function release(platforms = [platformTarget(), OTHER], name = 'wsbroker') {
  const named = { ...main, name, version: '1.2.3', optionalDependencies: Object.fromEntries(platforms.map((target) => [`${name}-${target}`, '1.2.3'])) };
  writeFileSync(join(root, 'lib', 'native', 'packages.cjs'), loaderSource(named, { compiled: true }));
}
const OTHER = platformTarget() === 'darwin-x64' ? 'win32-x64-msvc' : 'darwin-x64';
const own = `wsbroker-${platformTarget()}`;

test('the_package_of_the_platform_is_found_under_its_scope', () => {
  for (const name of ['wsbroker', '@acme/wsbroker']) {
    release(undefined, name);
    const remove = install(`${name}-${platformTarget()}`, '1.2.3');
    const said = load();
    remove();
    assert.equal(said, 'function');
  }
});

test('a_package_that_package_json_does_not_name_is_not_loaded', () => {
  // Of a clone, of a release without this platform, and of a release under a scope.
  const kinds = [[() => undefined, main.version], [() => release([OTHER]), '1.2.3'], [() => release(undefined, '@acme/wsbroker'), '1.2.3']];
  for (const [make, version] of kinds) {
    make();
    const remove = install(own, version);
    const said = load();
    remove();
    assert.ok(said.startsWith('ERR_WSBROKER_BINARY'), said);
    assert.ok(!said.includes(`package ${own}:`), said);
  }
});

test('the_package_of_the_platform_must_have_the_same_version', () => {
  release();
  for (const [version, loads] of [['1.2.3', true], [undefined, false], ['1.2.4', false], ['0.1.0', false]]) {
    const remove = install(own, version);
    const said = load();
    remove();
    if (loads) assert.equal(said, 'function');
    else {
      assert.ok(said.startsWith('ERR_WSBROKER_BINARY'), said);
      assert.ok(said.includes(`package ${own}: its version is ${version}, that of wsbroker is 1.2.3`), said);
      assert.ok(said.includes('must have the same version. Run: npm install wsbroker@1.2.3') && !said.includes('build'), said);
    }
  }
});

test('a_package_that_hides_its_version_is_not_loaded', () => {
  release();
  const remove = install(own, '1.2.3');
  writeFileSync(join(root, '..', own, 'package.json'), JSON.stringify({ name: own, version: '1.2.3', exports: './fake.cjs' }));
  const said = load();
  remove();
  assert.ok(said.startsWith('ERR_WSBROKER_BINARY'), said);
});

test('of_a_package_that_was_left_out_the_error_says_how_to_get_it_back', () => {
  release();
  const said = load();
  assert.ok(said.includes(`package ${own}: not installed`), said);
  assert.ok(said.includes(`${own} is an optional dependency of wsbroker, and optional dependencies were not installed (--omit=optional`), said);
  assert.ok(said.includes('npm install --include=optional') && !said.includes('build'), said);
});

test('node_modules_of_another_platform_are_recognised', () => {
  release();
  const remove = install(`wsbroker-${OTHER}`, '1.2.3');
  const said = load();
  remove();
  assert.ok(said.includes(`node_modules holds wsbroker-${OTHER} instead: it was installed on or for another platform`) && !said.includes('build'), said);
});

test('of_a_platform_without_a_package_the_error_says_how_to_build', () => {
  release([OTHER]);
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
