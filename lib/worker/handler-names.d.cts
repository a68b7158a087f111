import { WSBrokerError } from '../errors.cjs';
export declare const HANDLER_NAMES: readonly ["handleOpen", "handleTextMessage", "handleBinaryMessage", "handleClose", "handleDrain", "handleLost", "handleStart", "handleStop", "onError"];
/**
 * Looks for functions that were meant to be handlers.
 *
 * @param call the name of the call, for messages
 * @param holders where handlers were looked for: a module, its default export, an object
 * @param handlers the handlers that were found; `undefined` if there are none
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_HANDLER: a function has almost the name of a handler
 * that is missing; or there is no handler, only functions with the names that other libraries use
 */
export declare function checkNames(call: string, holders: readonly unknown[], handlers: object | undefined): void;
/**
 * Whether the value is a class that has the handlers as methods of its instances.
 *
 * @param handlers handlers that were found elsewhere: then a class counts only if it has one that
 * is missing there
 */
export declare function isClassOfHandlers(value: unknown, handlers: object | undefined): value is {
    readonly name: string;
};
/** For a default export. */
export declare function classExported(call: string, { name }: {
    readonly name: string;
}): WSBrokerError;
/** For an argument. */
export declare function classGiven(call: string, { name }: {
    readonly name: string;
}): TypeError;
