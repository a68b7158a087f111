'use strict';
// The pool's clock: pauses between replacements, what a shutdown makes of them, and how long a module may take to load. Its timers are fired by hand.
const assert = require('node:assert/strict');
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { performance } = require('node:perf_hooks');
const { after, afterEach, beforeEach, test } = require('node:test');
const { BroadcastChannel } = require('node:worker_threads');
const { lib, until } = require('./setup.cjs');

const { Pool } = require(join(lib, 'pool', 'pool.cjs'));
const { NO_THREAD_OPTIONS, checkThreadOptions } = require(join(lib, 'options', 'threads.cjs'));

const realSetTimeout = setTimeout;
// The threads of a pool keep nobody alive.
const hold = setInterval(() => undefined, 1000);
const channel = new BroadcastChannel('pool');
after(() => {
  clearInterval(hold);
  channel.close();
});

let folder;
let log;
let pool;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wsb-pool-'));
  log = join(folder, 'log');
  writeFileSync(log, '');
  process.env.WSBROKER_TEST_LOG = log;
});

afterEach(async () => {
  await pool?.stop(1000);
  pool = undefined;
  rmSync(folder, { recursive: true, force: true });
});

/** A pool that tells its events. */
function poolOf(file, startTimeout = 0) {
  const events = [];
  pool = new Pool(join(__dirname, 'workers', file), 1, NO_THREAD_OPTIONS, new Map([[poolOf, (event) => events.push(event)]]), startTimeout);
  return events;
}

/** Timers that the pool itself asks for, which fire when a test says so. */
function timersOfPool(t) {
  const timers = [];
  t.mock.method(globalThis, 'setTimeout', (body, delay, ...more) => {
    const callers = new Error().stack.split('\n').slice(2, 4);
    const isItsCode = callers.some((line) => line.includes('merged-serving.cjs'));
    // The time after which a thread counts as stable is not fired.
    const isPools = isItsCode && !String(body).includes('onStable');
    const timer = realSetTimeout(body, isPools ? 2 ** 30 : delay, ...more);
    if (isPools) timers.push({ delay, timer, fire: () => { clearTimeout(timer); body(); } });
    return timer;
  });
  return timers;
}

const count = (events, type) => events.filter((event) => event.type === type).length;

/** Ends all that have started, and waits until that was noticed. */
async function die(events, timers) {
  const alive = count(events, 'started') - count(events, 'died');
  const [died, pauses] = [count(events, 'died'), timers.length];
  channel.postMessage('die');
  await until(() => count(events, 'died') === died + alive && timers.length === pauses + alive);
}

/** Ends the waiting of the last replacement. */
async function goOn(events, timers) {
  const started = count(events, 'started');
  timers.at(-1).fire();
  await until(() => count(events, 'started') === started + 1);
}

test('a_crash_loop_backs_off_up_to_ten_seconds', async (t) => {
  const timers = timersOfPool(t);
  const events = poolOf('mortal.cjs');
  await pool.start();
  for (let round = 1; round <= 10; round++) {
    await die(events, timers);
    await goOn(events, timers);
  }
  assert.deepEqual(timers.map(({ delay }) => delay), [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
});

test('one_that_lived_for_ten_seconds_is_replaced_at_once', async (t) => {
  const timers = timersOfPool(t);
  const events = poolOf('mortal.cjs');
  await pool.start();
  for (let round = 1; round <= 3; round++) {
    await die(events, timers);
    await goOn(events, timers);
  }
  const time = process.hrtime.bind(process);
  t.mock.method(process, 'hrtime', () => {
    const [seconds, nanoseconds] = time();
    return [seconds + 10, nanoseconds];
  });
  await die(events, timers);
  assert.deepEqual(timers.map(({ delay }) => delay), [0, 100, 200, 0]);
});

test('a_replacement_that_waits_is_not_started_after_a_stop', async (t) => {
  const timers = timersOfPool(t);
  const events = poolOf('mortal.cjs');
  await pool.start();
  await die(events, timers);
  const cleared = t.mock.method(globalThis, 'clearTimeout');
  await pool.stop(100);
  assert.ok(cleared.mock.calls.some(({ arguments: [timer] }) => timer === timers[0].timer));
});

test('while_a_shutdown_waits_for_a_worker_replacements_do_not_wait_long', async (t) => {
  const timers = timersOfPool(t);
  const events = poolOf('mortal.cjs');
  await pool.start();
  for (let round = 1; round <= 5; round++) {
    await die(events, timers);
    await goOn(events, timers);
  }
  await die(events, timers);
  const started = count(events, 'started');
  pool.hurry();
  await until(() => count(events, 'started') === started + 1, 'it is started at once');
  await die(events, timers);
  assert.deepEqual(timers.slice(-2).map(({ delay }) => delay), [1600, 100]);
});

test('a_shutdown_starts_nobody_while_a_worker_is_there', async (t) => {
  const timers = timersOfPool(t);
  const events = poolOf('good.cjs');
  await pool.start();
  pool.hurry();
  assert.deepEqual([events.map(({ type }) => type), timers.length], [['started'], 0]);
  await pool.stop(1000);
  assert.deepEqual(readFileSync(log, 'utf8').split('\n').map((line) => line.split(' ')[0]), ['start', 'stop', '']);
});

test('a_module_that_does_not_load_in_time_is_named', async (t) => {
  const timers = timersOfPool(t);
  poolOf('hangs.mjs', 30_000);
  const failed = assert.rejects(pool.start(), { code: 'ERR_WSBROKER_WORKER_FAILED', message: /hangs\.mjs did not load within 30000 ms \("startTimeout"\): a top-level await/ });
  assert.deepEqual(timers.map(({ delay }) => delay), [30_000]);
  timers[0].fire();
  await failed;
});

test('handleStart_is_not_bounded_by_the_time_to_load', async (t) => {
  const timers = timersOfPool(t);
  const cleared = t.mock.method(globalThis, 'clearTimeout');
  poolOf('slow-start.cjs', 30_000);
  const started = pool.start();
  await until(() => readFileSync(log, 'utf8').includes('loaded'));
  await until(() => cleared.mock.calls.some(({ arguments: [timer] }) => timer === timers[0].timer));
  channel.postMessage('go on');
  await started;
});

test('a_busy_starter_is_no_fault_of_a_worker_that_has_loaded', async (t) => {
  poolOf('good.cjs', 300);
  const started = pool.start();
  // Blocks until the worker has long loaded, so that its message and the timer are due at once.
  while (!readFileSync(log, 'utf8').includes('start'));
  const end = performance.now() + 320;
  while (performance.now() < end);
  await started;
});

test('a_replacement_that_does_not_load_counts_as_failed', async (t) => {
  const timers = timersOfPool(t);
  const file = join(folder, 'once.cjs');
  writeFileSync(file, `
    const { existsSync, writeFileSync } = require('node:fs');
    if (existsSync(${JSON.stringify(join(folder, 'mark'))})) for (;;);
    writeFileSync(${JSON.stringify(join(folder, 'mark'))}, '');
    module.exports = require(${JSON.stringify(join(__dirname, 'workers', 'mortal.cjs'))});
  `);
  const events = [];
  pool = new Pool(file, 1, NO_THREAD_OPTIONS, new Map([[t, (event) => events.push(event)]]), 1_000);
  await pool.start();
  channel.postMessage('die');
  await until(() => count(events, 'died') === 1 && timers.length === 2);
  timers[1].fire();
  await until(() => timers.length === 3);
  timers[2].fire();
  await until(() => count(events, 'failed') === 1);
  const { reason } = events.at(-1);
  assert.match(reason.message, /once\.cjs did not load within 1000 ms/);
});

test('an_environment_of_their_own_does_not_lead_threads_to_another_addon', () => {
  assert.deepEqual(checkThreadOptions('start', { env: { A: 'x' } }).options.env, { WSBROKER_BINARY: process.env.WSBROKER_BINARY, A: 'x' });
  assert.equal(checkThreadOptions('start', { env: { WSBROKER_BINARY: 'other' } }).options.env.WSBROKER_BINARY, 'other');
});
