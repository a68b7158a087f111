import { WSBrokerError } from '../errors.cjs';
/**
 * `configure()` and `shutdown()`: what is done once, what can be tried again, and what ends what.
 */
export declare class HelperLifecycle {
    #private;
    constructor(scope: string);
    get ended(): boolean;
    shutDownError(): WSBrokerError;
    /** @throws {WSBrokerError} ERR_WSBROKER_SHUT_DOWN */
    check(): void;
    /**
     * `steps` begin before this returns. A rejection is forgotten when `undo` is through; after
     * `shutdown` nothing is left to undo here.
     */
    configure(steps: () => Promise<void>, undo: () => Promise<void>): Promise<void>;
    /**
     * The same promise each time; it does not reject. `end` begins before this returns, and may call
     * it again.
     */
    shutdown(end: () => Promise<void>): Promise<void>;
}
