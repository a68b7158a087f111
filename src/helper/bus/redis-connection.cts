import { WSBrokerError } from '../../errors.cjs';
import type { DefaultRedisHelper, IRedisClientLike, IRedisConnectionOptions } from '../types.cjs';
import type { Bus, BusRole } from './bus.cjs';
import { ClientBus } from './client-bus.cjs';
import { createNativeBus } from './native-bus.cjs';

/**
 * The bus for the value of `redisConnection`: a string, an object with `getClient`, an object with
 * `duplicate`, or a plain object, tested in this order. It connects nothing, and leaves nothing
 * behind if it throws.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_REDIS; the reason is its `cause`, if there is one
 */
export function createBus(scope: string, given: unknown, role: BusRole): Bus {
  try {
    const bus = choose(scope, given, role);
    if (bus !== undefined) return bus;
  } catch (error) {
    throw invalid(scope, { cause: error });
  }
  throw invalid(scope);
}

function choose(scope: string, given: unknown, role: BusRole): Bus | undefined {
  if (typeof given === 'string') {
    return /^rediss?:\/\//.test(given) ? createNativeBus(scope, given, role) : undefined;
  }
  if ((typeof given !== 'object' && typeof given !== 'function') || given === null) {
    return undefined;
  }
  if (has(given, 'getClient')) {
    const client: unknown = (given as DefaultRedisHelper).getClient();
    return has(client, 'duplicate')
      ? new ClientBus(client as IRedisClientLike, role, 'helper')
      : undefined;
  }
  if (has(given, 'duplicate')) return new ClientBus(given as IRedisClientLike, role, 'client');
  return isPlain(given)
    ? createNativeBus(scope, given as IRedisConnectionOptions, role)
    : undefined;
}

function has(value: unknown, method: string): boolean {
  return typeof (value as Record<string, unknown> | null | undefined)?.[method] === 'function';
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return (
    prototype === null ||
    prototype === Object.prototype ||
    Object.getPrototypeOf(prototype) === null
  );
}

function invalid(scope: string, options?: ErrorOptions): WSBrokerError {
  return Object.assign(
    new WSBrokerError(
      'ERR_WSBROKER_INVALID_REDIS',
      `[${scope}] Invalid redis connection!`,
      options,
    ),
    { statusCode: 500, messageCode: undefined },
  );
}
