import type { AnyRecord, Settings } from '../settings.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import type { Clients } from './clients.cjs';
/** Which clients a room has, and what clients may say about it. */
export declare class Rooms<A extends AnyRecord, M extends AnyRecord> {
    #private;
    constructor(settings: Settings<A, M>, clients: Clients<M>, instance: () => Instance | undefined, log: IWebSocketLogger);
    /** Any name, in any state; twice does no harm. */
    join(client: IWebSocketClient<M>, room: string): void;
    leave(client: IWebSocketClient<M>, room: string): void;
    /** Of a client that has gone: its socket is left alone. */
    forget(client: IWebSocketClient<M>): void;
    of(room: string): IWebSocketClient<M>[];
    count(room: string): number;
    has(client: IWebSocketClient<M>, room: string): boolean;
    clear(): void;
    /**
     * The `join` of a client: what it asks for, as far as the application allows it. Never answered.
     */
    joinAsked(client: IWebSocketClient<M>, data: unknown): void;
    /** The `leave` of a client: only rooms that it is in. Never answered. */
    leaveAsked(client: IWebSocketClient<M>, data: unknown): void;
}
