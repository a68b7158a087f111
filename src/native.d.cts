// What the addon exports: the contract between src/ and crates/wsbroker. Nothing here is public; src/index.cts is.

import type { Data, SendOptions, SendResult } from './types/messages.cjs';
import type { Stats } from './types/stats.cjs';
import type { ClientCertificate, OpenRequest } from './types/worker-interface.cjs';

/** Called by the addon with up to 32 events: how many, then one value per event. All numbers lie in the control block. */
export type Dispatch = (count: number, ...data: unknown[]) => void;

/** Limits that the process has once. Integers; durations in milliseconds, sizes in bytes. */
export interface NativeProcessOptions {
  ioThreads: number;
  maxSendMemory: number;
  maxReceiveMemory: number;
  maxInFlight: { messages: number; bytes: number; workerBytes: number };
  maxPendingUpgrades: number;
  /** Absent is unlimited, as in the next three. */
  maxConnections?: number | undefined;
  maxConnectionsPerIp?: number | undefined;
  maxChannelsPerSocket?: number | undefined;
  maxChannelNameLength?: number | undefined;
  /** Told, like the next one, to all workers through their control blocks. */
  concurrent: boolean;
  handlerTimeout: number;
}

export interface NativeTrustProxy {
  /** Networks, without `'unix'`. */
  from: string[];
  unix: boolean;
  header: 'x-forwarded-for' | 'forwarded';
}

export interface NativeDeflate {
  threshold: number;
  level: number;
}

export interface NativeRateLimit {
  messages?: number | undefined;
  bytes?: number | undefined;
  burst?: number | undefined;
  action: 'pause' | 'close';
}

/** PEM, and where it is from, for messages: `"tls.key" (/etc/key.pem)`. */
export interface NativePem {
  name: string;
  pem: Buffer;
}

export interface NativeTls {
  pairs: { cert: NativePem; key: NativePem }[];
  ca: NativePem[];
  requestCert: boolean;
  rejectUnauthorized: boolean;
  minVersion: 'TLSv1.2' | 'TLSv1.3';
}

/** Everything `listen` takes; every default is filled in, and what is absent is off. */
export interface NativeListenOptions {
  bind: string;
  paths: string[];
  protocols: string[];
  handshakeTimeout: number;
  openTimeout: number;
  maxHeaderSize: number;
  maxPayload: number;
  idleTimeout: number;
  pings: boolean;
  pingInterval: number;
  closeTimeout: number;
  maxBackpressure: number;
  overflow: 'close' | 'dropNewest' | 'dropOldest';
  /** 0 is off. */
  maxLifetime: number;
  rateLimit?: NativeRateLimit | undefined;
  /** Lower-case. */
  origins?: string[] | undefined;
  trustProxy?: NativeTrustProxy | undefined;
  proxyProtocol: boolean;
  reusePort: boolean;
  deflate?: NativeDeflate | undefined;
  tls?: NativeTls | undefined;
  process: NativeProcessOptions;
}

/** What `openInstance` takes besides. */
export interface NativeOpenOptions extends NativeListenOptions {
  /** Bytes of one inbound message until its client is finished; absent is `maxPayload`. */
  maxFirstPayload?: number | undefined;
  /** Those of the options of the whole address that were given; the others are as they are there. */
  given: string[];
  /** Whether it shares the address of a server with the same `bind`, whatever its port is. */
  beside: boolean;
}

/** Something that the helpers of an instance must agree on. */
export interface NativeAgreed {
  name: string;
  /** Absent when it was not given. */
  text?: string | undefined;
  /** Whether only those must agree that give it. */
  optional: boolean;
}

/** What other helpers have posted: 0 publish, 1 send, 2 join, 3 leave, 4 state of the input, 5 take the input. */
export type Receive = (operation: number, a: string | boolean, b: string, exclude: string[], kind: number, epoch: number) => void;

export interface NativeRedis {
  url?: string;
  nodes: { host: string; port: number }[];
  kind: 'single' | 'cluster' | 'sentinel';
  name?: string;
  username?: string;
  password?: string;
  db?: number;
  connectTimeout?: number;
  tls?: { ca?: Buffer; cert?: Buffer; key?: Buffer; servername?: string; rejectUnauthorized: boolean } | undefined;
}

export interface NativeCluster {
  redis: NativeRedis;
  prefix: string;
  instanceId?: string;
  maxOutgoing: number;
}

export interface NativeBusEvent {
  state: 'ready' | 'lost' | 'gap' | 'gaps' | 'warning';
  channel?: string | Buffer | undefined;
  missed?: number | undefined;
  count?: number | undefined;
  channels?: (string | Buffer)[] | undefined;
  reason?: string | undefined;
}

export interface NativeEmitter {
  publish(channel: Buffer, data: string | Buffer, limit: number): Promise<void>;
  close(): void;
}

export interface NativeRelayOptions {
  redis: NativeRedis;
  /** Envelopes that bear it are not handed over. */
  serverId?: string;
  listens: boolean;
  /** All relays of the process with this `serverId` are the same. */
  shared: boolean;
}

export interface NativeRelayEvent {
  kind: 'connected' | 'failed' | 'lost' | 'ready' | 'invalid' | 'dropped' | 'unpublished' | 'warning';
  /** Of `lost` and `ready`: the connection that listens, not the one that publishes. */
  listener: boolean;
  reason?: string | undefined;
  /** Of `unpublished` the number of the message. */
  count: number;
}

/** A helper's or an emitter's connections to Redis: crates/wsbroker/src/helper/native_relay.rs. */
export interface NativeRelay {
  /** What has come; empty when there is nothing, and only then `wake` will be called again. */
  take(): (string | NativeRelayEvent)[];
  /** The number of the message; 0 Redis is lost, -1 too much is waiting, -2 closed. */
  publish(channel: string, text: string): number;
  /** No `unpublished` will come for messages up to this one. */
  settled(): number;
  request(channel: string, text: string): Promise<void>;
  close(limit: number): Promise<void>;
}

/** What goes with a 101. */
export interface NativeAccept {
  protocol?: string;
  headers?: [string, string][];
  token?: Uint8Array;
  channels?: (string | Uint8Array)[];
}

/** What goes with any other answer. */
export interface NativeReject {
  status: number;
  headers?: [string, string][];
  body?: string | Uint8Array;
}

export interface Attached {
  workerId: number;
  /** Written by both sides; its layout is in src/worker/dispatch.cts. */
  control: ArrayBuffer;
}

/** What an open event carries: the request, whose certificate has no fingerprint yet. */
export type NativeOpen = Omit<OpenRequest, 'clientCertificate'> & { clientCertificate?: Omit<ClientCertificate, 'fingerprint256'> };

export interface Native {
  // The broker's life.
  /** `isShared`, which tells a SharedArrayBuffer, is for Bun. */
  init(scheduleFlush: () => void, isShared?: (value: unknown) => boolean): void;
  brokerDefaults(): { memory: number; cpus: number };
  listen(options: NativeListenOptions): Promise<number>;
  serve(listener: number): void;
  listenerAddress(listener: number): { address: string; port: number; url: string };
  closeListener(listener: number): Promise<void>;
  /** Throws, and keeps what there is, if that is no good. */
  reloadTls(listener: number, tls: NativeTls): void;
  /** What this thread listens on, now and later, ends with it. */
  endWithThread(): void;
  shutdownBroker(code: number, timeout: number, replaced?: boolean): Promise<{ closed: number; terminated: number }>;

  /** For a caller that follows the options of the existing broker; null: there is none. */
  processOptionsNow(started: boolean): NativeProcessOptions | null;

  // Helpers. Each has a number, the first argument of its calls. One that has left is deaf and dumb.
  joinInstance(join: { identifier: string; serverId: string; agreed: NativeAgreed[]; process: NativeProcessOptions; beside: boolean; encrypts: boolean }): { helper: number; serverId: string };
  openInstance(helper: number, options: NativeOpenOptions): Promise<void>;
  instanceAddress(helper: number): { address: string; port: number; url: string } | null;
  helperEmptied(helper: number, timeout: number): Promise<void>;
  leaveInstance(helper: number): Promise<void>;
  instanceCount(): number;
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
  /** How many clients of helpers on a thread that has ended could not be reported, since there was no other helper of their identifier. Returns the number once. */
  clientsLeftBy(thread: number): number;

  // Other instances.
  joinCluster(options: NativeCluster, onEvents: (events: NativeBusEvent[]) => void): void;
  /** Takes back one that no server has followed yet. False: the process stays joined. */
  reloadCluster(redis: NativeRedis): Promise<void>;
  leaveCluster(): Promise<boolean>;
  /** False: there is no bus any more. */
  clusterReady(): Promise<boolean>;
  listening(channel: Buffer): Promise<boolean>;
  clusterCount(channel: Buffer, limit: number): Promise<{ count: number; missing: string[] }>;
  closeChannelEverywhere(channel: Buffer, code: number, reason: string): number;
  readonly NativeEmitter: new (options: NativeCluster, onEvents: (events: NativeBusEvent[]) => void) => NativeEmitter;
  readonly NativeRelay: new (options: NativeRelayOptions, wake: () => void) => NativeRelay;

  // This thread as a worker.
  attachWorker(mask: number, dispatch: Dispatch, again: () => void, keepAlive: boolean): Attached;
  detachWorker(): void;
  keepAlive(on: boolean): void;
  drain(): void;
  settle(): void;
  /** Workers attached in the whole process, by whichever thread. */
  workerCount(): number;
  /** Tells this thread of workers that are stuck, by their `threadId`; without a function no longer. */
  watchWorkers(onStuck?: (threadId: number) => void): void;
  openVerdict(slot: number, accepted: true, detail?: NativeAccept): void;
  openVerdict(slot: number, accepted: false, detail: NativeReject): void;
  slotToken(slot: number): Buffer | undefined;
  /** The bytes of a binary message that is waiting or being handed over, once more. */
  slotBytes(slot: number): Buffer | undefined;
  /** 0 = no token, or no such socket any more. */
  tokenVersion(socketId: number): number;

  // The public calls, as they are.
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
}
