import { Gate } from './gate.cjs';
import type { ServerMessage } from './messages.cjs';
/** A subscription that is being decided. */
export interface Subscribing {
    /** The client has unsubscribed meanwhile. */
    cancelled: boolean;
}
/** A connection that has said hello. */
export declare class ChannelsClient {
    readonly id: number;
    /** Made by the client at random, and known to nobody else. */
    readonly client: string;
    token: string | undefined;
    /** It has closed, or is being closed. */
    ended: boolean;
    /** Publishes and requests that are not answered yet. */
    inHand: number;
    readonly gate: Gate;
    readonly subscribing: Map<string, Subscribing>;
    /** How many of them have not come to an end, the cancelled included: those wait as well. */
    deciding: number;
    /** The last publish on its way, by channel: they keep their order. */
    readonly publishing: Map<string, Promise<void>>;
    constructor(id: number, client: string, token: string | undefined);
    send(message: ServerMessage): void;
    close(code: number, reason: string): void;
    /**
     * The id of a publish, so that no sender can suppress the message of another. A client's id has
     * no space, so the last one ends the sender.
     */
    publishId(sender: string | undefined, id: string): string;
}
