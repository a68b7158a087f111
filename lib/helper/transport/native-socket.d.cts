import type { Native } from '../../native.cjs';
import type { IWebSocket } from '../types.cjs';
/** As the standard numbers them. */
export declare const enum ReadyState {
    Open = 1,
    Closing = 2,
    Closed = 3
}
/** Who made a socket: the calls that it needs, and who hears that the application closes it. */
export interface SocketOwner {
    readonly native: Pick<Native, 'helperSend' | 'helperClose' | 'helperSubscribe' | 'helperUnsubscribe' | 'helperIsSubscribed' | 'flushSends'>;
    readonly helper: number;
    /** Runs the close event. */
    closed(socket: NativeSocket, code: number, reason: string): void;
}
/** A socket of the broker. There is one object for each, in all its events. */
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
     * The close event runs before this returns; what has come and was not handed over yet is
     * discarded.
     */
    close(code?: number, reason?: string): void;
    subscribe(topic: string): void;
    unsubscribe(topic: string): void;
    isSubscribed(topic: string): boolean;
    cork(cb: (ws: IWebSocket<{
        readonly clientId: string;
    }>) => void): void;
    /** It is over. True when nobody has heard of that yet. */
    end(): boolean;
}
