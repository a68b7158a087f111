// The sockets. Browsers send cookies with the upgrade: after the login on the page, nothing else is
// needed to connect.

import { workerData } from 'node:worker_threads';
import { sendToChannel } from 'wsbroker';
import { nameIn } from './session.mjs';

export function handleOpen(socketId, ip, headers) {
  const name = nameIn(headers.cookie, workerData.secret);
  if (name === undefined) return { status: 401, body: 'log in first\n' };
  // Both take effect before the first message.
  return { token: name, channels: ['everyone'] };
}

export function handleTextMessage(text, socketId, token) {
  sendToChannel('everyone', JSON.stringify({ from: String(token), text }));
}
