import { callApplication, inNextMicrotask } from '../callbacks.cjs';
import { CLOSE, ERROR_TEXT, LIMITS, WebSocketDefaults } from '../protocol.cjs';
import type { AnyRecord, Settings } from '../settings.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketClient, IWebSocketLogger } from '../types.cjs';
import type { Clients } from './clients.cjs';
import type { Rooms } from './rooms.cjs';
import { closeSocket, delay } from './sockets.cjs';
import type { Users } from './users.cjs';

/** What the authenticator uses. */
export interface AuthenticatorParts<A extends AnyRecord, M extends AnyRecord> {
  readonly settings: Settings<A, M>;
  readonly clients: Clients<M>;
  readonly users: Users<M>;
  readonly rooms: Rooms<A, M>;
  readonly log: IWebSocketLogger;
  instance(): Instance | undefined;
  /** Sends an error event. */
  sendError(client: IWebSocketClient<M>, text: string): void;
  encrypt(client: IWebSocketClient<M>): void;
  /** Does not throw. */
  send(client: IWebSocketClient<M>, event: string, data: unknown): void;
}

/**
 * Takes a client from its new socket to the end of authentication, in the order of
 * docs/design/helper.md. After each wait it checks that the client is still the same entry.
 */
export class Authenticator<A extends AnyRecord, M extends AnyRecord> {
  readonly #parts: AuthenticatorParts<A, M>;

  constructor(parts: AuthenticatorParts<A, M>) {
    this.#parts = parts;
  }

  /** Starts the time limit for `authenticate`. */
  startTimeLimit(client: IWebSocketClient<M>): void {
    this.#limit(client, this.#parts.settings.authTimeout, () => client.state === 'unauthorized');
  }

  authenticate(client: IWebSocketClient<M>, data: unknown): void {
    const { settings, clients } = this.#parts;
    if (client.state !== 'unauthorized') {
      return this.#parts.sendError(client, ERROR_TEXT.alreadyAuthenticated);
    }
    client.state = 'authenticating';
    clearTimeout(client.authTimer);
    this.#limit(
      client,
      LIMITS.authPatience * settings.authTimeout,
      () => !clients.internals(client).finished,
    );
    const given = (data ?? {}) as A;
    inNextMicrotask(() =>
      callApplication<unknown>(
        () => settings.authenticateFn(given),
        (result) => this.#authenticated(client, given, result),
        (error) => this.#failed(client, 'authenticateFn failed', error),
      ),
    );
  }

  #authenticated(client: IWebSocketClient<M>, data: A, result: unknown): void {
    const { settings, clients, log } = this.#parts;
    if (!clients.isHere(client)) return;
    if (!result) {
      this.#parts.sendError(client, ERROR_TEXT.authFailed);
      return closeSocket(client.socket, CLOSE.authFailed, log);
    }
    try {
      // Anything truthy is a success. Without these properties it is an anonymous client.
      const { userId, metadata } = result as { userId?: string; metadata?: M };
      // It is indexed as text, and not every value can be converted to text.
      if (userId) String(userId);
      if (userId !== undefined) client.userId = userId;
      if (metadata !== undefined) client.metadata = metadata;
    } catch (error) {
      return this.#failed(client, 'the result of authenticateFn cannot be read', error);
    }
    client.state = 'authenticated';
    if (settings.requireEncryption) this.#agreeOnKeys(client, data);
    else this.#finish(client);
  }

  #agreeOnKeys(client: IWebSocketClient<M>, data: A): void {
    const { settings, clients, log } = this.#parts;
    const { handshakeFn } = settings;
    if (handshakeFn === undefined) return closeSocket(client.socket, CLOSE.encryptionRequired, log);
    callApplication<unknown>(
      () =>
        handshakeFn({ clientId: client.id, userId: client.userId, data } as Parameters<
          typeof handshakeFn
        >[0]),
      (result) => {
        if (!clients.isHere(client)) return;
        if (!result) {
          this.#parts.sendError(client, ERROR_TEXT.handshakeFailed);
          return closeSocket(client.socket, CLOSE.encryptionRequired, log);
        }
        let keys: {
          readonly serverPublicKey: string | undefined;
          readonly salt: string | undefined;
        };
        try {
          const { serverPublicKey, salt } = result as { serverPublicKey?: string; salt?: string };
          keys = { serverPublicKey, salt };
        } catch (error) {
          return this.#failed(client, 'the result of handshakeFn cannot be read', error);
        }
        this.#parts.encrypt(client);
        if (keys.serverPublicKey !== undefined) client.serverPublicKey = keys.serverPublicKey;
        if (keys.salt !== undefined) client.salt = keys.salt;
        this.#finish(client);
      },
      (error) => this.#failed(client, 'handshakeFn failed', error),
    );
  }

  #finish(client: IWebSocketClient<M>): void {
    const { settings, clients, users, rooms, log } = this.#parts;
    clearTimeout(client.authTimer);
    delete client.authTimer;
    clients.internals(client).finished = true;
    this.#parts.instance()?.finishClient(client.id);
    users.add(client);
    if (!client.encrypted) {
      try {
        client.socket.subscribe(WebSocketDefaults.BROADCAST_TOPIC);
      } catch (error) {
        log.error(`subscribe failed for client ${client.id}`, error);
      }
    }
    rooms.join(client, client.id);
    for (const room of settings.defaultRooms) rooms.join(client, room);
    this.#parts.send(client, 'connected', {
      id: client.id,
      ...(client.userId !== undefined && { userId: client.userId }),
      time: new Date().toISOString(),
      ...(client.encrypted &&
        client.serverPublicKey && { serverPublicKey: client.serverPublicKey, salt: client.salt }),
    });
    log.debug(`client ${client.id} is authenticated`);
    const { clientConnectedFn } = settings;
    // That send may have disconnected the client: then the application must not be told that it is
    // connected.
    if (clientConnectedFn === undefined || !clients.isHere(client)) return;
    callApplication(
      () =>
        clientConnectedFn({
          clientId: client.id,
          userId: client.userId,
          metadata: client.metadata,
        } as Parameters<typeof clientConnectedFn>[0]),
      () => undefined,
      (error) => log.error(`clientConnectedFn failed for client ${client.id}`, error),
    );
  }

  #failed(client: IWebSocketClient<M>, what: string, error: unknown): void {
    const { clients, log } = this.#parts;
    if (!clients.isHere(client)) return;
    log.error(`${what} for client ${client.id}`, error);
    this.#parts.sendError(client, ERROR_TEXT.authError);
    closeSocket(client.socket, CLOSE.authFailed, log);
  }

  /** The client stays in the table until its close event. */
  #limit(client: IWebSocketClient<M>, ms: number, applies: () => boolean): void {
    client.authTimer = setTimeout(() => {
      if (this.#parts.clients.isHere(client) && applies()) {
        closeSocket(client.socket, CLOSE.authTimeout, this.#parts.log);
      }
    }, delay(ms));
  }
}
