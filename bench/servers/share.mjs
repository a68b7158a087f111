// What the helper adds to a publish: a little application with rooms, `helper` on wsbroker's sockets
// or `peer`, the same behaviour in JavaScript upon `Bun.serve`; and `bare-wsbroker` and `bare-bun`,
// which publish the same frames and do nothing else. Arguments: which of them, rooms, URL of Redis.
//
// Clients authenticate, join a room, and say `room` to all in it or `all` to all.
// Lines on stdin: `say [rounds] [room] [ms]` publishes to every room once each so many ms, or to all
// clients if there is no room; `cpu` prints the processor time so far, in microseconds.
import { createInterface } from 'node:readline';

const [, , kind, rooms, redis] = process.argv;
const names = Array.from({ length: Number(rooms) }, (_, n) => `room-${n}`);
const data = { pad: 'x'.repeat(40) };
const frame = JSON.stringify({ event: 'said', data });
const MEMORY = 64 << 20;
/** What clients say, by its text: a bare server looks at nothing else. */
const said = new Map(names.map((room) => [JSON.stringify({ event: 'room', data: { room, data } }), room]));
const saidToAll = JSON.stringify({ event: 'all', data: { data } });
/** The rooms to which a bare server subscribes the sender of such a text. */
const joined = (text) => {
  const { event, data } = JSON.parse(text);
  return event === 'authenticate' ? ['all'] : data.rooms;
};

async function helper() {
  const { WebSocketServerHelper } = await import('../../lib/server-helper.mjs');
  const helper = new WebSocketServerHelper({
    identifier: 'bench', redisConnection: redis, bind: '127.0.0.1:0', ioThreads: 1, serverOptions: { backpressureLimit: MEMORY },
    authenticateFn: ({ user }) => ({ userId: user }),
    validateRoomFn: ({ rooms }) => rooms,
    messageHandler({ message: { event, data } }) {
      if (event === 'room') helper.sendToRoom({ room: data.room, event: 'said', data: data.data });
      else if (event === 'all') helper.broadcast({ event: 'said', data: data.data });
    },
  });
  await helper.configure();
  return {
    port: helper.getAddress().port,
    toRoom: (room) => helper.sendToRoom({ room, event: 'said', data }),
    toAll: () => helper.broadcast({ event: 'said', data }),
  };
}

async function bareWsbroker() {
  const { registerWorkerThread, sendToChannel, start, subscribe } = await import('../../lib/index.mjs');
  registerWorkerThread({
    handleTextMessage(text, id) {
      const room = said.get(text);
      if (room !== undefined) sendToChannel(room, frame);
      else if (text === saidToAll) sendToChannel('all', frame);
      else for (const room of joined(text)) subscribe(id, room);
    },
  });
  const server = await start({ bind: '127.0.0.1:0', ioThreads: 1, path: '*', maxBackpressure: MEMORY });
  return { port: server.port, toRoom: (room) => void sendToChannel(room, frame), toAll: () => void sendToChannel('all', frame) };
}

function bareBun() {
  const server = Bun.serve({
    hostname: '127.0.0.1', port: 0,
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response('', { status: 426 })),
    websocket: {
      backpressureLimit: MEMORY,
      message(socket, text) {
        const room = said.get(text);
        if (room !== undefined) server.publish(room, frame);
        else if (text === saidToAll) server.publish('all', frame);
        else for (const room of joined(text)) socket.subscribe(room);
      },
    },
  });
  return { port: server.port, toRoom: (room) => void server.publish(room, frame), toAll: () => void server.publish('all', frame) };
}

/** As docs/server-helper.md describes it, with what every client and every message needs, and no more. */
async function peer() {
  const { default: Redis } = await import('ioredis');
  const serverId = crypto.randomUUID();
  const clients = new Map();
  const users = new Map();
  const members = new Map();
  const put = (map, key, client) => (map.get(key) ?? map.set(key, new Set()).get(key)).add(client);
  const take = (map, key, client) => {
    const set = map.get(key);
    if (set?.delete(client) && set.size === 0) map.delete(key);
  };
  const say = (client, event, data) => {
    if (client.socket.send(JSON.stringify({ event, data })) === 0) dropped++;
  };
  let dropped = 0;
  const without = (all, exclude, event, data) => {
    const ids = new Set(exclude);
    const text = JSON.stringify({ event, data });
    for (const client of all) if (!ids.has(client.id) && client.socket.send(text) === 0) dropped++;
  };
  const sendToRoom = ({ room, event, data, exclude }) => {
    if (exclude?.length > 0) without(members.get(room) ?? [], exclude, event, data);
    else server.publish(room, JSON.stringify({ event, data }));
  };
  const broadcast = ({ event, data, exclude }) => {
    if (exclude?.length > 0) without([...clients.values()].filter((client) => client.state === 'authenticated'), exclude, event, data);
    else server.publish('all', JSON.stringify({ event, data }));
  };
  const sendToUser = ({ userId, event, data }) => {
    for (const client of users.get(userId) ?? []) say(client, event, data);
  };
  const sendToClient = ({ clientId, event, data }) => {
    const client = clients.get(clientId);
    if (client !== undefined) say(client, event, data);
  };
  const join = (client, room) => {
    if (client.rooms.has(room)) return;
    client.rooms.add(room);
    put(members, room, client);
    client.socket.subscribe(room);
  };
  const authenticateFn = ({ user }) => ({ userId: user });
  const validateRoomFn = ({ rooms }) => rooms;
  const messageHandler = ({ message: { event, data } }) => {
    if (event === 'room') sendToRoom({ room: data.room, event: 'said', data: data.data });
    else if (event === 'all') broadcast({ event: 'said', data: data.data });
  };
  const onMessage = (client, text) => {
    client.lastActivity = Date.now();
    if (client.state !== 'authenticated' && (text.length > 32768 || ++client.frames > 128)) return client.socket.close(1008, 'Too many messages');
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return say(client, 'error', { message: 'Invalid message format' });
    }
    switch (message?.event) {
      case undefined:
      case 'heartbeat':
        return;
      case 'authenticate': {
        const { userId } = authenticateFn(message.data);
        clearTimeout(client.timer);
        client.userId = String(userId);
        client.state = 'authenticated';
        put(users, client.userId, client);
        for (const room of ['all', client.id, 'ws-default', 'ws-notification']) join(client, room);
        return say(client, 'connected', { id: client.id, userId: client.userId });
      }
    }
    if (client.state !== 'authenticated') return say(client, 'error', { message: 'Not authenticated' });
    switch (message.event) {
      case 'join': {
        const asked = message.data.rooms.filter((room) => typeof room === 'string' && room !== '' && room.length <= 256 && !room.startsWith('ws:'));
        for (const room of validateRoomFn({ userId: client.userId, rooms: asked })) if (asked.includes(room)) join(client, room);
        return;
      }
      case 'leave':
        for (const room of message.data.rooms) {
          client.rooms.delete(room);
          take(members, room, client);
          client.socket.unsubscribe(room);
        }
        return;
    }
    try {
      messageHandler({ clientId: client.id, userId: client.userId, message });
    } catch (error) {
      console.error(error);
    }
  };
  const server = Bun.serve({
    hostname: '127.0.0.1', port: 0,
    fetch: (request, server) => (server.upgrade(request, { data: { clientId: crypto.randomUUID() } }) ? undefined : new Response('', { status: 426 })),
    websocket: {
      backpressureLimit: MEMORY,
      open(socket) {
        const id = socket.data.clientId;
        const client = { id, socket, state: 'unauthorized', rooms: new Set(), userId: undefined, lastActivity: Date.now(), frames: 0, timer: undefined };
        client.timer = setTimeout(() => socket.close(4001, 'Authentication timeout'), 5000);
        clients.set(id, client);
      },
      message(socket, frame) {
        const client = clients.get(socket.data.clientId);
        if (client !== undefined) onMessage(client, typeof frame === 'string' ? frame : frame.toString());
      },
      close(socket) {
        const client = clients.get(socket.data.clientId);
        if (client === undefined) return;
        clients.delete(client.id);
        take(users, client.userId, client);
        for (const room of client.rooms) take(members, room, client);
      },
    },
  });
  setInterval(() => {
    const limit = Date.now() - 90_000;
    for (const client of clients.values()) if (client.lastActivity < limit) client.socket.close(4002, 'Heartbeat timeout');
  }, 30_000);
  const receive = (text) => {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    const { serverId: from, type, target, event, data, exclude } = message;
    if (typeof event !== 'string' || from === serverId) return;
    if (type === 'broadcast') broadcast({ event, data, exclude });
    else if (type === 'room') sendToRoom({ room: target, event, data, exclude });
    else if (type === 'user') sendToUser({ userId: target, event, data });
    else if (type === 'client') sendToClient({ clientId: target, event, data });
  };
  const subscriber = new Redis(redis);
  subscriber.on('message', (_channel, text) => receive(text));
  subscriber.on('pmessage', (_pattern, _channel, text) => receive(text));
  await subscriber.subscribe('ws:broadcast');
  await subscriber.psubscribe('ws:room:*', 'ws:client:*', 'ws:user:*');
  return {
    port: server.port,
    toRoom: (room) => sendToRoom({ room, event: 'said', data }),
    toAll: () => broadcast({ event: 'said', data }),
  };
}

const { port, toRoom, toAll } = await { helper, 'bare-wsbroker': bareWsbroker, 'bare-bun': bareBun, peer }[kind]();
createInterface({ input: process.stdin }).on('line', (line) => {
  const [command, rounds, target, ms] = line.split(' ');
  if (command === 'cpu') {
    const { user, system } = process.cpuUsage();
    return console.log(user + system);
  }
  let left = Number(rounds);
  const timer = setInterval(() => {
    if (target === 'room') for (const name of names) toRoom(name);
    else toAll();
    if (--left === 0) clearInterval(timer);
  }, Number(ms));
});
console.log(port);
