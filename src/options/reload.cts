import { duration, integer, knownKeys } from './checks.cjs';
import { MAX_THREADS, path } from './start.cjs';

// The options of `reloadWorkers`.

/** Options of `reloadWorkers`, checked. */
export interface CheckedReloadOptions {
  readonly workerPath: string | undefined;
  readonly threads: number | undefined;
  readonly timeout: number;
}

/**
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given
 */
export function checkReloadOptions(options: unknown): CheckedReloadOptions {
  const call = 'reloadWorkers';
  const bag =
    options === undefined
      ? {}
      : knownKeys(call, 'options', options, ['workerPath', 'threads', 'timeout']);
  return {
    workerPath: path(call, 'workerPath', bag['workerPath']),
    threads: integer(call, 'threads', bag['threads'], 1, MAX_THREADS),
    timeout: duration(call, 'timeout', bag['timeout'], 0) ?? 30_000,
  };
}
