// An application of h3, as Nitro has them: pages and sockets of one router.
import { defineWebSocketHandler, H3, HTTPError } from 'h3';

import { crosswsWorker } from '../../../lib/crossws.mjs';

export const app = new H3();
app.get('/', () => 'a page');
app.use('/members/**', (event) => {
  if (event.url.searchParams.get('key') !== 'k-123') throw new HTTPError({ status: 401, message: 'who are you?' });
});
const chat = defineWebSocketHandler({
  upgrade: (request) => ({ context: { user: new URL(request.url).searchParams.get('user') } }),
  open(peer) {
    peer.subscribe('chat');
    peer.send({ user: peer.context.user, namespace: peer.namespace });
  },
  message(peer, message) {
    peer.publish('chat', { from: peer.context.user, text: message.text() });
  },
  close(peer) {
    peer.publish('chat', `${peer.context.user} left`);
  },
});
app.get('/chat', chat);
app.get('/members/chat', chat);

export default crosswsWorker({ fetch: app.fetch });
