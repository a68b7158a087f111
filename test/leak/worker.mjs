// What an application does with a connection: looks at its token, subscribes it here and there, answers. The text `state` is for the one who
// measures: it collects what can be collected, and tells what is left.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { copySubscriptions, getToken, send, setToken, subscribe, subscribeMany } from 'wsbroker';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

const counts = { opened: 0, closed: 0, tokens: 0 };

export function handleOpen(socketId, ip, headers, request) {
  counts.opened++;
  if (request.path === '/measure') return;
  subscribeMany(socketId, ['everyone', `one-of-${socketId % 1000}`, `own-${socketId}`]);
  return { token: Buffer.from(`token of ${socketId}`), channels: [`verdict-${socketId}`] };
}

export function handleTextMessage(text, socketId, token) {
  if (text === 'state') {
    collect();
    collect();
    send(socketId, JSON.stringify(counts));
    return;
  }
  if (token) counts.tokens++;
  setToken(socketId, Buffer.from(`${token} again`));
  subscribe(socketId, `later-${socketId}`);
  copySubscriptions(`own-${socketId}`, `copied-${socketId}`);
  if (getToken(socketId)) send(socketId, text);
}

export function handleClose() {
  counts.closed++;
}
