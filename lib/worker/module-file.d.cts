/**
 * The worker module's file. An extension is added as `require` would.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_NOT_FOUND, with the path that was tried
 */
export declare function findModuleFile(path: string): string;
