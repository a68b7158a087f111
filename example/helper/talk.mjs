// What users may say once their connection is encrypted. Everything here goes through the helper,
// which encrypts it for each client.

import { mayJoin } from './rooms.mjs';

const LONGEST_TEXT = 1000;

/**
 * @param {import('wsbroker/server-helper').WebSocketServerHelper} helper
 * @param {(announcement: { text: string, from: string }) => Promise<void>} announce
 */
export function makeTalk(helper, announce) {
  /** clientId -> rooms in which others know of it */
  const entered = new Map();

  const people = (room) => [...new Set(helper.getClientsByRoom({ room }).filter(({ id }) => entered.get(id)?.has(room)).map(({ userId }) => userId))].sort();
  const tellPeople = (room) => helper.sendToRoom({ room, event: 'people', data: { room, people: people(room) } });
  const problem = (clientId, text) => helper.sendToClient({ clientId, event: 'problem', data: { text } });

  const handlers = {
    /**
     * Follows a `join`, which the helper does not answer: is the client in? A client is always in
     * the room of its own id, which is not one of ours.
     */
    enter({ clientId, userId, client, data: { room } }) {
      if (!client.rooms.has(room) || !mayJoin(userId, room)) return helper.sendToClient({ clientId, event: 'refused', data: { room } });
      const mine = entered.get(clientId) ?? new Set();
      entered.set(clientId, mine.add(room));
      return tellPeople(room);
    },

    /** Instead of the helper's `leave`, which the others would not see. */
    exit({ clientId, data: { room } }) {
      if (!entered.get(clientId)?.delete(room)) return;
      helper.leaveRoom({ clientId, room });
      tellPeople(room);
    },

    /** To a room, on every instance. */
    say({ clientId, userId, data: { room, text } }) {
      if (!entered.get(clientId)?.has(room) || !isText(text)) return problem(clientId, `A text has 1 to ${LONGEST_TEXT} characters, and goes to a room that you are in.`);
      return helper.send({ destination: room, payload: { topic: 'said', data: { room, from: userId, text, at: Date.now() } } });
    },

    /**
     * To all windows of a user, and to the sender's own, so that each of them shows the whole
     * conversation.
     */
    direct({ clientId, userId, data: { to, text } }) {
      if (typeof to !== 'string' || !isText(text)) return problem(clientId, `A text has 1 to ${LONGEST_TEXT} characters, and goes to a name.`);
      if (helper.getClientsByUser({ userId: to }).length === 0) return problem(clientId, `${to.slice(0, 24)} is not here.`);
      const data = { from: userId, to, text, at: Date.now() };
      for (const user of new Set([to, userId])) helper.sendToUser({ userId: user, event: 'direct', data });
      return undefined;
    },

    /** To everyone, through another process. */
    async announce({ clientId, userId, data: { text } }) {
      if (!isText(text)) return problem(clientId, `An announcement has 1 to ${LONGEST_TEXT} characters.`);
      try {
        return await announce({ text, from: userId });
      } catch (error) {
        return problem(clientId, error.message);
      }
    },
  };

  return {
    /** A decrypted message. */
    take(client, message) {
      const { event, data } = message ?? {};
      if (!Object.hasOwn(handlers, event) || typeof data !== 'object' || data === null) return problem(client.id, 'The server does not know this event.');
      return handlers[event]({ clientId: client.id, userId: client.userId, client, data });
    },

    gone(clientId) {
      const rooms = entered.get(clientId) ?? [];
      entered.delete(clientId);
      for (const room of rooms) tellPeople(room);
    },
  };
}

const isText = (value) => typeof value === 'string' && value.trim() !== '' && value.length <= LONGEST_TEXT;
