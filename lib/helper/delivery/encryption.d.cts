import type { Clients } from '../clients/clients.cjs';
import type { AnyRecord, Settings } from '../settings.cjs';
import type { Instance, Transport } from '../transport/transport.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import type { Delivery } from './delivery.cjs';
/** What encrypting clients uses. */
export interface EncryptionParts<A extends AnyRecord, M extends AnyRecord> {
    readonly settings: Settings<A, M>;
    readonly clients: Clients<M>;
    readonly delivery: Delivery<A, M>;
    readonly transport: Transport;
    readonly log: IWebSocketLogger;
}
/** Takes clients out of their channels, whose messages are in clear, to be sent to one by one. */
export declare class Encryption<A extends AnyRecord, M extends AnyRecord> {
    #private;
    constructor(parts: EncryptionParts<A, M>);
    /** Once for each client: it cannot be undone. */
    begin(client: IWebSocketClient<M>): void;
    /** Tells the instance of an encrypted client. */
    enter(client: IWebSocketClient<M>, instance: Instance): void;
}
