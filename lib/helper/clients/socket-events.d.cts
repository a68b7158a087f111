import type { AnyRecord } from '../settings.cjs';
import type { IBunWebSocketHandler, IWebSocket, IWebSocketLogger } from '../types.cjs';
import type { Clients } from './clients.cjs';
import type { MessageRouter } from './message-router.cjs';
/** What the events of sockets lead to: the functions of the helper that an application may call. */
export interface SocketEventsParts<A extends AnyRecord, M extends AnyRecord> {
    readonly clients: Clients<M>;
    readonly inbound: MessageRouter<A, M>;
    readonly log: IWebSocketLogger;
    connected(clientId: string, socket: IWebSocket): void;
    message(clientId: string, raw: string): void;
    disconnected(clientId: string): void;
}
/** From events of sockets to events of clients. A socket names its client in `data.clientId`. */
export declare class SocketEvents<A extends AnyRecord, M extends AnyRecord> {
    #private;
    readonly handler: Pick<IBunWebSocketHandler, 'open' | 'message' | 'close' | 'drain'>;
    constructor(parts: SocketEventsParts<A, M>);
    /** From now on this socket's events do not concern the client with its id. */
    refuse(socket: IWebSocket): void;
    /** Undoes {@link refuse}. */
    admit(socket: IWebSocket): void;
}
