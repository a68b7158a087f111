// Answers with what it hears.

import { send } from 'wsbroker';

export function handleTextMessage(text, socketId) {
  send(socketId, text);
}
