import { type Registration } from './register.cjs';
/**
 * The worker module's file, an extension added as `require` would.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_NOT_FOUND naming the path that was tried
 */
export declare function workerFile(path: string): string;
/**
 * Imports the module into this thread and makes the thread a worker with the handlers it exports, unless it does so itself.
 *
 * @throws what the module throws, or its `handleStart`; then the thread is no worker
 */
export declare function loadWorker(file: string): Promise<Registration>;
