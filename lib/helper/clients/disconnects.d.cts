import type { Life } from '../helper-lifecycle.cjs';
import type { Settings } from '../settings.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketLogger } from '../types.cjs';
type Bag = Record<string, unknown>;
/** What reporting disconnects needs. */
export interface DisconnectsParts<A extends Bag, M extends Bag> {
    readonly settings: Settings<A, M>;
    readonly life: Life;
    readonly log: IWebSocketLogger;
    instance(): Instance | undefined;
}
/**
 * Tells the application of clients that have gone: those of this helper, and those of a helper of
 * the instance whose worker has ended.
 */
export declare class Disconnects<A extends Bag, M extends Bag> {
    #private;
    constructor(parts: DisconnectsParts<A, M>);
    tell(clientId: string, userId: string | undefined): void;
    /**
     * A helper of the instance has ended without reporting its clients. The others take them one by
     * one, so that each client is reported once, whatever happens to this one.
     */
    takeLeft(): void;
}
export {};
