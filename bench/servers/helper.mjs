// What the helper costs: the same little application with it, on sockets of `Bun.serve` (`helper`)
// or of wsbroker (`native`), and written straight upon `Bun.serve` (`plain`). Argument: which of
// them. Clients authenticate with `{ user }`; `echo` comes back, `room` goes to the room `bench`
// (those that joined), `user` to the user it names.
import { EventEmitter } from 'node:events';

const [, , kind] = process.argv;

function upgrade(request, server) {
  return server.upgrade(request, { data: { clientId: crypto.randomUUID() } }) ? undefined : new Response('no upgrade', { status: 426 });
}

/** There is no Redis in this: what is measured is one instance. */
class NoRedis extends EventEmitter {
  status = 'ready';
  duplicate = () => new NoRedis();
  quit = async () => undefined;
  subscribe = async () => 1;
  psubscribe = async () => 1;
  publish = async () => 0;
}

/** @param sockets `{ server }` or `{ bind }` */
async function withHelper(sockets) {
  const { WebSocketServerHelper } = await import('../../lib/server-helper.mjs');
  const helper = new WebSocketServerHelper({
    identifier: 'bench', redisConnection: new NoRedis(), ...sockets,
    authenticateFn: ({ user }) => ({ userId: user }),
    validateRoomFn: ({ rooms }) => rooms,
    messageHandler({ clientId, message: { event, data } }) {
      if (event === 'echo') helper.sendToClient({ clientId, event, data });
      else if (event === 'room') helper.sendToRoom({ room: 'bench', event, data });
      else helper.sendToUser({ userId: data.user, event, data });
    },
  });
  await helper.configure();
  return helper;
}

async function onBun() {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: upgrade, websocket: { message() {} } });
  const helper = await withHelper({ server });
  server.reload({ fetch: upgrade, websocket: helper.getBunWebSocketHandler() });
  return server;
}

/** One I/O thread, as in the other benchmarks. */
async function native() {
  return (await withHelper({ bind: '127.0.0.1:0', ioThreads: 1 })).getAddress();
}

/** With what every such application has to do, and no more. */
function plain() {
  const users = new Map();
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: upgrade,
    websocket: {
      message(socket, text) {
        const { event, data } = JSON.parse(text);
        if (event === 'echo') socket.send(JSON.stringify({ event, data }));
        else if (event === 'room') server.publish('bench', JSON.stringify({ event, data }));
        else if (event === 'user') {
          const frame = JSON.stringify({ event, data });
          for (const one of users.get(data.user) ?? []) one.send(frame);
        } else if (event === 'join') socket.subscribe(data.rooms[0]);
        else if (event === 'authenticate') {
          socket.data.user = String(data.user);
          users.set(socket.data.user, (users.get(socket.data.user) ?? new Set()).add(socket));
          socket.send(JSON.stringify({ event: 'connected', data: { id: socket.data.clientId } }));
        }
      },
      close(socket) {
        users.get(socket.data.user)?.delete(socket);
      },
    },
  });
  return server;
}

const begin = { helper: onBun, native, plain }[kind];
console.log((await begin()).port);
