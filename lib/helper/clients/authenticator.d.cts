import type { AnyRecord, Settings } from '../settings.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import type { Clients } from './clients.cjs';
import type { Rooms } from './rooms.cjs';
import type { Users } from './users.cjs';
/** What the authenticator uses. */
export interface AuthenticatorParts<A extends AnyRecord, M extends AnyRecord> {
    readonly settings: Settings<A, M>;
    readonly clients: Clients<M>;
    readonly users: Users<M>;
    readonly rooms: Rooms<A, M>;
    readonly log: IWebSocketLogger;
    instance(): Instance | undefined;
    /** Sends an error event. */
    sendError(client: IWebSocketClient<M>, text: string): void;
    encrypt(client: IWebSocketClient<M>): void;
    /** Does not throw. */
    send(client: IWebSocketClient<M>, event: string, data: unknown): void;
}
/**
 * Takes a client from its new socket to the end of authentication, in the order of
 * docs/design/helper.md. After each wait it checks that the client is still the same entry.
 */
export declare class Authenticator<A extends AnyRecord, M extends AnyRecord> {
    #private;
    constructor(parts: AuthenticatorParts<A, M>);
    /** Starts the time limit for `authenticate`. */
    startTimeLimit(client: IWebSocketClient<M>): void;
    authenticate(client: IWebSocketClient<M>, data: unknown): void;
}
