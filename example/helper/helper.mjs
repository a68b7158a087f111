// The helper with the functions of this application, on either kind of sockets: those of the
// broker, and those of Bun.

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
      // The server needs the helper's handlers, and the helper needs the server: it gets one that
      // exists by the time it is used.
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

    // ---- Encryption: from here on nothing leaves unencrypted.
    requireEncryption: true,
    handshakeFn: ({ clientId, data: { publicKey } }) => lines.shakeHands(helper.getClients({ id: clientId }), publicKey),
    // `connected` gives the page the server's public key, so it cannot be encrypted itself: null
    // sends it as it is.
    outboundTransformer: ({ client, event, data }) => (event === 'connected' ? null : lines.seal(client, { event, data })),

    // ---- The client joins the rooms that it returns, and no others. The client is not told which:
    // see `enter` in talk.mjs.
    validateRoomFn: ({ userId, rooms }) => rooms.filter((room) => mayJoin(userId, room)),

    async messageHandler({ clientId, message }) {
      const client = helper.getClients({ id: clientId });
      let opened;
      try {
        // `join`, `leave` and `heartbeat` belong to the helper and do not come here. Everything
        // else must be encrypted.
        if (message.event !== 'encrypted') throw new Error('a message in clear');
        opened = await lines.open(client, message.data);
      } catch (error) {
        // There is an attacker between us, or the page has a fault. No answer: it would only help
        // the attacker.
        console.warn(`client ${clientId} is closed: ${error.message}`);
        client.socket.close(...REFUSED);
        return;
      }
      // It may have left in the meantime, after a call of `gone` in talk.mjs.
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
