import { WSBrokerError } from '../../errors.cjs';
import { RateLimitedErrors, RateLimitedLine } from '../log.cjs';
import type { IWebSocketLogger, TWebSocketMessageType } from '../types.cjs';
import type { Bus } from './bus.cjs';
import { envelope, parseEnvelope } from './envelope.cjs';

/** What can be done with a message from Redis: the four ways of sending, on this instance. */
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

/** Between this instance and the others: envelopes out and in, and what became of them. */
export class EnvelopeRelay {
  readonly #parts: EnvelopeRelayParts;
  readonly #refusedLine: RateLimitedLine;
  readonly #failedLine: RateLimitedLine;
  readonly #invalidLine: RateLimitedLine;
  readonly #undelivered: RateLimitedErrors;
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
      log.error(`${count} message(s) to Redis failed; the last with`, this.#lastError),
    );
    this.#undelivered = new RateLimitedErrors(log);
    this.#invalidLine = new RateLimitedLine((count) =>
      log.warn(`${count} message(s) from Redis ignored: they are no envelopes`),
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

  /** Not awaited, and does not throw: a failure is counted and logged. */
  publish(
    channel: string,
    type: TWebSocketMessageType,
    sent: { target?: string | undefined; event: string; data: unknown },
  ): void {
    let text: string;
    try {
      text = envelope(this.#parts.serverId(), type, sent);
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

  /** The publisher is there: what was refused meanwhile and not said yet is said. */
  settle(): void {
    this.#refusedLine.flush();
  }

  /** Text from a channel of ours. By its type, not by its channel, and never passed on. */
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
      this.#undelivered.add('a message from Redis cannot be delivered', error);
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
    // Whatever it is, the name of a client, a user or a room is text.
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
