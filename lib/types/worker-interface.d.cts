import type { Buffer } from '../ambient.cjs';
import type { Position } from './history.cjs';
import type { Data } from './messages.cjs';
/**
 * Headers of a response: an object, or pairs as in a `Headers` or `Map`. Values are printable
 * ASCII.
 */
export type HeaderOptions = Readonly<Record<string, string | number | readonly string[]>> | Iterable<readonly [string, string]>;
/** The upgrade request, as `handleOpen` gets it. */
export interface OpenRequest {
    /** The client's address: the second argument of `handleOpen`. */
    readonly ip: string;
    /** The request's headers. Names are in lower case; repeated headers are joined as in HTTP. */
    readonly headers: Readonly<Record<string, string>>;
    /** The request target as it was sent: path and query. */
    readonly url: string;
    /** The part of `url` before the question mark. */
    readonly path: string;
    /** The part of `url` after the question mark, or ''. Use `new URLSearchParams(query)`. */
    readonly query: string;
    /** `GET`. */
    readonly method: string;
    /** The subprotocols that the client offers, in the client's order. */
    readonly protocols: readonly string[];
    /**
     * Whether this server encrypts the connection ({@link StartOptions.tls}). Encryption that ends at
     * a proxy does not count.
     */
    readonly secure: boolean;
    /** The client's certificate, if {@link TlsOptions.requestCert} is set and the client has one. */
    readonly clientCertificate?: ClientCertificate;
    /** The peer's port; 0 on a Unix socket. */
    readonly remotePort: number;
}
/** A client's certificate. Read its contents with `new X509Certificate(raw)` of `node:crypto`. */
export interface ClientCertificate {
    /** The certificate in DER. */
    readonly raw: Buffer;
    /** Its SHA-256, written as Node does: `'A1:B2:…'`. */
    readonly fingerprint256: string;
    /**
     * Whether it is valid and was issued by one of {@link TlsOptions.ca}. It can be `false` only if
     * {@link TlsOptions.rejectUnauthorized} is off; then anyone may have made it.
     */
    readonly authorized: boolean;
}
/** A `handleOpen` verdict that accepts, with what takes effect before the first message. */
export interface AcceptVerdict {
    /** The subprotocol of the connection: one of those that the client offered. */
    readonly protocol?: string | undefined;
    /** Additional headers of the 101 response. */
    readonly headers?: HeaderOptions | undefined;
    /** The socket's token, as {@link setToken} would set it. */
    readonly token?: Data | undefined;
    /**
     * Channels to subscribe the socket to, as {@link subscribeMany} would. If there are too many, or
     * a name is too long, that is reported to `onError` (`ERR_WSBROKER_LIMIT`) and the connection is
     * refused with 500.
     */
    readonly channels?: readonly Data[] | undefined;
}
/** A `handleOpen` verdict that refuses the connection, and with what response. */
export interface RejectVerdict {
    /** The status, 200 to 599. */
    readonly status: number;
    /** Additional headers of the response. @default no headers */
    readonly headers?: HeaderOptions | undefined;
    /** The body of the response. @default an empty body */
    readonly body?: Data | undefined;
}
/**
 * What `handleOpen` returns. `true`, nothing, or an {@link AcceptVerdict}: 101. `false`: 403. A
 * {@link RejectVerdict}: the response it describes. Any other value (`null`, `0`, `''`, a string,
 * an object with unknown keys) is reported and refused with 500, so that a mistake lets nobody in.
 */
export type OpenVerdict = boolean | undefined | void | AcceptVerdict | RejectVerdict;
/** Where a handler's error came from. */
export interface ErrorContext {
    /** The handler's name, such as `handleTextMessage`. */
    readonly handler: HandlerName;
    /** The socket, or `undefined` for `handleStart` and `handleStop`, which concern no socket. */
    readonly socketId: number | undefined;
}
/** The names of all handlers that can fail. */
export type HandlerName = 'handleOpen' | 'handleTextMessage' | 'handleBinaryMessage' | 'handleClose' | 'handleDrain' | 'handleLost' | 'handleStart' | 'handleStop';
/**
 * What a worker module exports, by name or as its default export, and what
 * {@link registerWorkerThread} takes. Every handler is optional and may be async. What a message
 * handler returns is ignored, except that a promise (or any thenable) is waited for: see
 * {@link StartOptions.handlers}.
 *
 * What a handler throws or rejects with goes to `onError` and no further. It ends neither the
 * connection nor the worker.
 *
 * @example
 * ```ts
 * import { sendToChannel, subscribe, type WorkerInterface } from 'wsbroker';
 *
 * export default {
 *   handleOpen(socketId) {
 *     subscribe(socketId, 'everyone');
 *   },
 *   handleTextMessage(text) {
 *     sendToChannel('everyone', text);
 *   },
 * } satisfies WorkerInterface;
 * ```
 */
export interface WorkerInterface {
    /**
     * Decides whether a connection is accepted. Without it, all are. The id is already valid: what is
     * sent, subscribed or set here takes effect with the 101 response, in order, and is undone if the
     * connection is refused or lost.
     *
     * A throw or a rejection refuses the connection with 403, no verdict within
     * {@link StartOptions.openTimeout} with 503.
     *
     * @param socketId positive, increasing, and never reused in the process
     * @param ip the peer's address; an IPv4 address mapped into IPv6 is shown as IPv4
     * @param headers the request's headers; names are in lower case, repeated headers are joined as
     * in HTTP
     * @param request the rest of the request
     */
    handleOpen?(socketId: number, ip: string, headers: Readonly<Record<string, string>>, request: OpenRequest): OpenVerdict | PromiseLike<OpenVerdict>;
    /**
     * A text message.
     *
     * @param token what {@link setToken} set, as a `Buffer`, or `undefined` if nothing did. Events
     * get the same `Buffer` until the token changes, or until the socket has been quiet while a
     * thousand others were not: copy it before you change it
     */
    handleTextMessage?(text: string, socketId: number, token?: Buffer): unknown;
    /**
     * A binary message.
     *
     * @param bytes belongs to the handler, which may keep and change it. A small message shares one
     * `ArrayBuffer` with others that came with it: keeping it keeps their memory, too, and
     * `bytes.buffer` cannot be transferred to another thread. `new Uint8Array(bytes)` makes a
     * separate copy
     */
    handleBinaryMessage?(bytes: Buffer, socketId: number, token?: Buffer): unknown;
    /**
     * Called once for each connection that was accepted, after its last message.
     *
     * @param code the close code: the peer's or ours; 1005 if the peer gave none, 1006 if the
     * connection was lost
     * @param reason the close reason, often ''
     */
    handleClose?(socketId: number, token: Buffer | undefined, code: number, reason: string): unknown;
    /**
     * A socket that was over {@link StartOptions.maxBackpressure} has drained to half of it or less.
     */
    handleDrain?(socketId: number, token?: Buffer): unknown;
    /**
     * A subscriber of a channel with history was so far behind that what it had to get next is no
     * longer kept, or {@link deleteHistory} has begun a new epoch. It gets nothing of the channel
     * until this handler has finished, and then what comes behind the position: what is sent to it
     * here comes first. If the handler fails, or takes longer than
     * {@link StartOptions.handlerTimeout}, the socket is closed with 4009. Without the handler it is
     * always closed with 4009.
     *
     * @param channel the channel's name; a `Buffer` if that is not UTF-8
     * @param position everything up to there is lost to the socket, unless it was sent before
     */
    handleLost?(socketId: number, channel: string | Buffer, position: Position): unknown;
    /**
     * Called before this worker's first event, and awaited. If it throws or rejects, the worker has
     * failed to load, and {@link start} rejects.
     */
    handleStart?(): unknown;
    /** Called after this worker's last event. {@link shutdown} waits for it. */
    handleStop?(): unknown;
    /**
     * Called once for every error of the other handlers, and for a handler that takes longer than
     * {@link StartOptions.handlerTimeout}; if that handler fails later, it is called again. Without
     * it, errors are written to stderr with their stacks.
     *
     * @param error what was thrown, which need not be an `Error`
     */
    onError?(error: unknown, context: ErrorContext): unknown;
}
