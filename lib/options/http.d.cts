import type { Server as HttpServer } from 'node:http';
import type { NativeHttp } from '../native.cjs';
/** What is called for each request, such as an Express application. */
export type RequestFunction = (request: never, response: never) => unknown;
/** Where requests go that are not answered by `answers`. */
export type HttpTarget = {
    readonly kind: 'server';
    readonly server: HttpServer;
} | {
    readonly kind: 'function';
    readonly handle: RequestFunction;
} | {
    readonly kind: 'address';
    readonly forward: string;
};
/** `http`, `answers` and what goes with them, checked. */
export interface CheckedHttpOptions {
    readonly native: Omit<NativeHttp, 'forward' | 'identity'>;
    readonly target: HttpTarget | undefined;
}
export declare const HTTP_OPTIONS: readonly ['answers', 'http', 'forwardUpgrades', 'keepAliveTimeout', 'requestTimeout', 'forwardTimeout'];
/** What to pass instead of a function of the Fetch API. */
export declare const FETCH_HINT: string;
/**
 * @param paths the paths that are served
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong
 */
export declare function checkHttpOptions(call: string, bag: Record<string, unknown>, paths: readonly string[]): CheckedHttpOptions | undefined;
/** @throws {RangeError} it listens already */
export declare function checkNotListening(call: string, server: HttpServer): void;
