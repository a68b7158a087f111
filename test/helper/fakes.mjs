// Stand-ins for what surrounds the logic: a server and sockets as Bun has them, clients of Redis, a log. They answer at once.
import { EventEmitter } from 'node:events';

/** Topics and sockets, as a Bun server keeps them. */
export class FakeServer {
  topics = new Map();
  publishes = [];
  pendingWebSockets = 0;

  constructor(soon = (fn) => void fn()) {
    this.soon = soon;
  }

  publish(topic, data) {
    this.publishes.push([topic, data]);
    const sockets = [...(this.topics.get(topic) ?? [])];
    for (const socket of sockets) socket.arrive(data);
    return sockets.length === 0 ? 0 : Buffer.byteLength(data);
  }
}

/** A socket whose client is a list of what came. `handler` is told of its events. */
export class FakeSocket {
  remoteAddress = '127.0.0.1';
  readyState = 1;
  /** Every call: ['send', text], ['close', code, reason], ['subscribe', topic], ['unsubscribe', topic]. */
  calls = [];
  texts = [];
  closedWith = undefined;
  /** What `send` answers; undefined: the bytes. */
  answer = undefined;
  /** Whether the close event comes with `close`; otherwise the test brings it with `end`. */
  endsAtOnce = true;
  subscribed = new Set();

  constructor(server, handler, data) {
    this.server = server;
    this.handler = handler;
    this.data = data;
  }

  arrive(text) {
    if (this.readyState === 1) this.server.soon(() => this.texts.push(text));
  }

  send(text, ...more) {
    this.calls.push(['send', text, ...more]);
    if (this.readyState !== 1) return 0;
    if (this.answer !== undefined) {
      if (this.answer instanceof Error) throw this.answer;
      if (this.answer !== 0) this.arrive(text);
      return this.answer;
    }
    this.arrive(text);
    return Buffer.byteLength(text);
  }

  close(code, reason) {
    this.calls.push(['close', code, reason]);
    if (this.readyState !== 1) return;
    this.readyState = 2;
    this.closedWith = { code, reason };
    if (this.endsAtOnce) this.end();
  }

  /** The close event. */
  end(code = 1000, reason = '') {
    if (this.readyState === 3) return;
    this.readyState = 3;
    for (const topic of this.subscribed) this.unsubscribeFrom(topic);
    this.handler.close(this, this.closedWith?.code ?? code, this.closedWith?.reason ?? reason);
  }

  subscribe(topic) {
    this.calls.push(['subscribe', topic]);
    if (this.readyState !== 1) return;
    const sockets = this.server.topics.get(topic) ?? new Set();
    this.server.topics.set(topic, sockets.add(this));
    this.subscribed.add(topic);
  }

  unsubscribe(topic) {
    this.calls.push(['unsubscribe', topic]);
    this.unsubscribeFrom(topic);
  }

  unsubscribeFrom(topic) {
    const sockets = this.server.topics.get(topic);
    sockets?.delete(this);
    if (sockets?.size === 0) this.server.topics.delete(topic);
    this.subscribed.delete(topic);
  }

  isSubscribed(topic) {
    return this.subscribed.has(topic);
  }

  cork(cb) {
    cb(this);
  }

  /** The topics it is subscribed to. */
  get topics() {
    return [...this.subscribed];
  }
}

/** A client of Redis as ioredis has it, and the Redis behind it: what a duplicate publishes comes to nobody but the list. */
export class FakeRedis extends EventEmitter {
  status = 'ready';
  duplicates = [];
  calls = [];
  /** What the next calls of a method do: a function, by name. */
  does = {};

  /** `change` is called with each duplicate and its number. */
  constructor(change = () => {}) {
    super();
    this.change = change;
  }

  duplicate() {
    this.calls.push(['duplicate']);
    const one = new FakeRedis();
    this.change(one, this.duplicates.length);
    this.duplicates.push(one);
    return one;
  }

  #do(name, args, usual) {
    this.calls.push([name, ...args]);
    return this.does[name] === undefined ? usual : this.does[name](...args);
  }

  connect() {
    return this.#do('connect', [], Promise.resolve());
  }

  quit() {
    return this.#do('quit', [], Promise.resolve('OK'));
  }

  disconnect() {
    return this.#do('disconnect', [], undefined);
  }

  subscribe(channel) {
    return this.#do('subscribe', [channel], Promise.resolve(1));
  }

  psubscribe(pattern) {
    return this.#do('psubscribe', [pattern], Promise.resolve(1));
  }

  publish(channel, text) {
    return this.#do('publish', [channel, text], Promise.resolve(0));
  }

  /** What Redis tells the subscriber, by its name or by a pattern. */
  deliver(message, channel = 'ws:broadcast') {
    const text = typeof message === 'string' ? message : JSON.stringify(message);
    if (channel === 'ws:broadcast') this.subscriber.emit('message', channel, text);
    else this.subscriber.emit('pmessage', channel.replace(/^(ws:[a-z]+:).*/, '$1*'), channel, text);
  }

  get publisher() {
    return this.duplicates[0];
  }

  get subscriber() {
    return this.duplicates[1];
  }

  /** Every publish so far: [channel, text]. */
  get published() {
    return this.duplicates[0].calls.filter(([name]) => name === 'publish').map(([, ...args]) => args);
  }

  /** As the connection reports it. */
  is(status) {
    this.status = status;
    this.emit(status);
  }
}

/** A log that is kept: [level, text, ...more]. */
export class FakeLog {
  lines = [];

  for() {
    return this;
  }

  debug(...line) {
    this.lines.push(['debug', ...line]);
  }

  info(...line) {
    this.lines.push(['info', ...line]);
  }

  warn(...line) {
    this.lines.push(['warn', ...line]);
  }

  error(...line) {
    this.lines.push(['error', ...line]);
  }

  /** The lines that match, as text. */
  matching(pattern) {
    return this.lines.map(([level, text]) => `${level}: ${text}`).filter((line) => pattern.test(line));
  }
}
