import type { Clients } from '../clients/clients.cjs';
import type { Rooms } from '../clients/rooms.cjs';
import type { Users } from '../clients/users.cjs';
import type { AnyRecord, Settings } from '../settings.cjs';
import type { HelperOperation, Transport } from '../transport/transport.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import { Message } from './message.cjs';
/** What delivery is made of. */
export interface DeliveryParts<A extends AnyRecord, M extends AnyRecord> {
    readonly settings: Settings<A, M>;
    readonly clients: Clients<M>;
    readonly users: Users<M>;
    readonly rooms: Rooms<A, M>;
    readonly transport: Transport;
    readonly log: IWebSocketLogger;
}
/** Sends to clients of this instance: section 10 of the specification. */
export declare class Delivery<A extends AnyRecord, M extends AnyRecord> {
    #private;
    constructor(parts: DeliveryParts<A, M>);
    get framesDropped(): number;
    /** @throws {TypeError} the data cannot be serialised, and the text is needed now */
    toClient(clientId: string, message: Message): void;
    /** @throws as {@link toClient} */
    toUser(userId: unknown, message: Message): void;
    /** @throws as {@link toClient} */
    toRoom(room: string, message: Message, exclude: unknown): void;
    /** @throws as {@link toClient} */
    toAll(message: Message, exclude: unknown): void;
    /** What another helper of the instance asks to be sent to clients here. */
    receive(operation: HelperOperation & {
        readonly op: 'publish' | 'send';
    }): void;
    /** From now on it is served singly. */
    hold(client: IWebSocketClient<M>): void;
    forget(client: IWebSocketClient<M>): void;
    /** Counts a message that will not arrive. */
    drop(count?: number): void;
    /** The transport has dropped messages, and says so again when it is asked to. */
    transportDropped(): void;
}
