import type { Data, Dispatch, NativeAccept, NativeAttached, NativeReject, Receive, SendOptions, SendResult, Stats } from './native/raw-values.cjs';
export type * from './native/raw-values.cjs';
/** What the addon exports. Nothing of it is public: src/index.cts is. */
export interface Native {
    /** Connects in the background. */
    readonly NativeEmitter: new (options: NativeCluster, onEvents: (arg: Array<NativeBusEvent>) => void) => NativeEmitter;
    /** Connects in the background. `wake` is called when there is something to `take`, and not again before that was nothing. */
    readonly NativeRelay: new (options: NativeRelayOptions, wake: () => void) => NativeRelay;
    /** What defaults are made from. */
    brokerDefaults(): NativeDefaults;
    /** How many clients of helpers on this thread, which has ended, could not be reported: there was no other helper of their identifier. Returns the number once. */
    clientsLeftBy(thread: number): number;
    /** Closes the channel's subscribers on all instances. Returns how many there are here. */
    closeChannelEverywhere(channel: Buffer, code: number, reason: string): number;
    /** Takes no connections there any more, closes those it has with 1001, resolves when they are gone. */
    closeListener(listener: number): Promise<void>;
    /** Counts subscribers on all instances; `limit` in milliseconds. */
    clusterCount(channel: Buffer, limit: number): Promise<NativeClusterCount>;
    /** Resolves when the bus is ready; false when there is none any more. */
    clusterReady(): Promise<boolean>;
    /** From now on, what this thread listens on ends with its environment. Not for the main thread, with which everything ends. */
    endWithThread(): void;
    /** Resolves when the helper has no connections any more; after `timeout` milliseconds they are cut. */
    helperEmptied(helper: number, timeout: number): Promise<void>;
    /** Where the instance listens; nothing before it does. */
    instanceAddress(helper: number): NativeAddress | null;
    /** Instances that have helpers, of all threads. */
    instanceCount(): number;
    /**
     * Joins the other instances: at once, or as soon as there is a broker.
     *
     * Throws ERR_WSBROKER_CONFLICT when the process has joined already.
     */
    joinCluster(options: NativeCluster, onEvents: (arg: Array<NativeBusEvent>) => void): void;
    /**
     * Takes a place in the instance of that name, which is made if there is none.
     *
     * Throws ERR_WSBROKER_CONFLICT when this thread has a helper there already, or an option differs.
     */
    joinInstance(join: NativeJoin): NativeJoinResult;
    /** Takes back a `join_cluster` that no broker has followed yet, or none but one that nobody uses. False when the process stays joined. */
    leaveCluster(): Promise<boolean>;
    /** Gives the helper's place up. Its connections are closed. With the last helper goes what the instance has opened; resolves then. */
    leaveInstance(helper: number): Promise<void>;
    /**
     * Binds an address and reserves its paths, without accepting. The first call makes the broker.
     *
     * Rejects with ERR_WSBROKER_INVALID_BIND, ERR_WSBROKER_BIND (`syscallCode` says why), ERR_WSBROKER_CONFLICT, ERR_WSBROKER_UNSUPPORTED or
     * ERR_WSBROKER_SHUT_DOWN.
     */
    listen(options: NativeListenOptions): Promise<number>;
    /** Where it listens, with the port that the system chose. */
    listenerAddress(listener: number): NativeAddress;
    /** Resolves when what others publish to the channel arrives here. */
    listening(channel: Buffer): Promise<boolean>;
    /**
     * Opens the instance's address, or its path on one that is open, unless that has been done; from then on this helper gets connections.
     *
     * Rejects as `listen` does.
     */
    openInstance(helper: number, options: NativeListenOptions): Promise<void>;
    /**
     * The options of the broker there is, for who follows them where he gives none; without handlers' where no `start` has set them. `started`: also those of a broker
     * that `start` has made.
     */
    processOptionsNow(started: boolean): NativeProcessOptions | null;
    /** Replaces the settings of Redis. Rejects with ERR_WSBROKER_BUS_LOST when Redis cannot be reached with them; everything stays as it was. */
    reloadCluster(redis: NativeRedis): Promise<void>;
    /** Replaces certificates and keys of the address. If they are no good it throws ERR_WSBROKER_TLS, and the old ones stay. */
    reloadTls(listener: number, tls: NativeTls): void;
    /** Takes connections from now on. */
    serve(listener: number): void;
    /**
     * Closes everything and ends the broker; `timeout` in milliseconds. Afterwards `listen` may make a new one. `replaced`: a worker that ends is followed by
     * another, for which events are kept.
     */
    shutdownBroker(code: number, timeout: number, replaced?: boolean | undefined | null): Promise<NativeShutdownReport>;
    /** Tells this thread of workers that are stuck, by the number of their thread; without a function no longer. One that is told keeps nothing alive. */
    watchWorkers(onStuck?: ((arg: number) => void) | undefined | null): void;
    /** Workers that are attached in the whole process, by whichever thread. */
    workerCount(): number;
    send(socketId: number, data: Data, options?: Pick<SendOptions, 'compress'>): SendResult;
    sendToChannel(channel: Data, data: Data, options?: SendOptions): number;
    subscribe(socketId: number, channel: Data): boolean;
    unsubscribe(socketId: number, channel: Data): boolean;
    subscribeMany(socketId: number, channels: readonly Data[]): number;
    unsubscribeMany(socketId: number, channels: readonly Data[]): number;
    unsubscribeAll(socketId: number): number;
    copySubscriptions(from: Data, to: Data): void;
    setToken(socketId: number, token: Data): void;
    getToken(socketId: number): Buffer | undefined;
    /** 0 = no token, or no such socket any more. */
    tokenVersion(socketId: number): number;
    close(socketId: number, code?: number, reason?: string): void;
    terminate(socketId: number): void;
    closeChannel(channel: Data, code?: number, reason?: string): number;
    isOpen(socketId: number): boolean;
    bufferedAmount(socketId: number): number;
    hasSubscriptions(channel: Data): boolean;
    subscriberCount(channel: Data): number;
    isSubscribed(socketId: number, channel: Data): boolean;
    getSubscriptions(socketId: number): (string | Buffer)[];
    getSubscribers(channel: Data): number[];
    connectionCount(): number;
    stats(): Stats;
    /** `isShared`, which tells a SharedArrayBuffer, is for Bun. */
    init(scheduleFlush: () => void, isShared?: (value: unknown) => boolean): void;
    attachWorker(mask: number, dispatch: Dispatch, again: () => void, keepAlive: boolean, slots?: number): NativeAttached;
    detachWorker(): void;
    keepAlive(on: boolean): void;
    drain(): void;
    settle(): void;
    openVerdict(slot: number, accepted: boolean, detail?: NativeAccept | NativeReject): boolean;
    slotToken(slot: number): Buffer | undefined;
    /** The bytes of a binary message that is waiting or being handed over, once more. */
    slotBytes(slot: number): Buffer | undefined;
    /** Returns the control block. */
    attachHelper(helper: number, dispatch: Dispatch, again: () => void, receive: Receive): ArrayBuffer;
    drainHelper(helper: number): void;
    keepHelperAlive(helper: number, on: boolean): void;
    flushSends(): void;
    helperAccept(helper: number, accepts: boolean): void;
    /** Bytes of payload; -1: the socket is over its limit now; 0: dropped. */
    helperSend(helper: number, socketId: number, data: Data, compress?: boolean): number;
    helperClose(helper: number, socketId: number, code?: number, reason?: string): void;
    helperSubscribe(helper: number, socketId: number, topic: string): boolean;
    helperUnsubscribe(helper: number, socketId: number, topic: string): boolean;
    helperIsSubscribed(helper: number, socketId: number, topic: string): boolean;
    /** `socketId` 0: a socket that the application has made. False: another helper has a client of that id. */
    helperAddClient(helper: number, clientId: string, socketId: number): boolean;
    helperFinishClient(helper: number, clientId: string): void;
    /** The epoch since which it is held: what was published in an earlier one has reached it directly. */
    helperHoldClient(helper: number, clientId: string): number;
    helperRemoveClient(helper: number, clientId: string): void;
    /** `kind` 0: a room; 1: a user; 2, of a publish: everybody. */
    helperAddMember(helper: number, clientId: string, kind: number, name: string): void;
    helperRemoveMember(helper: number, clientId: string, kind: number, name: string): void;
    helperIsElsewhere(helper: number, clientId: string): boolean;
    helperClientCount(helper: number): number;
    helperRoomCount(helper: number, room: string): number;
    /** To how many helpers it could not be posted. */
    helperPublish(helper: number, kind: number, name: string, frame: string, exclude?: readonly string[]): number;
    helperSendElsewhere(helper: number, clientId: string, frame: string): number;
    helperAskMember(helper: number, clientId: string, room: string, join: boolean): boolean;
    helperClaimInput(helper: number): boolean;
    /** False: it was so already. */
    helperSetInput(helper: number, ready: boolean): boolean;
    helperInputIsReady(helper: number): boolean;
    /** Messages to its clients that were dropped on their way. `again`: `Receive` is called for the next one. */
    helperDropped(helper: number, again: boolean): number;
    /** Id and user of a client whose helper ended without reporting it. Each is handed out once. */
    helperTakeLeftClient(helper: number): [clientId: string, userId?: string] | undefined;
}
/** Publishes without sockets. */
export interface NativeEmitter {
    /** Resolves when Redis has it. Waits for the bus at most `limit` milliseconds. Rejects with ERR_WSBROKER_BUS_LOST. */
    publish(channel: Buffer, data: string | Buffer, limit: number): Promise<void>;
    /** Publishes what waits, and ends. */
    close(): void;
}
/** A helper's or an emitter's connections to Redis. */
export interface NativeRelay {
    /** What has come since: envelopes of others as text, and events, in order. Empty: nothing, and the next wake will tell. */
    take(): Array<string | NativeRelayEvent>;
    /**
     * Takes a message, and does not wait. Returns its number, with which an `unpublished` tells that it failed; 0 if Redis is lost, -1 if too much waits, -2
     * after `close`.
     */
    publish(channel: string, text: string): number;
    /** Of messages up to this number nothing more will be told. */
    settled(): number;
    /** Publishes, and resolves when Redis has it. Rejects with ERR_WSBROKER_BUS_LOST, ERR_WSBROKER_REDIS if Redis refuses it, ERR_WSBROKER_SHUT_DOWN after `close`. */
    request(channel: string, text: string): Promise<void>;
    /** Leaves; the last one publishes what waits, for at most `limit` milliseconds, and ends the connections. Resolves when that is done. */
    close(limit: number): Promise<void>;
}
/** Where a listener listens. */
export interface NativeAddress {
    /** An IP address, or the path of a unix socket. */
    address: string;
    /** 0 for a unix socket. */
    port: number;
    /** For clients on this machine. */
    url: string;
}
/** Something that the helpers of an instance must agree on, and its value as text. */
export interface NativeAgreed {
    /** The option, for messages. */
    name: string;
    /** Absent when it was not given. */
    text?: string | undefined;
    /** Whether only those must agree that give it. */
    optional: boolean;
}
/** What the bus has to tell. */
export interface NativeBusEvent {
    /** Which kind. */
    state: 'ready' | 'lost' | 'gap' | 'gaps' | 'warning';
    /** Of a gap in one channel. */
    channel?: string | Buffer | undefined;
    /** Of a gap, or of gaps. */
    missed?: number | undefined;
    /** Of gaps: how many channels. */
    count?: number | undefined;
    /** Of gaps: the channels whose names were kept. */
    channels?: Array<string | Buffer> | undefined;
    /** Of a loss, or a warning. */
    reason?: string | undefined;
}
/** A place on a bus. */
export interface NativeCluster {
    /** Where. */
    redis: NativeRedis;
    /** What names begin with. */
    prefix: string;
    /** What this instance is called. */
    instanceId?: string | undefined;
    /** Bytes that may wait. */
    maxOutgoing: number;
}
/** Subscribers on all instances. */
export interface NativeClusterCount {
    /** As far as instances have answered. */
    count: number;
    /** The others. */
    missing: Array<string>;
}
/** What defaults are made from. */
export interface NativeDefaults {
    /** Bytes of memory for this process: the cgroup's limit, else what the machine has; 0 when neither is known. */
    memory: number;
    /** Threads that can run at once. */
    cpus: number;
}
/** Compression of messages. */
export interface NativeDeflate {
    /** Bytes from which on a message is compressed. */
    threshold: number;
    /** 1 to 9. */
    level: number;
}
/** What is on its way to JavaScript, towards one socket and one worker. */
export interface NativeInFlight {
    /** Messages of one socket. */
    messages: number;
    /** Bytes of one socket. */
    bytes: number;
    /** Bytes towards one worker. */
    workerBytes: number;
}
/** What a helper joins with. */
export interface NativeJoin {
    /** Who has the same is in the same instance. */
    identifier: string;
    /** The id of the instance if this is its first helper. */
    serverId: string;
    /** What must be as the others have it. */
    agreed: Array<NativeAgreed>;
    /** What the process has once. */
    process: NativeProcessOptions;
    /** Whether it shares the address of a server with the same `bind`, whatever its port is. */
    beside: boolean;
    /** Whether its clients may become held. */
    encrypts: boolean;
}
/** What a helper gets when it joins. */
export interface NativeJoinResult {
    /** For all its calls. */
    helper: number;
    /** The id of the instance. */
    serverId: string;
}
/** Everything `listen` takes; every default is filled in, and what is absent is off. */
export interface NativeListenOptions {
    /** `host:port`, `[v6]:port` or `unix:/path`. */
    bind: string;
    /** Paths to serve; `*` for all that are left. */
    paths: Array<string>;
    /** Subprotocols, best first. */
    protocols: Array<string>;
    /** From accept to the end of the request. */
    handshakeTimeout: number;
    /** For `handleOpen`. */
    openTimeout: number;
    /** Bytes of request line and headers. */
    maxHeaderSize: number;
    /** Bytes of one inbound message. */
    maxPayload: number;
    /** Silence after which a connection is cut; 0 = off. */
    idleTimeout: number;
    /** Whether pings are sent. */
    pings: boolean;
    /** Silence in one direction after which one is; 0 = none. */
    pingInterval: number;
    /** How long a closing may stand still. */
    closeTimeout: number;
    /** Bytes in the outbox from which on `overflow` applies. */
    maxBackpressure: number;
    /** What happens then. */
    overflow: 'close' | 'dropNewest' | 'dropOldest';
    /** How long a connection may live; 0 = off. */
    maxLifetime: number;
    /** How much it may send. */
    rateLimit?: NativeRateLimit | undefined;
    /** Values of `Origin` that are let in. */
    origins?: Array<string> | undefined;
    /** Proxies that are believed. */
    trustProxy?: NativeTrustProxy | undefined;
    /** Whether connections begin with a PROXY protocol header. */
    proxyProtocol: boolean;
    /** Whether other processes may listen on the same port. */
    reusePort: boolean;
    /** Compression of messages. */
    deflate?: NativeDeflate | undefined;
    /** Encryption. */
    tls?: NativeTls | undefined;
    /** What the process has once. */
    process: NativeProcessOptions;
    /** Of a helper: bytes of one inbound message until its client is finished; absent is `max_payload`. */
    maxFirstPayload?: number | undefined;
    /** Of a helper: those of the options of the whole address that were given. */
    given?: Array<string> | undefined;
    /** Of a helper: whether it shares the address of a server with the same `bind`, whatever its port is. */
    beside?: boolean | undefined;
}
/** A host and a port. */
export interface NativeNode {
    /** A name or an address. */
    host: string;
    /** 1 to 65535. */
    port: number;
}
/** A certificate chain and its key. */
export interface NativePair {
    /** The chain. */
    cert: NativePem;
    /** The key. */
    key: NativePem;
}
/** PEM, and where it is from. */
export interface NativePem {
    /** For messages: `"tls.key" (/etc/key.pem)`. */
    name: string;
    /** What is there. */
    pem: Buffer;
}
/** Limits that the process has once. Integers; durations in milliseconds, sizes in bytes. */
export interface NativeProcessOptions {
    /** Shards. */
    ioThreads: number;
    /** Bytes that may wait for slow receivers. */
    maxSendMemory: number;
    /** Bytes of unfinished inbound messages. */
    maxReceiveMemory: number;
    /** The inbound window. */
    maxInFlight: NativeInFlight;
    /** Connections between accept and 101. */
    maxPendingUpgrades: number;
    /** Connections at once; absent is unlimited, as in the next three. */
    maxConnections?: number | undefined;
    /** Connections at once from one address. */
    maxConnectionsPerIp?: number | undefined;
    /** Channels that one socket may be in. */
    maxChannelsPerSocket?: number | undefined;
    /** Bytes of a channel's name. */
    maxChannelNameLength?: number | undefined;
    /** Told to the workers: whether a socket's handlers run at the same time. */
    concurrent: boolean;
    /** Told to the workers; 0 = off. */
    handlerTimeout: number;
}
/** What one socket may send. */
export interface NativeRateLimit {
    /** A second; absent is unlimited. */
    messages?: number | undefined;
    /** A second; absent is unlimited. */
    bytes?: number | undefined;
    /** How many messages may come at once; absent is a second's worth. */
    burst?: number | undefined;
    /** What happens above it. */
    action: 'pause' | 'close';
}
/** A Redis: by `url`, or else by the rest. */
export interface NativeRedis {
    /** `redis://` or `rediss://`. */
    url?: string | undefined;
    /** One server, or nodes of a Cluster, or Sentinels. */
    nodes: Array<NativeNode>;
    /** What the nodes are. */
    kind: 'single' | 'cluster' | 'sentinel';
    /** The master that the Sentinels watch. */
    name?: string | undefined;
    /** For AUTH. */
    username?: string | undefined;
    /** For AUTH. */
    password?: string | undefined;
    /** The database. */
    db?: number | undefined;
    /** Milliseconds. */
    connectTimeout?: number | undefined;
    /** Encryption. */
    tls?: NativeRedisTls | undefined;
}
/** How a Redis is encrypted. */
export interface NativeRedisTls {
    /** PEM. */
    ca?: Buffer | undefined;
    /** PEM; together with `key`. */
    cert?: Buffer | undefined;
    /** PEM. */
    key?: Buffer | undefined;
    /** The name that the server's certificate must be for; absent is the host. */
    servername?: string | undefined;
    /** Whether the server's certificate must be good. */
    rejectUnauthorized: boolean;
}
/** What a relay has to tell. */
export interface NativeRelayEvent {
    /** Which kind. `unpublished` is a message of ours that did not get there. */
    kind: 'connected' | 'failed' | 'lost' | 'ready' | 'invalid' | 'dropped' | 'unpublished' | 'warning';
    /** Whether it is the listener that is lost or ready. */
    listener: boolean;
    /** Why. */
    reason?: string | undefined;
    /** How many, or the number of the message. */
    count: number;
}
/** Settings of a relay. */
export interface NativeRelayOptions {
    /** Where. */
    redis: NativeRedis;
    /** Envelopes that bear it are this instance's own. */
    serverId?: string | undefined;
    /** Whether it listens, too. */
    listens: boolean;
    /** Whether all helpers with this server id use the same relay. */
    shared: boolean;
}
/** What a shutdown did. */
export interface NativeShutdownReport {
    /** Ended with a close handshake. */
    closed: number;
    /** Had to be cut. */
    terminated: number;
}
/** What a listener encrypts with. */
export interface NativeTls {
    /** At least one. */
    pairs: Array<NativePair>;
    /** Authorities of clients' certificates. */
    ca: Array<NativePem>;
    /** Whether clients are asked for a certificate. */
    requestCert: boolean;
    /** Whether they must have one. */
    rejectUnauthorized: boolean;
    /** The oldest version. */
    minVersion: 'TLSv1.2' | 'TLSv1.3';
}
/** Proxies that are believed. */
export interface NativeTrustProxy {
    /** Networks. */
    from: Array<string>;
    /** Whoever comes through a unix socket, too. */
    unix: boolean;
    /** Where they write the client's address. */
    header: 'x-forwarded-for' | 'forwarded';
}
