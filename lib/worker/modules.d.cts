import { WSBrokerError } from '../errors.cjs';
import { type Registration } from './register.cjs';
/**
 * The worker module's file, an extension added as `require` would.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_NOT_FOUND naming the path that was tried
 */
export declare function workerFile(path: string): string;
/** Why a module that did not load within this many milliseconds counts as failed. */
export declare function loadTimeout(file: string, timeout: number): WSBrokerError;
/**
 * Imports the module into this thread and makes the thread a worker with the handlers it exports,
 * unless it does so itself.
 *
 * @param timeout milliseconds for the import, 0 = no limit; what it calls at the top level of the
 * module cannot be interrupted from here
 * @param loaded called when the module has been imported, before its `handleStart` is waited for
 * @throws what the module throws, or its `handleStart`, or {@link loadTimeout}; then the thread is
 * no worker
 */
export declare function loadWorker(file: string, timeout?: number, loaded?: () => void): Promise<Registration>;
