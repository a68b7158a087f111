import type { AnyRecord, Settings } from '../settings.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import type { Authenticator } from './authenticator.cjs';
import type { Clients } from './clients.cjs';
import type { Rooms } from './rooms.cjs';
/** What routing is made of. */
export interface MessageRouterParts<A extends AnyRecord, M extends AnyRecord> {
    readonly settings: Settings<A, M>;
    readonly clients: Clients<M>;
    readonly rooms: Rooms<A, M>;
    readonly auth: Authenticator<A, M>;
    readonly log: IWebSocketLogger;
    /** An error event. */
    sendError(client: IWebSocketClient<M>, text: string): void;
}
/** Messages of clients: sections 5 and G of the specification. */
export declare class MessageRouter<A extends AnyRecord, M extends AnyRecord> {
    #private;
    constructor(parts: MessageRouterParts<A, M>);
    /**
     * The text of a frame, or undefined if it is not to be looked at: the client was cut for going
     * over a limit.
     */
    admit(client: IWebSocketClient<M>, frame: unknown): string | undefined;
    route(client: IWebSocketClient<M>, raw: string): void;
}
