// What does the server helper cost? The same application directly on `Bun.serve`, with the helper
// on sockets of `Bun.serve`, and with it on those of wsbroker, run in turns: `node bench/helper.mjs
// [--runs 5] [--seconds 3]`. Prints CPU seconds of the server per million messages that clients
// received, the median of the runs and their range. Every client checks how many it gets.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import WebSocket from 'ws';

import { findBun } from '../test/runner/runtimes.mjs';
import { describeMachine, Placement } from './lib/machine.mjs';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '5' }, seconds: { type: 'string', default: '3' } } });
const [runs, seconds] = [Number(values.runs), Number(values.seconds)];
const { binary: bun, why } = await findBun();
if (!bun) throw new Error(why);
const placement = new Placement();
const server = fileURLToPath(new URL('servers/helper.mjs', import.meta.url));
const TICKS = 100;

const PEERS = [
  { name: 'Bun.serve, plain', kind: 'plain', runtime: bun },
  { name: 'helper on Bun.serve', kind: 'helper', runtime: bun },
  { name: 'helper, native, Bun', kind: 'native', runtime: bun },
  { name: 'helper, native, Node', kind: 'native', runtime: process.execPath },
];

/** User and system time of a process, in seconds. */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

const PAD = 'x'.repeat(40);
const message = (event, data) => JSON.stringify({ event, data });

/**
 * Each opens its clients, and returns the next action of one of them. A scenario stops when
 * `state.on` is false.
 */
const scenarios = {
  'room of 1,000': {
    clients: 1000,
    users: (i) => i,
    begin(clients, state) {
      const text = message('room', { pad: PAD });
      const publish = () => clients[0].send(text);
      let left = 0;
      state.received = () => {
        if (--left > 0) return;
        if (!state.on) return state.quiet();
        left = clients.length;
        publish();
      };
      left = clients.length;
      publish();
    },
    room: true,
  },
  'users with 3 sessions': {
    clients: 900,
    users: (i) => Math.floor(i / 3),
    begin(clients, state) {
      let open = 0;
      // Sixteen senders; each names the next user when its message has come to all three.
      const waits = new Map();
      let next = 0;
      const send = (sender) => {
        const user = String(next++ % 300);
        const key = `${sender}:${user}`;
        waits.set(key, 3);
        clients[sender].send(message('user', { user, sender, pad: PAD }));
      };
      state.received = (text) => {
        const { data: { sender, user } } = JSON.parse(text);
        const key = `${sender}:${user}`;
        const left = waits.get(key) - 1;
        if (left > 0) return waits.set(key, left);
        waits.delete(key);
        if (state.on) send(sender);
        else if (--open === 0) state.quiet();
      };
      for (; open < 16; open++) send(open);
    },
  },
  'messageHandler and back': {
    clients: 64,
    users: (i) => i,
    begin(clients, state) {
      const text = message('echo', { pad: PAD });
      let open = 0;
      state.received = (_text, client) => {
        if (state.on) client.send(text);
        else if (--open === 0) state.quiet();
      };
      for (const client of clients) for (let i = 0; i < 16; i++, open++) client.send(text);
    },
  },
};

async function connect(port, user, room) {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/ws`, { perMessageDeflate: false });
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
  ws.send(message('authenticate', { user: String(user) }));
  await new Promise((resolve) => ws.once('message', resolve));
  if (room) {
    ws.send(message('join', { rooms: ['bench'] }));
    // Sent after the join: once this is back, the join is done.
    ws.send(message('echo', 0));
    await new Promise((resolve) => ws.once('message', resolve));
  }
  return ws;
}

async function run({ kind, runtime }, { clients: count, users, begin, room }) {
  const [command, ...args] = [...placement.server('cpu'), runtime, server, kind];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.on('exit', resolve));
  const clients = [];
  try {
    const port = await new Promise((resolve) => createInterface({ input: child.stdout }).once('line', resolve));
    for (let i = 0; i < count; i++) clients.push(await connect(port, users(i), room));
    const state = { on: true, total: 0, received: undefined };
    const quiet = new Promise((resolve) => (state.quiet = resolve));
    for (const client of clients) {
      client.on('message', (data) => {
        state.total++;
        state.received(data, client);
      });
    }
    begin(clients, state);
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    await pause((seconds * 1000) / 3);
    const [cpu, total, at] = [cpuOf(child.pid), state.total, performance.now()];
    await pause(seconds * 1000);
    const measured = { cpu: cpuOf(child.pid) - cpu, total: state.total - total, seconds: (performance.now() - at) / 1000 };
    state.on = false;
    // Nothing may be lost: messages under way still arrive.
    await quiet;
    return { perMillion: (measured.cpu / measured.total) * 1e6, perSecond: measured.total / measured.seconds };
  } finally {
    for (const client of clients) client.terminate();
    child.kill('SIGKILL');
    await exited;
  }
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const where = placement.cpu === undefined ? 'NOT PINNED' : `server pinned to CPU ${placement.cpu}`;
console.log(`${JSON.stringify(describeMachine())}\n${where}; ${runs} runs of ${seconds} s, in turns`);
console.log(`| CPU s per million, messages/s | ${PEERS.map(({ name }) => name).join(' | ')} |\n| --- |${' --- |'.repeat(PEERS.length)}`);
for (const [name, scenario] of Object.entries(scenarios)) {
  const figures = new Map(PEERS.map((peer) => [peer, []]));
  for (let i = 0; i < runs; i++) {
    for (let n = 0; n < PEERS.length; n++) {
      const peer = PEERS[(i + n) % PEERS.length];
      figures.get(peer).push(await run(peer, scenario));
    }
  }
  const cell = (peer) => {
    const all = figures.get(peer).map(({ perMillion }) => perMillion);
    const rate = Math.round(median(figures.get(peer).map(({ perSecond }) => perSecond)));
    return `${median(all).toFixed(2)} (${Math.min(...all).toFixed(2)}-${Math.max(...all).toFixed(2)}), ${rate}`;
  };
  console.log(`| ${name} | ${PEERS.map(cell).join(' | ')} |`);
}
