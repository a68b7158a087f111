import { isDeepStrictEqual } from 'node:util';
import { SHARE_ENV, type ResourceLimits } from 'node:worker_threads';
import { optionBag, strings, wrongType, wrongValue } from './checks.cjs';
import { WSBrokerRangeError, WSBrokerTypeError } from '../errors.cjs';
import type { ThreadOptions } from '../types/worker-threads.cjs';

// `worker` in `start`: what the threads of a pool are started with.

/** Checked and copied, as `Worker` takes it. */
export interface PoolThreads {
  readonly workerData: unknown;
  readonly options: {
    readonly env?: NodeJS.ProcessEnv | typeof SHARE_ENV;
    readonly execArgv?: string[];
    readonly resourceLimits?: ResourceLimits;
    readonly name?: string;
  };
}

export const NO_THREAD_OPTIONS: PoolThreads = { workerData: {}, options: {} };

const LIMITS = [
  'maxOldGenerationSizeMb',
  'maxYoungGenerationSizeMb',
  'codeRangeSizeMb',
  'stackSizeMb',
] as const satisfies readonly (keyof ResourceLimits)[];

/**
 * @throws {TypeError | RangeError | WSBrokerError} naming the option, what was expected and what
 * came
 */
export function poolThreads(call: string, value: unknown): PoolThreads {
  if (typeof value === 'string')
    throw new WSBrokerTypeError(
      `${call}: "worker" must be an object, got string; the module with the handlers is given as "workerPath"`,
    );
  const bag = optionBag(call, 'worker', value, [
    'workerData',
    'env',
    'execArgv',
    'resourceLimits',
    'name',
  ] satisfies (keyof ThreadOptions)[]);
  const { workerData, env, execArgv, resourceLimits, name } = bag;
  if (name !== undefined && typeof name !== 'string')
    throw wrongType(call, 'worker.name', 'a string', name);
  return {
    workerData: workerData === undefined ? {} : cloned(call, workerData),
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

/** Whether a pool that runs already is what was asked for. */
export function sameThreads(one: PoolThreads, other: PoolThreads): boolean {
  return isDeepStrictEqual(one, other);
}

/** What Node says about flags, which it does only when a thread is started. */
export function threadFailed(error: unknown): unknown {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return code === 'ERR_WORKER_INVALID_EXEC_ARGV'
    ? new WSBrokerRangeError(
        `start: "worker.execArgv" must hold only flags that a worker thread accepts: ${String(message)}`,
      )
    : error;
}

/** A copy: what a later replacement is given is what the first threads were given. */
function cloned(call: string, value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch (error) {
    throw new WSBrokerTypeError(
      `${call}: "worker.workerData" must be something that can be cloned: ${String((error as { message?: unknown }).message)}`,
      { cause: error },
    );
  }
}

function environment(call: string, value: unknown): NodeJS.ProcessEnv | typeof SHARE_ENV {
  if (value === SHARE_ENV) return SHARE_ENV;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrongType(call, 'worker.env', 'an object of strings, or SHARE_ENV', value);
  const all = Object.entries(value).filter(([, text]) => text !== undefined);
  for (const [key, text] of all) {
    // The value may be a secret: only its type is named.
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
  const bag = optionBag(call, 'worker.resourceLimits', value, LIMITS);
  const given = Object.entries(bag).filter(([, number]) => number !== undefined);
  for (const [name, number] of given) {
    if (typeof number !== 'number')
      throw wrongType(call, `worker.resourceLimits.${name}`, 'a number', number);
    if (!(number > 0 && number < 2 ** 31))
      throw wrongValue(call, `worker.resourceLimits.${name}`, 'a number of MiB above 0', number);
  }
  return Object.fromEntries(given);
}
