/**
 * The file that the threads of the pool run.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED: it is missing, because a bundle has only its
 * own files
 */
export declare function threadFile(): string;
