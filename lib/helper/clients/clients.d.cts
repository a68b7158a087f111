import type { TransformQueue } from '../delivery/transform-queue.cjs';
import type { IWebSocket, IWebSocketClient } from '../types.cjs';
/** What the helper keeps of a client and does not show. */
export interface ClientInternals {
    /** Authenticated with all that belongs to it: the end of 6.7. */
    finished: boolean;
    /** Frames that came before that. */
    frames: number;
    /** Closed for going over a limit: nothing more is read of it. */
    cut: boolean;
    /** The user under which it is indexed. */
    user: string | undefined;
    /** Names of rooms about which `validateRoomFn` has not answered yet. */
    asked: number;
    /** Messages on their way through the transformer. */
    line: TransformQueue | undefined;
    /**
     * Encrypted since this epoch of the instance: what another helper published in an earlier one has
     * reached it directly.
     */
    heldSince: number;
}
export declare class Clients<M extends Record<string, unknown>> {
    #private;
    /** By id; this very map is shown. */
    readonly map: Map<string, IWebSocketClient<M>>;
    add(id: string, socket: IWebSocket): IWebSocketClient<M>;
    get(id: string): IWebSocketClient<M> | undefined;
    /** Whether this very entry is the one of its id: asked behind each wait. */
    isHere(client: IWebSocketClient<M>): boolean;
    internals(client: IWebSocketClient<M>): ClientInternals;
    /** May it do what authenticated clients may? */
    isFinished(client: IWebSocketClient<M>): boolean;
}
