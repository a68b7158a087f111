// tRPC has no adapter for crossws, but its handler of connections wants of a socket only what is here.
import { EventEmitter } from 'node:events';
import { threadId } from 'node:worker_threads';
import { initTRPC, TRPCError } from '@trpc/server';
import { getWSConnectionHandler } from '@trpc/server/adapters/ws';

import { crosswsWorker } from '../../../lib/crossws.mjs';

const t = initTRPC.context().create();
const router = t.router({
  thread: t.procedure.query(() => threadId),
  who: t.procedure.query(({ ctx }) => ctx.user),
  fail: t.procedure.mutation(() => {
    throw new TRPCError({ code: 'BAD_REQUEST', message: 'on purpose' });
  }),
  count: t.procedure.subscription(async function* ({ signal }) {
    for (let i = 1; i <= 3 && !signal.aborted; i++) yield i;
  }),
});

/** A peer as the class of ws has its sockets. */
class PeerSocket extends EventEmitter {
  constructor(peer) {
    super();
    this.peer = peer;
  }
  get readyState() {
    return this.peer.websocket.readyState;
  }
  send(data) {
    this.peer.send(data);
  }
  close(code, reason) {
    this.peer.close(code, reason);
  }
  terminate() {
    this.peer.terminate();
  }
}

const handleConnection = getWSConnectionHandler({
  router,
  createContext: ({ req }) => ({ user: new URL(req.url, 'ws://localhost').searchParams.get('user') }),
});

export default crosswsWorker({
  hooks: {
    open(peer) {
      const { pathname, search } = new URL(peer.request.url);
      peer.context.socket = new PeerSocket(peer);
      const headers = Object.fromEntries(peer.request.headers);
      handleConnection(peer.context.socket, { url: pathname + search, headers, socket: {} });
    },
    message(peer, { rawData }) {
      peer.context.socket.emit('message', Buffer.from(rawData), typeof rawData !== 'string');
    },
    close(peer, { code, reason }) {
      peer.context.socket.emit('close', code, Buffer.from(reason));
    },
  },
});
