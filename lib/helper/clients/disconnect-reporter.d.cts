import type { HelperLifecycle } from '../helper-lifecycle.cjs';
import type { AnyRecord, Settings } from '../settings.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketLogger } from '../types.cjs';
/** What reporting disconnects needs. */
export interface DisconnectReporterParts<A extends AnyRecord, M extends AnyRecord> {
    readonly settings: Settings<A, M>;
    readonly life: HelperLifecycle;
    readonly log: IWebSocketLogger;
    instance(): Instance | undefined;
}
/**
 * Tells the application of clients that have gone: those of this helper, and those of a helper of
 * the instance whose worker has ended.
 */
export declare class DisconnectReporter<A extends AnyRecord, M extends AnyRecord> {
    #private;
    constructor(parts: DisconnectReporterParts<A, M>);
    tell(clientId: string, userId: string | undefined): void;
    /**
     * A helper of the instance has ended without reporting its clients. The others take them one by
     * one, so that each client is reported once, whatever happens to this one.
     */
    takeLeft(): void;
}
