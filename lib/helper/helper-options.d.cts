export declare const SERVER_HELPER_OPTIONS: readonly string[];
export declare const EMITTER_OPTIONS: readonly string[];
/**
 * The options as they came.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: no object
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option that does not exist; names the
 * nearest one that does
 */
export declare function knownOptions<T extends object>(scope: string, options: T, known: readonly string[]): T;
