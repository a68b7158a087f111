import type { AbortSignal, URL } from '../ambient.cjs';
import type { ClusterOptions } from './cluster-options.cjs';
import type { ThreadOptions, WorkerEvent } from './worker-threads.cjs';
/**
 * Limits on what is on its way to handlers. At a limit, its sockets are no longer read, and TCP
 * pushes back.
 */
export interface MaxInFlight {
    /** Messages of one socket, 1 to 2^31-1. Default 256. */
    readonly messages?: number | undefined;
    /**
     * Bytes of one socket's messages, 128 counted on top of each. Default 1 MiB. A larger message
     * passes when nothing else is on its way.
     */
    readonly bytes?: number | undefined;
    /** Bytes of one worker's messages, counted alike. Default 16 MiB. */
    readonly workerBytes?: number | undefined;
}
/**
 * How much one socket may send, on average over time. At least one of `messages` and `bytes` is
 * given.
 */
export interface RateLimit {
    /** Messages a second, 1 to 2^31-1; pings and pongs count too. Default: unlimited. */
    readonly messages?: number | undefined;
    /** Bytes of messages a second, at least 1. Default: unlimited. */
    readonly bytes?: number | undefined;
    /**
     * How many messages may come at once, 1 to 2^31-1, and bytes in proportion (`bytes * burst /
     * messages`); without `messages` it is a number of bytes. Default: one second's worth.
     */
    readonly burst?: number | undefined;
    /**
     * What happens above the limit. `'pause'`, the default: the socket is not read until it is below
     * again, TCP pushes back, and nothing is lost, except that a client that ends its side meanwhile
     * is still read for `closeTimeout` at most. `'close'`: the socket is closed with 1008.
     */
    readonly action?: 'pause' | 'close' | undefined;
}
/** Which proxies are believed about their clients' addresses. */
export interface TrustProxy {
    /**
     * The proxies: addresses and networks such as `'10.0.0.0/8'` or `'fd00::/8'`, and `'unix'` for
     * everything that connects through a Unix socket. What a client itself writes into the header is
     * not believed: the rightmost address in it that belongs to no proxy is the client's.
     */
    readonly from: string | readonly string[];
    /**
     * The one header they write it to: `'x-forwarded-for'`, the default, or `'forwarded'` (RFC 7239).
     * No other is looked at.
     */
    readonly header?: 'x-forwarded-for' | 'forwarded' | undefined;
}
/** How messages are compressed (RFC 7692). */
export interface PerMessageDeflate {
    /**
     * Bytes of payload from which on a message is compressed, 0 to 2^31-1. Default 1,024: below, it
     * costs more than it brings.
     */
    readonly threshold?: number | undefined;
    /** 1 (fastest) to 9 (smallest). Default 3. */
    readonly level?: number | undefined;
}
/**
 * PEM, or where it is: a string with `-----BEGIN` in it is PEM itself, any other string the path of
 * a file (absolute, relative to `process.cwd()`, or a `file:` URL); bytes are those of PEM.
 */
export type PemSource = string | URL | ArrayBuffer | Uint8Array;
/** What connections are encrypted with: TLS 1.2 and 1.3. */
export interface TlsOptions {
    /**
     * The certificate, followed by those between it and the authority. With a list a client gets the
     * first one for the name it asks for (SNI; wildcards count), or else the first of all.
     */
    readonly cert: PemSource | readonly PemSource[];
    /**
     * The certificate's private key, in PKCS #8, PKCS #1 or SEC 1, not encrypted; with a list, one
     * for each.
     */
    readonly key: PemSource | readonly PemSource[];
    /**
     * The authorities that clients' certificates must come from. Needed with `requestCert`, and of no
     * use without.
     */
    readonly ca?: PemSource | readonly PemSource[] | undefined;
    /**
     * Whether clients are asked for a certificate: {@link OpenRequest.clientCertificate}. Default
     * `false`.
     */
    readonly requestCert?: boolean | undefined;
    /**
     * With `requestCert`: whether a client without a certificate, or with one that `ca` does not
     * vouch for, fails the handshake. Default `true`.
     */
    readonly rejectUnauthorized?: boolean | undefined;
    /** The oldest version that is spoken. Default `'TLSv1.2'`. */
    readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
}
/**
 * What {@link start} takes. Durations are milliseconds, sizes are bytes, all of them integers; an
 * option that is `undefined` counts as absent.
 *
 * *Process-wide* options hold for everything in this process: a later call may leave them out, and
 * fails with `ERR_WSBROKER_CONFLICT` if it gives another value. Those *of the address* must be the
 * same for all servers that share one. The others belong to the one server.
 */
export interface StartOptions {
    /**
     * Where to listen: `'host:port'`, `'[v6]:port'`, port 0 for any free one, or `'unix:/path'`.
     * Beside the file of a Unix socket there is a lock file, `/path.lock`, which guards it against
     * other processes and stays when the server ends.
     */
    readonly bind: string;
    /**
     * The module with the handlers ({@link WorkerInterface}): absolute, relative to `process.cwd()`,
     * or a `file:` URL. CommonJS, ESM, and TypeScript where the runtime takes it. Without it at least
     * one worker must be registered already.
     */
    readonly workerPath?: string | URL | undefined;
    /**
     * Process-wide. How many worker threads to start, 0 to 1024. 0: none, the module is registered on
     * the calling thread. Default: the number of CPU cores, at least 4.
     */
    readonly threads?: number | undefined;
    /**
     * Process-wide. What the worker threads are started with: `workerData`, `env`, `execArgv`,
     * `resourceLimits`, `name`. Needs `workerPath`; not allowed with `threads: 0`. Default: nothing.
     */
    readonly worker?: ThreadOptions | undefined;
    /**
     * How long a worker may take to load its module, top-level `await`s included, 0 to 2^31-1. After
     * that {@link start} rejects with `ERR_WSBROKER_WORKER_FAILED`, which names the module, and a
     * replacement counts as failed. `handleStart` is not included. With `threads: 0`, code that does
     * not return cannot be interrupted. Applies to the workers that this call starts. 0 = no limit.
     * Default 30,000.
     */
    readonly startTimeout?: number | undefined;
    /**
     * Process-wide. `'serial'`, the default: while a handler's promise is pending, the next event of
     * *that* connection waits. `'concurrent'`: it does not, so that async handlers of one connection
     * overlap.
     */
    readonly handlers?: 'serial' | 'concurrent' | undefined;
    /**
     * Process-wide. How long an async handler may take while others wait for it. Then `onError` is
     * told (`ERR_WSBROKER_HANDLER_TIMEOUT`) and the connection's next event goes on; a `handleOpen`
     * is answered with 503. 0 = no limit. Default 30,000.
     */
    readonly handlerTimeout?: number | undefined;
    /**
     * Process-wide. Threads that do input and output, 1 to 1024. Default: half the CPU cores, at
     * least 1.
     */
    readonly ioThreads?: number | undefined;
    /**
     * The paths to serve, exactly, such as `'/chat'` or `['/chat', '/feed']`; others are answered
     * with 404. `'*'`, the default, is every path. Servers may share one address if their paths
     * differ.
     */
    readonly path?: string | readonly string[] | undefined;
    /**
     * Subprotocols, best first: the first of them that the client offers too is answered, unless
     * `handleOpen` chooses. A client that offers none of them is let in without one; browsers then
     * fail the connection themselves. Default: none.
     */
    readonly protocols?: readonly string[] | undefined;
    /**
     * The largest message, after inflation, 1 to 536,870,888 (the longest string there is). A larger
     * one closes its connection with 1009. Default 1 MiB.
     */
    readonly maxPayload?: number | undefined;
    /**
     * Of the address. From accept to the whole request, a PROXY header and the TLS handshake
     * included, at least 1. Then the connection is cut. Default 10,000.
     */
    readonly handshakeTimeout?: number | undefined;
    /** For `handleOpen` to decide, at least 1. Then the answer is 503. Default 10,000. */
    readonly openTimeout?: number | undefined;
    /**
     * Process-wide. Connections that may be between accept and 101 at once, at least 1. Any more are
     * answered with 503. Default 4,096.
     */
    readonly maxPendingUpgrades?: number | undefined;
    /**
     * Process-wide. Connections at once, from accept to their end, on all servers, 1 to 2^31-1. Any
     * more are answered with 503. Default: no limit.
     */
    readonly maxConnections?: number | undefined;
    /**
     * Process-wide. Connections at once from one address (of IPv6 from one /64, which is what one
     * customer has), 1 to 2^31-1. Any more are answered with 429. Behind a proxy, tell `trustProxy`
     * or `proxyProtocol`, or all clients share one address. Default: no limit.
     */
    readonly maxConnectionsPerIp?: number | undefined;
    /**
     * Process-wide. Channels that one socket may be in, 1 to 2^31-1. Beyond, {@link subscribe} throws
     * `ERR_WSBROKER_LIMIT`, and a verdict with more is refused with 500. Default: no limit.
     */
    readonly maxChannelsPerSocket?: number | undefined;
    /**
     * Process-wide. Bytes of a channel's name, 1 to 2^31-1. A longer one as with
     * `maxChannelsPerSocket`. Default: no limit.
     */
    readonly maxChannelNameLength?: number | undefined;
    /**
     * Values of the `Origin` header that are let in (RFC 6454), for servers that browsers reach with
     * cookies: `'https://app.example'`, `'https://*.app.example'` (any name below it), `'null'`, or
     * `'*'`. Others are answered with 403. A request without `Origin` is let in: it comes from no
     * browser. Default: all.
     */
    readonly origins?: string | readonly string[] | undefined;
    /**
     * Of the address. Proxies in front of the server: their word about a client's address becomes
     * `ip`. Default: none is believed.
     */
    readonly trustProxy?: TrustProxy | undefined;
    /**
     * Of the address. Every connection begins with a header of the PROXY protocol, version 1 or 2,
     * whose address becomes `ip`; one without is cut. Anyone who can connect is believed, unless
     * `trustProxy.from` names the proxies: then connections from elsewhere are cut. Default `false`.
     */
    readonly proxyProtocol?: boolean | undefined;
    /**
     * Of the address. Other processes may listen on the same TCP port (`SO_REUSEPORT`), and the
     * system shares out the connections. Rejects with `ERR_WSBROKER_UNSUPPORTED` where the system
     * cannot do that, and for Unix sockets, which belong to one process. Default `false`.
     */
    readonly reusePort?: boolean | undefined;
    /**
     * Compression of messages (RFC 7692), with clients that offer it. It costs CPU time for every
     * message, and can betray secrets that stand in one message with what an attacker chose (see
     * docs/guide/compression.md). Default `false`.
     */
    readonly perMessageDeflate?: boolean | PerMessageDeflate | undefined;
    /**
     * Of the address. Encryption: the server speaks `wss://` alone. A handshake that fails is cut;
     * plain HTTP is answered with 400. Default: none.
     */
    readonly tls?: TlsOptions | undefined;
    /**
     * Of the address. The request's head, 256 to 1 MiB, and at most 100 headers. A larger one is
     * answered with 431. Default 16 KiB.
     */
    readonly maxHeaderSize?: number | undefined;
    /**
     * How long a connection may be silent before it is cut (`handleClose` sees 1006). Anything that
     * the client sends ends the silence. So does any byte sent to it that its system acknowledges,
     * pings aside: a slow download is not silent. The clock stops while we pause reading. 0 = no
     * limit. Default 120,000.
     */
    readonly idleTimeout?: number | undefined;
    /**
     * Whether pings are sent, so that only dead connections are cut, and proxies see that the others
     * are alive. Default `true`.
     */
    readonly pings?: boolean | undefined;
    /**
     * A ping is sent when no byte has come in, or none has gone out, for this long or for half of
     * `idleTimeout`, whichever is less. It goes ahead of what waits to be sent. Choose a value below
     * what the proxies on the way allow; nginx and AWS allow 60,000. 0 = no pings. Default 25,000.
     */
    readonly pingInterval?: number | undefined;
    /**
     * How long a closing may make no progress before the connection is cut, at least 1. What was sent
     * before `close`, `server.close()`, `shutdown` or the client's own close goes out first, as long
     * as the client takes some of it within this time, and 1 KiB a second on average over 30 s. Once
     * our close frame has been sent, the client has this time to end the connection. If the client
     * closes first, our close frame waits at most this long for handlers at work. A closing because
     * of an error or a limit has this time in total. Default 5,000.
     */
    readonly closeTimeout?: number | undefined;
    /**
     * What may wait to be sent to one socket, at least 1. A message that finds less waiting is queued
     * whole; `overflow` says what happens to the next. Default 1 MiB.
     */
    readonly maxBackpressure?: number | undefined;
    /**
     * For a socket over `maxBackpressure`: `'close'` it with 1013, the default; `'dropNewest'`: drop
     * what is sent to it until it has room; `'dropOldest'`: drop what has waited longest, whole
     * messages, until the new one has room.
     */
    readonly overflow?: 'close' | 'dropNewest' | 'dropOldest' | undefined;
    /**
     * How long a connection may live from its 101 on. Then it is closed with 1012. Each gets a time
     * between 90 and 100 % of it, so that those who came together do not come back together. 0 = for
     * ever. Default 0.
     */
    readonly maxLifetime?: number | undefined;
    /** How much one socket may send. Default: no limit. */
    readonly rateLimit?: RateLimit | undefined;
    /**
     * Process-wide, in bytes. Everything that waits to be sent, the answers that `handleOpen` gives
     * to refused connections included. A sixteenth of it is a reserve. Once the rest is used up, the
     * slowest sockets are closed with 1013, `send` returns 0 for them and others that have much
     * waiting, and sockets that have little waiting (16 KiB, or their share of half the reserve) are
     * still sent to. A refusal for which there is no room is not sent: its connection is cut.
     * Default: a quarter of memory (the cgroup's limit, else RAM).
     */
    readonly maxSendMemory?: number | undefined;
    /**
     * Process-wide. All incoming messages that are unfinished. At the limit, the connection with the
     * largest one is closed with 1013. Default: a quarter of memory.
     */
    readonly maxReceiveMemory?: number | undefined;
    /** Process-wide. Limits on what is on its way to handlers. */
    readonly maxInFlight?: MaxInFlight | undefined;
    /**
     * Called, on the thread that called `start`, when a worker thread starts, ends, fails to be
     * replaced, or is stuck. Without it, workers that died, failed or are stuck are reported on
     * stderr. If several calls of `start` give a function, all of them are called.
     */
    readonly onWorker?: ((event: WorkerEvent) => void) | undefined;
    /**
     * Joins other instances, so that {@link sendToChannel} reaches their subscribers too. Once per
     * process; as {@link joinCluster}. @default off
     */
    readonly cluster?: ClusterOptions | undefined;
    /**
     * Ends what the call has begun. Aborted before {@link start} resolves, it undoes everything, and
     * `start` rejects with the signal's reason; aborted later, it closes the server, as
     * `server.close()` does. Default: none.
     */
    readonly signal?: AbortSignal | undefined;
}
