// A world for one client: sockets without a network, and a clock that goes when it is told to.
// What the client takes from its runtime (WebSocket, timers, clocks, chance, events of the page) is
// replaced for one test. The tests of real sockets are in sockets.test.mjs and test/browser.
import assert from 'node:assert/strict';

const real = { setTimeout, setImmediate, console };

/** Lets everything run that can run without the clock. */
export const settled = () => new Promise((resolve) => real.setImmediate(() => real.setImmediate(resolve)));

export class FakeSocket {
  protocol = '';
  sent = [];
  /** What the client closed it with. */
  closed;
  onopen = null;
  onmessage = null;
  onclose = null;

  constructor(url, protocol) {
    this.url = url;
    this.asked = protocol;
  }

  send(text) {
    assert.equal(this.closed, undefined, 'nothing is sent to a socket that was given up');
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.closed = { code };
  }

  // From here on: what the server does.

  async open(protocol = 'wsbroker.v1') {
    this.protocol = protocol;
    this.onopen?.();
    await settled();
    return this;
  }

  /** A control message, a frame as text, or bytes. */
  async say(...messages) {
    for (const message of messages) {
      this.onmessage?.({ data: typeof message === 'string' || message instanceof ArrayBuffer ? message : JSON.stringify(message) });
    }
    await settled();
  }

  async end(code = 1006, reason = '') {
    const { onclose } = this;
    this.onopen = this.onmessage = this.onclose = null;
    onclose?.({ code, reason });
    await settled();
  }

  /** Opens, and answers the hello. */
  async welcome() {
    await this.open();
    await this.say({ type: 'welcome' });
    return this;
  }

  /** Takes what was sent since it was last called. */
  taken() {
    return this.sent.splice(0);
  }
}

/** Calls `body` in such a world, and puts everything back. */
export const inFakeWorld = (body) => async () => {
  const saved = [
    'setTimeout', 'clearTimeout', 'WebSocket', 'addEventListener', 'document', 'reportError', 'location',
  ].map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  const { now } = Date;
  const { now: elapsed } = performance;
  const { random } = Math;
  const { error: print } = console;
  const put = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });

  const timers = new Map();
  let count = 0;
  const world = {
    /** Milliseconds since the test has begun. */
    time: 0,
    sockets: [],
    /** What `Math.random` returns: 0 is the longest wait. */
    random: 0,
    /** What was reported although there was no listener. */
    reported: [],
    /** Listeners of the page, by the name of the event. */
    page: new Map(),
    /** The newest socket. */
    get socket() {
      return world.sockets.at(-1);
    },
    get timers() {
      return timers.size;
    },
    /** Lets time pass. */
    async pass(ms) {
      const end = world.time + ms;
      for (;;) {
        await settled();
        const [next] = [...timers.entries()].sort(([, a], [, b]) => a.at - b.at);
        if (!next || next[1].at > end) break;
        world.time = next[1].at;
        timers.delete(next[0]);
        next[1].run();
      }
      world.time = end;
      await settled();
    },
    async event(name) {
      for (const listener of world.page.get(name) ?? []) listener({ type: name });
      await settled();
    },
  };
  put('setTimeout', (run, ms, ...args) => {
    timers.set(++count, { at: world.time + Math.max(0, ms), run: () => run(...args) });
    return count;
  });
  put('clearTimeout', (id) => void timers.delete(id));
  put('WebSocket', class extends FakeSocket {
    constructor(...args) {
      super(...args);
      world.sockets.push(this);
    }
  });
  put('addEventListener', (name, listener, { signal }) => {
    const all = world.page.get(name) ?? new Set();
    world.page.set(name, all.add(listener));
    signal.addEventListener('abort', () => all.delete(listener));
  });
  put('document', undefined);
  put('location', undefined);
  put('reportError', (error) => world.reported.push(error));
  Date.now = () => 1_700_000_000_000 + world.time;
  performance.now = () => 5 + world.time;
  Math.random = () => world.random;
  try {
    await body(world, put);
  } finally {
    for (const [name, descriptor] of saved) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else delete globalThis[name];
    }
    Date.now = now;
    performance.now = elapsed;
    Math.random = random;
    console.error = print;
  }
};
