import type { NativeRedis } from './native.cjs';
/** @throws {TypeError | WSBrokerError} naming the option, what was expected and what came; never a password */
export declare function redisRequest(call: string, name: string, value: unknown): NativeRedis;
export declare function text(call: string, name: string, value: unknown): string | undefined;
export declare function defined<K extends string, V>(name: K, value: V | undefined): {
    [key in K]?: V;
};
