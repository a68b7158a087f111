import type { Native } from '../../native.cjs';
import type { IWebSocket, TWebSocketBusState } from '../types.cjs';
import type { Audience, HelperOperation, Instance, TransportHost } from './transport.cjs';
/**
 * What the helpers of one identifier share, as one of them sees it. The addon keeps all of it.
 * Names are text there, but the application may pass anything; a missing id is one that no client
 * has.
 */
export declare class NativeInstance implements Instance {
    #private;
    readonly helper: number;
    readonly serverId: string;
    constructor(native: Native, helper: number, host: TransportHost, serverId: string);
    /** To be called when the addon knows this helper and reports changes to it. */
    begin(): void;
    messageHandled(milliseconds: number): void;
    addClient(clientId: string, socket: IWebSocket): void;
    finishClient(clientId: string): void;
    encryptClient(clientId: string): number;
    removeClient(clientId: string): void;
    addMember(clientId: string, type: 'room' | 'user', name: string): void;
    removeMember(clientId: string, type: 'room' | 'user', name: string): void;
    takeLeftClient(): {
        clientId: string;
        userId: string | undefined;
    } | undefined;
    dropped(again: boolean): number;
    isElsewhere(clientId: string): boolean;
    hasRoom(room: string): boolean;
    countClients(): number;
    countRoom(room: string): number;
    publish({ type, name }: Audience, frame: string, exclude: readonly string[]): number;
    sendElsewhere(clientId: string, frame: string): number;
    post(_clientId: string, { op, clientId, room }: HelperOperation & {
        readonly op: 'join' | 'leave';
    }): boolean;
    claimInput(): boolean;
    setInputState(state: TWebSocketBusState): void;
    get inputState(): TWebSocketBusState;
    /** To be called for each change that the addon reports. */
    inputChanged(state: TWebSocketBusState): void;
}
