/**
 * The server's end of the subprotocol `wsbroker.v1`: clients subscribe to channels with history by
 * themselves, and lose nothing when they come back.
 *
 * @packageDocumentation
 */
import type { ChannelsOptions } from './channels/types.cjs';
import type { SendResult } from './types/messages.cjs';
import type { WorkerInterface } from './types/worker-interface.cjs';
export { RequestError } from './channels/request-error.cjs';
export type { AuthorizeRequest, ChannelGrant, ChannelsErrorContext, ChannelsOptions, PublishContext, ReplayRate, RequestContext, } from './channels/types.cjs';
export { WSBrokerError, type WSBrokerErrorCode } from './errors.cjs';
/**
 * Makes the handlers of a worker module with which clients subscribe to channels with history,
 * publish, and send requests, by `wsbroker/client` or anything else that speaks
 * {@link subprotocol}. Clients can subscribe only to channels with history whose messages are
 * framed ({@link HistoryOptions.framed}), and only if `authorize` allows it.
 *
 * A client that does not offer the subprotocol, or for which `handleOpen` has chosen another, has
 * the handlers of a worker module.
 *
 * - To a connection that speaks the subprotocol, only {@link sendMessage} sends. What `send`,
 *   `sendToAll` or a channel without history sends to it is an error in the client, and ignored.
 * - Such a connection is closed when more waits for it than `maxBackpressure`, whatever `overflow`
 *   says: its client comes back, and goes on where it was.
 * - Connections belong to the thread that has accepted them. If it ends, as after
 *   `reloadWorkers()`, they are closed with 1012, and come back.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: `authorize` is missing, or an option has the
 * wrong type
 * @throws {RangeError} ERR_WSBROKER_INVALID_ARG_VALUE: an option has a value that is not allowed
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist
 *
 * @example
 * ```js
 * import { serveChannels } from 'wsbroker/channels';
 *
 * export default serveChannels({
 *   async authorize(socketId, channel, { token, action }) {
 *     const user = await userOf(token);
 *     return user !== undefined && channel.startsWith('chat:') && { sender: user.id };
 *   },
 * });
 * ```
 */
export declare function serveChannels(options: ChannelsOptions): WorkerInterface;
/**
 * Sends a message of the application to a client that speaks the subprotocol, on any thread.
 *
 * @param data a value for `JSON.stringify`; `undefined` is `null`
 * @returns as `send` does; 0 also for a connection that does not speak the subprotocol
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: `socketId` is not a number, or there is no
 * JSON for `data`
 */
export declare function sendMessage(socketId: number, data: unknown): SendResult;
/**
 * Takes a client out of a channel, and tells it that it may not be there (`forbidden`). It gets
 * nothing more of the channel but what is on its way. Call it on any thread, behind the change that
 * makes `authorize` refuse: a subscription that `authorize` has allowed before, and that has not
 * begun, is asked about again.
 *
 * @returns true: it was in the channel. false: it was not, or the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare function revoke(socketId: number, channel: string): boolean;
/** The name of the subprotocol, as it is offered in a handshake: `wsbroker.v1`. */
export declare const subprotocol: string;
