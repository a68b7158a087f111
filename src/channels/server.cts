// Not the global functions: test environments that imitate a browser do not have all of them.
import { clearTimeout, setTimeout } from 'node:timers';
import { native } from '../native/load.cjs';
import { isThenable } from '../promises.cjs';
import type { Position } from '../types/history.cjs';
import type { OpenRequest, OpenVerdict, WorkerInterface } from '../types/worker-interface.cjs';
import { PINNED } from '../worker/handlers.cjs';
import { ClientCalls } from './client-calls.cjs';
import { ClientSubscriptions } from './client-subscriptions.cjs';
import { ChannelsClient } from './client.cjs';
import { HandlerCalls } from './handler-calls.cjs';
import {
  type ClientMessage,
  InvalidMessage,
  readMessage,
  type ServerMessage,
  SUBPROTOCOL,
} from './messages.cjs';
import type { CheckedChannels } from './options.cjs';
import type { ChannelsOptions } from './types.cjs';

/** A client has this long to say hello, in milliseconds. */
const HELLO_TIMEOUT = 10_000;

/** The connections of one worker. */
export class ChannelsServer {
  readonly #handlers: ChannelsOptions;
  readonly #subscriptions: ClientSubscriptions;
  readonly #calls: ClientCalls;
  readonly #clients = new Map<number, ChannelsClient>();
  /** Who has not said hello, and when it is too late for that, the oldest first. */
  readonly #silent = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CheckedChannels) {
    this.#handlers = options.handlers;
    const calls = new HandlerCalls(options);
    this.#subscriptions = new ClientSubscriptions(calls, options);
    this.#calls = new ClientCalls(calls, options);
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
        this.#subscriptions.subscribe(client, message.channels);
        break;
      case 'unsubscribe':
        for (const channel of message.channels) this.#subscriptions.unsubscribe(client, channel);
        break;
      case 'publish':
        this.#calls.publish(client, message);
        break;
      case 'request':
        this.#calls.request(client, message);
        break;
      default:
        message satisfies never;
    }
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
}
