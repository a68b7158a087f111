import type { Native } from '../../native.cjs';
import type { IWebSocket } from '../types.cjs';
/** The numbers of the WebSocket standard for browsers. */
export declare const enum ReadyState {
    Open = 1,
    Closing = 2,
    Closed = 3
}
/**
 * What a socket needs of the object that made it: the addon, and what to call when the application
 * closes the socket.
 */
export interface SocketOwner {
    readonly native: Pick<Native, 'helperSend' | 'helperClose' | 'helperSubscribe' | 'helperUnsubscribe' | 'helperIsSubscribed' | 'flushSends'>;
    readonly helper: number;
    /** Runs the close event of the socket. */
    closed(socket: NativeSocket, code: number, reason: string): void;
}
/** A socket of the broker. All its events get the same object. */
export declare class NativeSocket implements IWebSocket<{
    readonly clientId: string;
}> {
    #private;
    readonly data: {
        readonly clientId: string;
    };
    readonly remoteAddress: string;
    readonly id: number;
    constructor(owner: SocketOwner, id: number, clientId: string, remoteAddress: string);
    get readyState(): number;
    send(data: string | ArrayBufferView | ArrayBuffer | SharedArrayBuffer, compress?: boolean): number;
    /**
     * The close event runs before this returns. Messages that have come but have not been handled are
     * discarded.
     */
    close(code?: number, reason?: string): void;
    subscribe(topic: string): void;
    unsubscribe(topic: string): void;
    isSubscribed(topic: string): boolean;
    cork(cb: (ws: IWebSocket<{
        readonly clientId: string;
    }>) => void): void;
    /** The connection has ended. Returns whether the close event has not run yet. */
    end(): boolean;
}
