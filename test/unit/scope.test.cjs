'use strict';
const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { join } = require('node:path');
const { test } = require('node:test');
const { lib } = require('./setup.cjs');

const { busEventReporter } = require(join(lib, 'native', 'join-cluster.cjs'));
const { scopeHere } = require(join(lib, 'async-scope.cjs'));

test('onBus_begins_in_the_scope_in_which_it_was_given', () => {
  const als = new AsyncLocalStorage();
  const seen = [];
  const tell = als.run('joined', () => busEventReporter((event) => {
    seen.push([event.state, als.getStore()]);
    als.enterWith('a handler of the bus');
  }));
  for (const state of ['ready', 'lost', 'ready']) tell([{ state }]);
  assert.deepEqual(seen, [['ready', 'joined'], ['lost', 'joined'], ['ready', 'joined']]);
});

test('each_call_of_a_batch_and_each_call_beside_one_has_a_scope_of_its_own', () => {
  const als = new AsyncLocalStorage();
  const scope = als.run('here', scopeHere);
  const seen = [];
  const call = (name) => scope.call((given) => {
    seen.push(als.getStore());
    if (given !== 'quiet') als.enterWith(given);
    return als.getStore();
  }, undefined, name);
  als.run('elsewhere', () => {
    scope.batch((first, second) => assert.deepEqual([call(first), call(second)], ['here', 'b']), 'quiet', 'b');
    scope.batch(() => assert.deepEqual([call('c'), call('quiet')], ['c', 'here']));
    assert.equal(call('d'), 'd');
    assert.equal(call('quiet'), 'here');
    assert.equal(als.getStore(), 'elsewhere');
  });
  assert.deepEqual(new Set(seen), new Set(['here']));
});

test('a_call_passes_on_what_it_is_given_and_what_comes_of_it', () => {
  const scope = scopeHere();
  const self = {};
  assert.deepEqual(scope.call(function (...args) { return [this, args]; }, self, 1, undefined), [self, [1, undefined]]);
  assert.throws(() => scope.call(() => { throw new RangeError('mine'); }, undefined), RangeError);
  assert.throws(() => scope.batch(() => scope.call(() => { throw new RangeError('mine'); }, undefined)), RangeError);
  assert.equal(scope.call(() => 'and goes on', undefined), 'and goes on');
});
