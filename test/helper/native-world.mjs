// A world (see world.mjs) on native sockets: the helper listens in this process, and clients are real.
import crypto from 'node:crypto';
import { once } from 'node:events';
import WebSocket from 'ws';

import { FakeLog, FakeRedis } from './fakes.mjs';
import { anybody, lib, turns } from './kit.mjs';

/** In which order ids are given to the next sockets: tests have names for them. */
const wanted = [];
const { randomUUID } = crypto;
crypto.randomUUID = (...args) => wanted.shift() ?? randomUUID(...args);

class NativeClient {
  constructor(world, ws, id) {
    this.world = world;
    this.ws = ws;
    this.id = id;
    this.texts = [];
    this.taken = 0;
    this.ended = undefined;
    this.socket = this.entry.socket;
    ws.on('message', (data) => this.texts.push(data.toString()));
    ws.on('close', (code, reason) => (this.ended = { code, reason: reason.toString() }));
    ws.on('error', () => undefined);
  }

  get entry() {
    return this.world.helper.getClients({ id: this.id });
  }

  send(what) {
    this.frame(typeof what === 'string' ? what : JSON.stringify(what));
  }

  frame(bytes) {
    if (this.ws.readyState === WebSocket.OPEN) this.ws.send(bytes);
  }

  close(code, reason) {
    this.ws.close(code, reason);
  }

  /** What it has sent was read and handed over, or it is gone. */
  async settle() {
    if (this.ws.readyState === WebSocket.OPEN) {
      const [answered, closed] = [once(this.ws, 'pong'), once(this.ws, 'close')];
      this.ws.ping();
      await Promise.race([answered, closed]);
    }
    const closing = this.ws.readyState === WebSocket.CLOSING || (this.socket.readyState === 2 && this.ws.readyState !== WebSocket.CLOSED);
    if (closing) await once(this.ws, 'close');
  }

  takeTexts() {
    const texts = this.texts.slice(this.taken);
    this.taken = this.texts.length;
    return texts;
  }

  take() {
    return this.takeTexts().map((text) => JSON.parse(text));
  }
}

let ids = 0;

export async function world(t, { configured = true, redis = new FakeRedis(), ...options } = {}) {
  const log = new FakeLog();
  const helper = new lib.WebSocketServerHelper({
    identifier: `world-${++ids}`, redisConnection: redis, bind: '127.0.0.1:0', authenticateFn: anybody, logger: log, ...options,
  });
  const clients = [];
  const world = {
    native: true,
    helper, log, redis,
    /** There and back: what clients have sent is handled, and what came of it is with them. */
    async idle() {
      for (let i = 0; i < 3; i++) {
        await Promise.all(clients.map((client) => client.settle()));
        await turns();
      }
    },
    async connect({ id = `client-${++ids}` } = {}) {
      wanted.push(id);
      const ws = new WebSocket(helper.getAddress().url + helper.getPath(), { perMessageDeflate: false });
      await once(ws, 'open');
      while (helper.getClients({ id }) === undefined) await turns();
      const client = new NativeClient(world, ws, id);
      clients.push(client);
      return client;
    },
    async member(data = {}, where) {
      const client = await world.connect(where);
      client.send({ event: 'authenticate', data });
      await world.idle();
      client.take();
      return client;
    },
    remote: (message, channel) => redis.deliver(message, channel),
  };
  t.after(async () => {
    wanted.length = 0;
    for (const { ws } of clients) ws.terminate();
    await helper.shutdown();
  });
  if (configured) await helper.configure();
  return world;
}
