import type { ChannelsClient } from './client.cjs';
import type { HandlerCalls } from './handler-calls.cjs';
import { type WantedChannel } from './messages.cjs';
import { type CheckedChannels } from './options.cjs';
/** What clients subscribe to, and what they leave. */
export declare class ClientSubscriptions {
    #private;
    constructor(calls: HandlerCalls, { socketRate, addressRate }: CheckedChannels);
    /** Each channel gets an answer of its own. */
    subscribe(client: ChannelsClient, channels: readonly WantedChannel[]): void;
    unsubscribe(client: ChannelsClient, channel: string): void;
}
