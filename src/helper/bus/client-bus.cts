import { WSBrokerError } from '../../errors.cjs';
import { isThenable, within } from '../../promises.cjs';
import { LIMITS, WebSocketChannels } from '../protocol.cjs';
import type { IRedisClientLike } from '../types.cjs';
import type { Bus, BusCounts, BusHost, BusRole } from './bus.cjs';
import { RedisLink } from './redis-link.cjs';

// A bus with a Redis client of the application: it uses duplicates of the client.

/** How many milliseconds after a failed subscription the next one is tried. */
const RESUBSCRIBE_AFTER = 1000;

export class ClientBus implements Bus {
  readonly form: string;
  readonly instanceWide = false;
  readonly #publisher: RedisLink;
  readonly #subscriber: RedisLink | undefined;
  #host: BusHost | undefined;
  /**
   * All links have been ready once. From then on messages are refused while the publisher is lost.
   */
  #connected = false;
  #subscribing = false;
  #subscribed = false;
  /**
   * Counts the connections of the subscriber, to ignore what was started on an earlier one.
   */
  #connection = 0;
  #retry: NodeJS.Timeout | undefined;
  /**
   * UTF-16 units of messages that Redis has not answered. The client keeps them, without a limit of
   * its own.
   */
  #unanswered = 0;
  #closed = false;

  /**
   * Duplicates the parent, first for the publisher, then for the subscriber. Nothing else is done
   * with the parent.
   */
  constructor(parent: IRedisClientLike, role: BusRole, form: string) {
    this.form = form;
    const publisher = parent.duplicate();
    this.#publisher = new RedisLink(publisher, 'publisher');
    if (role === 'emitter') return;
    try {
      this.#subscriber = new RedisLink(parent.duplicate(), 'subscriber');
    } catch (error) {
      disconnect(publisher);
      throw error;
    }
  }

  get publisherReady(): boolean {
    return this.#connected && this.#publisher.up;
  }

  get subscriberReady(): boolean {
    return this.#subscribed;
  }

  async connect(host: BusHost): Promise<void> {
    this.#watch(host);
    const ready = Promise.all(this.#links.map((link) => link.ready(LIMITS.redisReady)));
    for (const link of this.#links) link.start();
    try {
      await ready;
    } catch (error) {
      for (const link of this.#links) link.giveUp();
      throw error;
    }
    this.#connected = true;
  }

  async subscribe(): Promise<void> {
    this.#subscribing = true;
    try {
      await this.#subscribeAll();
    } catch (error) {
      this.#subscribing = false;
      throw error;
    }
  }

  publish(channel: string, text: string, failed: (error: unknown) => void): void {
    if (this.#refuses) return failed(this.#refusal());
    // A message that exceeds the limit by itself passes if nothing else is in flight, as on the
    // native bus.
    if (this.#unanswered > 0 && this.#unanswered + text.length > LIMITS.maxUnanswered) {
      return failed(
        new WSBrokerError('ERR_WSBROKER_BUS_LOST', 'too much is waiting to be sent to Redis'),
      );
    }
    try {
      const given = this.#publisher.client.publish(channel, text);
      if (!isThenable(given)) return;
      this.#unanswered += text.length;
      const answered = (): void => void (this.#unanswered -= text.length);
      Promise.resolve(given).then(answered, (error: unknown) => {
        answered();
        failed(error);
      });
    } catch (error) {
      failed(error);
    }
  }

  async request(channel: string, text: string): Promise<void> {
    if (this.#refuses) throw this.#refusal();
    await this.#publisher.client.publish(channel, text);
  }

  counts(): BusCounts {
    return { invalid: 0, dropped: 0 };
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    for (const link of this.#links) link.close();
    await Promise.all(this.#links.map((link) => this.#quit(link)));
  }

  get #links(): RedisLink[] {
    return this.#subscriber === undefined ? [this.#publisher] : [this.#publisher, this.#subscriber];
  }

  /** Before the first `connect` it is up to the client. */
  get #refuses(): boolean {
    return this.#closed || (this.#connected && !this.#publisher.up);
  }

  #refusal(): WSBrokerError {
    return this.#closed
      ? new WSBrokerError('ERR_WSBROKER_SHUT_DOWN', 'the connection to Redis has been closed')
      : new WSBrokerError(
          'ERR_WSBROKER_BUS_LOST',
          'the connection to Redis is lost; the message was not sent',
        );
  }

  /** Adds listeners, once: they are never removed. */
  #watch(host: BusHost): void {
    if (this.#host !== undefined) return;
    this.#host = host;
    this.#publisher.watch(host.logger, () => this.#changed());
    const { client } = this.#subscriber ?? {};
    this.#subscriber?.watch(host.logger, (up) =>
      up ? this.#subscribeAgain() : this.#lostSubscriber(),
    );
    client?.on('message', (_channel, text) => this.#received(text));
    client?.on('pmessage', (_pattern, _channel, text) => this.#received(text));
  }

  #received(text: unknown): void {
    if (!this.#closed) this.#host?.received(String(text));
  }

  #changed(): void {
    if (!this.#closed) this.#host?.changed();
  }

  #lostSubscriber(): void {
    this.#connection++;
    clearTimeout(this.#retry);
    if (!this.#subscribed) return;
    this.#subscribed = false;
    this.#changed();
  }

  /** The client may have renewed its subscriptions by itself. Subscribing again confirms that. */
  #subscribeAgain(): void {
    if (!this.#subscribing || this.#subscribed || this.#closed) return;
    this.#subscribeAll().catch((error: unknown) => {
      if (this.#closed || !this.#subscriber?.up) return;
      this.#host?.logger.error(
        `subscribing to Redis failed; trying again in ${RESUBSCRIBE_AFTER} ms`,
        error,
      );
      this.#retry = setTimeout(() => this.#subscribeAgain(), RESUBSCRIBE_AFTER);
      this.#retry.unref?.();
    });
  }

  async #subscribeAll(): Promise<void> {
    const { client } = this.#subscriber ?? {};
    if (client === undefined) return;
    const connection = this.#connection;
    await Promise.all([
      call(() => client.subscribe(WebSocketChannels.BROADCAST)),
      call(() => client.psubscribe(WebSocketChannels.forRoomPattern())),
      call(() => client.psubscribe(WebSocketChannels.forClientPattern())),
      call(() => client.psubscribe(WebSocketChannels.forUserPattern())),
    ]);
    // The connection was lost meanwhile: the next one subscribes.
    if (connection !== this.#connection || this.#closed) return;
    this.#subscribed = true;
    this.#changed();
  }

  async #quit({ client, name }: RedisLink): Promise<void> {
    try {
      if (
        await within(
          LIMITS.redisQuit,
          call(() => client.quit()),
        )
      ) {
        return;
      }
      this.#host?.logger.warn(`the ${name} did not quit within ${LIMITS.redisQuit} ms`);
    } catch (error) {
      this.#host?.logger.warn(`the ${name} did not quit`, error);
    }
    try {
      disconnect(client);
    } catch (error) {
      this.#host?.logger.warn(`the ${name} did not disconnect`, error);
    }
  }
}

/** Turns a throw into a rejection. */
async function call(fn: () => unknown): Promise<unknown> {
  return fn();
}

function disconnect(client: IRedisClientLike): void {
  client.disconnect?.();
}
