// A server that has seen a million connections holds what it held after the first hundred thousand: npm run leak [-- count]
//
// Of each hundred, 60 close as they should, 20 are reset, both after a message that made the worker set tokens and subscribe; 20 go
// before they are open, at any point of their request. After each tenth nothing of them may be left, and the resident memory is
// printed, without what is mapped from files. It fails when the second half adds more than 8 MiB and 8 bytes for each connection in it:
// what the heaps of two threads may wander, and less than any leak.
import assert from 'node:assert/strict';
import { execFileSync, fork, spawn } from 'node:child_process';
import { connect } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';

const MiB = 1 << 20;
const STEPS = 10;
const root = fileURLToPath(new URL('../../', import.meta.url));
const count = Number(process.argv[2] ?? 1_000_000);
if (!Number.isInteger(count) || count < 1000) {
  console.error('usage: npm run leak [-- count], 1000 at least');
  process.exit(2);
}
// Each address of ours has some 28,000 ports, and a port rests for a minute. macOS has one address, unless it was given more.
const sources = process.platform === 'darwin' ? 1 : Math.min(100, Math.ceil(count / 10_000));
const allowed = (connections) => 8 * MiB + 8 * connections;

const load = buildLoad();
const server = fork(fileURLToPath(new URL('server.mjs', import.meta.url)), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
const died = new Promise((_, reject) => server.once('exit', (code, signal) => reject(new Error(`the server ended: ${code ?? signal}`))));
died.catch(() => {});
process.on('exit', () => server.kill());

const within = (promise, what, ms = 60_000) => {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms)));
  return Promise.race([promise, died, late]).finally(() => clearTimeout(timer));
};
const told = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

const { url } = await within(told(server, 'message'), 'the server is there');
const { hostname, port } = new URL(url);
const measurer = new WebSocket(new URL('/measure', url));
await within(told(measurer, 'open'), 'a connection to measure by');

const began = Date.now();
const readings = [];
readings.push(await settled(0));
print(0, readings[0]);
for (let step = 1; step <= STEPS; step++) {
  const before = Math.floor(((step - 1) * count) / STEPS);
  const part = Math.floor((step * count) / STEPS) - before;
  const clean = Math.floor(part * 0.6);
  const reset = Math.floor(part * 0.2);
  await scenario(clean);
  await scenario(reset, '--abrupt');
  await half(part - clean - reset);
  readings.push(await settled(before + part));
  print(before + part, readings.at(-1));
}
const [middle, end] = [readings[STEPS / 2], readings[STEPS]];
const grown = end.memory - middle.memory;
const limit = allowed(count / 2);
console.log(`the second half added ${mebibytes(grown)}, of ${mebibytes(limit)} that it may; closes ${JSON.stringify(end.closes)}, rejected ${JSON.stringify(end.rejected)}`);
server.removeAllListeners('exit');
measurer.terminate();
server.disconnect();
process.exitCode = grown > limit ? 1 : 0;
if (grown > limit) console.error('the server leaks');

/** For a long run the fast one; for a short one that of `cargo test`, which is there already. WSB_LOAD names another. */
function buildLoad() {
  if (process.env.WSB_LOAD) return process.env.WSB_LOAD;
  const args = ['build', '--locked', '--package', 'wsbroker-load', '--message-format', 'json-render-diagnostics'];
  if (count > 100_000) args.push('--release');
  const lines = execFileSync('cargo', args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * MiB, stdio: ['ignore', 'pipe', 'inherit'] }).split('\n');
  const made = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line).executable);
  return made.findLast((executable) => executable && path.parse(executable).name === 'wsbroker-load');
}

/** So many connections that say something and hear it back, 64 at a time. */
async function scenario(connections, ...more) {
  const args = ['connect', '--url', url, '--connections', '64', '--messages', `${connections}`, '--touch', '--sources', `${sources}`, '--stall', '30', ...more];
  const child = spawn(load, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let report = '';
  child.stdout.on('data', (text) => (report += text));
  const code = await Promise.race([told(child, 'close'), died]).finally(() => child.kill());
  assert.equal(code, 0, `wsbroker-load ${args.join(' ')}: ${report}`);
}

/** So many that go before they are open, at any byte of their request or right behind it. */
async function half(connections) {
  const request = `GET /half HTTP/1.1\r\nHost: ${hostname}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
  let begun = 0;
  const one = (number) =>
    new Promise((resolve, reject) => {
      const localAddress = sources > 1 ? `127.0.1.${1 + (number % sources)}` : undefined;
      const socket = connect({ host: hostname, port: Number(port), localAddress });
      socket.once('error', reject).once('connect', () => {
        const sent = request.slice(0, (number * 7) % (request.length + 1));
        socket.off('error', reject).on('error', () => {}).once('close', resolve).resume();
        if (number % 2 === 0) socket.write(sent, () => socket.resetAndDestroy());
        else socket.end(sent, () => setImmediate(() => socket.destroy()));
      });
    });
  const lane = async () => {
    while (begun < connections) await one(begun++);
  };
  await Promise.race([Promise.all(Array.from({ length: 64 }, lane)), died]);
}

/** What the server holds once all but the one that measures are gone. */
async function settled(after) {
  let state;
  const deadline = Date.now() + 60_000;
  for (;;) {
    measurer.send('state');
    const counts = JSON.parse(await within(told(measurer, 'message'), 'the worker answers'));
    server.send('state');
    state = { ...(await within(told(server, 'message'), 'the server answers')), ...counts };
    const rest = { connections: state.connections, handlers: state.opened - state.closed, left: state.left, pending: state.pendingUpgrades };
    if (rest.connections === 1 && rest.handlers === 1 && rest.left === 0 && rest.pending === 0) break;
    assert.ok(Date.now() < deadline, `${after} connections later something is left: ${JSON.stringify(rest)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(state.channels ?? 0, 0, 'no channel is left');
  if (readings.length > 0) assert.ok(state.descriptors <= readings[0].descriptors + 2, `${state.descriptors} descriptors are open`);
  return state;
}

function print(connections, state) {
  const share = `${Math.round((100 * connections) / count)} %`.padStart(5);
  console.log(`${share} ${String(connections).padStart(9)} connections ${mebibytes(state.memory).padStart(10)} (${mebibytes(state.rss)} with files), ${((Date.now() - began) / 1000).toFixed(1)} s`);
}

function mebibytes(bytes) {
  return `${(bytes / MiB).toFixed(1)} MiB`;
}
