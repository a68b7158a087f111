// The last messages of each room, so that newcomers do not see an empty page.
//
// Workers are threads: what one of them keeps in a variable, the others do not see. So the messages
// are in the broker, in a channel with history for each room, to which nobody subscribes. Which
// channels that are, and how much they keep, says the option `history` in server.mjs. A real
// application asks its database here; this history ends with the process.

import { history, publish } from 'wsbroker';
import { limits } from './messages.mjs';

const channel = (room) => `said:${room}`;

/** Resolves when every worker finds the message among the last ones. */
export const remember = (room, message) => publish(channel(room), JSON.stringify(message));

/** The last messages of a room, oldest first. */
export async function lastMessages(room) {
  const { messages } = await history(channel(room), { limit: limits.history });
  return messages.map(({ data }) => JSON.parse(data));
}
