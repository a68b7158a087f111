import type { AnyRecord, Settings } from '../settings.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import type { Clients } from './clients.cjs';
/** The members of rooms, and the requests of clients to join and leave them. */
export declare class Rooms<A extends AnyRecord, M extends AnyRecord> {
    #private;
    constructor(settings: Settings<A, M>, clients: Clients<M>, instance: () => Instance | undefined, log: IWebSocketLogger);
    /** Adds a client to a room with any name, in any state. Joining twice has no effect. */
    join(client: IWebSocketClient<M>, room: string): void;
    leave(client: IWebSocketClient<M>, room: string): void;
    /** Removes a client that has gone. Its socket is not touched. */
    forget(client: IWebSocketClient<M>): void;
    of(room: string): IWebSocketClient<M>[];
    count(room: string): number;
    has(client: IWebSocketClient<M>, room: string): boolean;
    clear(): void;
    /**
     * Handles the `join` of a client: joins the rooms that the application allows. There is no
     * response.
     */
    joinAsked(client: IWebSocketClient<M>, data: unknown): void;
    /** Handles the `leave` of a client. There is no response. */
    leaveAsked(client: IWebSocketClient<M>, data: unknown): void;
}
