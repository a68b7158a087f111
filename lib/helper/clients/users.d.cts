import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketClient } from '../types.cjs';
import type { Clients } from './clients.cjs';
/** The clients of each user, by `String(userId)`. */
export declare class Users<M extends Record<string, unknown>> {
    #private;
    constructor(clients: Clients<M>, instance: () => Instance | undefined);
    add(client: IWebSocketClient<M>): void;
    /** The instance is not told: `removeClient` removes all memberships. */
    remove(client: IWebSocketClient<M>): void;
    of(userId: unknown): IWebSocketClient<M>[];
    clear(): void;
}
