// Do clients lose anything when connections break? Two instances on one Redis, many clients of
// wsbroker/client, and what goes wrong in a minute of operation:
//
//   node bench/recovery.mjs jitter [--clients 2000] [--seconds 60] [--peers wsbroker,socketio]
//   node bench/recovery.mjs herd [--clients 5000] [--messages 500]
//
// jitter: each client is in 3 of 50 channels, 100 messages a second are published, and each client
// loses its connection at random moments, for up to 10 s. In the middle one instance is killed with
// SIGKILL and started again, and a connection to Redis is cut. Every client must have each message
// once and in order, or have been told; exit code 1 if not. Beside it Socket.IO, with its connection
// state recovery over Redis Streams: it is told of everything at once if it does not recover, and
// what it misses is only shown.
//
// herd: all clients lose their connection, messages are published, and all come back at once.
//
// It needs redis-server, and the development dependencies. Instances and clients share this
// machine, so times are upper bounds.
import { fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { findRedis } from '../example/redis.mjs';
import { describeMachine } from './lib/machine.mjs';
import { SocketIoClient, WsbrokerClient } from './lib/recovering-clients.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { clients: { type: 'string' }, seconds: { type: 'string', default: '60' }, peers: { type: 'string', default: 'wsbroker,socketio' }, messages: { type: 'string', default: '500' } },
});
const scenario = positionals[0] ?? 'jitter';
const CHANNELS = 50;
const EACH = 3;
const PER_SECOND = 100;
const LONGEST_OUTAGE = 10_000;
const between = (max) => Math.floor(Math.random() * max);

const PEERS = {
  wsbroker: { Client: WsbrokerClient, server: 'servers/recovery.mjs', reads: / sub=[1-9]/ },
  socketio: { Client: SocketIoClient, server: 'servers/recovery-socketio.mjs', reads: / cmd=xread / },
};

const redis = await findRedis('node bench/recovery.mjs');
let peer = PEERS.wsbroker;
let instances = [];
const machine = describeMachine();
console.log(`${machine.cpu}, ${machine.cpus} CPUs, ${machine.system}, load ${machine.loadAverage.toFixed(2)}`);

async function startInstance(port) {
  const child = fork(fileURLToPath(new URL(peer.server, import.meta.url)), { env: { ...process.env, PORT: `${port}`, REDIS_URL: redis.url } });
  const told = () => new Promise((resolve) => child.once('message', resolve));
  return {
    child,
    port: (await told()).port,
    async ask() {
      const answer = told();
      child.send('stats');
      return answer;
    },
  };
}

const percentile = (list, share) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))];
const ms = (list) => (list.length ? `p50 ${percentile(list, 0.5)} ms, p99 ${percentile(list, 0.99)} ms, max ${percentile(list, 1)} ms` : 'none');

const until = async (what, probe, limit = 60_000) => {
  for (const end = Date.now() + limit; ; await sleep(50)) {
    if (probe()) return true;
    if (Date.now() > end) {
      console.log(`not within ${limit} ms: ${what}`);
      return false;
    }
  }
};
const allOpen = (clients) => until('every client is connected', () => clients.every(({ isOpen }) => isOpen));

async function startPeer(name) {
  peer = PEERS[name];
  if (peer === undefined) throw new Error(`--peers: expected ${Object.keys(PEERS)}, got ${name}`);
  instances = [await startInstance(0), await startInstance(0)];
}

async function stopPeer() {
  for (const { child } of instances) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.disconnect();
    await ended;
  }
}

/** Cuts the connection over which one instance hears of the others' messages. */
async function cutRedis() {
  const { Redis } = await import('ioredis');
  const admin = new Redis(redis.url);
  const lines = (await admin.call('CLIENT', 'LIST')).split('\n');
  const [, id] = /^id=(\d+)/.exec(lines.find((line) => peer.reads.test(line)));
  await admin.call('CLIENT', 'KILL', 'ID', id);
  await admin.quit();
}

/** Publishes through the second instance, which is not killed, and notes the head of each channel. */
function publisher() {
  const client = new peer.Client('publisher', instances[1].port);
  const heads = new Map();
  const failures = [];
  const waiting = new Set();
  return {
    heads,
    failures,
    publish(channel) {
      const done = client.publish(channel, { at: Date.now(), text: 'x'.repeat(100) }).then(
        (number) => heads.set(channel, Math.max(heads.get(channel) ?? 0, number)),
        (error) => failures.push(`${error.reason}: ${error.message}`),
      );
      waiting.add(done);
      void done.finally(() => waiting.delete(done));
      return done;
    },
    async settled() {
      await Promise.all(waiting);
    },
    close: () => client.finish(),
  };
}

async function jitter() {
  const names = Array.from({ length: CHANNELS }, (_, n) => `bench:${n}`);
  const clients = Array.from({ length: Number(values.clients ?? 2_000) }, (_, n) => {
    const first = between(CHANNELS);
    return new peer.Client(n, instances[n % 2].port, Array.from({ length: EACH }, (_each, i) => names[(first + i * 7) % CHANNELS]));
  });
  await allOpen(clients);
  const sender = publisher();
  // So that every client has a position in each of its channels. The first one may come before
  // somebody's subscription.
  const haveOne = () => clients.every(({ seen }) => [...seen.values()].every(({ count }) => count > 0));
  for (let round = 0; round < 60 && !haveOne(); round += 1) {
    await Promise.all(names.map((name) => sender.publish(name)));
    await sleep(1_000);
  }

  const seconds = Number(values.seconds);
  const end = Date.now() + seconds * 1_000;
  const cutting = clients.map(async (client) => {
    for (;;) {
      await sleep(between(20_000));
      if (Date.now() > end - LONGEST_OUTAGE) return;
      const outage = between(LONGEST_OUTAGE);
      client.cut(outage);
      await sleep(outage);
    }
  });
  const accidents = (async () => {
    await sleep(seconds * 333);
    const { child, port } = instances[0];
    child.kill('SIGKILL');
    await sleep(1_000);
    instances[0] = await startInstance(port);
    await sleep(seconds * 200);
    await cutRedis();
  })();
  const begun = Date.now();
  for (let sent = 0; Date.now() < end; sent += 1) {
    void sender.publish(names[sent % CHANNELS]);
    await sleep(Math.max(0, begun + (sent + 1) * (1_000 / PER_SECOND) - Date.now()));
  }
  await Promise.all([accidents, ...cutting]);
  await sender.settled();
  await allOpen(clients);
  const behind = () => clients.filter((client) => client.isBehind(sender.heads));
  await until('every client has the newest message', () => behind().length === 0, 30_000);
  for (const client of clients) client.finish();
  const wrong = clients.flatMap((client) => client.wrong);
  const reconnects = clients.reduce((sum, client) => sum + client.reconnects, 0);
  const lost = clients.reduce((sum, client) => sum + client.lost, 0);
  const received = clients.reduce((sum, { seen }) => sum + [...seen.values()].reduce((all, { count }) => all + count, 0), 0);
  const published = [...sender.heads.values()].reduce((sum, head) => sum + head, 0);
  console.log(`${clients.length} clients, ${published} messages published (${sender.failures.length} failed), ${received} received, ${reconnects} reconnects`);
  console.log(`behind at the end ${behind().length}, doubled, missing or out of order ${wrong.length}, told of a loss ${lost} (${((100 * lost) / (EACH * reconnects)).toFixed(3)} % of the subscriptions that came back)`);
  console.log(`from the attempt to connect to the end of the replay: ${ms(clients.flatMap(({ replays }) => replays))}`);
  console.log(wrong.slice(0, 10).concat(sender.failures.slice(0, 5)).join('\n'));
  sender.close();
  return behind().length === 0 && wrong.length === 0;
}

async function herd() {
  const { Redis } = await import('ioredis');
  const admin = new Redis(redis.url);
  const calls = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0);
  const clients = Array.from({ length: Number(values.clients ?? 5_000) }, (_, n) => new peer.Client(n, instances[n % 2].port, ['bench:herd']));
  await allOpen(clients);
  const sender = publisher();
  await sender.publish('bench:herd');
  await until('the first message', () => clients.every(({ seen }) => seen.get('bench:herd').count > 0));
  const before = await Promise.all(instances.map((instance) => instance.ask()));
  const away = Date.now() + 5_000;
  for (const client of clients) client.cut(5_000);
  for (let n = 0; n < Number(values.messages); n += 1) await sender.publish('bench:herd');
  const asked = await calls();
  await sleep(away - Date.now());
  const begun = Date.now();
  const whole = await until('everybody has all', () => clients.every(({ seen }) => seen.get('bench:herd').number === sender.heads.get('bench:herd')));
  const took = Date.now() - begun;
  const calledNow = (await calls()) - asked;
  const after = await Promise.all(instances.map((instance) => instance.ask()));
  for (const client of clients) client.finish();
  const wrong = clients.flatMap((client) => client.wrong);
  console.log(`${clients.length} clients, ${values.messages} messages each: all had them ${took} ms after they might come back`);
  console.log(`from the attempt to connect to the end of the replay: ${ms(clients.flatMap(({ replays }) => replays))}`);
  console.log(`calls of the script on Redis: ${calledNow}; told of a loss ${clients.reduce((sum, { lost }) => sum + lost, 0)}; wrong ${wrong.length}`);
  for (const [i, { rss }] of after.entries()) console.log(`instance ${i + 1}: resident ${(before[i].rss / 2 ** 20).toFixed(0)} -> ${(rss / 2 ** 20).toFixed(0)} MiB`);
  console.log(wrong.slice(0, 10).join('\n'));
  sender.close();
  await admin.quit();
  return whole && wrong.length === 0;
}

let fine = true;
for (const name of scenario === 'herd' ? ['wsbroker'] : values.peers.split(',')) {
  await startPeer(name);
  console.log(`\n${name}`);
  const isWhole = await { jitter, herd }[scenario]();
  fine &&= isWhole || name !== 'wsbroker';
  await stopPeer();
}
await redis.close();
process.exit(fine ? 0 : 1);
