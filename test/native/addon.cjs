'use strict';
// The addon itself, without anything of src/: a dispatcher that does the least, and a way to start a broker.

const path = require('node:path');

const root = path.join(__dirname, '..', '..');
const binary = process.env.WSBROKER_BINARY || path.join(root, 'lib', `wsbroker.${target()}.node`);
const native = require(binary);

function target() {
  if (process.platform === 'linux') return `linux-${process.arch}-gnu`;
  if (process.platform === 'win32') return `win32-${process.arch}-msvc`;
  return `${process.platform}-${process.arch}`;
}

native.init(() => queueMicrotask(native.settle));

const KIND = { open: 1, text: 2, sharedBytes: 3, bytes: 4, close: 5, drain: 6 };
const BITS = { open: 1, text: 2, binary: 4, close: 8, drain: 16 };

/**
 * Attaches this thread. Handlers get `(id, value, slot, index)`; one that returns a promise is in hand until that settles. There are no waiting lines:
 * the events of a socket do not wait for each other.
 */
function attach(handlers, { keepAlive = false, slots } = {}) {
  const mask = Object.keys(handlers).reduce((bits, name) => bits | BITS[name], 0);
  const { control, workerId } = native.attachWorker(mask, dispatch, () => setImmediate(native.drain), keepAlive, slots);
  const head = new Int32Array(control, 0, 16);
  const count = head[2];
  const view = {
    head,
    ids: new Float64Array(control, 64, 32),
    kinds: new Int32Array(control, 320, 32),
    slots: new Int32Array(control, 448, 32),
    tokens: new Uint32Array(control, 576, 32),
    first: new Int32Array(control, 704, 32),
    second: new Int32Array(control, 832, 32),
    settled: new Int32Array(control, 1024, count),
    state: new Uint8Array(control, 1024 + 4 * count, count),
  };
  const worker = { workerId, view, calls: 0, events: 0, goodbyes: 0, largest: 0 };

  function dispatch(count, ...data) {
    if (count === 0) {
      worker.goodbyes++;
      return;
    }
    worker.calls++;
    worker.events += count;
    worker.largest = Math.max(worker.largest, count);
    for (let i = 0; i < count; i++) {
      const slot = view.slots[i];
      view.state[slot] = 1;
      let result;
      try {
        result = run(view.kinds[i], view.ids[i], data[i], slot, i);
      } catch (error) {
        queueMicrotask(() => { throw error; });
      }
      if (result instanceof Promise) {
        result.catch(() => undefined).then(() => {
          view.state[slot] = 2;
          view.settled[view.head[1]++] = slot;
          if (view.head[1] === 1) queueMicrotask(native.settle);
        });
      } else {
        view.state[slot] = 2;
      }
    }
  }

  function run(kind, id, value, slot, i) {
    switch (kind) {
      case KIND.open: return handlers.open(id, value, slot, i);
      case KIND.text: return handlers.text(id, value, slot, i);
      case KIND.sharedBytes: return handlers.binary(id, Buffer.from(value, view.first[i], view.second[i]), slot, i);
      case KIND.bytes: return handlers.binary(id, value, slot, i);
      case KIND.close: return handlers.close(id, view.first[i], value, slot, i);
      default: return handlers.drain(id, slot, i);
    }
  }

  return worker;
}

function listenOptions({ process: processOptions, ...options } = {}) {
  return {
    bind: '127.0.0.1:0',
    paths: ['*'],
    protocols: [],
    handshakeTimeout: 10_000,
    openTimeout: 10_000,
    maxHeaderSize: 16_384,
    maxPayload: 16 << 20,
    idleTimeout: 120_000,
    pings: true,
    pingInterval: 25_000,
    closeTimeout: 5_000,
    maxBackpressure: 64 << 20,
    overflow: 'close',
    maxLifetime: 0,
    proxyProtocol: false,
    reusePort: false,
    ...options,
    process: {
      ioThreads: 1,
      maxSendMemory: 1 << 30,
      maxReceiveMemory: 1 << 30,
      maxInFlight: { messages: 256, bytes: 1 << 20, workerBytes: 16 << 20 },
      maxPendingUpgrades: 4096,
      history: [],
      maxHistoryMemory: 2 ** 26,
      concurrent: false,
      handlerTimeout: 30_000,
      stuckAfter: 1_000,
      ...processOptions,
    },
  };
}

/** Binds and serves; `url` is where. */
async function serve(options) {
  const handle = await native.listen(listenOptions(options));
  native.serve(handle);
  return { handle, ...native.listenerAddress(handle) };
}

module.exports = { native, attach, listenOptions, serve, binary };
