/** A channel's name for the addon. */
export declare function channelBytes(call: string, channel: unknown): Buffer;
/** `undefined`: on this instance only. */
export declare function countRequest(channel: unknown, options: unknown): {
    channel: Buffer;
    timeout: number;
} | undefined;
/** `undefined`: on this instance only. */
export declare function closeRequest(channel: unknown, code: unknown, reason: unknown, options: unknown): {
    channel: Buffer;
    code: number;
    reason: string;
} | undefined;
