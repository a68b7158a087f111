'use strict';
const assert = require('node:assert/strict');
const { afterEach, test } = require('node:test');
const { deferred, fake, settle, until, wsbroker } = require('./setup.cjs');

const { deliver } = fake;
const rejections = [];
process.on('unhandledRejection', (reason) => rejections.push(reason));

/** What each slot's state is: 0 not started, 1 in hand, 2 settled. */
const stateOf = (slots) => slots.map((slot) => fake.worker().block.state[slot]);
/** Registers the handlers on this thread; errors are collected. */
function worker(handlers) {
  const errors = [];
  wsbroker.registerWorkerThread({ onError: (error, { handler, socketId }) => errors.push([error, handler, socketId]), ...handlers });
  return errors;
}
const text = (id, data) => ({ kind: 'text', id, data });

afterEach(async () => {
  await settle();
  await wsbroker.shutdown({ timeout: 50 });
  fake.calls.length = 0;
  fake.tokens.clear();
  for (const name of Object.keys(fake.instead)) delete fake.instead[name];
  assert.deepEqual(rejections, []);
});

test('a_batch_reaches_its_handlers_in_order_with_their_arguments', () => {
  const seen = [];
  worker({
    handleTextMessage: (...args) => void seen.push(['text', ...args]),
    handleBinaryMessage: (...args) => void seen.push(['binary', ...args]),
    handleClose: (...args) => void seen.push(['close', ...args]),
    handleDrain: (...args) => void seen.push(['drain', ...args]),
  });
  const shared = new Uint8Array([1, 2, 3, 4, 5]).buffer;
  const slots = deliver(
    text(7, 'hello'),
    { kind: 'shared', id: 7, data: shared, offset: 1, length: 3 },
    { kind: 'bytes', id: 8, data: Buffer.from([9]) },
    { kind: 'drain', id: 8 },
    { kind: 'close', id: 7, data: 'bye', code: 1000 },
  );
  assert.deepEqual(seen, [
    ['text', 'hello', 7, undefined],
    ['binary', Buffer.from([2, 3, 4]), 7, undefined],
    ['binary', Buffer.from([9]), 8, undefined],
    ['drain', 8, undefined],
    ['close', 7, undefined, 1000, 'bye'],
  ]);
  assert.deepEqual(stateOf(slots), [2, 2, 2, 2, 2]);
  assert.deepEqual(fake.callsOf('settle'), [], 'what is done at once needs no further call');
});

test('bytes_belong_to_the_handler', () => {
  let kept;
  worker({ handleBinaryMessage: (bytes) => void (kept = bytes) });
  deliver({ kind: 'shared', id: 1, data: new ArrayBuffer(8), offset: 4, length: 4 });
  kept.fill(1);
  assert.ok(Buffer.isBuffer(kept));
  assert.equal(kept.length, 4);
});

test('handlers_are_called_on_the_object_they_came_from', () => {
  class Chat {
    count = 0;
    handleTextMessage() {
      this.count++;
    }
  }
  const chat = new Chat();
  wsbroker.registerWorkerThread(chat);
  deliver(text(1, 'a'), text(1, 'b'));
  assert.equal(chat.count, 2);
});

test('events_that_nobody_handles_do_not_cross', () => {
  worker({ handleOpen() {}, handleDrain() {} });
  assert.equal(fake.worker().mask, 1 | 16 | 128, 'only the ends of sockets with tokens, to forget those');
});

test('a_handler_for_closes_hears_of_all_of_them', () => {
  worker({ handleClose() {} });
  assert.equal(fake.worker().mask, 8, 'it alone gets no token that would be kept');
});

test('a_throw_costs_only_its_own_event', async () => {
  const seen = [];
  const errors = worker({
    handleTextMessage(data) {
      if (data === 'text') throw 'text';
      if (data === 'nothing') throw undefined;
      if (data === 'error') throw new Error('no');
      seen.push(data);
    },
  });
  const slots = deliver(text(1, 'text'), text(1, 'nothing'), text(2, 'error'), text(1, 'good'));
  assert.deepEqual(seen, ['good']);
  assert.deepEqual(stateOf(slots), [2, 2, 2, 2]);
  assert.deepEqual(errors.map(([error, ...rest]) => [error?.message ?? error, ...rest]), [
    ['text', 'handleTextMessage', 1],
    [undefined, 'handleTextMessage', 1],
    ['no', 'handleTextMessage', 2],
  ]);
});

test('an_event_waits_for_the_promise_of_the_one_before_it_and_other_sockets_do_not', async () => {
  const first = deferred();
  const seen = [];
  worker({
    handleTextMessage(data) {
      seen.push(data);
      if (data === 'a1') return first.promise;
    },
    handleClose: (id) => void seen.push(`close ${id}`),
  });
  const slots = deliver(text(1, 'a1'), text(1, 'a2'), text(2, 'b1'), { kind: 'close', id: 1, data: '', code: 1005 });
  const more = deliver(text(1, 'a3'));
  await settle();
  assert.deepEqual(seen, ['a1', 'b1']);
  assert.deepEqual(stateOf(slots), [1, 0, 2, 0]);
  const before = fake.callsOf('settle').length;
  assert.equal(before, 1, 'one look behind the promises that go on at once');
  first.resolve();
  await settle();
  assert.deepEqual(seen, ['a1', 'b1', 'a2', 'close 1', 'a3']);
  assert.deepEqual(stateOf([...slots, ...more]), [2, 2, 2, 2, 2]);
  assert.deepEqual([...fake.worker().block.settled.subarray(0, 4)], [slots[0], slots[1], slots[3], more[0]]);
  assert.equal(fake.callsOf('settle').length - before, 1, 'one call for all that settled in a turn');
});

test('bytes_that_wait_are_the_bytes_that_came', async () => {
  const first = deferred();
  const seen = [];
  worker({ handleTextMessage: () => first.promise, handleBinaryMessage: (bytes) => void seen.push([...bytes]) });
  deliver(text(1, ''), { kind: 'shared', id: 1, data: new Uint8Array([1, 2, 3]).buffer, offset: 2, length: 1 });
  deliver(text(2, ''));
  first.resolve();
  await settle();
  assert.deepEqual(seen, [[3]]);
});

test('a_handler_that_transfers_its_bytes_takes_those_of_no_other_along', async () => {
  const seen = [];
  const errors = worker({
    handleBinaryMessage(bytes, id) {
      seen.push([id, ...bytes]);
      try {
        structuredClone(bytes, { transfer: [bytes.buffer] });
      } catch {
        // Newer runtimes say no, older ones make a copy.
      }
    },
  });
  const { buffer } = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
  deliver({ kind: 'shared', id: 1, data: buffer, offset: 0, length: 1 }, { kind: 'shared', id: 2, data: buffer, offset: 8, length: 1 });
  await settle();
  assert.deepEqual(errors, []);
  assert.deepEqual(seen, [[1, 1], [2, 2]]);
});

test('a_rejection_is_reported_once_and_the_next_event_goes_on', async () => {
  const seen = [];
  const errors = worker({
    async handleTextMessage(data) {
      if (data === 'bad') throw new Error('rejected');
      seen.push(data);
    },
  });
  const slots = deliver(text(1, 'bad'), text(1, 'good'));
  await settle();
  assert.deepEqual(seen, ['good']);
  assert.deepEqual(errors.map(([error, ...rest]) => [error.message, ...rest]), [['rejected', 'handleTextMessage', 1]]);
  assert.deepEqual(stateOf(slots), [2, 2]);
});

test('a_thenable_counts_as_a_promise_and_is_believed_once', async () => {
  const seen = [];
  const errors = worker({
    handleTextMessage(data) {
      seen.push(data);
      if (data === 'twice') return { then: (resolve, reject) => (resolve(), resolve(), reject(new Error('ignored'))) };
      if (data === 'rejects') return { then: (_, reject) => reject('no') };
      if (data === 'throws') return { then() { throw new Error('then'); } };
      if (data === 'getter') return { get then() { throw new Error('getter'); } };
    },
  });
  const slots = deliver(text(1, 'twice'), text(1, 'rejects'), text(1, 'throws'), text(1, 'getter'), text(1, 'end'));
  await settle();
  assert.deepEqual(seen, ['twice', 'rejects', 'throws', 'getter', 'end']);
  assert.deepEqual(errors.map(([error]) => error.message ?? error), ['no', 'then', 'getter']);
  assert.deepEqual(stateOf(slots), [2, 2, 2, 2, 2]);
});

test('thousands_of_lines_at_once_keep_their_order', async () => {
  const gates = new Map();
  const seen = new Map();
  worker({
    handleTextMessage(data, id) {
      seen.set(id, [...(seen.get(id) ?? []), data]);
      if (data === 1) return new Promise((resolve) => gates.set(id, resolve));
    },
  });
  for (let id = 1; id <= 3000; id++) deliver(text(id * 256, 1), text(id * 256, 2), text(id * 256, 3));
  for (const resolve of [...gates.values()].reverse()) resolve();
  await settle();
  assert.equal(seen.size, 3000);
  for (const order of seen.values()) assert.deepEqual(order, [1, 2, 3]);
});

test('concurrent_handlers_do_not_wait', async () => {
  const seen = [];
  const { promise, resolve } = deferred();
  worker({
    handleTextMessage(data) {
      seen.push(data);
      return promise;
    },
    handleClose: () => void seen.push('close'),
  });
  const server = await wsbroker.start({ bind: '127.0.0.1:0', handlers: 'concurrent' });
  const slots = deliver(text(1, 'a'), text(1, 'b'), { kind: 'close', id: 1, data: '', code: 1000 });
  assert.deepEqual(seen, ['a', 'b', 'close']);
  assert.deepEqual(stateOf(slots), [1, 1, 2]);
  resolve();
  await settle();
  assert.deepEqual(stateOf(slots), [2, 2, 2]);
  await server.close();
});

test('a_handler_that_takes_too_long_is_reported_and_the_next_event_goes_on', async () => {
  const seen = [];
  const late = deferred();
  const errors = worker({
    handleTextMessage(data) {
      seen.push(data);
      if (data === 'slow') return late.promise;
    },
  });
  await wsbroker.start({ bind: '127.0.0.1:0', handlerTimeout: 20 });
  const begun = performance.now();
  const slots = deliver(text(1, 'slow'), text(1, 'next'));
  await until(() => seen.length === 2);
  assert.ok(performance.now() - begun >= 20);
  assert.deepEqual(stateOf(slots), [2, 2]);
  assert.equal(errors.length, 1);
  const [[error, handler, socketId]] = errors;
  assert.equal(error.code, 'ERR_WSBROKER_HANDLER_TIMEOUT');
  assert.match(error.message, /handleTextMessage did not settle within 20 ms/);
  assert.deepEqual([handler, socketId], ['handleTextMessage', 1]);

  const after = deliver(text(1, 'after'));
  assert.deepEqual(stateOf(after), [2], 'the late one holds nobody up any more');
  late.reject(new Error('late'));
  await settle();
  assert.equal(errors.length, 2);
  assert.equal(errors[1][0].message, 'late');
  assert.equal(fake.worker().block.control[1], 0, 'its slot is not settled a second time');
});

test('handlerTimeout_0_waits_for_ever', async (t) => {
  // No timer, no timeout.
  const timers = t.mock.method(globalThis, 'setInterval');
  const looks = () => timers.mock.calls.filter(({ arguments: [, delay] }) => delay < 2 ** 30).length;
  const never = deferred();
  worker({ handleTextMessage: () => never.promise });
  await wsbroker.start({ bind: '127.0.0.1:0', handlerTimeout: 0 });
  assert.deepEqual(stateOf(deliver(text(1, 'a'))), [1]);
  assert.equal(looks(), 0);
  fake.worker().block.control[5] = 80 + 1;
  deliver(text(2, 'b'));
  assert.equal(looks(), 1, 'with one there is');
  never.resolve();
});

test('an_event_that_has_waited_counts_as_begun_before_its_handler_runs', async () => {
  const states = [];
  const first = deferred();
  const second = deferred();
  let slots;
  worker({
    handleTextMessage(data) {
      states.push(stateOf(slots ?? []));
      return data === 'first' ? first.promise : second.promise;
    },
  });
  slots = deliver(text(1, 'first'), text(1, 'second'), text(1, 'third'));
  assert.deepEqual(stateOf(slots), [1, 0, 0]);
  first.resolve();
  await settle();
  // Should its thread die now, the second is not run again, and the third is.
  assert.deepEqual([states.at(-1), stateOf(slots)], [[2, 1, 0], [2, 1, 0]]);
  second.resolve();
});

test('what_waits_behind_a_handler_that_does_not_settle_is_run_when_there_is_no_time_left', async () => {
  const seen = [];
  worker({
    handleTextMessage(data) {
      seen.push(data);
      return new Promise(() => undefined);
    },
    handleClose: (id) => void seen.push(`close ${id}`),
    handleStop: () => void seen.push('stop'),
  });
  const slots = deliver(text(1, 'a'), text(1, 'b'), text(2, 'c'), { kind: 'close', id: 2, data: '', code: 1001 }, text(1, 'd'), { kind: 'close', id: 1, data: '', code: 1001 });
  const { block } = fake.worker();
  await wsbroker.shutdown({ timeout: 0 });
  assert.deepEqual(seen, ['a', 'c', 'b', 'd', 'close 1', 'close 2', 'stop']);
  assert.equal(block.state[slots.at(-1)], 2);
});

test('the_token_of_a_socket_that_has_closed_is_forgotten', () => {
  worker({ handleTextMessage() {}, handleClose() {} });
  wsbroker.setToken(1, 'kept');
  deliver(text(1, ''), text(1, ''), { kind: 'close', id: 1, data: '', code: 1000 });
  assert.equal(fake.callsOf('copyToken').length, 1);
  deliver(text(1, ''));
  assert.equal(fake.callsOf('copyToken').length, 2, 'asked for again');
});

test('a_wait_for_the_end_of_all_handlers_ends_with_a_stop', async () => {
  const { createDispatcher } = require('../../lib/worker/dispatch.cjs');
  const { scopeHere } = require('../../lib/async-scope.cjs');
  const table = { scope: scopeHere(), self: undefined, handleTextMessage: () => new Promise(() => undefined), report() {} };
  const dispatcher = createDispatcher({ openVerdict() {}, settle() {}, copyToken: () => -1, slotToken() {}, tokenVersion: () => 0 }, table, () => undefined);
  const block = new ArrayBuffer(1024 + 5 * 8);
  new Int32Array(block, 0, 16)[2] = 8;
  dispatcher.attach(block);
  new Int32Array(block, 320, 32)[0] = 2;
  dispatcher.dispatch(1, 'a');
  const idle = dispatcher.idle();
  dispatcher.stop();
  await idle;
});

test('everything_that_is_left_is_run_before_handleStop', async () => {
  const seen = [];
  worker({ handleTextMessage: (data) => void seen.push(data), handleStop: () => void seen.push('stop') });
  let drained = 0;
  fake.instead.drain = () => {
    if (fake.worker() === undefined) return;
    drained++;
    deliver(text(1, `of drain ${drained}`));
    // The addon had no time for all of it.
    if (drained < 3) fake.worker().again();
  };
  await wsbroker.shutdown({ timeout: 2_000 });
  // Each "again" is followed by a call of its own and by one of the loop that waits.
  assert.deepEqual(seen.slice(0, 3), ['of drain 1', 'of drain 2', 'of drain 3']);
  assert.equal(seen.at(-1), 'stop');
});

test('a_token_is_one_buffer_until_it_changes', async () => {
  const seen = [];
  worker({ handleTextMessage: (_, id, token) => void seen.push(token) });
  wsbroker.setToken(1, 'one');
  deliver(text(1, ''), text(1, ''), text(2, ''));
  assert.equal(seen[0].toString(), 'one');
  assert.equal(seen[0], seen[1]);
  assert.equal(seen[2], undefined);
  wsbroker.setToken(1, 'two');
  deliver(text(1, ''));
  assert.equal(seen[3].toString(), 'two');
  assert.equal(fake.callsOf('copyToken').length, 2);
});

test('a_token_of_any_length_arrives_whole_in_memory_of_its_own', () => {
  const seen = new Map();
  worker({ handleTextMessage: (_, id, token) => void seen.set(id, token) });
  const lengths = [0, 1, 63, 64, 65, 5_000];
  const expected = lengths.map((length) => Buffer.alloc(length, length));
  expected.forEach((token, i) => wsbroker.setToken(i + 1, token));
  deliver(...lengths.map((_, i) => text(i + 1, '')));
  assert.deepEqual(lengths.map((_, i) => seen.get(i + 1)), expected);
  assert.deepEqual(lengths.map((_, i) => seen.get(i + 1).buffer.byteLength), lengths);
});

test('the_tokens_of_sockets_that_had_an_event_lately_are_kept_and_no_others', () => {
  const { RECENT_TOKENS, TokenCache } = require('../../lib/worker/token-cache.cjs');
  const cache = new TokenCache();
  const token = (id) => ({ version: 1, bytes: Buffer.from(`${id}`), length: `${id}`.length });
  const all = 3 * RECENT_TOKENS;
  for (let id = 1; id <= all; id++) {
    cache.set(id, token(id));
    assert.equal(cache.get(1)?.bytes.toString(), '1', 'asked for all the time, so it stays');
  }
  assert.equal(cache.get(all).bytes.toString(), `${all}`);
  assert.notEqual(cache.get(all - RECENT_TOKENS + 2), undefined, 'one of the latest');
  assert.equal(cache.get(2), undefined, 'quiet while twice as many were not');
  for (const id of [1, all]) {
    cache.delete(id);
    assert.equal(cache.get(id), undefined, 'its socket has closed');
  }
});

test('a_token_set_by_a_handler_is_seen_by_events_that_came_before_it_was_set', async () => {
  const seen = [];
  const first = deferred();
  worker({
    handleTextMessage(data, id, token) {
      seen.push([data, token?.toString()]);
      if (data === 'set') wsbroker.setToken(id, 'fresh');
      if (data === 'wait') return first.promise;
    },
    handleClose: (id, token) => void seen.push(['close', token?.toString()]),
  });
  deliver(text(1, 'set'), text(1, 'same batch'), text(1, 'wait'), text(1, 'waited'), { kind: 'close', id: 1, data: '', code: 1000 });
  wsbroker.setToken(1, 'newer');
  first.resolve();
  await settle();
  assert.deepEqual(seen, [['set', undefined], ['same batch', 'fresh'], ['wait', 'fresh'], ['waited', 'newer'], ['close', 'newer']]);
});

test('the_close_of_a_socket_that_is_gone_still_has_its_token', async () => {
  const seen = [];
  const first = deferred();
  worker({ handleTextMessage: () => first.promise, handleClose: (id, token) => void seen.push(token?.toString()) });
  wsbroker.setToken(1, 'kept');
  fake.instead.tokenVersion = () => 0;
  deliver(text(1, ''), { kind: 'close', id: 1, data: '', code: 1006 });
  first.resolve();
  await settle();
  assert.deepEqual(seen, ['kept']);
});

test('an_onError_that_fails_harms_nobody', async () => {
  const written = [];
  const write = process.stderr.write;
  process.stderr.write = (chunk) => written.push(String(chunk)) > 0;
  try {
    wsbroker.registerWorkerThread({
      handleTextMessage(data) {
        throw new Error(data);
      },
      onError(error) {
        if (error.message === 'sync') throw new Error('onError itself');
        return Promise.reject(new Error('onError later'));
      },
    });
    const slots = deliver(text(1, 'sync'), text(1, 'async'));
    assert.deepEqual(stateOf(slots), [2, 2]);
    await settle();
  } finally {
    process.stderr.write = write;
  }
  const all = written.join('');
  for (const part of ['Error: sync', 'onError itself', 'Error: async', 'onError later']) assert.ok(all.includes(part), `${part} is in:\n${all}`);
});

test('without_onError_an_error_goes_to_stderr_with_its_stack', () => {
  const written = [];
  const write = process.stderr.write;
  process.stderr.write = (chunk) => written.push(String(chunk)) > 0;
  try {
    wsbroker.registerWorkerThread({
      handleTextMessage() {
        throw new RangeError('odd');
      },
    });
    deliver(text(12, 'secret'));
  } finally {
    process.stderr.write = write;
  }
  assert.match(written.join(''), /^wsbroker: handleTextMessage failed for socket 12: RangeError: odd\n {4}at /);
  assert.ok(!written.join('').includes('secret'));
});

test('after_the_worker_has_gone_a_dispatch_starts_nothing', async () => {
  const seen = [];
  worker({ handleTextMessage: (data) => void seen.push(data) });
  const { block, dispatch } = fake.worker();
  await wsbroker.shutdown({ timeout: 50 });
  block.kinds[0] = 2;
  block.slots[0] = 5;
  dispatch(1, 'late');
  assert.deepEqual(seen, []);
  assert.equal(block.state[5], 0);
});

test('a_broker_that_another_thread_has_shut_down_says_goodbye', async () => {
  const seen = [];
  worker({ handleStop: () => void seen.push('stop') });
  fake.worker().dispatch(0);
  await until(() => fake.callsOf('detachWorker').length === 1);
  assert.deepEqual(seen, ['stop']);
});

test('a_clients_certificate_has_the_fingerprint_that_node_shows', () => {
  const seen = [];
  worker({ handleOpen: (id, ip, headers, request) => void seen.push(request.clientCertificate) });
  const request = { ip: '::1', headers: {}, protocols: [] };
  deliver({ kind: 'open', id: 1, data: { ...request, clientCertificate: { raw: Buffer.from('abc'), authorized: true } } });
  deliver({ kind: 'open', id: 2, data: request });
  // SHA-256 of "abc", from FIPS 180-2, appendix B.1.
  const digest = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  const fingerprint256 = digest.toUpperCase().match(/../g).join(':');
  assert.deepEqual(seen, [{ raw: Buffer.from('abc'), authorized: true, fingerprint256 }, undefined]);
});
