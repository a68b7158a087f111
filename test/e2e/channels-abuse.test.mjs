// What clients of `wsbroker.v1` may send that no client should.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, greet, position, PROTOCOL, publish, secret, serve } from './channels-client.mjs';
import { until } from './harness.mjs';
import * as raw from './raw.mjs';

const HELLO = JSON.stringify({ type: 'hello', client: secret() });
const big = (length) => 'x'.repeat(length);

/** A message behind the hello, and the reason with which it is closed. */
const WRONG = [
  ['', 'not JSON'],
  ['hello', 'not JSON'],
  ['{"type":"ping"', 'not JSON'],
  ['1 chat:1\nx', 'not JSON'],
  ['[]', 'message must be an object'],
  ['null', 'message must be an object'],
  ['7', 'message must be an object'],
  ['{}', 'unknown type'],
  ['{"type":"__proto__"}', 'unknown type'],
  ['{"type":["subscribe"]}', 'unknown type'],
  ['{"type":"subscribed"}', 'unknown type'],
  [HELLO, 'a second hello'],
  ['{"type":"hello","client":"x"}', '"client" must be 32 hex digits'],
  [{ type: 'hello', client: secret().toUpperCase().replace('0', 'A') }, '"client" must be 32 hex digits'],
  ['{"type":"token"}', '"token" must be a string'],
  [{ type: 'token', token: 'é'.repeat(4_097) }, '"token" longer than 8 KiB'],
  ['{"type":"subscribe"}', '"channels" must be an array of at most 100'],
  ['{"type":"subscribe","channels":{"length":1}}', '"channels" must be an array of at most 100'],
  [{ type: 'subscribe', channels: Array.from({ length: 101 }, () => ({ channel: 'a' })) }, '"channels" must be an array of at most 100'],
  ['{"type":"subscribe","channels":["a"]}', 'an entry of "channels" must be an object'],
  ['{"type":"subscribe","channels":[{}]}', 'a channel must be a string of whole characters'],
  ['{"type":"subscribe","channels":[{"channel":"\\ud800"}]}', 'a channel must be a string of whole characters'],
  ['{"type":"unsubscribe","channels":[null]}', 'a channel must be a string of whole characters'],
  ...['null', '1', '"then"', '{}', '{"offset":1}', '{"offset":-1,"epoch":""}', '{"offset":1.5,"epoch":""}', '{"offset":1e300,"epoch":""}', '{"offset":"1","epoch":""}', `{"offset":1,"epoch":"${big(65)}"}`].map((since) => [
    `{"type":"subscribe","channels":[{"channel":"chat:1","since":${since}}]}`,
    /^"since" must be (a position, "now" or "latest"|an object)$/,
  ]),
  ...['', 'a b', big(65), 'é', 'a\n'].map((id) => [{ type: 'publish', id, channel: 'chat:1', data: 'x' }, '"id" must be 1 to 64 visible ASCII characters']),
  ...[{}, { data: 1 }, { data: 'x', base64: '' }, { base64: '?' }, { base64: 'abc' }, { base64: 'ab==c' }].map((payload) => [{ type: 'publish', id: 'a', channel: 'chat:1', ...payload }, 'a publish must have "data", a string, or "base64"']),
  ...[undefined, null, 1.5, {}, big(65)].map((id) => [{ type: 'request', id, data: 1 }, '"id" must be an integer, or a string of at most 64 characters']),
  [{ type: 'request', id: 1, data: big(64 << 10) }, 'message longer than 64 KiB'],
  [{ type: 'request', id: 1, data: 'é'.repeat(32 << 10) }, 'message longer than 64 KiB'],
  [Buffer.from('{"type":"ping"}'), 'binary message'],
];

test('what is no message of the protocol closes its connection, and only that', async (t) => {
  const server = await serve(t);
  const good = await greet(server);
  for (const [message, reason] of WRONG) {
    const one = await connect(server);
    one.say(HELLO);
    one.client.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message));
    one.say({ type: 'request', id: 1, data: 'too late' });
    const end = await one.client.end();
    const shown = Buffer.isBuffer(message) ? 'bytes' : JSON.stringify(message).slice(0, 90);
    assert.equal(end.code, 4400, shown);
    if (typeof reason === 'string') assert.equal(end.reason, reason, shown);
    else assert.match(end.reason, reason, shown);
    assert.deepEqual(one.client.messages, ['{"type":"welcome"}'], shown);
  }
  const early = await connect(server);
  early.client.send(Buffer.from('x'));
  assert.deepEqual(await early.client.end(), { code: 4400, reason: 'binary message' });
  assert.deepEqual(await good.settled(), []);
  assert.deepEqual(server.told.of('error'), []);
  assert.equal((await position(server, 'chat:1')).offset, 0);
});

/** Always the same numbers. */
function* numbers(seed) {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state >>> 8;
  }
}

test('thousands of messages that are almost right end in nothing worse than a close', async (t) => {
  const server = await serve(t);
  const random = numbers(1);
  const below = (count) => random.next().value % count;
  const values = [undefined, null, 0, -1, 1e21, '', 'chat:1', 'x', '\ud800', [], [[]], {}, [{ channel: 'chat:1' }], ['chat:1'], { offset: 0, epoch: 'a' }, true, '__proto__', secret(), big(2_000)];
  const keys = ['type', 'client', 'token', 'channels', 'channel', 'since', 'id', 'data', 'base64', 'constructor'];
  const types = ['hello', 'token', 'subscribe', 'unsubscribe', 'publish', 'request', 'ping', 'nothing'];
  const make = () => {
    const message = { type: types[below(types.length)] };
    for (let n = below(6); n > 0; n--) message[keys[below(keys.length)]] = values[below(values.length)];
    const text = JSON.stringify(message);
    if (below(4) > 0) return text;
    const at = below(text.length);
    return text.slice(0, at) + String.fromCharCode(32 + below(95)) + text.slice(at + below(3));
  };
  let closes = 0;
  for (let round = 0; round < 150; round++) {
    const one = await connect(server);
    one.say(HELLO);
    for (let n = 0; n < 20; n++) one.say(make());
    one.say({ type: 'request', id: 'end', data: 'end' });
    await until(() => one.client.ended !== undefined || one.client.messages.some((text) => text.includes('"id":"end"')), 'an end');
    if (one.client.ended !== undefined) {
      closes++;
      assert.ok([4400, 4401].includes(one.client.ended.code), JSON.stringify(one.client.ended));
    }
    one.client.ws.terminate();
  }
  assert.ok(closes > 100, `${closes} were closed`);
  assert.deepEqual(server.told.of('error'), []);
  const good = await greet(server);
  assert.equal((await good.subscribe('chat:other').hear()).type, 'subscribed');
});

test('10,000 subscriptions are decided one after the other, and names that are too long cost nothing', async (t) => {
  const server = await serve(t, { options: { maxChannelsPerSocket: 500, maxChannelNameLength: 100, maxPayload: 1 << 20, history: [{ channels: 'chat:*' }] } });
  const [one, good] = [await greet(server), await greet(server)];
  for (let round = 0; round < 100; round++) {
    one.say({ type: 'subscribe', channels: Array.from({ length: 100 }, (_, n) => ({ channel: `chat:${round * 100 + n}` })) });
    const answers = await one.hearAll(100);
    const expected = round < 5 ? ['subscribed', undefined] : ['refused', 'limit'];
    for (const { type, reason } of answers) assert.deepEqual([type, reason], expected, `round ${round}`);
  }
  one.say({ type: 'subscribe', channels: [{ channel: `chat:${big(60_000)}` }] });
  assert.equal((await one.hear()).reason, 'limit');
  one.say({ type: 'unsubscribe', channels: Array.from({ length: 100 }, (_, n) => `unknown:${n}`) });
  await one.hearAll(100);
  assert.deepEqual(await good.settled(), []);
  const { history } = await server.main((wsb) => wsb.stats());
  assert.ok(history.channels <= 10_000, 'names that nobody may use make no history');
  one.say({ type: 'unsubscribe', channels: Array.from({ length: 100 }, (_, n) => `chat:${n}`) });
  await one.hearAll(100);
  assert.equal((await one.subscribe('chat:new').hear()).type, 'subscribed', 'there is room again');
});

test('names that a client may not use make no history', async (t) => {
  const server = await serve(t, { more: 'authorize: () => false,' });
  const one = await greet(server);
  one.say({ type: 'subscribe', channels: Array.from({ length: 100 }, (_, n) => ({ channel: `chat:${n}` })) });
  one.say({ type: 'unsubscribe', channels: Array.from({ length: 100 }, (_, n) => `chat:u${n}`) });
  for (let n = 0; n < 50; n++) one.say({ type: 'publish', id: 'a', channel: `chat:p${n}`, data: 'x' });
  await one.hearAll(250);
  assert.equal((await server.main((wsb) => wsb.stats())).history.channels, 0);
});

const speaks = { headers: { 'Sec-WebSocket-Protocol': PROTOCOL } };
const texts = (one) => one.frames.filter(({ opcode }) => opcode === raw.TEXT).map(({ text }) => text);

test('a ping is answered ahead of what waits, and pings whose answers are not read get few', async (t) => {
  const server = await serve(t, { options: { maxBackpressure: 1 << 20, history: [{ channels: 'chat:*', size: 20_000, maxBytes: 64 << 20 }] } });
  const one = await raw.open(server, speaks);
  one.write(raw.frame(raw.TEXT, HELLO));
  one.write(raw.frame(raw.TEXT, JSON.stringify({ type: 'subscribe', channels: [{ channel: 'chat:1' }] })));
  await until(() => texts(one).length === 2, 'the subscription');
  one.stopReading();
  // More than the system takes. Of that, a socket has 128 KiB waiting: the rest is in the history.
  await server.main(async (wsb) => {
    for (let n = 0; n < 12_000; n++) await wsb.publish('chat:1', 'x'.repeat(2_000));
  });
  const id = (await server.told.next('authorize')).id;
  await until(() => server.main((wsb, kit, given) => wsb.bufferedAmount(given) > 100_000, id), 'a full outbox');
  const { messagesIn: before, messagesOut: queued } = await server.main((wsb, kit, given) => wsb.info(given), id);
  const ping = raw.frame(raw.TEXT, '{"type":"ping"}');
  one.write(Buffer.concat(Array.from({ length: 1_000 }, () => ping)));
  await until(async () => (await server.main((wsb, kit, given) => wsb.info(given), id)).messagesIn === before + 1_000, 'the pings');
  one.socket.resume();
  const count = () => texts(one).filter((text) => text.includes(' chat:1\n')).length;
  await until(() => count() === 12_000, 'everything', 60_000);
  const all = texts(one);
  const pongs = all.flatMap((text, at) => (text === '{"type":"pong"}' ? [at] : []));
  assert.equal(pongs.length, 1, 'of those that wait there is one');
  assert.ok(pongs[0] < queued - 20, `it came as ${pongs[0]}, when ${queued} were queued or sent`);
  const offsets = all.filter((text) => text.includes(' chat:1\n')).map((text) => Number(text.split(' ')[0]));
  assert.deepEqual(offsets, offsets.map((_, n) => n + 1), 'and nothing is lost or cut');
});

for (const overflow of ['dropNewest', 'dropOldest']) {
  test(`a client that does not read its messages is closed, not deprived of some, with overflow: '${overflow}'`, async (t) => {
    const server = await serve(t, { options: { overflow, maxBackpressure: 64 << 10, history: [{ channels: 'chat:*' }] } });
    const one = await raw.open(server, speaks);
    one.write(raw.frame(raw.TEXT, HELLO));
    one.write(raw.frame(raw.TEXT, JSON.stringify({ type: 'subscribe', channels: [{ channel: 'chat:1' }] })));
    await until(() => texts(one).length === 2, 'the subscription');
    const { id } = await server.told.next('authorize');
    one.stopReading();
    const { channelsFile } = await import('./channels-client.mjs');
    await until(() => server.main((wsb, kit, file, given) => {
      for (let n = 0; n < 100; n++) require(file).sendMessage(given, 'x'.repeat(10_000));
      return !wsb.isOpen(given);
    }, channelsFile, id), 'its end');
    const { dropped, closes } = await server.main((wsb) => wsb.stats());
    assert.equal(closes.maxBackpressure, 1, JSON.stringify({ dropped, closes }));
    assert.equal(dropped[overflow], 0);
    one.destroy();
    await publish(server, 'chat:1', 'x');
  });
}
