// `wsbroker/channels`: the server's end of the subprotocol `wsbroker.v1`, as docs/protocol.md has it.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { call, channelsFile, connect, greet, position, PROTOCOL, publish, secret, serve } from './channels-client.mjs';
import { failure, until } from './harness.mjs';

const HEAD = { offset: 0 };
const since = (at, offset) => ({ ...at, offset });

test('a client subscribes, publishes, asks and is told', async (t) => {
  const server = await serve(t);
  const at = await position(server, 'chat:1');
  const one = await greet(server, { token: 'ann' });
  assert.equal(one.client.ws.protocol, PROTOCOL);
  assert.deepEqual(await one.subscribe('chat:1').hear(), { type: 'subscribed', channel: 'chat:1', recovered: true, replayed: 0, position: at });
  const { type, ...asked } = await server.told.next('authorize');
  assert.deepEqual([type, asked], ['authorize', { id: one.id, channel: 'chat:1', token: 'ann', action: 'subscribe' }]);

  one.say({ type: 'publish', id: 'a', channel: 'chat:1', data: 'hello' });
  const heard = await one.hearAll(2);
  const published = { type: 'published', id: 'a', position: since(at, 1), duplicate: false };
  assert.deepEqual(heard.find((message) => message.type === 'published'), published);
  assert.ok(heard.includes('1 chat:1\nhello'));
  assert.equal((await server.told.next('authorize')).action, 'publish');
  assert.deepEqual(await one.say({ type: 'publish', id: 'a', channel: 'chat:1', data: 'hello' }).hear(), { ...published, duplicate: true });

  one.say({ type: 'publish', id: 'b', channel: 'chat:1', base64: Buffer.from([1, 0, 255]).toString('base64') });
  const binary = (await one.hearAll(2)).find((message) => Buffer.isBuffer(message));
  assert.deepEqual(binary, Buffer.concat([Buffer.from('2 chat:1\n'), Buffer.from([1, 0, 255])]));

  assert.deepEqual(await one.say({ type: 'request', id: 7, data: { a: [null] } }).hear(), { type: 'response', id: 7, data: { a: [null] } });
  assert.equal(await call(server, 'sendMessage', one.id, { hi: 1 }), 1);
  assert.deepEqual(await one.hear(), { type: 'message', data: { hi: 1 } });
  assert.deepEqual(await one.say('{"type":"ping"}').hear(), { type: 'pong' });

  assert.deepEqual(await one.say({ type: 'unsubscribe', channels: ['chat:1', 'never'] }).hearAll(2), [
    { type: 'unsubscribed', channel: 'chat:1' },
    { type: 'unsubscribed', channel: 'never' },
  ]);
  await publish(server, 'chat:1', 'not for it');
  assert.deepEqual(await one.settled(), []);
  one.say({ type: 'token', token: 'bob' }).subscribe('chat:2');
  await one.hear();
  assert.equal((await server.told.next('authorize', ({ channel }) => channel === 'chat:2')).token, 'bob');
  assert.deepEqual(server.told.of('error'), []);
});

test('a client without the subprotocol has the handlers of a worker module', async (t) => {
  const server = await serve(t, { more: `handleLost(id, channel) { wsb.send(id, 'lost ' + channel); }, handleBinaryMessage(bytes, id) { wsb.send(id, 'bytes'); },` });
  const plain = await server.connect();
  plain.send('{"type":"ping"}');
  assert.equal(await plain.next(), 'plain: {"type":"ping"}');
  plain.send(Buffer.from('x'));
  assert.equal(await plain.next(), 'bytes');
  assert.equal(await call(server, 'sendMessage', plain.id, 'x'), 0);
  await server.main((wsb, kit, id) => void wsb.recover(id, 'chat:1', 'now'), plain.id);
  await publish(server, 'chat:1', 'x');
  assert.equal(await plain.next(), '1 chat:1\nx');
  await server.main((wsb) => wsb.deleteHistory('chat:1'));
  assert.equal(await plain.next(), 'lost chat:1');
});

test('a plain client that has lost messages is closed if there is no handler for that', async (t) => {
  const server = await serve(t);
  const plain = await server.connect();
  await server.main((wsb, kit, id) => void wsb.recover(id, 'chat:1', 'now'), plain.id);
  await publish(server, 'chat:1', 'x');
  await server.main((wsb) => wsb.deleteHistory('chat:1'));
  assert.deepEqual(await plain.end(), { code: 4009, reason: 'history lost' });
});

test('what was missed comes behind the announcement, whose position is where it begins', async (t) => {
  const server = await serve(t, { options: { ioThreads: 2, threads: 2 } });
  const at = await position(server, 'chat:1');
  for (const data of ['one', 'two', 'three']) await publish(server, 'chat:1', data);
  const heard = async (wanted, count) => {
    const speaker = await greet(server);
    return speaker.subscribe('chat:1', wanted).hearAll(count);
  };
  const told = (recovered, replayed, offset, epoch = at.epoch) => ({ type: 'subscribed', channel: 'chat:1', recovered, replayed, position: { offset, epoch } });
  assert.deepEqual(await heard(since(at, 1), 3), [told(true, 2, 1), '2 chat:1\ntwo', '3 chat:1\nthree']);
  assert.deepEqual(await heard(since(at, 0), 4), [told(true, 3, 0), '1 chat:1\none', '2 chat:1\ntwo', '3 chat:1\nthree']);
  assert.deepEqual(await heard('latest', 2), [told(true, 1, 2), '3 chat:1\nthree']);
  assert.deepEqual(await heard('now', 1), [told(true, 0, 3)]);
  assert.deepEqual(await heard(undefined, 1), [told(true, 0, 3)]);
  assert.deepEqual(await heard(since(at, 3), 1), [told(true, 0, 3)]);
  assert.deepEqual(await heard(since(at, 4), 1), [told(false, 0, 3)]);
  assert.deepEqual(await heard({ offset: 1, epoch: 'another' }, 1), [told(false, 0, 3)]);

  // The name in a frame is percent-encoded where it has to be, in JSON it is as it is.
  const odd = await greet(server);
  await publish(server, 'é\n"\\%\u{1f600}', 'x');
  const [announced, frame] = await odd.subscribe('é\n"\\%\u{1f600}', 'latest').hearAll(2);
  assert.deepEqual([announced.channel, frame], ['é\n"\\%\u{1f600}', '1 é%0A"\\%25\u{1f600}\nx']);
});

test('the announcement comes before every frame of the channel, however much is published meanwhile', async (t) => {
  const server = await serve(t, { options: { ioThreads: 2, threads: 2, history: [{ channels: 'chat:*', size: 5_000 }] } });
  const at = await position(server, 'chat:1');
  await server.main((wsb) => {
    let n = 0;
    globalThis.ticking = setInterval(() => {
      for (let i = 0; i < 5 && n < 4_000; i++) void wsb.publish('chat:1', String(++n));
    }, 1);
  });
  for (let round = 0; round < 20; round++) {
    const speaker = await greet(server);
    speaker.subscribe('chat:1', round % 2 === 0 ? since(at, 0) : 'now');
    const first = await speaker.hear();
    assert.equal(first.type, 'subscribed');
    let { offset } = first.position;
    for (const frame of await speaker.hearAll(20)) assert.equal(frame.split('\n')[0], `${++offset} chat:1`);
    speaker.client.ws.terminate();
  }
  await server.main(() => clearInterval(globalThis.ticking));
});

test('what authorize grants bounds what a client sees', async (t) => {
  const server = await serve(t, {
    more: `async authorize(id, channel, { token }) { await null; return JSON.parse(token); },`,
  });
  const at = await position(server, 'chat:1');
  for (const data of ['one', 'two', 'three']) await publish(server, 'chat:1', data);
  const outcome = async (grant, wanted) => {
    const speaker = await greet(server, { token: JSON.stringify(grant) });
    const [told] = await speaker.subscribe('chat:1', wanted).hearAll(1);
    const { recovered, replayed } = told;
    assert.equal(told.type, 'subscribed');
    return [recovered, replayed];
  };
  const joined = { since: since(at, 2) };
  assert.deepEqual(await outcome(joined), [true, 1], 'a newcomer begins there');
  assert.deepEqual(await outcome(joined, since(at, 2)), [true, 1]);
  assert.deepEqual(await outcome(joined, since(at, 1)), [false, 0], 'not before');
  assert.deepEqual(await outcome(joined, 'latest'), [true, 1]);
  assert.deepEqual(await outcome({ since: since(at, 3) }, 'latest'), [true, 0]);
  assert.deepEqual(await outcome({ since: 'now' }), [true, 0]);
  assert.deepEqual(await outcome({ since: 'now' }, since(at, 2)), [false, 0]);
  assert.deepEqual(await outcome({ since: 'now' }, since(at, 3)), [true, 0]);
  assert.deepEqual(await outcome({ since: { offset: 9, epoch: 'earlier' } }, since(at, 1)), [true, 2], 'all that there is came later');
  assert.deepEqual(await outcome({ maxReplay: 2 }, since(at, 1)), [true, 2]);
  assert.deepEqual(await outcome({ maxReplay: 1 }, since(at, 1)), [false, 0]);
  assert.deepEqual(await outcome({ maxReplay: 0 }, 'latest'), [true, 0]);
});

test('a client that is not allowed is refused, and a channel that cannot be subscribed looks the same', async (t) => {
  const server = await serve(t, {
    more: `authorize(id, channel, { token, action }) { return (0, eval)(token)(channel, action); }, timeout: 50,`,
    options: { maxChannelNameLength: 20, maxChannelsPerSocket: 1 },
  });
  const refused = (channel, reason) => ({ type: 'refused', channel, reason });
  const no = async (token, channel = 'chat:1') => {
    const speaker = await greet(server, { token });
    return (await speaker.subscribe(channel).hear());
  };
  for (const token of ['() => false', '() => Promise.resolve(false)']) assert.deepEqual(await no(token), refused('chat:1', 'forbidden'));
  assert.deepEqual(server.told.of('error'), []);
  const wrong = [
    ['() => { throw new Error("oh") }', /^oh$/],
    ['() => Promise.reject(new Error("oh"))', /^oh$/],
    ['() => new Promise(() => {})', /^authorize did not settle within 50 ms/],
    ['() => {}', /^authorize: the result must be true, false, or an object .* got undefined/],
    ['() => 1', /got number/],
    ['() => ({ sinse: "now" })', /unknown option "sinse".*"since"/],
    ['() => ({ since: "latest" })', /^authorize: "since" must be a position or 'now'/],
    ['() => ({ since: { offset: -1, epoch: "" } })', /offset/],
    ['() => ({ maxReplay: -1 })', /maxReplay/],
    ['() => ({ sender: 7 })', /"sender" must be a string/],
  ];
  for (const [token, message] of wrong) {
    assert.deepEqual(await no(token), refused('chat:1', 'forbidden'), token);
    const { error, handler } = await server.told.next('error');
    assert.match(error.message, message);
    assert.equal(handler, 'authorize');
  }
  for (const channel of ['unknown', 'bare:1', '']) assert.deepEqual(await no('() => true', channel), refused(channel, 'forbidden'));
  assert.deepEqual(await no('() => true', 'chat:45678901234567890'), refused('chat:45678901234567890', 'limit'));

  const one = await greet(server, { token: '() => true' });
  one.say({ type: 'subscribe', channels: [{ channel: 'chat:1' }, { channel: 'chat:1' }] });
  assert.deepEqual((await one.hearAll(2)).map(({ type, reason }) => reason ?? type).sort(), ['subscribed', 'subscribed']);
  assert.deepEqual(await one.subscribe('chat:1').hear(), refused('chat:1', 'subscribed'));
  assert.deepEqual(await one.subscribe('chat:2').hear(), refused('chat:2', 'limit'));
  one.say({ type: 'token', token: '() => false' });
  for (const channel of ['chat:1', 'unknown', 'bare:1']) {
    assert.deepEqual(await one.say({ type: 'publish', id: 'a', channel, data: 'x' }).hear(), { type: 'failed', id: 'a', reason: 'forbidden' });
  }
  assert.deepEqual(await one.say({ type: 'publish', id: 'a', channel: 'chat:45678901234567890', data: 'x' }).hear(), { type: 'failed', id: 'a', reason: 'limit' });
});

/** `authorize` waits until the test lets it go on, and tells when it is called. */
const HELD = `
  authorize(id, channel, { action }) {
    kit.tell('asked', { channel, action });
    return new Promise((resolve) => (globalThis.held ??= []).push(resolve));
  },
  handleRequest: (id, data) => (0, eval)(data)(wsb, id),`;
const release = (speaker, grant = true) => speaker.say({ type: 'request', id: 'release', data: `() => globalThis.held.shift()(${JSON.stringify(grant)})` });
const ofKind = (messages, type) => messages.filter((message) => message.type === type);

test('what was allowed to a client that has unsubscribed meanwhile is dropped', async (t) => {
  const server = await serve(t, { more: HELD });
  const one = await greet(server);
  one.subscribe('chat:1');
  await server.told.next('asked');
  assert.deepEqual(await one.subscribe('chat:1').hear(), { type: 'refused', channel: 'chat:1', reason: 'subscribed' }, 'one at a time');
  assert.deepEqual(await one.say({ type: 'unsubscribe', channels: ['chat:1'] }).hear(), { type: 'unsubscribed', channel: 'chat:1' });
  await release(one).hear();
  one.subscribe('chat:1');
  await server.told.next('asked');
  assert.equal(await server.main((wsb, kit, id) => wsb.isSubscribed(id, 'chat:1'), one.id), false);
  release(one);
  assert.equal(ofKind(await one.hearAll(2), 'subscribed').length, 1);
  await publish(server, 'chat:1', 'x');
  assert.equal(await one.hear(), '1 chat:1\nx');
});

test('what was allowed to a client that has closed meanwhile is dropped', async (t) => {
  const server = await serve(t, { more: HELD });
  const [gone, other] = [await greet(server), await greet(server)];
  gone.subscribe('chat:1').say({ type: 'publish', id: 'a', channel: 'chat:1', data: 'x' });
  await server.told.next('asked');
  await server.told.next('asked');
  await gone.client.close();
  await server.told.next('close');
  await release(other).hear();
  await release(other).hear();
  assert.equal((await position(server, 'chat:1')).offset, 0);
  assert.equal(await server.main((wsb) => wsb.subscriberCount('chat:1')), 0);
});

test('a right that is revoked while it is granted is asked about again', async (t) => {
  const server = await serve(t, { more: HELD });
  const one = await greet(server);
  one.subscribe('chat:1');
  await server.told.next('asked');
  assert.equal(await call(server, 'revoke', one.id, 'chat:1'), false, 'it is not in it yet');
  await release(one).hear();
  await server.told.next('asked');
  release(one, false);
  assert.deepEqual(ofKind(await one.hearAll(2), 'refused'), [{ type: 'refused', channel: 'chat:1', reason: 'forbidden' }]);

  one.subscribe('chat:1');
  await server.told.next('asked');
  release(one);
  assert.equal(ofKind(await one.hearAll(2), 'subscribed').length, 1);
  await publish(server, 'chat:1', 'x');
  assert.equal(await call(server, 'revoke', one.id, 'chat:1'), true);
  await publish(server, 'chat:1', 'y');
  assert.deepEqual(await one.hearAll(2), ['1 chat:1\nx', { type: 'unsubscribed', channel: 'chat:1', reason: 'forbidden' }]);
  await failure(call(server, 'revoke', one.id, 7), { code: 'ERR_WSBROKER_INVALID_ARG_TYPE', message: /^revoke: "channel"/ });
  assert.equal(await call(server, 'revoke', 999_999, 'chat:1'), false);
});

test('authorize runs at most 8 times at once for a socket, and 1,000 channels wait', async (t) => {
  const server = await serve(t, { more: HELD });
  const one = await greet(server);
  const names = Array.from({ length: 1_000 }, (_, n) => ({ channel: `chat:${n}` }));
  for (let from = 0; from < 1_000; from += 100) one.say({ type: 'subscribe', channels: names.slice(from, from + 100) });
  await one.say({ type: 'request', id: 1, data: '() => 1' }).hear();
  assert.equal(server.told.of('asked').length, 8);
  release(one);
  await one.hearAll(2);
  assert.deepEqual(await one.say({ type: 'request', id: 1, data: '() => 1' }).hear(), { type: 'response', id: 1, data: 1 });
  assert.deepEqual(server.told.of('asked').map(({ channel }) => channel), names.slice(0, 9).map(({ channel }) => channel));
  one.say({ type: 'subscribe', channels: [{ channel: 'a' }, { channel: 'b' }] });
  assert.deepEqual(await one.client.end(), { code: 4400, reason: 'more than 1000 channels are being subscribed' });
});

test('who subscribes and unsubscribes in turns has no more than 1,000 wait, and those are not asked about', async (t) => {
  const server = await serve(t, { more: HELD });
  const one = await greet(server);
  const round = (n) => {
    const names = Array.from({ length: 100 }, (_, i) => `chat:${n} ${i}`);
    one.say({ type: 'subscribe', channels: names.map((channel) => ({ channel })) }, { type: 'unsubscribe', channels: names });
  };
  for (let n = 0; n < 10; n++) round(n);
  await one.hearAll(1_000);
  for (let i = 0; i < 8; i++) await release(one).hear();
  assert.deepEqual(await one.say({ type: 'request', id: 1, data: '() => 1' }).hear(), { type: 'response', id: 1, data: 1 });
  assert.deepEqual(server.told.of('asked').map(({ channel }) => channel), Array.from({ length: 8 }, (_, i) => `chat:0 ${i}`));
  for (let n = 0; n < 11; n++) round(n);
  const { code, reason } = await one.client.end();
  assert.deepEqual([code, reason], [4400, 'more than 1000 channels are being subscribed']);
});

test('a new token counts for what comes behind it, and not for what waits', async (t) => {
  const server = await serve(t, {
    more: `
      authorize(id, channel, { token, action }) {
        kit.tell('asked', { what: action + ' ' + channel, token });
        return new Promise((resolve) => (globalThis.held ??= []).push(() => resolve({ sender: token })));
      },
      handlePublish(id, channel, data, { token, sender }) { kit.tell('published', { data, token, sender }); },
      handleRequest: (id, data) => (0, eval)(data)(wsb, id),`,
  });
  const one = await greet(server, { token: 'ann' });
  const publish = (id) => ({ type: 'publish', id, channel: 'chat:0', data: id });
  one.say(publish('by-ann'));
  // More than are asked about at a time.
  for (let n = 1; n <= 9; n++) one.subscribe(`chat:${n}`);
  one.say({ type: 'token', token: 'bob' }).subscribe('chat:10').say(publish('by-bob'));
  one.say({ type: 'request', id: 'release', data: `() => { globalThis.held.push = (f) => f(); for (const f of globalThis.held.splice(0)) f(); }` });
  assert.equal((await one.hearAll(13)).length, 13);
  const asked = server.told.of('asked').map(({ what, token }) => `${what}: ${token}`);
  const subscriptions = Array.from({ length: 10 }, (_, i) => `subscribe chat:${i + 1}: ${i < 9 ? 'ann' : 'bob'}`);
  assert.deepEqual(asked.sort(), ['publish chat:0: ann', 'publish chat:0: bob', ...subscriptions].sort());
  assert.deepEqual(server.told.of('published').map(({ type, ...published }) => published), [
    { data: 'by-ann', token: 'ann', sender: 'ann' },
    { data: 'by-bob', token: 'bob', sender: 'bob' },
  ]);
});

test('publishes keep their order, and at most 64 are in hand', async (t) => {
  const server = await serve(t, { more: HELD });
  const one = await greet(server);
  const ids = Array.from({ length: 65 }, (_, n) => `${n}`);
  for (const id of ids) one.say({ type: 'publish', id, channel: 'chat:1', data: id });
  assert.deepEqual(await one.hear(), { type: 'failed', id: '64', reason: 'limit' });
  const requested = await one.say({ type: 'request', id: 'r', data: '() => 1' }).hear();
  assert.deepEqual(requested, { type: 'failed', id: 'r', reason: 'limit' });
  // The newest of the eight is allowed first.
  const other = await greet(server);
  await other.say({ type: 'request', id: 1, data: `() => { globalThis.held.reverse(); globalThis.held.push = (f) => f(true); for (const f of globalThis.held.splice(0)) f(true); }` }).hear();
  assert.deepEqual((await one.hearAll(64)).map(({ type, id, position: { offset } }) => [type, id, offset]), ids.slice(0, 64).map((id, n) => ['published', id, n + 1]));
});

test('an id belongs to its sender', async (t) => {
  const server = await serve(t, { more: `authorize: (id, channel, { token }) => (token === undefined ? true : { sender: token }),` });
  const published = async (speaker) => {
    const { type, position: { offset }, duplicate } = await speaker.say({ type: 'publish', id: 'a', channel: 'chat:1', data: 'x' }).hear();
    return [type, offset, duplicate];
  };
  const long = 'x'.repeat(5_000);
  assert.deepEqual(await published(await greet(server, { token: 'ann' })), ['published', 1, false]);
  assert.deepEqual(await published(await greet(server, { token: 'ann', client: secret(7) })), ['published', 1, true], 'another connection of this sender');
  assert.deepEqual(await published(await greet(server, { token: 'bob' })), ['published', 2, false]);
  assert.deepEqual(await published(await greet(server, { client: secret(1) })), ['published', 3, false]);
  assert.deepEqual(await published(await greet(server, { client: secret(1) })), ['published', 3, true]);
  assert.deepEqual(await published(await greet(server, { client: secret(2) })), ['published', 4, false]);
  assert.deepEqual(await published(await greet(server, { token: `client ${secret(1)}` })), ['published', 5, false]);
  assert.deepEqual(await published(await greet(server, { token: long })), ['published', 6, false]);
  assert.deepEqual(await published(await greet(server, { token: long })), ['published', 6, true]);
  assert.deepEqual(await published(await greet(server, { token: `${long}y` })), ['published', 7, false]);
});

test('handlePublish changes and refuses, and of errors a client learns what it is to learn', async (t) => {
  const server = await serve(t, {
    more: `
      authorize: () => ({ sender: 'ann' }),
      handlePublish: (id, channel, data, context) => (0, eval)(data)(channels, context, channel),
      handleRequest: (id, data) => (0, eval)(data)(channels), timeout: 50,`,
  });
  const one = await greet(server, { token: 'tok' });
  await one.subscribe('chat:1').hear();
  const failed = async (data) => {
    const { reason, message } = await one.say({ type: 'publish', id: 'x', channel: 'chat:1', data }).hear();
    return [reason, message].filter(Boolean).join(' ');
  };
  const idOf = (n) => `id${n}`;
  let n = 0;
  const through = async (data) => (await one.say({ type: 'publish', id: idOf(++n), channel: 'chat:1', data }).hearAll(2)).find((message) => message.type === undefined).split('\n')[1];
  assert.equal(await through('() => true'), '() => true');
  assert.equal(await through('() => {}'), '() => {}');
  assert.equal(await through('async () => "other"'), 'other');
  assert.deepEqual(JSON.parse(await through('(channels, context, channel) => JSON.stringify({ ...context, channel })')), { id: idOf(n), token: 'tok', sender: 'ann', channel: 'chat:1' });
  assert.equal(await failed('() => false'), 'forbidden');
  assert.equal(await failed('({ RequestError }) => { throw new RequestError("not so") }'), 'error not so');
  assert.deepEqual(server.told.of('error'), []);
  for (const [source, message] of [['() => { throw new Error("secret") }', /^secret$/], ['() => 7', /^handlePublish: the result must be/], ['() => new Promise(() => {})', /^handlePublish did not settle within 50 ms/]]) {
    assert.equal(await failed(source), 'error');
    const { error, handler } = await server.told.next('error');
    assert.match(error.message, message);
    assert.equal(handler, 'handlePublish');
  }
  const ask = async (source) => {
    const { type, id, ...rest } = await one.say({ type: 'request', id: 'r', data: source }).hear();
    assert.equal(id, 'r');
    return { type, ...rest };
  };
  assert.deepEqual(await ask('() => {}'), { type: 'response', data: null });
  assert.deepEqual(await ask('async () => [1]'), { type: 'response', data: [1] });
  assert.deepEqual(await ask('({ RequestError }) => Promise.reject(new RequestError("no room"))'), { type: 'failed', reason: 'error', message: 'no room' });
  for (const source of ['() => { throw new Error("secret") }', '() => 1n', '() => new Promise(() => {})']) {
    assert.deepEqual(await ask(source), { type: 'failed', reason: 'error' });
    assert.equal((await server.told.next('error')).handler, 'handleRequest');
  }
  assert.equal((await position(server, 'chat:1')).offset, n);
});

test('a client that has lost messages is told before it goes on', async (t) => {
  const server = await serve(t);
  const one = await greet(server);
  await one.subscribe('chat:1').hear();
  await publish(server, 'chat:1', 'x');
  assert.equal(await one.hear(), '1 chat:1\nx');
  await server.main((wsb) => wsb.deleteHistory('chat:1'));
  const at = await position(server, 'chat:1');
  assert.deepEqual(await one.hear(), { type: 'lost', channel: 'chat:1', position: { ...HEAD, epoch: at.epoch } });
  await publish(server, 'chat:1', 'y');
  assert.equal(await one.hear(), '1 chat:1\ny');
});

test('replays have a budget, of a socket and of an address', async (t) => {
  for (const [rate, isShared] of [['socket', false], ['address', true]]) {
    const server = await serve(t, { more: `replayRate: { ${rate}: 1 },` });
    await publish(server, 'chat:1', 'x'.repeat(100));
    const [one, two] = [await greet(server), await greet(server)];
    const outcome = async (speaker, wanted) => {
      const { type, reason } = await speaker.subscribe('chat:1', wanted).hear();
      if (type === 'subscribed') await speaker.say({ type: 'unsubscribe', channels: ['chat:1'] }).hearAll(wanted === 'latest' ? 2 : 1);
      return reason ?? type;
    };
    assert.equal(await outcome(one, 'latest'), 'subscribed');
    assert.equal(await outcome(one, 'latest'), 'unavailable', rate);
    assert.equal(await outcome(one, 'now'), 'subscribed', 'nothing is replayed');
    assert.equal(await outcome(two, 'latest'), isShared ? 'unavailable' : 'subscribed', rate);
  }
});

test('a replay within a moment of its budget waits', async (t) => {
  const server = await serve(t, { more: 'replayRate: { socket: 100_000 },' });
  await publish(server, 'chat:1', 'x'.repeat(120_000));
  const one = await greet(server);
  for (let round = 0; round < 2; round++) {
    const [told] = await one.subscribe('chat:1', 'latest').hearAll(2);
    assert.deepEqual([told.type, told.replayed], ['subscribed', 1]);
    await one.say({ type: 'unsubscribe', channels: ['chat:1'] }).hear();
  }
});

test('the subprotocol is shown for a connection, and wrong options are named', async (t) => {
  const server = await serve(t);
  const one = await greet(server, { token: 'secret' });
  const info = await server.main((wsb, kit, id) => wsb.info(id), one.id);
  assert.equal(info.protocol, PROTOCOL);
  assert.ok(!JSON.stringify(info).includes('secret'));
  const options = await server.main((wsb, kit, file) => {
    const { serveChannels } = require(file);
    const failed = (given) => { try { serveChannels(given); } catch (error) { return `${error.code}: ${error.message}`; } };
    const authorize = () => true;
    return [undefined, {}, { authorize: 1 }, { authorize, handleOpn() {} }, { authorize, timeout: 0 }, { authorize, replayRate: { socket: 0 } }, { authorize, replayRate: { sokcet: 1 } }, { authorize, handleRequest: 1 }].map(failed);
  }, channelsFile);
  assert.deepEqual(options.map((text) => text.replace(/^ERR_WSBROKER_/, '')), [
    'INVALID_ARG_TYPE: serveChannels: "options" must be an object, got undefined',
    'INVALID_ARG_TYPE: serveChannels: "authorize" must be a function, got undefined',
    'INVALID_ARG_TYPE: serveChannels: "authorize" must be a function, got number',
    'UNKNOWN_OPTION: serveChannels: unknown option "handleOpn"; did you mean "handleOpen"?',
    'INVALID_ARG_VALUE: serveChannels: "timeout" must be an integer from 1 to 2147483647, got 0',
    'INVALID_ARG_VALUE: serveChannels: "replayRate.socket" must be an integer from 1 to 2147483647, got 0',
    'UNKNOWN_OPTION: serveChannels: unknown option "sokcet" in "replayRate"; did you mean "socket"?',
    'INVALID_ARG_TYPE: serveChannels: "handleRequest" must be a function, got number',
  ]);
});

test('handleOpen decides, and may choose another subprotocol', async (t) => {
  const server = await serve(t, {
    more: `handleOpen(id, ip, headers, { query }) { kit.tell('open', { id, tag: headers['x-tag'] }); return (0, eval)(decodeURIComponent(query))(); },`,
  });
  const open = (source, protocols = [PROTOCOL, 'other']) => server.connect(`/?${encodeURIComponent(source)}`, { protocols, perMessageDeflate: false });
  for (const source of ['() => true', '() => {}', 'async () => ({ headers: { a: "b" } })', '() => ({ protocol: "wsbroker.v1" })']) {
    const { ws } = await open(source);
    assert.equal(ws.protocol, PROTOCOL, source);
  }
  const other = await open('() => ({ protocol: "other" })');
  assert.equal(other.ws.protocol, 'other');
  other.send('{"type":"ping"}');
  assert.equal(await other.next(), 'plain: {"type":"ping"}');
  for (const [source, status] of [['() => false', 403], ['() => ({ status: 402 })', 402], ['() => { throw new Error() }', 403], ['() => 7', 500]]) {
    assert.equal((await server.refused(`/?${encodeURIComponent(source)}`, { protocols: [PROTOCOL] })).status, status, source);
  }
});

test('connections of a worker that ends are closed, so that their clients come back', async (t) => {
  const server = await serve(t);
  const one = await greet(server);
  await one.subscribe('chat:1').hear();
  await server.main((wsb) => wsb.reloadWorkers());
  assert.equal((await one.client.end()).code, 1012);
  const again = await greet(server);
  assert.equal((await again.subscribe('chat:1').hear()).recovered, true);
});

test('a connection that does not say hello is closed', async (t) => {
  const server = await serve(t);
  const silent = await connect(server);
  const hasty = await connect(server);
  hasty.say({ type: 'subscribe', channels: [] });
  assert.deepEqual(await hasty.client.end(), { code: 4401, reason: 'hello expected' });
  const spoke = await greet(server);
  silent.say('{"type":"ping"}');
  assert.deepEqual(await silent.hear(), { type: 'pong' }, 'a ping is not a hello');
  assert.deepEqual(await silent.client.end(30_000), { code: 4401, reason: 'hello expected' });
  assert.deepEqual(await spoke.settled(), []);
});
