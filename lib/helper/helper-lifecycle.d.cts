import { WSBrokerError } from '../errors.cjs';
/**
 * `configure()` and `shutdown()`: each runs once, `configure()` can be tried again after it has
 * failed, and `shutdown()` ends a `configure()` that is under way.
 */
export declare class HelperLifecycle {
    #private;
    constructor(scope: string);
    get ended(): boolean;
    shutDownError(): WSBrokerError;
    /** @throws {WSBrokerError} ERR_WSBROKER_SHUT_DOWN */
    check(): void;
    /**
     * `steps` start before this returns. After a rejection and its `undo` it can be called again.
     * After `shutdown` there is nothing left to undo.
     */
    configure(steps: () => Promise<void>, undo: () => Promise<void>): Promise<void>;
    /**
     * Returns the same promise each time, which does not reject. `end` starts before this returns,
     * and may call it again.
     */
    shutdown(end: () => Promise<void>): Promise<void>;
}
