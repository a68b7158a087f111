import type { NativeRedis } from '../native.cjs';
/** With `servername`, the name that the server's certificate must be for. */
export declare const REDIS_TLS_OPTIONS_NAMED: readonly string[];
/**
 * @throws {TypeError | RangeError | WSBrokerError} an option is wrong; the message says which, what
 * was expected and what was given, but never shows a password
 */
export declare function checkRedisOptions(call: string, name: string, value: unknown, tlsOptions?: readonly string[]): NativeRedis;
export declare function text(call: string, name: string, value: unknown): string | undefined;
export declare function defined<K extends string, V>(name: K, value: V | undefined): {
    [key in K]?: V;
};
