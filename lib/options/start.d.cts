import type { NativeHistoryRule, NativeListenOptions } from '../native.cjs';
import type { WorkerEvent } from '../types/worker-threads.cjs';
import { type CheckedClusterOptions } from './cluster.cjs';
import { type CheckedHttpOptions } from './http.cjs';
import { type CheckedThreadOptions } from './threads.cjs';
import { type CheckedTlsOptions } from './tls.cjs';
export declare const MAX_THREADS = 1024;
/** The process-wide options. */
export interface ProcessOptions {
    threads: number;
    handlers: 'serial' | 'concurrent';
    handlerTimeout: number;
    'watchdog.after': number;
    'watchdog.action': 'report' | 'replace';
    ioThreads: number;
    maxSendMemory: number;
    maxReceiveMemory: number;
    'maxInFlight.messages': number;
    'maxInFlight.bytes': number;
    'maxInFlight.workerBytes': number;
    maxPendingUpgrades: number;
    maxConnections: number;
    maxConnectionsPerIp: number;
    maxChannelsPerSocket: number;
    maxChannelNameLength: number;
    history: NativeHistoryRule[];
    maxHistoryMemory: number;
}
/** Options of `start`, checked. */
export interface CheckedStartOptions {
    readonly workerPath: string | undefined;
    readonly startTimeout: number;
    readonly process: Partial<ProcessOptions>;
    readonly threads: CheckedThreadOptions | undefined;
    readonly listener: Omit<NativeListenOptions, 'process' | 'tls' | 'http'>;
    readonly http: CheckedHttpOptions | undefined;
    readonly tls: CheckedTlsOptions | undefined;
    readonly cluster: CheckedClusterOptions | undefined;
    readonly onWorker: ((event: WorkerEvent) => void) | undefined;
    readonly signal: AbortSignal | undefined;
}
export declare const START_OPTIONS: readonly ["bind", "workerPath", "threads", "startTimeout", "worker", "handlers", "handlerTimeout", "watchdog", "ioThreads", "path", "protocols", "maxPayload", "handshakeTimeout", "openTimeout", "maxPendingUpgrades", "maxHeaderSize", "idleTimeout", "pings", "pingInterval", "closeTimeout", "maxBackpressure", "overflow", "maxSendMemory", "maxReceiveMemory", "maxInFlight", "maxConnections", "maxConnectionsPerIp", "maxChannelsPerSocket", "maxChannelNameLength", "history", "maxHistoryMemory", "maxLifetime", "rateLimit", "origins", "trustProxy", "proxyProtocol", "reusePort", "perMessageDeflate", "tls", "onWorker", "cluster", "signal", "answers", "http", "forwardUpgrades", "keepAliveTimeout", "requestTimeout", "forwardTimeout"];
/**
 * @param call the name of the call, for messages
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given
 */
export declare function checkStartOptions(options: unknown, call?: string): CheckedStartOptions;
/** @throws as {@link checkStartOptions} */
export declare function checkShutdownOptions(options: unknown): {
    code: number;
    timeout: number;
};
export declare function path(call: string, name: string, value: unknown): string | undefined;
