import type { HelperLifecycle } from '../helper-lifecycle.cjs';
import type { AnyRecord, Settings } from '../settings.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketLogger } from '../types.cjs';
/** What the reporter uses. */
export interface DisconnectReporterParts<A extends AnyRecord, M extends AnyRecord> {
    readonly settings: Settings<A, M>;
    readonly lifecycle: HelperLifecycle;
    readonly log: IWebSocketLogger;
    instance(): Instance | undefined;
}
/**
 * Calls `clientDisconnectedFn` for clients that have gone: those of this helper, and those of
 * another helper of the instance whose worker has ended.
 */
export declare class DisconnectReporter<A extends AnyRecord, M extends AnyRecord> {
    #private;
    constructor(parts: DisconnectReporterParts<A, M>);
    report(clientId: string, userId: string | undefined): void;
    /**
     * Another helper of the instance has ended without reporting its clients. The remaining helpers
     * take them one by one, so that each client is reported once even if this helper ends, too.
     */
    takeLeft(): void;
}
