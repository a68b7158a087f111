import type { Native } from '../../native.cjs';
import type { TWebSocketBusState } from '../types.cjs';
import { NativeSocket, type SocketOwner } from './native-socket.cjs';
import type { TransportHost } from './transport.cjs';
/** The sockets of one helper, and what the addon calls for them. */
export declare class NativeRunner implements SocketOwner {
    #private;
    readonly native: Native;
    readonly helper: number;
    readonly host: TransportHost;
    /** Called at each change of the input. */
    readonly inputChanged: (state: TWebSocketBusState) => void;
    constructor(native: Native, helper: number, host: TransportHost, 
    /** Called at each change of the input. */
    inputChanged: (state: TWebSocketBusState) => void);
    /** From now on the addon calls this. */
    attach(): void;
    /** Closes all sockets, also those that the application has made the helper forget. */
    closeAll(code: number, reason: string): void;
    closed(socket: NativeSocket, code: number, reason: string): void;
}
