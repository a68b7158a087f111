import type { Bus, BusRole } from './bus.cjs';
/**
 * The bus for what was given as `redisConnection`: a string, an object with `getClient`, one with
 * `duplicate`, a plain object, looked for in this order. Nothing is connected by us, and nothing is
 * left where it throws.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_REDIS; why is its `cause`, if it has one
 */
export declare function createBus(scope: string, given: unknown, role: BusRole): Bus;
