/** The name of a channel, as the addon takes it. */
export declare function channelBytes(call: string, channel: unknown): Buffer;
/** What can be sent, as the addon takes it. */
export declare function bytesOf(call: string, name: string, data: unknown): Buffer;
/** @returns `undefined` for this instance only */
export declare function checkSubscriberCount(channel: unknown, options: unknown): {
    channel: Buffer;
    timeout: number;
} | undefined;
/** @returns `undefined` for this instance only */
export declare function checkCloseChannel(channel: unknown, code: unknown, reason: unknown, options: unknown): {
    channel: Buffer;
    code: number;
    reason: string;
} | undefined;
