import type { HandlerName } from '../types/worker-interface.cjs';
import { HANDLER_NAMES } from './handler-names.cjs';
import { type Scope } from '../async-scope.cjs';
/** What the addon needs to know of a worker: events of other kinds never cross. */
export declare const MASK: {
    readonly open: 1;
    readonly text: 2;
    readonly binary: 4;
    readonly close: 8;
    readonly drain: 16;
};
type Handler = (...args: unknown[]) => unknown;
/** A worker's handlers, looked up once: later changes of the user's object have no effect. */
export interface HandlerTable extends Readonly<Record<Exclude<(typeof HANDLER_NAMES)[number], 'onError'>, Handler | undefined>> {
    /** `this` of each handler: the object they came from. */
    readonly self: unknown;
    readonly mask: number;
    /** That of the registration. */
    readonly scope: Scope;
    /** Never throws and leaves no rejection behind. */
    report(error: unknown, handler: HandlerName, socketId: number | undefined): void;
}
/** Whether the value looks like something that holds handlers. */
export declare function hasHandlers(value: unknown): value is Record<string, unknown>;
/**
 * @param holders where the handlers were found, which may hold misspelt ones besides
 * @throws {TypeError} naming the handler that is no function
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_HANDLER: a handler is misspelt
 */
export declare function handlerTable(call: string, handlers: unknown, holders?: readonly unknown[]): HandlerTable;
export {};
