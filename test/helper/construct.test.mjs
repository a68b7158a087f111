// Sections 1, 2, 4 and 15: what is exported, what a helper is made of, what it shows.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import * as esm from 'wsbroker/server-helper';
import { FakeLog, FakeRedis, FakeServer } from './fakes.mjs';
import { lib, spy, turns, world } from './world.mjs';

const { WebSocketServerHelper, WebSocketEmitter, WSBrokerError } = lib;
const make = (options) => new WebSocketServerHelper({ identifier: 'x', redisConnection: new FakeRedis(), server: new FakeServer(), authenticateFn: () => null, ...options });
const caught = (fn) => {
  try {
    fn();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was thrown');
};

test('both module systems see one copy of everything', () => {
  const names = ['WSBrokerError', 'WebSocketChannels', 'WebSocketClientStates', 'WebSocketDefaults', 'WebSocketEmitter', 'WebSocketEvents', 'WebSocketMessageTypes', 'WebSocketServerHelper'];
  assert.deepEqual(Object.keys(lib).sort(), names);
  for (const name of names) assert.equal(esm[name], lib[name], name);
  assert.equal(WSBrokerError, createRequire(import.meta.url)('../../lib/errors.cjs').WSBrokerError);
});

test('constants have the values that others rely on', () => {
  const lower = (names) => Object.fromEntries(names.map((name) => [name, name.toLowerCase()]));
  for (const [type, names] of [
    [lib.WebSocketEvents, ['AUTHENTICATE', 'CONNECTED', 'DISCONNECT', 'JOIN', 'LEAVE', 'ERROR', 'HEARTBEAT', 'ENCRYPTED']],
    [lib.WebSocketMessageTypes, ['CLIENT', 'USER', 'ROOM', 'BROADCAST']],
    [lib.WebSocketClientStates, ['UNAUTHORIZED', 'AUTHENTICATING', 'AUTHENTICATED', 'DISCONNECTED']],
  ]) {
    const { SCHEME_SET, isValid, ...values } = type;
    assert.deepEqual(values, lower(names));
    assert.ok(SCHEME_SET instanceof Set);
    assert.deepEqual([...SCHEME_SET], names.map((name) => name.toLowerCase()));
    assert.ok(names.every((name) => type.isValid(name.toLowerCase())));
    assert.equal(isValid(names[0]), false, 'case matters');
    assert.equal(type.isValid('other'), false);
  }
  const { WebSocketChannels: channels } = lib;
  assert.deepEqual([channels.BROADCAST, channels.ROOM_PREFIX, channels.CLIENT_PREFIX, channels.USER_PREFIX], ['ws:broadcast', 'ws:room:', 'ws:client:', 'ws:user:']);
  assert.deepEqual([channels.forRoom({ room: 'a*' }), channels.forClient({ clientId: 'b' }), channels.forUser({ userId: 'c' })], ['ws:room:a*', 'ws:client:b', 'ws:user:c']);
  assert.deepEqual([channels.forRoomPattern(), channels.forClientPattern(), channels.forUserPattern()], ['ws:room:*', 'ws:client:*', 'ws:user:*']);
  assert.deepEqual({ ...lib.WebSocketDefaults }, {
    PATH: '/ws', ROOM: 'ws-default', NOTIFICATION_ROOM: 'ws-notification', BROADCAST_TOPIC: 'ws:internal:broadcast', MAX_PAYLOAD_LENGTH: 131072, IDLE_TIMEOUT: 60,
    BACKPRESSURE_LIMIT: 1048576, SEND_PINGS: true, PUBLISH_TO_SELF: false, AUTH_TIMEOUT: 5000, HEARTBEAT_INTERVAL: 30000, HEARTBEAT_TIMEOUT: 90000, ENCRYPTED_BATCH_LIMIT: 10,
  });
});

test('identifier, scope and logger are there to be read', () => {
  const logger = { for: () => logger, debug() {}, info() {}, warn() {}, error() {} };
  const helper = make({ identifier: 'mine', logger });
  assert.deepEqual([helper.identifier, helper.getIdentifier(), helper.scope], ['mine', 'mine', 'WebSocketServerHelper']);
  assert.equal(helper.getLogger(), logger);
  assert.equal(helper.logger, logger);
  assert.equal(typeof make().getLogger().warn, 'function', 'there is one by default');
});

test('a subclass keeps the scope of the class', () => {
  class Mine extends WebSocketServerHelper {}
  assert.equal(new Mine({ identifier: 'x', redisConnection: new FakeRedis(), authenticateFn: () => null }).scope, 'WebSocketServerHelper');
});

test('a default replaces undefined and null, and nothing else', async (t) => {
  assert.equal(make().getPath(), '/ws');
  assert.equal(make({ path: undefined }).getPath(), '/ws');
  assert.equal(make({ path: null }).getPath(), '/ws');
  assert.equal(make({ path: '' }).getPath(), '');
  const rooms = async (defaultRooms) => [...(await (await world(t, { defaultRooms })).member({}, { id: 'one' })).entry.rooms];
  assert.deepEqual(await rooms(undefined), ['one', 'ws-default', 'ws-notification']);
  assert.deepEqual(await rooms(null), ['one', 'ws-default', 'ws-notification']);
  assert.deepEqual(await rooms([]), ['one']);
  assert.deepEqual(await rooms(['ws:any', 'b']), ['one', 'ws:any', 'b'], 'without the checks of what clients ask for');
});

test('serverOptions are spread over their defaults, an explicit undefined too, and all seven are own keys of the handler', () => {
  const seven = (serverOptions) => {
    const { open, message, close, drain, ...rest } = make({ serverOptions }).getBunWebSocketHandler();
    assert.ok([open, message, close, drain].every((fn) => typeof fn === 'function'));
    return rest;
  };
  const defaults = {
    perMessageDeflate: undefined, maxPayloadLength: 131072, idleTimeout: 60, backpressureLimit: 1048576, closeOnBackpressureLimit: undefined, sendPings: true, publishToSelf: false,
  };
  assert.deepEqual(seven(undefined), defaults);
  assert.deepEqual(Object.keys(seven(undefined)).length, 7, 'own keys also where they are undefined');
  const given = { perMessageDeflate: true, maxPayloadLength: 0, idleTimeout: undefined, sendPings: false };
  assert.deepEqual(seven(given), { ...defaults, perMessageDeflate: true, maxPayloadLength: 0, idleTimeout: undefined, sendPings: false });
});

test('what cannot be a Redis is refused, and nothing is left', () => {
  const duplicated = new FakeRedis((one) => (one.does.disconnect = () => undefined));
  let calls = 0;
  const half = { duplicate: () => (calls++ === 0 ? duplicated : assert.fail('no second')) };
  const secret = 'http://user:secret@host';
  for (const given of [undefined, null, 0, '', false, 'localhost', secret, 5, [], () => 0, new Map(), new Date(), { getClient: () => ({}) }, { getClient: () => null }, { getClient: () => { throw new Error('no'); } }, half]) {
    for (const [type, scope, more] of [[WebSocketServerHelper, 'WebSocketServerHelper', { identifier: 'x', authenticateFn: () => null }], [WebSocketEmitter, 'WebSocketEmitter', {}]]) {
      if (given === half && type === WebSocketEmitter) continue;
      const error = caught(() => new type({ redisConnection: given, ...more }));
      assert.ok(error instanceof WSBrokerError);
      assert.equal(error.code, 'ERR_WSBROKER_INVALID_REDIS');
      assert.equal(error.message, `[${scope}] Invalid redis connection!`);
      assert.equal(error.statusCode, 500);
      assert.ok('messageCode' in error && error.messageCode === undefined);
    }
  }
  assert.equal(caught(() => make({ redisConnection: { getClient: () => { throw new RangeError('why'); } } })).cause.message, 'why');
  assert.deepEqual(duplicated.calls, [['disconnect']], 'the first of two duplicates is let go');
});

test('a client of Redis is duplicated twice, an emitter once, and not touched otherwise', () => {
  for (const wrap of [(one) => one, (one) => ({ getClient: () => one })]) {
    const [one, two] = [new FakeRedis(), new FakeRedis()];
    make({ redisConnection: wrap(one) });
    new WebSocketEmitter({ redisConnection: wrap(two) });
    assert.deepEqual(one.calls, [['duplicate'], ['duplicate']]);
    assert.deepEqual(two.calls, [['duplicate']]);
    for (const client of [...one.duplicates, ...two.duplicates]) {
      assert.deepEqual(client.calls, []);
      assert.equal(client.eventNames().length, 0, 'the constructor puts on no handler');
    }
    assert.equal(one.eventNames().length + two.eventNames().length, 0);
  }
  const both = Object.assign(new FakeRedis(), { getClient: () => { throw new Error('asked'); } });
  assert.equal(caught(() => make({ redisConnection: both })).code, 'ERR_WSBROKER_INVALID_REDIS', 'getClient comes before duplicate');
});

test('the constructor starts no timer', (t) => {
  const timers = t.mock.method(globalThis, 'setTimeout');
  const intervals = t.mock.method(globalThis, 'setInterval');
  make();
  assert.equal(timers.mock.callCount() + intervals.mock.callCount(), 0);
});

test('entries are found by id, user and room, and are live', async (t) => {
  const w = await world(t);
  const { helper } = w;
  const map = helper.getClients();
  assert.ok(map instanceof Map);
  assert.equal(helper.getClients({}), map);
  assert.equal(helper.getClients({ id: '' }), map);
  assert.equal(helper.getClients({ id: 'nobody' }), undefined);
  const [a, b, c] = [await w.member({ user: 7 }), await w.member({ user: '7' }), await w.member({ user: 'x' })];
  assert.equal(helper.getClients({ id: a.id }), map.get(a.id));
  assert.deepEqual(helper.getClientsByUser({ userId: '7' }).map(({ id }) => id), [a.id, b.id], 'in the order of their coming');
  assert.deepEqual(helper.getClientsByUser({ userId: 7 }).map(({ id }) => id), [a.id, b.id], 'looked up as it is indexed');
  assert.deepEqual(helper.getClientsByUser({ userId: 'nobody' }), []);
  helper.joinRoom({ clientId: c.id, room: 'r' });
  helper.joinRoom({ clientId: a.id, room: 'r' });
  assert.deepEqual(helper.getClientsByRoom({ room: 'r' }).map(({ id }) => id), [c.id, a.id]);
  assert.deepEqual(helper.getClientsByRoom({ room: 'none' }), []);
  assert.deepEqual([helper.countClients(), helper.countRoom({ room: 'r' }), helper.countRoom({ room: 'none' })], [3, 2, 0]);
  assert.equal(helper.getAddress(), undefined);
});

test('what the application changes in an entry is what counts', async (t) => {
  const w = await world(t, { heartbeatTimeout: 1000 });
  const client = await w.member();
  const sent = [];
  client.entry.socket.send = (text) => sent.push(text);
  w.helper.sendToClient({ clientId: client.id, event: 'a', data: 1 });
  assert.deepEqual(sent, ['{"event":"a","data":1}']);
  const closes = [];
  client.entry.socket.close = (...args) => closes.push(args);
  const entry = client.entry;
  await w.helper.shutdown();
  assert.deepEqual(closes, [[1001, 'Server shutting down']]);
  assert.equal(entry.state, 'disconnected');
});

test('stats start with nothing', async (t) => {
  const w = await world(t, { configured: false });
  const none = { busState: 'idle', busRefused: 0, busFailed: 0, busInvalid: 0, framesDropped: 0 };
  assert.deepEqual(w.helper.getStats(), none);
  await w.helper.configure();
  assert.deepEqual(w.helper.getStats(), { ...none, busState: 'ready' });
  await w.helper.shutdown();
  assert.deepEqual(w.helper.getStats(), none);
});

test('the default logger writes warnings and errors, and the rest only where NODE_DEBUG names wsbroker', async (t) => {
  const written = { error: spy(), warn: spy() };
  t.mock.method(console, 'error', written.error);
  t.mock.method(console, 'warn', written.warn);
  const before = process.env.NODE_DEBUG;
  t.after(() => (before === undefined ? delete process.env.NODE_DEBUG : (process.env.NODE_DEBUG = before)));
  const all = () => {
    const { logger } = make();
    for (const level of ['debug', 'info', 'warn', 'error']) logger.for('part')[level](level);
    const lines = [...written.warn.calls, ...written.error.calls].map(([text]) => text.split(' ').pop());
    written.warn.calls.length = written.error.calls.length = 0;
    return lines.sort();
  };
  delete process.env.NODE_DEBUG;
  assert.deepEqual(all(), ['error', 'warn']);
  process.env.NODE_DEBUG = 'http,wsbroker';
  assert.deepEqual(all(), ['debug', 'error', 'info', 'warn']);
  process.env.NODE_DEBUG = 'wsbrokers';
  assert.deepEqual(all(), ['error', 'warn']);
});

test('a logger that throws or rejects disturbs nothing', async (t) => {
  const bad = () => {
    throw new Error('log');
  };
  const logger = { for: bad, debug: bad, info: bad, warn: async () => bad(), error: bad };
  const w = await world(t, { logger, messageHandler: bad });
  const client = await w.member();
  client.send({ event: 'any' });
  client.send('[]');
  await turns();
  assert.equal(client.ended, undefined);
});

test('an option that nobody knows is refused, with what may have been meant, and nothing is left', () => {
  const redis = new FakeRedis();
  const refused = (Class, options) => {
    const error = caught(() => new Class({ identifier: 'x', redisConnection: redis, authenticateFn: () => null, ...options }));
    assert.deepEqual([error instanceof WSBrokerError, error.code], [true, 'ERR_WSBROKER_UNKNOWN_OPTION']);
    return error.message;
  };
  for (const [given, name] of [
    [{ authenticatFn: () => null }, '"authenticatFn"; did you mean "authenticateFn"?'], [{ heartbeatIntervall: 5 }, '"heartbeatIntervall"; did you mean "heartbeatInterval"?'],
    [{ maxConections: undefined }, '"maxConections"; did you mean "maxConnections"?'], [{ requireEncrypton: true }, '"requireEncrypton"; did you mean "requireEncryption"?'],
    [{ threads: 4 }, '"threads"; '], [{ serverOptions: { maxPayloadLenght: 5, idleTimeout: 5 } }, '"maxPayloadLenght" in "serverOptions"; did you mean "maxPayloadLength"?'],
  ]) {
    const message = refused(WebSocketServerHelper, given);
    assert.ok(message.startsWith(`WebSocketServerHelper: unknown option ${name}`), message);
  }
  assert.match(refused(WebSocketServerHelper, { somethingElse: 1 }), /unknown option "somethingElse"; known options: identifier, redisConnection, path/);
  assert.equal(refused(WebSocketEmitter, { authenticateFn: undefined, logger: undefined, identifer: 'x' }).split(';')[0], 'WebSocketEmitter: unknown option "authenticateFn"');
  const error = caught(() => new WebSocketEmitter({ identifer: 'x', redisConnection: redis }));
  assert.equal(error.message, 'WebSocketEmitter: unknown option "identifer"; did you mean "identifier"?');
  assert.deepEqual(redis.calls, [], 'no client of Redis was duplicated');
  for (const given of [undefined, null, 'x', []]) assert.equal(caught(() => new WebSocketServerHelper(given)).code, 'ERR_WSBROKER_INVALID_ARG_TYPE');
  const { START_OPTIONS } = createRequire(import.meta.url)('../../lib/options/start.cjs');
  const { NOT_FOR_HELPERS } = createRequire(import.meta.url)('../../lib/helper/transport/native-options.cjs');
  const known = START_OPTIONS.filter((name) => !NOT_FOR_HELPERS.includes(name));
  assert.ok(known.length > 20);
  make(Object.fromEntries(known.map((name) => [name, undefined])));
  make({ serverOptions: null, path: null });
});
