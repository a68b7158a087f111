import { builtins } from '../builtins.cjs';
import type { Native, NativeProcessOptions } from '../native.cjs';
import type { ProcessOptions } from './start.cjs';

// The process-wide options: their defaults, and how they are passed to the addon and back.

/** Limits that do not apply unless a call sets them. */
const OFF = {
  maxConnections: undefined,
  maxConnectionsPerIp: undefined,
  maxChannelsPerSocket: undefined,
  maxChannelNameLength: undefined,
};

/** All process-wide options except `threads`, which matters only if there is a worker module. */
export type CompleteProcessOptions = Omit<ProcessOptions, 'threads' | keyof typeof OFF> & {
  [K in keyof typeof OFF]: number | undefined;
};

export function defaultProcessOptions(
  native: Pick<Native, 'brokerDefaults'>,
): CompleteProcessOptions {
  const { memory: known, cpus } = native.brokerDefaults();
  // The addon knows of Linux and its containers. Elsewhere, and without /proc, the machine's is as
  // good as any.
  const memory = known > 0 ? known : builtins.os.totalmem();
  const quarter = Math.max(1, Math.floor(memory / 4));
  return {
    handlers: 'serial',
    handlerTimeout: 30_000,
    'watchdog.after': 1_000,
    'watchdog.action': 'report',
    ioThreads: Math.max(1, Math.floor(cpus / 2)),
    maxSendMemory: quarter,
    maxReceiveMemory: quarter,
    'maxInFlight.messages': 256,
    'maxInFlight.bytes': 2 ** 20,
    'maxInFlight.workerBytes': 2 ** 24,
    maxPendingUpgrades: 4_096,
    history: [],
    maxHistoryMemory: Math.max(1, Math.floor(memory / 8)),
    ...OFF,
  };
}

export function toNativeProcessOptions(options: CompleteProcessOptions): NativeProcessOptions {
  const {
    handlers,
    'maxInFlight.messages': messages,
    'maxInFlight.bytes': bytes,
    'maxInFlight.workerBytes': workerBytes,
    'watchdog.after': stuckAfter,
    'watchdog.action': _,
    ...others
  } = options;
  return {
    ...others,
    maxInFlight: { messages, bytes, workerBytes },
    stuckAfter,
    concurrent: handlers === 'concurrent',
  };
}

/**
 * What does not concern raw handlers: a broker that helpers have made has nothing to say about
 * those.
 */
export function fromNativeOptions(options: NativeProcessOptions): Partial<CompleteProcessOptions> {
  const {
    maxInFlight: { messages, bytes, workerBytes },
    concurrent: _,
    handlerTimeout: __,
    stuckAfter,
    ...others
  } = options;
  return {
    ...others,
    'watchdog.after': stuckAfter,
    'maxInFlight.messages': messages,
    'maxInFlight.bytes': bytes,
    'maxInFlight.workerBytes': workerBytes,
  };
}

/**
 * The options of the broker there is, or else the defaults, with those that were given.
 *
 * @param started whether one that `start` has made counts, too
 */
export function processOptionsWith(
  native: Pick<Native, 'brokerDefaults' | 'processOptionsNow'>,
  given: Partial<ProcessOptions>,
  started: boolean,
): CompleteProcessOptions {
  const { threads: _, ...rest } = given;
  const now = native.processOptionsNow(started);
  return {
    ...defaultProcessOptions(native),
    ...(now === null ? {} : fromNativeOptions(now)),
    ...rest,
  };
}
