import type { AnyRecord, Settings } from '../settings.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import type { Authenticator } from './authenticator.cjs';
import type { Clients } from './clients.cjs';
import type { Rooms } from './rooms.cjs';
/** What the router uses. */
export interface MessageRouterParts<A extends AnyRecord, M extends AnyRecord> {
    readonly settings: Settings<A, M>;
    readonly clients: Clients<M>;
    readonly rooms: Rooms<A, M>;
    readonly auth: Authenticator<A, M>;
    readonly log: IWebSocketLogger;
    /** Counts how long a call of `messageHandler` took, in milliseconds. */
    messageHandled(milliseconds: number): void;
    /** Sends an error event. */
    sendError(client: IWebSocketClient<M>, text: string): void;
}
/** Decides what happens to a message of a client, as docs/design/helper.md says. */
export declare class MessageRouter<A extends AnyRecord, M extends AnyRecord> {
    #private;
    constructor(parts: MessageRouterParts<A, M>);
    /**
     * The text of a frame, or undefined if the client was closed because of a limit.
     */
    admit(client: IWebSocketClient<M>, frame: unknown): string | undefined;
    route(client: IWebSocketClient<M>, raw: string): void;
}
