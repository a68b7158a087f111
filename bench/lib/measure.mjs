import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { loadavg } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { memoryOf, openFilesLimit } from './machine.mjs';
import { Server } from './peers.mjs';

/** Files that a server needs besides its connections. */
const SPARE_FILES = 500;
/**
 * Connections that come and go before the memory is first measured, so that the code for them is
 * already loaded.
 */
const MEMORY_WARMUP = 500;
/**
 * How often, a second apart, the memory of a server with its connections is measured; the smallest
 * value counts.
 */
const MEMORY_SAMPLES = 5;

/**
 * Half of the messages per second that a peer takes when the next one follows each reply: the load
 * at which a latency is measured.
 * @returns {Promise<{ rate?: number, error?: string }>}
 */
export async function halfLoad(scenario, peer, how) {
  const { raw, error } = await measure(scenario, peer, how);
  const rate = raw && Math.round(raw.sent / raw.seconds / 2);
  return rate > 0 && error === undefined ? { rate } : { error: error ?? 'not one message came back' };
}

/**
 * One run of one scenario against one peer, in a process of its own. With `rate` that many messages
 * per second are sent, whatever comes back.
 * @returns {Promise<{ figure?: number | Record<string, number>, error?: string, [raw: string]: unknown }>}
 */
export async function measure(scenario, peer, { generator, placement, certificate, seconds, warmup, quick, rate }) {
  const load = loadavg()[0];
  let server;
  try {
    server = await Server.start(peer, placement.server(scenario.measure), environment(scenario, certificate));
    const prefix = [...placement.generator(scenario.measure), generator];
    const target = ['--url', server.url, '--pid', String(server.pid)];
    if (scenario.measure === 'memory') {
      return { load, ...(await measureMemory(scenario, server, prefix, target, quick)) };
    }
    const args = [...scenario.load, ...(rate === undefined ? [] : ['--rate', String(rate)]), '--seconds', String(seconds), '--warmup-seconds', String(warmup), ...target];
    return { load, ...figureOf(scenario, await run(prefix, args), placement) };
  } catch (error) {
    return { load, error: error.message };
  } finally {
    await server?.stop();
  }
}

/** Environment of the server; see servers/work.mjs. */
function environment({ env, tls, deflate }, certificate) {
  return {
    ...env,
    ...(tls && { BENCH_CERT: certificate.cert, BENCH_KEY: certificate.key }),
    ...(deflate && { BENCH_DEFLATE: '1' }),
  };
}

function figureOf({ measure, deflate }, raw, placement) {
  if (!raw.verified) {
    return { error: `not verified: ${JSON.stringify({ ...raw.errors, notes: raw.notes })}`, raw };
  }
  if (deflate && !(raw.deflate?.compressedReceived >= raw.received)) {
    return { error: 'not all messages were compressed', raw };
  }
  if (measure === 'rate') {
    return { figure: raw.receivedPerSecond, raw };
  }
  if (measure === 'latency') {
    const { p50, p99 } = raw.latencyMicros;
    return { figure: { p50, p99 }, raw };
  }
  if (raw.serverCpu === undefined) {
    return { error: 'the processor time of the server cannot be read here', raw };
  }
  // On one CPU, other processes used what neither server nor generator did, or it was idle.
  const busy = placement.cpu === undefined ? undefined : (raw.serverCpu.seconds + raw.ownCpu.seconds) / raw.seconds;
  return { figure: raw.serverCpu.secondsPerMillion, busy, raw };
}

async function measureMemory(scenario, server, prefix, target, quick) {
  const connections = Math.min(quick ? 2_000 : scenario.connections, openFilesLimit() - SPARE_FILES);
  await run(prefix, ['connect', '--touch', '--messages', String(MEMORY_WARMUP), ...target]);
  await sleep(1_000);
  const before = memoryOf(server.pid);
  if (before === undefined) {
    return { error: 'the memory of the server cannot be read here' };
  }
  const idle = start(prefix, [...scenario.load, '--connections', String(connections), ...target]);
  const samples = [];
  try {
    await idle.line();
    for (let i = 0; i < MEMORY_SAMPLES; i += 1) {
      await sleep(1_000);
      samples.push(memoryOf(server.pid));
    }
  } finally {
    idle.child.stdin.end();
  }
  const raw = JSON.parse(await idle.line());
  const least = Math.min(...samples.map((sample) => sample.private));
  const figure = (least - before.private) / connections;
  return raw.verified ? { figure, connections, before, samples, raw } : { error: 'not verified', connections, before, samples, raw };
}

/** Runs the generator to its end. */
async function run(prefix, args) {
  const generator = start(prefix, args);
  generator.child.stdin.end();
  return JSON.parse(await generator.line());
}

/**
 * Starts the generator; `line()` is its next line of output, and rejects at the end of the output.
 */
function start(prefix, args) {
  const [file, ...rest] = [...prefix, ...args];
  const child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  const failed = once(child, 'error').then(([error]) => Promise.reject(error));
  failed.catch(() => {}); // told by line(), when somebody asks
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => {
    const { value, done } = await Promise.race([lines.next(), failed]);
    if (done) {
      throw new Error(`wsbroker-load ${args.join(' ')}: no report`);
    }
    return value;
  };
  return { child, line };
}
