import type { AnyRecord, Settings } from '../settings.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import type { Clients } from './clients.cjs';
import type { Rooms } from './rooms.cjs';
import type { Users } from './users.cjs';
/** What authentication is made of. */
export interface AuthenticatorParts<A extends AnyRecord, M extends AnyRecord> {
    readonly settings: Settings<A, M>;
    readonly clients: Clients<M>;
    readonly users: Users<M>;
    readonly rooms: Rooms<A, M>;
    readonly log: IWebSocketLogger;
    instance(): Instance | undefined;
    /** An error event. */
    sendError(client: IWebSocketClient<M>, text: string): void;
    encrypt(client: IWebSocketClient<M>): void;
    /** Does not throw. */
    send(client: IWebSocketClient<M>, event: string, data: unknown): void;
}
/**
 * From a new socket to a client that is finished: sections 6 and 7 of the specification. Behind
 * each wait the entry must be the same.
 */
export declare class Authenticator<A extends AnyRecord, M extends AnyRecord> {
    #private;
    constructor(parts: AuthenticatorParts<A, M>);
    /** Starts the time in which `authenticate` must come. */
    await(client: IWebSocketClient<M>): void;
    authenticate(client: IWebSocketClient<M>, data: unknown): void;
}
