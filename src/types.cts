import type { AbortSignal, AsyncDisposes, Buffer, URL } from './ambient.cjs';

/** What can be sent: a string travels as a text frame, bytes as a binary one. As the name of a channel it is compared as bytes. */
export type Data = string | ArrayBuffer | Uint8Array;

/** 1: queued. -1: queued, but the socket is over its limit ({@link StartOptions.maxBackpressure}). 0: dropped, or the socket is gone. */
export type SendResult = 1 | 0 | -1;

/** Headers of an answer: an object, or pairs as in a `Headers` or `Map`. Values are printable ASCII. */
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
  /** Whether the connection is encrypted here ({@link StartOptions.tls}). Encryption that a proxy ends does not count. */
  readonly secure: boolean;
  /** The client's certificate, where {@link TlsOptions.requestCert} asks for one and the client has one. */
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
  /** Whether it is valid and comes from one of {@link TlsOptions.ca}. Only without {@link TlsOptions.rejectUnauthorized} can it be `false`: then anyone may have made it. */
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
  /** Subscribed as {@link subscribeMany} would. More than it may be in, or too long a name: reported to `onError` (`ERR_WSBROKER_LIMIT`), and refused with 500. */
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
 * What `handleOpen` decides. `true`, nothing, or an {@link AcceptVerdict}: 101. `false`: 403. A {@link RejectVerdict}: its own answer. Any other
 * value (`null`, `0`, `''`, a string, an object with keys that mean nothing here) is reported and answered with 500: nothing fails open.
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
export type HandlerName =
  | 'handleOpen'
  | 'handleTextMessage'
  | 'handleBinaryMessage'
  | 'handleClose'
  | 'handleDrain'
  | 'handleStart'
  | 'handleStop';

/**
 * What a worker module exports, by name or as its default export, and what {@link registerWorkerThread} takes. Every handler is optional, and may be
 * async. What a message handler returns is not looked at, except that a promise (or any thenable) is waited for: see {@link StartOptions.handlers}.
 *
 * A throw or a rejection goes to `onError` and never further: neither the connection nor the worker ends of it.
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
   * Decides over a connection; without it all are accepted. The id is valid already: what is sent, subscribed or set here takes effect with the 101
   * answer, in order, and is undone if the connection is refused or lost.
   *
   * A throw or a rejection refuses with 403, no verdict within {@link StartOptions.openTimeout} with 503.
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
   * @param token what {@link setToken} set, as a `Buffer`, `undefined` before. The same `Buffer` for every event until the token changes: copy it before
   * you change it
   */
  handleTextMessage?(text: string, socketId: number, token?: Buffer): unknown;

  /**
   * A binary message.
   *
   * @param bytes belongs to the handler, which may keep and change it. A small message lies in one `ArrayBuffer` with others that came with it: kept for long it holds
   * their memory, and `bytes.buffer` cannot be transferred to another thread. `new Uint8Array(bytes)` makes a copy of its own
   */
  handleBinaryMessage?(bytes: Buffer, socketId: number, token?: Buffer): unknown;

  /**
   * Once for each connection that was accepted, after its last message.
   *
   * @param code the close code: the peer's, ours, 1005 if the peer gave none, 1006 if the connection was lost
   * @param reason the close reason, often ''
   */
  handleClose?(socketId: number, token: Buffer | undefined, code: number, reason: string): unknown;

  /** A socket that was over {@link StartOptions.maxBackpressure} is at or below half of it again. */
  handleDrain?(socketId: number, token?: Buffer): unknown;

  /** Before this worker's first event; awaited. A throw or a rejection is a worker that failed to load: it rejects {@link start}. */
  handleStart?(): unknown;

  /** After this worker's last event, while {@link shutdown} waits for it. */
  handleStop?(): unknown;

  /**
   * Told of every error of the other handlers, exactly once, and of handlers that take longer than {@link StartOptions.handlerTimeout}: first that they do, and if they fail in the end, of their
   * error, too. By default the error goes to stderr with its stack.
   *
   * @param error what was thrown, which need not be an `Error`
   */
  onError?(error: unknown, context: ErrorContext): unknown;
}

/** Told to {@link StartOptions.onWorker}. */
export interface WorkerEvent {
  /**
   * `started`: takes connections from now on. `died`: ended though nobody asked it to; its connections stay open and move to others, and a new worker is on its
   * way. `failed`: a replacement did not load; the next try follows. `stuck`: something has waited for it for a second, and it has taken nothing in that time; a handler that
   * does not return is the usual cause. New connections go to other workers until it takes something again. Told once each time, also about workers on threads of your own. `stopped`: ended because of {@link shutdown}.
   */
  readonly type: 'started' | 'died' | 'failed' | 'stuck' | 'stopped';
  /** The thread's `threadId`, as `node:worker_threads` counts. */
  readonly workerId: number;
  /** With `died`, `failed` and `stuck`: why. */
  readonly reason?: Error;
  /**
   * With `died`: the number of its server helpers' clients for which no `clientDisconnectedFn` could be called, since there was no other helper of the same identifier.
   * Absent when there are none.
   */
  readonly untoldClients?: number;
}

/** What the threads of the pool are started with, as `Worker` of `node:worker_threads` takes it. */
export interface ThreadOptions {
  /** What the worker module gets as `workerData` of `node:worker_threads`, cloned when `start` is called, and again for each thread (a `SharedArrayBuffer` is shared). Default `{}`. */
  readonly workerData?: unknown;
  /** `process.env` of the threads, to which `WSBROKER_BINARY` is added if this process has it; `SHARE_ENV` of `node:worker_threads` shares the environment of the thread that calls `start`. Default: a copy of it. */
  readonly env?: Readonly<Record<string, string | undefined>> | symbol | undefined;
  /** Node flags for the threads, such as `['--no-warnings']`; Bun ignores most of them. Default: those of the process. */
  readonly execArgv?: readonly string[] | undefined;
  /** Limits on the memory of each thread, in MiB. A worker that exceeds them ends, and is replaced. Bun ignores them. Default: Node's. */
  readonly resourceLimits?: ThreadLimits | undefined;
  /** The threads' name in debuggers and similar tools. Node 18.16 and later. Default: ''. */
  readonly name?: string | undefined;
}

/** In MiB, each above 0. */
export interface ThreadLimits {
  /** The heap of long-lived objects. */
  readonly maxOldGenerationSizeMb?: number | undefined;
  /** The heap of new objects. */
  readonly maxYoungGenerationSizeMb?: number | undefined;
  /** Memory for compiled code. */
  readonly codeRangeSizeMb?: number | undefined;
  /** The stack. If it is too small, the process ends. Node's default is 4. */
  readonly stackSizeMb?: number | undefined;
}

/** Limits on what is on its way to handlers. At a limit, its sockets are no longer read, and TCP pushes back. */
export interface MaxInFlight {
  /** Messages of one socket, 1 to 2^31-1. Default 256. */
  readonly messages?: number | undefined;
  /** Bytes of one socket's messages, 128 counted on top of each. Default 1 MiB. A larger message passes when nothing else is on its way. */
  readonly bytes?: number | undefined;
  /** Bytes of one worker's messages, counted alike. Default 16 MiB. */
  readonly workerBytes?: number | undefined;
}

/** How much one socket may send, on average over time. At least one of `messages` and `bytes` is given. */
export interface RateLimit {
  /** Messages a second, 1 to 2^31-1; pings and pongs count too. Default: unlimited. */
  readonly messages?: number | undefined;
  /** Bytes of messages a second, at least 1. Default: unlimited. */
  readonly bytes?: number | undefined;
  /**
   * How many messages may come at once, 1 to 2^31-1, and bytes in proportion (`bytes * burst / messages`); without `messages` it is a number of bytes. Default: one second's worth.
   */
  readonly burst?: number | undefined;
  /** What happens above the limit. `'pause'`, the default: the socket is not read until it is below again, TCP pushes back, and nothing is lost, except that a client that ends its side meanwhile is still read for `closeTimeout` at most. `'close'`: the socket is closed with 1008. */
  readonly action?: 'pause' | 'close' | undefined;
}

/** Which proxies are believed about their clients' addresses. */
export interface TrustProxy {
  /**
   * The proxies: addresses and networks such as `'10.0.0.0/8'` or `'fd00::/8'`, and `'unix'` for everything that connects through a Unix socket. What a client itself writes into the header is not
   * believed: the rightmost address in it that belongs to no proxy is the client's.
   */
  readonly from: string | readonly string[];
  /** The one header they write it to: `'x-forwarded-for'`, the default, or `'forwarded'` (RFC 7239). No other is looked at. */
  readonly header?: 'x-forwarded-for' | 'forwarded' | undefined;
}

/** How messages are compressed (RFC 7692). */
export interface PerMessageDeflate {
  /** Bytes of payload from which on a message is compressed, 0 to 2^31-1. Default 1,024: below, it costs more than it brings. */
  readonly threshold?: number | undefined;
  /** 1 (fastest) to 9 (smallest). Default 3. */
  readonly level?: number | undefined;
}

/**
 * PEM, or where it is: a string with `-----BEGIN` in it is PEM itself, any other string the path of a file (absolute, relative to `process.cwd()`, or a `file:` URL); bytes are those of PEM.
 */
export type PemSource = string | URL | ArrayBuffer | Uint8Array;

/** What connections are encrypted with: TLS 1.2 and 1.3. */
export interface TlsOptions {
  /** The certificate, followed by those between it and the authority. With a list a client gets the first one for the name it asks for (SNI; wildcards count), or else the first of all. */
  readonly cert: PemSource | readonly PemSource[];
  /** The certificate's private key, in PKCS #8, PKCS #1 or SEC 1, not encrypted; with a list, one for each. */
  readonly key: PemSource | readonly PemSource[];
  /** The authorities that clients' certificates must come from. Needed with `requestCert`, and of no use without. */
  readonly ca?: PemSource | readonly PemSource[] | undefined;
  /** Whether clients are asked for a certificate: {@link OpenRequest.clientCertificate}. Default `false`. */
  readonly requestCert?: boolean | undefined;
  /** With `requestCert`: whether a client without a certificate, or with one that `ca` does not vouch for, fails the handshake. Default `true`. */
  readonly rejectUnauthorized?: boolean | undefined;
  /** The oldest version that is spoken. Default `'TLSv1.2'`. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
}

/**
 * What {@link start} takes. Durations are milliseconds, sizes are bytes, all of them integers; an option that is `undefined` counts as absent.
 *
 * *Process-wide* options hold for everything in this process: a later call may leave them out, and fails with `ERR_WSBROKER_CONFLICT` if it gives another value. Those *of the address* must be
 * the same for all servers that share one. The others belong to the one server.
 */
export interface StartOptions {
  /** Where to listen: `'host:port'`, `'[v6]:port'`, port 0 for any free one, or `'unix:/path'`. Beside the file of a Unix socket there is a lock file, `/path.lock`, which guards it against other processes and stays when the server ends. */
  readonly bind: string;

  /**
   * The module with the handlers ({@link WorkerInterface}): absolute, relative to `process.cwd()`, or a `file:` URL. CommonJS, ESM, and TypeScript where
   * the runtime takes it. Without it at least one worker must be registered already.
   */
  readonly workerPath?: string | URL | undefined;

  /**
   * Process-wide. How many worker threads to start, 0 to 1024. 0: none, the module is registered on the calling thread. Default: the number of CPU cores, at
   * least 4.
   */
  readonly threads?: number | undefined;

  /** Process-wide. What the worker threads are started with: `workerData`, `env`, `execArgv`, `resourceLimits`, `name`. Needs `workerPath`; not allowed with `threads: 0`. Default: nothing. */
  readonly worker?: ThreadOptions | undefined;

  /**
   * How long a worker may take to load its module, top-level `await`s included, 0 to 2^31-1. After that {@link start} rejects with `ERR_WSBROKER_WORKER_FAILED`, which names the module, and a replacement counts as failed. `handleStart` is
   * not included. With `threads: 0`, code that does not return cannot be interrupted. Applies to the workers that this call starts. 0 = no limit. Default 30,000.
   */
  readonly startTimeout?: number | undefined;

  /**
   * Process-wide. `'serial'`, the default: while a handler's promise is pending, the next event of *that* connection waits. `'concurrent'`: it does not, so
   * that async handlers of one connection overlap.
   */
  readonly handlers?: 'serial' | 'concurrent' | undefined;

  /**
   * Process-wide. How long an async handler may take while others wait for it. Then `onError` is told (`ERR_WSBROKER_HANDLER_TIMEOUT`) and the connection's
   * next event goes on; a `handleOpen` is answered with 503. 0 = no limit. Default 30,000.
   */
  readonly handlerTimeout?: number | undefined;

  /** Process-wide. Threads that do input and output, 1 to 1024. Default: half the CPU cores, at least 1. */
  readonly ioThreads?: number | undefined;

  /**
   * The paths to serve, exactly, such as `'/chat'` or `['/chat', '/feed']`; others are answered with 404. `'*'`, the default, is every path. Servers may share one address if
   * their paths differ.
   */
  readonly path?: string | readonly string[] | undefined;

  /**
   * Subprotocols, best first: the first of them that the client offers too is answered, unless `handleOpen` chooses. A client that offers none of them is let in
   * without one; browsers then fail the connection themselves. Default: none.
   */
  readonly protocols?: readonly string[] | undefined;

  /** The largest message, after inflation, 1 to 536,870,888 (the longest string there is). A larger one closes its connection with 1009. Default 1 MiB. */
  readonly maxPayload?: number | undefined;

  /** Of the address. From accept to the whole request, a PROXY header and the TLS handshake included, at least 1. Then the connection is cut. Default 10,000. */
  readonly handshakeTimeout?: number | undefined;

  /** For `handleOpen` to decide, at least 1. Then the answer is 503. Default 10,000. */
  readonly openTimeout?: number | undefined;

  /** Process-wide. Connections that may be between accept and 101 at once, at least 1. Any more are answered with 503. Default 4,096. */
  readonly maxPendingUpgrades?: number | undefined;

  /** Process-wide. Connections at once, from accept to their end, on all servers, 1 to 2^31-1. Any more are answered with 503. Default: no limit. */
  readonly maxConnections?: number | undefined;

  /**
   * Process-wide. Connections at once from one address (of IPv6 from one /64, which is what one customer has), 1 to 2^31-1. Any more are answered with 429. Behind a proxy, tell
   * `trustProxy` or `proxyProtocol`, or all clients share one address. Default: no limit.
   */
  readonly maxConnectionsPerIp?: number | undefined;

  /** Process-wide. Channels that one socket may be in, 1 to 2^31-1. Beyond, {@link subscribe} throws `ERR_WSBROKER_LIMIT`, and a verdict with more is refused with 500. Default: no limit. */
  readonly maxChannelsPerSocket?: number | undefined;

  /** Process-wide. Bytes of a channel's name, 1 to 2^31-1. A longer one as with `maxChannelsPerSocket`. Default: no limit. */
  readonly maxChannelNameLength?: number | undefined;

  /**
   * Values of the `Origin` header that are let in (RFC 6454), for servers that browsers reach with cookies: `'https://app.example'`, `'https://*.app.example'` (any name below it), `'null'`, or `'*'`.
   * Others are answered with 403. A request without `Origin` is let in: it comes from no browser. Default: all.
   */
  readonly origins?: string | readonly string[] | undefined;

  /** Of the address. Proxies in front of the server: their word about a client's address becomes `ip`. Default: none is believed. */
  readonly trustProxy?: TrustProxy | undefined;

  /**
   * Of the address. Every connection begins with a header of the PROXY protocol, version 1 or 2, whose address becomes `ip`; one without is cut. Anyone who can connect is believed, unless
   * `trustProxy.from` names the proxies: then connections from elsewhere are cut. Default `false`.
   */
  readonly proxyProtocol?: boolean | undefined;

  /** Of the address. Other processes may listen on the same TCP port (`SO_REUSEPORT`), and the system shares out the connections. Rejects with `ERR_WSBROKER_UNSUPPORTED` where the system cannot do that, and for Unix sockets, which belong to one process. Default `false`. */
  readonly reusePort?: boolean | undefined;

  /**
   * Compression of messages (RFC 7692), with clients that offer it. It costs CPU time for every message, and can betray secrets that stand in one message with what an attacker chose
   * (see docs/guide/compression.md). Default `false`.
   */
  readonly perMessageDeflate?: boolean | PerMessageDeflate | undefined;

  /** Of the address. Encryption: the server speaks `wss://` alone. A handshake that fails is cut; plain HTTP is answered with 400. Default: none. */
  readonly tls?: TlsOptions | undefined;

  /** Of the address. The request's head, 256 to 1 MiB, and at most 100 headers. A larger one is answered with 431. Default 16 KiB. */
  readonly maxHeaderSize?: number | undefined;

  /**
   * How long a connection may be silent before it is cut (`handleClose` sees 1006). Anything that the client sends ends the silence. So does any byte sent to it that its
   * system acknowledges, pings aside: a slow download is not silent. The clock stops while we pause reading. 0 = no limit. Default 120,000.
   */
  readonly idleTimeout?: number | undefined;

  /** Whether pings are sent, so that only dead connections are cut, and proxies see that the others are alive. Default `true`. */
  readonly pings?: boolean | undefined;

  /**
   * A ping is sent when no byte has come in, or none has gone out, for this long or for half of `idleTimeout`, whichever is less. It goes ahead of what waits to be sent. Choose a value below
   * what the proxies on the way allow; nginx and AWS allow 60,000. 0 = no pings. Default 25,000.
   */
  readonly pingInterval?: number | undefined;

  /**
   * How long a closing may make no progress before the connection is cut, at least 1. What was sent before `close`, `server.close()`, `shutdown` or the client's own close goes out first, as
   * long as the client takes some of it within this time, and 1 KiB a second on average over 30 s. Once our close frame has been sent, the client has this time to end the connection. If the
   * client closes first, our close frame waits at most this long for handlers at work. A closing because of an error or a limit has this time in total. Default 5,000.
   */
  readonly closeTimeout?: number | undefined;

  /** What may wait to be sent to one socket, at least 1. A message that finds less waiting is queued whole; `overflow` says what happens to the next. Default 1 MiB. */
  readonly maxBackpressure?: number | undefined;

  /**
   * For a socket over `maxBackpressure`: `'close'` it with 1013, the default; `'dropNewest'`: drop what is sent to it until it has room; `'dropOldest'`: drop what has waited longest, whole
   * messages, until the new one has room.
   */
  readonly overflow?: 'close' | 'dropNewest' | 'dropOldest' | undefined;

  /**
   * How long a connection may live from its 101 on. Then it is closed with 1012. Each gets a time between 90 and 100 % of it, so that those who came together do not come back
   * together. 0 = for ever. Default 0.
   */
  readonly maxLifetime?: number | undefined;

  /** How much one socket may send. Default: no limit. */
  readonly rateLimit?: RateLimit | undefined;

  /** Process-wide, in bytes. Everything that waits to be sent, the answers that `handleOpen` gives to refused connections included. A sixteenth of it is a reserve. Once the rest is used up, the slowest sockets are closed with 1013, `send` returns 0 for them and others that have much waiting, and sockets that have little waiting (16 KiB, or their share of half the reserve) are still sent to. A refusal for which there is no room is not sent: its connection is cut. Default: a quarter of memory (the cgroup's limit, else RAM). */
  readonly maxSendMemory?: number | undefined;

  /** Process-wide. All incoming messages that are unfinished. At the limit, the connection with the largest one is closed with 1013. Default: a quarter of memory. */
  readonly maxReceiveMemory?: number | undefined;

  /** Process-wide. Limits on what is on its way to handlers. */
  readonly maxInFlight?: MaxInFlight | undefined;

  /**
   * Called, on the thread that called `start`, when a worker thread starts, ends, fails to be replaced, or is stuck. Without it, workers that died, failed or are stuck are reported on stderr. If
   * several calls of `start` give a function, all of them are called.
   */
  readonly onWorker?: ((event: WorkerEvent) => void) | undefined;

  /** Joins other instances, so that {@link sendToChannel} reaches their subscribers too. Once per process; as {@link joinCluster}. @default off */
  readonly cluster?: ClusterOptions | undefined;

  /**
   * Ends what the call has begun. Aborted before {@link start} resolves, it undoes everything, and `start` rejects with the signal's reason; aborted later, it closes the server, as `server.close()` does. Default: none.
   */
  readonly signal?: AbortSignal | undefined;
}

/** A server of a Redis Cluster, or a Sentinel. */
export interface RedisNode {
  /** A name or an IP address. */
  readonly host: string;
  /** The port it listens on. @default 6379, and 26379 for a Sentinel */
  readonly port?: number | undefined;
}

/** How a Redis is encrypted. */
export interface RedisTlsOptions {
  /** PEM of the authorities that the server's certificate is checked against. @default those that the system trusts */
  readonly ca?: string | Uint8Array | undefined;
  /** PEM of our certificate; together with `key`. */
  readonly cert?: string | Uint8Array | undefined;
  /** PEM. */
  readonly key?: string | Uint8Array | undefined;
  /** Whether the server's certificate must be good. @default true */
  readonly rejectUnauthorized?: boolean | undefined;
}

/** A Redis: one of `url`, `host`, `nodes` and `sentinels`, and who we are there. Redis 6 at least; a Cluster needs Redis 7, whose sharded channels it uses. */
export interface RedisOptions {
  /** `redis://[user:password@]host[:port][/db]`, or `rediss://` with encryption. */
  readonly url?: string | undefined;
  /** A name or an IP address. @default '127.0.0.1' */
  readonly host?: string | undefined;
  /** The port it listens on. @default 6379 */
  readonly port?: number | undefined;
  /** Some nodes of a Redis Cluster; they name the others. One of them must be there whenever an instance connects, so give several. */
  readonly nodes?: readonly RedisNode[] | undefined;
  /** Sentinels that watch the master called `name`. */
  readonly sentinels?: readonly RedisNode[] | undefined;
  /** The master that the Sentinels watch. */
  readonly name?: string | undefined;
  /** The user of Redis's ACL. Default: Redis's own, `default`. */
  readonly username?: string | undefined;
  /** The user's password. Default: none. */
  readonly password?: string | undefined;
  /** The number of the database. It does not separate channels; `prefix` does. @default 0 */
  readonly db?: number | undefined;
  /** How long connecting may take, in ms, 1 to 2^31-1. @default 2000 */
  readonly connectTimeout?: number | undefined;
  /** Whether the connection is encrypted, and how. @default false */
  readonly tls?: boolean | RedisTlsOptions | undefined;
}

/**
 * What the bus reports. A loss is never hidden.
 *
 * `ready`: connected, and every channel with subscribers here is listened to. `lost`: the connection is gone, or leads to a replica; attempts to
 * reconnect go on until one succeeds, and local subscribers are served all the while. `lost` is reported once for each reason, eight times at most, until the bus is ready: `reason` says what
 * keeps the bus from coming back, such as a wrong password or certificate. `warning`: the bus works, but messages may not get where they should; `reason` says why. `gap`:
 * messages are missing. With `channel`, they are messages that other instances sent to it and that did not arrive here. Without `channel`, they are messages of this instance that did
 * not leave, since too many waited, the bus was lost, or Redis refused them. Messages that were under way when the bus was lost count too, though some may have arrived; so do those that a Redis
 * took when it may already have been a replica. `gaps`: messages of other instances to more than 100 channels are missing at once; `count` is the number of channels, `missed` that of messages. `channels`
 * names at most 10,000 (1 MiB of names); if `count` is greater, treat every channel as affected.
 *
 * While the thread is busy, gaps in one channel are added up, so that the events waiting for it are bounded.
 */
export type BusEvent =
  | { readonly state: 'ready' }
  | { readonly state: 'lost'; readonly reason: string }
  | { readonly state: 'warning'; readonly reason: string }
  | { readonly state: 'gap'; readonly channel?: string | Buffer; readonly missed: number }
  | { readonly state: 'gaps'; readonly count: number; readonly missed: number; readonly channels: Iterable<string | Buffer> };

/** How instances meet. The process has one bus. */
export interface ClusterOptions {
  /** A `redis://` or `rediss://` URL, or options. */
  readonly redis: string | RedisOptions;
  /** What names on the bus begin with; instances with another prefix do not hear each other. 1 to 256 bytes. @default 'wsbroker' */
  readonly prefix?: string | undefined;
  /** What this instance is called where instances are listed. 1 to 256 bytes. @default a random one */
  readonly instanceId?: string | undefined;
  /** Whether `start` waits for Redis, and rejects (ERR_WSBROKER_BUS_LOST) if it is not there within 10 s. @default false */
  readonly required?: boolean | undefined;
  /** Bytes that may wait to be published, 1 to 2^31-1; anything beyond is dropped, and reported as a gap. @default 8 MiB */
  readonly maxOutgoing?: number | undefined;
  /** Called for every change, gap and warning, on the thread that joined. */
  readonly onBus?: ((event: BusEvent) => void) | undefined;
}

/** Subscribers of a channel on all instances. */
export interface ClusterCount {
  /** On this instance and on those that have answered. */
  readonly count: number;
  /** Instances that have not answered in time, by their {@link ClusterOptions.instanceId}. */
  readonly missing: readonly string[];
}

/** The bus, in {@link Stats}. Totals since the process joined. */
export interface BusStats {
  /** `ready`: connected to Redis, and every channel with subscribers here is listened to. `lost`: not so; `reason` says why. */
  readonly state: 'ready' | 'lost';
  /** Why it is lost; or, while it is ready, why Redis has refused a message since then, if it has. As in {@link BusEvent}: one line of 300 characters at most, never a password. */
  readonly reason?: string;
  /** Other instances that were heard of in the last 16 s. */
  readonly instances: number;
  /** Those of them that this instance hears but that do not hear it: they are on another server of what should be one Redis. Should be 0. */
  readonly deaf: number;
  /** Channels that are listened to. */
  readonly channels: number;
  /** Messages of this instance that were handed to Redis. */
  readonly published: number;
  /** Messages of this instance that were not handed to Redis: too many waited, or the bus was lost. */
  readonly dropped: number;
  /** Messages of this instance that Redis refused. */
  readonly refused: number;
  /** Messages of this instance that Redis was given and had not answered when the bus was lost, or had answered when it may already have been a replica: they may have arrived or not. */
  readonly unanswered: number;
  /** Messages of others that arrived. */
  readonly received: number;
  /** Messages of others that are known to be missing. */
  readonly missed: number;
  /** Messages on the bus that could not be read. */
  readonly invalid: number;
  /** Times that the connection was lost, or not there at first. */
  readonly losses: number;
  /** Bytes that wait to be published. */
  readonly waiting: number;
}

/** A listening server: what {@link start} resolves to. `await using server = await start(…)` ends with {@link Server.close}. */
export interface Server extends AsyncDisposes {
  /** The address it is bound to: an IP address, or the path of a Unix socket. */
  readonly address: string;
  /** The port it is bound to; 0 for a Unix socket. */
  readonly port: number;
  /** For a client on this machine, such as `ws://127.0.0.1:8080`; `ws+unix:/path` for a Unix socket. With TLS, `wss`. */
  readonly url: string;
  /** Stops listening here and closes this server's connections with 1001. Resolves when they are gone. Workers and other servers stay. */
  close(): Promise<void>;
  /** Lets the process end while this server listens, if nothing else keeps it alive; its connections end with it. Works on the main thread only: a `Worker` that has handlers is kept alive by them. Returns the server. */
  unref(): this;
  /** Undoes {@link Server.unref}. Returns the server. */
  ref(): this;
  /**
   * Replaces certificates and keys, for the whole address. Without `tls` the files are read again; with it, `tls` replaces what `start` was given. Later handshakes use the new ones; no
   * connection is dropped. If they are not usable, it rejects with `ERR_WSBROKER_TLS`, and the old ones stay.
   */
  reloadTls(tls?: TlsOptions): Promise<void>;
  /**
   * Replaces the settings of the bus's Redis for the whole process: a new password, another certificate authority, other servers. They are tried first, on a connection of their own: if that fails, it rejects
   * with `ERR_WSBROKER_BUS_LOST` and the reason, and everything stays as it was. Existing connections stay, unless the settings name other servers. A lost bus tries the new settings at once.
   *
   * @param redis as the option `cluster.redis` of {@link start}
   */
  reloadBus(redis: string | RedisOptions): Promise<void>;
}

/** What {@link sendToChannel} takes besides; {@link send} takes `compress` alone. */
export interface SendOptions {
  /** A socket, or several, that are left out. */
  readonly exclude?: number | readonly number[] | undefined;
  /**
   * Whether it is compressed for those who can take it. Default: if it is as long as {@link PerMessageDeflate.threshold}, and becomes shorter. `false` for what holds a secret beside something that others
   * choose. Without {@link StartOptions.perMessageDeflate} nothing is compressed.
   */
  readonly compress?: boolean | undefined;
}

/** What {@link shutdown} takes. */
export interface ShutdownOptions {
  /** The close code that connections are sent: 1000 to 1014 as far as RFC 6455 lets it be sent, or 3000 to 4999. Default 1001. */
  readonly code?: number | undefined;
  /**
   * Milliseconds after which the shutdown is over, whatever hangs, 0 to 2^31-1. Connections and handlers have most of this time to end by themselves. In the last part (two eighths, at least 200 ms, at most 1.5 s) the connections that are left are cut, each gets
   * its `handleClose` if there is a worker to run it, `handleStop` is called, and the threads end. With less than 200 it takes up to 200 ms. Default 8,000: less than the 10 s that Docker waits.
   */
  readonly timeout?: number | undefined;
}

/** What {@link shutdown} resolves to. */
export interface ShutdownReport {
  /** Connections that completed the close handshake. */
  readonly closed: number;
  /** Connections that had to be cut. */
  readonly terminated: number;
}

/** Messages and bytes, counted from the first `start` on. */
export interface Traffic {
  /** Messages that came, whether or not a handler wanted them. */
  readonly messagesIn: number;
  /** Messages that were queued for a socket; a publish counts once for each subscriber. */
  readonly messagesOut: number;
  /** Bytes of the payloads of `messagesIn`, inflated. */
  readonly bytesIn: number;
  /** Bytes of the payloads of `messagesOut`, before compression. */
  readonly bytesOut: number;
  /** Bytes read after the request: all frames whole, as they are inside of TLS. */
  readonly wireBytesIn: number;
  /** Bytes written from the 101 on, counted alike. */
  readonly wireBytesOut: number;
}

/** Connections that were turned away before their 101, by cause. */
export interface RejectCounts {
  /** 400: no well-formed request or handshake. */
  readonly badRequest: number;
  /** 403: {@link StartOptions.origins}. */
  readonly origin: number;
  /** 404: nothing is served on its {@link StartOptions.path}. */
  readonly notFound: number;
  /** 405: not a GET. */
  readonly method: number;
  /** 426: a plain HTTP request, or another version of WebSocket. */
  readonly upgradeRequired: number;
  /** 431: {@link StartOptions.maxHeaderSize}, or more than 100 headers. */
  readonly headerSize: number;
  /** 505: another version of HTTP. */
  readonly httpVersion: number;
  /** 503: {@link StartOptions.maxConnections}. */
  readonly maxConnections: number;
  /** 429: {@link StartOptions.maxConnectionsPerIp}. */
  readonly maxConnectionsPerIp: number;
  /** 503, or cut where even that many cannot be told: {@link StartOptions.maxPendingUpgrades}. */
  readonly maxPendingUpgrades: number;
  /** 503: the path has no server at the moment, or the server is closing. */
  readonly notServed: number;
  /** 503: `handleOpen` did not decide within {@link StartOptions.openTimeout}. */
  readonly openTimeout: number;
  /** 503: the worker ended with the question in hand. */
  readonly workerGone: number;
  /** What `handleOpen` answered: 403, 500, or its own. */
  readonly handler: number;
  /** Cut: {@link StartOptions.handshakeTimeout}. */
  readonly handshakeTimeout: number;
  /** Cut: the TLS handshake failed. 400: it was plain HTTP. */
  readonly tls: number;
  /** Cut: no well-formed header of the PROXY protocol ({@link StartOptions.proxyProtocol}). */
  readonly proxyProtocol: number;
  /** The client went away before its answer. */
  readonly gone: number;
}

/** Connections that ended after they were let in, by cause. */
export interface CloseCounts {
  /** The peer's close frame. */
  readonly peer: number;
  /** 1006: the peer went away without one. */
  readonly lost: number;
  /** {@link close} or {@link closeChannel}. */
  readonly application: number;
  /** {@link terminate}. */
  readonly terminated: number;
  /** {@link Server.close} or {@link shutdown}. */
  readonly shutdown: number;
  /** 1002: the peer broke the protocol. */
  readonly protocol: number;
  /** 1007: text that is not UTF-8, or compressed data that is corrupt. */
  readonly invalidPayload: number;
  /** 1009: {@link StartOptions.maxPayload}. */
  readonly maxPayload: number;
  /** 1006: {@link StartOptions.idleTimeout}. */
  readonly idleTimeout: number;
  /** Cut, since the closing made no progress for {@link StartOptions.closeTimeout}. Counted in addition to what the closing began with. */
  readonly closeTimeout: number;
  /** 1013: {@link StartOptions.maxBackpressure}. */
  readonly maxBackpressure: number;
  /** 1013: {@link StartOptions.maxSendMemory}. */
  readonly maxSendMemory: number;
  /** 1013: {@link StartOptions.maxReceiveMemory}. */
  readonly maxReceiveMemory: number;
  /** 1008: {@link StartOptions.rateLimit}. */
  readonly rateLimit: number;
  /** 1012: {@link StartOptions.maxLifetime}. */
  readonly maxLifetime: number;
  /** 1012: the worker of a server helper ended, whose connections do not move to another. */
  readonly workerEnded: number;
  /** 1006: let in by `handleOpen`, but gone before there was a 101. Such a connection does not count as opened, and is among `rejected`, too. */
  readonly beforeOpen: number;
}

/** Messages to sockets that were dropped, by cause. */
export interface DropCounts {
  /** `overflow: 'dropNewest'`. */
  readonly dropNewest: number;
  /** `overflow: 'dropOldest'`. */
  readonly dropOldest: number;
  /** {@link StartOptions.maxSendMemory} is used up. A publish counts once, or, while part of the reserve is left, once for each subscriber for which it was dropped. An answer of `handleOpen` for which there was no room counts once. */
  readonly maxSendMemory: number;
  /** The socket is gone or closing, or the message makes it close. */
  readonly gone: number;
}

/** One worker's share of the work. */
export interface WorkerStats {
  /** The thread's `threadId`, as in {@link WorkerEvent}; -1 for one that is ending. */
  readonly workerId: number;
  /** Connections that belong to it, those that wait for its `handleOpen` included. */
  readonly connections: number;
  /** Events that it was given and whose handlers have not settled. */
  readonly inFlight: number;
  /** Bytes of their messages, 128 counted on top of each: what {@link MaxInFlight} bounds. */
  readonly inFlightBytes: number;
  /** Events whose handlers have settled. */
  readonly handled: number;
}

/** One I/O thread's share of the work. */
export interface ShardStats extends Traffic {
  /** Its connections. */
  readonly connections: number;
  /** Bytes that wait to be sent. */
  readonly outboxBytes: number;
  /** Bytes that unfinished messages hold. */
  readonly receiveBytes: number;
  /** Commands (sends, publishes, closes …) that wait for it. */
  readonly commands: number;
  /** Bytes that they hold. */
  readonly commandBytes: number;
}

/** What {@link stats} returns. */
export interface Stats extends Traffic {
  /** Absent unless the process has joined others. */
  readonly bus?: BusStats;
  /** Connections between their 101 and their end, as {@link connectionCount}. */
  readonly connections: number;
  /** Channels that have subscribers. */
  readonly channels: number;
  /** Connections between accept and 101. */
  readonly pendingUpgrades: number;
  /** Connections that the system has handed over, from the first `start` on. */
  readonly accepted: number;
  /**
   * Times that the system could not hand one over, usually because the process was out of file descriptors (`EMFILE`). Waiting connections stay in the system's queue, and accepting is tried again after 50 ms, then
   * after up to 1 s. It is reported on stderr, at most once a minute for each address.
   */
  readonly acceptFailures: number;
  /** Of those, the ones that got their 101. */
  readonly opened: number;
  /** Of those, the ones that have ended. */
  readonly closed: number;
  /** Turned away before the 101, by cause. */
  readonly rejected: RejectCounts;
  /** Ended, by cause. They add up to `closed`, except that `closeTimeout` counts in addition to another cause, and those in `beforeOpen` were never opened. */
  readonly closes: CloseCounts;
  /** Messages to sockets that were dropped, by cause. */
  readonly dropped: DropCounts;
  /** Bytes that wait to be sent, what {@link StartOptions.maxSendMemory} bounds. */
  readonly sendMemory: number;
  /** Bytes that unfinished messages hold, what {@link StartOptions.maxReceiveMemory} bounds. */
  readonly receiveMemory: number;
  /** Bytes of all commands that wait for an I/O thread. */
  readonly commandBytes: number;
  /** The workers there are. */
  readonly workers: readonly WorkerStats[];
  /** The I/O threads. */
  readonly shards: readonly ShardStats[];
}
