"use strict";
/**
 * The server's end of the subprotocol `wsbroker.v1`: clients subscribe to channels with history by
 * themselves, and lose nothing when they come back.
 *
 * @packageDocumentation
 */
Object.defineProperty(exports, "__esModule", { value: true });
exports.subprotocol = exports.WSBrokerError = exports.RequestError = void 0;
exports.serveChannels = serveChannels;
exports.sendMessage = sendMessage;
exports.revoke = revoke;
const options_cjs_1 = require("./channels/options.cjs");
const messages_cjs_1 = require("./channels/messages.cjs");
const server_cjs_1 = require("./channels/server.cjs");
const errors_cjs_1 = require("./errors.cjs");
const load_cjs_1 = require("./native/load.cjs");
const checks_cjs_1 = require("./options/checks.cjs");
var request_error_cjs_1 = require("./channels/request-error.cjs");
Object.defineProperty(exports, "RequestError", { enumerable: true, get: function () { return request_error_cjs_1.RequestError; } });
var errors_cjs_2 = require("./errors.cjs");
Object.defineProperty(exports, "WSBrokerError", { enumerable: true, get: function () { return errors_cjs_2.WSBrokerError; } });
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
function serveChannels(options) {
    return new server_cjs_1.ChannelsServer((0, options_cjs_1.checkChannelsOptions)(options)).worker();
}
/**
 * Sends a message of the application to a client that speaks the subprotocol, on any thread.
 *
 * @param data a value for `JSON.stringify`; `undefined` is `null`
 * @returns as `send` does; 0 also for a connection that does not speak the subprotocol
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: `socketId` is not a number, or there is no
 * JSON for `data`
 */
function sendMessage(socketId, data) {
    if (!load_cjs_1.native.speaksChannels(socketId))
        return 0;
    return load_cjs_1.native.send(socketId, messageOf(data));
}
function messageOf(data) {
    try {
        const json = JSON.stringify(data ?? null);
        if (json !== undefined)
            return `{"type":"message","data":${json}}`;
    }
    catch (error) {
        throw new errors_cjs_1.WSBrokerTypeError(`sendMessage: there is no JSON for "data": ${String(error)}`);
    }
    throw (0, checks_cjs_1.wrongType)('sendMessage', 'data', 'a value for JSON', data);
}
/**
 * Takes a client out of a channel, and tells it that it may not be there (`forbidden`). It gets
 * nothing more of the channel but what is on its way. Call it on any thread, behind the change that
 * makes `authorize` refuse: a subscription that `authorize` has allowed before, and that has not
 * begun, is asked about again.
 *
 * @returns true: it was in the channel. false: it was not, or the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
function revoke(socketId, channel) {
    if (typeof channel !== 'string')
        throw (0, checks_cjs_1.wrongType)('revoke', 'channel', 'a string', channel);
    const revoked = load_cjs_1.native.revokeChannel(socketId, channel);
    if (revoked && load_cjs_1.native.speaksChannels(socketId)) {
        load_cjs_1.native.send(socketId, JSON.stringify({ type: 'unsubscribed', channel, reason: 'forbidden' }));
    }
    return revoked;
}
/** The name of the subprotocol, as it is offered in a handshake: `wsbroker.v1`. */
exports.subprotocol = messages_cjs_1.SUBPROTOCOL;
