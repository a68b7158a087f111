import { inspect } from 'node:util';
import type { Hooks } from 'crossws' with { 'resolution-mode': 'import' };
import type { SendResult } from '../types/messages.cjs';
/** What a peer is made of. */
export interface PeerParts {
    readonly socketId: number;
    readonly remoteAddress: string;
    readonly request: Request;
    readonly context: Record<string, unknown>;
    readonly namespace: string;
    readonly protocol: string;
    /** The hooks that were resolved for this connection. */
    readonly resolved: Partial<Hooks> | undefined;
}
/** A connection, as hooks see it: the `Peer` of crossws. */
export declare class CrosswsPeer {
    #private;
    /** The connection's id in wsbroker, for its functions. */
    readonly socketId: number;
    readonly remoteAddress: string;
    readonly request: Request;
    readonly context: Record<string, unknown>;
    readonly namespace: string;
    /** This thread's peers of the same namespace. */
    peers: Set<CrosswsPeer>;
    readonly topics: Set<string>;
    readonly websocket: CrosswsSocket;
    /** @internal */
    readonly resolved: Partial<Hooks> | undefined;
    constructor(parts: PeerParts);
    /** A random UUID: unique in all threads and instances. */
    get id(): string;
    get bufferedAmount(): number;
    /** Returns what {@link send} of wsbroker returns. */
    send(data: unknown, options?: {
        readonly compress?: boolean;
    }): SendResult;
    subscribe(topic: string): void;
    unsubscribe(topic: string): void;
    /** To the subscribers in this namespace on all threads and instances, but not to this peer. */
    publish(topic: string, data: unknown, options?: {
        readonly compress?: boolean;
    }): void;
    close(code?: number, reason?: string): void;
    terminate(): void;
    /** Pings are sent by wsbroker itself (`idleTimeout`). */
    ping(): void;
    /**
     * Resolves when no more than `threshold` bytes wait to be sent, or the connection has ended.
     * Rejects with the reason of `signal` when that is aborted.
     */
    waitForDrain(options?: {
        readonly threshold?: number;
        readonly pollInterval?: number;
        readonly signal?: AbortSignal;
    }): Promise<void>;
    toString(): string;
    [Symbol.toPrimitive](): string;
    get [Symbol.toStringTag](): string;
    [inspect.custom](): unknown;
}
/** `peer.websocket`: what of the `WebSocket` of browsers makes sense on a server. */
export declare class CrosswsSocket {
    #private;
    /** The form of `message.data`. Undefined: as the message came. */
    binaryType: string | undefined;
    constructor({ socketId, request, protocol }: PeerParts);
    /** 1: open. 2: closing. 3: closed. */
    get readyState(): number;
    /** The subprotocol; if none was chosen, what the client has offered, as crossws has it. */
    get protocol(): string;
    /** What the client has offered, as crossws has it. */
    get extensions(): string;
    get url(): string;
    get bufferedAmount(): number;
    send(data: unknown, options?: {
        readonly compress?: boolean;
    }): SendResult;
    close(code?: number, reason?: string): void;
    terminate(): void;
    /** @internal */
    ended(): void;
}
