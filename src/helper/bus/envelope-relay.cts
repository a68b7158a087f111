import { WSBrokerError } from '../../errors.cjs';
import { RateLimitedErrors, RateLimitedLine } from '../log.cjs';
import type { Message } from '../delivery/message.cjs';
import type { IWebSocketLogger, TWebSocketMessageType } from '../types.cjs';
import type { Bus } from './bus.cjs';
import { envelopeAround, parseEnvelope } from './envelope.cjs';

/** The four ways of sending on this instance, for messages from Redis. */
export interface LocalDelivery {
  client(opts: { clientId: string; event: string; data: unknown }): void;
  user(opts: { userId: string; event: string; data: unknown }): void;
  room(opts: { room: string; event: string; data: unknown; exclude?: string[] }): void;
  broadcast(opts: { event: string; data: unknown; exclude?: string[] }): void;
}

export interface EnvelopeRelayParts {
  readonly bus: Bus;
  readonly log: IWebSocketLogger;
  readonly deliver: LocalDelivery;
  serverId(): string;
}

/** Sends envelopes to other instances, delivers theirs, and counts those that fail. */
export class EnvelopeRelay {
  readonly #parts: EnvelopeRelayParts;
  readonly #refusedLine: RateLimitedLine;
  readonly #failedLine: RateLimitedLine;
  readonly #invalidLine: RateLimitedLine;
  readonly #deliveryErrors: RateLimitedErrors;
  #refused = 0;
  #failed = 0;
  #invalid = 0;
  #lastError: unknown;

  constructor(parts: EnvelopeRelayParts) {
    this.#parts = parts;
    const { log } = parts;
    this.#refusedLine = new RateLimitedLine((count) =>
      log.warn(`${count} message(s) not sent to Redis: it is lost, or too much is waiting`),
    );
    this.#failedLine = new RateLimitedLine((count) =>
      log.error(`${count} message(s) to Redis failed; the last error:`, this.#lastError),
    );
    this.#deliveryErrors = new RateLimitedErrors(log);
    this.#invalidLine = new RateLimitedLine((count) =>
      log.warn(`${count} message(s) from Redis ignored: they are not envelopes`),
    );
  }

  get refused(): number {
    return this.#refused;
  }

  get failed(): number {
    return this.#failed;
  }

  get invalid(): number {
    return this.#invalid + this.#parts.bus.counts().invalid;
  }

  /** Does not wait, and does not throw: failures are counted and logged. */
  publish(
    channel: string,
    type: TWebSocketMessageType,
    target: string | undefined,
    message: Message,
  ): void {
    let text: string;
    try {
      text = envelopeAround(message.frame, this.#parts.serverId(), type, target);
    } catch (error) {
      return this.#fail(error);
    }
    this.#parts.bus.publish(channel, text, (error) => {
      if (error instanceof WSBrokerError && error.code === 'ERR_WSBROKER_BUS_LOST') {
        this.#refused++;
        this.#refusedLine.add();
      } else {
        this.#fail(error);
      }
    });
  }

  /** The publisher is ready again: logs refusals that have not been logged yet. */
  settle(): void {
    this.#refusedLine.flush();
  }

  /** Delivers a text from Redis: by its type, not by its channel. It is never published again. */
  receive(text: string): void {
    const message = parseEnvelope(text);
    if (message === undefined) {
      this.#invalid++;
      this.#invalidLine.add();
      return;
    }
    if (message.serverId === this.#parts.serverId()) return;
    try {
      this.#deliver(message.type, message.target, message);
    } catch (error) {
      this.#deliveryErrors.add('a message from Redis cannot be delivered', error);
    }
  }

  #deliver(
    type: unknown,
    target: unknown,
    { event, data, exclude }: { event: string; data: unknown; exclude: unknown },
  ): void {
    const { deliver } = this.#parts;
    const excluded = Array.isArray(exclude) ? { exclude: exclude as string[] } : {};
    if (type === 'broadcast') return deliver.broadcast({ event, data, ...excluded });
    if (!target) return;
    // Whatever it is: names of clients, users and rooms are text.
    const name = String(target);
    if (type === 'client') deliver.client({ clientId: name, event, data });
    else if (type === 'user') deliver.user({ userId: name, event, data });
    else if (type === 'room') deliver.room({ room: name, event, data, ...excluded });
  }

  #fail(error: unknown): void {
    this.#failed++;
    this.#lastError = error;
    this.#failedLine.add();
  }
}
