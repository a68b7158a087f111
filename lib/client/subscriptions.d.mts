import type { Backoff } from './checks.mjs';
import type { Connection } from './connection.mjs';
import type { ChannelFrame, ControlHandlers } from './frames.mjs';
import type { Listeners } from './listeners.mjs';
import type { SubscribeOptions, Subscription } from './types.mjs';
export interface Subscriptions {
    add(channel: string, options: SubscribeOptions): Subscription;
    remove(channel: string): void;
    close(): void;
    welcomed(): void;
    down(): void;
    frame(frame: ChannelFrame): void;
    /** What the server says of channels, by type. */
    readonly control: ControlHandlers;
}
export declare function keepSubscriptions(connection: Connection, { call, tell }: Listeners, backoff: Backoff): Subscriptions;
