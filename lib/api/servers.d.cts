/** The life of the process as a server: addresses, workers, other instances, and the end. */
import type { ClusterOptions } from '../types/cluster-options.cjs';
import type { DrainOptions, DrainReport, Server, ShutdownOptions, ShutdownReport } from '../types/server.cjs';
import type { StartOptions } from '../types/start-options.cjs';
import type { WorkerInterface } from '../types/worker-interface.cjs';
import type { ReloadOptions, ReloadReport } from '../types/worker-threads.cjs';
/**
 * Listens on the address, loads the workers, and starts serving. Resolves when all of that is done,
 * including every worker's `handleStart`. If it fails, everything it has begun is undone.
 *
 * Call it again for more addresses. All servers share channels, tokens, subscriptions and the one
 * pool of workers; with the same `workerPath` its workers are reused.
 *
 * While a server listens the process stays alive, unless `server.unref()` was called. After
 * {@link shutdown} it can exit by itself.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: `options` is missing, `bind` is not a string,
 * or another option has the wrong type
 * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: an option has a value that is not allowed
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist
 * @throws {WSBrokerError} ERR_WSBROKER_INVALID_BIND: `bind` is not an address
 * @throws {WSBrokerError} ERR_WSBROKER_TLS: a certificate or key, or its file, cannot be used
 * @throws {WSBrokerError} ERR_WSBROKER_BIND: the operating system refused the address
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: a process-wide option, `workerPath` or `threads`
 * differs from an earlier call's, a path is already served on that address, or the address is open
 * and `http` or `answers` are given
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_NOT_FOUND: there is no file at `workerPath`
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED: a worker threw or ended before it was ready,
 * or did not load within `startTimeout`; its own error is the `cause`
 * @throws {WSBrokerError} ERR_WSBROKER_NO_WORKER: there is no `workerPath` and no registered worker
 * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: `cluster.required` is set, and Redis was not ready
 * within 10 s
 * @throws {WSBrokerError} ERR_WSBROKER_IN_WORKER: called with `workerPath` in a worker of the pool
 * @throws {WSBrokerError} ERR_WSBROKER_UNSUPPORTED: the system does not support Unix sockets or
 * `reusePort`
 * @throws {WSBrokerError} ERR_WSBROKER_SHUT_DOWN: {@link shutdown} was called before it was done
 * @throws the reason of `signal`, if that was aborted before it was done
 *
 * @example
 * ```js
 * import { start } from 'wsbroker';
 *
 * const server = await start({ bind: '127.0.0.1:8080', workerPath: './worker.js' });
 * console.log(`listening on ${server.url}`);
 * ```
 */
export declare function start(options: StartOptions): Promise<Server>;
/**
 * Joins other instances through Redis, so that {@link sendToChannel} reaches their subscribers,
 * too. It does the same as the option `cluster` of {@link start}, and may be called before or after
 * `start`. It returns at once: local subscribers are served whatever Redis does, and `onBus`
 * reports the state of the bus. {@link shutdown} leaves the other instances.
 *
 * An instance listens to exactly the channels that have subscribers there. While Redis is
 * unreachable, messages for other instances are dropped but numbered, so that the others learn how
 * many are missing.
 *
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message names it
 * @throws {WSBrokerError} ERR_WSBROKER_UNSUPPORTED: {@link start} was called with `history` before;
 * pass `cluster` to it, or join first
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: the process has already joined
 *
 * @example
 * ```js
 * import { joinCluster } from 'wsbroker';
 *
 * joinCluster({ redis: 'redis://127.0.0.1', onBus: (event) => console.log('bus', event) });
 * ```
 */
export declare function joinCluster(options: Omit<ClusterOptions, 'required'>): void;
/**
 * Makes the calling thread a worker with these handlers. That may be the main thread, a `Worker` of
 * your own, or a thread of the pool whose module calls this instead of exporting handlers. Such a
 * module must call it while it loads: until then every connection is accepted and messages are
 * discarded. A thread registers once.
 *
 * `handleStart` is called at once. If it returns a promise, events come after it has resolved, and
 * {@link start} on this thread waits for it.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: `handlers` is not an object (or is a class,
 * not an instance), or a handler is not a function
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_HANDLER: the name of a handler is misspelled, or
 * there are no handlers, only functions with the names that other libraries use
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: the thread has already registered handlers
 * @throws whatever `handleStart` throws
 *
 * @example
 * ```js
 * import { registerWorkerThread, send, start } from 'wsbroker';
 *
 * registerWorkerThread({
 *   handleTextMessage(text, socketId) {
 *     send(socketId, text);
 *   },
 * });
 * await start({ bind: '127.0.0.1:8080' });
 * ```
 */
export declare function registerWorkerThread(handlers: WorkerInterface): void;
/**
 * Closes all servers and their connections, waits until `handleClose` has run for each connection,
 * and ends the workers after their `handleStop`. Afterwards nothing keeps the process alive, and
 * {@link start} may be called again. A thread that called {@link registerWorkerThread} is no longer
 * a worker and must register again. Call it on the thread that called `start`.
 *
 * @param options `code`: the close code for connections, 1001 by default. `timeout`: the longest
 * time it may take, in milliseconds, 0 to 2^31-1, 8000 by default; connections that are still there
 * shortly before are cut
 * @returns how many connections closed and how many were cut
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message names it
 * @throws {WSBrokerError} ERR_WSBROKER_IN_WORKER: called in a worker of the pool
 *
 * @example
 * ```js
 * import { shutdown } from 'wsbroker';
 *
 * process.once('SIGTERM', () => void shutdown({ code: 1012, timeout: 5000 }));
 * ```
 */
export declare function shutdown(options?: ShutdownOptions): Promise<ShutdownReport>;
/**
 * Closes all connections of the process evenly over a time, so that their clients come back evenly,
 * too, to other instances or to the next version.
 *
 * The answer `'ready'` of {@link StartOptions.answers} turns to 503 at once, with the reason
 * `draining`, whatever {@link setReady} says, and {@link start} rejects. After `delay`, upgrades
 * get 503, and requests are no longer forwarded; those under way go on. An address with `answers`
 * gives them until {@link shutdown}, also to the health check of a load balancer; one without, or
 * with `reusePort`, is released, so that the next version can have it. Then connections are closed
 * one by one, each with its `handleClose`. Connections that are left at `deadline` are cut.
 *
 * Called again, on any thread, each time becomes the earlier of the two; `code`, `retryAfter` and
 * `notice` stay as they were, and both promises resolve to the same. There is no way back: call
 * {@link shutdown} next. It may be called before the drain is over, which ends it.
 *
 * @returns how many connections ended in time and how many were cut. It resolves when no
 * connection, request or handler is left, and at most half a second after `deadline`. Without a
 * server it resolves at once
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message names it
 *
 * @example
 * ```js
 * import { drain, shutdown } from 'wsbroker';
 *
 * process.once('SIGTERM', async () => {
 *   await drain({ delay: 5_000, over: 20_000 });
 *   await shutdown();
 * });
 * ```
 */
export declare function drain(options?: DrainOptions): Promise<DrainReport>;
/**
 * Replaces the worker threads by new ones, with new code, while every connection stays open. The
 * new threads load the module, as it is now, and run `handleStart`. When all of them are ready they
 * get the new connections, and every connection of an old thread moves to one of them between two
 * of its events, after its handlers there have settled: no message is lost, repeated or reordered,
 * and subscriptions, tokens and limits stay. An old thread without connections runs `handleStop`
 * and ends; intervals and the like do not keep it.
 *
 * If a new thread fails, the promise rejects and the old ones go on. A call during another one
 * waits for it. Later calls of {@link start} are compared with the new module and number of
 * threads. What the old threads keep in variables is lost, and clients of server helpers that live
 * there are closed with 1012, after their `clientDisconnectedFn`.
 *
 * @param options `workerPath`: another module. `threads`: another number of threads. `timeout`: how
 * long the old threads have, in milliseconds, 0 to 2^31-1, 30000 by default; then they are cut
 * @returns when the old threads have ended, how many started, stopped and were cut
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message names it
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_NOT_FOUND: there is no file at `workerPath`
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED: a new worker threw or ended before it was
 * ready, or did not load within `startTimeout`; its own error is the `cause`
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: the workers are not threads of the pool
 * @throws {WSBrokerError} ERR_WSBROKER_NO_WORKER: there are no workers
 * @throws {WSBrokerError} ERR_WSBROKER_IN_WORKER: called in a worker of the pool
 * @throws {WSBrokerError} ERR_WSBROKER_SHUT_DOWN: {@link shutdown} was called before the new
 * workers were ready
 *
 * @example
 * ```js
 * import { reloadWorkers } from 'wsbroker';
 *
 * process.on('SIGHUP', () => {
 *   reloadWorkers().then(
 *     ({ started, cut }) => console.log(`${started} workers reloaded, ${cut} cut`),
 *     (error) => console.error('the old workers keep running:', error),
 *   );
 * });
 * ```
 */
export declare function reloadWorkers(options?: ReloadOptions): Promise<ReloadReport>;
/**
 * Says whether this process is ready for connections, for the answer `'ready'` of
 * {@link StartOptions.answers}. After `setReady(false)` that answer is 503 and names `setReady` as
 * a reason; connections are accepted nevertheless. Call it on any thread, before {@link start} or
 * later. It starts as `true`, and is `true` again after {@link shutdown}.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: `ready` is not a boolean
 *
 * @example
 * ```js
 * import { setReady, shutdown } from 'wsbroker';
 *
 * process.once('SIGTERM', () => {
 *   setReady(false); // the load balancer sends no new clients from now on
 *   setTimeout(shutdown, 10_000);
 * });
 * ```
 */
export declare function setReady(ready: boolean): void;
