import type { Clients } from './clients.cjs';
import type { Rooms } from './rooms.cjs';
import type { Settings } from '../settings.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import type { Users } from './users.cjs';
type Bag = Record<string, unknown>;
/** What authentication is made of. */
export interface AuthParts<A extends Bag, M extends Bag> {
    readonly settings: Settings<A, M>;
    readonly clients: Clients<M>;
    readonly users: Users<M>;
    readonly rooms: Rooms<A, M>;
    readonly log: IWebSocketLogger;
    instance(): Instance | undefined;
    /** An error event. */
    complain(client: IWebSocketClient<M>, text: string): void;
    encrypt(client: IWebSocketClient<M>): void;
    /** Does not throw. */
    send(client: IWebSocketClient<M>, event: string, data: unknown): void;
}
/**
 * From a new socket to a client that is finished: sections 6 and 7 of the specification. Behind
 * each wait the entry must be the same.
 */
export declare class Auth<A extends Bag, M extends Bag> {
    #private;
    constructor(parts: AuthParts<A, M>);
    /** Starts the time in which `authenticate` must come. */
    await(client: IWebSocketClient<M>): void;
    authenticate(client: IWebSocketClient<M>, data: unknown): void;
}
export {};
