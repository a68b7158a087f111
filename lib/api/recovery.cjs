"use strict";
/** Channels with history: numbered messages, and sockets that catch up. */
Object.defineProperty(exports, "__esModule", { value: true });
exports.publish = publish;
exports.position = position;
exports.history = history;
exports.recover = recover;
exports.deleteHistory = deleteHistory;
const load_cjs_1 = require("../native/load.cjs");
const channel_calls_cjs_1 = require("../options/channel-calls.cjs");
const history_cjs_1 = require("../options/history.cjs");
const inspection_cjs_1 = require("../options/inspection.cjs");
const bus_receipt_cjs_1 = require("../server/bus-receipt.cjs");
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
