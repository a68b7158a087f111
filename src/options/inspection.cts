import type { LogRecord } from '../types/log.cjs';
import { integer, knownKeys, oneOf, wrongType } from './checks.cjs';

// The arguments of calls about single sockets, and of `setLogger`.

const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const;

/** A number; one that is no id means a socket that is gone. */
export function checkSocketId(call: string, socketId: unknown): number {
  if (typeof socketId !== 'number') throw wrongType(call, 'socketId', 'a number', socketId);
  return socketId;
}

export function checkSlowSockets(count: unknown): number {
  return integer('slowSockets', 'n', count, 0, Number.MAX_SAFE_INTEGER) ?? 10;
}

export function checkGetSockets(options: unknown): { after: number; limit: number } {
  const call = 'getSockets';
  const bag =
    options === undefined ? {} : knownKeys(call, 'options', options, ['after', 'limit']);
  const number = (name: string): number | undefined =>
    integer(call, name, bag[name], 0, Number.MAX_SAFE_INTEGER);
  return { after: number('after') ?? 0, limit: number('limit') ?? Number.MAX_SAFE_INTEGER };
}

export function checkLogger(
  logger: unknown,
  options: unknown,
): { logger: ((record: LogRecord) => void) | undefined; level: LogRecord['level'] } {
  const call = 'setLogger';
  if (logger !== null && logger !== undefined && typeof logger !== 'function') {
    throw wrongType(call, 'logger', 'a function or null', logger);
  }
  const bag = options === undefined ? {} : knownKeys(call, 'options', options, ['level']);
  return {
    logger: (logger ?? undefined) as ((record: LogRecord) => void) | undefined,
    level: oneOf(call, 'level', bag['level'], LEVELS) ?? 'info',
  };
}
