// What a Redis refuses, moves or swallows, as an application sees it.
import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';

import { failure, launch, until } from '../e2e/harness.mjs';
import { freePort } from '../free-port.mjs';
import { instance, member, ready } from './instance.mjs';
import { startRedis } from './redis.mjs';

/** Says these lines to a Redis at once. Returns the lines of its answers, when there are as many. */
function tell(port, ...lines) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(lines.map((line) => `${line}\r\n`).join('')));
    let said = '';
    socket.setEncoding('utf8').on('data', (text) => {
      said += text;
      const answers = said.split('\r\n').slice(0, -1);
      if (answers.length < lines.length) return;
      socket.destroy();
      resolve(answers);
    });
    socket.on('error', reject);
  });
}

test('a channel that a Cluster moves is a loss of the bus, and is heard again', async (t) => {
  const redis = await startRedis(t, { cluster: true });
  const url = { nodes: [{ host: '127.0.0.1', port: redis.port }] };
  const [one, two] = await Promise.all([instance(t, { url }), instance(t, { url })]);
  await Promise.all([ready(one), ready(two)]);
  const client = await member(two, 'room');
  const publish = (text) => one.main((wsb, kit, text) => wsb.sendToChannel('room', text), text);
  await publish('before');
  assert.equal(await client.next(), 'before');
  const [slot] = await tell(redis.port, 'CLUSTER KEYSLOT wsbroker:room');
  // A server that gives a slot away ends the subscriptions to its channels, and keeps the connection. Here it is given back at once.
  assert.deepEqual(await tell(redis.port, `CLUSTER DELSLOTS ${slot.slice(1)}`, `CLUSTER ADDSLOTS ${slot.slice(1)}`), ['+OK', '+OK']);
  const { event } = await two.told.next('bus', ({ event }) => event.state === 'lost');
  assert.match(event.reason, /moved a channel/u);
  await ready(two);
  await publish('after');
  assert.equal(await client.next(), 'after');
  assert.equal(await one.main((wsb) => wsb.stats().bus.losses), 0, 'it listens to nothing that was moved');
});

test('a Cluster that listens no more, and does not say so, is noticed', async (t) => {
  const port = await freePort();
  // What the Cluster calls itself leads here.
  const redis = await startRedis(t, { cluster: true, args: ['--cluster-announce-port', port] });
  let listener;
  const proxy = createServer((near) => {
    const far = connect(redis.port, '127.0.0.1');
    near.on('data', (data) => {
      if (data.includes('wsbroker:room') && data.includes('SSUBSCRIBE')) listener = far;
      far.write(data);
    });
    far.on('data', (data) => {
      const end = /^>3\r\n\$12\r\nsunsubscribe\r\n\$\d+\r\nwsbroker:room\r\n:\d+\r\n/mu;
      near.write(Buffer.from(data.toString('latin1').replace(end, ''), 'latin1'));
    });
    for (const [one, other] of [[near, far], [far, near]]) one.on('error', () => {}).on('close', () => other.destroy());
  });
  await new Promise((resolve) => proxy.listen(port, '127.0.0.1', resolve));
  t.after(() => proxy.close());
  const url = { nodes: [{ host: '127.0.0.1', port }] };
  const [one, two] = await Promise.all([instance(t, { url }), instance(t, { url })]);
  await Promise.all([ready(one), ready(two)]);
  const client = await member(two, 'room');
  listener.write('SUNSUBSCRIBE wsbroker:room\r\n');
  const { event } = await two.told.next('bus', ({ event }) => event.state === 'lost');
  assert.match(event.reason, /2 subscriptions of ours instead of 3/u);
  await ready(two);
  await one.main((wsb) => wsb.sendToChannel('room', 'after'));
  assert.equal(await client.next(), 'after');
});

// As docs/guide/cluster.md names them.
const RIGHTS = 'on >secret resetchannels &wsbroker* -@all +subscribe +unsubscribe +publish +ping +hello +role';
for (const [what, cluster, rights] of [
  ['one server', false, RIGHTS],
  ['a Cluster', true, `${RIGHTS} +ssubscribe +sunsubscribe +spublish +cluster|slots +client|info`],
]) {
  test(`the rights that the guide names are enough for ${what}`, async (t) => {
    const redis = await startRedis(t, { cluster });
    assert.deepEqual(await tell(redis.port, `ACL SETUSER clerk ${rights}`), ['+OK']);
    const node = { host: '127.0.0.1', port: redis.port };
    const url = { ...(cluster ? { nodes: [node] } : node), username: 'clerk', password: 'secret' };
    const [one, two] = await Promise.all([instance(t, { url }), instance(t, { url })]);
    await Promise.all([ready(one), ready(two)]);
    const client = await member(two, 'room');
    await one.main((wsb) => wsb.sendToChannel('room', 'hello'));
    assert.equal(await client.next(), 'hello');
    assert.equal((await one.main((wsb) => wsb.subscriberCount('room', { cluster: true }))).count, 1);
    assert.deepEqual(await tell(redis.port, 'ACL LOG 1'), ['*0'], 'Redis has refused nothing');
  });
}

test('an instance that may not ask a Cluster how much it listens to does without', async (t) => {
  const redis = await startRedis(t, { cluster: true });
  assert.deepEqual(await tell(redis.port, 'ACL SETUSER clerk on >secret +@all -client|info allchannels allkeys'), ['+OK']);
  const url = { nodes: [{ host: '127.0.0.1', port: redis.port }], username: 'clerk', password: 'secret' };
  const [one, two] = await Promise.all([instance(t, { url }), instance(t, { url })]);
  await Promise.all([ready(one), ready(two)]);
  const client = await member(two, 'room');
  await one.main((wsb) => wsb.sendToChannel('room', 'hello'));
  assert.equal(await client.next(), 'hello');
  assert.equal(await two.main((wsb) => wsb.stats().bus.losses), 0);
});

test('where Redis does not tell its role it is taken for a primary, which is reported once, and a replica then shows by not being heard', async (t) => {
  const primary = await startRedis(t, { args: ['--repl-diskless-sync-delay', '0'] });
  const replica = await startRedis(t, { args: ['--replicaof', '127.0.0.1', primary.port] });
  await until(async () => (await tell(replica.port, 'INFO replication')).includes('master_link_status:up'), 'the replica is in step');
  const proxy = createServer((near) => {
    const far = connect(replica.port, '127.0.0.1');
    // Nobody knows these.
    near.on('data', (data) => far.write(Buffer.from(data.toString('latin1').replaceAll('*1\r\n$5\r\nHELLO', '*1\r\n$5\r\nHOLLE').replaceAll('$4\r\nROLE', '$4\r\nLORE'), 'latin1')));
    far.on('data', (data) => near.write(data));
    for (const [one, other] of [[near, far], [far, near]]) one.on('error', () => {}).on('close', () => other.destroy());
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => proxy.close());
  const one = await instance(t, { url: `redis://127.0.0.1:${proxy.address().port}` });
  await ready(one);
  // It takes two of the hellos that come every 5 s.
  const warning = () => one.told.next('bus', ({ event }) => event.state === 'warning', 30_000).then(({ event }) => event.reason);
  assert.match(await warning(), /does not tell whether it is a primary.*\+role/u);
  const two = await instance(t, primary, { instanceId: 'two' });
  await ready(two);
  // What is published to a primary is heard at its replicas, and not the other way round.
  assert.match(await warning(), /the instance two is heard, but does not hear this one/u);
  const { deaf, losses } = await one.main((wsb) => wsb.stats().bus);
  assert.deepEqual([deaf, losses], [1, 0]);
  assert.equal(await two.main((wsb) => wsb.stats().bus.deaf), 0);
});

test('a node of a Cluster that hangs does not keep an instance from the others', async (t) => {
  const redis = await startRedis(t, { cluster: true });
  const sockets = new Set();
  const silent = createServer((socket) => sockets.add(socket.on('error', () => {})));
  await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.after(() => (silent.close(), sockets.forEach((socket) => socket.destroy())));
  const nodes = [silent.address().port, redis.port].map((port) => ({ host: '127.0.0.1', port }));
  await ready(await instance(t, { url: { nodes } }));
});

test('a connection that is swallowed while channels are asked for again is noticed', async (t) => {
  const redis = await startRedis(t);
  let swallow = false;
  let count = 0;
  const sockets = new Set();
  const proxy = createServer((near) => {
    const far = connect(redis.port, '127.0.0.1');
    let swallowed = false;
    near.on('data', (data) => {
      if (swallow && !swallowed && data.includes('SUBSCRIBE')) {
        swallowed = true;
        count++;
      }
      if (!swallowed) far.write(data);
    });
    far.on('data', (data) => near.write(data));
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.on('error', () => {}).on('close', () => (sockets.delete(one), other.destroy()));
    }
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const cut = () => sockets.forEach((socket) => socket.destroy());
  t.after(() => (proxy.close(), cut()));
  const server = await instance(t, { url: `redis://127.0.0.1:${proxy.address().port}` });
  await ready(server);
  swallow = true;
  cut();
  await server.told.next('bus', ({ event }) => event.state === 'lost');
  await until(() => count > 0, 'it asks for its channels, which nobody hears');
  // That connection stays open and silent; a new one is passed on.
  swallow = false;
  await ready(server);
});

test('long names are asked for in several commands, so that Redis does not cut off an instance that has many', async (t) => {
  const redis = await startRedis(t, { args: ['--client-output-buffer-limit', 'pubsub 1mb 0 0'] });
  const server = await instance(t, redis);
  await ready(server);
  const client = await server.connect();
  await client.run((wsb, id) => void wsb.subscribeMany(id, Array.from({ length: 500 }, (_, i) => `${i}`.padEnd(4096, '.'))));
  const counts = () => server.main(async (wsb) => {
    await Promise.all(Array.from({ length: 500 }, (_, i) => wsb.listening(`${i}`.padEnd(4096, '.'))));
    return wsb.stats().bus;
  });
  const { losses, channels } = await counts();
  assert.deepEqual([losses, channels], [0, 500]);
});

test('an emitter hears that Redis refused a message, and which', async (t) => {
  const redis = await startRedis(t);
  assert.deepEqual(await tell(redis.port, 'ACL SETUSER clerk on >secret +@all resetchannels &wsbroker!* &wsbroker:open'), ['+OK']);
  const { Emitter } = await import('wsbroker/emitter');
  const { default: Redis } = await import('ioredis');
  const own = new Redis({ port: redis.port, username: 'clerk', password: 'secret' });
  own.on('error', () => {});
  t.after(() => own.disconnect());
  for (const client of [{ host: '127.0.0.1', port: redis.port, username: 'clerk', password: 'secret' }, own]) {
    const emitter = new Emitter({ redis: client });
    const outcomes = await Promise.allSettled(['open', 'shut', 'open', 'shut'].map((channel) => emitter.publish(channel, 'text')));
    assert.deepEqual(outcomes.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled', 'rejected']);
    for (const { reason } of outcomes.filter(({ reason }) => reason)) {
      assert.equal(reason.code, 'ERR_WSBROKER_BUS_LOST');
      assert.match(reason.message, /^publish: .*NOPERM/);
    }
    await emitter.close();
  }
});

test('an emitter on a client of the application\'s own waits no longer than its timeout, keeps no more than it may, and what it rejected is missed', async (t) => {
  const redis = await startRedis(t);
  // All of it comes at once.
  const server = await instance(t, redis, {}, { maxBackpressure: 2 ** 24 });
  await ready(server);
  const member1 = await member(server, 'room');
  const { Emitter } = await import('wsbroker/emitter');
  const { default: Redis } = await import('ioredis');
  const client = new Redis({ port: redis.port });
  client.on('error', () => {});
  t.after(() => client.disconnect());
  const emitter = new Emitter({ redis: client, timeout: 300 });
  await emitter.publish('room', 'before');
  assert.equal(await member1.next(), 'before');
  redis.signal('SIGSTOP');
  // Eight fit, whether somebody waits for them or not.
  const large = 'x'.repeat(2 ** 20 - 1024);
  const outcomes = await Promise.allSettled(Array.from({ length: 12 }, () => emitter.publish('room', large)));
  const reasons = outcomes.map(({ reason }) => `${reason?.code} ${reason?.message}`);
  assert.equal(reasons.filter((text) => /^ERR_WSBROKER_BUS_LOST publish: Redis did not answer within 300 ms/.test(text)).length, 8, `${reasons}`);
  assert.equal(reasons.filter((text) => /^ERR_WSBROKER_BUS_LOST publish: too much is waiting for Redis/.test(text)).length, 4, `${reasons}`);
  await assert.rejects(emitter.publish('room', large), { code: 'ERR_WSBROKER_BUS_LOST', message: /too much is waiting/ });
  const last = assert.rejects(emitter.publish('room', 'small'), { code: 'ERR_WSBROKER_BUS_LOST', message: /300 ms/ });
  await emitter.close();
  await last;
  await assert.rejects(emitter.publish('room', 'after'), { code: 'ERR_WSBROKER_SHUT_DOWN' });
  redis.signal('SIGCONT');
  // The client has kept the eight and the small one; the five before that are missed.
  let text = '';
  for (let count = 0; text !== 'small'; count++) text = await member1.next();
  await until(() => server.main((wsb) => wsb.stats().bus.missed === 5), 'what was rejected is missed');
});

test('an emitter without a timeout rejects at once where its client is not connected', async () => {
  const { Emitter } = await import('wsbroker/emitter');
  const emitter = new Emitter({ redis: { status: 'reconnecting', publish: () => assert.fail('it is not asked') }, timeout: 0 });
  await assert.rejects(emitter.publish('room', 'text'), { code: 'ERR_WSBROKER_BUS_LOST', message: /not connected \(reconnecting\)/ });
  await emitter.close();
});

test('what was published to a channel while nobody listened is no gap, also where the bus was lost meanwhile', async (t) => {
  const redis = await startRedis(t);
  const [one, two] = await Promise.all([instance(t, redis), instance(t, redis)]);
  await Promise.all([ready(one), ready(two)]);
  const publish = (text) => one.main((wsb, kit, text) => wsb.sendToChannel('room', text), text);
  const client = await member(two, 'room');
  await publish('before');
  assert.equal(await client.next(), 'before');
  await client.run((wsb, id) => wsb.unsubscribe(id, 'room'));
  await redis.kill();
  for (const server of [one, two]) await server.told.next('bus', ({ event }) => event.state === 'lost');
  // It lingers for a second, without a Redis that could be told.
  const left = Date.now();
  await until(() => Date.now() - left > 1200, 'that has passed');
  await redis.run();
  await Promise.all([ready(one), ready(two)]);
  await until(() => two.main((wsb) => wsb.stats().bus.channels === 0), 'nobody listens');
  for (const text of ['1', '2', '3']) await publish(text);
  await client.run((wsb, id) => wsb.subscribe(id, 'room'));
  assert.equal(await two.main((wsb) => wsb.listening('room')), true);
  await publish('after');
  // The last of them may have been on its way still.
  for (let text = ''; text !== 'after';) text = await client.next();
  assert.equal((await two.main((wsb) => wsb.stats())).bus.missed, 0);
});

test('a start that fails for want of Redis can be tried again, and says why it failed', async (t) => {
  const redis = await startRedis(t, { args: ['--requirepass', 'right'] });
  const server = await launch(t, { start: false });
  await server.main((wsb) => wsb.registerWorkerThread({ handleTextMessage() {} }));
  const start = (password) => server.main((wsb, kit, port, password) => wsb.start({
    bind: '127.0.0.1:0', cluster: { redis: { port, password }, required: true },
  }).then(() => undefined), redis.port, password);
  const error = await failure(start('wrong'), { code: 'ERR_WSBROKER_BUS_LOST', message: /"cluster.required" is true: .*WRONGPASS/ });
  assert.doesNotMatch(error.message, /'wrong'|:wrong/);
  assert.equal((await server.main((wsb) => wsb.stats())).bus, undefined, 'it does not go on trying');
  await start('right');
  assert.equal((await server.main((wsb) => wsb.stats())).bus.state, 'ready');
  await server.main((wsb) => wsb.shutdown());
});

test('why the bus does not come back is reported, and reloadBus brings it back with a new password', async (t) => {
  const redis = await startRedis(t);
  assert.deepEqual(await tell(redis.port, 'ACL SETUSER clerk on >old +@all allchannels'), ['+OK']);
  const server = await launch(t, { start: false });
  const at = { port: redis.port, username: 'clerk' };
  await server.main(async (wsb, kit, redis) => {
    await wsb.registerWorkerThread({ handleTextMessage() {} });
    globalThis.server = await wsb.start({ bind: '127.0.0.1:0', cluster: { redis, onBus: (event) => kit.tell('bus', { event }) } });
  }, { ...at, password: 'old' });
  await ready(server);
  assert.equal(await server.main((wsb) => 'reason' in wsb.stats().bus), false);
  await tell(redis.port, 'ACL SETUSER clerk resetpass >new', 'CLIENT KILL USER clerk');
  await server.told.next('bus', ({ event }) => event.state === 'lost' && /WRONGPASS/u.test(event.reason));
  assert.match(await server.main((wsb) => wsb.stats().bus.reason), /WRONGPASS/u);
  const reload = (redis) => server.main((wsb, kit, redis) => globalThis.server.reloadBus(redis), redis);
  await failure(reload({ ...at, password: 'wrong' }), { code: 'ERR_WSBROKER_BUS_LOST', message: /^reloadBus: .*WRONGPASS/u });
  await failure(reload({ ...at, pasword: 'new' }), { code: 'ERR_WSBROKER_UNKNOWN_OPTION' });
  await reload({ ...at, password: 'new' });
  await ready(server);
  assert.equal(await server.main((wsb) => 'reason' in wsb.stats().bus), false);
});

test('reloadBus of a process that has joined nobody is refused', async (t) => {
  const server = await launch(t, { start: false });
  await server.main(async (wsb) => {
    await wsb.registerWorkerThread({ handleTextMessage() {} });
    globalThis.server = await wsb.start({ bind: '127.0.0.1:0' });
  });
  await failure(server.main(() => globalThis.server.reloadBus('redis://127.0.0.1')), { code: 'ERR_WSBROKER_BUS_LOST', message: /has not joined/u });
});

test('shutdown takes back a joinCluster that no start has followed', async (t) => {
  const server = await launch(t, { start: false });
  await server.main(async (wsb) => {
    for (let i = 0; i < 2; i++) {
      wsb.joinCluster({ redis: 'redis://127.0.0.1' });
      await wsb.shutdown();
    }
  });
  await server.start();
  assert.equal((await server.main((wsb) => wsb.stats())).bus, undefined);
});

test('where Redis is required, ready says so while it is lost, and sockets stay open; elsewhere it does not', async (t) => {
  const redis = await startRedis(t);
  const answers = { '/healthz': 'health', '/readyz': 'ready' };
  const [must, may] = await Promise.all([true, false].map((required) => instance(t, redis, { required }, { path: '/ws', answers })));
  await Promise.all([must, may].map(ready));
  const asked = async (server, path = '/readyz') => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
    return [response.status, (await response.text()).trim()];
  };
  const isReady = [200, '{"ready":true}'];
  assert.deepEqual(await asked(must), isReady);
  const client = await must.connect('/ws');
  await redis.kill();
  await must.told.next('bus', ({ event }) => event.state === 'lost');
  assert.deepEqual(await asked(must), [503, '{"ready":false,"reasons":["bus"]}']);
  assert.deepEqual(await asked(must, '/healthz'), [200, 'ok'], 'a restart of this process would not bring Redis back');
  await may.told.next('bus', ({ event }) => event.state === 'lost');
  assert.deepEqual(await asked(may), isReady);
  await client.run((wsb, id) => void wsb.send(id, 'still here'));
  assert.equal(await client.next(), 'still here');
  await redis.run();
  await ready(must);
  assert.deepEqual(await asked(must), isReady);
});
