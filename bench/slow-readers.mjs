// What do a thousand readers that are too slow cost? One channel with history, on which much more is
// published than they read, and a few other readers, whose delay is measured before they come and
// while they are there:
//
//   node bench/slow-readers.mjs [--readers 1000] [--reads 10000] [--publishes 1000000] [--seconds 30]
//
// `reads` and `publishes` are bytes a second. The server keeps 8 MiB of the channel. It says how much
// memory the server takes, and exits with 1 if a slow reader was closed, or if one of the others has
// lost a message. Server and readers share this machine, so delays are upper bounds.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { describeMachine } from './lib/machine.mjs';
import { WsbrokerClient } from './lib/recovering-clients.mjs';

const CHANNEL = 'bench:slow';
const MESSAGE = 10_000;
const OTHERS = 10;
const number = (text) => ({ type: 'string', default: text });
const { values } = parseArgs({ options: { readers: number('1000'), reads: number('10000'), publishes: number('1000000'), seconds: number('30') } });
const [readers, reads, publishes, seconds] = ['readers', 'reads', 'publishes', 'seconds'].map((name) => Number(values[name]));

if (process.env.SLOW_READERS_PORT) await readSlowly(Number(process.env.SLOW_READERS_PORT));
else await measure();

/** In a process of its own: opens the readers, says so, and what became of them when it is asked. */
async function readSlowly(port) {
  let closed = 0;
  let taken = 0;
  for (let n = 0; n < readers; n += 1) {
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(`GET / HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}\r\nSec-WebSocket-Protocol: wsbroker.v1\r\n\r\n`);
    await once(socket, 'readable');
    const client = n.toString(16).padStart(32, '0');
    for (const message of [{ type: 'hello', client }, { type: 'subscribe', channels: [{ channel: CHANNEL }] }]) socket.write(frame(0x81, JSON.stringify(message)));
    socket.on('error', () => {});
    socket.on('close', () => (closed += 1));
    // Nothing is read but here: Node stops when it has as much as it keeps, and then TCP.
    setInterval(() => {
      const bytes = socket.read(Math.min(reads, socket.readableLength));
      taken += bytes?.length ?? 0;
    }, 1_000);
    // A pong that nobody has asked for: it lives.
    setInterval(() => socket.write(frame(0x8a, '')), 20_000);
  }
  process.on('message', () => process.send({ closed, taken }));
  process.on('disconnect', () => process.exit());
  process.send('open');
}

/** A frame of a client, with a mask of zeros. */
function frame(head, text) {
  const body = Buffer.from(text);
  return Buffer.concat([Buffer.from(body.length < 126 ? [head, 0x80 | body.length] : [head, 0xfe, body.length >> 8, body.length & 0xff]), Buffer.alloc(4), body]);
}

async function measure() {
  const machine = describeMachine();
  console.log(`${machine.cpu}, ${machine.cpus} CPUs, ${machine.system}, load ${machine.loadAverage.toFixed(2)}`);
  const server = fork(fileURLToPath(new URL('servers/recovery.mjs', import.meta.url)));
  const [{ port }] = await once(server, 'message');
  const ask = async (child) => {
    child.send('stats');
    const [answer] = await once(child, 'message');
    return answer;
  };

  let delays = [];
  class Other extends WsbrokerClient {
    message(channel, offset, publishedAt) {
      super.message(channel, offset, publishedAt);
      delays.push(Date.now() - publishedAt);
    }
  }
  const others = Array.from({ length: OTHERS }, (_, n) => new Other(n, port, [CHANNEL]));
  const sender = new WsbrokerClient('publisher', port);
  const text = 'x'.repeat(MESSAGE);
  const failures = [];
  let stop;
  const stopped = new Promise((resolve) => (stop = resolve));
  const publishing = (async () => {
    for (let at = performance.now(), ended = false; !ended; at += (1_000 * MESSAGE) / publishes) {
      ended = await Promise.race([stopped, sleep(Math.max(0, at - performance.now()))]);
      sender.publish(CHANNEL, { at: Date.now(), text }).catch((error) => failures.push(error));
    }
  })();

  const phase = async (what) => {
    delays = [];
    let rss = 0;
    for (let second = 0; second < seconds; second += 1) {
      await sleep(1_000);
      rss = Math.max(rss, (await ask(server)).rss);
    }
    const sorted = [...delays].sort((a, b) => a - b);
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    const { history, connections } = (await ask(server)).stats;
    console.log(`${what}: delay of the others p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms; resident at most ${(rss / 2 ** 20).toFixed(0)} MiB; history ${(history.bytes / 2 ** 20).toFixed(1)} MiB, connections ${connections}`);
  };

  await sleep(2_000);
  await phase('without slow readers');
  const slow = fork(fileURLToPath(import.meta.url), process.argv.slice(2), { env: { ...process.env, SLOW_READERS_PORT: `${port}` } });
  await once(slow, 'message');
  await phase(`the first ${seconds} s of ${readers} slow readers`);
  await phase(`the next ${seconds} s`);
  const before = (await ask(slow)).taken;
  await sleep(10_000);
  const { closed, taken } = await ask(slow);
  console.log(`each slow reader took ${((taken - before) / readers / 10 / 1_000).toFixed(1)} KB/s; closed ${closed}`);
  stop(true);
  await publishing;
  const wrong = others.flatMap((one) => one.wrong).concat(failures);
  console.log(`told of a loss, or not in order, of the others: ${wrong.length + others.reduce((sum, { lost }) => sum + lost, 0)}`);
  for (const one of [...others, sender]) one.finish();
  slow.disconnect();
  server.disconnect();
  process.exitCode = closed > 0 || wrong.length > 0 ? 1 : 0;
}
