import type { Clients } from '../clients/clients.cjs';
import type { Rooms } from '../clients/rooms.cjs';
import type { Users } from '../clients/users.cjs';
import type { AnyRecord, Settings } from '../settings.cjs';
import type { HelperOperation, Transport } from '../transport/transport.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import { Message } from './message.cjs';
/** What delivery uses. */
export interface DeliveryParts<A extends AnyRecord, M extends AnyRecord> {
    readonly settings: Settings<A, M>;
    readonly clients: Clients<M>;
    readonly users: Users<M>;
    readonly rooms: Rooms<A, M>;
    readonly transport: Transport;
    readonly log: IWebSocketLogger;
}
/** Sends to clients of this instance, as docs/design/helper.md says. */
export declare class Delivery<A extends AnyRecord, M extends AnyRecord> {
    #private;
    constructor(parts: DeliveryParts<A, M>);
    get framesDropped(): number;
    /** @throws {TypeError} the data cannot be serialized, and its text is needed at once */
    toClient(clientId: string, message: Message): void;
    /** @throws as {@link toClient} */
    toUser(userId: unknown, message: Message): void;
    /** @throws as {@link toClient} */
    toRoom(room: string, message: Message, exclude: unknown): void;
    /** @throws as {@link toClient} */
    toAll(message: Message, exclude: unknown): void;
    /** Sends to clients here what another helper of the instance asks for. */
    receive(operation: HelperOperation & {
        readonly op: 'publish' | 'send';
    }): void;
    /** From now on this client is sent to individually. */
    hold(client: IWebSocketClient<M>): void;
    forget(client: IWebSocketClient<M>): void;
    /** Counts messages that will not arrive. */
    drop(count?: number): void;
    /** The transport has dropped messages. It reports that again only when it is asked to. */
    transportDropped(): void;
}
