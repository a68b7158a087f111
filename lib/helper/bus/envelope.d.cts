import type { TWebSocketMessageType } from '../types.cjs';
/** An envelope written by another process: its contents are not checked further. */
export interface ReceivedEnvelope {
    readonly serverId: string;
    readonly type: unknown;
    readonly target: unknown;
    readonly event: string;
    readonly data: unknown;
    readonly exclude: unknown;
}
/** @throws {TypeError} the data cannot be serialised */
export declare function envelope(serverId: string, type: TWebSocketMessageType, { target, event, data, exclude, }: {
    target?: string | undefined;
    event: string;
    data: unknown;
    exclude?: string[] | undefined;
}): string;
/** Undefined if it is not an envelope. */
export declare function parseEnvelope(text: string): ReceivedEnvelope | undefined;
