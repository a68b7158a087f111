import { spawnSync } from 'node:child_process';
import { loadavg } from 'node:os';

import { Server } from './peers.mjs';
import { Redis } from './redis.mjs';

/**
 * Publishers are on one instance, 5 subscribers for each of 100 rooms on the other; texts of 128
 * bytes.
 */
const ROOMS = ['--rooms', '100', '--members', '5', '--size', '128'];

const LATENCIES = ['p50', 'p99', 'localP50', 'localP99', 'addedP50', 'addedP99'];

/**
 * Loads of two instances. `cpus` says what all processes share: one CPU, so that nothing depends on
 * where the kernel puts them, or two, so that instances and Redis can work side by side. With
 * `--local` every Nth publish is to a room whose members are all on the publishers' instance; the
 * others cross.
 */
export const LOADS = [
  { name: 'saturated', title: 'as fast as it goes, one CPU', cpus: 1, args: ['--depth', '16'], figures: ['cpu', 'bytes', 'commands'] },
  { name: 'throughput', title: 'as fast as it goes, two CPUs', cpus: 2, args: ['--depth', '16'], figures: ['rate', 'cpu', 'bytes'] },
  { name: 'steady', title: '5,000 publishes a second, two CPUs', cpus: 2, args: ['--rate', '5000'], figures: ['cpu', 'bytes'] },
  { name: 'moderate', title: '2,000 publishes a second, two CPUs', cpus: 2, args: ['--rate', '2000', '--local', '4'], figures: LATENCIES },
  { name: 'quiet', title: '100 publishes a second, two CPUs', cpus: 2, args: ['--rate', '100', '--local', '2'], figures: LATENCIES },
];

/** What is reported about a run. `of` reads it from the generator's report. */
export const FIGURES = {
  cpu: { title: 'CPU seconds per million deliveries', digits: 2, of: ({ serverCpu }) => serverCpu.secondsPerMillion },
  rate: { title: 'publishes per second', digits: 0, of: ({ sent, seconds }) => sent / seconds },
  bytes: { title: 'bytes into and out of Redis per publish', digits: 0, of: ({ bus, sent }) => (bus.bytesIn + bus.bytesOut) / sent },
  commands: { title: 'commands of Redis per publish', digits: 3, of: ({ bus, sent }) => bus.commands / sent },
  p50: { title: 'latency of what crosses, p50, us', digits: 0, of: ({ latencyMicros }) => latencyMicros.p50 },
  p99: { title: 'latency of what crosses, p99, us', digits: 0, of: ({ latencyMicros }) => latencyMicros.p99 },
  localP50: { title: 'latency of a local publish, p50, us', digits: 0, of: ({ localLatencyMicros }) => localLatencyMicros.p50 },
  localP99: { title: 'latency of a local publish, p99, us', digits: 0, of: ({ localLatencyMicros }) => localLatencyMicros.p99 },
  addedP50: { title: 'the one less the other, p50, us', digits: 0, of: ({ latencyMicros, localLatencyMicros }) => latencyMicros.p50 - localLatencyMicros.p50 },
  addedP99: { title: 'the one less the other, p99, us', digits: 0, of: ({ latencyMicros, localLatencyMicros }) => latencyMicros.p99 - localLatencyMicros.p99 },
};

/**
 * One run of one load against one peer: a Redis and two instances, in processes of their own.
 * @returns {Promise<{ load: number, raw?: object, error?: string }>}
 */
export async function measureInstances(load, peer, { generator, placement, seconds, warmup }) {
  const before = loadavg()[0];
  const measure = load.cpus === 1 ? 'cpu' : 'rate';
  const prefix = placement.server(measure);
  const running = [];
  const begin = async (starting) => {
    const one = await starting;
    running.unshift(one);
    return one;
  };
  try {
    const redis = await begin(Redis.start(prefix));
    const env = { BENCH_REDIS: redis.url };
    const from = await begin(Server.start(peer, prefix, env));
    const to = await begin(Server.start(peer, prefix, env));
    const url = (server) => server.url + (peer.path ?? '');
    const pids = [from, to, redis].flatMap(({ pid }) => ['--pid', String(pid)]);
    const [file, ...args] = [
      ...placement.generator(measure), generator, 'across', '--url', url(to), '--from', url(from), ...pids, '--redis', redis.address, ...(peer.args ?? []),
      ...ROOMS, ...load.args, '--seconds', String(seconds), '--warmup-seconds', String(warmup), '--stall', '20',
    ];
    const { stdout, stderr, error } = spawnSync(file, args, { encoding: 'utf8' });
    if (error || !stdout) {
      throw new Error(`no report: ${error?.message ?? stderr}`);
    }
    const raw = JSON.parse(stdout);
    return { load: before, raw, ...(!raw.verified && { error: `not verified: ${JSON.stringify({ ...raw.errors, notes: raw.notes })}` }) };
  } catch (error) {
    return { load: before, error: error.message };
  } finally {
    for (const one of running) {
      await one.stop();
    }
  }
}
