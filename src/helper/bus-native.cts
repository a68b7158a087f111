import { WSBrokerError } from '../errors.cjs';
import type { Bus, BusRole } from './bus.cjs';
import type { IRedisConnectionOptions } from './types.cjs';

// Form c of `redisConnection`: the broker's own connections to Redis. Native code is loaded by `connect` only, never by importing this or constructing a bus.

/**
 * The bus for a URL or options that say where Redis is. It connects nothing.
 *
 * @throws {TypeError | WSBrokerError} naming what is wrong with the options
 */
export function nativeBus(_call: string, _redis: string | IRedisConnectionOptions, _role: BusRole): Bus {
  throw new WSBrokerError('ERR_WSBROKER_UNSUPPORTED', 'the native bus is not there yet');
}
