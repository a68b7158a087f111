import { native } from '../native/load.cjs';

/**
 * Functions of this package whose names other libraries use for handlers: a module that passes them
 * on means no handler.
 */
export const ownFunctions = new WeakSet<object>([native.close]);
