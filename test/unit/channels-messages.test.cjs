'use strict';
// What clients of `wsbroker.v1` send is read strictly, whatever it is.
const assert = require('node:assert/strict');
const { test } = require('node:test');

const { InvalidMessage, readMessage } = require('../../lib/channels/messages.cjs');

/** Always the same numbers. */
function randomly(seed) {
  let state = seed;
  return (count) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % count;
  };
}

const SEEDS = [
  '{"type":"hello","client":"0123456789abcdef0123456789abcdef","token":"a.b.c"}',
  '{"type":"token","token":"é"}',
  '{"type":"subscribe","channels":[{"channel":"chat:1","since":{"offset":17,"epoch":"0123456789abcdef"}},{"channel":"b","since":"latest"},{"channel":""}]}',
  '{"type":"unsubscribe","channels":["chat:1","\\ud83d\\ude00"]}',
  '{"type":"publish","id":"a","channel":"chat:1","data":"hello"}',
  '{"type":"publish","id":"a","channel":"chat:1","base64":"AAD/"}',
  '{"type":"request","id":7,"data":[{"a":null}]}',
];

test('messages are read as they were written', () => {
  const [hello, token, subscribe, unsubscribe, text, bytes, request] = SEEDS.map(readMessage);
  assert.deepEqual(hello, { type: 'hello', client: '0123456789abcdef0123456789abcdef', token: 'a.b.c' });
  assert.deepEqual(token, { type: 'token', token: 'é' });
  assert.deepEqual(subscribe.channels, [
    { channel: 'chat:1', since: { offset: 17, epoch: '0123456789abcdef' } },
    { channel: 'b', since: 'latest' },
    { channel: '', since: undefined },
  ]);
  assert.deepEqual(unsubscribe.channels, ['chat:1', '\u{1f600}']);
  assert.deepEqual([text.data, bytes.data], ['hello', Buffer.from([0, 0, 255])]);
  assert.deepEqual(request, { type: 'request', id: 7, data: [{ a: null }] });
});

test('anything else is refused with a reason that fits a close frame', () => {
  const random = randomly(7);
  const splices = ['"', '{', '}', '[', ']', ',', ':', 'null', '-1', '1e999', '\\u0000', '\\ud800', '"type":', '"__proto__":', '{"offset":1,"epoch":"a"}', ' ', '\n', 'x'.repeat(200)];
  const types = ['hello', 'token', 'subscribe', 'unsubscribe', 'publish', 'request'];
  let read = 0;
  const ROUNDS = 20_000;
  for (let round = 0; round < ROUNDS; round++) {
    let text = SEEDS[random(SEEDS.length)];
    for (let n = random(3); n >= 0; n--) {
      const at = random(text.length + 1);
      text = text.slice(0, at) + (random(3) === 0 ? '' : splices[random(splices.length)]) + text.slice(at + random(4));
    }
    try {
      const message = readMessage(text);
      read++;
      assert.ok(types.includes(message.type), text);
      for (const one of message.channels ?? []) {
        const name = typeof one === 'string' ? one : one.channel;
        assert.equal(Buffer.from(name).toString(), name, 'a name is the same in UTF-8');
        if (typeof one.since === 'object') assert.ok(Number.isSafeInteger(one.since.offset) && one.since.offset >= 0, text);
      }
    } catch (error) {
      if (!(error instanceof InvalidMessage)) throw error;
      assert.ok(Buffer.byteLength(error.message) <= 123, error.message);
    }
  }
  assert.ok(read > ROUNDS / 100 && read < ROUNDS / 2, `${read} were read`);
});
