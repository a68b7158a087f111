import type { Buffer } from '../ambient.cjs';
import type { Data } from './messages.cjs';
/**
 * Headers of an answer: an object, or pairs as in a `Headers` or `Map`. Values are printable ASCII.
 */
export type HeaderOptions = Readonly<Record<string, string | number | readonly string[]>> | Iterable<readonly [string, string]>;
/** The upgrade request, as `handleOpen` gets it. */
export interface OpenRequest {
    /** The client's address, as the second argument of `handleOpen`. */
    readonly ip: string;
    /** Names in lower case; repeated headers are joined as HTTP says. */
    readonly headers: Readonly<Record<string, string>>;
    /** The request's target as it came: path and query. */
    readonly url: string;
    /** `url` up to the question mark. */
    readonly path: string;
    /** `url` behind the question mark, '' without one. For `new URLSearchParams(query)`. */
    readonly query: string;
    /** `GET`. */
    readonly method: string;
    /** The subprotocols that the client offers, in its order. */
    readonly protocols: readonly string[];
    /**
     * Whether the connection is encrypted here ({@link StartOptions.tls}). Encryption that a proxy
     * ends does not count.
     */
    readonly secure: boolean;
    /**
     * The client's certificate, where {@link TlsOptions.requestCert} asks for one and the client has
     * one.
     */
    readonly clientCertificate?: ClientCertificate;
    /** The peer's port; 0 on a Unix socket. */
    readonly remotePort: number;
}
/** A client's certificate. `new X509Certificate(raw)` of `node:crypto` reads what is in it. */
export interface ClientCertificate {
    /** The certificate in DER. */
    readonly raw: Buffer;
    /** Its SHA-256, as Node shows it: `'A1:B2:…'`. */
    readonly fingerprint256: string;
    /**
     * Whether it is valid and comes from one of {@link TlsOptions.ca}. Only without {@link
     * TlsOptions.rejectUnauthorized} can it be `false`: then anyone may have made it.
     */
    readonly authorized: boolean;
}
/** A `handleOpen` verdict that accepts, with what is in place before the first message. */
export interface AcceptVerdict {
    /** The subprotocol to answer with; one of those the client offered. */
    readonly protocol?: string | undefined;
    /** Additional headers of the 101 answer. */
    readonly headers?: HeaderOptions | undefined;
    /** As {@link setToken} would set it. */
    readonly token?: Data | undefined;
    /**
     * Subscribed as {@link subscribeMany} would. More than it may be in, or too long a name: reported
     * to `onError` (`ERR_WSBROKER_LIMIT`), and refused with 500.
     */
    readonly channels?: readonly Data[] | undefined;
}
/** A `handleOpen` verdict that refuses, with this answer. */
export interface RejectVerdict {
    /** The status, 200 to 599. */
    readonly status: number;
    /** Additional headers of the answer. */
    readonly headers?: HeaderOptions | undefined;
    /** What the answer says. Default: nothing. */
    readonly body?: Data | undefined;
}
/**
 * What `handleOpen` decides. `true`, nothing, or an {@link AcceptVerdict}: 101. `false`: 403. A
 * {@link RejectVerdict}: its own answer. Any other value (`null`, `0`, `''`, a string, an object
 * with keys that mean nothing here) is reported and answered with 500: nothing fails open.
 */
export type OpenVerdict = boolean | undefined | void | AcceptVerdict | RejectVerdict;
/** Where a handler's error came from. */
export interface ErrorContext {
    /** The handler's name, such as `handleTextMessage`. */
    readonly handler: HandlerName;
    /** `undefined` for `handleStart` and `handleStop`, which concern no socket. */
    readonly socketId: number | undefined;
}
/** The names of all handlers that can fail. */
export type HandlerName = 'handleOpen' | 'handleTextMessage' | 'handleBinaryMessage' | 'handleClose' | 'handleDrain' | 'handleStart' | 'handleStop';
/**
 * What a worker module exports, by name or as its default export, and what {@link
 * registerWorkerThread} takes. Every handler is optional, and may be async. What a message handler
 * returns is not looked at, except that a promise (or any thenable) is waited for: see {@link
 * StartOptions.handlers}.
 *
 * A throw or a rejection goes to `onError` and never further: neither the connection nor the worker
 * ends of it.
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
     * Decides over a connection; without it all are accepted. The id is valid already: what is sent,
     * subscribed or set here takes effect with the 101 answer, in order, and is undone if the
     * connection is refused or lost.
     *
     * A throw or a rejection refuses with 403, no verdict within {@link StartOptions.openTimeout}
     * with 503.
     *
     * @param socketId positive, increasing, never reused in the process
     * @param ip the peer's address (an IPv4 address mapped into IPv6 is shown as IPv4)
     * @param headers the request's headers: names in lower case, repeated ones joined as HTTP says
     * @param request the rest of the request
     */
    handleOpen?(socketId: number, ip: string, headers: Readonly<Record<string, string>>, request: OpenRequest): OpenVerdict | PromiseLike<OpenVerdict>;
    /**
     * A text message.
     *
     * @param token what {@link setToken} set, as a `Buffer`, `undefined` before. The same `Buffer`
     * for every event until the token changes: copy it before you change it
     */
    handleTextMessage?(text: string, socketId: number, token?: Buffer): unknown;
    /**
     * A binary message.
     *
     * @param bytes belongs to the handler, which may keep and change it. A small message lies in one
     * `ArrayBuffer` with others that came with it: kept for long it holds their memory, and
     * `bytes.buffer` cannot be transferred to another thread. `new Uint8Array(bytes)` makes a copy of
     * its own
     */
    handleBinaryMessage?(bytes: Buffer, socketId: number, token?: Buffer): unknown;
    /**
     * Once for each connection that was accepted, after its last message.
     *
     * @param code the close code: the peer's, ours, 1005 if the peer gave none, 1006 if the
     * connection was lost
     * @param reason the close reason, often ''
     */
    handleClose?(socketId: number, token: Buffer | undefined, code: number, reason: string): unknown;
    /**
     * A socket that was over {@link StartOptions.maxBackpressure} is at or below half of it again.
     */
    handleDrain?(socketId: number, token?: Buffer): unknown;
    /**
     * Before this worker's first event; awaited. A throw or a rejection is a worker that failed to
     * load: it rejects {@link start}.
     */
    handleStart?(): unknown;
    /** After this worker's last event, while {@link shutdown} waits for it. */
    handleStop?(): unknown;
    /**
     * Told of every error of the other handlers, exactly once, and of handlers that take longer than
     * {@link StartOptions.handlerTimeout}: first that they do, and if they fail in the end, of their
     * error, too. By default the error goes to stderr with its stack.
     *
     * @param error what was thrown, which need not be an `Error`
     */
    onError?(error: unknown, context: ErrorContext): unknown;
}
