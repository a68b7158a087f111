import type { Message } from '../delivery/message.cjs';
import type { IWebSocketLogger, TWebSocketMessageType } from '../types.cjs';
import type { Bus } from './bus.cjs';
/** The four ways of sending on this instance, for messages from Redis. */
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
/** Sends envelopes to other instances, delivers theirs, and counts those that fail. */
export declare class EnvelopeRelay {
    #private;
    constructor(parts: EnvelopeRelayParts);
    get refused(): number;
    get failed(): number;
    get invalid(): number;
    /** Does not wait, and does not throw: failures are counted and logged. */
    publish(channel: string, type: TWebSocketMessageType, target: string | undefined, message: Message): void;
    /** The publisher is ready again: logs refusals that have not been logged yet. */
    settle(): void;
    /** Delivers a text from Redis: by its type, not by its channel. It is never published again. */
    receive(text: string): void;
}
