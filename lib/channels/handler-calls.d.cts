import type { Since } from '../types/history.cjs';
import type { ChannelsClient } from './client.cjs';
import type { FailureReason } from './messages.cjs';
import { type CheckedChannels, type CheckedGrant } from './options.cjs';
import type { AuthorizeRequest, ChannelsErrorContext, ChannelsOptions } from './types.cjs';
/** Tells a client that what it asked for was not done. */
export type Failed = (reason: FailureReason, message?: string) => void;
/** Calls of the application's functions: in time, and with their errors reported. */
export declare class HandlerCalls {
    #private;
    constructor({ handlers, timeout }: CheckedChannels);
    /**
     * Whether a client may, with the token that it had when it asked; `undefined`: it may not. Never
     * rejects.
     */
    ask(client: ChannelsClient, token: string | undefined, channel: string, action: AuthorizeRequest['action'], since: Since | undefined, isOver?: () => boolean): Promise<CheckedGrant | undefined>;
    /** What a handler returns, or an error if it takes too long. */
    inTime<T>(name: string, call: (handlers: ChannelsOptions) => T): Promise<Awaited<T>>;
    /** A handler has failed: the client learns no more of it than it may. */
    failed(error: unknown, handler: ChannelsErrorContext['handler'], socketId: number, failed: Failed): void;
    report(error: unknown, handler: ChannelsErrorContext['handler'], socketId: number | undefined): void;
}
