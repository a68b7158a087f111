/**
 * The channel of all clients of a gateway, for `sendToChannel`, `subscriberCount` and others, on
 * any thread, and for `Emitter` in processes without sockets.
 *
 * @param path the gateway's path, as '/chat'; '/' without one
 */
export declare const gatewayChannel: (path: string) => string;
/**
 * The channel of a room, for `sendToChannel`, `subscriberCount` and others, on any thread.
 *
 * @param path the gateway's path, as '/chat'; '/' without one
 */
export declare const roomChannel: (path: string, room: string) => string;
