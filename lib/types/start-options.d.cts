import type { AbortSignal, URL } from '../ambient.cjs';
import type { ClusterOptions } from './cluster-options.cjs';
import type { HistoryOptions } from './history.cjs';
import type { Data } from './messages.cjs';
import type { HeaderOptions } from './worker-interface.cjs';
import type { ThreadOptions, Watchdog, WorkerEvent } from './worker-threads.cjs';
/**
 * Limits on messages that have been given to handlers and are not finished. At a limit, the sockets
 * concerned are no longer read, and TCP pushes back.
 */
export interface MaxInFlight {
    /** Messages of one socket, 1 to 2^31-1. @default 256 */
    readonly messages?: number | undefined;
    /**
     * Bytes of one socket's messages, 1 to 2^31-1; each message counts 128 more. A larger message
     * passes when nothing else is in flight. @default 1 MiB
     */
    readonly bytes?: number | undefined;
    /** Bytes of one worker's messages, 1 to 2^31-1, counted in the same way. @default 16 MiB */
    readonly workerBytes?: number | undefined;
}
/** How much one socket may send, on average over time. Set `messages`, `bytes`, or both. */
export interface RateLimit {
    /** Messages a second, 1 to 2^31-1. Pings and pongs count, too. @default no limit */
    readonly messages?: number | undefined;
    /** Bytes of messages a second, 1 to 2^53-1. @default no limit */
    readonly bytes?: number | undefined;
    /**
     * How many messages may come at once, 1 to 2^31-1, and bytes in proportion
     * (`bytes * burst / messages`). Without `messages` it is a number of bytes.
     * @default what is allowed in one second
     */
    readonly burst?: number | undefined;
    /**
     * What happens above the limit. `'pause'`: the socket is not read until it is below the limit
     * again. TCP pushes back and nothing is lost, except that a client that ends its side meanwhile
     * is read for at most `closeTimeout` more. `'close'`: the socket is closed with 1008.
     * @default 'pause'
     */
    readonly action?: 'pause' | 'close' | undefined;
}
/** Which proxies are trusted to report the addresses of their clients. */
export interface TrustProxy {
    /**
     * The proxies: addresses and networks such as `'10.0.0.0/8'` or `'fd00::/8'`, and `'unix'` for
     * everything that connects through a Unix socket. What a client itself writes into the header is
     * not trusted: the client's address is the rightmost one that belongs to no proxy.
     */
    readonly from: string | readonly string[];
    /**
     * The header in which the proxies report it; `'forwarded'` is that of RFC 7239. All other headers
     * are ignored. @default 'x-forwarded-for'
     */
    readonly header?: 'x-forwarded-for' | 'forwarded' | undefined;
}
/** How messages are compressed (RFC 7692). */
export interface PerMessageDeflate {
    /**
     * The smallest payload that is compressed, in bytes, 0 to 2^31-1. Compressing shorter ones
     * usually costs more than it saves. @default 1024
     */
    readonly threshold?: number | undefined;
    /** 1 (fastest) to 9 (smallest). @default 3 */
    readonly level?: number | undefined;
}
/**
 * PEM, or the file that contains it. A string with `-----BEGIN` in it is PEM; any other string is
 * the path of a file: absolute, relative to `process.cwd()`, or a `file:` URL. Bytes are PEM.
 */
export type PemSource = string | URL | ArrayBuffer | Uint8Array;
/** How connections are encrypted: TLS 1.2 and 1.3. */
export interface TlsOptions {
    /**
     * The certificate, followed by its intermediate certificates. With an array, a client gets the
     * first certificate for the name it asks for (SNI; wildcards count), otherwise the first of all.
     */
    readonly cert: PemSource | readonly PemSource[];
    /**
     * The certificate's private key: PKCS #8, PKCS #1 or SEC 1, not encrypted. With an array of
     * certificates, an array with one key for each.
     */
    readonly key: PemSource | readonly PemSource[];
    /**
     * The authorities that must have issued clients' certificates. Required with `requestCert`, and
     * not allowed without it. @default no authority
     */
    readonly ca?: PemSource | readonly PemSource[] | undefined;
    /**
     * Whether clients are asked for a certificate: {@link OpenRequest.clientCertificate}.
     * @default false
     */
    readonly requestCert?: boolean | undefined;
    /**
     * With `requestCert`: whether the handshake fails for a client that has no certificate, or one
     * that was not issued by one of `ca`. @default true
     */
    readonly rejectUnauthorized?: boolean | undefined;
    /** The oldest version that is accepted. @default 'TLSv1.2' */
    readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
}
/** A response that is always the same: one of {@link StartOptions.answers}. */
export interface FixedAnswer {
    /** The status, 200 to 599. */
    readonly status: number;
    /**
     * Additional headers. The defaults are `Content-Type: text/plain; charset=utf-8` and
     * `Cache-Control: no-store`. @default no headers
     */
    readonly headers?: HeaderOptions | undefined;
    /** The body. It is copied at once. @default an empty body */
    readonly body?: Data | undefined;
}
/** A server of `node:http`, as `http.createServer` returns it. */
export interface HttpServer {
    /** Whether it listens: it must not yet. */
    readonly listening: boolean;
    /** Called when the listener has ended. */
    close(...args: never[]): unknown;
    /** Replaced while it is served, to let no request in but ours. */
    emit(event: string, ...args: never[]): boolean;
}
/**
 * What `http.createServer` takes: a function that gets the `IncomingMessage` and the
 * `ServerResponse`, such as an application of Express or Connect, or `app.callback()` of Koa.
 */
export type HttpRequestListener = (request: any, response: any) => unknown;
/** An HTTP server that listens elsewhere. */
export interface HttpForward {
    /**
     * Where: `'http://127.0.0.1:3001'` or `'unix:/run/app.sock'`. Paths pass unchanged. It learns the
     * client's address from the header `X-Forwarded-For`.
     */
    readonly forward: string | URL;
}
/**
 * Options of {@link start}. Durations are in milliseconds, sizes in bytes, and all of them are
 * integers. An option that is `undefined` counts as absent.
 *
 * *Process-wide* options apply to everything in the process: a later call may leave them out, and
 * fails with `ERR_WSBROKER_CONFLICT` if it gives another value. Options *of the address* must be
 * the same for all servers that share an address. All others belong to the one server.
 */
export interface StartOptions {
    /**
     * Where to listen: `'host:port'`, `'[v6]:port'`, or `'unix:/path'`; port 0 is any free port.
     * Next to the file of a Unix socket there is a lock file, `/path.lock`, which protects it from
     * other processes and stays when the server ends.
     */
    readonly bind: string;
    /**
     * The module with the handlers ({@link WorkerInterface}): an absolute path, a path relative to
     * `process.cwd()`, or a `file:` URL. CommonJS, ESM, or TypeScript where the runtime supports it.
     * Without it, a worker must already be registered, unless `path` is `[]`.
     */
    readonly workerPath?: string | URL | undefined;
    /**
     * Process-wide. How many worker threads to start, 0 to 1024. With 0 there are none, and the
     * module is loaded into the calling thread. @default the number of CPU cores, at least 4
     */
    readonly threads?: number | undefined;
    /**
     * Process-wide. How the worker threads are started: `workerData`, `env`, `execArgv`,
     * `resourceLimits`, `name`. Requires `workerPath`; not allowed with `threads: 0`.
     * @default no options
     */
    readonly worker?: ThreadOptions | undefined;
    /**
     * How long a worker may take to load its module, including top-level `await`s, 0 to 2^31-1. After
     * that {@link start} rejects with `ERR_WSBROKER_WORKER_FAILED`, which names the module; a
     * replacement counts as failed. `handleStart` does not count. With `threads: 0`, code that does
     * not return cannot be interrupted. Applies to the workers that this call starts. 0: no limit.
     * @default 30000
     */
    readonly startTimeout?: number | undefined;
    /**
     * Process-wide. `'serial'`: while a handler's promise is pending, the next event of *that*
     * connection waits. `'concurrent'`: it does not wait, so async handlers of one connection
     * overlap. @default 'serial'
     */
    readonly handlers?: 'serial' | 'concurrent' | undefined;
    /**
     * Process-wide. How long an async handler may take, 0 to 2^31-1. After that `onError` is called
     * (`ERR_WSBROKER_HANDLER_TIMEOUT`) and the next event of the connection is handled; a connection
     * that waits for `handleOpen` is refused with 503. With `handlers: 'concurrent'`, where nothing
     * else waits, it applies to `handleOpen` alone. 0: no limit. @default 30000
     */
    readonly handlerTimeout?: number | undefined;
    /**
     * Process-wide. What is done about workers that do not return to their event loop, because a
     * handler runs for too long. @default { after: 1000, action: 'report' }
     */
    readonly watchdog?: Watchdog | undefined;
    /**
     * Process-wide. How many threads do input and output, 1 to 1024.
     * @default half the number of CPU cores, at least 1
     */
    readonly ioThreads?: number | undefined;
    /**
     * The paths to serve, such as `'/chat'` or `['/chat', '/feed']`. They must match exactly; other
     * paths get 404. `'*'` is every path. Servers may share an address if their paths differ. `[]`,
     * with `answers` or `http`, is an address without sockets, which needs no worker.
     * @default '*'
     */
    readonly path?: string | readonly string[] | undefined;
    /**
     * Of the address. Responses to plain GET and HEAD requests, by exact path; other methods get 405.
     * They are given without asking JavaScript, so also while workers load, hang or are missing.
     * `'health'`: 200 as long as the process runs. `'ready'`: 200 if sockets can be opened, otherwise
     * 503 with the reasons as JSON: `starting`, `noWorker`, `workersFail`, `shuttingDown`,
     * `draining`, `bus`, `setReady` ({@link setReady}). `'metrics'`: what {@link metrics} returns, as
     * OpenMetrics if the request's `Accept` prefers that. 64 connections above `maxConnections` may
     * get such responses. A path that is named in `path` is refused with
     * ERR_WSBROKER_INVALID_ARG_VALUE.
     *
     * With `answers` or `http`, connections are accepted while the workers load. Upgrades wait for
     * them within `openTimeout`, and then get 503. Only the first server of an address can set them;
     * for a later one `start` rejects with ERR_WSBROKER_CONFLICT. They end with that server. @default
     * no responses
     */
    readonly answers?: Readonly<Record<string, 'health' | 'ready' | 'metrics' | FixedAnswer>> | undefined;
    /**
     * Of the address. Where all other plain requests go: a server of `node:http` that does not listen
     * yet, a request listener, or the address of a server. A server or listener is served on a
     * private Unix socket (on Windows, a port of the loopback), on the thread that calls `start`.
     * `req.socket.remoteAddress`, `remotePort` and `encrypted` are the client's. The server is closed
     * when this one is, and when {@link shutdown} is called. Requests get `X-Forwarded-For`,
     * `X-Forwarded-Proto` and `X-Forwarded-Host`; those of the client are removed, except that a
     * proxy in `trustProxy` is believed. @default 426 on the paths of `path`, 404 on others
     */
    readonly http?: HttpServer | HttpRequestListener | HttpForward | undefined;
    /**
     * Of the address; requires `http`. Which upgrades to WebSocket go to it, too, unless they are to
     * a path of `path`: `true` for all, or exact paths. @default false, so that they get 404
     */
    readonly forwardUpgrades?: boolean | readonly string[] | undefined;
    /**
     * Of the address; requires `http` or `answers`. How long a connection may wait for its next
     * request, 1 to 2^31-1. Choose more than the load balancer in front does. @default 75000
     */
    readonly keepAliveTimeout?: number | undefined;
    /**
     * Of the address; requires `http`. How long a body may make no progress, in either direction, 1
     * to 2^31-1. Then the request gets 408, or its connection is cut. So does a client that is waited
     * for and moves less than 1 KiB per second, on average over this time and over 30 s at least.
     * Server-sent events need a comment within this time. After {@link Server.close} requests in hand
     * have this long to end. @default 60000
     */
    readonly requestTimeout?: number | undefined;
    /**
     * Of the address; requires `http`. How long the server may take from the end of a request to the
     * head of its response, 1 to 2^31-1. Then the client gets 504. @default 60000
     */
    readonly forwardTimeout?: number | undefined;
    /**
     * Subprotocols, best first. The first one that the client also offers is selected, unless
     * `handleOpen` selects another. A client that offers none of them is accepted without a
     * subprotocol; browsers then fail the connection themselves. @default no subprotocols
     */
    readonly protocols?: readonly string[] | undefined;
    /**
     * The largest message, after decompression, 1 to 536,870,888 (the length of the longest string).
     * A larger one closes its connection with 1009. @default 1 MiB
     */
    readonly maxPayload?: number | undefined;
    /**
     * Of the address. How long a client may take from connecting until its whole request has come,
     * including a PROXY header and the TLS handshake, 1 to 2^31-1. After that the connection is cut.
     * @default 10000
     */
    readonly handshakeTimeout?: number | undefined;
    /**
     * How long `handleOpen` may take to decide, 1 to 2^31-1. After that the connection is refused
     * with 503. @default 10000
     */
    readonly openTimeout?: number | undefined;
    /**
     * Process-wide. How many connections may be between connecting and their 101 at once, 1 to
     * 2^31-1. Any more are refused with 503. @default 4096
     */
    readonly maxPendingUpgrades?: number | undefined;
    /**
     * Process-wide. How many connections there may be on all servers, counted from connecting to
     * their end, 1 to 2^31-1. Any more are refused with 503. @default no limit
     */
    readonly maxConnections?: number | undefined;
    /**
     * Process-wide. How many connections there may be from one address, 1 to 2^31-1; for IPv6, from
     * one /64, which is what one customer usually has. Any more are refused with 429. Behind a proxy,
     * set `trustProxy` or `proxyProtocol`; otherwise all clients share one address.
     * @default no limit
     */
    readonly maxConnectionsPerIp?: number | undefined;
    /**
     * Process-wide. How many channels one socket may be in, 1 to 2^31-1. Beyond that
     * {@link subscribe} throws `ERR_WSBROKER_LIMIT`, and a verdict with more channels is refused with
     * 500. @default no limit
     */
    readonly maxChannelsPerSocket?: number | undefined;
    /**
     * Process-wide. The longest name of a channel, in bytes, 1 to 2^31-1. A longer name has the same
     * consequences as too many channels (`maxChannelsPerSocket`). @default no limit
     */
    readonly maxChannelNameLength?: number | undefined;
    /**
     * Values of the `Origin` header (RFC 6454) that are accepted, for servers that browsers reach
     * with cookies: `'https://app.example'`, `'https://*.app.example'` (any name below it), `'null'`,
     * or `'*'`. Other origins get 403. A request without `Origin` is accepted: it does not come from
     * a browser. @default all origins
     */
    readonly origins?: string | readonly string[] | undefined;
    /**
     * Of the address. Proxies in front of the server. The client's address that they report becomes
     * `ip`. @default no proxy is trusted
     */
    readonly trustProxy?: TrustProxy | undefined;
    /**
     * Of the address. Whether every connection must begin with a header of the PROXY protocol,
     * version 1 or 2, whose address becomes `ip`; a connection without one is cut. Anyone who can
     * connect is trusted, unless `trustProxy.from` names the proxies: then connections from elsewhere
     * are cut. @default false
     */
    readonly proxyProtocol?: boolean | undefined;
    /**
     * Of the address. Whether other processes may listen on the same TCP port (`SO_REUSEPORT`); the
     * system distributes the connections. {@link start} rejects with `ERR_WSBROKER_UNSUPPORTED` where
     * the system cannot do that, and for Unix sockets, which belong to one process. @default false
     */
    readonly reusePort?: boolean | undefined;
    /**
     * Whether and how messages are compressed (RFC 7692) for clients that offer it. Compression costs
     * CPU time for every message, and can betray a secret that shares a message with data an attacker
     * chose (see docs/guide/compression.md). @default false
     */
    readonly perMessageDeflate?: boolean | PerMessageDeflate | undefined;
    /**
     * Of the address. Encryption: the server then speaks only `wss://`. A connection whose handshake
     * fails is cut; plain HTTP gets 400. @default no encryption
     */
    readonly tls?: TlsOptions | undefined;
    /**
     * Of the address. The largest head of a request, 256 to 1,048,576; there may be at most 100
     * headers. A larger one gets 431. @default 16 KiB
     */
    readonly maxHeaderSize?: number | undefined;
    /**
     * How long a connection may be silent before it is cut (`handleClose` gets 1006), 0 to 2^31-1.
     * Anything the client sends ends the silence. So does any byte sent to it that its system
     * acknowledges, except those of pings: a slow download is not silent. Time during which we pause
     * reading does not count. 0: no limit. @default 120000
     */
    readonly idleTimeout?: number | undefined;
    /**
     * Whether the server sends pings, so that only dead connections are cut, and proxies see that the
     * others are alive. @default true
     */
    readonly pings?: boolean | undefined;
    /**
     * A ping is sent when no byte has come in, or none has gone out, for this long or for half of
     * `idleTimeout`, whichever is less, 0 to 2^31-1. It overtakes data that waits to be sent. Choose
     * less than what the proxies in between allow; nginx and AWS allow 60,000. 0: no pings.
     * @default 25000
     */
    readonly pingInterval?: number | undefined;
    /**
     * How long closing may make no progress before the connection is cut, 1 to 2^31-1. What was sent
     * before `close`, `server.close()`, `shutdown` or the client's own close goes out first, as long
     * as the client takes some of it within this time, and on average 1 KiB a second over 30 s. Once
     * our close frame has been sent, the client has this time to end the connection. If the client
     * closes first, our close frame waits at most this long for its handlers to finish. Closing
     * because of an error or a limit has this time in total. @default 5000
     */
    readonly closeTimeout?: number | undefined;
    /**
     * How many bytes may wait to be sent to one socket, 1 to 2^31-1. A message is queued whole if
     * less than this is waiting; `overflow` says what happens to the next. Of a channel with history
     * less waits: its subscribers fall behind, and are sent the rest from there, when three quarters
     * of this are waiting, or 128 KiB if that is less. @default 1 MiB
     */
    readonly maxBackpressure?: number | undefined;
    /**
     * What happens to a socket over `maxBackpressure`. `'close'`: it is closed with 1013.
     * `'dropNewest'`: what is sent to it is dropped until it has room. `'dropOldest'`: the messages
     * that have waited longest are dropped, whole, until the new one has room. What channels with
     * history send is not concerned. @default 'close'
     */
    readonly overflow?: 'close' | 'dropNewest' | 'dropOldest' | undefined;
    /**
     * How long a connection may live, counted from its 101, 0 to 2^31-1. Then it is closed with 1012.
     * Each connection gets between 90 and 100 % of this time, so that clients that connected together
     * do not reconnect together. 0: no limit. @default 0
     */
    readonly maxLifetime?: number | undefined;
    /** How much one socket may send. @default no limit */
    readonly rateLimit?: RateLimit | undefined;
    /**
     * Process-wide. How many bytes may wait to be sent in total, 1 to 2^53-1, including the responses
     * with which `handleOpen` refuses connections. A sixteenth is a reserve. Once the rest is used
     * up, the slowest sockets are closed with 1013. `send` returns 0 for them and for others that
     * have much waiting. Sockets that have little waiting (16 KiB, or their share of half the
     * reserve) still get messages. A refusal that finds no room is not sent: its connection is cut.
     * @default a quarter of the memory (the cgroup's limit, otherwise RAM)
     */
    readonly maxSendMemory?: number | undefined;
    /**
     * Process-wide. How many bytes unfinished incoming messages may hold in total, 1 to 2^53-1. At
     * the limit, the connection with the largest one is closed with 1013.
     * @default a quarter of the memory
     */
    readonly maxReceiveMemory?: number | undefined;
    /**
     * Process-wide. Channels with a history: what is published to them is numbered and kept, so that
     * a client that comes back gets what it has missed, by {@link recover}. The first entry that
     * matches a channel's name counts. With `cluster`, Redis numbers and keeps them for all
     * instances, which have to have the same histories. @default no channel
     */
    readonly history?: readonly HistoryOptions[] | undefined;
    /**
     * Process-wide. How many bytes all histories may take in total, 1 to 2^53-1: messages with what
     * manages them, their compressed forms, ids, and the channels themselves. At the limit the
     * channels that have not been used for the longest time lose their messages. An eighth of it is
     * for channels of which only the position is left. @default an eighth of the memory
     */
    readonly maxHistoryMemory?: number | undefined;
    /**
     * Process-wide. Limits on messages that handlers have not finished.
     * @default those of {@link MaxInFlight}
     */
    readonly maxInFlight?: MaxInFlight | undefined;
    /**
     * Called, on the thread that called `start`, when a worker thread starts or ends, when its
     * replacement fails, and when it is stuck. Without it, workers that died, failed or are stuck are
     * reported on stderr. If several calls of `start` give a function, all of them are called.
     * @default a report on stderr
     */
    readonly onWorker?: ((event: WorkerEvent) => void) | undefined;
    /**
     * Joins other instances, so that {@link sendToChannel} reaches their subscribers, too. Once per
     * process, as {@link joinCluster} does. @default this instance alone
     */
    readonly cluster?: ClusterOptions | undefined;
    /**
     * Ends what the call has begun. If it is aborted before {@link start} resolves, everything is
     * undone and `start` rejects with the signal's reason. If it is aborted later, the server is
     * closed, as by `server.close()`. @default no signal
     */
    readonly signal?: AbortSignal | undefined;
}
