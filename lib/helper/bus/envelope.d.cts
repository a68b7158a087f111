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
/**
 * An envelope of a message whose text, `{"event":…,"data":…}`, exists already: its members are the
 * last two of the envelope, so nothing is serialized twice.
 */
export declare function envelopeAround(frame: string, serverId: string, type: TWebSocketMessageType, target: string | undefined): string;
/** Undefined if the text is not an envelope. */
export declare function parseEnvelope(text: string): ReceivedEnvelope | undefined;
