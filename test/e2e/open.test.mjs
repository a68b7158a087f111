// handleOpen: what it is told, and what each verdict leads to.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, until } from './harness.mjs';
import { frame, open, request, tcp, TEXT } from './raw.mjs';

/** A worker whose verdict is named by the path: /plain?… looks `plain` up in the table that the test wrote. */
function verdicts(table, { options } = {}) {
  return {
    options,
    worker: `(wsb, kit) => ({
      ...kit.standard(wsb),
      handleOpen(id, ip, headers, request) {
        kit.tell('open', { id, tag: headers['x-tag'] });
        const table = ${table};
        return table[request.path.slice(1)](id, request);
      },
    })`,
  };
}

test('handleOpen is told the id, the address, the headers and the request', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({
      handleOpen(id, ip, headers, request) {
        kit.tell('open', { id, ip, headers, request: { ...request }, keys: Object.keys(request) });
      },
    }),
    options: { protocols: ['chat', 'mqtt'] },
  });
  const raw = await tcp(server);
  raw.write(
    request('/room/a%20b?x=1&y=%2F&x=2', {
      Host: 'example.test:80',
      'X-Custom': ['one', 'two'],
      Cookie: ['a=1', 'b=2'],
      'Sec-WebSocket-Protocol': 'chat, other',
      'User-Agent': 'raw',
    }),
  );
  assert.equal(await raw.answer(), 101);
  const { id, ip, headers, request: told } = await server.told.next('open');
  assert.ok(Number.isInteger(id) && id > 0);
  assert.equal(ip, '127.0.0.1');
  assert.equal(headers['x-custom'], 'one, two');
  assert.equal(headers.cookie, 'a=1; b=2', 'cookies are joined as cookies');
  assert.equal(headers['user-agent'], 'raw');
  assert.equal(headers.host, 'example.test:80');
  assert.deepEqual(
    Object.keys(headers).filter((name) => name !== name.toLowerCase()),
    [],
  );
  assert.equal(told.url, '/room/a%20b?x=1&y=%2F&x=2');
  assert.equal(told.path, '/room/a%20b');
  assert.equal(told.query, 'x=1&y=%2F&x=2');
  assert.equal(told.method, 'GET');
  assert.deepEqual(told.protocols, ['chat', 'other']);
  assert.equal(told.secure, false);
  assert.equal(told.remotePort, raw.socket.localPort);
});

test('a hostile header name is a header like any other', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({
      handleOpen(id, ip, headers) {
        kit.tell('open', { polluted: {}.injected, names: Object.keys(headers), proto: Object.getPrototypeOf(headers) === Object.prototype || Object.getPrototypeOf(headers) === null });
      },
    }),
  });
  const raw = await tcp(server);
  raw.write(request().replace('Host:', '__proto__: x\r\nconstructor: y\r\nHost:'));
  await raw.answer();
  const { polluted, names, proto } = await server.told.next('open');
  assert.equal(polluted, undefined);
  assert.ok(names.includes('constructor') && names.includes('host'));
  assert.equal(proto, true);
});

test('ids are positive, increase, and are never used again', async (t) => {
  const server = await launch(t, { options: { threads: 2 } });
  const seen = [];
  for (let i = 0; i < 20; i++) {
    const client = await server.connect();
    seen.push(client.id);
    if (i % 2) await client.close();
  }
  assert.deepEqual(seen, [...new Set(seen)].sort((a, b) => a - b));
  assert.ok(seen[0] > 0);
});

test('without handleOpen everyone is let in', async (t) => {
  const server = await launch(t, { worker: (wsb) => ({ handleTextMessage: (text, id) => void wsb.send(id, text) }) });
  const client = await server.connect();
  client.send('in');
  assert.equal(await client.next(), 'in');
});

for (const [what, verdict] of [
  ['undefined', '() => undefined'],
  ['true', '() => true'],
  ['an empty object', '() => ({})'],
  ['a promise of undefined', 'async () => {}'],
  ['a promise of true', 'async () => true'],
  ['a late promise', '() => new Promise((resolve) => setImmediate(resolve))'],
  ['a thenable that is no Promise', '() => ({ then: (resolve) => resolve(true) })'],
]) {
  test(`the verdict ${what} lets in`, async (t) => {
    const server = await launch(t, verdicts(`{ it: ${verdict} }`));
    const client = await server.connect('/it');
    assert.equal(client.ws.protocol, '');
    client.send('hello');
    assert.equal((await server.told.next('text')).data, 'hello');
  });
}

for (const [what, verdict, status, reported] of [
  ['false', '() => false', 403, false],
  ['a promise of false', 'async () => false', 403, false],
  ['a throw', "() => { throw new Error('thrown on purpose') }", 403, 'thrown on purpose'],
  ['a thrown string', "() => { throw 'a string on purpose' }", 403, 'a string on purpose'],
  ['a rejection', "async () => { throw new Error('rejected on purpose') }", 403, 'rejected on purpose'],
  ['a thenable that throws', "() => ({ then() { throw new Error('thenable on purpose') } })", 403, 'thenable on purpose'],
  ['null', '() => null', 500, 'null'],
  ['a promise of null', 'async () => null', 500, 'null'],
  ['zero', '() => 0', 500, '0'],
  ['an empty string', "() => ''", 500, ''],
  ['a string', "() => 'yes'", 500, 'string'],
  ['a function', '() => () => true', 500, ''],
  ['an invalid status', '() => ({ status: 42 })', 500, '42'],
  ['a status that is no number', "() => ({ status: '404' })", 500, 'status'],
  ['a status that would be an upgrade', '() => ({ status: 101 })', 500, '101'],
  ['a header that would split the answer', "() => ({ headers: { 'x-a': 'b\\r\\nx-evil: 1' } })", 500, 'x-a'],
  ['a protocol that was not offered', "() => ({ protocol: 'nonsense' })", 500, 'protocol'],
  ['channels that are no list', '() => ({ channels: 7 })', 500, 'channels'],
  ['a token that is no token', '() => ({ token: 7 })', 500, 'token'],
]) {
  test(`the verdict ${what} refuses with ${status}${reported === false ? '' : ' and is reported'}`, async (t) => {
    const server = await launch(t, verdicts(`{ it: ${verdict} }`));
    const { status: got, headers } = await server.refused('/it');
    assert.equal(got, status);
    assert.equal(headers['x-evil'], undefined);
    if (reported === false) {
      assert.deepEqual(server.told.of('error'), []);
    } else {
      const { error, handler, socketId } = await server.told.next('error');
      assert.equal(handler, 'handleOpen');
      assert.equal(socketId, (await server.told.next('open')).id);
      assert.ok((error.message ?? error.thrown).includes(reported), error.message ?? error.thrown);
    }
    // Refused is refused: no close event, and nobody is counted.
    assert.equal(await server.main((wsb) => wsb.connectionCount()), 0);
    assert.deepEqual(server.told.of('close'), []);
  });
}

test('a verdict with a status answers with that status, its headers and its body', async (t) => {
  const server = await launch(t, verdicts(`{
    text: () => ({ status: 401, headers: { 'WWW-Authenticate': 'Bearer', 'x-list': ['a', 'b'] }, body: 'who are you? – ünknown' }),
    bytes: async () => ({ status: 429, body: Buffer.from('slow down') }),
    bare: () => ({ status: 302, headers: { location: 'https://example.test/' } }),
    well: () => ({ status: 200, body: 'no upgrade, but well' }),
  }`));
  const text = await server.refused('/text');
  assert.equal(text.status, 401);
  assert.equal(text.headers['www-authenticate'], 'Bearer');
  assert.equal(text.body, 'who are you? – ünknown');
  const bytes = await server.refused('/bytes');
  assert.deepEqual([bytes.status, bytes.body], [429, 'slow down']);
  const bare = await server.refused('/bare');
  assert.deepEqual([bare.status, bare.headers.location, bare.body], [302, 'https://example.test/', '']);
  const well = await server.refused('/well');
  assert.deepEqual([well.status, well.body], [200, 'no upgrade, but well']);
  assert.deepEqual(server.told.of('error'), []);
});

test('a verdict may choose among the offered protocols', async (t) => {
  const server = await launch(t, verdicts(`{ it: (id, request) => ({ protocol: request.protocols[1] }) }`));
  const client = await server.connect('/it', { protocols: ['a', 'b', 'c'] });
  assert.equal(client.ws.protocol, 'b');
});

test('without a choice the first offered protocol that the server knows is taken', async (t) => {
  const server = await launch(t, { options: { protocols: ['v2', 'v1'] } });
  for (const [offered, taken] of [[['v1'], 'v1'], [['v1', 'v2'], undefined], [['x', 'v2'], 'v2']]) {
    const client = await server.connect('', { protocols: offered });
    assert.ok(taken === undefined ? offered.includes(client.ws.protocol) : client.ws.protocol === taken, client.ws.protocol);
  }
});

test('a verdict may add headers to the 101', async (t) => {
  const server = await launch(t, verdicts(`{ it: () => ({ headers: { 'Set-Cookie': 'sid=1; HttpOnly', 'X-Served-By': 'one' } }) }`));
  const client = await server.connect('/it');
  assert.deepEqual(client.response.headers['set-cookie'], ['sid=1; HttpOnly']);
  assert.equal(client.response.headers['x-served-by'], 'one');
});

test('token and channels of a verdict are in place before the first message', async (t) => {
  const server = await launch(t, verdicts(`{
    it: (id, request) => ({ token: Buffer.from('{"user":7}'), channels: ['news', Buffer.from('room')] }),
  }`));
  // The first message comes in the same segment as the request.
  const raw = await tcp(server);
  raw.write(Buffer.concat([Buffer.from(request('/it')), frame(TEXT, 'first')]));
  const { id } = await server.told.next('open');
  assert.equal((await server.told.next('text')).token, '{"user":7}');
  assert.deepEqual(await server.main((wsb, kit, id) => wsb.getSubscriptions(id).sort(), id), ['news', 'room']);
  assert.equal(await server.main((wsb) => wsb.sendToChannel('news', 'extra')), 1);
  assert.equal((await raw.frame(TEXT)).text, 'extra');
});

test('the id is valid in handleOpen: what is done there takes effect with the 101, in order', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      async handleOpen(id, ip, headers) {
        kit.tell('open', { id, tag: headers['x-tag'] });
        const told = { subscribed: wsb.subscribe(id, 'room'), again: wsb.subscribe(id, 'room') };
        wsb.setToken(id, 'early');
        told.sent = wsb.send(id, 'one');
        await new Promise((resolve) => setImmediate(resolve));
        told.published = wsb.sendToChannel('room', 'two');
        wsb.send(id, Buffer.from('three'));
        told.isSubscribed = wsb.isSubscribed(id, 'room');
        told.token = wsb.getToken(id).toString();
        wsb.unsubscribe(id, 'room');
        wsb.sendToChannel('room', 'not for it');
        wsb.subscribe(id, 'room');
        wsb.send(id, 'four');
        kit.tell('early', told);
      },
    }),
  });
  server.standard = true;
  const client = await server.connect();
  assert.deepEqual(await client.take(4), ['one', 'two', Buffer.from('three'), 'four']);
  const { type, ...early } = await server.told.next('early');
  assert.deepEqual(early, { subscribed: true, again: false, sent: 1, published: 1, isSubscribed: true, token: 'early' });
  client.send('with token');
  assert.equal((await server.told.next('text')).token, 'early');
  await server.main((wsb) => wsb.sendToChannel('room', 'still subscribed'));
  assert.equal(await client.next(), 'still subscribed');
});

test('what a refused connection did in handleOpen is undone', async (t) => {
  const server = await launch(t, verdicts(`{
    it: (id) => {
      wsb.subscribe(id, 'room');
      wsb.setToken(id, 'token');
      wsb.send(id, 'never seen');
      kit.tell('state', { subscribers: wsb.subscriberCount('room') });
      return false;
    },
  }`));
  assert.equal((await server.refused('/it')).status, 403);
  assert.equal((await server.told.next('state')).subscribers, 1);
  const { id } = await server.told.next('open');
  await until(() => server.main((wsb) => wsb.subscriberCount('room') === 0), 'the subscription to be undone');
  assert.deepEqual(
    await server.main((wsb, kit, id) => [wsb.isOpen(id), wsb.getToken(id) === undefined, wsb.send(id, 'x'), wsb.getSubscriptions(id), wsb.hasSubscriptions('room')], id),
    [false, true, 0, [], false],
  );
});

test('close in handleOpen closes right after the 101, after what was sent before', async (t) => {
  const server = await launch(t, verdicts(`{ it: (id) => { wsb.send(id, 'bye'); wsb.close(id, 4001, 'not now'); } }`));
  const client = await server.connect('/it', { id: false });
  assert.equal(await client.next(), 'bye');
  assert.deepEqual(await client.end(), { code: 4001, reason: 'not now' });
  assert.equal((await server.told.next('close')).code, 4001);
});

test('no verdict within openTimeout: 503, and what comes later changes nothing', async (t) => {
  const server = await launch(t, {
    ...verdicts(`{
      never: () => new Promise(() => {}),
      late: () => new Promise((resolve) => (globalThis.giveLate = resolve)),
      now: () => true,
    }`),
    options: { openTimeout: 200 },
  });
  server.standard = true;
  assert.equal((await server.refused('/never')).status, 503);
  assert.equal((await server.refused('/late')).status, 503);
  const client = await server.connect('/now');
  await client.run(() => globalThis.giveLate(true));
  client.send('others go on');
  assert.equal((await server.told.next('text')).data, 'others go on');
  assert.equal(await server.main((wsb) => wsb.connectionCount()), 1);
  await client.close();
  await server.told.next('close', (event) => event.id === client.id);
});

test('the client may leave while handleOpen still thinks', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleOpen(id, ip, headers, request) {
        kit.tell('open', { id, tag: headers['x-tag'] });
        if (request.path !== '/wait') return true;
        return new Promise((resolve) => (globalThis.decide = resolve));
      },
    }),
  });
  server.standard = true;
  const raw = await tcp(server);
  raw.write(request('/wait'));
  const { id } = await server.told.next('open');
  raw.destroy();
  const other = await server.connect('/');
  await until(async () => !(await server.main((wsb, kit, id) => wsb.isOpen(id), id)), 'the connection to be known as gone');
  await other.run(() => globalThis.decide(true));
  // An accepting handleOpen is followed by one handleClose, here with 1006 since the 101 never arrived.
  const close = await server.told.next('close', (event) => event.id === id);
  assert.equal(close.code, 1006);
  assert.equal(server.told.of('close', (event) => event.id === id).length, 1);
});

test('bytes right behind the request are not lost', async (t) => {
  const server = await launch(t);
  const raw = await open(server, { behind: Buffer.concat([frame(TEXT, 'one'), frame(TEXT, 'two').subarray(0, 3)]) });
  assert.equal((await server.told.next('text')).data, 'one');
  assert.equal(raw.status, 101);
});

test('other connections are opened while one handleOpen waits', async (t) => {
  const server = await launch(t, {
    worker: (wsb, kit) => ({
      ...kit.standard(wsb),
      handleOpen: (id, ip, headers, request) => {
        kit.tell('open', { id, tag: headers['x-tag'] });
        return request.path === '/slow' ? new Promise((resolve) => (globalThis.decide = resolve)) : true;
      },
    }),
  });
  server.standard = true;
  const slow = server.connect('/slow', { id: false });
  const told = await server.told.next('open');
  const quick = await server.connect('/quick');
  await quick.run(() => globalThis.decide());
  await slow;
  assert.ok(quick.id > told.id);
});
