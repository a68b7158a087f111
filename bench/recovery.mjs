// Do clients lose anything when connections break? Two instances on one Redis, many clients of
// wsbroker/client, and what goes wrong in a minute of operation:
//
//   node bench/recovery.mjs jitter [--clients 2000] [--seconds 60]
//   node bench/recovery.mjs herd [--clients 5000] [--messages 500]
//
// jitter: each client is in 3 of 50 channels, 100 messages a second are published, and each client
// loses its connection at random moments, for up to 10 s. In the middle one instance is killed with
// SIGKILL and started again, and a connection to Redis is cut. Every client must have each message
// once and in order, or have been told; exit code 1 if not.
//
// herd: all clients lose their connection, messages are published, and all come back at once.
//
// It needs redis-server, and ws from the development dependencies. Instances and clients share this
// machine, so times are upper bounds.
import { fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import WebSocket from 'ws';

import { findRedis } from '../example/redis.mjs';
import { describeMachine } from './lib/machine.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { clients: { type: 'string' }, seconds: { type: 'string', default: '60' }, messages: { type: 'string', default: '500' } },
});
const scenario = positionals[0] ?? 'jitter';
const CHANNELS = 50;
const EACH = 3;
const PER_SECOND = 100;
const LONGEST_OUTAGE = 10_000;
const between = (max) => Math.floor(Math.random() * max);

/** The sockets of a client whose connection is to break: each has the client's name in its URL. */
const sockets = new Map();
globalThis.WebSocket = class extends WebSocket {
  constructor(url, protocol) {
    super(url, protocol, { perMessageDeflate: false });
    // What goes wrong before it is open, which browsers tell by its close.
    this.on('error', () => {});
    sockets.set(new URL(url).searchParams.get('client'), this);
  }
};
const { connect } = await import('wsbroker/client');

const redis = await findRedis('node bench/recovery.mjs');
const instances = [await startInstance(0), await startInstance(0)];
const machine = describeMachine();
console.log(`${machine.cpu}, ${machine.cpus} CPUs, ${machine.system}, load ${machine.loadAverage.toFixed(2)}`);

async function startInstance(port) {
  const child = fork(fileURLToPath(new URL('servers/recovery.mjs', import.meta.url)), { env: { ...process.env, PORT: `${port}`, REDIS_URL: redis.url } });
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

class Client {
  /** Comes back only then. */
  away = 0;
  openedAt = Infinity;
  reconnects = -1;
  /** Milliseconds from the welcome to the last message that was published before it. */
  replays = [];
  #caughtUpAt = 0;
  lost = 0;
  wrong = [];
  /** By channel: the last offset and how many messages came. */
  seen = new Map();

  constructor(number, port, channels) {
    this.name = `${number}`;
    this.client = connect(`ws://127.0.0.1:${port}/?client=${number}`, {
      backoff: { min: 100, max: 2_000 },
      token: async () => {
        while (Date.now() < this.away) await sleep(this.away - Date.now());
        return 'bench';
      },
    });
    this.client.on('error', (error) => this.wrong.push(`error: ${error?.message ?? error}`));
    this.client.on('state', ({ state }) => {
      if (state !== 'open') return this.#note();
      this.openedAt = Date.now();
      this.reconnects += 1;
    });
    for (const channel of channels) {
      const seen = { offset: 0, count: 0 };
      this.seen.set(channel, seen);
      this.client.subscribe(channel, {
        onLost: ({ position }) => {
          this.lost += 1;
          seen.offset = position.offset;
        },
        onMessage: ({ offset, data }) => {
          if (seen.offset !== 0 && offset !== seen.offset + 1) this.wrong.push(`${channel}: ${offset} behind ${seen.offset}`);
          seen.offset = offset;
          seen.count += 1;
          if (JSON.parse(data).at < this.openedAt) this.#caughtUpAt = Date.now();
        },
      });
    }
  }

  #note() {
    if (this.#caughtUpAt > this.openedAt) this.replays.push(this.#caughtUpAt - this.openedAt);
    this.openedAt = Infinity;
  }

  /** The connection breaks, and none can be had for so many milliseconds. */
  cut(forMs) {
    this.away = Date.now() + forMs;
    sockets.get(this.name)?.terminate();
  }

  finish() {
    this.#note();
    this.client.close();
  }
}

const until = async (what, probe, limit = 60_000) => {
  for (const end = Date.now() + limit; ; await sleep(50)) {
    if (probe()) return true;
    if (Date.now() > end) {
      console.log(`not within ${limit} ms: ${what}`);
      return false;
    }
  }
};
const allOpen = (clients) => until('every client is connected', () => clients.every(({ client }) => client.state === 'open'));

/** Publishes through the second instance, which is not killed, and notes the head of each channel. */
function publisher() {
  const client = connect(`ws://127.0.0.1:${instances[1].port}/?client=publisher`, { token: async () => 'bench' });
  const heads = new Map();
  const failures = [];
  const waiting = new Set();
  return {
    heads,
    failures,
    publish(channel) {
      const done = client.publish(channel, JSON.stringify({ at: Date.now(), text: 'x'.repeat(100) })).then(
        ({ position }) => heads.set(channel, Math.max(heads.get(channel) ?? 0, position.offset)),
        (error) => failures.push(`${error.reason}: ${error.message}`),
      );
      waiting.add(done);
      void done.finally(() => waiting.delete(done));
      return done;
    },
    async settled() {
      await Promise.all(waiting);
    },
    close: () => client.close(),
  };
}

async function jitter() {
  const names = Array.from({ length: CHANNELS }, (_, n) => `bench:${n}`);
  const clients = Array.from({ length: Number(values.clients ?? 2_000) }, (_, n) => {
    const first = between(CHANNELS);
    return new Client(n, instances[n % 2].port, Array.from({ length: EACH }, (_each, i) => names[(first + i * 7) % CHANNELS]));
  });
  await allOpen(clients);
  const sender = publisher();
  // So that every client has a position in each of its channels.
  await Promise.all(names.map((name) => sender.publish(name)));
  await until('the first message of each channel', () => clients.every(({ seen }) => [...seen.values()].every(({ count }) => count > 0)));

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
    const { Redis } = await import('ioredis');
    const admin = new Redis(redis.url);
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await admin.quit();
  })();
  const begun = Date.now();
  for (let sent = 0; Date.now() < end; sent += 1) {
    void sender.publish(names[sent % CHANNELS]);
    await sleep(Math.max(0, begun + (sent + 1) * (1_000 / PER_SECOND) - Date.now()));
  }
  await Promise.all([accidents, ...cutting]);
  await sender.settled();
  await allOpen(clients);
  const behind = () => clients.filter(({ seen }) => [...seen].some(([name, { offset }]) => offset < sender.heads.get(name)));
  await until('every client has the newest message', () => behind().length === 0, 30_000);
  for (const client of clients) client.finish();
  const wrong = clients.flatMap((client) => client.wrong);
  const reconnects = clients.reduce((sum, client) => sum + client.reconnects, 0);
  const lost = clients.reduce((sum, client) => sum + client.lost, 0);
  const received = clients.reduce((sum, { seen }) => sum + [...seen.values()].reduce((all, { count }) => all + count, 0), 0);
  const published = [...sender.heads.values()].reduce((sum, head) => sum + head, 0);
  console.log(`${clients.length} clients, ${published} messages published (${sender.failures.length} failed), ${received} received, ${reconnects} reconnects`);
  console.log(`behind at the end ${behind().length}, doubled, missing or out of order ${wrong.length}, told of a loss ${lost} (${((100 * lost) / (EACH * reconnects)).toFixed(3)} % of the subscriptions that came back)`);
  console.log(`from the welcome to the end of the replay: ${ms(clients.flatMap(({ replays }) => replays))}`);
  console.log(wrong.slice(0, 10).concat(sender.failures.slice(0, 5)).join('\n'));
  sender.close();
  return behind().length === 0 && wrong.length === 0;
}

async function herd() {
  const { Redis } = await import('ioredis');
  const admin = new Redis(redis.url);
  const calls = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0);
  const clients = Array.from({ length: Number(values.clients ?? 5_000) }, (_, n) => new Client(n, instances[n % 2].port, ['bench:herd']));
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
  const whole = await until('everybody has all', () => clients.every(({ seen }) => seen.get('bench:herd').offset === sender.heads.get('bench:herd')));
  const took = Date.now() - begun;
  const calledNow = (await calls()) - asked;
  const after = await Promise.all(instances.map((instance) => instance.ask()));
  for (const client of clients) client.finish();
  const wrong = clients.flatMap((client) => client.wrong);
  console.log(`${clients.length} clients, ${values.messages} messages each: all had them ${took} ms after they might come back`);
  console.log(`from the welcome to the end of the replay: ${ms(clients.flatMap(({ replays }) => replays))}`);
  console.log(`calls of the script on Redis: ${calledNow}; told of a loss ${clients.reduce((sum, { lost }) => sum + lost, 0)}; wrong ${wrong.length}`);
  for (const [i, { rss }] of after.entries()) console.log(`instance ${i + 1}: resident ${(before[i].rss / 2 ** 20).toFixed(0)} -> ${(rss / 2 ** 20).toFixed(0)} MiB`);
  console.log(wrong.slice(0, 10).join('\n'));
  sender.close();
  await admin.quit();
  return whole && wrong.length === 0;
}

const fine = await { jitter, herd }[scenario]();
for (const { child } of instances) child.disconnect();
await redis.close();
process.exit(fine ? 0 : 1);
