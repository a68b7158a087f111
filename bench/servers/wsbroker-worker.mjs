import { send, sendToChannel, subscribe } from 'wsbroker';
import { shape } from './work.mjs';

const PUBLISH = 0x50;
const SUBSCRIBE = 0x53;

export const handleTextMessage = shape((text, socketId) => {
  switch (text.charCodeAt(0)) {
    case SUBSCRIBE:
      subscribe(socketId, text.slice(2));
      break;
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
