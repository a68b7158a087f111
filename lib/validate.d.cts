import { WSBrokerError, WSBrokerTypeError } from './errors.cjs';
import type { NativeListenOptions } from './native.cjs';
import type { WorkerEvent } from './types.cjs';
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
}
/** A `start` call that is allowed. */
export interface StartRequest {
    readonly workerPath: string | undefined;
    readonly process: Partial<ProcessOptions>;
    readonly listener: Omit<NativeListenOptions, 'process'>;
    readonly onWorker: ((event: WorkerEvent) => void) | undefined;
}
/** @throws {TypeError | WSBrokerError} naming the option, what was expected and what came */
export declare function startRequest(options: unknown): StartRequest;
/** @throws as {@link startRequest} */
export declare function shutdownRequest(options: unknown): {
    code: number;
    timeout: number;
};
/** An object whose every key is known. */
export declare function optionBag(call: string, name: string, value: unknown, known: readonly string[]): Record<string, unknown>;
/** RFC 9110, section 5.6.2. */
export declare function isHttpToken(text: string): boolean;
export declare function wrongType(call: string, name: string, expected: string, value: unknown): WSBrokerTypeError;
export declare function wrongValue(call: string, name: string, expected: string, value: string | number): WSBrokerError;
/** What kind of thing it is, never what it holds: that may be a secret. */
export declare function typeName(value: unknown): string;
/** The known name that is nearest, if it is near enough to be meant. */
export declare function nearest(name: string, known: readonly string[], farthest?: number): string | undefined;
