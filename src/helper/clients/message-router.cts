import { performance } from 'node:perf_hooks';
import { untilNextMeasured } from '../../worker/measured.cjs';
import { callApplication } from '../callbacks.cjs';
import { quoted, RateLimitedErrors } from '../log.cjs';
import { CLOSE, ERROR_TEXT, WebSocketEvents } from '../protocol.cjs';
import type { AnyRecord, Settings } from '../settings.cjs';
import type { IWebSocketClient, IWebSocketLogger, IWebSocketMessage } from '../types.cjs';
import type { Authenticator } from './authenticator.cjs';
import type { Clients } from './clients.cjs';
import type { Rooms } from './rooms.cjs';
import { closeSocket } from './sockets.cjs';

/** What the router uses. */
export interface MessageRouterParts<A extends AnyRecord, M extends AnyRecord> {
  readonly settings: Settings<A, M>;
  readonly clients: Clients<M>;
  readonly rooms: Rooms<A, M>;
  readonly auth: Authenticator<A, M>;
  readonly log: IWebSocketLogger;
  /** Counts how long a call of `messageHandler` took, in milliseconds. */
  messageHandled(milliseconds: number): void;
  /** Sends an error event. */
  sendError(client: IWebSocketClient<M>, text: string): void;
}

/** Decides what happens to a message of a client, as docs/design/helper.md says. */
export class MessageRouter<A extends AnyRecord, M extends AnyRecord> {
  readonly #parts: MessageRouterParts<A, M>;
  readonly #failures: RateLimitedErrors;
  #untilMeasured = untilNextMeasured();

  constructor(parts: MessageRouterParts<A, M>) {
    this.#parts = parts;
    this.#failures = new RateLimitedErrors(parts.log);
  }

  /**
   * The text of a frame, or undefined if the client was closed because of a limit.
   */
  admit(client: IWebSocketClient<M>, frame: unknown): string | undefined {
    const { clients, settings, log } = this.#parts;
    const internals = clients.internals(client);
    if (internals.cut) return undefined;
    if (!internals.finished) {
      const over = longerThan(frame, settings.maxAuthPayloadLength)
        ? CLOSE.tooBig
        : ++internals.frames > settings.maxUnauthenticatedMessages
          ? CLOSE.tooMany
          : undefined;
      if (over !== undefined) {
        internals.cut = true;
        log.debug(`client ${client.id} is closed before it is authenticated: ${over[1]}`);
        closeSocket(client.socket, over, log);
        return undefined;
      }
    }
    return textOf(frame);
  }

  route(client: IWebSocketClient<M>, raw: string): void {
    const { clients, rooms, auth, log } = this.#parts;
    let message: IWebSocketMessage | null;
    try {
      message = JSON.parse(raw) as IWebSocketMessage | null;
    } catch {
      // The parser's error is not logged: it quotes the message.
      return this.#parts.sendError(client, ERROR_TEXT.format);
    }
    if (message === null || !message.event) {
      return log.debug(`client ${client.id} sent a message without an event`);
    }
    switch (message.event) {
      case WebSocketEvents.HEARTBEAT:
        return;
      case WebSocketEvents.AUTHENTICATE:
        return auth.authenticate(client, message.data);
    }
    if (!clients.isFinished(client)) {
      return this.#parts.sendError(client, ERROR_TEXT.notAuthenticated);
    }
    switch (message.event) {
      case WebSocketEvents.JOIN:
        return rooms.joinAsked(client, message.data);
      case WebSocketEvents.LEAVE:
        return rooms.leaveAsked(client, message.data);
    }
    this.#callHandler(client, message);
  }

  #callHandler(client: IWebSocketClient<M>, message: IWebSocketMessage): void {
    const { settings, log } = this.#parts;
    const { messageHandler } = settings;
    if (messageHandler === undefined) {
      return log.debug(`no messageHandler for ${quoted(message.event)} of client ${client.id}`);
    }
    const { id, userId } = client;
    const given = { clientId: id, userId, message } as Parameters<typeof messageHandler>[0];
    const begun = this.#beginning();
    let handled: unknown;
    try {
      handled = messageHandler(given);
    } catch (error) {
      this.#measure(begun);
      return this.#failures.add(`messageHandler failed for client ${id}`, error);
    }
    // Most handlers return nothing: only a promise has to be looked after.
    if (handled === undefined) return this.#measure(begun);
    callApplication(
      () => handled,
      () => this.#measure(begun),
      (error) => {
        this.#measure(begun);
        this.#failures.add(`messageHandler failed for client ${id}`, error);
      },
    );
  }

  /** When the handler begins; 0: it is not measured. */
  #beginning(): number {
    if (--this.#untilMeasured > 0) return 0;
    this.#untilMeasured = untilNextMeasured();
    return performance.now();
  }

  #measure(begun: number): void {
    if (begun !== 0) this.#parts.messageHandled(performance.now() - begun);
  }
}

/** Binary frames contain UTF-8 text. */
function textOf(frame: unknown): string {
  if (typeof frame === 'string') return frame;
  return (bytesOf(frame) ?? Buffer.from(String(frame))).toString('utf8');
}

function longerThan(frame: unknown, limit: number): boolean {
  if (typeof frame === 'string') {
    // A UTF-16 unit is one to three bytes of UTF-8, so the bytes rarely have to be counted.
    return frame.length > limit || (frame.length * 3 > limit && Buffer.byteLength(frame) > limit);
  }
  return (bytesOf(frame)?.length ?? 0) > limit;
}

function bytesOf(frame: unknown): Buffer | undefined {
  if (Buffer.isBuffer(frame)) return frame;
  if (ArrayBuffer.isView(frame)) {
    return Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  }
  if (
    frame instanceof ArrayBuffer ||
    (typeof SharedArrayBuffer !== 'undefined' && frame instanceof SharedArrayBuffer)
  ) {
    return Buffer.from(frame);
  }
  return undefined;
}
