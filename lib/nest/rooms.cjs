"use strict";
// Rooms of a gateway are channels. The length says where the path ends, so that no two are the
// same.
Object.defineProperty(exports, "__esModule", { value: true });
exports.roomChannel = exports.gatewayChannel = void 0;
const prefix = (path) => `nest:${path.length}:${path}`;
/**
 * The channel of all clients of a gateway, for `sendToChannel`, `subscriberCount` and others, on
 * any thread, and for `Emitter` in processes without sockets.
 *
 * @param path the gateway's path, as '/chat'; '/' without one
 */
const gatewayChannel = (path) => prefix(path);
exports.gatewayChannel = gatewayChannel;
/**
 * The channel of a room, for `sendToChannel`, `subscriberCount` and others, on any thread.
 *
 * @param path the gateway's path, as '/chat'; '/' without one
 */
const roomChannel = (path, room) => `${prefix(path)}:${room}`;
exports.roomChannel = roomChannel;
