import { type ClusterRequest } from './cluster.cjs';
import type { NativeListenOptions } from '../native.cjs';
import { type PoolThreads } from './threads.cjs';
import { type TlsRequest } from './tls.cjs';
import type { WorkerEvent } from '../types/worker-threads.cjs';
/** Process-wide options, as far as the caller gave them. */
export interface ProcessOptions {
    threads: number;
    handlers: 'serial' | 'concurrent';
    handlerTimeout: number;
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
}
/** A `start` call that is allowed. */
export interface StartRequest {
    readonly workerPath: string | undefined;
    readonly startTimeout: number;
    readonly process: Partial<ProcessOptions>;
    readonly threads: PoolThreads | undefined;
    readonly listener: Omit<NativeListenOptions, 'process' | 'tls'>;
    readonly tls: TlsRequest | undefined;
    readonly cluster: ClusterRequest | undefined;
    readonly onWorker: ((event: WorkerEvent) => void) | undefined;
    readonly signal: AbortSignal | undefined;
}
export declare const START_OPTIONS: readonly ['bind', 'workerPath', 'threads', 'startTimeout', 'worker', 'handlers', 'handlerTimeout', 'ioThreads', 'path', 'protocols', 'maxPayload', 'handshakeTimeout', 'openTimeout', 'maxPendingUpgrades', 'maxHeaderSize', 'idleTimeout', 'pings', 'pingInterval', 'closeTimeout', 'maxBackpressure', 'overflow', 'maxSendMemory', 'maxReceiveMemory', 'maxInFlight', 'maxConnections', 'maxConnectionsPerIp', 'maxChannelsPerSocket', 'maxChannelNameLength', 'maxLifetime', 'rateLimit', 'origins', 'trustProxy', 'proxyProtocol', 'reusePort', 'perMessageDeflate', 'tls', 'onWorker', 'cluster', 'signal'];
/**
 * @param call who asks, for messages
 * @throws {TypeError | RangeError | WSBrokerError} naming the option, what was expected and what
 * came
 */
export declare function startRequest(options: unknown, call?: string): StartRequest;
/** @throws as {@link startRequest} */
export declare function shutdownRequest(options: unknown): {
    code: number;
    timeout: number;
};
