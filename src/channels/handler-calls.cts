// Not the global functions: test environments that imitate a browser do not have all of them.
import { clearTimeout, setTimeout } from 'node:timers';
import { WSBrokerError } from '../errors.cjs';
import { isThenable } from '../promises.cjs';
import { reportHandlerError } from '../report.cjs';
import type { Since } from '../types/history.cjs';
import type { ChannelsClient } from './client.cjs';
import type { FailureReason } from './messages.cjs';
import { CALL, checkGrant, type CheckedChannels, type CheckedGrant } from './options.cjs';
import { RequestError } from './request-error.cjs';
import type { AuthorizeRequest, ChannelsErrorContext, ChannelsOptions } from './types.cjs';

/** Characters of a {@link RequestError} that the client is told. */
const MAX_ERROR = 1_000;

/** Tells a client that what it asked for was not done. */
export type Failed = (reason: FailureReason, message?: string) => void;

/** Calls of the application's functions: in time, and with their errors reported. */
export class HandlerCalls {
  readonly #handlers: ChannelsOptions;
  readonly #timeout: number;

  constructor({ handlers, timeout }: CheckedChannels) {
    this.#handlers = handlers;
    this.#timeout = timeout;
  }

  /**
   * Whether a client may, with the token that it had when it asked; `undefined`: it may not. Never
   * rejects.
   */
  async ask(
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
        await this.inTime('authorize', (handlers) =>
          handlers.authorize(client.id, channel, { token, action, since }),
        ),
      );
    } catch (error) {
      this.report(error, 'authorize', client.id);
      return undefined;
    } finally {
      client.gate.leave();
    }
  }

  /** What a handler returns, or an error if it takes too long. */
  async inTime<T>(name: string, call: (handlers: ChannelsOptions) => T): Promise<Awaited<T>> {
    const result = call(this.#handlers);
    if (!isThenable(result)) return result as Awaited<T>;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = (): WSBrokerError =>
        new WSBrokerError(
          'ERR_WSBROKER_HANDLER_TIMEOUT',
          `${name} did not settle within ${this.#timeout} ms ("timeout" of ${CALL})`,
        );
      timer = setTimeout(() => reject(error()), this.#timeout);
    });
    try {
      return (await Promise.race([result, late])) as Awaited<T>;
    } finally {
      clearTimeout(timer);
    }
  }

  /** A handler has failed: the client learns no more of it than it may. */
  failed(
    error: unknown,
    handler: ChannelsErrorContext['handler'],
    socketId: number,
    failed: Failed,
  ): void {
    if (error instanceof RequestError) return failed('error', error.message.slice(0, MAX_ERROR));
    this.report(error, handler, socketId);
    failed('error');
  }

  report(
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
