import type { Native } from '../../native.cjs';
import type { TransportHost } from './transport.cjs';
import { NativeSocket, type SocketOwner } from './native-socket.cjs';
/** The sockets of one helper, and the way from the addon to it. */
export declare class NativeDesk implements SocketOwner {
    #private;
    readonly native: Native;
    readonly helper: number;
    readonly host: TransportHost;
    constructor(native: Native, helper: number, host: TransportHost);
    /** From now on the addon calls. */
    attach(): void;
    closed(socket: NativeSocket, code: number, reason: string): void;
}
