/** The channel of all clients of a gateway. */
export declare const everyoneChannel: (path: string) => string;
/**
 * The channel of a room, for `sendToChannel`, `subscriberCount` and others, on any thread.
 *
 * @param path the gateway's path, as '/chat'; '/' without one
 */
export declare const roomChannel: (path: string, room: string) => string;
