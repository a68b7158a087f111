import type { Delivery } from '../delivery/delivery.cjs';
import type { Encryption } from '../delivery/encryption.cjs';
import type { AnyRecord } from '../settings.cjs';
import type { HelperOperation, Instance, Transport } from '../transport/transport.cjs';
import type { IWebSocketLogger } from '../types.cjs';
import type { Clients } from './clients.cjs';
import type { Rooms } from './rooms.cjs';
/** What a helper needs to work with others in its instance. */
export interface InstanceMemberParts<A extends AnyRecord, M extends AnyRecord> {
    readonly clients: Clients<M>;
    readonly rooms: Rooms<A, M>;
    readonly delivery: Delivery<A, M>;
    readonly encryption: Encryption<A, M>;
    readonly transport: Transport;
    readonly log: IWebSocketLogger;
}
/** The helper among those that share its instance: each has clients of its own. */
export declare class InstanceMember<A extends AnyRecord, M extends AnyRecord> {
    #private;
    constructor(parts: InstanceMemberParts<A, M>);
    /** Registers the clients that were here before the instance was joined. */
    enter(instance: Instance): void;
    /** For a client of any helper of the instance. */
    changeRoom(op: 'join' | 'leave', { clientId, room }: {
        clientId: string;
        room: string;
    }): void;
    /** Does what another helper asks for. Does not throw. */
    receive(operation: HelperOperation): void;
}
