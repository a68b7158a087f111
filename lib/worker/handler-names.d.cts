import { WSBrokerError } from '../errors.cjs';
export declare const HANDLER_NAMES: readonly ["handleOpen", "handleTextMessage", "handleBinaryMessage", "handleClose", "handleDrain", "handleStart", "handleStop", "onError"];
/**
 * Looks at what is there besides handlers.
 *
 * @param call who asks, for messages
 * @param holders where handlers were looked for: a module, its default export, an object
 * @param handlers what was found; `undefined` if there is nothing
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_HANDLER: a function has almost the name of a handler
 * that is not there; or there is no handler at all, but functions that other libraries would call
 */
export declare function checkNames(call: string, holders: readonly unknown[], handlers: object | undefined): void;
/**
 * Whether it is a class, whose methods only an instance has.
 *
 * @param handlers what was found elsewhere: a class beside it is refused only for a handler that is
 * missing there
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
