/** One socket: its token, its end, and what is known of it. */
import type { Buffer } from '../ambient.cjs';
import type { SlowSocket, SocketInfo } from '../types/inspection.cjs';
import type { Data } from '../types/messages.cjs';
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
export declare const setToken: (socketId: number, token: Data) => void;
/**
 * The socket's token, as a `Buffer` that belongs to the caller.
 *
 * @returns `undefined` if none was set, or the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const getToken: (socketId: number) => Buffer | undefined;
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
export declare const close: (socketId: number, code?: number, reason?: string) => void;
/**
 * Cuts the connection at once. What waits to be sent is lost, and `handleClose` gets 1006. Does
 * nothing for a socket that is gone.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const terminate: (socketId: number) => void;
/**
 * Whether the connection is open: accepted, and neither closing nor closed.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const isOpen: (socketId: number) => boolean;
/**
 * How many bytes wait to be sent to the socket; 0 if it is gone.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare const bufferedAmount: (socketId: number) => number;
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
export declare function getSockets(options?: {
    readonly after?: number | undefined;
    readonly limit?: number | undefined;
}): number[];
/**
 * The sockets that do not take what they are sent, those with most bytes waiting first. It looks at
 * these alone, however many connections there are, and may be called from any thread. A socket is
 * in the list from the moment at which the operating system takes no more bytes for it until all
 * are written.
 *
 * @param n how many at most, an integer from 0, 10 by default
 * @throws {TypeError | RangeError} `n` is wrong
 */
export declare function slowSockets(n?: number): SlowSocket[];
/**
 * How long the socket's last answered ping took, in milliseconds: from when it was queued until the
 * I/O thread saw the pong. Pings go out as {@link StartOptions.pingInterval} says, so to sockets
 * on which one direction is silent, and browsers answer them by themselves.
 *
 * @returns `undefined` before the first answer, and if the socket is gone
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE
 */
export declare function roundTrip(socketId: number): number | undefined;
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
export declare function info(socketId: number): SocketInfo | undefined;
