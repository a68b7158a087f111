import type { IRedisConnectionOptions } from '../types.cjs';
import type { Bus, BusRole } from './bus.cjs';
/**
 * The bus for a URL or options that say where Redis is. It connects nothing.
 *
 * @throws {TypeError | RangeError | WSBrokerError} naming what is wrong with the options
 */
export declare function createNativeBus(call: string, redis: string | IRedisConnectionOptions, role: BusRole): Bus;
