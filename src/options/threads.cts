import { isDeepStrictEqual } from 'node:util';
import { type ResourceLimits, SHARE_ENV } from 'node:worker_threads';
import { WSBrokerRangeError, WSBrokerTypeError } from '../errors.cjs';
import type { ThreadOptions } from '../types/worker-threads.cjs';
import { knownKeys, optional, strings, wrongType, wrongValue } from './checks.cjs';

// The option `worker` of `start`: how the threads of the pool are started.

/** The options, checked and copied, as `Worker` takes them. */
export interface CheckedThreadOptions {
  readonly workerData: unknown;
  /** Whether a change of a file reloads them. */
  readonly watch: boolean;
  readonly options: {
    readonly env?: NodeJS.ProcessEnv | typeof SHARE_ENV;
    readonly execArgv?: string[];
    readonly resourceLimits?: ResourceLimits;
    readonly name?: string;
  };
}

export const NO_THREAD_OPTIONS: CheckedThreadOptions = {
  workerData: {},
  watch: false,
  options: {},
};

const LIMITS = [
  'maxOldGenerationSizeMb',
  'maxYoungGenerationSizeMb',
  'codeRangeSizeMb',
  'stackSizeMb',
] as const satisfies readonly (keyof ResourceLimits)[];

/**
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given
 */
export function checkThreadOptions(call: string, value: unknown): CheckedThreadOptions {
  if (typeof value === 'string') {
    throw new WSBrokerTypeError(
      `${call}: "worker" must be an object, got string; pass the path of the worker module ` +
        'as "workerPath"',
    );
  }
  const bag = knownKeys(call, 'worker', value, [
    'workerData',
    'env',
    'execArgv',
    'resourceLimits',
    'watch',
    'name',
  ] satisfies (keyof ThreadOptions)[]);
  const { workerData, env, execArgv, resourceLimits, name } = bag;
  if (name !== undefined && typeof name !== 'string') {
    throw wrongType(call, 'worker.name', 'a string', name);
  }
  return {
    workerData: workerData === undefined ? {} : cloned(call, workerData),
    watch: optional(call, 'worker.watch', bag['watch'], 'boolean') ?? false,
    options: {
      ...(env !== undefined && { env: environment(call, env) }),
      ...(execArgv !== undefined && {
        execArgv: [...strings(call, 'worker.execArgv', execArgv, 'an array of strings')],
      }),
      ...(resourceLimits !== undefined && { resourceLimits: limits(call, resourceLimits) }),
      ...(name !== undefined && { name }),
    },
  };
}

/** Whether a running pool has these options. */
export function sameThreadOptions(one: CheckedThreadOptions, other: CheckedThreadOptions): boolean {
  return isDeepStrictEqual(one, other);
}

/** Node checks flags only when it starts a thread. */
export function explainThreadError(error: unknown): unknown {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return code === 'ERR_WORKER_INVALID_EXEC_ARGV'
    ? new WSBrokerRangeError(
        'start: "worker.execArgv" must contain only flags that worker threads accept: ' +
          `${String(message)}`,
      )
    : error;
}

/** A copy, so that replacements get the same as the first threads. */
function cloned(call: string, value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch (error) {
    throw new WSBrokerTypeError(
      `${call}: "worker.workerData" must be a value that structuredClone can copy: ` +
        `${String((error as { message?: unknown }).message)}`,
      { cause: error },
    );
  }
}

function environment(call: string, value: unknown): NodeJS.ProcessEnv | typeof SHARE_ENV {
  if (value === SHARE_ENV) return SHARE_ENV;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType(call, 'worker.env', 'an object of strings, or SHARE_ENV', value);
  }
  const all = Object.entries(value).filter(([, text]) => text !== undefined);
  for (const [key, text] of all) {
    // Only the type of the value is named: the value may be a secret.
    if (typeof text !== 'string') throw wrongType(call, `worker.env.${key}`, 'a string', text);
  }
  // All threads must load the same addon.
  const { WSBROKER_BINARY } = process.env;
  return {
    ...(WSBROKER_BINARY !== undefined && { WSBROKER_BINARY }),
    ...(Object.fromEntries(all) as NodeJS.ProcessEnv),
  };
}

function limits(call: string, value: unknown): ResourceLimits {
  const bag = knownKeys(call, 'worker.resourceLimits', value, LIMITS);
  const given = Object.entries(bag).filter(([, number]) => number !== undefined);
  for (const [name, number] of given) {
    if (typeof number !== 'number') {
      throw wrongType(call, `worker.resourceLimits.${name}`, 'a number', number);
    }
    if (!(number > 0 && number < 2 ** 31)) {
      throw wrongValue(
        call,
        `worker.resourceLimits.${name}`,
        'a number of MiB greater than 0 and less than 2^31',
        number,
      );
    }
  }
  return Object.fromEntries(given);
}
