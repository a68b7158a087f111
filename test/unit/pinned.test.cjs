'use strict';
// When the hook `open` of an adapter is called: as part of a verdict that is certain, or not at all.
const assert = require('node:assert/strict');
const { join } = require('node:path');
const { afterEach, test } = require('node:test');
const { deferred, fake, lib, settle, until, wsbroker } = require('./setup.cjs');
const { crosswsWorker } = require(join(lib, 'crossws.cjs'));

const headers = { host: 'x' };
const request = { ip: '1.2.3.4', headers, url: '/a', path: '/a', query: '', method: 'GET', protocols: ['v1'], secure: false, remotePort: 5 };

afterEach(async () => {
  await settle();
  await wsbroker.shutdown({ timeout: 50 });
  fake.calls.length = 0;
  for (const name of Object.keys(fake.instead)) delete fake.instead[name];
});

/** What the hooks were called with, in order. */
function told({ upgrade } = {}) {
  const hooks = [];
  const errors = [];
  wsbroker.registerWorkerThread(crosswsWorker({
    hooks: {
      upgrade,
      open(peer) {
        hooks.push('open');
        peer.subscribe('chat');
      },
      close: (peer, { code }) => void hooks.push(`close ${code}`),
    },
    onError: (error) => errors.push(error),
  }));
  return { hooks, errors };
}
const deliverOpen = () => fake.deliver({ kind: 'open', id: 3, data: request });

test('what_open_subscribes_comes_before_the_verdict', async () => {
  const { hooks } = told();
  deliverOpen();
  await settle();
  assert.deepEqual(hooks, ['open']);
  const calls = fake.calls.map(([name]) => name).filter((name) => ['subscribeMany', 'openVerdict'].includes(name));
  assert.deepEqual(calls, ['subscribeMany', 'openVerdict']);
  fake.deliver({ kind: 'close', id: 3, code: 1000, data: '' });
  assert.deepEqual(hooks, ['open', 'close 1000']);
});

test('a_refused_connection_is_not_opened', async () => {
  const { hooks, errors } = told({ upgrade: () => ({ protocol: 'v2' }) });
  deliverOpen();
  await settle();
  assert.deepEqual(fake.callsOf('openVerdict').map(([, accepted, { status }]) => [accepted, status]), [[false, 500]]);
  assert.deepEqual(hooks, []);
  assert.equal(errors.length, 1);
});

test('a_connection_whose_time_was_over_is_not_opened', async () => {
  const { promise, resolve } = deferred();
  const { hooks } = told({ upgrade: () => promise });
  await wsbroker.start({ bind: '127.0.0.1:0', handlerTimeout: 20 });
  deliverOpen();
  await until(() => fake.callsOf('openVerdict').length === 1);
  assert.equal(fake.callsOf('openVerdict')[0][2].status, 503);
  resolve();
  await settle();
  assert.deepEqual(hooks, []);
});

test('an_adapter_whose_worker_has_stopped_opens_nothing', async () => {
  const { promise, resolve } = deferred();
  const { hooks } = told({ upgrade: () => promise });
  deliverOpen();
  await wsbroker.shutdown({ timeout: 50 });
  resolve();
  await settle();
  assert.deepEqual(fake.callsOf('openVerdict'), []);
  assert.deepEqual(hooks, []);
});
