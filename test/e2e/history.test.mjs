// Channels with history: the interface, and a client that comes back. What the broker promises of them in detail has its
// tests in crates/wsbroker-core/tests/history.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { failure, launch, until } from './harness.mjs';

const HISTORY = [{ channels: ['chat:*', 'news'], size: 50 }, { channels: 'bare:*', framed: false }];
const options = { history: HISTORY };
const main = (server, fn, ...args) => server.main(fn, ...args);
const publish = (server, channel, data, more) => main(server, (wsb, kit, ...given) => wsb.publish(...given), channel, data, more ?? {});
const position = (server, channel) => main(server, (wsb, kit, name) => wsb.position(name), channel);

/** Calls `recover` in the worker, and returns its outcome. */
const recover = (client, channel, since, more) => client.run((wsb, id, ...given) => wsb.recover(id, ...given), channel, since, more ?? {});

test('a client that comes back gets what it has missed, then what is new', async (t) => {
  const server = await launch(t, { options: { ...options, threads: 2, ioThreads: 2 } });
  const start = await position(server, 'chat:1');
  assert.deepEqual(Object.keys(start), ['offset', 'epoch']);
  assert.equal(start.offset, 0);
  assert.match(start.epoch, /^[0-9a-f]{16}$/);

  const first = await server.connect();
  assert.deepEqual(await recover(first, 'chat:1', 'now'), { recovered: true, position: start, replayed: 0 });
  assert.deepEqual(await publish(server, 'chat:1', 'one'), { offset: 1, epoch: start.epoch, subscribers: 1 });
  assert.equal(await first.next(), '1 chat:1\none');
  await first.close();
  await server.told.next('close');

  assert.equal(await main(server, (wsb) => wsb.sendToChannel('chat:1', 'two')), 0);
  await publish(server, 'chat:1', 'three');
  const second = await server.connect();
  const since = { offset: 1, epoch: start.epoch };
  assert.deepEqual(await recover(second, 'chat:1', since), { recovered: true, position: { offset: 3, epoch: start.epoch }, replayed: 2 });
  await publish(server, 'chat:1', 'four');
  assert.deepEqual(await second.take(3), ['2 chat:1\ntwo', '3 chat:1\nthree', '4 chat:1\nfour']);

  const unknown = await server.connect();
  const other = { offset: 1, epoch: '0123456789abcdef' };
  assert.deepEqual(await recover(unknown, 'chat:1', other, { orReject: true }), { recovered: false, position: { offset: 4, epoch: start.epoch }, replayed: 0 });
  assert.equal(await unknown.run((wsb, id) => wsb.isSubscribed(id, 'chat:1')), false);
  assert.equal((await recover(unknown, 'chat:1', { offset: 1, epoch: 'anything' })).recovered, false);
  await publish(server, 'chat:1', 'five');
  assert.equal(await unknown.next(), '5 chat:1\nfive');
  await failure(recover(unknown, 'chat:1', 'now'), { code: 'ERR_WSBROKER_CONFLICT', message: /^recover: .*subscribed.*unsubscribe/ });

  const { history } = await main(server, (wsb) => wsb.stats());
  assert.deepEqual([history.recovered, history.notRecovered, history.replayed, history.messages, history.channels], [2, 2, 2, 5, 1]);
});

test('history gives messages as they were published, and says whether some are missing', async (t) => {
  const server = await launch(t, { options: { history: [{ channels: '*', size: 3 }] } });
  const slice = await main(server, async (wsb) => {
    for (const data of ['gone', 'text', new Uint8Array([1, 0, 255]), 'last']) await wsb.publish('a', data);
    const all = await wsb.history('a');
    return { ...all, kinds: all.messages.map(({ data }) => (typeof data === 'string' ? data : [...data])) };
  });
  const { position: at } = slice;
  assert.deepEqual([slice.complete, slice.kinds], [false, ['text', [1, 0, 255], 'last']]);
  assert.deepEqual(slice.messages.map(({ offset }) => offset), [2, 3, 4]);
  const ask = (query) => main(server, async (wsb, kit, given) => {
    const { complete, messages } = await wsb.history('a', given);
    return [complete, ...messages.map(({ offset }) => offset)];
  }, query);
  assert.deepEqual(await ask({ since: { ...at, offset: 1 } }), [true, 2, 3, 4]);
  assert.deepEqual(await ask({ since: { ...at, offset: 1 }, limit: 2, reverse: true }), [true, 4, 3]);
  assert.deepEqual(await ask({ since: { ...at, offset: 9 } }), [false, 2, 3, 4]);
  assert.deepEqual(await ask({ since: at }), [true]);
  await main(server, (wsb) => wsb.deleteHistory('a', { before: 4 }));
  assert.deepEqual(await ask({ since: { ...at, offset: 3 } }), [true, 4]);
  await main(server, (wsb) => wsb.deleteHistory('a'));
  const fresh = await position(server, 'a');
  assert.equal(fresh.offset, 0);
  assert.notEqual(fresh.epoch, at.epoch);
});

test('an id makes a repeated publish a duplicate; without history it is an error, and a publish only a receipt', async (t) => {
  const server = await launch(t, { options });
  const client = await server.connect();
  await recover(client, 'news', 'now');
  const once = await publish(server, 'news', 'once', { id: 'alice:1' });
  assert.equal(once.duplicate, undefined);
  assert.deepEqual(await publish(server, 'news', 'once', { id: 'alice:1' }), { ...once, duplicate: true });
  await publish(server, 'news', 'more');
  assert.deepEqual(await client.take(2), ['1 news\nonce', '2 news\nmore']);
  await client.run((wsb, id) => void wsb.subscribe(id, 'plain'));
  assert.deepEqual(await publish(server, 'plain', 'as ever'), { subscribers: 1 });
  assert.equal(await client.next(), 'as ever');
  await failure(publish(server, 'plain', 'x', { id: 'a' }), { code: 'ERR_WSBROKER_INVALID_ARG_VALUE', message: /^publish: "id" must be absent .*history/ });
  for (const [id, code] of [['', 'VALUE'], ['x'.repeat(129), 'VALUE'], [7, 'TYPE']]) {
    await failure(publish(server, 'news', 'x', { id }), { code: `ERR_WSBROKER_INVALID_ARG_${code}`, message: /^publish: "options.id" must be/ });
  }
  await failure(publish(server, 'news', 'x', { exlude: 1 }), { code: 'ERR_WSBROKER_UNKNOWN_OPTION', message: /did you mean "exclude"/ });
});

test('exclude holds for what is replayed, too, and bare frames are as they were published', async (t) => {
  const server = await launch(t, { options });
  const [a, b] = [await server.connect(), await server.connect()];
  await recover(a, 'bare:1', 'now');
  await publish(server, 'bare:1', 'from a', { exclude: a.id });
  await publish(server, 'bare:1', 'from b', { exclude: b.id });
  await recover(b, 'bare:1', { ...(await position(server, 'bare:1')), offset: 0 });
  await publish(server, 'bare:1', 'for both');
  assert.deepEqual([await a.take(2), await b.take(2)], [['from b', 'for both'], ['from a', 'for both']]);
});

test('recover in handleOpen takes effect with the 101', async (t) => {
  const server = await launch(t, {
    options,
    worker: (wsb, kit) => ({
      async handleOpen(id, ip, headers, { query }) {
        const { recovered, replayed } = await wsb.recover(id, 'chat:1', JSON.parse(decodeURIComponent(query)));
        kit.tell('recovered', { recovered, replayed });
      },
    }),
  });
  const { epoch } = await publish(server, 'chat:1', 'one');
  await publish(server, 'chat:1', 'two');
  const client = await server.connect(`/?${encodeURIComponent(JSON.stringify({ offset: 1, epoch }))}`);
  assert.deepEqual(await client.next(), '2 chat:1\ntwo');
  const { recovered, replayed } = await server.told.next('recovered');
  assert.deepEqual({ recovered, replayed }, { recovered: true, replayed: 1 });
});

for (const [how, after] of [['returns', () => {}], ['resolves', () => new Promise((resolve) => setTimeout(resolve, 20))]]) {
  test(`handleLost is called before anything newer is sent, and when it ${how} the socket goes on`, async (t) => {
    const server = await launch(t, {
      options,
      worker: `(wsb, kit) => ({
        ...kit.standard(wsb),
        async handleTextMessage(text, id) {
          await wsb.recover(id, 'chat:é', 'now');
          wsb.send(id, 'subscribed');
        },
        handleLost(id, channel, position) {
          kit.tell('lost', { id, channel, position });
          const done = (${after})();
          wsb.send(id, 'lost');
          return done;
        },
      })`,
    });
    const client = await server.connect();
    client.send('subscribe');
    assert.equal(await client.next(), 'subscribed');
    const before = await publish(server, 'chat:é', 'before');
    assert.equal(await client.next(), '1 chat:é\nbefore');
    await main(server, (wsb) => wsb.deleteHistory('chat:é'));
    const fresh = await publish(server, 'chat:é', 'after');
    assert.notEqual(fresh.epoch, before.epoch);
    assert.deepEqual(await client.take(2), ['lost', '1 chat:é\nafter']);
    const lost = await server.told.next('lost');
    assert.deepEqual([lost.channel, lost.position], ['chat:é', { offset: 0, epoch: fresh.epoch }]);
  });
}

test('a socket that has lost messages is closed with 4009 if there is no handleLost, or that fails', async (t) => {
  for (const [body, reported] of [
    ['', false],
    ['handleLost() { throw new Error("no"); },', true],
    ['async handleLost() { throw new Error("no"); },', true],
  ]) {
    const server = await launch(t, {
      options,
      worker: `(wsb, kit) => ({
        ...kit.standard(wsb),
        async handleTextMessage(text, id) {
          await wsb.recover(id, 'news', 'now');
          wsb.send(id, 'subscribed');
        },
        ${body}
        onError: (error, { handler, socketId }) => kit.tell('failed', { message: error.message, handler, socketId }),
      })`,
    });
    const client = await server.connect();
    client.send('subscribe');
    await client.next();
    await main(server, (wsb) => wsb.deleteHistory('news'));
    assert.deepEqual(await client.end(), { code: 4009, reason: 'history lost' });
    if (reported) assert.deepEqual((await server.told.next('failed')).handler, 'handleLost');
    else await until(async () => (await main(server, (wsb) => wsb.stats())).closes.historyLost === 1, 'it is counted');
    await server.stop();
  }
});

test('a handleLost that takes too long is reported, and the socket is closed with 4009', async (t) => {
  const server = await launch(t, {
    options: { ...options, handlerTimeout: 100 },
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      async handleTextMessage(text, id) {
        await wsb.recover(id, 'news', 'now');
        wsb.send(id, 'subscribed');
      },
      handleLost: () => new Promise(() => {}),
      onError: (error) => kit.tell('failed', { code: error.code, message: error.message }),
    }),
  });
  const client = await server.connect();
  client.send('subscribe');
  await client.next();
  await main(server, (wsb) => wsb.deleteHistory('news'));
  assert.deepEqual(await client.end(), { code: 4009, reason: 'history lost' });
  const { code, message } = await server.told.next('failed');
  assert.equal(code, 'ERR_WSBROKER_HANDLER_TIMEOUT');
  assert.match(message, /^handleLost .* closed with 4009/);
});

test('a slow reader falls behind and loses nothing, and the others notice nothing', async (t) => {
  const server = await launch(t, {
    options: { history: [{ channels: 'feed', size: 5_000, maxBytes: 2 ** 30, maxReplay: 5_000 }], maxBackpressure: 65_536, ioThreads: 1 },
  });
  const [slow, fast] = [await server.connect(), await server.connect()];
  for (const client of [slow, fast]) await recover(client, 'feed', 'now');
  slow.ws.pause();
  const count = 4_000;
  await main(server, async (wsb, kit, messages) => {
    const data = 'x'.repeat(10_000);
    for (let n = 0; n < messages; n++) {
      await wsb.publish('feed', data);
      if (n % 20 === 0) await new Promise(setImmediate);
    }
  }, count);
  assert.equal((await fast.take(count)).length, count);
  const buffered = await main(server, (wsb, kit, id) => wsb.bufferedAmount(id), slow.id);
  assert.ok(buffered < 2 * 65_536, `${buffered} bytes wait`);
  slow.ws.resume();
  const offsets = (await slow.take(count)).map((message) => Number(message.slice(0, message.indexOf(' '))));
  assert.deepEqual(offsets, Array.from({ length: count }, (_, n) => n + 1));
  const { history, dropped, closes } = await main(server, (wsb) => wsb.stats());
  assert.deepEqual([history.lost, dropped.dropNewest, closes.maxBackpressure], [0, 0, 0]);
});

test('calls for a channel without history, and wrong arguments, are refused with a reason', async (t) => {
  const server = await launch(t, { options });
  const NO_HISTORY = { code: 'ERR_WSBROKER_INVALID_ARG_VALUE', message: /"channel".*no history.*"history"/ };
  for (const call of ['position', 'history', 'deleteHistory']) {
    await failure(main(server, (wsb, kit, name) => wsb[name]('plain'), call), NO_HISTORY);
    await failure(main(server, (wsb, kit, name) => wsb[name](7), call), { code: 'ERR_WSBROKER_INVALID_ARG_TYPE', message: new RegExp(`^${call}: "channel" must be`) });
  }
  await failure(main(server, (wsb) => wsb.recover(1, 'plain', 'now')), NO_HISTORY);
  const at = { offset: 0, epoch: 'x' };
  for (const [since, code, message] of [
    ['later', 'VALUE', /"since" must be a position, 'latest' or 'now', got 'later'/],
    [undefined, 'TYPE', /"since" must be a position, 'latest' or 'now', got undefined/],
    [{ offset: 0 }, 'TYPE', /"since.epoch" must be a string/],
    [{ ...at, offset: 1.5 }, 'VALUE', /"since.offset" must be an integer/],
    [{ ...at, offset: -1 }, 'VALUE', /"since.offset" must be an integer/],
    [{ epoch: 'x' }, 'TYPE', /"since.offset" must be a number/],
  ]) {
    await failure(main(server, (wsb, kit, given) => wsb.recover(1, 'news', given ?? undefined), since), { code: `ERR_WSBROKER_INVALID_ARG_${code}`, message });
  }
  await failure(main(server, (wsb) => wsb.recover(1, 'news', 'now', { orreject: true })), { code: 'ERR_WSBROKER_UNKNOWN_OPTION', message: /orReject/ });
  await failure(main(server, (wsb) => wsb.history('news', { limit: 0 })), { code: 'ERR_WSBROKER_INVALID_ARG_VALUE', message: /"limit"/ });
  await failure(main(server, (wsb) => wsb.deleteHistory('news', { before: 'x' })), { code: 'ERR_WSBROKER_INVALID_ARG_TYPE', message: /"before"/ });
  // A socket that never was.
  const gone = await main(server, (wsb) => wsb.recover(-1, 'news', 'now'));
  assert.deepEqual([gone.recovered, gone.replayed], [false, 0]);
});

test('the option is checked, holds for the process, and is forgotten by shutdown', async (t) => {
  const server = await launch(t, { options });
  const start = (history) => server.start({ history });
  for (const [history, code, message] of [
    ['chat', 'INVALID_ARG_TYPE', /"history" must be an array of objects, got string/],
    [[{}], 'INVALID_ARG_TYPE', /"history\[0\].channels" must be a string or an array of strings/],
    [[{ channels: [] }], 'INVALID_ARG_VALUE', /"history\[0\].channels" must have at least one name/],
    [[{ channels: 'a*b' }], 'INVALID_ARG_VALUE', /"history\[0\].channels" must be .*prefixes/],
    [[{ channels: 'a', size: 0 }], 'INVALID_ARG_VALUE', /"history\[0\].size"/],
    [[{ channels: 'a', tll: 1 }], 'UNKNOWN_OPTION', /did you mean "ttl"/],
    [[{ channels: 'other' }], 'CONFLICT', /"history" applies to the whole process/],
  ]) {
    await failure(start(history), { code: `ERR_WSBROKER_${code}`, message });
  }
  await start(HISTORY);
  await start(undefined);
  await publish(server, 'news', 'x');
  await main(server, (wsb) => wsb.shutdown());
  await failure(position(server, 'news'), { code: 'ERR_WSBROKER_INVALID_ARG_VALUE' });
  assert.equal((await publish(server, 'news', 'x')).subscribers, 0);
  await server.start({});
  await failure(position(server, 'news'), { code: 'ERR_WSBROKER_INVALID_ARG_VALUE' });
});

test('what is numbered in the process cannot join a cluster later', async (t) => {
  const server = await launch(t, { options });
  const UNSUPPORTED = { code: 'ERR_WSBROKER_UNSUPPORTED', message: /^joinCluster: .*history.*before start/ };
  await failure(main(server, (wsb) => wsb.joinCluster({ redis: 'redis://127.0.0.1:1' })), UNSUPPORTED);
});

test('with a cluster and no Redis, calls for such a channel say so', async (t) => {
  const server = await launch(t, { start: false });
  await server.start({ history: HISTORY, cluster: { redis: 'redis://127.0.0.1:1' } });
  const LOST = { code: 'ERR_WSBROKER_BUS_LOST' };
  await failure(publish(server, 'news', 'x'), { ...LOST, message: /^publish: the message is not stored: / });
  for (const call of ['position', 'history', 'deleteHistory']) {
    await failure(main(server, (wsb, kit, call) => wsb[call]('news'), call), { ...LOST, message: new RegExp(`^${call}: `) });
  }
  const client = await server.connect();
  await failure(recover(client, 'news', 'now'), { ...LOST, message: /^recover: / });
  await failure(position(server, 'plain'), { code: 'ERR_WSBROKER_INVALID_ARG_VALUE', message: /no history/ });
  assert.deepEqual(await publish(server, 'plain', 'x'), { subscribers: 0 });
});

test('messages are gone after their ttl, and the position is not', async (t) => {
  const server = await launch(t, { options: { history: [{ channels: 'a', ttl: 1 }] } });
  const { offset, epoch } = await publish(server, 'a', 'x');
  await until(async () => (await main(server, (wsb) => wsb.stats())).history.messages === 0, 'it is swept out');
  const client = await server.connect();
  assert.deepEqual(await recover(client, 'a', { offset, epoch }), { recovered: true, position: { offset, epoch }, replayed: 0 });
});

test('above maxHistoryMemory the channel goes first that was not used for the longest time', async (t) => {
  const server = await launch(t, { options: { history: [{ channels: '*' }], maxHistoryMemory: 100_000 } });
  for (const name of ['a', 'b', 'a', 'c', 'd']) await publish(server, name, 'x'.repeat(20_000));
  const kept = [];
  for (const name of ['a', 'b', 'c', 'd']) kept.push(await main(server, async (wsb, kit, channel) => (await wsb.history(channel)).messages.length, name));
  assert.deepEqual(kept, [2, 0, 1, 1]);
  const { evictions, bytes } = (await main(server, (wsb) => wsb.stats())).history;
  assert.equal(evictions, 1);
  assert.ok(bytes <= 100_000, `${bytes}`);
});
