import { type AsyncScope } from '../async-scope.cjs';
import type { HandlerName } from '../types/worker-interface.cjs';
import { HANDLER_NAMES } from './handler-names.cjs';
/**
 * Which events the addon sends to a worker: those that have a handler. `pinned`: its connections
 * are closed with 1012 when it ends, instead of moving to another worker. `forget`: it hears of the
 * end of sockets that have had a token, whether or not it has a handler for that.
 */
export declare const MASK: {
    readonly open: 1;
    readonly text: 2;
    readonly binary: 4;
    readonly close: 8;
    readonly drain: 16;
    readonly pinned: 32;
    readonly lost: 64;
    readonly forget: 128;
};
/**
 * A property of handlers that keep what they know of connections on their thread. If it is `true`
 * the worker is pinned: see {@link MASK}.
 */
export declare const PINNED: unique symbol;
type Handler = (...args: unknown[]) => unknown;
/** A worker's handlers. They are looked up once: later changes of the object have no effect. */
export interface HandlerTable extends Readonly<Record<Exclude<(typeof HANDLER_NAMES)[number], 'onError'>, Handler | undefined>> {
    /** The `this` of each handler: the object they came from. */
    readonly self: unknown;
    readonly mask: number;
    /** The async context of the registration. */
    readonly scope: AsyncScope;
    /** Never throws, and leaves no rejection unhandled. */
    report(error: unknown, handler: HandlerName, socketId: number | undefined): void;
}
/** Whether the value has a property with the name of a handler. */
export declare function hasHandlers(value: unknown): value is Record<string, unknown>;
/**
 * @param holders where the handlers were found; misspelled ones are looked for there
 * @throws {TypeError} a handler is not a function; the message names it
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_HANDLER: a handler is misspelled
 */
export declare function handlerTable(call: string, handlers: unknown, holders?: readonly unknown[]): HandlerTable;
export {};
