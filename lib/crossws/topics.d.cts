/**
 * The channel of a topic of `wsbroker/crossws`, for `sendToChannel`, `subscriberCount` and others,
 * on any thread.
 *
 * @param topic the topic that peers subscribe to
 * @param namespace the namespace of the peers: the path that they connect to, unless the adapter or
 * its `upgrade` hook says otherwise. Without it, the channel reaches the subscribers of the topic
 * in all namespaces
 *
 * @example
 * ```js
 * import { sendToChannel } from 'wsbroker';
 * import { topicChannel } from 'wsbroker/crossws';
 *
 * sendToChannel(topicChannel('news', '/chat'), 'The shop is open');
 * ```
 */
export declare function topicChannel(topic: string, namespace?: string): string;
