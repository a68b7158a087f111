/**
 * WebSocket servers for Node and Bun. Connections, channels and fan-out run in Rust, on threads of
 * their own; handlers run in worker threads.
 *
 * @packageDocumentation
 */
import type { Buffer } from './ambient.cjs';
import type { ClusterCount, ClusterOptions } from './types/cluster-options.cjs';
import type { Data, SendOptions, SendResult } from './types/messages.cjs';
import type { Server, ShutdownOptions, ShutdownReport } from './types/server.cjs';
import type { StartOptions } from './types/start-options.cjs';
import type { Stats } from './types/stats.cjs';
import type { WorkerInterface } from './types/worker-interface.cjs';
export { WSBrokerError, type WSBrokerErrorCode } from './errors.cjs';
export type { AcceptVerdict, ClientCertificate, ErrorContext, HandlerName, HeaderOptions, OpenRequest, OpenVerdict, RejectVerdict, WorkerInterface, } from './types/worker-interface.cjs';
export type { Data, SendOptions, SendResult } from './types/messages.cjs';
export type { MaxInFlight, PemSource, PerMessageDeflate, RateLimit, StartOptions, TlsOptions, TrustProxy, } from './types/start-options.cjs';
export type { ThreadLimits, ThreadOptions, WorkerEvent } from './types/worker-threads.cjs';
export type { BusEvent, ClusterCount, ClusterOptions, RedisNode, RedisOptions, RedisTlsOptions, } from './types/cluster-options.cjs';
export type { Server, ShutdownOptions, ShutdownReport } from './types/server.cjs';
export type { BusStats, CloseCounts, DropCounts, RejectCounts, ShardStats, Stats, Traffic, WorkerStats, } from './types/stats.cjs';
/**
 * Binds the address, loads the workers, and begins to serve. Resolves when all of that is done,
 * every worker's `handleStart` included. If it fails, everything it has made is undone.
 *
 * It may be called again for more addresses: all servers share channels, tokens, subscriptions and
 * the one pool of workers. The same `workerPath` again reuses its workers.
 *
 * While a server listens the process stays alive (unless `server.unref()` was called); after {@link
 * shutdown} it can exit by itself.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: `options` is missing, `bind` is no string, or
 * another option has the wrong type
 * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: an option has a value that it cannot have
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION, ERR_WSBROKER_INVALID_BIND: an option does
 * not exist, or `bind` is not an address
 * @throws {WSBrokerError} ERR_WSBROKER_TLS: a certificate, a key, or their file is no good
 * @throws {WSBrokerError} ERR_WSBROKER_BIND: the operating system refused the address
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: a process-wide option, `workerPath` or `threads`
 * differs from an earlier call's, or a path is taken on that address
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_NOT_FOUND: there is no file at `workerPath`
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED: a worker threw or ended before it was ready,
 * or did not load within `startTimeout`; its own error is the `cause`
 * @throws {WSBrokerError} ERR_WSBROKER_NO_WORKER: without `workerPath`, and no worker is registered
 * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: with `cluster.required`, and Redis did not answer
 * within 10 s
 * @throws {WSBrokerError} ERR_WSBROKER_IN_WORKER: with `workerPath`, from inside a worker of the
 * pool
 * @throws {WSBrokerError} ERR_WSBROKER_UNSUPPORTED: a Unix socket or `reusePort` where the system
 * has none
 * @throws {WSBrokerError} ERR_WSBROKER_SHUT_DOWN: {@link shutdown} was called meanwhile
 * @throws the reason of `signal`, if it was aborted meanwhile
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
 * Joins other instances on a Redis, so that {@link sendToChannel} reaches their subscribers too; as
 * the option `cluster` of {@link start}, and before or after it. Returns at once: local subscribers
 * are served whatever Redis does, and `onBus` tells how it is. {@link shutdown} leaves.
 *
 * An instance listens to exactly the channels that have subscribers there. While Redis is away what
 * is published for others is dropped, numbered: they are told how much is missing.
 *
 * @throws {TypeError | WSBrokerError} naming the option that is wrong
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: the process has joined already
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
 * Resolves when what other instances publish to the channel arrives here: a moment after its first
 * subscriber on this instance. Until then, for one round trip to Redis, a message from elsewhere
 * may be missed; a channel that has had subscribers here all along has no such moment, but after a
 * loss of the bus.
 *
 * @returns false: the process has not joined others, or {@link shutdown} came first. It does not
 * resolve for a channel without subscribers
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare function listening(channel: Data): Promise<boolean>;
/**
 * Makes the calling thread a worker with these handlers: the main thread, a `Worker` the
 * application made, or a thread of the pool whose module prefers this to exports. Such a module
 * calls it while it loads: until it has, everybody is let in, and messages go nowhere. A thread
 * registers once.
 *
 * `handleStart` is called at once; if it returns a promise, events come when that has resolved, and
 * {@link start} on this thread waits for it.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: `handlers` is no object (or a class instead of
 * an instance), or a handler no function
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_HANDLER: a handler's name is misspelt, or there are
 * no handlers except some named as in another library
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: the thread has registered already
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
 * Closes all servers and their connections, waits until their `handleClose` has run, and ends the
 * workers: `handleStop` of each is awaited. Afterwards nothing keeps the process alive, and {@link
 * start} may be called anew; a thread that became a worker by {@link registerWorkerThread} is no
 * longer one, and must register again. Call it on the thread that called `start`.
 *
 * @param options `code`: the close code for connections, default 1001. `timeout`: milliseconds, 0
 * to 2^31-1, default 8,000: then it is over, whatever hangs; connections that are left shortly
 * before are cut
 * @returns how many connections closed and how many were cut
 * @throws {TypeError | WSBrokerError} naming the argument that is wrong
 * @throws {WSBrokerError} ERR_WSBROKER_IN_WORKER: from inside a worker of the pool
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
 * Sends to one connection. Never waits, and never throws for an id that is gone.
 *
 * From one thread, what concerns one socket takes effect in the order of the calls, {@link
 * sendToChannel}, {@link subscribe} and {@link close} included.
 *
 * @param socketId as `handleOpen` got it
 * @param data a string is sent as a text message, bytes as a binary one; the bytes are copied at
 * once
 * @param options `compress`: whether it is compressed where the client can take it, by default if
 * it is long enough
 * @returns 1: queued, which does not say received. -1: queued, but the socket is over its limit
 * (`maxBackpressure`). 0: dropped, or the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: `socketId` is no number, or `data` neither
 * string nor bytes
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: a misspelt option, with the nearest that
 * there is
 *
 * @example
 * ```js
 * send(socketId, JSON.stringify({ event: 'hello' }));
 * send(socketId, new Uint8Array([1, 2, 3]));
 * ```
 */
export declare const send: (socketId: number, data: Data, options?: Pick<SendOptions, 'compress'>) => SendResult;
/**
 * Publishes to every subscriber of the channel. The message is encoded once, however many there
 * are.
 *
 * @param channel compared as bytes: the string 'a' and the byte 0x61 are one channel
 * @param data as in {@link send}
 * @param options `exclude`: a socket id, or an array of them, that is left out. `compress`: as in
 * {@link send}
 * @returns the number of subscribers at the call, the excluded ones included; no receipt
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: a misspelt option, with the nearest that
 * there is
 *
 * @example
 * ```js
 * sendToChannel('room:42', text, { exclude: socketId });
 * ```
 */
export declare const sendToChannel: (channel: Data, data: Data, options?: SendOptions) => number;
/**
 * Subscribes the socket to the channel. A publish that happens later on any thread reaches it. When
 * the connection closes its subscriptions end.
 *
 * @returns true: added. false: it was subscribed already, or the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelsPerSocket` or `maxChannelNameLength`
 */
export declare const subscribe: (socketId: number, channel: Data) => boolean;
/**
 * Ends a subscription. What this thread published before still reaches the socket.
 *
 * @returns true: removed. false: there was none
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const unsubscribe: (socketId: number, channel: Data) => boolean;
/**
 * {@link subscribe} for several channels.
 *
 * @returns how many subscriptions were added
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE; then none was
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelsPerSocket` or `maxChannelNameLength`;
 * then none was
 */
export declare const subscribeMany: (socketId: number, channels: readonly Data[]) => number;
/**
 * {@link unsubscribe} for several channels.
 *
 * @returns how many subscriptions were removed
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE; then none was
 */
export declare const unsubscribeMany: (socketId: number, channels: readonly Data[]) => number;
/**
 * Ends all subscriptions of the socket.
 *
 * @returns how many there were
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const unsubscribeAll: (socketId: number) => number;
/**
 * Subscribes everyone who is subscribed to `from` at the call to `to` as well. A publish to `to`
 * right after reaches them.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelNameLength`, and nobody was added; or
 * `maxChannelsPerSocket` for some of them, and the others were
 */
export declare const copySubscriptions: (from: Data, to: Data) => void;
/**
 * Attaches bytes to the socket. Every later handler call for that socket gets them as a `Buffer`,
 * also for events that are waiting already. Kept for the whole process, until the connection has
 * closed. Does nothing for a socket that is gone.
 *
 * @param token a string is stored as UTF-8, so that `JSON.parse(token)` works in a handler
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 *
 * @example
 * ```js
 * setToken(socketId, JSON.stringify({ user: 'ada' }));
 * ```
 */
export declare const setToken: (socketId: number, token: Data) => void;
/**
 * The socket's token, as a `Buffer` that belongs to the caller.
 *
 * @returns `undefined`: none was set, or the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const getToken: (socketId: number) => Buffer | undefined;
/**
 * Starts the close handshake, behind everything that was sent before. Does nothing for a socket
 * that is gone.
 *
 * @param code 1000 (the default) to 1003, 1007 to 1014, or 3000 to 4999; those from 4000 on are the
 * application's own
 * @param reason at most 123 bytes of UTF-8, default ''
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: a code that may not be sent, or a longer
 * reason
 */
export declare const close: (socketId: number, code?: number, reason?: string) => void;
/**
 * Cuts the connection at once; what waits to be sent is lost, and `handleClose` sees 1006. Does
 * nothing for a socket that is gone.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const terminate: (socketId: number) => void;
/**
 * {@link close} for every subscriber of the channel.
 *
 * @param options `cluster: true`: on all instances, behind what this one has published
 * @returns how many there are, on this instance
 * @throws as {@link close}
 */
export declare function closeChannel(channel: Data, code?: number, reason?: string, options?: {
    readonly cluster?: boolean;
}): number;
/**
 * Whether the connection is open: accepted, and neither closing nor closed.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const isOpen: (socketId: number) => boolean;
/**
 * Bytes that wait to be sent to the socket; 0 if it is gone.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const bufferedAmount: (socketId: number) => number;
/**
 * Whether the channel has a subscriber.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const hasSubscriptions: (channel: Data) => boolean;
/**
 * How many subscribers the channel has on this instance.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare function subscriberCount(channel: Data): number;
/**
 * How many subscribers the channel has on all instances.
 *
 * @param options `timeout`: how long instances may take to answer, in ms, 1 to 2^31-1, default 1000
 * @returns a promise for the sum, and the instances that have not answered
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare function subscriberCount(channel: Data, options: {
    readonly cluster: true;
    readonly timeout?: number;
}): Promise<ClusterCount>;
/**
 * Whether the socket is subscribed to the channel.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const isSubscribed: (socketId: number, channel: Data) => boolean;
/**
 * The channels that the socket is subscribed to, in no particular order: a string where the name is
 * UTF-8, else a `Buffer`.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const getSubscriptions: (socketId: number) => (string | Buffer)[];
/**
 * The ids of the channel's subscribers, in no particular order.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const getSubscribers: (channel: Data) => number[];
/** How many connections there are in the process, on all servers. */
export declare const connectionCount: () => number;
/**
 * What the process has counted, and how full everything is. From any thread; it costs a look at
 * every worker and I/O thread, not at their connections. Totals count from the first {@link start}
 * on, begin anew after {@link shutdown}, and are a turn of an I/O thread's loop old at most. Before
 * `start` everything is 0.
 *
 * @example
 * ```js
 * const { connections, rejected, dropped } = stats();
 * console.log(`${connections} connections, ${rejected.maxConnectionsPerIp} refused by address, ${dropped.dropOldest} messages dropped`);
 * ```
 */
export declare const stats: () => Stats;
