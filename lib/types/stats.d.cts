/** The bus, in {@link Stats}. Totals count from when the process joined. */
export interface BusStats {
    /**
     * `ready`: connected to Redis, and every channel with subscribers here is listened to. `lost`:
     * not; `reason` says why.
     */
    readonly state: 'ready' | 'lost';
    /**
     * Why the bus is lost. While it is ready: why Redis has refused a message since then, if it has.
     * One line of at most 300 characters, never with a password.
     */
    readonly reason?: string;
    /** Other instances that were heard in the last 16 s. */
    readonly instances: number;
    /**
     * Those of them that this instance hears but that do not hear it: they are on another server of
     * what should be one Redis. Should be 0.
     */
    readonly deaf: number;
    /** Channels that are listened to. */
    readonly channels: number;
    /** Messages of this instance that were sent to Redis. */
    readonly published: number;
    /**
     * Messages of this instance that were not sent to Redis: too many were waiting, or the bus was
     * lost.
     */
    readonly dropped: number;
    /** Messages of this instance that Redis refused. */
    readonly refused: number;
    /**
     * Messages of this instance that may or may not have arrived: Redis had not answered when the bus
     * was lost, or had answered when it may already have been a replica.
     */
    readonly unanswered: number;
    /** Messages of other instances that arrived. */
    readonly received: number;
    /** Messages of other instances that are known to be missing. */
    readonly missed: number;
    /** Messages on the bus that could not be read. */
    readonly invalid: number;
    /**
     * Messages to channels with history from instances or emitters whose settings have no history
     * for them. They have no number, and are not delivered.
     */
    readonly unnumbered: number;
    /** How often the connection was lost, or could not be made at first. */
    readonly losses: number;
    /** Bytes that wait to be published. */
    readonly waiting: number;
}
/** Messages and bytes, counted from the first `start` on. */
export interface Traffic {
    /** Messages received, whether or not there is a handler for them. */
    readonly messagesIn: number;
    /** Messages queued for a socket. A publish counts once for each subscriber. */
    readonly messagesOut: number;
    /** Payload bytes of `messagesIn`, after decompression. */
    readonly bytesIn: number;
    /** Payload bytes of `messagesOut`, before compression. */
    readonly bytesOut: number;
    /** Bytes read after the request: whole frames, as they are inside TLS. */
    readonly wireBytesIn: number;
    /** Bytes written from the 101 on, counted in the same way. */
    readonly wireBytesOut: number;
}
/** Connections that were refused before their 101, by cause. */
export interface RejectCounts {
    /** 400: not a well-formed request or handshake. */
    readonly badRequest: number;
    /** 403: {@link StartOptions.origins}. */
    readonly origin: number;
    /** 404: nothing is served on this path ({@link StartOptions.path}). */
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
    /**
     * 503, or cut if there are too many even to answer: {@link StartOptions.maxPendingUpgrades}.
     */
    readonly maxPendingUpgrades: number;
    /** 503: the path has no server at the moment, or the server is closing. */
    readonly notServed: number;
    /** 503: `handleOpen` did not decide within {@link StartOptions.openTimeout}. */
    readonly openTimeout: number;
    /** 503: the worker ended while its `handleOpen` was deciding. */
    readonly workerGone: number;
    /** 403, 500, or the status that `handleOpen` returned. */
    readonly handler: number;
    /** Cut: {@link StartOptions.handshakeTimeout}. */
    readonly handshakeTimeout: number;
    /** Cut: the TLS handshake failed. 400: it was plain HTTP. */
    readonly tls: number;
    /** Cut: no well-formed header of the PROXY protocol ({@link StartOptions.proxyProtocol}). */
    readonly proxyProtocol: number;
    /** The client went away before it got a response. */
    readonly gone: number;
}
/** Connections that ended after they were accepted, by cause. */
export interface CloseCounts {
    /** The peer sent a close frame. */
    readonly peer: number;
    /** 1006: the peer went away without one. */
    readonly lost: number;
    /** {@link close} or {@link closeChannel}. */
    readonly application: number;
    /** {@link terminate}. */
    readonly terminated: number;
    /** {@link Server.close} or {@link shutdown}. */
    readonly shutdown: number;
    /** 1002: the peer violated the protocol. */
    readonly protocol: number;
    /** 1007: text that is not UTF-8, or corrupt compressed data. */
    readonly invalidPayload: number;
    /** 1009: {@link StartOptions.maxPayload}. */
    readonly maxPayload: number;
    /** 1006: {@link StartOptions.idleTimeout}. */
    readonly idleTimeout: number;
    /**
     * Cut because closing made no progress for {@link StartOptions.closeTimeout}. Counted in addition
     * to the cause of the closing.
     */
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
    /** 4009: a subscriber lost messages of a channel with history, and there is no `handleLost`. */
    readonly historyLost: number;
    /**
     * 1012: the worker ended, and its connections do not move to another one: that of a server
     * helper, of `wsbroker/channels`, `wsbroker/crossws` or `wsbroker/nest`.
     */
    readonly workerEnded: number;
    /**
     * 1006: accepted by `handleOpen`, but gone before the 101 was sent. Such a connection does not
     * count as opened, and counts in `rejected`, too.
     */
    readonly beforeOpen: number;
}
/** Messages to sockets that were dropped, by cause. */
export interface DropCounts {
    /** `overflow: 'dropNewest'`. */
    readonly dropNewest: number;
    /** `overflow: 'dropOldest'`. */
    readonly dropOldest: number;
    /**
     * {@link StartOptions.maxSendMemory} is used up. A publish counts once, or, while part of the
     * reserve is left, once for each subscriber for which it was dropped. A refusal by `handleOpen`
     * for which there was no room counts once.
     */
    readonly maxSendMemory: number;
    /** The socket is gone or closing, or the message makes it close. */
    readonly gone: number;
}
/** Forwarded requests that did not come to their end, by cause. */
export interface HttpFailureCounts {
    /** 502: the application's server could not be reached. */
    readonly unreachable: number;
    /** 502, or cut if the response had begun: it was not well-formed, or broke off. */
    readonly badResponse: number;
    /**
     * 504: no response within {@link StartOptions.forwardTimeout}. Cut: its body stopped for
     * {@link StartOptions.requestTimeout}, or had not ended so long after {@link Server.close}.
     */
    readonly timeout: number;
    /** 408, or cut: the client sent its body or read the response too slowly, or not at all. */
    readonly clientTimeout: number;
    /** 400, or cut: the request's body was not well-formed. */
    readonly badBody: number;
    /** The client went away. */
    readonly gone: number;
}
/** Requests that are not upgrades to WebSocket. Refused ones count in {@link Stats.rejected}. */
export interface HttpStats {
    /** Requests that got one of {@link StartOptions.answers}. */
    readonly answered: number;
    /** Requests that were forwarded and got their whole response, tunnels included. */
    readonly forwarded: number;
    /** Requests that were forwarded in vain, by cause. */
    readonly failed: HttpFailureCounts;
    /** Bytes of bodies of forwarded requests. */
    readonly bytesIn: number;
    /** Bytes of responses to forwarded requests, with their heads. */
    readonly bytesOut: number;
}
/** What channels keep, and what became of it. */
export interface HistoryStats {
    /** Channels of which at least the position is known. */
    readonly channels: number;
    /** Messages that are kept. */
    readonly messages: number;
    /** Bytes that they and their channels take: what {@link StartOptions.maxHistoryMemory} limits. */
    readonly bytes: number;
    /** How often a channel lost its messages, or its position, to `maxHistoryMemory`. */
    readonly evictions: number;
    /** Calls of {@link recover} that recovered. */
    readonly recovered: number;
    /** Calls of {@link recover} that did not: something was gone, or too much was missing. */
    readonly notRecovered: number;
    /** Messages that {@link recover} replayed. */
    readonly replayed: number;
    /** How often a subscriber lost messages: they were gone before it had read them. */
    readonly lost: number;
    /** Publishes that were not delivered because their id was known. */
    readonly duplicates: number;
    /** Ids that were forgotten before their 5 minutes, for lack of room. */
    readonly idsDropped: number;
}
/** One worker's share of the work. */
export interface WorkerStats {
    /** The thread's `threadId`, as in {@link WorkerEvent}; -1 for one that is ending. */
    readonly workerId: number;
    /** Its connections, including those that wait for its `handleOpen`. */
    readonly connections: number;
    /** Events that it was given and whose handlers have not settled. */
    readonly inFlight: number;
    /** Bytes of their messages, 128 more for each: what {@link MaxInFlight} limits. */
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
    /** Bytes that these commands hold. */
    readonly commandBytes: number;
}
/** What {@link stats} returns. */
export interface Stats extends Traffic {
    /** Absent unless the process has joined other instances. */
    readonly bus?: BusStats;
    /** Connections between their 101 and their end, as {@link connectionCount}. */
    readonly connections: number;
    /** Channels that have subscribers. */
    readonly channels: number;
    /** Connections that have not got their 101 yet. */
    readonly pendingUpgrades: number;
    /** Connections that the system has handed over, from the first `start` on. */
    readonly accepted: number;
    /**
     * How often the system could not hand one over, usually because the process was out of file
     * descriptors (`EMFILE`). Waiting connections stay in the system's queue, and accepting is tried
     * again after 50 ms, then after up to 1 s. It is reported on stderr, at most once a minute for
     * each address.
     */
    readonly acceptFailures: number;
    /** Those of `accepted` that got their 101. */
    readonly opened: number;
    /** Those of `opened` that have ended. */
    readonly closed: number;
    /** Connections refused before the 101, by cause. */
    readonly rejected: RejectCounts;
    /**
     * Connections that have ended, by cause. The causes add up to `closed`, except that
     * `closeTimeout` counts in addition to another cause, and those in `beforeOpen` were never
     * opened.
     */
    readonly closes: CloseCounts;
    /** Messages to sockets that were dropped, by cause. */
    readonly dropped: DropCounts;
    /** Requests that are not upgrades to WebSocket. */
    readonly http: HttpStats;
    /** What channels keep ({@link StartOptions.history}). */
    readonly history: HistoryStats;
    /** Bytes that wait to be sent: what {@link StartOptions.maxSendMemory} limits. */
    readonly sendMemory: number;
    /** Bytes that unfinished messages hold: what {@link StartOptions.maxReceiveMemory} limits. */
    readonly receiveMemory: number;
    /** Bytes of all commands that wait for an I/O thread. */
    readonly commandBytes: number;
    /** The workers. */
    readonly workers: readonly WorkerStats[];
    /** The I/O threads. */
    readonly shards: readonly ShardStats[];
}
