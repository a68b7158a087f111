import type { EnvelopeRelay } from '../bus/envelope-relay.cjs';
import type { Clients } from '../clients/clients.cjs';
import type { Rooms } from '../clients/rooms.cjs';
import type { HelperLifecycle } from '../helper-lifecycle.cjs';
import type { AnyRecord } from '../settings.cjs';
import type { Transport } from '../transport/transport.cjs';
import type { Delivery } from './delivery.cjs';
/** What sending to all instances uses. */
export interface EverywhereParts<A extends AnyRecord, M extends AnyRecord> {
    readonly lifecycle: HelperLifecycle;
    readonly clients: Clients<M>;
    readonly rooms: Rooms<A, M>;
    readonly delivery: Delivery<A, M>;
    readonly transport: Transport;
    readonly relay: EnvelopeRelay;
}
/** Sends to clients of all instances: here by `Delivery`, to others through Redis. */
export declare class Everywhere<A extends AnyRecord, M extends AnyRecord> {
    #private;
    constructor(parts: EverywhereParts<A, M>);
    /**
     * To the client or the room of that name, or without `destination` to all authenticated clients.
     *
     * @throws {TypeError} the data cannot be serialized
     */
    send(destination: string | undefined, event: string, data: unknown): void;
}
