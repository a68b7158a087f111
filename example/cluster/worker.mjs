// What an instance does: the same as on one machine. Nothing here knows of Redis or of the other
// instance.

import { send, sendToChannel, stats } from 'wsbroker';

const name = process.env.INSTANCE;
const LONGEST = 500;

/**
 * Accepts pages of our own host, and clients that are not browsers. Their channel comes with the
 * verdict, before the first message.
 */
export function handleOpen(_socketId, _ip, headers) {
  if (headers.origin !== undefined && hostname(headers.origin) !== hostname(`http://${headers.host}`)) return { status: 403 };
  return { channels: ['talk'] };
}

export function handleTextMessage(text, socketId) {
  const message = parse(text);
  if (message?.type === 'hello') {
    send(socketId, JSON.stringify({ type: 'welcome', name, pid: process.pid, bus: stats().bus }));
  } else if (message?.type === 'say' && typeof message.text === 'string' && message.text.trim() !== '' && message.text.length <= LONGEST) {
    // Everyone in the channel, on every instance.
    sendToChannel('talk', JSON.stringify({ type: 'said', from: name, id: `${message.id}`.slice(0, 64), text: message.text }));
  } else {
    send(socketId, JSON.stringify({ type: 'error', text: `expected { type: 'hello' } or { type: 'say', id, text } with 1 to ${LONGEST} characters` }));
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function hostname(url) {
  try {
    return new URL(url).hostname;
  } catch {
    return undefined;
  }
}
