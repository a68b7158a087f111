import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';

/**
 * Where processes are put. One CPU for server and generator together is the steady way to measure
 * on a small machine: nothing depends on which core a wakeup lands on. The generator runs as
 * SCHED_BATCH there, so that it does not push the server aside in the middle of a turn at every
 * message, which a client on another machine could not do.
 */
export class Placement {
  /**
   * @param {number | undefined} cpu the one to pin to; `undefined` = the last this process may use
   */
  constructor(cpu) {
    const allowed = allowedCpus();
    const taskset = allowed.length > 0 && works('taskset', '-V');
    this.cpu = taskset ? (cpu ?? allowed.at(-1)) : undefined;
    this.pair = taskset ? allowed.slice(-2) : undefined;
    this.batch = works('chrt', '-V');
  }

  /** Prefix of the server's command line. Latency is measured where the system puts the threads. */
  server(measure) {
    return this.#pin(measure);
  }

  /** Prefix of the generator's command line. */
  generator(measure) {
    return [...this.#pin(measure), ...(this.batch && measure !== 'rate' && measure !== 'latency' ? ['chrt', '--batch', '0'] : [])];
  }

  describe() {
    if (this.cpu === undefined) {
      return 'NOT PINNED (no taskset): expect figures to move by a factor of 2 to 3 between runs';
    }
    return `server and generator pinned to CPU ${this.cpu}${this.batch ? ', generator in SCHED_BATCH' : ''}`;
  }

  #pin(measure) {
    if (measure === 'latency') {
      return [];
    }
    const on = measure === 'rate' ? this.pair?.join(',') : this.cpu;
    return on === undefined ? [] : ['taskset', '--cpu-list', String(on)];
  }
}

/** What the figures depend on. */
export function describeMachine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cpus: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    congestionControl: read('/proc/sys/net/ipv4/tcp_congestion_control'),
    openFiles: openFilesLimit(),
    loadAverage: loadavg()[0],
  };
}

/**
 * How many files a process started from here may have open; Infinity if the system does not say.
 */
export function openFilesLimit() {
  const [, soft] = /^Max open files\s+(\S+)/m.exec(read('/proc/self/limits') ?? '') ?? [];
  return Number(soft ?? Infinity);
}

/**
 * The private memory of a process in KiB, with RSS and PSS beside it; `undefined` without
 * /proc.
 */
export function memoryOf(pid) {
  const rollup = read(`/proc/${pid}/smaps_rollup`);
  const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0);
  return rollup && { private: field('Private_Clean') + field('Private_Dirty') + field('Swap'), rss: field('Rss'), pss: field('Pss') };
}

function allowedCpus() {
  const [, list] = /^Cpus_allowed_list:\s+(\S+)/m.exec(read('/proc/self/status') ?? '') ?? [];
  return (list ?? '').split(',').filter(Boolean).flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

function works(command, argument) {
  return spawnSync(command, [argument]).status === 0;
}

function read(path) {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
