import { defineWebSocketHandler } from 'nitro/h3';

export default defineWebSocketHandler({
  upgrade(request) {
    const user = new URL(request.url).searchParams.get('user');
    if (!user) return new Response('who are you?', { status: 401 });
    return { context: { user } };
  },
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
