export declare const SERVER_HELPER_OPTIONS: readonly string[];
export declare const EMITTER_OPTIONS: readonly string[];
/**
 * Checks the names of the options, and returns the options unchanged.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: the options are not an object
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist; the message names
 * the most similar one
 */
export declare function knownOptions<T extends object>(scope: string, options: T, known: readonly string[]): T;
