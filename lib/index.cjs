"use strict";
/**
 * WebSocket servers for Node and Bun. Connections, channels and fan-out run in Rust, on threads of
 * their own; your handlers run in worker threads.
 *
 * @packageDocumentation
 */
Object.defineProperty(exports, "__esModule", { value: true });
exports.stats = exports.connectionCount = exports.getSubscribers = exports.getSubscriptions = exports.isSubscribed = exports.hasSubscriptions = exports.bufferedAmount = exports.isOpen = exports.terminate = exports.close = exports.getToken = exports.setToken = exports.copySubscriptions = exports.unsubscribeAll = exports.unsubscribeMany = exports.subscribeMany = exports.unsubscribe = exports.subscribe = exports.sendToAll = exports.sendToChannel = exports.send = exports.WSBrokerError = void 0;
exports.start = start;
exports.joinCluster = joinCluster;
exports.listening = listening;
exports.registerWorkerThread = registerWorkerThread;
exports.shutdown = shutdown;
exports.drain = drain;
exports.reloadWorkers = reloadWorkers;
exports.setReady = setReady;
exports.publish = publish;
exports.position = position;
exports.history = history;
exports.recover = recover;
exports.deleteHistory = deleteHistory;
exports.closeChannel = closeChannel;
exports.subscriberCount = subscriberCount;
exports.metrics = metrics;
exports.getSockets = getSockets;
exports.slowSockets = slowSockets;
exports.roundTrip = roundTrip;
exports.info = info;
exports.setLogger = setLogger;
const logger_cjs_1 = require("./logger.cjs");
const load_cjs_1 = require("./native/load.cjs");
const channel_calls_cjs_1 = require("./options/channel-calls.cjs");
const checks_cjs_1 = require("./options/checks.cjs");
const history_cjs_1 = require("./options/history.cjs");
const inspection_cjs_1 = require("./options/inspection.cjs");
const bus_receipt_cjs_1 = require("./server/bus-receipt.cjs");
const on_demand_cjs_1 = require("./server/on-demand.cjs");
const own_functions_cjs_1 = require("./worker/own-functions.cjs");
const register_cjs_1 = require("./worker/register.cjs");
var errors_cjs_1 = require("./errors.cjs");
Object.defineProperty(exports, "WSBrokerError", { enumerable: true, get: function () { return errors_cjs_1.WSBrokerError; } });
// Functions that are called for every message are the addon's own: a function around them would
// cost more than the call itself.
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
async function start(options) {
    return (0, on_demand_cjs_1.serving)().start(options);
}
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
function joinCluster(options) {
    (0, on_demand_cjs_1.serving)().joinCluster(options);
}
/**
 * Resolves when this instance receives what others publish to the channel: a moment after the
 * channel's first subscriber here. Until then, for one round trip to Redis, messages from other
 * instances may be missed. A channel that already has subscribers here has no such moment, except
 * after a loss of the bus. For a channel without subscribers the promise stays pending.
 *
 * @returns true, or false if the process has not joined others or {@link shutdown} came first
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
async function listening(channel) {
    return load_cjs_1.native.listening((0, channel_calls_cjs_1.channelBytes)('listening', channel));
}
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
function registerWorkerThread(handlers) {
    (0, register_cjs_1.register)('registerWorkerThread', handlers);
}
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
async function shutdown(options) {
    return (0, on_demand_cjs_1.serving)().shutdown(options);
}
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
async function drain(options) {
    return (0, on_demand_cjs_1.serving)().drain(options);
}
own_functions_cjs_1.ownFunctions.add(drain);
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
async function reloadWorkers(options) {
    return (0, on_demand_cjs_1.serving)().reloadWorkers(options);
}
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
function setReady(ready) {
    if (typeof ready !== 'boolean')
        throw (0, checks_cjs_1.wrongType)('setReady', 'ready', 'a boolean', ready);
    load_cjs_1.native.setReady(ready);
}
/**
 * Sends to one connection. It never waits, and never throws for an id that is gone.
 *
 * Calls of one thread that concern one socket take effect in their order, including
 * {@link sendToChannel}, {@link subscribe} and {@link close}.
 *
 * @param socketId the id that `handleOpen` got
 * @param data a string is sent as a text message, bytes as a binary message; bytes are copied at
 * once
 * @param options `compress`: whether the message is compressed if the client supports it; by
 * default it is if it is long enough
 * @returns 1: queued, which does not mean received. -1: queued, but the socket is over its limit
 * (`maxBackpressure`). 0: dropped, or the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: `socketId` is not a number, or `data` is
 * neither a string nor bytes
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist; the message names
 * the most similar one
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
 * are. On a channel with history ({@link StartOptions.history}) it is numbered and kept, as by
 * {@link publish}.
 *
 * @param channel compared as bytes: the string 'a' and the byte 0x61 are the same channel
 * @param data as in {@link send}
 * @param options `exclude`: a socket id, or an array of them, that does not get the message.
 * `compress`: as in {@link send}
 * @returns the number of subscribers at the time of the call, including excluded ones; not how many
 * received it
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist; the message names
 * the most similar one
 *
 * @example
 * ```js
 * sendToChannel('room:42', text, { exclude: socketId });
 * ```
 */
exports.sendToChannel = load_cjs_1.native.sendToChannel;
/**
 * Sends to every connection of this process, without a channel. The message is encoded once, and
 * compressed once for all clients that share its parameters. Clients of the server helper, and
 * connections of other instances, do not get it.
 *
 * @param data as in {@link send}
 * @param options as in {@link sendToChannel}
 * @returns the number of connections at the time of the call, including excluded ones; not how many
 * received it. 0 if there is none, or send memory is used up
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist; the message names
 * the most similar one
 *
 * @example
 * ```js
 * sendToAll(JSON.stringify({ event: 'maintenance', at: '22:00' }), { exclude: socketId });
 * ```
 */
exports.sendToAll = load_cjs_1.native.sendToAll;
/**
 * Subscribes the socket to the channel. Anything published later, on any thread, reaches it. The
 * subscription ends when the connection closes.
 *
 * @returns true: added. false: it was already subscribed, or the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelsPerSocket` or `maxChannelNameLength`
 */
exports.subscribe = load_cjs_1.native.subscribe;
/**
 * Ends a subscription. What this thread published before still reaches the socket.
 *
 * @returns true: removed. false: there was no such subscription
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.unsubscribe = load_cjs_1.native.unsubscribe;
/**
 * Does what {@link subscribe} does, for several channels.
 *
 * @returns how many subscriptions were added
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE; then none is added
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelsPerSocket` or `maxChannelNameLength`;
 * then none is added
 */
exports.subscribeMany = load_cjs_1.native.subscribeMany;
/**
 * Does what {@link unsubscribe} does, for several channels.
 *
 * @returns how many subscriptions were removed
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE; then none is removed
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
 * Publishes as {@link sendToChannel} does, with a receipt: when it resolves, the message has been
 * handed to every I/O thread that has subscribers. On a channel with history it has its offset by
 * then, and what follows the `await` comes behind it.
 *
 * @param options `exclude` and `compress`: as in {@link sendToChannel}. `id`: makes a repeated
 * publish a duplicate
 * @returns a promise of the offset and epoch, if the channel has a history, and of the number of
 * subscribers in this process
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: `id` is empty or longer than 128 bytes, or
 * the channel has no history
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION
 * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: with `cluster`, on a channel with history, Redis
 * is away or refused it. `stored` is `false`, or `'unknown'` where Redis may have it: publish it
 * again with the same `id`
 *
 * @example
 * ```js
 * const { offset, duplicate } = await publish('chat:42', 'hello', { id: 'ada:17' });
 * ```
 */
async function publish(channel, data, options) {
    const receipt = load_cjs_1.native.publishWithReceipt(channel, data, options);
    return receipt.ticket === undefined ? receipt : (0, bus_receipt_cjs_1.receiptOf)(receipt.ticket, receipt.subscribers);
}
/**
 * Where the channel is now: at offset 0 before the first publish. Read the position first and the
 * state of the application then: a later {@link recover} from there misses nothing.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: the channel has no history
 * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: with `cluster`, Redis is away or refused it
 */
async function position(channel) {
    if (load_cjs_1.native.hasHistoryBus())
        return load_cjs_1.native.positionElsewhere((0, channel_calls_cjs_1.channelBytes)('position', channel));
    return load_cjs_1.native.historyPosition(channel);
}
/**
 * Messages that the channel keeps.
 *
 * @param options `since`: only those behind this position. `limit`: at most so many, 1 to 100,000,
 * 100 by default. `reverse`: the newest first
 * @returns a promise of the messages, and of whether some are missing; a position that is beyond
 * the channel's, or of another epoch, gives all that are kept, and `complete` is `false`
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: the channel has no history, or an option has
 * a value that is not allowed
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION
 * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: with `cluster`, Redis is away or refused it
 *
 * @example
 * ```js
 * const { messages } = await history('chat:42', { limit: 50, reverse: true });
 * ```
 */
async function history(channel, options) {
    const [offset, epoch, limit, reverse] = (0, history_cjs_1.checkQuery)('history', options);
    if (load_cjs_1.native.hasHistoryBus()) {
        const name = (0, channel_calls_cjs_1.channelBytes)('history', channel);
        return load_cjs_1.native.historyElsewhere(name, offset, epoch, limit, reverse);
    }
    return load_cjs_1.native.readHistory(channel, offset, epoch, limit, reverse);
}
/**
 * Subscribes the socket, and has it get everything published since a position before anything
 * newer, in one step: without a hole, without a duplicate, in order. If something of that is no
 * longer kept, or more than `maxReplay` messages are missing, nothing is replayed.
 *
 * In `handleOpen` it takes effect with the 101. It resolves when the socket is subscribed and what
 * it gets is fixed, not when it has got it. A socket that is gone recovers nothing.
 *
 * @param since a position, behind which it begins: the offset of the last frame that the client
 * has, with the epoch that it was told. `'latest'`: with the newest message that is kept. `'now'`:
 * with what comes next
 * @param options `orReject`: whether a socket that does not recover stays out of the channel;
 * otherwise it is subscribed from now on
 * @returns a promise of whether it has recovered, and of the channel's position
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: the channel has no history, or `since` is
 * not allowed; a position that is unknown is no error
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: the socket is subscribed to the channel already
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelsPerSocket` or `maxChannelNameLength`
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION
 * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: with `cluster`, Redis is away, and what is in
 * memory here does not reach back to `since`
 *
 * @example
 * ```js
 * export async function handleTextMessage(text, socketId) {
 *   const { channel, since } = JSON.parse(text);
 *   const { recovered, position } = await recover(socketId, channel, since ?? 'now');
 *   send(socketId, JSON.stringify({ channel, recovered, position }));
 * }
 * ```
 */
async function recover(socketId, channel, since, options) {
    const [kind, offset, epoch] = (0, history_cjs_1.checkSince)('recover', since);
    const orReject = (0, history_cjs_1.checkRecover)('recover', options);
    if (load_cjs_1.native.hasHistoryBus()) {
        const id = (0, inspection_cjs_1.checkSocketId)('recover', socketId);
        const name = (0, channel_calls_cjs_1.channelBytes)('recover', channel);
        return load_cjs_1.native.recoverElsewhere(id, name, kind, offset, epoch, orReject);
    }
    return load_cjs_1.native.recoverSocket(socketId, channel, kind, offset, epoch, orReject);
}
/**
 * Deletes messages of the channel's history, and the ids known to it if all go: for moderation, and
 * for the right to be forgotten. If nothing is left a new epoch begins, and `handleLost` is called
 * for the channel's subscribers. What is already on its way to a client is not taken back.
 *
 * @param options `before`: only messages with a lower offset
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: the channel has no history, or `before` is
 * not an offset
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION
 * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: with `cluster`, Redis is away or refused it
 */
async function deleteHistory(channel, options) {
    const before = (0, history_cjs_1.checkDelete)('deleteHistory', options);
    if (load_cjs_1.native.hasHistoryBus()) {
        return load_cjs_1.native.deleteHistoryElsewhere((0, channel_calls_cjs_1.channelBytes)('deleteHistory', channel), before);
    }
    load_cjs_1.native.deleteHistory(channel, before);
}
/**
 * Subscribes every socket that is subscribed to `from` to `to` as well. Anything published to `to`
 * after the call reaches them.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {WSBrokerError} ERR_WSBROKER_LIMIT: `maxChannelNameLength`, and no socket was subscribed;
 * or `maxChannelsPerSocket` for some sockets, and the others were subscribed
 */
exports.copySubscriptions = load_cjs_1.native.copySubscriptions;
/**
 * Attaches bytes to the socket. Every later call of a handler for that socket gets them as a
 * `Buffer`, even for events that are already waiting. They are kept for the whole process until the
 * connection has closed. Does nothing for a socket that is gone.
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
 * @returns `undefined` if none was set, or the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.getToken = load_cjs_1.native.getToken;
/**
 * Starts the close handshake, after everything that was sent before. Does nothing for a socket that
 * is gone.
 *
 * @param code 1000 to 1003, 1007 to 1014, or 3000 to 4999, 1000 by default; those from 4000 on are
 * the application's own
 * @param reason at most 123 bytes of UTF-8, '' by default
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: the code may not be sent, or the reason is
 * too long
 */
exports.close = load_cjs_1.native.close;
/**
 * Cuts the connection at once. What waits to be sent is lost, and `handleClose` gets 1006. Does
 * nothing for a socket that is gone.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.terminate = load_cjs_1.native.terminate;
/**
 * Does what {@link close} does, for every subscriber of the channel.
 *
 * @param options `cluster: true`: on all instances, after what this one has published
 * @returns how many subscribers there are on this instance
 * @throws as {@link close}
 */
function closeChannel(channel, code, reason, options) {
    if (options === undefined)
        return load_cjs_1.native.closeChannel(channel, code, reason);
    const everywhere = (0, channel_calls_cjs_1.checkCloseChannel)(channel, code, reason, options);
    return everywhere === undefined
        ? load_cjs_1.native.closeChannel(channel, code, reason)
        : load_cjs_1.native.closeChannelEverywhere(everywhere.channel, everywhere.code, everywhere.reason);
}
/**
 * Whether the connection is open: accepted, and neither closing nor closed.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.isOpen = load_cjs_1.native.isOpen;
/**
 * How many bytes wait to be sent to the socket; 0 if it is gone.
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
 * How many subscribers the channel has on this instance, or with `cluster: true` on all instances.
 *
 * @param options `cluster: true`: ask all instances. `timeout`: how long they may take to answer,
 * in milliseconds, 1 to 2^31-1, 1000 by default
 * @returns the number; with `cluster`, a promise of `{ count, missing }`: the sum, and the
 * instances that did not answer
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
function subscriberCount(channel, options) {
    if (options === undefined)
        return load_cjs_1.native.subscriberCount(channel);
    const everywhere = (0, channel_calls_cjs_1.checkSubscriberCount)(channel, options);
    if (everywhere === undefined)
        return load_cjs_1.native.subscriberCount(channel);
    return load_cjs_1.native.clusterCount(everywhere.channel, everywhere.timeout);
}
/**
 * Whether the socket is subscribed to the channel.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
exports.isSubscribed = load_cjs_1.native.isSubscribed;
/**
 * The channels that the socket is subscribed to, in no particular order. A name that is UTF-8 is a
 * string, any other a `Buffer`.
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
/** How many connections the process has, on all servers. */
exports.connectionCount = load_cjs_1.native.connectionCount;
/**
 * Counters of the process, and how full its queues and buffers are. It may be called from any
 * thread; it looks at every worker and I/O thread, but not at their connections. Totals count from
 * the first {@link start} on, start again after {@link shutdown}, and are at most one turn of an
 * I/O thread's loop old. Before `start` everything is 0.
 *
 * @example
 * ```js
 * const { connections, rejected, dropped } = stats();
 * console.log(`${connections} connections, ${dropped.dropOldest} messages dropped`);
 * console.log(`${rejected.maxConnectionsPerIp} connections refused by address`);
 * ```
 */
exports.stats = load_cjs_1.native.stats;
/**
 * The numbers of {@link stats}, histograms and numbers of the process as text, for Prometheus and
 * whatever else reads its format. It may be called from any thread. To have them answered without
 * JavaScript, also while all workers hang, use `'metrics'` in {@link StartOptions.answers}.
 *
 * Series are there from the start, at zero, and before {@link start}; only those of workers and I/O
 * threads come and go with these. No label has a value that a client can choose.
 *
 * @param options `format`: `'prometheus'` is the text format of Prometheus, version 0.0.4.
 * `'openmetrics'` is OpenMetrics 1.0.0. Default `'prometheus'`
 * @returns the text, for the content type `text/plain; version=0.0.4; charset=utf-8` or
 * `application/openmetrics-text; version=1.0.0; charset=utf-8`
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: there is no such format
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION
 *
 * @example
 * ```js
 * const open = /^wsbroker_connections .*$/m.exec(metrics())?.[0];
 * console.log(open); // 'wsbroker_connections 12'
 * ```
 */
function metrics(options = {}) {
    const bag = (0, checks_cjs_1.knownKeys)('metrics', 'options', options, ['format']);
    const format = (0, checks_cjs_1.oneOf)('metrics', 'format', bag['format'], ['prometheus', 'openmetrics']);
    return load_cjs_1.native.metrics(format === 'openmetrics');
}
/**
 * The ids of open sockets, ascending. It looks at every connection of the process, whatever `limit`
 * is: for 100,000 connections that takes some milliseconds, so let pages be large. It may be called
 * from any thread.
 *
 * @param options `after`: only ids above this, 0 by default. `limit`: how many at most, by default
 * all
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message names it
 *
 * @example
 * ```js
 * for (let page = getSockets({ limit: 10_000 }); page.length > 0; ) {
 *   for (const socketId of page) console.log(socketId, info(socketId)?.path);
 *   page = getSockets({ after: page.at(-1), limit: 10_000 });
 * }
 * ```
 */
function getSockets(options) {
    const { after, limit } = (0, inspection_cjs_1.checkGetSockets)(options);
    return load_cjs_1.native.getSockets(after, limit);
}
/**
 * The sockets that do not take what they are sent, those with most bytes waiting first. It looks at
 * these alone, however many connections there are, and may be called from any thread. A socket is
 * in the list from the moment at which the operating system takes no more bytes for it until all
 * are written.
 *
 * @param n how many at most, an integer from 0, 10 by default
 * @throws {TypeError | RangeError} `n` is wrong
 */
function slowSockets(n) {
    return load_cjs_1.native.slowSockets((0, inspection_cjs_1.checkSlowSockets)(n));
}
/**
 * How long the socket's last answered ping took, in milliseconds: from when it was queued until the
 * I/O thread saw the pong. Pings go out as {@link StartOptions.pingInterval} says, so to sockets
 * on which one direction is silent, and browsers answer them by themselves.
 *
 * @returns `undefined` before the first answer, and if the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
function roundTrip(socketId) {
    return load_cjs_1.native.roundTrip((0, inspection_cjs_1.checkSocketId)('roundTrip', socketId)) ?? undefined;
}
/**
 * What is known of a socket: where it comes from, since when, what went through it, and which
 * worker runs its handlers. It asks nobody and may be called from any thread.
 *
 * @returns `undefined` while `handleOpen` runs, and if the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 *
 * @example
 * ```js
 * const { ip, path, messagesIn, roundTrip } = info(socketId) ?? {};
 * console.log(`${ip} at ${path}: ${messagesIn} messages, ${roundTrip} ms`);
 * ```
 */
function info(socketId) {
    const found = load_cjs_1.native.socketInfo((0, inspection_cjs_1.checkSocketId)('info', socketId)) ?? undefined;
    if (found === undefined)
        return undefined;
    const { roundTrip, workerId } = found;
    return { ...found, roundTrip: roundTrip ?? undefined, workerId: workerId ?? undefined };
}
/**
 * Passes what the addon logs to a function, as structured records, on the calling thread. The
 * process has one such function: a later call, on any thread, replaces it, and `null` removes it.
 * It outlives {@link shutdown}, does not keep the process alive, and ends with its thread. What
 * `RUST_LOG` writes to stderr is written all the same.
 *
 * Records never have header values, tokens, queries or payloads in them. Up to 1,024 wait for the
 * function; what comes meanwhile is dropped, and the next record says how many.
 *
 * @param logger what it throws is written to stderr, once
 * @param options `level`: the least important level that is passed on, `'info'` by default;
 * `'debug'` has a record for each connection that is let in or refused
 * @throws {TypeError | RangeError | WSBrokerError} an argument is wrong; the message names it
 *
 * @example
 * ```js
 * setLogger(({ level, message, fields }) => console.log(level, message, fields), { level: 'warn' });
 * ```
 */
function setLogger(logger, options) {
    const checked = (0, inspection_cjs_1.checkLogger)(logger, options);
    (0, logger_cjs_1.useLogger)(checked.logger, checked.level);
}
