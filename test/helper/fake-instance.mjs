// The native side of the seam (src/helper/transport/transport.cts) as the logic sees it, in plain JavaScript and without sockets: what helpers of one identifier share.
// What one helper posts to another arrives in a later turn, in order.
import { createRequire } from 'node:module';

import { FakeServer } from './fakes.mjs';

const require = createRequire(import.meta.url);
const seam = require('../../lib/helper/transport/native-transport.cjs');

const instances = new Map();

class FakeInstance {
  serverId = crypto.randomUUID();
  helpers = [];
  clients = new Map();
  /** Channels of the kind `room`. */
  server = new FakeServer();
  inputState = 'lost';
  claims = [];
  /** Every post: [to, operation]. */
  posts = [];
  /** How many times a client was encrypted. */
  epoch = 0;
  /** Nothing more is taken by owners. */
  full = false;

  constructor(identifier) {
    this.identifier = identifier;
  }

  post(helper, operation) {
    if (this.full) return false;
    this.posts.push([helper.number, operation]);
    const copy = structuredClone(operation);
    setImmediate(() => helper.host.receive(copy));
    return true;
  }

  setInputState(state) {
    if (this.inputState === state) return;
    this.inputState = state;
    for (const { host } of [...this.helpers]) host.inputState(state);
  }

  leave(helper) {
    this.helpers = this.helpers.filter((one) => one !== helper);
    for (const [id, { owner }] of [...this.clients]) if (owner === helper) this.remove(id);
    const led = this.claims[0] === helper;
    this.claims = this.claims.filter((one) => one !== helper);
    if (this.helpers.length === 0) instances.delete(this.identifier);
    if (!led) return;
    this.setInputState('lost');
    this.claims[0]?.host.takeInput();
  }

  remove(id) {
    const client = this.clients.get(id);
    for (const topic of [...client.socket.subscribed ?? []]) client.socket.unsubscribeFrom(topic);
    this.clients.delete(id);
  }

  isIn(client, { type, name }) {
    return type === 'broadcast' ? client.finished : client[type].has(name);
  }

  /** What the instance is to one of its helpers. */
  seenBy(helper) {
    const shared = this;
    const elsewhere = (id) => {
      const client = shared.clients.get(id);
      return client !== undefined && client.owner !== helper ? client : undefined;
    };
    return {
      serverId: shared.serverId,
      get inputState() {
        return shared.inputState;
      },
      messageHandled: () => undefined,
      addClient: (id, socket) => shared.clients.set(id, { owner: helper, socket, finished: false, encrypted: false, room: new Set(), user: new Set() }),
      finishClient: (id) => (shared.clients.get(id).finished = true),
      encryptClient(id) {
        const client = shared.clients.get(id);
        client.encrypted = true;
        for (const topic of [...client.socket.subscribed]) client.socket.unsubscribeFrom(topic);
        return ++shared.epoch;
      },
      removeClient: (id) => shared.remove(id),
      addMember: (id, type, name) => shared.clients.get(id)[type].add(name),
      removeMember: (id, type, name) => shared.clients.get(id)[type].delete(name),
      isElsewhere: (id) => elsewhere(id) !== undefined,
      hasRoom: (room) => [...shared.clients.values()].some((client) => client.room.has(room)),
      countClients: () => shared.clients.size,
      countRoom: (room) => [...shared.clients.values()].filter((client) => client.room.has(room)).length,
      publish(audience, frame, exclude) {
        const { type, name } = audience;
        const topic = type === 'broadcast' ? 'ws:internal:broadcast' : name;
        for (const [id, client] of shared.clients) {
          const reached = type === 'user' ? client.user.has(name) && !client.encrypted : client.socket.isSubscribed(topic);
          if (reached && !exclude.includes(id)) client.socket.arrive(frame);
        }
        const holders = shared.helpers.filter((one) => one !== helper && [...shared.clients.values()].some((client) => client.owner === one && client.encrypted && shared.isIn(client, audience)));
        return holders.filter((one) => !shared.post(one, { op: 'publish', audience, frame, exclude, epoch: shared.epoch })).length;
      },
      sendElsewhere(id, frame) {
        const client = elsewhere(id);
        if (!client.encrypted) return client.socket.send(frame);
        return shared.post(client.owner, { op: 'send', clientId: id, frame }) ? frame.length : 0;
      },
      post: (id, operation) => shared.post(elsewhere(id).owner, operation),
      claimInput() {
        shared.claims.push(helper);
        return shared.claims[0] === helper;
      },
      setInputState: (state) => shared.setInputState(state),
    };
  }
}

/** Puts the stand-in where the native transport is; helpers made from now on have it. `steps` gets the name of each call of a transport. */
export function withInstances(t, steps = []) {
  const real = seam.nativeTransport;
  seam.nativeTransport = (options) => {
    const helper = { number: undefined, host: undefined };
    let shared;
    const leave = async (step) => {
      steps.push(step);
      transport.instance = undefined;
      shared?.leave(helper);
      shared = undefined;
    };
    const transport = {
      native: true,
      instance: undefined,
      options,
      async join(host) {
        steps.push('join');
        helper.host = host;
        shared = instances.get(options.identifier) ?? new FakeInstance(options.identifier);
        instances.set(options.identifier, shared);
        helper.number = shared.helpers.push(helper) - 1;
        transport.instance = shared.seenBy(helper);
      },
      async open() {
        steps.push('open');
        if (options.bind === 'taken') throw new Error('EADDRINUSE');
      },
      leave: () => leave('leave'),
      stopAccepting: () => steps.push('stopAccepting'),
      finish: () => leave('finish'),
      publish: () => undefined,
      address: () => undefined,
      dropped: () => 0,
    };
    return transport;
  };
  t.after(() => {
    seam.nativeTransport = real;
    instances.clear();
  });
  return { of: (identifier) => instances.get(identifier) };
}
