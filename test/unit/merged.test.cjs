'use strict';
// Which files of the package a thread loads. Each costs steps and memory in every thread.
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { readdirSync, readFileSync } = require('node:fs');
const { join, relative, sep } = require('node:path');
const { test } = require('node:test');
const { lib } = require('./setup.cjs');

/** The file of a module that is bundled, and in which bundle. */
const ONE_LINE = /^"use strict";\nmodule\.exports = require\("[./]+\/(merged(?:-serving)?\.cjs)"\)\("[\w./-]+"\);\n$/;

/** Files of lib/ that a process has loaded after this code. */
function loadedBy(code) {
  const program = `const lib = ${JSON.stringify(lib)};\n${code}\nconsole.log(JSON.stringify(Object.keys(require.cache)));`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout)
    .filter((file) => file.startsWith(lib))
    .map((file) => relative(lib, file).split(sep).join('/'))
    .sort();
}

test('the_package_is_loaded_from_one_file', () => {
  assert.deepEqual(loadedBy("require(lib + '/index.cjs');"), ['index.cjs', 'merged.cjs', 'native/packages.cjs']);
});

test('the_first_server_loads_one_file_more', () => {
  const loaded = loadedBy("require(lib + '/index.cjs').start({}).catch(() => undefined);");
  assert.deepEqual(loaded, ['index.cjs', 'merged-serving.cjs', 'merged.cjs', 'native/packages.cjs', 'server/serving.cjs']);
});

test('a_merged_module_has_a_file_of_its_own_with_the_same_exports', () => {
  const files = readdirSync(lib, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.cjs'))
    .map((entry) => relative(lib, join(entry.parentPath ?? entry.path, entry.name)).split(sep).join('/'))
    .map((name) => [name, ONE_LINE.exec(readFileSync(join(lib, name), 'utf8'))?.[1]])
    .filter(([, bundle]) => bundle !== undefined);
  assert.ok(files.length > 40, `${files.length}`);
  for (const [name, bundle] of files) assert.equal(require(join(lib, name)), require(join(lib, bundle))(name), name);
});

// The engine keeps two bytes for each character of a source that has others.
test('merged_files_are_ascii', () => {
  for (const name of ['merged.cjs', 'merged-serving.cjs']) assert.doesNotMatch(readFileSync(join(lib, name), 'utf8'), /[^\0-\x7f]/, name);
});
