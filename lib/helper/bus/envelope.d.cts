import type { TWebSocketMessageType } from '../types.cjs';
/** An envelope that another process has written. Its other contents are not checked. */
export interface ReceivedEnvelope {
    readonly serverId: string;
    readonly type: unknown;
    readonly target: unknown;
    readonly event: string;
    readonly data: unknown;
    readonly exclude: unknown;
}
/** @throws {TypeError} the data cannot be serialized */
export declare function makeEnvelope(serverId: string, type: TWebSocketMessageType, { target, event, data, exclude, }: {
    target?: string | undefined;
    event: string;
    data: unknown;
    exclude?: string[] | undefined;
}): string;
/** Undefined if the text is not an envelope. */
export declare function parseEnvelope(text: string): ReceivedEnvelope | undefined;
