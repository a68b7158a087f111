// How much of a publish is the helper's own? Processor time per delivered message, less that of a
// bare publish of the same frames on the same sockets: for the helper on wsbroker in Node, and for
// the same behaviour written in JavaScript upon `Bun.serve` (servers/share.mjs). Needs redis-server.
// With `--bun` wsbroker runs on Bun as well, so that both sides have the same JSON.parse.
// It is user and system time together: the kernel splits them by ticks, and the timers of a server
// may never be seen by one.
//
//   node bench/share.mjs [--bun] [--runs 5] [--seconds 2] [scenario ...]
//
// The four servers run in turns. Clients count every byte: a run in which one is missing fails.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Redis from 'ioredis';

import { findBun } from '../test/runner/runtimes.mjs';
import { describeMachine } from './lib/machine.mjs';
import { Redis as RedisServer } from './lib/redis.mjs';

const { values, positionals } = parseArgs({
  options: { runs: { type: 'string', default: '5' }, seconds: { type: 'string', default: '2' }, bun: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const [runs, seconds] = [Number(values.runs), Number(values.seconds)];
const { binary: bun, why } = await findBun();
if (!bun) throw new Error(why);
const server = fileURLToPath(new URL('servers/share.mjs', import.meta.url));

const ours = values.bun ? bun : process.execPath;
const KINDS = { helper: ours, 'bare-wsbroker': ours, peer: bun, 'bare-bun': bun };
const GROUPS = {
  'rooms of 1': { rooms: 50, members: 1, ms: 2 },
  'rooms of 10': { rooms: 20, members: 10, ms: 5 },
  'rooms of 100': { rooms: 10, members: 100, ms: 20 },
  'broadcast to 2,000': { rooms: 1, members: 2000, ms: 40 },
};
const BY = ['server', 'client', 'Redis'];

const data = { pad: 'x'.repeat(40) };
const FRAME = 2 + JSON.stringify({ event: 'said', data }).length;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A client that reads no more than it must: it counts what comes. */
class Client {
  bytes = 0;

  static async open(port) {
    const client = new Client();
    const socket = (client.socket = connect(port, '127.0.0.1'));
    socket.setNoDelay(true);
    socket.write(`GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`);
    await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject));
    socket.on('data', (chunk) => (client.bytes += chunk.length));
    return client;
  }

  /** With a mask of zeros, which is one, too. */
  send(event, data) {
    const payload = Buffer.from(JSON.stringify({ event, data }));
    const head = payload.length < 126 ? [0x81, 0x80 | payload.length] : [0x81, 0xfe, payload.length >> 8, payload.length & 255];
    this.socket.write(Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), payload]));
  }
}

async function run(kind, { rooms, members, ms }, by, redis) {
  const all = rooms === 1;
  const child = spawn(KINDS[kind], [server, kind, String(rooms), redis.url], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.on('exit', resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => Number((await lines.next()).value);
  const publisher = new Redis(redis.url);
  const clients = [];
  try {
    const port = await line();
    for (let i = 0; i < rooms * members; i++) clients.push(await Client.open(port));
    clients.forEach((client, i) => {
      client.send('authenticate', { user: String(i) });
      client.send('join', { rooms: [`room-${i % rooms}`] });
    });
    const total = () => clients.reduce((sum, client) => sum + client.bytes, 0);
    const quiet = async () => {
      for (let last = -1; total() !== last; ) {
        last = total();
        await pause(200);
      }
    };
    await pause(500);
    await quiet();
    /** Each to all rooms, or to all clients. */
    const rounds = async (count) => {
      const expected = total() + count * rooms * members * FRAME;
      if (by === 'server' || (by === 'Redis' && kind.startsWith('bare'))) {
        child.stdin.write(`say ${count} ${all ? 'all' : 'room'} ${ms}\n`);
      } else {
        for (let i = 0; i < count; i++) {
          for (let n = 0; n < rooms; n++) {
            const room = `room-${n}`;
            if (by === 'client') clients[n].send(all ? 'all' : 'room', all ? { data } : { room, data });
            else publisher.publish(all ? 'ws:broadcast' : `ws:room:${room}`, JSON.stringify({ serverId: 'bench', type: all ? 'broadcast' : 'room', target: all ? undefined : room, event: 'said', data })).catch(() => undefined);
          }
          await pause(ms);
        }
      }
      for (const deadline = Date.now() + 30_000; total() < expected; await pause(5)) {
        if (Date.now() > deadline) throw new Error(`${kind}, by ${by}: ${(expected - total()) / FRAME} messages are missing`);
      }
      if (total() !== expected) throw new Error(`${kind}, by ${by}: more came than was sent`);
    };
    const cpu = async () => {
      child.stdin.write('cpu\n');
      return line();
    };
    const count = Math.ceil((seconds * 1000) / ms);
    await rounds(Math.ceil(count / 3));
    const before = await cpu();
    await rounds(count);
    return ((await cpu()) - before) / (count * rooms * members);
  } finally {
    publisher.disconnect();
    for (const { socket } of clients) socket.destroy();
    child.kill('SIGKILL');
    await exited;
  }
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
console.log(`${JSON.stringify(describeMachine())}\n${runs} runs of ${seconds} s, in turns; processor time in microseconds per delivered message: median (range)`);
console.log('| | helper | bare wsbroker | peer | bare Bun.serve | the helper\'s own | the peer\'s own | ratio |\n| --- | --- | --- | --- | --- | --- | --- | --- |');
const redis = await RedisServer.start([]);
try {
  for (const [name, group] of Object.entries(GROUPS)) {
    for (const by of BY) {
      const scenario = `${name}, by ${by}`;
      if (positionals.length > 0 && !positionals.includes(scenario)) continue;
      const kinds = Object.keys(KINDS);
      const figures = new Map(kinds.map((kind) => [kind, []]));
      for (let i = 0; i < runs; i++) {
        for (let n = 0; n < kinds.length; n++) {
          const kind = kinds[(i + n) % kinds.length];
          figures.get(kind).push(await run(kind, group, by, redis));
        }
      }
      const cells = kinds.map((kind) => `${median(figures.get(kind)).toFixed(3)} (${Math.min(...figures.get(kind)).toFixed(3)}-${Math.max(...figures.get(kind)).toFixed(3)})`);
      const own = (with_, without) => median(figures.get(with_).map((figure, i) => figure - figures.get(without)[i]));
      const [helper, peer] = [own('helper', 'bare-wsbroker'), own('peer', 'bare-bun')];
      console.log(`| ${scenario} | ${cells.join(' | ')} | ${helper.toFixed(3)} | ${peer.toFixed(3)} | ${(helper / peer).toFixed(2)} |`);
    }
  }
} finally {
  await redis.stop();
}
