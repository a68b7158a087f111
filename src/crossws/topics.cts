// Topics of crossws are channels. A peer publishes within its namespace, an adapter within one or
// in all of them, so a subscription to a topic is two channels.

const PREFIX = 'crossws:';

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
export function topicChannel(topic: string, namespace?: string): string {
  // The length says where the namespace ends, so that no two topics are the same channel.
  return namespace === undefined
    ? `${PREFIX}:${topic}`
    : `${PREFIX}${namespace.length}:${namespace}:${topic}`;
}
