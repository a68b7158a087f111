// Where the rules are tried: a helper with all that surrounds it, and clients. Rules that hold on every transport ask only for what is here, and wait with `idle`;
// a world on real sockets offers the same.
//
//   world.helper, world.log, world.redis            the helper; its log; a FakeRedis
//   world.connect({ id })                           a client that is open, with the events of its socket gone through the handler
//   world.member(data, { id })                      one that is authenticated, with `connected` taken
//   world.remote(envelope, channel?)                a message from Redis
//   world.idle()                                    all that was done has had its effect: on clients, on functions of the application
//   client.send(what), client.frame(bytes), client.close(code, reason)
//   client.take()                                   the messages that came since the last time, parsed
//   client.ended                                    { code, reason } when it is closed
//   client.entry                                    its entry in the helper
import { createRequire } from 'node:module';

import { FakeLog, FakeRedis, FakeServer, FakeSocket } from './fakes.mjs';

const require = createRequire(import.meta.url);
export const lib = require('wsbroker/server-helper');
const { WebSocketServerHelper } = lib;

/** Turns of the event loop: whatever is ready to run has run. */
export async function turns(count = 4) {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}

/** A promise with its ends in hand. */
export function deferred() {
  const ends = {};
  ends.promise = new Promise((resolve, reject) => Object.assign(ends, { resolve, reject }));
  return ends;
}

/** Records its calls, and does what it is told. */
export function spy(does = () => undefined) {
  const fn = (...args) => {
    fn.calls.push(args);
    return does(...args);
  };
  fn.calls = [];
  return fn;
}

/** Accepts everybody; `data.user` says who it is. */
export const anybody = ({ user, metadata }) => ({ ...(user !== undefined && { userId: user }), ...(metadata !== undefined && { metadata }) });

class FakeClient {
  constructor(world, socket) {
    this.world = world;
    this.socket = socket;
    this.id = socket.data?.clientId;
    this.taken = 0;
  }

  get entry() {
    return this.world.helper.getClients({ id: this.id });
  }

  get ended() {
    return this.socket.closedWith;
  }

  send(what) {
    this.frame(typeof what === 'string' ? what : JSON.stringify(what));
  }

  frame(bytes) {
    this.world.handler.message(this.socket, bytes);
  }

  close(code, reason) {
    this.socket.end(code, reason);
  }

  /** As text. */
  takeTexts() {
    const texts = this.socket.texts.slice(this.taken);
    this.taken += texts.length;
    return texts;
  }

  take() {
    return this.takeTexts().map((text) => JSON.parse(text));
  }
}

let ids = 0;

/** A world of fakes. `options` go to the helper; `configured: false` leaves `configure()` to the test. */
export async function fakeWorld(t, { configured = true, redis = new FakeRedis(), ...options } = {}) {
  const log = new FakeLog();
  const server = new FakeServer();
  const helper = new WebSocketServerHelper({ identifier: 'test', redisConnection: redis, server, authenticateFn: anybody, logger: log, ...options });
  const world = {
    helper, log, redis, server,
    handler: helper.getBunWebSocketHandler(),
    idle: turns,
    /** Not opened yet. */
    socket: (data) => new FakeSocket(server, world.handler, data),
    async connect({ id = `client-${++ids}`, ...data } = {}) {
      const socket = world.socket({ clientId: id, ...data });
      world.handler.open(socket);
      return new FakeClient(world, socket);
    },
    async member(data = {}, where) {
      const client = await world.connect(where);
      client.send({ event: 'authenticate', data });
      await turns();
      client.take();
      return client;
    },
    remote(message, channel = 'ws:broadcast') {
      const text = typeof message === 'string' ? message : JSON.stringify(message);
      if (channel === 'ws:broadcast') redis.subscriber.emit('message', channel, text);
      else redis.subscriber.emit('pmessage', channel.replace(/^(ws:[a-z]+:).*/, '$1*'), channel, text);
    },
  };
  t.after(() => helper.shutdown());
  if (configured) await helper.configure();
  return world;
}

/** The world that the rules are tried in. */
export const world = fakeWorld;
