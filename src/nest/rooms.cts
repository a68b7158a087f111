// Rooms of a gateway are channels. The length says where the path ends, so that no two are the
// same.

const prefix = (path: string): string => `nest:${path.length}:${path}`;

/**
 * The channel of all clients of a gateway, for `sendToChannel`, `subscriberCount` and others, on
 * any thread, and for `Emitter` in processes without sockets.
 *
 * @param path the gateway's path, as '/chat'; '/' without one
 */
export const gatewayChannel = (path: string): string => prefix(path);

/**
 * The channel of a room, for `sendToChannel`, `subscriberCount` and others, on any thread.
 *
 * @param path the gateway's path, as '/chat'; '/' without one
 */
export const roomChannel = (path: string, room: string): string => `${prefix(path)}:${room}`;
