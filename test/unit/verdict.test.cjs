'use strict';
const assert = require('node:assert/strict');
const { afterEach, describe, test } = require('node:test');
const { runInNewContext } = require('node:vm');
const { deferred, fake, settle, until, wsbroker } = require('./setup.cjs');

const request = { ip: '1.2.3.4', headers: { host: 'x' }, url: '/a?b', path: '/a', query: 'b', method: 'GET', protocols: ['v1', 'v2'], secure: false, remotePort: 5 };

afterEach(async () => {
  await settle();
  await wsbroker.shutdown({ timeout: 50 });
  fake.calls.length = 0;
  for (const name of Object.keys(fake.instead)) delete fake.instead[name];
});

/** What the addon is told for this handler, and what was reported. */
async function verdictOf(handleOpen) {
  const errors = [];
  wsbroker.registerWorkerThread({ handleOpen, onError: (error, { handler, socketId }) => errors.push([error, handler, socketId]) });
  const [slot] = fake.deliver({ kind: 'open', id: 3, data: request });
  await settle();
  assert.equal(fake.worker().block.state[slot], 2);
  const told = fake.callsOf('openVerdict');
  assert.equal(told.length, 1);
  assert.equal(told[0][0], slot);
  for (const [, handler, socketId] of errors) assert.deepEqual([handler, socketId], ['handleOpen', 3]);
  return { accepted: told[0][1], detail: told[0][2], errors: errors.map(([error]) => error) };
}

test('handleOpen_gets_the_address_the_headers_and_the_request', async () => {
  let args;
  await verdictOf((...all) => void (args = all));
  assert.deepEqual(args, [3, '1.2.3.4', { host: 'x' }, request]);
});

describe('accepted', () => {
  const bytes = new Uint8Array([1]);
  for (const [name, verdict, detail] of [
    ['true', true, undefined],
    ['undefined', undefined, undefined],
    ['an empty object', {}, {}],
    ['absent parts', { protocol: undefined, headers: undefined, token: undefined, channels: undefined }, {}],
    ['a protocol', { protocol: 'v2' }, { protocol: 'v2' }],
    ['headers', { headers: { 'X-A': 'b', 'set-cookie': ['c=1', 'd=2'], 'x-n': 7 } }, { headers: [['X-A', 'b'], ['set-cookie', 'c=1'], ['set-cookie', 'd=2'], ['x-n', '7']] }],
    ['headers of a Map', { headers: new Map([['x-a', 'b']]) }, { headers: [['x-a', 'b']] }],
    ['a token of text', { token: 'é' }, { token: Buffer.from('é') }],
    ['a token of bytes', { token: bytes }, { token: bytes }],
    ['channels', { channels: ['a', bytes, bytes.buffer] }, { channels: ['a', bytes, bytes] }],
    ['bytes of another realm', runInNewContext('({ token: new Uint8Array([1]), channels: [new Uint8Array([1]).buffer] })'), { token: bytes, channels: [bytes] }],
    ['an object without prototype', Object.assign(Object.create(null), { token: bytes }), { token: bytes }],
  ]) {
    for (const [how, handler] of [['at once', () => verdict], ['later', async () => verdict]]) {
      test(`${name}, ${how}`, async () => {
        const told = await verdictOf(handler);
        assert.deepEqual(told.errors, []);
        assert.equal(told.accepted, true);
        // Cloned, so that what is of another realm is equal to what is not.
        assert.deepEqual(structuredClone(told.detail), structuredClone(detail));
      });
    }
  }
});

describe('refused', () => {
  for (const [name, verdict, detail] of [
    ['false', false, { status: 403 }],
    ['a status', { status: 401 }, { status: 401 }],
    ['a redirection', { status: 302, headers: { location: '/in' }, body: 'go' }, { status: 302, headers: [['location', '/in']], body: 'go' }],
    ['a body of bytes', { status: 500, body: new Uint8Array([1]).buffer }, { status: 500, body: new Uint8Array([1]) }],
  ]) {
    for (const [how, handler] of [['at once', () => verdict], ['later', () => Promise.resolve(verdict)]]) {
      test(`${name}, ${how}`, async () => {
        const told = await verdictOf(handler);
        assert.deepEqual(told.errors, []);
        assert.equal(told.accepted, false);
        assert.deepEqual(told.detail, detail);
      });
    }
  }
});

describe('meaningless, so refused with 500 and reported', () => {
  for (const [name, verdict] of [
    ['null', null],
    ['0', 0],
    ['1', 1],
    ['an empty string', ''],
    ['a string', 'yes'],
    ['a symbol', Symbol('yes')],
    ['a function', () => true],
    ['an array', []],
    ['a Map', new Map()],
    ['a Date', new Date()],
    ['an unknown key', { allowed: false }],
    ['a mistyped key', { chanels: ['a'] }],
    ['a status that is undefined', { status: undefined }],
    ['a status that is text', { status: '403' }],
    ['a status of 101', { status: 101 }],
    ['a status of 600', { status: 600 }],
    ['a status that is no number', { status: NaN }],
    ['a status and a token', { status: 403, token: 'a' }],
    ['a body that is a number', { status: 403, body: 1 }],
    ['a protocol that was not offered', { protocol: 'v3' }],
    ['a protocol that is a number', { protocol: 1 }],
    ['a token that is a number', { token: 1 }],
    ['channels that are text', { channels: 'a' }],
    ['a channel that is null', { channels: [null] }],
    ['headers that are text', { headers: 'a: b' }],
    ['a header with a line break', { headers: { a: 'b\r\nset-cookie: c' } }],
    ['a header name with a colon', { headers: { 'a:b': 'c' } }],
    ['a header without value', { headers: { a: undefined } }],
    ['a header that is not ours to set', { headers: { 'Sec-WebSocket-Accept': 'x' } }],
    ['a length that is not ours to set', { status: 200, headers: { 'content-length': '1' } }],
  ]) {
    for (const [how, handler] of [['at once', () => verdict], ['later', async () => verdict]]) {
      test(`${name}, ${how}`, async () => {
        const told = await verdictOf(handler);
        assert.equal(told.accepted, false);
        assert.deepEqual(told.detail, { status: 500 });
        assert.deepEqual(told.errors.map(({ code }) => code), ['ERR_WSBROKER_INVALID_VERDICT']);
      });
    }
  }

  test('the_message_names_the_key_and_hints_but_never_shows_a_value', async () => {
    const { errors: [typo] } = await verdictOf(() => ({ chanels: 'secret' }));
    assert.match(typo.message, /unknown key "chanels"; did you mean "channels"\? The client got 500$/);
    assert.ok(!typo.message.includes('secret'));
  });
});

describe('a failing handleOpen refuses with 403 and is reported', () => {
  for (const [name, handler] of [
    ['throw', () => { throw new Error('no'); }],
    ['rejection', () => Promise.reject(new Error('no'))],
    ['throw after await', async () => { await null; throw new Error('no'); }],
    ['thenable that rejects', () => ({ then: (_, reject) => reject(new Error('no')) })],
    ['throw of undefined', () => { throw undefined; }],
  ]) {
    test(name, async () => {
      const told = await verdictOf(handler);
      assert.deepEqual([told.accepted, told.detail], [false, { status: 403 }]);
      assert.equal(told.errors.length, 1);
    });
  }
});

test('an_acceptance_that_the_addon_refuses_is_a_500', async () => {
  const errors = [];
  fake.instead.openVerdict = (slot, accepted) => {
    if (accepted) throw new Error('over a limit');
  };
  wsbroker.registerWorkerThread({ handleOpen: () => true, onError: (error) => errors.push(error.message) });
  fake.deliver({ kind: 'open', id: 3, data: request });
  assert.deepEqual(fake.callsOf('openVerdict').map(([, ...rest]) => rest), [[true, undefined], [false, { status: 500 }]]);
  assert.deepEqual(errors, ['over a limit']);
});

for (const handlers of ['serial', 'concurrent']) {
  test(`a_handleOpen_that_takes_too_long_is_a_503_and_its_late_yes_is_followed_by_a_handleClose (${handlers})`, async () => {
    const decision = deferred();
    const closes = [];
    const errors = [];
    wsbroker.registerWorkerThread({ handleOpen: () => decision.promise, handleClose: (...args) => void closes.push(args), onError: (error) => errors.push(error.code) });
    await wsbroker.start({ bind: '127.0.0.1:0', handlers, handlerTimeout: 20 });
    const [slot] = fake.deliver({ kind: 'open', id: 3, data: request });
    await until(() => errors.length === 1);
    assert.deepEqual(fake.callsOf('openVerdict'), [[slot, false, { status: 503 }]]);
    assert.deepEqual(errors, ['ERR_WSBROKER_HANDLER_TIMEOUT']);
    decision.resolve(true);
    await settle();
    assert.deepEqual(closes, [[3, undefined, 1006, '']]);
    assert.equal(fake.callsOf('openVerdict').length, 1);
  });
}
