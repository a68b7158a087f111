// What the tests of the native transport share: a server process with helpers in it (test/e2e/harness.mjs), and clients that speak their protocol.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

import { launch, until } from '../e2e/harness.mjs';

const require = createRequire(import.meta.url);
export const fixture = require.resolve('./fixtures/native.cjs');
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A client of a helper. */
export class Peer {
  constructor(server, client) {
    this.server = server;
    this.client = client;
  }

  get ended() {
    return this.client.ended;
  }

  say(event, data) {
    this.client.send(JSON.stringify({ event, data }));
  }

  /** The next message, parsed. */
  async next() {
    return JSON.parse(await this.client.next());
  }

  async take(count) {
    return (await this.client.take(count)).map((text) => JSON.parse(text));
  }

  /** Authenticates; `id` and `thread` are known then. */
  async enter(data = {}) {
    this.say('authenticate', data);
    const { event, data: told } = await this.next();
    if (event !== 'connected') throw new Error(`expected connected, got ${event}`);
    this.id = told.id;
    ({ thread: this.thread } = await this.server.told.next('connected', ({ clientId }) => clientId === told.id));
    return this;
  }

  async join(...rooms) {
    this.say('join', { rooms });
    await this.settle();
    return this;
  }

  /** Calls a function in the worker that has this client, inside its message handler: (helper, context, ...args). */
  run(fn, ...args) {
    return this.server.perform(fn, args, (order) => this.say('run', JSON.parse(order)));
  }

  /** What this client has sent before was handled, and what that brought about in promises. */
  settle() {
    return this.run(() => new Promise((resolve) => setImmediate(resolve)));
  }

  end() {
    return this.client.end();
  }
}

/** Opens a connection to `/ws`. */
export async function connect(server, { at = server.at, path = '/ws', ...options } = {}) {
  return new Peer(server, await server.connect(path, { id: false, at, ...options }));
}

/** One that is authenticated. */
export async function member(server, data = {}, options) {
  return (await connect(server, options)).enter(data);
}

/** A server process with one helper on its main thread. `run(fn, ...args)` calls (helper, context, ...args) there. */
export async function single(t, options = {}, { configured = true, clean = true, ...launched } = {}) {
  let server;
  t.after(() => (clean && server !== undefined ? finish(server) : undefined));
  server = await launch(t, { start: false, clean: false, ...launched });
  await server.main((wsb, kit, file, given) => {
    kit.state.context = require(file).make(given);
  }, fixture, options);
  server.run = (fn, ...args) => server.main((wsb, kit, source, more) => {
    const { context } = kit.state;
    return (0, eval)(`(${source})`)(context.helper, context, ...more);
  }, String(fn), args);
  if (configured) {
    await server.run((helper) => helper.configure());
    server.at = await server.run((helper) => helper.getAddress());
  }
  return server;
}

/** Its helper, and a broker of `start` if there is one, shut down, and then the process finds its end by itself. */
async function finish(server) {
  server.cut();
  await server.main(async (wsb, kit) => {
    await kit.state.context?.helper.shutdown();
    if (kit.state.servers.length > 0) await wsb.shutdown({ timeout: 1000 });
    kit.hold(false);
  });
  assert.deepEqual(await server.exit(), { code: 0, signal: null }, `the server process ends well${server.note()}`);
}

/** A server process whose pool of workers has a helper in each; with `begin: false` the test starts it. `handlers` is the source of what the module exports besides. */
export async function pool(t, { threads = 4, options = {}, handlers = '{}', start = {}, begin = true, ...launched } = {}) {
  const worker = `(wsb, kit) => {
    const context = require(${JSON.stringify(fixture)}).make(${typeof options === 'string' ? options : JSON.stringify(options)});
    const configured = context.helper.configure();
    configured.then(
      () => kit.tell('configured', { thread: context.threadId }),
      (error) => kit.tell('refused', { thread: context.threadId, error: kit.describe(error) }),
    );
    const handlers = ${handlers};
    return { ...handlers, handleStart: () => configured };
  }`;
  return launch(t, { worker, options: { threads, ...start }, start: begin, ...launched });
}

/** Clients at every one of `threads` workers, `each` at each. */
export async function crowd(server, threads, each, data = () => ({})) {
  const peers = [];
  for (let i = 0; i < threads * each; i++) peers.push(await member(server, data(i)));
  const at = Map.groupBy?.(peers, ({ thread }) => thread) ?? group(peers);
  for (const [thread, own] of at) if (own.length !== each) throw new Error(`${own.length} clients at thread ${thread}`);
  return peers;
}

function group(peers) {
  const groups = new Map();
  for (const peer of peers) groups.set(peer.thread, [...(groups.get(peer.thread) ?? []), peer]);
  return groups;
}

/** Everything that was sent to these clients from now on, up to a mark which `from` sends to each of them behind it. */
export async function between(from, peers, act) {
  await act();
  await from.run((helper, context, ids) => {
    for (const clientId of ids) helper.sendToClient({ clientId, event: 'mark', data: null });
  }, peers.map(({ id }) => id));
  return upToMark(peers);
}

/** Everything that each of these clients got before its mark. */
export async function upToMark(peers) {
  const got = [];
  for (const peer of peers) {
    const messages = [];
    for (;;) {
      const message = await peer.next();
      if (message.event === 'mark') break;
      messages.push(message);
    }
    got.push(messages);
  }
  return got;
}

export { until };
