// Hocuspocus on workers. Each worker has the documents of its editors; with REDIS they are kept equal through Redis.
import { Redis } from '@hocuspocus/extension-redis';
import { Hocuspocus } from '@hocuspocus/server';

import { crosswsWorker } from '../../../lib/crossws.mjs';

const port = Number(process.env.REDIS);
const hocuspocus = new Hocuspocus({
  quiet: true,
  extensions: port > 0 ? [new Redis({ host: '127.0.0.1', port })] : [],
  async onAuthenticate({ token }) {
    if (token !== 'k-123') throw new Error('who are you?');
    return { user: 'ada' };
  },
});

export default {
  ...crosswsWorker({
    hooks: {
      open(peer) {
        peer.context.connection = hocuspocus.handleConnection(peer.websocket, peer.request);
      },
      message(peer, message) {
        peer.context.connection.handleMessage(message.uint8Array());
      },
      close(peer, { code, reason }) {
        peer.context.connection.handleClose({ code, reason });
      },
    },
  }),
  async handleStop() {
    hocuspocus.closeConnections();
    await hocuspocus.hooks('onDestroy', { instance: hocuspocus });
  },
};
