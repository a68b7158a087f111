'use strict';
// The addon's place in unit tests: WSBROKER_BINARY names this file. It has no sockets; tests deliver events themselves and look at what was called.

const SLOTS = 16_384;
const KIND = { open: 1, text: 2, shared: 3, bytes: 4, close: 5, drain: 6, lost: 8 };

/** What each call does instead, by name: tests put functions here. */
const instead = {};
/** What was called, as [name, ...arguments]. */
const calls = [];
/** Tokens by socket: { version, bytes }. */
const tokens = new Map();
let worker;
let version = 0;
let listeners = 0;
let handling;

/** A control block as the addon makes it, with a way to deliver through it. */
function controlBlock() {
  const buffer = new ArrayBuffer(1024 + 5 * SLOTS);
  const control = new Int32Array(buffer, 0, 16);
  control[2] = SLOTS;
  return {
    buffer,
    control,
    ids: new Float64Array(buffer, 64, 32),
    kinds: new Int32Array(buffer, 320, 32),
    slots: new Int32Array(buffer, 448, 32),
    tokens: new Uint32Array(buffer, 576, 32),
    a: new Int32Array(buffer, 704, 32),
    b: new Int32Array(buffer, 832, 32),
    settled: new Int32Array(buffer, 1024, SLOTS),
    state: new Uint8Array(buffer, 1024 + 4 * SLOTS, SLOTS),
  };
}

/** As the addon does when a worker joins a broker. */
function tellHandling() {
  if (worker === undefined || handling === undefined) return;
  worker.block.control[4] = Number(handling.concurrent);
  worker.block.control[5] = handling.handlerTimeout + 1;
}

/** Delivers events as one batch and returns their slots. */
function deliver(...events) {
  const { block, dispatch } = worker;
  const data = events.map((event, i) => {
    const slot = worker.next++;
    worker.socketOf[slot] = event.id;
    block.ids[i] = event.id;
    block.kinds[i] = KIND[event.kind];
    block.slots[i] = slot;
    block.state[slot] = 0;
    block.tokens[i] = tokens.get(event.id)?.version ?? 0;
    block.a[i] = event.code ?? event.offset ?? 0;
    block.b[i] = event.length ?? 0;
    return event.data;
  });
  const first = worker.next - events.length;
  dispatch(events.length, ...data);
  return events.map((_, i) => first + i);
}

const quiet = {
  brokerDefaults: () => ({ memory: 2 ** 32, cpus: 2 }),
  processOptionsNow: () => null,
  instanceCount: () => 0,
  async listen({ process }) {
    handling = process;
    tellHandling();
    return ++listeners;
  },
  listenerAddress: () => ({ address: '127.0.0.1', port: 4321, url: 'ws://127.0.0.1:4321' }),
  closeListener: async () => undefined,
  async shutdownBroker() {
    handling = undefined;
    return { closed: 0, terminated: 0 };
  },
  leaveCluster: async () => true,
  attachWorker(mask, dispatch, again, keepAlive) {
    const block = controlBlock();
    worker = { mask, dispatch, again, keepAlive, block, next: 0, socketOf: [] };
    tellHandling();
    return { workerId: 1, control: block.buffer };
  },
  detachWorker: () => (worker = undefined),
  settle() {
    if (worker !== undefined) worker.block.control[1] = 0;
  },
  copyToken(slot, into) {
    const bytes = tokens.get(worker.socketOf[slot])?.bytes;
    if (bytes === undefined) return -1;
    if (bytes.length <= into.length) into.set(bytes);
    return bytes.length;
  },
  slotToken(slot) {
    const bytes = tokens.get(worker.socketOf[slot])?.bytes;
    // As the addon does: in memory of its own.
    return bytes && Buffer.from(new Uint8Array(bytes).buffer);
  },
  tokenVersion: (id) => tokens.get(id)?.version ?? 0,
  setToken(id, token) {
    tokens.set(id, { version: ++version, bytes: Buffer.from(token) });
    if (worker !== undefined) worker.block.control[0]++;
  },
  workerCount: () => (worker === undefined ? 0 : 1),
  clientsLeftBy: () => 0,
  supersedeWorker: () => undefined,
  workerEmptied: () => Promise.resolve(),
  giveUpWorker: () => undefined,
  setWorkersFail: () => undefined,
  connectionCount: () => 0,
};

for (const name of [
  'init', 'serve', 'slotBytes', 'reloadTls', 'keepAlive', 'drain', 'openVerdict', 'send', 'sendToChannel', 'subscribe', 'unsubscribe', 'subscribeMany', 'unsubscribeMany', 'unsubscribeAll',
  'copySubscriptions', 'getToken', 'close', 'terminate', 'closeChannel', 'isOpen', 'bufferedAmount', 'hasSubscriptions', 'subscriberCount', 'isSubscribed',
  'getSubscriptions', 'getSubscribers', 'stats', 'metrics', 'handlerRan', 'publishWithReceipt', 'historyPosition', 'readHistory', 'recoverSocket', 'deleteHistory', 'continueChannel', 'watchWorkers', 'watchIdleWorkers', 'endWithThread', 'setReady', 'requireCluster', 'joinCluster', 'clusterReady',
  ...Object.keys(quiet),
]) {
  exports[name] = (...args) => {
    calls.push([name, ...args]);
    return (instead[name] ?? quiet[name])?.(...args);
  };
}

exports.fake = {
  calls,
  instead,
  tokens,
  deliver,
  worker: () => worker,
  callsOf: (name) => calls.filter(([called]) => called === name).map(([, ...args]) => args),
};
