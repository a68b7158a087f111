import type { IWebSocketLogger, TWebSocketMessageType } from '../types.cjs';
import type { Bus } from './bus.cjs';
/** What can be done with a message from Redis: the four ways of sending, on this instance. */
export interface LocalDelivery {
    client(opts: {
        clientId: string;
        event: string;
        data: unknown;
    }): void;
    user(opts: {
        userId: string;
        event: string;
        data: unknown;
    }): void;
    room(opts: {
        room: string;
        event: string;
        data: unknown;
        exclude?: string[];
    }): void;
    broadcast(opts: {
        event: string;
        data: unknown;
        exclude?: string[];
    }): void;
}
export interface EnvelopeRelayParts {
    readonly bus: Bus;
    readonly log: IWebSocketLogger;
    readonly deliver: LocalDelivery;
    serverId(): string;
}
/** Between this instance and the others: envelopes out and in, and what became of them. */
export declare class EnvelopeRelay {
    #private;
    constructor(parts: EnvelopeRelayParts);
    get refused(): number;
    get failed(): number;
    get invalid(): number;
    /** Not awaited, and does not throw: a failure is counted and logged. */
    publish(channel: string, type: TWebSocketMessageType, sent: {
        target?: string | undefined;
        event: string;
        data: unknown;
    }): void;
    /** The publisher is there: what was refused meanwhile and not said yet is said. */
    settle(): void;
    /** Text from a channel of ours. By its type, not by its channel, and never passed on. */
    receive(text: string): void;
}
