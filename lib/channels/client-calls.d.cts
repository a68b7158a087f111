import type { ChannelsClient } from './client.cjs';
import type { HandlerCalls } from './handler-calls.cjs';
import type { PublishMessage, RequestMessage } from './messages.cjs';
import type { CheckedChannels } from './options.cjs';
/** What clients publish and request. */
export declare class ClientCalls {
    #private;
    constructor(calls: HandlerCalls, { handlers }: CheckedChannels);
    publish(client: ChannelsClient, message: PublishMessage): void;
    request(client: ChannelsClient, message: RequestMessage): void;
}
