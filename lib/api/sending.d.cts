/**
 * Messages to sockets and channels.
 *
 * Functions that are called for every message are the addon's own: a function around them would
 * cost more than the call itself. So it is in the files beside this one.
 */
import type { Data, SendOptions, SendResult } from '../types/messages.cjs';
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
export declare const send: (socketId: number, data: Data, options?: Pick<SendOptions, 'compress'>) => SendResult;
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
export declare const sendToChannel: (channel: Data, data: Data, options?: SendOptions) => number;
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
export declare const sendToAll: (data: Data, options?: SendOptions) => number;
