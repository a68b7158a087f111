import type { Subscription } from 'rxjs' with { 'resolution-mode': 'import' };
import type { Data, SendResult } from '../types/messages.cjs';
import type { OpenRequest } from '../types/worker-interface.cjs';
/** Where events are published to. */
export interface NestTarget {
    /** Publishes `{ event, data }` as JSON. Returns the number of subscribers, as `sendToChannel`. */
    emit(event: string, data?: unknown): number;
}
/** What handlers of a gateway get as their client: `@ConnectedSocket()`. */
export declare class NestClient {
    #private;
    /** The connection's id in wsbroker, for its functions. */
    readonly id: number;
    /** The upgrade request. */
    readonly request: OpenRequest;
    /** For the application. */
    readonly data: Record<string, unknown>;
    /** @internal */
    readonly path: string;
    /** What handlers return and has not ended. @internal */
    readonly subscriptions: Set<Subscription>;
    /** @internal */
    readonly bound: ((message: NestMessage) => void)[];
    /** @internal */
    readonly onClose: ((reason: string) => void)[];
    /** @internal */
    constructor(id: number, request: OpenRequest, path: string);
    /** 1: open. 2: closing. 3: closed. */
    get readyState(): number;
    /** A string is sent as a text message, bytes as a binary message. Returns what `send` returns. */
    send(data: Data): SendResult;
    /** Sends `{ event, data }` as JSON. */
    emit(event: string, data?: unknown): SendResult;
    /**
     * Adds the client to a room of its gateway. Rooms are channels: they span threads and instances.
     */
    join(room: string): void;
    leave(room: string): void;
    /** Everyone in a room but this client. */
    to(room: string): NestTarget;
    /** Everyone connected to the gateway but this client. */
    get broadcast(): NestTarget;
    close(code?: number, reason?: string): void;
    terminate(): void;
    /** With what the connection was closed, as `handleClose` has it; `undefined` until then. */
    get closeCode(): number | undefined;
    /** @internal */
    ended(code: number, reason: string): void;
}
/** A message for handlers of a gateway. */
export interface NestMessage {
    readonly event: unknown;
    readonly data?: unknown;
}
/** What a gateway gets as `@WebSocketServer()`. */
export declare class NestServer implements NestTarget {
    readonly path: string;
    /** The clients that are connected to this thread. */
    readonly clients: Set<NestClient>;
    /** @internal */
    readonly onConnection: ((client: NestClient, request: OpenRequest) => void)[];
    /** @internal */
    constructor(path: string);
    /** To everyone connected to the gateway, on all threads and instances. */
    emit(event: string, data?: unknown): number;
    /** To everyone in a room. */
    to(room: string): NestTarget;
}
