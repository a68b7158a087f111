// Not the global functions: test environments that imitate a browser do not have all of them.
import { clearTimeout, setTimeout } from 'node:timers';
import { types } from 'node:util';
import { publish } from '../api/recovery.cjs';
import { WSBrokerError, WSBrokerTypeError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import { typeName } from '../options/checks.cjs';
import { checkSince } from '../options/history.cjs';
import { isThenable } from '../promises.cjs';
import { reportHandlerError } from '../report.cjs';
import type { Position, Since } from '../types/history.cjs';
import type { Data } from '../types/messages.cjs';
import type { OpenRequest, OpenVerdict, WorkerInterface } from '../types/worker-interface.cjs';
import { PINNED } from '../worker/handlers.cjs';
import { ChannelsClient, type Subscribing } from './client.cjs';
import {
  type ClientMessage,
  type FailureReason,
  InvalidMessage,
  type PublishMessage,
  readMessage,
  type RefusalReason,
  type RequestMessage,
  type ServerMessage,
  SUBPROTOCOL,
  type WantedChannel,
} from './messages.cjs';
import { CALL, checkGrant, type CheckedChannels, type CheckedGrant } from './options.cjs';
import { RequestError } from './request-error.cjs';
import type { AuthorizeRequest, ChannelsErrorContext, ChannelsOptions } from './types.cjs';

/** A client has this long to say hello, in milliseconds. */
const HELLO_TIMEOUT = 10_000;
/** Channels of a socket that are being decided. */
const MAX_SUBSCRIBING = 1_000;
/** Publishes and requests of a socket that are not answered yet. */
const MAX_IN_HAND = 64;
/** How long a subscription waits for its replay to be within the rate, in milliseconds. */
const MAX_WAIT = 10_000;
/** How often `authorize` is asked about one subscription while something is being revoked. */
const MAX_ASKED = 3;
/** How often Redis is asked about one subscription, if it is lost in between. */
const MAX_FOLLOWED = 3;
/** How {@link native.subscribeClient} is told whether Redis was asked. */
const BUS_ASKED = { no: 0, yes: 1, lost: 2 } as const;
/** Characters of a {@link RequestError} that the client is told. */
const MAX_ERROR = 1_000;
const NO_EPOCH: Position = { offset: 0, epoch: '' };

/** The connections of one worker. */
export class ChannelsServer {
  readonly #handlers: ChannelsOptions;
  readonly #options: CheckedChannels;
  readonly #clients = new Map<number, ChannelsClient>();
  /** Who has not said hello, and when it is too late for that, the oldest first. */
  readonly #silent = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CheckedChannels) {
    this.#handlers = options.handlers;
    this.#options = options;
  }

  worker(): WorkerInterface {
    const handlers = this.#handlers;
    const { handleDrain, handleStart, handleStop, onError } = handlers;
    return {
      ...{ [PINNED]: true },
      handleOpen: (id, ip, headers, request) => this.#open(id, ip, headers, request),
      handleTextMessage: (text, id, token) => this.#text(text, id, token),
      handleBinaryMessage: (bytes, id, token) => this.#binary(bytes, id, token),
      handleClose: (id, token, code, reason) => {
        this.#closed(id);
        return handlers.handleClose?.(id, token, code, reason);
      },
      handleLost: (id, channel, position) => this.#lost(id, channel, position),
      ...(handleDrain && { handleDrain: handleDrain.bind(handlers) }),
      ...(handleStart && { handleStart: handleStart.bind(handlers) }),
      ...(handleStop && { handleStop: handleStop.bind(handlers) }),
      ...(onError && { onError: onError.bind(handlers) }),
    };
  }

  // Connections.

  #open(
    id: number,
    ip: string,
    headers: OpenRequest['headers'],
    request: OpenRequest,
  ): OpenVerdict | PromiseLike<OpenVerdict> {
    const { handleOpen } = this.#handlers;
    const verdict = handleOpen === undefined ? true : handleOpen.call(this.#handlers, id, ip, headers, request);
    return isThenable(verdict)
      ? Promise.resolve(verdict).then((one) => this.#verdict(id, request, one))
      : this.#verdict(id, request, verdict);
  }

  /** Agrees on the subprotocol, unless the application has chosen another. */
  #verdict(id: number, { protocols }: OpenRequest, verdict: OpenVerdict): OpenVerdict {
    if (!protocols.includes(SUBPROTOCOL)) return verdict;
    if (verdict === undefined || verdict === true) {
      this.#awaitHello(id);
      return { protocol: SUBPROTOCOL };
    }
    // What is no verdict is reported where it is used.
    if (typeof verdict !== 'object' || verdict === null || 'status' in verdict) return verdict;
    if (verdict.protocol !== undefined && verdict.protocol !== SUBPROTOCOL) return verdict;
    this.#awaitHello(id);
    return { ...verdict, protocol: SUBPROTOCOL };
  }

  #awaitHello(id: number): void {
    this.#silent.set(id, Date.now() + HELLO_TIMEOUT);
    this.#timer ??= this.#later(HELLO_TIMEOUT);
  }

  #later(timeout: number): NodeJS.Timeout {
    const timer = setTimeout(() => this.#closeSilent(), timeout);
    timer.unref?.();
    return timer;
  }

  #closeSilent(): void {
    this.#timer = undefined;
    const now = Date.now();
    for (const [id, deadline] of this.#silent) {
      // Not beyond the timeout, if the clock was set back.
      if (deadline > now) {
        this.#timer = this.#later(Math.min(deadline - now, HELLO_TIMEOUT));
        return;
      }
      this.#silent.delete(id);
      if (native.speaksChannels(id)) native.close(id, 4401, 'hello expected');
    }
  }

  #closed(id: number): void {
    this.#silent.delete(id);
    if (this.#silent.size === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    const client = this.#clients.get(id);
    if (client === undefined) return;
    client.ended = true;
    this.#clients.delete(id);
  }

  // Messages.

  #text(text: string, id: number, token: Buffer | undefined): unknown {
    const client = this.#clients.get(id);
    if (client === undefined && !native.speaksChannels(id)) {
      return this.#handlers.handleTextMessage?.(text, id, token);
    }
    if (client?.ended === true) return undefined;
    try {
      this.#take(id, client, readMessage(text));
    } catch (error) {
      if (!(error instanceof InvalidMessage)) throw error;
      this.#violated(id, client, error.message);
    }
    return undefined;
  }

  #binary(bytes: Buffer, id: number, token: Buffer | undefined): unknown {
    const client = this.#clients.get(id);
    if (client === undefined && !native.speaksChannels(id)) {
      return this.#handlers.handleBinaryMessage?.(bytes, id, token);
    }
    if (client?.ended !== true) this.#violated(id, client, 'binary message');
    return undefined;
  }

  #violated(id: number, client: ChannelsClient | undefined, what: string): void {
    if (client === undefined) native.close(id, 4400, what);
    else client.close(4400, what);
  }

  #take(id: number, client: ChannelsClient | undefined, message: ClientMessage): void {
    if (client === undefined) {
      if (message.type !== 'hello') return native.close(id, 4401, 'hello expected');
      const made = new ChannelsClient(id, message.client, message.token);
      this.#silent.delete(id);
      this.#clients.set(id, made);
      made.send({ type: 'welcome' });
      return;
    }
    switch (message.type) {
      case 'hello':
        throw new InvalidMessage('a second hello');
      case 'token':
        client.token = message.token;
        break;
      case 'subscribe':
        if (client.deciding + message.channels.length > MAX_SUBSCRIBING) {
          throw new InvalidMessage(`more than ${MAX_SUBSCRIBING} channels are being subscribed`);
        }
        for (const wanted of message.channels) this.#subscribe(client, wanted);
        break;
      case 'unsubscribe':
        for (const channel of message.channels) this.#unsubscribe(client, channel);
        break;
      case 'publish':
        if (this.#begin(client, message.id)) this.#publish(client, message);
        break;
      case 'request':
        if (this.#begin(client, message.id)) void this.#request(client, message);
        break;
      default:
        message satisfies never;
    }
  }

  #begin(client: ChannelsClient, id: string | number): boolean {
    if (client.inHand >= MAX_IN_HAND) {
      client.send({ type: 'failed', id, reason: 'limit' });
      return false;
    }
    client.inHand++;
    return true;
  }

  // Subscriptions.

  #subscribe(client: ChannelsClient, { channel, since }: WantedChannel): void {
    const { token } = client;
    const refuse = (reason: RefusalReason): void =>
      client.send({ type: 'refused', channel, reason });
    if (client.subscribing.has(channel)) return refuse('subscribed');
    if (!native.isNameAllowed(channel)) return refuse('limit');
    const subscribing = { cancelled: false };
    client.subscribing.set(channel, subscribing);
    client.deciding++;
    const done = (reason: RefusalReason | undefined): void => {
      client.deciding--;
      if (subscribing.cancelled) return;
      client.subscribing.delete(channel);
      if (reason !== undefined) refuse(reason);
    };
    void this.#decide(client, token, channel, since, subscribing).then(done, (error: unknown) => {
      this.#report(error, 'handleTextMessage', client.id);
      done('unavailable');
    });
  }

  /** Why it is not subscribed; `undefined` if it is, or nobody wants to know any more. */
  async #decide(
    client: ChannelsClient,
    token: string | undefined,
    channel: string,
    since: Since | undefined,
    subscribing: Subscribing,
  ): Promise<RefusalReason | undefined> {
    const isOver = (): boolean => subscribing.cancelled || client.ended;
    for (let asked = 0; asked < MAX_ASKED; asked++) {
      const revocations = native.revocations(client.id);
      if (revocations < 0) return undefined;
      const grant = await this.#ask(client, token, channel, 'subscribe', since, isOver);
      if (isOver()) return undefined;
      if (grant === undefined) return 'forbidden';
      const outcome = await this.#subscribeNow(client, channel, since, grant, revocations, isOver);
      if (outcome !== 'revoked') return outcome;
    }
    return 'unavailable';
  }

  async #subscribeNow(
    client: ChannelsClient,
    channel: string,
    wanted: Since | undefined,
    grant: CheckedGrant,
    revocations: number,
    isOver: () => boolean,
  ): Promise<RefusalReason | 'revoked' | undefined> {
    // Before anything is made for a channel whose name a client has chosen.
    if (!native.hasFramedHistory(channel)) return 'forbidden';
    let waited = 0;
    let followed = 0;
    let asked: number = BUS_ASKED.no;
    for (;;) {
      const outcome = native.subscribeClient(
        client.id,
        channel,
        ...checkSince(CALL, beginning(channel, wanted, grant.since)),
        JSON.stringify(channel),
        grant.maxReplay,
        revocations,
        this.#options.socketRate,
        this.#options.addressRate,
        asked,
      );
      if (outcome === 'notHere') {
        // Redis is away, or is lost again and again: the client asks again later.
        if (asked === BUS_ASKED.lost || followed++ >= MAX_FOLLOWED) return 'unavailable';
        asked = await native.followChannel(channel).then(
          () => BUS_ASKED.yes,
          () => BUS_ASKED.lost,
        );
        if (isOver()) return undefined;
        continue;
      }
      if (typeof outcome === 'number') {
        waited += outcome;
        if (waited > MAX_WAIT) return 'unavailable';
        await new Promise((resolve) => setTimeout(resolve, outcome));
        if (isOver()) return undefined;
        asked = BUS_ASKED.no;
        continue;
      }
      switch (outcome) {
        case 'done':
        case 'gone':
          return undefined;
        case 'noHistory':
          return 'forbidden';
        default:
          return outcome;
      }
    }
  }

  #unsubscribe(client: ChannelsClient, channel: string): void {
    const subscribing = client.subscribing.get(channel);
    if (subscribing !== undefined) {
      subscribing.cancelled = true;
      client.subscribing.delete(channel);
    }
    // The application may have subscribed it to others.
    if (native.hasFramedHistory(channel)) native.unsubscribe(client.id, channel);
    client.send({ type: 'unsubscribed', channel });
  }

  #lost(id: number, channel: string | Buffer, position: Position): unknown {
    if (native.speaksChannels(id)) {
      const message = { type: 'lost', channel: String(channel), position } satisfies ServerMessage;
      native.send(id, JSON.stringify(message));
      return undefined;
    }
    if (this.#handlers.handleLost === undefined) {
      native.close(id, 4009, 'history lost');
      return undefined;
    }
    return this.#handlers.handleLost(id, channel, position);
  }

  /**
   * Whether a client may, with the token that it had when it asked; `undefined`: it may not. Never
   * rejects.
   */
  async #ask(
    client: ChannelsClient,
    token: string | undefined,
    channel: string,
    action: AuthorizeRequest['action'],
    since: Since | undefined,
    isOver = (): boolean => client.ended,
  ): Promise<CheckedGrant | undefined> {
    const entered = client.gate.enter();
    if (entered !== undefined) await entered;
    try {
      if (isOver()) return undefined;
      return checkGrant(
        await this.#inTime('authorize', (handlers) =>
          handlers.authorize(client.id, channel, { token, action, since }),
        ),
      );
    } catch (error) {
      this.#report(error, 'authorize', client.id);
      return undefined;
    } finally {
      client.gate.leave();
    }
  }

  // Publishes and requests.

  #publish(client: ChannelsClient, message: PublishMessage): void {
    const { channel } = message;
    const { token } = client;
    const asked = native.isNameAllowed(channel)
      ? this.#ask(client, token, channel, 'publish', undefined)
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
    const failed = (reason: FailureReason, message?: string): void =>
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
      this.#report(error, 'handlePublish', client.id);
      return failed('error');
    }
  }

  /** What is published; `undefined` if nothing is. */
  async #payload(
    socketId: number,
    token: string | undefined,
    { id, channel, data }: Omit<PublishMessage, 'type'>,
    { sender }: CheckedGrant,
    failed: (reason: FailureReason, message?: string) => void,
  ): Promise<Data | undefined> {
    if (this.#handlers.handlePublish === undefined) return data;
    try {
      const result: unknown = await this.#inTime('handlePublish', (handlers) =>
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
      this.#failed(error, 'handlePublish', socketId, failed);
      return undefined;
    }
  }

  /** Never rejects. */
  async #request(client: ChannelsClient, { id, data }: RequestMessage): Promise<void> {
    const failed = (reason: FailureReason, message?: string): void =>
      client.send({ type: 'failed', id, reason, ...(message !== undefined && { message }) });
    const { token } = client;
    try {
      if (this.#handlers.handleRequest === undefined) {
        return failed('error', 'this server answers no requests');
      }
      const result: unknown = await this.#inTime('handleRequest', (handlers) =>
        handlers.handleRequest?.(client.id, data, { token }),
      );
      client.send({ type: 'response', id, data: result ?? null });
    } catch (error) {
      this.#failed(error, 'handleRequest', client.id, failed);
    } finally {
      client.inHand--;
    }
  }

  #failed(
    error: unknown,
    handler: ChannelsErrorContext['handler'],
    socketId: number,
    failed: (reason: FailureReason, message?: string) => void,
  ): void {
    if (error instanceof RequestError) return failed('error', error.message.slice(0, MAX_ERROR));
    this.#report(error, handler, socketId);
    failed('error');
  }

  /** What a handler returns, or an error if it takes too long. */
  async #inTime<T>(name: string, call: (handlers: ChannelsOptions) => T): Promise<Awaited<T>> {
    const result = call(this.#handlers);
    if (!isThenable(result)) return result as Awaited<T>;
    const { timeout } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = (): WSBrokerError =>
        new WSBrokerError(
          'ERR_WSBROKER_HANDLER_TIMEOUT',
          `${name} did not settle within ${timeout} ms ("timeout" of ${CALL})`,
        );
      timer = setTimeout(() => reject(error()), timeout);
    });
    try {
      return (await Promise.race([result, late])) as Awaited<T>;
    } finally {
      clearTimeout(timer);
    }
  }

  #report(
    error: unknown,
    handler: ChannelsErrorContext['handler'],
    socketId: number | undefined,
  ): void {
    const context = { handler, socketId };
    const failed = (reason: unknown): void => {
      reportHandlerError(error, context);
      reportHandlerError(reason, { handler: 'onError', socketId });
    };
    if (this.#handlers.onError === undefined) return reportHandlerError(error, context);
    try {
      const result = this.#handlers.onError(error, context);
      if (isThenable(result)) Promise.resolve(result).then(undefined, failed);
    } catch (reason) {
      failed(reason);
    }
  }
}

/** Where it begins: where the client wants to, but not before the place that it may see. */
function beginning(channel: string, wanted: Since | undefined, from: CheckedGrant['since']): Since {
  if (from === undefined) return wanted ?? 'now';
  if (wanted === undefined || wanted === 'now') return wanted ?? from;
  const head = native.historyPosition(channel);
  const first: Position = from === 'now' ? head : from;
  const begins: Position = wanted === 'latest' ? { ...head, offset: head.offset - 1 } : wanted;
  // All that an epoch has is newer than what was before it.
  if (begins.epoch !== first.epoch || begins.offset >= first.offset) return wanted;
  // It has not seen what it asks for, and never will.
  return wanted === 'latest' ? 'now' : NO_EPOCH;
}

function isData(value: unknown): value is Data {
  return typeof value === 'string' || types.isUint8Array(value) || types.isArrayBuffer(value);
}
