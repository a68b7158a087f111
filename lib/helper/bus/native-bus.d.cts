import type { IRedisConnectionOptions } from '../types.cjs';
import type { Bus, BusRole } from './bus.cjs';
/**
 * A bus for a URL or for options. It does not connect yet.
 *
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message names it
 */
export declare function createNativeBus(call: string, redis: string | IRedisConnectionOptions, role: BusRole): Bus;
