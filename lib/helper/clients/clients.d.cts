import type { TransformQueue } from '../delivery/transform-queue.cjs';
import type { IWebSocket, IWebSocketClient } from '../types.cjs';
/** The helper's own state of a client. */
export interface ClientInternals {
    /** Authentication is complete: it is a member of its rooms, and `connected` may be sent. */
    finished: boolean;
    /** How many frames came before that. */
    frames: number;
    /** It was closed because of a limit: its frames are no longer read. */
    cut: boolean;
    /** The user by which it is indexed. */
    user: string | undefined;
    /** How many names of rooms `validateRoomFn` has not answered yet. */
    unansweredRooms: number;
    /** Messages that wait for `outboundTransformer`. */
    transforms: TransformQueue | undefined;
    /**
     * The epoch of the instance in which it became encrypted: what other helpers published in earlier
     * epochs has reached it directly.
     */
    heldSince: number;
}
export declare class Clients<M extends Record<string, unknown>> {
    #private;
    /** By id. The application gets this map itself. */
    readonly map: Map<string, IWebSocketClient<M>>;
    add(id: string, socket: IWebSocket): IWebSocketClient<M>;
    get(id: string): IWebSocketClient<M> | undefined;
    /** Whether this entry is still the one of its id. To be checked after each wait. */
    isHere(client: IWebSocketClient<M>): boolean;
    internals(client: IWebSocketClient<M>): ClientInternals;
    /** Whether it may do what authenticated clients may. */
    isFinished(client: IWebSocketClient<M>): boolean;
}
