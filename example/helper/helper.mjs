// The helper with the functions that make it this application's. Both ways to have sockets are
// here: those of the broker, and those of Bun.

import { randomUUID } from 'node:crypto';
import { WebSocketServerHelper } from 'wsbroker/server-helper';
import { Lines } from './lines.mjs';
import { mayJoin } from './rooms.mjs';
import { makeTalk } from './talk.mjs';
import { check } from './tickets.mjs';

/** A code of our own, beside the 4001 to 4004 of the helper. */
const REFUSED = [4010, 'Message refused'];

/**
 * Starts it.
 *
 * @param {{ transport: 'native' | 'bun', host: string, port: number, redisConnection: string,
 * heartbeat: number, announce: Function }} options `heartbeat`: how often pages send one, in ms
 * @returns {Promise<{ helper: WebSocketServerHelper, port: number, stop: () => Promise<void> }>}
 */
export async function startHelper({ transport, host, port, redisConnection, heartbeat, announce }) {
  const lines = new Lines();
  let bun;

  const helper = new WebSocketServerHelper({
    identifier: 'example-helper',
    redisConnection,
    ...(transport === 'bun'
      // The server needs the helper's handlers and the helper the server: it gets one that is there
      // when it is needed.
      ? { server: { get pendingWebSockets() { return bun.pendingWebSockets; }, publish: (...args) => bun.publish(...args) } }
      : { bind: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, rateLimit: { messages: 20, burst: 60 } }),
    serverOptions: { maxPayloadLength: 16 * 1024 },
    defaultRooms: [],
    heartbeatInterval: heartbeat,
    heartbeatTimeout: 3 * heartbeat,

    authenticateFn({ ticket }) {
      const name = check(ticket);
      return name === undefined ? null : { userId: name };
    },

    // ---- Encryption: from here on nothing leaves in clear.
    requireEncryption: true,
    handshakeFn: ({ clientId, data: { publicKey } }) => lines.shakeHands(helper.getClients({ id: clientId }), publicKey),
    // `connected` brings the page its half of the key, which it cannot read otherwise: null sends
    // it as it is.
    outboundTransformer: ({ client, event, data }) => (event === 'connected' ? null : lines.seal(client, { event, data })),

    // ---- Names that it returns are joined, all others are not. Nobody is told which: see `enter`
    // in talk.mjs.
    validateRoomFn: ({ userId, rooms }) => rooms.filter((room) => mayJoin(userId, room)),

    async messageHandler({ clientId, message }) {
      const client = helper.getClients({ id: clientId });
      let opened;
      try {
        // `join`, `leave` and `heartbeat` are the helper's, and do not come here. All else must be
        // encrypted.
        if (message.event !== 'encrypted') throw new Error('a message in clear');
        opened = await lines.open(client, message.data);
      } catch (error) {
        // Somebody is between us, or the page is broken. No answer: it would only help to find out
        // how.
        console.warn(`client ${clientId} is closed: ${error.message}`);
        client.socket.close(...REFUSED);
        return;
      }
      // It may have gone meanwhile, and `gone` of talk.mjs has been called.
      if (client.state !== 'disconnected') await talk.take(client, opened);
    },

    clientDisconnectedFn: ({ clientId }) => talk.gone(clientId),
    busStateFn: (state) => console.log(`Redis is ${state}.`),
  });
  const talk = makeTalk(helper, announce);

  await helper.configure();
  if (transport === 'native') return { helper, port: helper.getAddress().port, stop: () => helper.shutdown() };

  bun = Bun.serve({
    hostname: host,
    port,
    websocket: helper.getBunWebSocketHandler(),
    fetch(request, server) {
      if (new URL(request.url).pathname !== helper.getPath()) return new Response('not found\n', { status: 404 });
      if (server.upgrade(request, { data: { clientId: randomUUID() } })) return undefined;
      return new Response('a WebSocket is expected\n', { status: 426, headers: { upgrade: 'websocket' } });
    },
  });
  return {
    helper,
    port: bun.port,
    async stop() {
      await helper.shutdown();
      await bun.stop(true);
    },
  };
}
