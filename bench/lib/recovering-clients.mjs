// Clients of bench/recovery.mjs whose connection breaks, of wsbroker and of Socket.IO. Each writes
// down what it has got of each channel, and what it was told that it has not.
import { setTimeout as sleep } from 'node:timers/promises';
import { io } from 'socket.io-client';
import WebSocket from 'ws';

/** The sockets of wsbroker's clients: each has the client's name in its URL. */
const sockets = new Map();
globalThis.WebSocket = class extends WebSocket {
  constructor(url, protocol) {
    super(url, protocol, { perMessageDeflate: false });
    // What goes wrong before it is open, which browsers tell by its close.
    this.on('error', () => {});
    sockets.set(new URL(url).searchParams.get('client'), this);
  }
};
const { connect } = await import('wsbroker/client');

/** What one client has seen. Messages of a channel are numbered from 1 without holes. */
class Record {
  reconnects = -1;
  /** Milliseconds from the attempt that succeeded to the last message published before it did. */
  replays = [];
  lost = 0;
  wrong = [];
  /** By channel: the newest number, 0 if it is unknown, and how many messages came. */
  seen = new Map();
  #attemptAt = 0;
  #openedAt = Infinity;
  #caughtUpAt = 0;

  constructor(channels) {
    for (const channel of channels) this.seen.set(channel, { number: 0, count: 0 });
  }

  attempt() {
    this.#attemptAt = Date.now();
  }

  opened() {
    this.#openedAt = Date.now();
    this.reconnects += 1;
  }

  down() {
    if (this.reconnects > 0 && this.#caughtUpAt > this.#attemptAt) this.replays.push(this.#caughtUpAt - this.#attemptAt);
    this.#openedAt = Infinity;
  }

  message(channel, number, publishedAt) {
    const seen = this.seen.get(channel);
    if (seen.number !== 0 && number !== seen.number + 1) this.wrong.push(`${channel}: ${number} behind ${seen.number}`);
    seen.number = number;
    seen.count += 1;
    if (publishedAt < this.#openedAt) this.#caughtUpAt = Date.now();
  }

  told(channel, number) {
    this.lost += 1;
    this.seen.get(channel).number = number;
  }

  /** Whether it lacks something that it was not told of. */
  isBehind(heads) {
    return [...this.seen].some(([channel, { number }]) => number !== 0 && number < (heads.get(channel) ?? 0));
  }
}

export class WsbrokerClient extends Record {
  /** Comes back only then. */
  #away = 0;
  #name;
  #client;

  constructor(name, port, channels = []) {
    super(channels);
    this.#name = `${name}`;
    this.#client = connect(`ws://127.0.0.1:${port}/?client=${name}`, {
      backoff: { min: 100, max: 2_000 },
      token: async () => {
        while (Date.now() < this.#away) await sleep(this.#away - Date.now());
        this.attempt();
        return 'bench';
      },
    });
    this.#client.on('error', (error) => this.wrong.push(`error: ${error?.message ?? error}`));
    this.#client.on('state', ({ state }) => (state === 'open' ? this.opened() : this.down()));
    for (const channel of channels) {
      this.#client.subscribe(channel, {
        onLost: ({ position }) => this.told(channel, position.offset),
        onMessage: ({ offset, data }) => this.message(channel, offset, JSON.parse(data).at),
      });
    }
  }

  get isOpen() {
    return this.#client.state === 'open';
  }

  /** Resolves with the number of the message. */
  async publish(channel, message) {
    const { position } = await this.#client.publish(channel, JSON.stringify(message));
    return position.offset;
  }

  /** The connection breaks, and none can be had for so many milliseconds. */
  cut(forMs) {
    this.#away = Date.now() + forMs;
    sockets.get(this.#name)?.terminate();
  }

  finish() {
    this.down();
    this.#client.close();
  }
}

export class SocketIoClient extends Record {
  #socket;
  #numbers = new Map();

  constructor(name, port, channels = []) {
    super(channels);
    this.#socket = io(`http://127.0.0.1:${port}`, {
      forceNew: true,
      transports: ['websocket'],
      query: { rooms: `${channels}` },
      reconnectionDelay: 100,
      reconnectionDelayMax: 2_000,
      randomizationFactor: 1,
    });
    this.#socket.io.on('reconnect_attempt', () => this.attempt());
    this.#socket.on('disconnect', () => this.down());
    this.#socket.on('connect', () => {
      this.opened();
      if (this.reconnects === 0 || this.#socket.recovered) return;
      for (const channel of channels) this.told(channel, 0);
    });
    this.#socket.on('message', (channel, { number, at }) => this.message(channel, number, at));
  }

  get isOpen() {
    return this.#socket.connected;
  }

  async publish(channel, message) {
    const number = (this.#numbers.get(channel) ?? 0) + 1;
    this.#numbers.set(channel, number);
    await this.#socket.timeout(60_000).emitWithAck('publish', channel, { ...message, number });
    return number;
  }

  cut(forMs) {
    // Away already: the manager must not be disturbed while it tries.
    if (!this.isOpen) return;
    const manager = this.#socket.io;
    manager.reconnection(false);
    manager.engine.transport.ws.terminate();
    setTimeout(() => {
      manager.reconnection(true);
      this.attempt();
      this.#socket.connect();
    }, forMs);
  }

  finish() {
    this.down();
    this.#socket.close();
  }
}
