'use strict';
// Two copies of the package that have found the same addon: calls of either reach the one broker there is, but each has handlers and options of its own.
const assert = require('node:assert/strict');
const { cpSync, mkdtempSync, realpathSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { dirname, join } = require('node:path');
const { after, afterEach, before, test } = require('node:test');
const { fake, lib, until, wsbroker } = require('./setup.cjs');

const bind = '127.0.0.1:0';
let folder;
let copy;
const warned = [];
const file = (name, text) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

before(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'wsbroker-')));
  cpSync(lib, join(folder, 'lib'), { recursive: true, filter: (path) => !path.endsWith('.node') });
  process.on('warning', ({ message }) => warned.push(message));
  copy = require(join(folder, 'lib', 'index.cjs'));
});
afterEach(() => wsbroker.shutdown({ timeout: 5000 }));
after(() => rmSync(folder, { recursive: true }));

test('they_are_warned_of_once_in_the_process_with_both_paths', async () => {
  require(join(folder, 'lib', 'emitter.cjs'));
  await wsbroker.start({ bind, workerPath: file('sends.cjs', `require(${JSON.stringify(join(folder, 'lib', 'index.cjs'))});\nexports.handleOpen = () => {};`), threads: 3 });
  await until(() => warned.length > 0);
  assert.deepEqual(warned, [
    `two copies of wsbroker are loaded, ${[dirname(lib), folder].sort().join(' and ')}: handlers and options of one are unknown to the other. `
      + 'Make all packages depend on the same version; "npm ls wsbroker" shows which package depends on which copy',
  ]);
});

test('a_module_that_registers_its_handlers_with_another_copy_than_its_pools_is_refused', async () => {
  const workerPath = file('registers.cjs', `require(${JSON.stringify(join(folder, 'lib', 'index.cjs'))}).registerWorkerThread({ handleOpen() {} });`);
  const error = await wsbroker.start({ bind, workerPath, threads: 1 }).then(() => assert.fail('it resolved'), (reason) => reason);
  assert.deepEqual([error.code, error.cause.code], ['ERR_WSBROKER_WORKER_FAILED', 'ERR_WSBROKER_CONFLICT']);
  assert.ok(error.message.includes(`belongs to the wsbroker in ${dirname(lib)}, but its module imports another copy, in ${folder}`), error.message);
});

test('a_module_of_the_pool_cannot_start_another_pool_with_another_copy', async () => {
  const workerPath = file('nested.cjs', `exports.handleStart = () => require(${JSON.stringify(join(folder, 'lib', 'index.cjs'))}).start({ bind: '127.0.0.1:0', workerPath: __filename });`);
  const error = await wsbroker.start({ bind, workerPath, threads: 1 }).then(() => assert.fail('it resolved'), (reason) => reason);
  assert.equal(error.cause.code, 'ERR_WSBROKER_IN_WORKER');
});

test('shutdown_of_the_one_ends_what_the_other_has_started', async () => {
  await wsbroker.start({ bind, workerPath: file('good.cjs', 'exports.handleOpen = () => {};'), threads: 1 });
  fake.instead.shutdownBroker = async () => ({ closed: 2, terminated: 1 });
  try {
    // The broker is shut down for the copy that has started it, and for the one that was asked.
    assert.deepEqual(await copy.shutdown(), { closed: 4, terminated: 2 });
  } finally {
    delete fake.instead.shutdownBroker;
  }
  await wsbroker.start({ bind, workerPath: file('other.cjs', 'exports.handleOpen = () => {};'), threads: 2 });
});
