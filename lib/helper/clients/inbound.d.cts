import type { Auth } from './auth.cjs';
import type { Clients } from './clients.cjs';
import type { Rooms } from './rooms.cjs';
import type { Settings } from '../settings.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
type Bag = Record<string, unknown>;
/** What routing is made of. */
export interface InboundParts<A extends Bag, M extends Bag> {
    readonly settings: Settings<A, M>;
    readonly clients: Clients<M>;
    readonly rooms: Rooms<A, M>;
    readonly auth: Auth<A, M>;
    readonly log: IWebSocketLogger;
    /** An error event. */
    complain(client: IWebSocketClient<M>, text: string): void;
}
/** Messages of clients: sections 5 and G of the specification. */
export declare class Inbound<A extends Bag, M extends Bag> {
    #private;
    constructor(parts: InboundParts<A, M>);
    /**
     * The text of a frame, or undefined if it is not to be looked at: the client was cut for going
     * over a limit.
     */
    admit(client: IWebSocketClient<M>, frame: unknown): string | undefined;
    route(client: IWebSocketClient<M>, raw: string): void;
}
export {};
