// The last messages of each room, so that newcomers do not see an empty page.
//
// Workers are threads: what one of them keeps in a variable, the others do not see. Each therefore
// keeps its own copy and tells the others what was said. A real application asks its database here;
// this one runs with nothing installed, and accepts the consequences: the history ends with the
// process, and a message sent at the very moment someone joins through another worker may be
// missing from what they see.

import { limits } from './messages.mjs';

/**
 * How many rooms are remembered. The one silent for longest is forgotten first: memory is bounded.
 */
const ROOMS = 100;

/**
 * Room -> its last messages, oldest first. A Map keeps its order, so the first room is the one
 * silent for longest.
 */
const rooms = new Map();

const others = new BroadcastChannel('wsbroker-example-chat');
others.onmessage = ({ data }) => keep(data.room, data.message);
// Listening must not keep a worker thread alive after it is asked to stop.
others.unref?.();

function keep(room, message) {
  const messages = rooms.get(room) ?? [];
  rooms.delete(room);
  rooms.set(room, messages);
  messages.push(message);
  if (messages.length > limits.history) messages.shift();
  if (rooms.size > ROOMS) rooms.delete(rooms.keys().next().value);
}

/** Adds a message here and in every other worker. */
export function remember(room, message) {
  keep(room, message);
  others.postMessage({ room, message });
}

/** The last messages of a room, oldest first. */
export const lastMessages = (room) => rooms.get(room) ?? [];
