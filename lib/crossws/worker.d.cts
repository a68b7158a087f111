import type { Peer } from 'crossws' with { 'resolution-mode': 'import' };
import type { WorkerInterface } from '../types/worker-interface.cjs';
import { type CrosswsOptions } from './options.cjs';
/**
 * What {@link crosswsWorker} returns: handlers for a worker module or `registerWorkerThread`, and
 * what an adapter of crossws has.
 */
export interface CrosswsWorker extends WorkerInterface {
    /** This thread's peers, by namespace. Those of other threads are not there. */
    readonly peers: ReadonlyMap<string, ReadonlySet<Peer>>;
    /**
     * Publishes to the subscribers of a topic on all threads and instances, in one namespace or in
     * all.
     */
    publish(topic: string, data: unknown, options?: {
        readonly namespace?: string;
        readonly compress?: boolean;
    }): void;
    /**
     * Closes this thread's peers. `shutdown` closes all.
     *
     * @returns a promise, as adapters of crossws do; it does not wait for the clients' answers
     */
    close(code?: number, reason?: string): Promise<void>;
}
/**
 * Runs hooks of crossws on wsbroker: the handlers of a worker module. Peers, topics and messages
 * are as crossws documents them; topics are channels, which reach all threads of the process and,
 * with the option `cluster` of `start`, all instances.
 *
 * - `peers` has the peers of the same thread, and no others.
 * - Hooks of one connection do not wait for each other's promises, whatever the option `handlers`
 *   of `start` says.
 * - `send` returns what wsbroker's `send` returns: 1, -1 above the limit, 0 if nothing was sent.
 * - The `error` hook gets what other hooks throw or reject with, and protocol errors of clients.
 * - The hooks `ping` and `pong` are not called.
 * - Connections belong to the thread that has accepted them. If it ends, they are closed with 1012.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: an option or a hook has the wrong type, or
 * there are no hooks
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist; some options of
 * crossws are options of `start` here, which the message names
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: `resolve` and `fetch` are both given
 *
 * @example
 * ```js
 * import { crosswsWorker } from 'wsbroker/crossws';
 *
 * export default crosswsWorker({
 *   hooks: {
 *     open(peer) {
 *       peer.subscribe('everyone');
 *     },
 *     message(peer, message) {
 *       peer.publish('everyone', message.text());
 *     },
 *   },
 * });
 * ```
 */
export declare function crosswsWorker(options: CrosswsOptions): CrosswsWorker;
