// A world (see world.mjs) of stand-ins.
import { FakeLog, FakeRedis, FakeServer, FakeSocket } from './fakes.mjs';
import { anybody, lib, turns } from './kit.mjs';

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
    this.world.soon(() => this.socket.readyState === 1 && this.world.handler.message(this.socket, bytes));
  }

  close(code, reason) {
    this.world.soon(() => this.socket.end(code, reason));
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

/**
 * A world of fakes. `options` go to the helper; `configured: false` leaves `configure()` to the test. What travels does so by `soon`: at once, unless the world is to be like
 * one with a network.
 */
export async function fakeWorld(t, { configured = true, redis = new FakeRedis(), ...options } = {}, soon = (fn) => void fn()) {
  const log = new FakeLog();
  const server = new FakeServer(soon);
  const helper = new lib.WebSocketServerHelper({ identifier: 'test', redisConnection: redis, server, authenticateFn: anybody, logger: log, ...options });
  const world = {
    helper, log, redis, server, soon,
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
    remote: (message, channel) => redis.deliver(message, channel),
  };
  t.after(() => helper.shutdown());
  if (configured) await helper.configure();
  return world;
}
