import { WSBrokerError } from '../errors.cjs';
import { type Registration } from './register.cjs';
/** The error of a module that did not load in time. */
export declare function loadTimeoutError(file: string, timeout: number): WSBrokerError;
/**
 * Imports the module into this thread and makes the thread a worker with the handlers it exports,
 * unless the module has done so itself.
 *
 * @param timeout how long the import may take, in milliseconds; 0: no limit. Synchronous code
 * cannot be interrupted from here
 * @param loaded called when the module has been imported, before its `handleStart` is awaited
 * @throws what the module or its `handleStart` throws, or {@link loadTimeoutError}; then the thread
 * is not a worker
 */
export declare function loadWorker(file: string, timeout?: number, loaded?: () => void): Promise<Registration>;
