import type { IWebSocketLogger } from './types.cjs';
/** What the server helper and its emitter have in common. */
export declare abstract class HelperBase {
    identifier: string;
    /** The name of the class. */
    scope: string;
    logger: IWebSocketLogger;
    constructor(scope: string, identifier: string, logger: IWebSocketLogger | null | undefined);
    getIdentifier(): string;
    getLogger(): IWebSocketLogger;
    abstract configure(): Promise<void>;
    abstract shutdown(): Promise<void>;
}
