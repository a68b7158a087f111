import type { Hooks, Message, Peer } from 'crossws' with { 'resolution-mode': 'import' };
import { WSBrokerError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import { isThenable } from '../promises.cjs';
import { reportHandlerError } from '../report.cjs';
import type {
  HandlerName,
  OpenRequest,
  OpenVerdict,
  WorkerInterface,
} from '../types/worker-interface.cjs';
import { PINNED } from '../worker/handlers.cjs';
import { PinnedSockets } from '../worker/pinned-sockets.cjs';
import { CrosswsMessage } from './message.cjs';
import { checkCrosswsOptions, type CrosswsOptions } from './options.cjs';
import { payloadOf } from './payload.cjs';
import { CrosswsPeer } from './peer.cjs';
import { topicChannel } from './topics.cjs';
import { fetchRequest, offeredProtocols, type Upgrade, upgrade } from './upgrade.cjs';

/**
 * What {@link crosswsWorker} returns: handlers for a worker module or `registerWorkerThread`, and
 * what an adapter of crossws has.
 */
export interface CrosswsWorker extends WorkerInterface {
  /** This thread's peers, by namespace. Those of other threads are not there. */
  readonly peers: ReadonlyMap<string, ReadonlySet<Peer>>;
  /**
   * Publishes to the subscribers of a topic on all threads and instances, in one namespace or in
   * all.
   */
  publish(
    topic: string,
    data: unknown,
    options?: { readonly namespace?: string; readonly compress?: boolean },
  ): void;
  /**
   * Closes this thread's peers. `shutdown` closes all.
   *
   * @returns a promise, as adapters of crossws do; it does not wait for the clients' answers
   */
  close(code?: number, reason?: string): Promise<void>;
}

type HookName = 'open' | 'message' | 'close' | 'drain';
const HANDLERS: Readonly<Record<HookName, HandlerName>> = {
  open: 'handleOpen',
  message: 'handleTextMessage',
  close: 'handleClose',
  drain: 'handleDrain',
};
/** Close codes that say that the connection failed, with what the `error` hook is told. */
const FAILURES: Readonly<Record<number, string>> = {
  1002: 'the client has violated the protocol',
  1007: 'the client has sent a text that is not UTF-8',
  1009: 'the client has sent a message that is too big',
};

/** What an `error` hook gets. The error of a hook is its `cause`. */
class WSError extends Error {
  override readonly name = 'WSError';
}

/**
 * Runs hooks of crossws on wsbroker: the handlers of a worker module. Peers, topics and messages
 * are as crossws documents them; topics are channels, which reach all threads of the process and,
 * with the option `cluster` of `start`, all instances.
 *
 * - `peers` has the peers of the same thread, and no others.
 * - Hooks of one connection do not wait for each other's promises, whatever the option `handlers`
 *   of `start` says.
 * - `send` returns what wsbroker's `send` returns: 1, -1 above the limit, 0 if nothing was sent.
 * - The `error` hook gets what other hooks throw or reject with, and protocol errors of clients.
 * - The hooks `ping` and `pong` are not called.
 * - Connections belong to the thread that has accepted them. If it ends, they are closed with 1012.
 *
 * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: an option or a hook has the wrong type, or
 * there are no hooks
 * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist; some options of
 * crossws are options of `start` here, which the message names
 * @throws {WSBrokerError} ERR_WSBROKER_CONFLICT: `resolve` and `fetch` are both given
 *
 * @example
 * ```js
 * import { crosswsWorker } from 'wsbroker/crossws';
 *
 * export default crosswsWorker({
 *   hooks: {
 *     open(peer) {
 *       peer.subscribe('everyone');
 *     },
 *     message(peer, message) {
 *       peer.publish('everyone', message.text());
 *     },
 *   },
 * });
 * ```
 */
export function crosswsWorker(options: CrosswsOptions): CrosswsWorker {
  return new CrosswsAdapter(checkCrosswsOptions(options)).worker();
}

/** The connections of one worker. */
class CrosswsAdapter {
  readonly #options: CrosswsOptions;
  readonly #peers = new PinnedSockets<CrosswsPeer>((peer) => this.#opened(peer));
  readonly #namespaces = new Map<string, Set<CrosswsPeer>>();

  constructor(options: CrosswsOptions) {
    this.#options = options;
  }

  worker(): CrosswsWorker {
    const { hooks, resolve, fetch } = this.#options;
    const hasDrain = hooks?.drain !== undefined || resolve !== undefined || fetch !== undefined;
    return {
      ...{ [PINNED]: true },
      handleOpen: (id, _ip, _headers, request) => this.#open(id, request),
      handleTextMessage: (text, id) => this.#message(id, text),
      handleBinaryMessage: (bytes, id) => this.#message(id, bytes),
      handleClose: (id, _token, code, reason) => this.#close(id, code, reason),
      ...(hasDrain ? { handleDrain: (id: number) => this.#drain(id) } : {}),
      peers: this.#namespaces as unknown as CrosswsWorker['peers'],
      publish: (topic, data, { namespace, compress } = {}) => {
        const channel = topicChannel(topic, namespace);
        native.sendToChannel(channel, payloadOf(data), compress === undefined ? {} : { compress });
      },
      close: (code, reason) => {
        for (const peer of this.#peers.all()) peer.close(code, reason);
        return Promise.resolve();
      },
    };
  }

  async #open(socketId: number, open: OpenRequest): Promise<OpenVerdict> {
    const request = fetchRequest(open);
    if (request === undefined) return { status: 400 };
    let decision: Upgrade;
    try {
      decision = await upgrade(this.#options, request);
      if (decision.kind === 'refused') return decision.verdict;
      checkProtocol(decision.protocol, request);
    } catch (error) {
      // 500, as crossws answers. A throw would be 403.
      this.#report(error, 'handleOpen', socketId);
      return { status: 500 };
    }
    const { context, namespace, protocol, headers, resolved } = decision;
    const parts = { socketId, remoteAddress: open.ip, request, context, namespace, resolved };
    return this.#peers.accept(
      socketId,
      { protocol, headers },
      () => new CrosswsPeer({ ...parts, protocol: protocol ?? '' }),
    );
  }

  #opened(peer: CrosswsPeer): void {
    peer.peers = this.#namespaces.get(peer.namespace) ?? new Set();
    peer.peers.add(peer);
    this.#namespaces.set(peer.namespace, peer.peers);
    void this.#run('open', peer, (hooks) => hooks.open?.(asPeer(peer)));
  }

  #message(socketId: number, data: string | Buffer): void {
    const peer = this.#peers.ofMessage(socketId);
    if (peer === undefined) return;
    const message = new CrosswsMessage(data, peer) as unknown as Message;
    void this.#run('message', peer, (hooks) => hooks.message?.(asPeer(peer), message));
  }

  /** The promise of the hook is returned, so that a shutdown waits for it. */
  #close(socketId: number, code: number, reason: string): unknown {
    const peer = this.#peers.end(socketId);
    if (peer === undefined) return undefined;
    peer.websocket.ended();
    peer.peers.delete(peer);
    if (peer.peers.size === 0) this.#namespaces.delete(peer.namespace);
    const failure = FAILURES[code];
    if (failure !== undefined) {
      this.#callErrorHook(peer, new WSError(`${failure}: closed with ${code}`), 'handleClose');
    }
    return this.#run('close', peer, (hooks) => hooks.close?.(asPeer(peer), { code, reason }));
  }

  #drain(socketId: number): void {
    const peer = this.#peers.find(socketId);
    if (peer === undefined) return;
    void this.#run('drain', peer, (hooks) => hooks.drain?.(asPeer(peer)));
  }

  /** Calls a hook of the worker and then that of the connection. Never throws or rejects. */
  #run(
    name: HookName,
    peer: CrosswsPeer,
    call: (hooks: Partial<Hooks>) => unknown,
  ): Promise<unknown> | undefined {
    const failed = (error: unknown): void => this.#failed(peer, error, HANDLERS[name]);
    let pending: Promise<unknown> | undefined;
    for (const hooks of [this.#options.hooks, peer.resolved]) {
      if (hooks === undefined) continue;
      try {
        const result = call(hooks);
        if (!isThenable(result)) continue;
        const settled = Promise.resolve(result).then(undefined, failed);
        pending = pending === undefined ? settled : Promise.all([pending, settled]);
      } catch (error) {
        failed(error);
      }
    }
    return pending;
  }

  #failed(peer: CrosswsPeer, error: unknown, handler: HandlerName): void {
    const message = error instanceof Error ? error.message : String(error);
    const told = this.#callErrorHook(peer, new WSError(message, { cause: error }), handler);
    if (!told) this.#report(error, handler, peer.socketId);
  }

  /** Whether there is an `error` hook. */
  #callErrorHook(peer: CrosswsPeer, error: WSError, handler: HandlerName): boolean {
    const failed = (reason: unknown): void => this.#report(reason, handler, peer.socketId);
    let told = false;
    for (const hooks of [this.#options.hooks, peer.resolved]) {
      if (hooks?.error === undefined) continue;
      told = true;
      try {
        const result: unknown = hooks.error(asPeer(peer), error);
        if (isThenable(result)) Promise.resolve(result).then(undefined, failed);
      } catch (reason) {
        failed(reason);
      }
    }
    return told;
  }

  #report(error: unknown, handler: HandlerName, socketId: number): void {
    const context = { handler, socketId };
    const { onError } = this.#options;
    if (onError === undefined) return reportHandlerError(error, context);
    const failed = (reason: unknown): void => {
      reportHandlerError(error, context);
      reportHandlerError(reason, context);
    };
    try {
      const result = onError(error, context);
      if (isThenable(result)) Promise.resolve(result).then(undefined, failed);
    } catch (reason) {
      failed(reason);
    }
  }
}

/** Classes of crossws cannot be extended from outside, so ours have the same members. */
function asPeer(peer: CrosswsPeer): Peer {
  return peer as unknown as Peer;
}

/** @throws {WSBrokerError} ERR_WSBROKER_INVALID_VERDICT: a client would refuse it */
function checkProtocol(protocol: string | undefined, request: Request): void {
  if (protocol === undefined || offeredProtocols(request).includes(protocol)) return;
  throw new WSBrokerError(
    'ERR_WSBROKER_INVALID_VERDICT',
    'crosswsWorker: the subprotocol must be one of those that the client offered',
  );
}
