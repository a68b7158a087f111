import type { Bus, BusRole } from './bus.cjs';
/**
 * The bus for the value of `redisConnection`: a string, an object with `getClient`, an object with
 * `duplicate`, or a plain object, tested in this order. It connects nothing, and leaves nothing
 * behind if it throws.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_REDIS; the reason is its `cause`, if there is one
 */
export declare function createBus(scope: string, given: unknown, role: BusRole): Bus;
