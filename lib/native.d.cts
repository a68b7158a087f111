import type { Data, Dispatch, HistorySlice, NativeAccept, NativeAttached, NativeReject, Position, PublishOptions, PublishReceipt, Receive, Recovery, SendOptions, SendResult, Stats } from './native/raw-values.cjs';
export type * from './native/raw-values.cjs';
/** What the addon exports. Nothing of it is public: src/index.cts is. */
export interface Native {
    /** Connects in the background. `history`: of the channels that have one. */
    readonly NativeEmitter: new (options: NativeCluster, history: Array<NativeHistoryRule>, onEvents: (arg: Array<NativeBusEvent>) => void) => NativeEmitter;
    /** The settings of the instances. */
    readonly NativePublishingScript: new (prefix: string, history: Array<NativeHistoryRule>) => NativePublishingScript;
    /**
     * Connects in the background. `wake` is called when there is something to
     * `take`, and not again before `take` has returned nothing.
     */
    readonly NativeRelay: new (options: NativeRelayOptions, wake: () => void) => NativeRelay;
    /** What defaults are made from. */
    brokerDefaults(): NativeDefaults;
    /** What becomes of a publish that returned this ticket. Each is asked for once. */
    busReceipt(ticket: number): Promise<NativeBusReceipt>;
    /**
     * How many clients of a thread that has ended could not be reported, since there was no other
     * helper of their identifier. Returns the number once.
     */
    clientsLeftBy(thread: number): number;
    /** Closes the channel's subscribers on all instances. Returns how many there are here. */
    closeChannelEverywhere(channel: Buffer, code: number, reason: string): number;
    /**
     * Accepts no more connections, closes those of the listener with 1001, and resolves when they are
     * gone.
     */
    closeListener(listener: number): Promise<void>;
    /** Counts subscribers on the instances that answer within `limit` milliseconds. */
    clusterCount(channel: Buffer, limit: number): Promise<NativeClusterCount>;
    /** Resolves when the bus is ready; false when there is none any more. */
    clusterReady(): Promise<boolean>;
    /** As `deleteHistory`. */
    deleteHistoryElsewhere(channel: Buffer, before: number): Promise<void>;
    /**
     * Closes all connections evenly. Called again, it makes the drain under way shorter. Without a
     * broker there is nothing to do, and when the broker ends first nothing is counted.
     */
    drainBroker(options: NativeDrainOptions, onProgress?: ((arg: NativeDrainProgress) => void) | undefined | null): Promise<NativeDrainReport>;
    /**
     * What this thread listens on, now and later, ends with its environment. Not needed for the main
     * thread, with which everything ends.
     */
    endWithThread(): void;
    /** Brings a channel up to date, so that what follows at once can be asked of this process. */
    followChannel(channel: string): Promise<void>;
    /** The ids of open sockets above `after`, ascending, at most `limit`. */
    getSockets(after: number, limit: number): Array<number>;
    /**
     * That thread is not waited for any longer, because it cannot be ended: its connections move to
     * other workers, with the events that it has not fetched.
     */
    giveUpWorker(thread: number): void;
    /** Whether a bus numbers the messages of channels with history. */
    hasHistoryBus(): boolean;
    /**
     * Resolves when the helper has no more connections. After `timeout` milliseconds they are cut.
     */
    helperEmptied(helper: number, timeout: number): Promise<void>;
    /** As `readHistory`. */
    historyElsewhere(channel: Buffer, offset: number, epoch: string, limit: number, reverse: boolean): Promise<NativeHistorySlice>;
    /** Where the instance listens. Null: it does not. */
    instanceAddress(helper: number): NativeAddress | null;
    /** How many instances have helpers, on all threads. */
    instanceCount(): number;
    /**
     * Joins the other instances: at once, or as soon as there is a broker.
     *
     * Throws ERR_WSBROKER_CONFLICT when the process has joined already.
     */
    joinCluster(options: NativeCluster, onEvents: (arg: Array<NativeBusEvent>) => void): void;
    /**
     * Registers a helper with the instance of that identifier, which is made if there is none.
     *
     * Throws ERR_WSBROKER_CONFLICT if this thread has a helper of that identifier already, or an
     * option differs.
     */
    joinInstance(join: NativeJoin): NativeJoinResult;
    /**
     * Takes a `join_cluster` back, unless a broker in use has joined. False when the process stays
     * joined.
     */
    leaveCluster(): Promise<boolean>;
    /**
     * Ends the registration of a helper. Its connections are closed. With the last helper, the
     * instance closes what it has opened. Resolves when that is done.
     */
    leaveInstance(helper: number): Promise<void>;
    /**
     * Binds an address and reserves its paths, without accepting connections. The first call begins
     * the broker.
     *
     * Rejects with ERR_WSBROKER_INVALID_BIND, ERR_WSBROKER_BIND (`syscallCode` says why),
     * ERR_WSBROKER_CONFLICT, ERR_WSBROKER_UNSUPPORTED or ERR_WSBROKER_SHUT_DOWN.
     */
    listen(options: NativeListenOptions): Promise<number>;
    /** Where the listener listens, with the port that the operating system has chosen. */
    listenerAddress(listener: number): NativeAddress;
    /**
     * Resolves when what other instances publish to the channel arrives here. False when there is no
     * bus, or it ends first.
     */
    listening(channel: Buffer): Promise<boolean>;
    /**
     * Opens the instance's address, or its path on an address that is open, unless another helper has
     * done so. From then on this helper gets connections.
     *
     * Rejects as `listen` does.
     */
    openInstance(helper: number, options: NativeListenOptions): Promise<void>;
    /** As `historyPosition`. */
    positionElsewhere(channel: Buffer): Promise<NativePosition>;
    /**
     * The options of the broker, for a caller that follows them where it gives none. Unless
     * `started`,
     * only of a broker on which `start` has not been called.
     */
    processOptionsNow(started: boolean): NativeProcessOptions | null;
    /** As `recoverSocket`. */
    recoverElsewhere(socketId: number, channel: Buffer, kind: number, offset: number, epoch: string, orReject: boolean): Promise<NativeRecovery>;
    /**
     * Replaces the settings of Redis. Rejects with ERR_WSBROKER_BUS_LOST when Redis cannot be reached
     * with them; then the old ones stay.
     */
    reloadCluster(redis: NativeRedis): Promise<void>;
    /**
     * Replaces certificates and keys of the listener's address. If they cannot be used, it throws
     * ERR_WSBROKER_TLS and the old ones stay.
     */
    reloadTls(listener: number, tls: NativeTls): void;
    /**
     * From now on the process counts as not ready while its bus is lost. Does nothing without a bus.
     */
    requireCluster(): void;
    /** What the last answered ping of a socket took, in milliseconds. */
    roundTrip(socketId: number): number | null;
    /** Accepts connections from now on. */
    serve(listener: number): void;
    /**
     * Calls this function with what is logged, up to this level, on the calling thread. It takes the
     * place of that of any thread; without one nothing is called.
     */
    setLogger(level: string, logger?: ((arg: NativeLogRecord) => void) | undefined | null): void;
    /**
     * Whether this process says that it is ready, whatever else it lacks. It holds for the broker
     * there is, or for the next one, until that has been shut down.
     */
    setReady(ready: boolean): void;
    /** Whether workers end again and again soon after their start, for the answer `ready`. */
    setWorkersFail(fail: boolean): void;
    /**
     * Closes everything and ends the broker. Afterwards `listen` can begin another one.
     *
     * `timeout` is in milliseconds. `replaced`: a worker that ends meanwhile is replaced, and events
     * are kept for its successor.
     */
    shutdownBroker(code: number, timeout: number, replaced?: boolean | undefined | null): Promise<NativeShutdownReport>;
    /** The slowest sockets, those with most bytes waiting first. */
    slowSockets(count: number): Array<NativeSlowSocket>;
    /** What is known of a socket that has been let in. */
    socketInfo(socketId: number): NativeSocketInfo | null;
    /**
     * Other workers take the place of that thread's: it gets no connections any more, and each that
     * it
     * has moves between two of its events.
     */
    supersedeWorker(thread: number): void;
    /** Has workers watched for which nothing waits, too, for as long as the broker lives. */
    watchIdleWorkers(): void;
    /**
     * Tells this thread of workers that are stuck. Without a function it is no longer told. The
     * function does not keep the thread alive.
     */
    watchWorkers(onStuck?: ((arg: NativeStuckThread) => void) | undefined | null): void;
    /** How many raw workers are attached in the process, on all threads. */
    workerCount(): number;
    /**
     * Resolves when that thread's worker, which has been superseded, has no connections any more and
     * its handlers have settled, or at once if the thread has no worker. The result is the number of
     * connections that were closed with 1012 instead of moved.
     */
    workerEmptied(thread: number): Promise<number>;
    /**
     * Subscribes a client, which is told so ahead of every frame of the channel. `kind` as in
     * `recoverSocket`. `jsonName`: the name as a JSON string. `revocations`: what they were before
     * the application was asked. The rates are in bytes of replays a second. `asked`: whether the
     * channel was followed for it: 0: no, 1: yes, 2: the bus is lost. Returns why the client is
     * not subscribed, or after how many milliseconds it is worth trying again.
     */
    subscribeClient(socketId: number, channel: string, kind: number, offset: number, epoch: string, jsonName: string, maxReplay: number, revocations: number, socketRate: number, addressRate: number, asked: number): 'done' | 'noHistory' | 'subscribed' | 'limit' | 'gone' | 'revoked' | 'notHere' | number;
    /** -1: the socket is gone, or does not speak the subprotocol. */
    revocations(socketId: number): number;
    /**
     * Takes a client out of a channel. If the application is being asked whether it may subscribe,
     * it is asked again. True if it was in it.
     */
    revokeChannel(socketId: number, channel: string): boolean;
    hasFramedHistory(channel: string): boolean;
    isNameAllowed(channel: string): boolean;
    speaksChannels(socketId: number): boolean;
    publishWithReceipt(channel: Data, data: Data, options?: PublishOptions): PublishReceipt & {
        ticket?: number;
    };
    historyPosition(channel: Data): Position;
    /** At most `limit` messages. An offset below 0: as seen from before the first. */
    readHistory(channel: Data, offset: number, epoch: string, limit: number, reverse: boolean): HistorySlice;
    /** `kind`: 0 for a position, 1 for the latest message, 2 for now. */
    recoverSocket(socketId: number, channel: Data, kind: number, offset: number, epoch: string, orReject: boolean): Recovery;
    /** An offset below 0: all messages. */
    deleteHistory(channel: Data, before: number): void;
    /** The socket has been told what it has lost of the channel, and goes on. */
    continueChannel(socketId: number, channel: Data): void;
    send(socketId: number, data: Data, options?: Pick<SendOptions, 'compress'>): SendResult;
    sendToChannel(channel: Data, data: Data, options?: SendOptions): number;
    sendToAll(data: Data, options?: SendOptions): number;
    subscribe(socketId: number, channel: Data): boolean;
    unsubscribe(socketId: number, channel: Data): boolean;
    subscribeMany(socketId: number, channels: readonly Data[]): number;
    unsubscribeMany(socketId: number, channels: readonly Data[]): number;
    unsubscribeAll(socketId: number): number;
    copySubscriptions(from: Data, to: Data): void;
    setToken(socketId: number, token: Data): void;
    getToken(socketId: number): Buffer | undefined;
    /** 0: the socket has no token, or is gone. */
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
    /** The numbers as text: OpenMetrics, or else Prometheus' own format. */
    metrics(openMetrics: boolean): string;
    /**
     * Gives a function that has `settle` called at the end of the turn. `isShared` is for Bun: it
     * says whether its argument is a `SharedArrayBuffer`.
     */
    init(scheduleFlush: () => void, isShared?: (value: unknown) => boolean): void;
    /**
     * Makes this thread a raw worker with the handlers in `mask`; with the bit 32 its connections
     * are closed when it ends. `again` has `drain` called after
     * other work of the event loop. `slots`, for tests, is how many events can be unsettled.
     */
    attachWorker(mask: number, dispatch: Dispatch, again: () => void, keepAlive: boolean, slots?: number): NativeAttached;
    /** Events whose handlers have not been called go to other workers. */
    detachWorker(): void;
    /** Sets whether the worker keeps its thread's event loop alive. */
    keepAlive(on: boolean): void;
    /** Runs what has come. */
    drain(): void;
    /** Settles events whose handlers have settled, and flushes what was sent. */
    settle(): void;
    /** Returns whether the verdict has come in time. */
    openVerdict(slot: number, accepted: boolean, detail?: NativeAccept | NativeReject): boolean;
    /** The handler of an event of this `EventKind` took so long, its promise included. */
    handlerRan(kind: number, milliseconds: number): void;
    /**
     * Copies the token of the socket whose event is in that slot to the beginning of `into`, if
     * there is room for all of it. Returns its length, or -1 if the socket has no token.
     */
    copyToken(slot: number, into: Uint8Array): number;
    /** The token of the socket whose event is in that slot. */
    slotToken(slot: number): Buffer | undefined;
    /** The bytes of the binary message in that slot, once more. */
    slotBytes(slot: number): Buffer | undefined;
    /** Makes this thread a worker of the helper. Returns its control block. */
    attachHelper(helper: number, dispatch: Dispatch, again: () => void, receive: Receive): ArrayBuffer;
    /** Runs what has come for the helper. */
    drainHelper(helper: number): void;
    /** Sets whether the helper keeps its thread's event loop alive. */
    keepHelperAlive(helper: number, on: boolean): void;
    /** Sends to the shards what this thread has sent. */
    flushSends(): void;
    /** Sets whether the helper gets connections. */
    helperAccept(helper: number, accepts: boolean): void;
    /**
     * Returns the bytes of the payload, -1 if the socket is now over its limit, or 0 if the
     * message was dropped.
     */
    helperSend(helper: number, socketId: number, data: Data, compress?: boolean): number;
    helperClose(helper: number, socketId: number, code?: number, reason?: string): void;
    /** Returns whether it was not subscribed before. */
    helperSubscribe(helper: number, socketId: number, topic: string): boolean;
    /** Returns whether it was subscribed before. */
    helperUnsubscribe(helper: number, socketId: number, topic: string): boolean;
    helperIsSubscribed(helper: number, socketId: number, topic: string): boolean;
    /**
     * `socketId` is 0 for a socket that the application has made. False: another helper has a
     * client of that id.
     */
    helperAddClient(helper: number, clientId: string, socketId: number): boolean;
    /**
     * What is published to everybody reaches the client from now on, and it may send messages of
     * up to `maxPayload`.
     */
    helperFinishClient(helper: number, clientId: string): void;
    /**
     * Publishes to the client go through its helper from now on. Returns since which epoch, or 0
     * if they did before or it is not a client of this helper.
     */
    helperHoldClient(helper: number, clientId: string): number;
    helperRemoveClient(helper: number, clientId: string): void;
    /** Adds a client to a room or a user, an `AudienceKind`. */
    helperAddMember(helper: number, clientId: string, kind: number, name: string): void;
    helperRemoveMember(helper: number, clientId: string, kind: number, name: string): void;
    /** Whether another helper of the instance has the client. */
    helperIsElsewhere(helper: number, clientId: string): boolean;
    /** Counts the instance's clients. */
    helperClientCount(helper: number): number;
    /** Counts the instance's clients in a room. */
    helperRoomCount(helper: number, room: string): number;
    /** Returns how many helpers could not be asked to send it to their clients. */
    helperPublish(helper: number, kind: number, name: string, frame: string, exclude?: readonly string[]): number;
    /** Sends to a client of another helper. Returns what `helperSend` does. */
    helperSendElsewhere(helper: number, clientId: string, frame: string): number;
    /** Asks the helper of a client to have it join or leave a room. False: it cannot be asked. */
    helperAskMember(helper: number, clientId: string, room: string, join: boolean): boolean;
    /**
     * Whether this helper takes the messages from Redis: the first that asks does, until it
     * leaves.
     */
    helperClaimInput(helper: number): boolean;
    /** Sets whether the input from Redis is ready. Returns whether that is a change. */
    helperSetInput(helper: number, ready: boolean): boolean;
    helperInputIsReady(helper: number): boolean;
    /**
     * Counts messages to its clients that were dropped on their way. `again`: `Receive` is called
     * for the next one.
     */
    helperDropped(helper: number, again: boolean): number;
    /**
     * The id and the user of a client whose helper has ended without reporting it. Each is
     * returned once.
     */
    helperTakeLeftClient(helper: number): [clientId: string, userId?: string] | undefined;
}
/** Publishes from a process without sockets. */
export interface NativeEmitter {
    /** Whether a channel has a history. */
    hasHistory(channel: Buffer): boolean;
    /**
     * Resolves when Redis has the message. Waits for the bus for at most `limit` milliseconds.
     * Rejects with ERR_WSBROKER_BUS_LOST, or for a channel with history resolves with why.
     */
    publish(channel: Buffer, data: string | Buffer, id: string | undefined | null, limit: number): Promise<NativeBusReceipt | null>;
    /** Publishes what waits, and ends. */
    close(): void;
}
/**
 * Makes the calls by which a Redis client of the application publishes to channels with history.
 */
export interface NativePublishingScript {
    /** Lua. It answers with the epoch, the offset and, for a duplicate, `1`. */
    get text(): string;
    /** Whether a channel has a history. */
    hasHistory(channel: Buffer): boolean;
    /**
     * The call for a message; null for a channel without history. `known`: the newest position of
     * the channel.
     */
    publish(channel: Buffer, data: string | Buffer, id: string | undefined | null, known: NativePosition | undefined | null, cluster: boolean): NativeScriptCall | null;
}
/** A helper's or an emitter's connections to Redis. */
export interface NativeRelay {
    /**
     * What has arrived: envelopes of others as text, and events, in order. When it is empty,
     * `wake` is called for the next.
     */
    take(): Array<string | NativeRelayEvent>;
    /**
     * Takes a message without waiting. Returns its number, which an `unpublished` event has if it
     * fails. 0: Redis is lost; -1: too much waits; -2: `close` was called.
     */
    publish(channel: string, text: string): number;
    /** No more `unpublished` events will come for messages up to this number. */
    settled(): number;
    /**
     * Publishes, and resolves when Redis has the message. Rejects with ERR_WSBROKER_BUS_LOST, with
     * ERR_WSBROKER_REDIS if Redis refuses it, or with ERR_WSBROKER_SHUT_DOWN after `close`.
     */
    request(channel: string, text: string): Promise<void>;
    /**
     * Stops using the relay. The last user lets it publish what waits, for at most `limit`
     * milliseconds, and ends it. Resolves then.
     */
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
/** An option in which the helpers of an instance must agree, and its value as text. */
export interface NativeAgreed {
    /** The name of the option, for error messages. */
    name: string;
    /** Absent: it was not given. */
    text?: string | undefined;
    /** Whether a helper that does not give it agrees with any value. */
    optional: boolean;
}
/** What is answered on one path. */
export interface NativeAnswer {
    /** The exact path. */
    path: string;
    /** What it is; `fixed` is what the other members say. */
    kind: 'health' | 'ready' | 'metrics' | 'fixed';
    /** 200 to 599. */
    status: number;
    /** Beside those that say how long it is. */
    headers: Array<NativeHeader>;
    /** Absent is empty. */
    body?: Buffer | undefined;
}
/** What the bus reports. */
export interface NativeBusEvent {
    /** Which kind. */
    state: 'ready' | 'lost' | 'gap' | 'gaps' | 'warning';
    /** Of a gap: its channel. Absent if messages of this instance did not leave. */
    channel?: string | Buffer | undefined;
    /** Of a gap or gaps: how many messages are missing. */
    missed?: number | undefined;
    /** Of gaps: the number of channels. */
    count?: number | undefined;
    /** Of gaps: the channels whose names were kept. */
    channels?: Array<string | Buffer> | undefined;
    /** Of a loss or a warning: why. */
    reason?: string | undefined;
}
/** What became of a message that Redis was to store. */
export interface NativeBusReceipt {
    /** Where it is. Absent if it failed. */
    position?: NativePosition | undefined;
    /** It was published before. */
    duplicate: boolean;
    /** Why it failed. */
    reason?: string | undefined;
    /** Whether it may be stored although it failed. */
    unknown: boolean;
}
/** How to join a bus. */
export interface NativeCluster {
    /** The Redis. */
    redis: NativeRedis;
    /** The start of all names on the bus. */
    prefix: string;
    /** The name of this instance. */
    instanceId?: string | undefined;
    /** Bytes that may wait to be published. */
    maxOutgoing: number;
}
/** Subscribers on all instances. */
export interface NativeClusterCount {
    /** On the instances that have answered. */
    count: number;
    /** The names of the others. */
    missing: Array<string>;
}
/** What defaults are made from. */
export interface NativeDefaults {
    /** Bytes of memory for this process: the cgroup's limit, or what the machine has. 0: unknown. */
    memory: number;
    /** How many threads can run at the same time. */
    cpus: number;
}
/** Compression of messages. */
export interface NativeDeflate {
    /** Messages of at least that many bytes are compressed. */
    threshold: number;
    /** 1 to 9. */
    level: number;
}
/** How connections are drained. Times are in milliseconds from the call. */
export interface NativeDrainOptions {
    /** How long connections are still accepted. */
    delay: number;
    /** Over how long they are closed, behind `delay`. */
    over: number;
    /** As a fraction of the interval between two. */
    jitter: number;
    /** When those that are left are cut. */
    deadline: number;
    /** The close code. */
    code: number;
    /** What clients are told to wait before they come back. */
    retryAfter: number;
    /** What is sent first. */
    notice?: Buffer | undefined;
    /** Whether that is text. */
    noticeIsText: boolean;
}
/** How far a drain is. */
export interface NativeDrainProgress {
    /** Connections that are still open. */
    open: number;
    /** Connections that have ended since the delay. */
    closed: number;
    /** Connections that were cut. */
    cut: number;
}
/** What a drain did. */
export interface NativeDrainReport {
    /** Connections that ended in time. */
    closed: number;
    /** Connections that were cut. */
    cut: number;
}
/** A header of a fixed answer. */
export interface NativeHeader {
    /** As HTTP allows it. */
    name: string;
    /** Printable ASCII. */
    value: string;
}
/** A message that a channel keeps. */
export interface NativeHistoryMessage {
    /** Its place. */
    offset: number;
    /** As it was published. */
    data: string | Buffer;
}
/** A history for some channels. */
export interface NativeHistoryRule {
    /** Names; one that ends in `*` is a prefix. */
    channels: Array<string>;
    /** Messages that each of them keeps. */
    size: number;
    /** How long, in milliseconds. */
    ttl: number;
    /** Bytes that each of them keeps. */
    maxBytes: number;
    /** Messages that one recovery replays. */
    maxReplay: number;
    /** Whether a frame begins with its offset and its channel. */
    framed: boolean;
}
/** A part of what a channel keeps. */
export interface NativeHistorySlice {
    /** The head of the channel. */
    position: NativePosition;
    /** Nothing since the place that was asked for is gone. */
    complete: boolean;
    /** In the order that was asked for. */
    messages: Array<NativeHistoryMessage>;
}
/** What happens to plain requests. Durations are in milliseconds. */
export interface NativeHttp {
    /** What is answered by the addon. */
    answers: Array<NativeAnswer>;
    /** Where all others go: `http://host:port` or `unix:/path`. */
    forward?: string | undefined;
    /** How the server there knows our requests. */
    identity?: NativeIdentity | undefined;
    /** Whether all upgrades that are not ours go there, too. */
    forwardAllUpgrades: boolean;
    /** The paths of those that do. */
    forwardUpgrades: Array<string>;
    /** How long a connection may wait for its next request. */
    keepAliveTimeout: number;
    /** How long a body may make no progress. */
    requestTimeout: number;
    /** How long the server may take to send the head of its response. */
    forwardTimeout: number;
}
/** How the server behind `forward` knows our requests. */
export interface NativeIdentity {
    /** The name of a header. */
    name: string;
    /** How its value begins. */
    secret: string;
    /** It remembers of which client a connection is: it is told once, and when that changes. */
    once: boolean;
}
/** Limits of messages whose handlers have not settled. */
export interface NativeInFlight {
    /** Messages of one socket. */
    messages: number;
    /** Bytes of one socket. */
    bytes: number;
    /** Bytes of one worker. */
    workerBytes: number;
}
/** What a helper joins with. */
export interface NativeJoin {
    /** Helpers with the same identifier are in the same instance. */
    identifier: string;
    /** The id of the instance if this is its first helper. */
    serverId: string;
    /** Options that must be those of the other helpers. */
    agreed: Array<NativeAgreed>;
    /** Options that the process can have only one value of. */
    process: NativeProcessOptions;
    /**
     * Whether it shares the address of a server with the same `bind`, even if the port in it is 0.
     */
    beside: boolean;
    /** Whether its clients may become held. */
    encrypts: boolean;
}
/** What a helper gets when it joins. */
export interface NativeJoinResult {
    /** The number of the helper, the first argument of all its calls. */
    helper: number;
    /** The id of the instance. */
    serverId: string;
}
/** The options of `listen`. JavaScript has filled in every default; what is absent is off. */
export interface NativeListenOptions {
    /** `host:port`, `[IPv6]:port` or `unix:/path`. */
    bind: string;
    /** Paths to serve. `*`: all that nothing else serves. */
    paths: Array<string>;
    /** Subprotocols, best first. */
    protocols: Array<string>;
    /** From accept to the end of the request, in milliseconds. */
    handshakeTimeout: number;
    /** How long `handleOpen` may take, in milliseconds. */
    openTimeout: number;
    /** Bytes of request line and headers. */
    maxHeaderSize: number;
    /** Bytes of one inbound message. */
    maxPayload: number;
    /** Silence after which a connection is cut, in milliseconds. 0 is off. */
    idleTimeout: number;
    /** Whether pings are sent. */
    pings: boolean;
    /** Silence in one direction after which a ping is sent, in milliseconds. 0: no pings. */
    pingInterval: number;
    /** How long a closing connection may make no progress, in milliseconds. */
    closeTimeout: number;
    /** Bytes in an outbox above which `overflow` applies. */
    maxBackpressure: number;
    /** What happens then. */
    overflow: 'close' | 'dropNewest' | 'dropOldest';
    /** How long a connection may live, in milliseconds. 0 is off. */
    maxLifetime: number;
    /** How much a socket may send. */
    rateLimit?: NativeRateLimit | undefined;
    /** Values of `Origin` that are accepted, in lower case. */
    origins?: Array<string> | undefined;
    /** Proxies that are trusted. */
    trustProxy?: NativeTrustProxy | undefined;
    /** Whether connections begin with a PROXY protocol header. */
    proxyProtocol: boolean;
    /** Whether other processes may listen on the same port. */
    reusePort: boolean;
    /** Compression of messages. */
    deflate?: NativeDeflate | undefined;
    /** Encryption. */
    tls?: NativeTls | undefined;
    /** What happens to requests that are not upgrades. Absent: they are refused. */
    http?: NativeHttp | undefined;
    /** Options that the process can have only one value of. */
    process: NativeProcessOptions;
    /**
     * Of a helper: bytes of one inbound message until its client is finished. Absent is
     * `maxPayload`.
     */
    maxFirstPayload?: number | undefined;
    /**
     * Of a helper: which options of the whole address were given. The others are as they are
     * there.
     */
    given?: Array<string> | undefined;
    /**
     * Of a helper: whether it shares the address of a server with the same `bind`, even if the
     * port in it is 0.
     */
    beside?: boolean | undefined;
}
/** Something that has happened. */
export interface NativeLogRecord {
    /** `error`, `warn`, `info`, `debug` or `trace`. */
    level: string;
    /** The module that says so. */
    target: string;
    /** What has happened. */
    message: string;
    /** With what. */
    fields: Record<string, string | number | boolean>;
    /** When, in milliseconds since 1970. */
    time: number;
    /** Records that were dropped before this one, since there were too many. */
    dropped: number;
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
/** PEM, and where it comes from. */
export interface NativePem {
    /** For error messages: `"tls.key" (/etc/key.pem)`. */
    name: string;
    /** The text. */
    pem: Buffer;
}
/** A place in a channel's history. */
export interface NativePosition {
    /** Counts from 1; 0 before the first message. */
    offset: number;
    /** 16 characters. */
    epoch: string;
}
/**
 * Options that a process can have only one value of. Integers; durations in milliseconds, sizes in
 * bytes.
 */
export interface NativeProcessOptions {
    /** How many shards. */
    ioThreads: number;
    /** Bytes that may wait in all outboxes. */
    maxSendMemory: number;
    /** Bytes of unfinished inbound messages. */
    maxReceiveMemory: number;
    /** Limits of messages whose handlers have not settled. */
    maxInFlight: NativeInFlight;
    /** Connections between accept and 101. */
    maxPendingUpgrades: number;
    /** Connections at the same time. Absent is unlimited, as in the next three. */
    maxConnections?: number | undefined;
    /** Connections at the same time from one IP address. */
    maxConnectionsPerIp?: number | undefined;
    /** Channels that one socket may be in. */
    maxChannelsPerSocket?: number | undefined;
    /** Bytes of a channel's name. */
    maxChannelNameLength?: number | undefined;
    /** Channels that keep what is published. The first that matches counts. */
    history: Array<NativeHistoryRule>;
    /** Bytes that the histories of all channels may take. */
    maxHistoryMemory: number;
    /** Whether the handlers of a socket run at the same time. */
    concurrent: boolean;
    /** How long a handler may take to settle. 0 is off. */
    handlerTimeout: number;
    /** For how long a worker may fetch nothing before it is stuck. */
    stuckAfter: number;
}
/** What one socket may send. */
export interface NativeRateLimit {
    /** Messages a second. Absent is unlimited. */
    messages?: number | undefined;
    /** Bytes a second. Absent is unlimited. */
    bytes?: number | undefined;
    /** How many messages may come at once. Absent is as many as in a second. */
    burst?: number | undefined;
    /** What happens when more come. */
    action: 'pause' | 'close';
}
/** What became of a recovery. */
export interface NativeRecovery {
    /** Nothing is missing. */
    recovered: boolean;
    /** The head of the channel. */
    position: NativePosition;
    /** Messages that the socket gets first. */
    replayed: number;
}
/** A Redis: by `url`, or by the other fields. */
export interface NativeRedis {
    /** `redis://` or `rediss://`. */
    url?: string | undefined;
    /** A single server, nodes of a Cluster, or Sentinels. */
    nodes: Array<NativeNode>;
    /** What the nodes are. */
    kind: 'single' | 'cluster' | 'sentinel';
    /** The name of the primary that the Sentinels watch. */
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
/** TLS towards a Redis. */
export interface NativeRedisTls {
    /** PEM. */
    ca?: Buffer | undefined;
    /** PEM; together with `key`. */
    cert?: Buffer | undefined;
    /** PEM. */
    key?: Buffer | undefined;
    /** The name that the server's certificate must be for. Absent: the host. */
    servername?: string | undefined;
    /** Whether the server's certificate is checked. */
    rejectUnauthorized: boolean;
}
/** What a relay reports. */
export interface NativeRelayEvent {
    /** Which kind. `unpublished`: a message of ours did not reach Redis, or may not have. */
    kind: 'connected' | 'failed' | 'lost' | 'ready' | 'invalid' | 'dropped' | 'unpublished' | 'warning';
    /**
     * Of `lost` and `ready`: whether it is the connection that listens, and not the one that
     * publishes.
     */
    listener: boolean;
    /** Why. */
    reason?: string | undefined;
    /** How many, or of `unpublished` the number of the message. */
    count: number;
}
/** Settings of a relay. */
export interface NativeRelayOptions {
    /** The Redis. */
    redis: NativeRedis;
    /** Envelopes with this server id are our own. */
    serverId?: string | undefined;
    /** Whether it listens. Otherwise it only publishes. */
    listens: boolean;
    /**
     * The helper, if it belongs to an instance: all helpers of the instance use the same relay,
     * and messages from Redis go to their clients without JavaScript.
     */
    helper?: number | undefined;
}
/** What such a client has to run. */
export interface NativeScriptCall {
    /** The keys. */
    keys: Buffer[];
    /** The arguments behind them. */
    arguments: Buffer[];
}
/** What a shutdown did. */
export interface NativeShutdownReport {
    /** Connections that were closed with a close handshake. */
    closed: number;
    /** Connections that were cut. */
    terminated: number;
}
/** A socket that does not take what it is sent. */
export interface NativeSlowSocket {
    /** Its id. */
    socketId: number;
    /** The client's address; empty for a unix socket. */
    ip: string;
    /** Bytes that wait for it. */
    bufferedBytes: number;
    /** Since when, in milliseconds since 1970. */
    since: number;
    /** Messages that were dropped since then. */
    dropped: number;
}
/** What is known of a socket. */
export interface NativeSocketInfo {
    /** The client's address; empty for a unix socket. */
    ip: string;
    /** The request's path, at most 256 bytes of it. */
    path: string;
    /** The subprotocol that was agreed on; empty without one. */
    protocol: string;
    /** When it was let in, in milliseconds since 1970. */
    opened: number;
    /** Messages that came, and bytes of their payloads. */
    messagesIn: number;
    /** As they came. */
    bytesIn: number;
    /** Messages that were queued, and bytes of their payloads. */
    messagesOut: number;
    /** Compressed where they are. */
    bytesOut: number;
    /** What the last answered ping took, in milliseconds. */
    roundTrip?: number | undefined;
    /** The `threadId` of its worker. */
    workerId?: number | undefined;
}
/** A thread that does not come for its events. */
export interface NativeStuckThread {
    /** Its `threadId`. */
    thread: number;
    /** For how many milliseconds it has not come, about. */
    duration: number;
    /** The `EventKind` of the event whose handler has the thread. Absent if that is not known. */
    kind?: number | undefined;
    /** The socket of that event. */
    socketId?: number | undefined;
}
/** What a listener encrypts with. */
export interface NativeTls {
    /** At least one. */
    pairs: Array<NativePair>;
    /** The authorities that sign certificates of clients. */
    ca: Array<NativePem>;
    /** Whether clients are asked for a certificate. */
    requestCert: boolean;
    /** Whether clients must have one. */
    rejectUnauthorized: boolean;
    /** The oldest version. */
    minVersion: 'TLSv1.2' | 'TLSv1.3';
}
/** Proxies that are trusted. */
export interface NativeTrustProxy {
    /** Networks. */
    from: Array<string>;
    /** Whether everything that connects through a Unix socket is trusted. */
    unix: boolean;
    /** The header in which they put the client's address. */
    header: 'x-forwarded-for' | 'forwarded';
}
