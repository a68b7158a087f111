import { BusStateReporter } from './bus/bus-state-reporter.cjs';
import type { Bus } from './bus/bus.cjs';
import { makeEnvelope } from './bus/envelope.cjs';
import { createBus } from './bus/redis-connection.cjs';
import { HelperBase } from './helper-base.cjs';
import { HelperLifecycle } from './helper-lifecycle.cjs';
import { EMITTER_OPTIONS, knownOptions } from './helper-options.cjs';
import { safeLogger } from './log.cjs';
import { EMITTER_ID, WebSocketChannels, WebSocketMessageTypes } from './protocol.cjs';
import type { IWebSocketEmitterOptions, TWebSocketMessageType } from './types.cjs';

const SCOPE = 'WebSocketEmitter';

/** A message of an emitter, and where it goes. */
interface EmitterMessage {
  readonly target?: string;
  readonly event: string;
  readonly data: unknown;
  readonly exclude?: string[] | undefined;
}

/**
 * Sends to the clients of all server helpers on the same Redis, from a process without sockets of
 * its own, such as a job or an API.
 *
 * @example
 * ```js
 * import { WebSocketEmitter } from 'wsbroker/server-helper';
 *
 * const emitter = new WebSocketEmitter({ redisConnection: 'redis://127.0.0.1' });
 * await emitter.configure();
 * await emitter.toUser({ userId: '7', event: 'invoice', data: { paid: true } });
 * await emitter.shutdown();
 * ```
 */
export class WebSocketEmitter extends HelperBase {
  readonly #lifecycle = new HelperLifecycle(SCOPE);
  readonly #bus: Bus;
  readonly #states: BusStateReporter;

  /**
   * Does not connect yet.
   *
   * @throws {TypeError} ERR_WSBROKER_INVALID_ARG_TYPE: the options are not an object
   * @throws {WSBrokerError} ERR_WSBROKER_UNKNOWN_OPTION: an option does not exist; the message
   * names the most similar one
   * @throws {WSBrokerError} ERR_WSBROKER_INVALID_REDIS: `redisConnection` is missing, or cannot be
   * used
   */
  constructor(opts: IWebSocketEmitterOptions) {
    super(SCOPE, knownOptions(SCOPE, opts, EMITTER_OPTIONS).identifier ?? SCOPE, opts.logger);
    const log = safeLogger(this.logger);
    this.#states = new BusStateReporter(opts.busStateFn ?? undefined, log);
    this.#bus = createBus(SCOPE, opts.redisConnection, 'emitter');
  }

  /**
   * Connects, and resolves when Redis answers. A second call returns the promise of the first;
   * after a rejection, a later call tries again.
   *
   * @throws the first error of the connection
   * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis was not ready within 30 s.
   * ERR_WSBROKER_SHUT_DOWN: {@link shutdown} was called
   */
  override configure(): Promise<void> {
    return this.#lifecycle.configure(
      async () => {
        await this.#bus.connect(
          {
            scope: SCOPE,
            logger: safeLogger(this.logger),
            received: () => undefined,
            changed: () => this.#update(),
          },
          undefined,
        );
        this.#lifecycle.check();
        this.#states.begin();
        this.#update();
      },
      () => Promise.resolve(),
    );
  }

  /** Ends the connection within 5 s. Further calls return the same promise. */
  override shutdown(): Promise<void> {
    return this.#lifecycle.shutdown(async () => {
      this.#states.end();
      await this.#bus.close();
    });
  }

  /**
   * Sends to one client of any instance. Like the next three methods it resolves when Redis has the
   * message; whether the message reaches a client is not known.
   *
   * @throws {WSBrokerError} ERR_WSBROKER_BUS_LOST: Redis is lost. ERR_WSBROKER_SHUT_DOWN:
   * {@link shutdown} was called
   * @throws {TypeError} the data cannot be serialized
   */
  async toClient(opts: { clientId: string; event: string; data: unknown }): Promise<void> {
    const { clientId, event, data } = opts;
    await this.#send(WebSocketChannels.forClient({ clientId }), WebSocketMessageTypes.CLIENT, {
      target: clientId,
      event,
      data,
    });
  }

  /** Sends to every client of a user. @throws as {@link toClient} */
  async toUser(opts: { userId: string; event: string; data: unknown }): Promise<void> {
    const { userId, event, data } = opts;
    await this.#send(WebSocketChannels.forUser({ userId }), WebSocketMessageTypes.USER, {
      target: userId,
      event,
      data,
    });
  }

  /** Sends to every client in a room, except those in `exclude`. @throws as {@link toClient} */
  async toRoom(opts: {
    room: string;
    event: string;
    data: unknown;
    exclude?: string[];
  }): Promise<void> {
    const { room, event, data, exclude } = opts;
    await this.#send(WebSocketChannels.forRoom({ room }), WebSocketMessageTypes.ROOM, {
      target: room,
      event,
      data,
      exclude,
    });
  }

  /** Sends to every authenticated client. @throws as {@link toClient} */
  async broadcast(opts: { event: string; data: unknown }): Promise<void> {
    const { event, data } = opts;
    await this.#send(WebSocketChannels.BROADCAST, WebSocketMessageTypes.BROADCAST, { event, data });
  }

  async #send(
    channel: string,
    type: TWebSocketMessageType,
    message: EmitterMessage,
  ): Promise<void> {
    this.#lifecycle.check();
    await this.#bus.request(channel, makeEnvelope(EMITTER_ID, type, message));
  }

  #update(): void {
    this.#states.update(this.#bus.publisherReady ? 'ready' : 'lost');
  }
}
