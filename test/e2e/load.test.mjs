// The promises of order.test.mjs all at once, under load: four workers and the main thread subscribe, unsubscribe, publish,
// send, set tokens and close at random for hundreds of connections, and what every client got is compared with a model that
// is as simple as can be: a list and a set.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, until } from './harness.mjs';

const CONNECTIONS = 500;
const ROOMS = 60;

/**
 * One thread's share. It alone changes subscriptions and tokens of the sockets it owns, and closes them, so its log says
 * exactly what of its own each of them must see; it sends and publishes to everybody. Those in `kept` it never closes: they
 * carry the orders to other threads. Returns the log.
 */
const actor = (wsb, own, all, kept, name, seed, steps, rooms) =>
  new Promise((resolve) => {
    const random = (below) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const alive = [...own];
    const versions = new Map();
    const log = [];
    let mark = 0;
    const step = () => {
      const id = alive[random(alive.length)];
      const room = `room ${random(rooms)}`;
      switch (random(12)) {
        case 0:
        case 1:
        case 2:
          return log.push(['subscribe', id, room, wsb.subscribe(id, room)]);
        case 3:
          return log.push(['unsubscribe', id, room, wsb.unsubscribe(id, room)]);
        case 4:
        case 5:
        case 6: {
          const text = `${name} ${++mark} ${room}`;
          return log.push(['publish', room, text, wsb.sendToChannel(room, text)]);
        }
        case 7: {
          const text = `${name} ${++mark} ${room}`;
          return log.push(['publish', room, text, wsb.sendToChannel(room, text, { exclude: id }), id]);
        }
        case 8: {
          const text = `${name} ${++mark} to you`;
          const to = all[random(all.length)];
          return log.push(['send', to, text, wsb.send(to, text)]);
        }
        case 9: {
          if (random(6)) return undefined;
          const text = `${name} ${++mark} everyone`;
          return log.push(['publish', 'everyone', text, wsb.sendToChannel('everyone', text)]);
        }
        case 10: {
          const version = (versions.get(id) ?? 0) + 1;
          versions.set(id, version);
          return wsb.setToken(id, `${version}`);
        }
        default:
          if (random(20) || alive.length < own.length * 0.8 || kept.includes(id)) return undefined;
          alive.splice(alive.indexOf(id), 1);
          wsb.close(id, 4000, name);
          return log.push(['close', id]);
      }
    };
    let left = steps;
    const turn = () => {
      for (let i = 0; i < 20 && left > 0; i++, left--) step();
      if (left > 0) setImmediate(turn);
      else resolve(log);
    };
    turn();
  });

/** What the sockets of one actor must have got from it, by its log. */
function expected(own, log) {
  const open = new Set(own);
  const rooms = new Map(own.map((id) => [id, new Set(['everyone'])]));
  const got = new Map(own.map((id) => [id, []]));
  for (const [what, a, b, c, d] of log) {
    if (what === 'subscribe') {
      assert.equal(c, !rooms.get(a).has(b), `subscribe(${a}, ${b})`);
      rooms.get(a).add(b);
    } else if (what === 'unsubscribe') {
      assert.equal(c, rooms.get(a).delete(b), `unsubscribe(${a}, ${b})`);
    } else if (what === 'publish') {
      for (const id of open) if (rooms.get(id).has(a) && id !== d) got.get(id).push(b);
    } else if (what === 'send') {
      if (open.has(a)) {
        assert.equal(c, 1);
        got.get(a).push(b);
      }
    } else {
      open.delete(a);
      rooms.set(a, new Set());
    }
  }
  return { open, rooms, got };
}

const numbers = (client, name) =>
  client.messages.filter((text) => text.startsWith(`${name} `)).map((text) => Number(text.split(' ')[1]));

/** Events of each connection: open, its messages counted up from 0, token versions that never go back, close. */
function checkEvents(server, clients, { sent, mayLose = () => 0, mayMove = false }) {
  const byId = new Map();
  for (const event of server.told.all) {
    if (event.id === undefined) continue;
    if (!byId.has(event.id)) byId.set(event.id, []);
    byId.get(event.id).push(event);
  }
  for (const client of clients) {
    const events = byId.get(client.id);
    assert.equal(events[0].type, 'open');
    assert.equal(events.at(-1).type, 'close');
    const texts = events.slice(1, -1);
    assert.ok(texts.every((event) => event.type === 'text'), `only messages between open and close of ${client.id}`);
    const seen = texts.map((event) => event.n);
    assert.deepEqual(seen, [...new Set(seen)].sort((a, b) => a - b), `in order and once, ${client.id}`);
    if (sent.get(client)) assert.ok(sent.get(client) - seen.length <= mayLose(client), `${sent.get(client) - seen.length} messages of ${client.id} lost`);
    const versions = texts.map((event) => Number(event.token ?? 0));
    assert.deepEqual(versions, [...versions].sort((a, b) => a - b), `token of ${client.id} went back`);
    if (!mayMove) assert.equal(new Set(events.map((event) => event.thread)).size, 1, `${client.id} stays with its worker`);
  }
}

const worker = (wsb, kit) => {
  const { threadId } = require('node:worker_threads');
  let slow = 0;
  return {
    handleOpen(id, ip, headers) {
      kit.tell('open', { id, tag: headers['x-tag'], thread: threadId });
      return { channels: ['everyone'] };
    },
    handleTextMessage(text, id, token) {
      if (kit.runnable(wsb, text, id)) return undefined; // not waited for: messages go on meanwhile
      if (text === 'die') process.exit(0);
      kit.tell('text', { id, n: Number(text), token: token?.toString(), thread: threadId });
      // Some handlers take a while, so that waiting lines and windows have something to do.
      if (++slow % 50 === 0) return new Promise((resolve) => setImmediate(resolve));
      return undefined;
    },
    handleClose: (id) => kit.tell('close', { id, thread: threadId }),
  };
};

const launchLoaded = async (t, connections) => {
  const server = await launch(t, { worker, options: { threads: 4, ioThreads: 2, maxBackpressure: 256 << 20 } });
  server.standard = true;
  const clients = [];
  while (clients.length < connections) {
    clients.push(...(await Promise.all(Array.from({ length: Math.min(50, connections - clients.length) }, () => server.connect()))));
  }
  return { server, clients };
};

/** Clients send numbers until told to stop, or until the test is over; tells how many each sent while it was surely open. */
function pump(t, clients) {
  const sent = new Map(clients.map((client) => [client, 0]));
  let stop = false;
  const done = (async () => {
    while (!stop) {
      for (const client of clients) {
        if (client.ws.readyState !== 1 || Math.random() < 0.7) continue;
        client.send(`${sent.get(client)}`);
        sent.set(client, sent.get(client) + 1);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  t.after(() => (stop = true)); // also when it has failed: the file must end
  return { sent, stop: () => ((stop = true), done) };
}

test('random work of five threads on 500 connections agrees with the model', { timeout: 180_000 }, async (t) => {
  const { server, clients } = await launchLoaded(t, CONNECTIONS);
  const seed = Number(process.env.WSB_SEED || Date.now() % 2 ** 31);
  t.diagnostic(`WSB_SEED=${seed}`);
  const ids = clients.map((client) => client.id);
  const byId = new Map(clients.map((client) => [client.id, client]));
  // A client on each worker carries the order to it.
  const carriers = new Map();
  for (const client of clients) carriers.set(server.told.of('open', (event) => event.id === client.id)[0].thread, client);
  assert.equal(carriers.size, 4);
  const names = ['main', ...[...carriers.keys()].map((thread) => `worker${thread}`)];
  const shares = names.map((_, i) => ids.filter((_, at) => at % names.length === i));
  const traffic = pump(t, clients);
  const kept = [...carriers.values()].map((client) => client.id);
  const steps = 4000;
  const runs = names.map((name, i) => {
    const args = [shares[i], ids, kept, name, (seed + i * 7919) >>> 0, steps, ROOMS];
    if (i === 0) return server.main(`(wsb, kit, ...args) => (${actor})(wsb, ...args)`, ...args);
    return [...carriers.values()][i - 1].run(`(wsb, id, ...args) => (${actor})(wsb, ...args)`, ...args);
  });
  const logs = await Promise.all(runs);
  await traffic.stop();
  const models = names.map((_, i) => expected(shares[i], logs[i]));

  // Everything has come when a last word, published from each thread, has.
  const survivors = models.flatMap(({ open }) => [...open]);
  // A socket that is being closed stays subscribed until its shard has heard of it.
  await until(() => server.main((wsb, kit, count) => wsb.subscriberCount('everyone') === count, survivors.length), 'only survivors to be subscribed');
  const last = await server.main((wsb) => wsb.sendToChannel('everyone', 'the end'));
  assert.equal(last, survivors.length);
  for (const id of survivors) await until(() => byId.get(id).messages.includes('the end'), `the end at ${id}`, 60_000, () => server.note());
  for (const client of clients) if (!survivors.includes(client.id)) assert.deepEqual(await client.end(), { code: 4000, reason: names[shares.findIndex((share) => share.includes(client.id))] });

  for (const [i, name] of names.entries()) {
    const everyone = logs[i].filter(([what, channel]) => what === 'publish' && channel === 'everyone').map(([, , text]) => text);
    for (const client of clients) {
      const mine = models[i].got.get(client.id);
      if (mine) {
        assert.deepEqual(client.messages.filter((text) => text.startsWith(`${name} `)), mine, `${name} to its own ${client.id}`);
      } else {
        const seen = numbers(client, name);
        assert.deepEqual(seen, [...new Set(seen)].sort((a, b) => a - b), `${name} to ${client.id}: in order, none twice`);
        if (survivors.includes(client.id)) {
          const got = client.messages.filter((text) => text.startsWith(`${name} `) && text.endsWith(' everyone'));
          assert.deepEqual(got, everyone, `${name} to everyone, at ${client.id}`);
        }
      }
    }
  }

  // What the broker says in the end is what the model says.
  const rooms = new Map(models.flatMap((model) => [...model.rooms]));
  const answers = await server.main((wsb, kit, ids, rooms) => ({
    subscriptions: ids.map((id) => wsb.getSubscriptions(id).sort()),
    subscribers: Array.from({ length: rooms }, (_, i) => wsb.getSubscribers(`room ${i}`).sort((a, b) => a - b)),
    counts: Array.from({ length: rooms }, (_, i) => wsb.subscriberCount(`room ${i}`)),
  }), ids, ROOMS);
  assert.deepEqual(answers.subscriptions, ids.map((id) => [...rooms.get(id)].sort()));
  const members = Array.from({ length: ROOMS }, (_, i) => ids.filter((id) => rooms.get(id).has(`room ${i}`)).sort((a, b) => a - b));
  assert.deepEqual(answers.subscribers, members);
  assert.deepEqual(answers.counts, members.map((list) => list.length));
  await until(() => server.main((wsb, kit, count) => wsb.connectionCount() === count, survivors.length), 'the count to be right');

  await Promise.all(survivors.map((id) => byId.get(id).close()));
  await until(() => server.told.of('close').length === CONNECTIONS, 'every close', 60_000, () => server.note());
  const closedByServer = new Set(clients.filter(({ id }) => !survivors.includes(id)));
  // What a client sent to a socket that was being closed is discarded by the protocol.
  const sent = new Map([...traffic.sent].filter(([client]) => !closedByServer.has(client)));
  checkEvents(server, clients, { sent });
});

test('workers killed in the middle: nothing out of order, nothing twice, at most the event being handled lost', { timeout: 180_000 }, async (t) => {
  const { server, clients } = await launchLoaded(t, 200);
  const ids = clients.map((client) => client.id);
  const traffic = pump(t, clients);
  const seed = Number(process.env.WSB_SEED || Date.now() % 2 ** 31);
  t.diagnostic(`WSB_SEED=${seed}`);
  const working = server.main(`(wsb, kit, ...args) => (${actor})(wsb, ...args)`, ids, ids, [], 'main', seed, 12_000, ROOMS);
  const killers = [];
  for (let round = 0; round < 4; round++) {
    const before = server.told.of('text').length;
    await until(() => server.told.of('text').length > before + 300, 'traffic to go on', 60_000, () => server.note());
    const killer = clients.find((client) => client.ws.readyState === 1 && !killers.includes(client) && Math.random() < 0.05) ?? clients.find((client) => client.ws.readyState === 1);
    killers.push(killer);
    killer.send('die');
  }
  const log = await working;
  await traffic.stop();
  const { open, got } = expected(ids, log);
  await server.main((wsb) => wsb.sendToChannel('everyone', 'the end'));
  for (const client of clients) {
    if (open.has(client.id)) await until(() => client.messages.includes('the end'), `the end at ${client.id}`, 60_000, () => server.note());
    else await client.end();
    assert.deepEqual(client.messages.filter((text) => text !== 'the end'), got.get(client.id), `what ${client.id} got`);
  }
  await Promise.all(clients.filter((client) => open.has(client.id)).map((client) => client.close()));
  await until(() => server.told.of('close').length === clients.length, 'every close', 60_000, () => server.note());
  const sent = new Map([...traffic.sent].filter(([client]) => open.has(client.id)));
  // A handler that waited for its promise when its worker died had begun, and had been reported: so nothing that was reported is lost.
  checkEvents(server, clients, { sent, mayMove: true });
});
