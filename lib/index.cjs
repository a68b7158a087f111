"use strict";
/**
 * WebSocket servers for Node and Bun. Connections, channels and fan-out run in Rust, on threads of
 * their own; handlers run in worker threads.
 *
 * @packageDocumentation
 */
Object.defineProperty(exports, "__esModule", { value: true });
exports.stats = exports.connectionCount = exports.getSubscribers = exports.getSubscriptions = exports.isSubscribed = exports.hasSubscriptions = exports.bufferedAmount = exports.isOpen = exports.terminate = exports.close = exports.getToken = exports.setToken = exports.copySubscriptions = exports.unsubscribeAll = exports.unsubscribeMany = exports.subscribeMany = exports.unsubscribe = exports.subscribe = exports.sendToChannel = exports.send = exports.WSBrokerError = void 0;
exports.start = start;
exports.joinCluster = joinCluster;
exports.listening = listening;
exports.registerWorkerThread = registerWorkerThread;
exports.shutdown = shutdown;
exports.closeChannel = closeChannel;
exports.subscriberCount = subscriberCount;
const cluster_cjs_1 = require("./options/cluster.cjs");
const channel_calls_cjs_1 = require("./options/channel-calls.cjs");
const lifecycle_cjs_1 = require("./server/lifecycle.cjs");
const load_cjs_1 = require("./native/load.cjs");
const register_cjs_1 = require("./worker/register.cjs");
const start_cjs_1 = require("./options/start.cjs");
var errors_cjs_1 = require("./errors.cjs");
Object.defineProperty(exports, "WSBrokerError", { enumerable: true, get: function () { return errors_cjs_1.WSBrokerError; } });
// What is called for every message comes from the addon as it is: a function around it would cost
// more than the call.
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
async function start(options) {
    return (0, lifecycle_cjs_1.startServer)((0, start_cjs_1.startRequest)(options));
}
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
function joinCluster(options) {
    (0, cluster_cjs_1.join)((0, cluster_cjs_1.clusterRequest)('joinCluster', 'options', options, [
        'redis',
        'prefix',
        'instanceId',
        'maxOutgoing',
        'onBus',
    ]));
}
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
async function listening(channel) {
    return load_cjs_1.native.listening((0, channel_calls_cjs_1.channelBytes)('listening', channel));
}
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
function registerWorkerThread(handlers) {
    (0, register_cjs_1.register)('registerWorkerThread', handlers);
}
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
async function shutdown(options) {
    const { code, timeout } = (0, start_cjs_1.shutdownRequest)(options);
    return (0, lifecycle_cjs_1.shutdownAll)(code, timeout);
}
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
exports.send = load_cjs_1.native.send;
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
exports.sendToChannel = load_cjs_1.native.sendToChannel;
/**
 * Subscribes the socket to the channel. A publish that happens later on any thread reaches it. When
 * the connection closes its subscriptions end.
 *
 * @returns true: added. false: it was subscribed already, or the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelsPerSocket` or `maxChannelNameLength`
 */
exports.subscribe = load_cjs_1.native.subscribe;
/**
 * Ends a subscription. What this thread published before still reaches the socket.
 *
 * @returns true: removed. false: there was none
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.unsubscribe = load_cjs_1.native.unsubscribe;
/**
 * {@link subscribe} for several channels.
 *
 * @returns how many subscriptions were added
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE; then none was
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelsPerSocket` or `maxChannelNameLength`;
 * then none was
 */
exports.subscribeMany = load_cjs_1.native.subscribeMany;
/**
 * {@link unsubscribe} for several channels.
 *
 * @returns how many subscriptions were removed
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE; then none was
 */
exports.unsubscribeMany = load_cjs_1.native.unsubscribeMany;
/**
 * Ends all subscriptions of the socket.
 *
 * @returns how many there were
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.unsubscribeAll = load_cjs_1.native.unsubscribeAll;
/**
 * Subscribes everyone who is subscribed to `from` at the call to `to` as well. A publish to `to`
 * right after reaches them.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelNameLength`, and nobody was added; or
 * `maxChannelsPerSocket` for some of them, and the others were
 */
exports.copySubscriptions = load_cjs_1.native.copySubscriptions;
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
exports.setToken = load_cjs_1.native.setToken;
/**
 * The socket's token, as a `Buffer` that belongs to the caller.
 *
 * @returns `undefined`: none was set, or the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.getToken = load_cjs_1.native.getToken;
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
exports.close = load_cjs_1.native.close;
/**
 * Cuts the connection at once; what waits to be sent is lost, and `handleClose` sees 1006. Does
 * nothing for a socket that is gone.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.terminate = load_cjs_1.native.terminate;
/**
 * {@link close} for every subscriber of the channel.
 *
 * @param options `cluster: true`: on all instances, behind what this one has published
 * @returns how many there are, on this instance
 * @throws as {@link close}
 */
function closeChannel(channel, code, reason, options) {
    if (options === undefined)
        return load_cjs_1.native.closeChannel(channel, code, reason);
    const request = (0, channel_calls_cjs_1.closeRequest)(channel, code, reason, options);
    return request === undefined
        ? load_cjs_1.native.closeChannel(channel, code, reason)
        : load_cjs_1.native.closeChannelEverywhere(request.channel, request.code, request.reason);
}
/**
 * Whether the connection is open: accepted, and neither closing nor closed.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.isOpen = load_cjs_1.native.isOpen;
/**
 * Bytes that wait to be sent to the socket; 0 if it is gone.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.bufferedAmount = load_cjs_1.native.bufferedAmount;
/**
 * Whether the channel has a subscriber.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.hasSubscriptions = load_cjs_1.native.hasSubscriptions;
/**
 * How many subscribers the channel has on this instance; with `cluster: true`, on all instances.
 *
 * @param options `cluster: true`: ask all instances. `timeout`: how long they may take to answer,
 * in ms, 1 to 2^31-1, default 1000
 * @returns the number; with `cluster`, a promise for `{ count, missing }`: the sum, and the
 * instances that have not answered
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
function subscriberCount(channel, options) {
    if (options === undefined)
        return load_cjs_1.native.subscriberCount(channel);
    const request = (0, channel_calls_cjs_1.countRequest)(channel, options);
    if (request === undefined)
        return load_cjs_1.native.subscriberCount(channel);
    return load_cjs_1.native.clusterCount(request.channel, request.timeout);
}
/**
 * Whether the socket is subscribed to the channel.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.isSubscribed = load_cjs_1.native.isSubscribed;
/**
 * The channels that the socket is subscribed to, in no particular order: a string where the name is
 * UTF-8, else a `Buffer`.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.getSubscriptions = load_cjs_1.native.getSubscriptions;
/**
 * The ids of the channel's subscribers, in no particular order.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.getSubscribers = load_cjs_1.native.getSubscribers;
/** How many connections there are in the process, on all servers. */
exports.connectionCount = load_cjs_1.native.connectionCount;
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
exports.stats = load_cjs_1.native.stats;
