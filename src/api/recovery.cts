/** Channels with history: numbered messages, and sockets that catch up. */

import { native } from '../native/load.cjs';
import { channelBytes } from '../options/channel-calls.cjs';
import { checkDelete, checkQuery, checkRecover, checkSince } from '../options/history.cjs';
import { checkSocketId } from '../options/inspection.cjs';
import { receiptOf } from '../server/bus-receipt.cjs';
import type {
  HistoryQuery,
  HistorySlice,
  Position,
  PublishOptions,
  PublishReceipt,
  RecoverOptions,
  Recovery,
  Since,
} from '../types/history.cjs';
import type { Data } from '../types/messages.cjs';

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
export async function publish(
  channel: Data,
  data: Data,
  options?: PublishOptions,
): Promise<PublishReceipt> {
  const receipt = native.publishWithReceipt(channel, data, options);
  return receipt.ticket === undefined ? receipt : receiptOf(receipt.ticket, receipt.subscribers);
}

/**
 * Where the channel is now: at offset 0 before the first publish. Read the position first and the
 * state of the application then: a later {@link recover} from there misses nothing.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: the channel has no history
 * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: with `cluster`, Redis is away or refused it
 */
export async function position(channel: Data): Promise<Position> {
  if (native.hasHistoryBus()) return native.positionElsewhere(channelBytes('position', channel));
  return native.historyPosition(channel);
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
export async function history(channel: Data, options?: HistoryQuery): Promise<HistorySlice> {
  const [offset, epoch, limit, reverse] = checkQuery('history', options);
  if (native.hasHistoryBus()) {
    const name = channelBytes('history', channel);
    return native.historyElsewhere(name, offset, epoch, limit, reverse);
  }
  return native.readHistory(channel, offset, epoch, limit, reverse);
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
export async function recover(
  socketId: number,
  channel: Data,
  since: Since,
  options?: RecoverOptions,
): Promise<Recovery> {
  const [kind, offset, epoch] = checkSince('recover', since);
  const orReject = checkRecover('recover', options);
  if (native.hasHistoryBus()) {
    const id = checkSocketId('recover', socketId);
    const name = channelBytes('recover', channel);
    return native.recoverElsewhere(id, name, kind, offset, epoch, orReject);
  }
  return native.recoverSocket(socketId, channel, kind, offset, epoch, orReject);
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
export async function deleteHistory(
  channel: Data,
  options?: { readonly before?: number | undefined },
): Promise<void> {
  const before = checkDelete('deleteHistory', options);
  if (native.hasHistoryBus()) {
    return native.deleteHistoryElsewhere(channelBytes('deleteHistory', channel), before);
  }
  native.deleteHistory(channel, before);
}
