import { types } from 'node:util';
import { publish } from '../api/recovery.cjs';
import { WSBrokerTypeError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import { typeName } from '../options/checks.cjs';
import type { Data } from '../types/messages.cjs';
import type { ChannelsClient } from './client.cjs';
import type { Failed, HandlerCalls } from './handler-calls.cjs';
import type { PublishMessage, RequestMessage } from './messages.cjs';
import type { CheckedChannels, CheckedGrant } from './options.cjs';
import type { ChannelsOptions } from './types.cjs';

/** Publishes and requests of a socket that are not answered yet. */
const MAX_IN_HAND = 64;

/** What clients publish and request. */
export class ClientCalls {
  readonly #calls: HandlerCalls;
  readonly #handlers: ChannelsOptions;

  constructor(calls: HandlerCalls, { handlers }: CheckedChannels) {
    this.#calls = calls;
    this.#handlers = handlers;
  }

  publish(client: ChannelsClient, message: PublishMessage): void {
    if (this.#begin(client, message.id)) this.#publish(client, message);
  }

  request(client: ChannelsClient, message: RequestMessage): void {
    if (this.#begin(client, message.id)) void this.#request(client, message);
  }

  #begin(client: ChannelsClient, id: string | number): boolean {
    if (client.inHand >= MAX_IN_HAND) {
      client.send({ type: 'failed', id, reason: 'limit' });
      return false;
    }
    client.inHand++;
    return true;
  }

  #publish(client: ChannelsClient, message: PublishMessage): void {
    const { channel } = message;
    const { token } = client;
    const asked = native.isNameAllowed(channel)
      ? this.#calls.ask(client, token, channel, 'publish', undefined)
      : undefined;
    const previous = client.publishing.get(channel);
    const done = this.#publishBehind(client, token, message, asked, previous).finally(() => {
      client.inHand--;
      if (client.publishing.get(channel) === done) client.publishing.delete(channel);
    });
    client.publishing.set(channel, done);
  }

  /** Never rejects. */
  async #publishBehind(
    client: ChannelsClient,
    token: string | undefined,
    { id, channel, data }: PublishMessage,
    asked: Promise<CheckedGrant | undefined> | undefined,
    previous: Promise<void> | undefined,
  ): Promise<void> {
    const failed: Failed = (reason, message) =>
      client.send({ type: 'failed', id, reason, ...(message !== undefined && { message }) });
    if (asked === undefined) return failed('limit');
    const grant = await asked;
    await previous;
    // Its client publishes it again when it comes back.
    if (client.ended) return undefined;
    if (grant === undefined || !native.hasFramedHistory(channel)) return failed('forbidden');
    const payload = await this.#payload(client.id, token, { id, channel, data }, grant, failed);
    if (payload === undefined || client.ended) return undefined;
    try {
      const receipt = await publish(channel, payload, { id: client.publishId(grant.sender, id) });
      const position = { offset: receipt.offset ?? 0, epoch: receipt.epoch ?? '' };
      const duplicate = receipt.duplicate === true;
      return client.send({ type: 'published', id, position, duplicate });
    } catch (error) {
      const stored = (error as { stored?: unknown }).stored;
      if (stored === false) return failed('unavailable');
      if (stored === 'unknown') return failed('unknown');
      this.#calls.report(error, 'handlePublish', client.id);
      return failed('error');
    }
  }

  /** What is published; `undefined` if nothing is. */
  async #payload(
    socketId: number,
    token: string | undefined,
    { id, channel, data }: Omit<PublishMessage, 'type'>,
    { sender }: CheckedGrant,
    failed: Failed,
  ): Promise<Data | undefined> {
    if (this.#handlers.handlePublish === undefined) return data;
    try {
      const result: unknown = await this.#calls.inTime('handlePublish', (handlers) =>
        handlers.handlePublish?.(socketId, channel, data, { id, token, sender }),
      );
      if (result === undefined || result === true) return data;
      if (result === false) {
        failed('forbidden');
        return undefined;
      }
      if (isData(result)) return result;
      throw new WSBrokerTypeError(
        'handlePublish: the result must be a boolean, undefined, a string, ArrayBuffer or ' +
          `Uint8Array, got ${typeName(result)}. Nothing was published`,
      );
    } catch (error) {
      this.#calls.failed(error, 'handlePublish', socketId, failed);
      return undefined;
    }
  }

  /** Never rejects. */
  async #request(client: ChannelsClient, { id, data }: RequestMessage): Promise<void> {
    const failed: Failed = (reason, message) =>
      client.send({ type: 'failed', id, reason, ...(message !== undefined && { message }) });
    const { token } = client;
    try {
      if (this.#handlers.handleRequest === undefined) {
        return failed('error', 'this server answers no requests');
      }
      const result: unknown = await this.#calls.inTime('handleRequest', (handlers) =>
        handlers.handleRequest?.(client.id, data, { token }),
      );
      client.send({ type: 'response', id, data: result ?? null });
    } catch (error) {
      this.#calls.failed(error, 'handleRequest', client.id, failed);
    } finally {
      client.inHand--;
    }
  }
}

function isData(value: unknown): value is Data {
  return typeof value === 'string' || types.isUint8Array(value) || types.isArrayBuffer(value);
}
