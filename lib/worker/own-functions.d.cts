/**
 * Functions of this package whose names other libraries use for handlers: a module that passes them
 * on means no handler.
 */
export declare const ownFunctions: WeakSet<object>;
