import { WSBrokerError } from '../errors.cjs';
import type { Data } from '../types/messages.cjs';

/** Headers of a response, by name in lower case. */
export type TestHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** How a connection ended. */
export interface TestClose {
  /** 1005: without a code. 1006: without a close frame. */
  readonly code: number;
  readonly reason: string;
}

/** What a client needs of the class `WebSocket` of the package ws. */
export interface WsSocket {
  readonly protocol: string;
  readonly readyState: number;
  on(event: string, listener: (...args: never[]) => void): unknown;
  send(data: Data): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
}

/** A client of a {@link TestServer}. Messages that nobody has taken yet are kept. */
export class TestClient {
  /** The socket of the package ws, for everything else. */
  readonly socket: WsSocket;
  readonly #headers: () => TestHeaders;
  readonly #messages: (string | Buffer)[];
  readonly #closed: Promise<TestClose>;
  readonly #timeout: number;
  /** Those that wait, by what they wait for. */
  readonly #wake = new Set<() => void>();
  #end: TestClose | undefined;

  /** @internal */
  constructor(
    socket: WsSocket,
    headers: () => TestHeaders,
    messages: (string | Buffer)[],
    timeout: number,
  ) {
    this.socket = socket;
    this.#headers = headers;
    this.#messages = messages;
    this.#timeout = timeout;
    socket.on('message', () => this.#changed());
    this.#closed = new Promise((resolve) => {
      socket.on('close', (code: number, reason: Uint8Array) => {
        this.#end = { code, reason: Buffer.from(reason).toString() };
        resolve(this.#end);
        this.#changed();
      });
    });
  }

  /** The subprotocol, or ''. */
  get protocol(): string {
    return this.socket.protocol;
  }

  /** The headers of the 101 response, by name in lower case. On Bun there are none. */
  get headers(): TestHeaders {
    return this.#headers();
  }

  /** Messages that have come and were not taken. */
  get waiting(): readonly (string | Buffer)[] {
    return this.#messages;
  }

  /** A string is sent as a text message, bytes as a binary message. */
  send(data: Data): void {
    this.socket.send(data);
  }

  /**
   * Takes the next message: a string, or a `Buffer` of a binary message.
   *
   * @throws {WSBrokerError} ERR_WSBROKER_TEST: none came within the timeout, or the connection was
   * closed and no message is left
   */
  async next(): Promise<string | Buffer> {
    await this.#until(() => this.#messages.length > 0 || this.#end !== undefined, 'no message came');
    const message = this.#messages.shift();
    if (message === undefined) throw testError(`no message is left, ${this.#state()}`);
    return message;
  }

  /**
   * Takes the next message and parses it.
   *
   * @throws {WSBrokerError} ERR_WSBROKER_TEST: as {@link next}, or it is not JSON
   */
  async nextJson(): Promise<unknown> {
    const text = String(await this.next());
    try {
      return JSON.parse(text) as unknown;
    } catch (cause) {
      throw testError(`the message is not JSON: ${text.slice(0, 200)}`, cause);
    }
  }

  /**
   * Takes messages until one is equal to `message`, or fulfills it, and returns that.
   *
   * @throws {WSBrokerError} ERR_WSBROKER_TEST: as {@link next}
   */
  async nextMatching(
    message: string | ((message: string | Buffer) => boolean),
  ): Promise<string | Buffer> {
    for (;;) {
      const next = await this.next();
      if (typeof message === 'string' ? next === message : message(next)) return next;
    }
  }

  /**
   * Starts the closing handshake, and resolves when the connection has ended.
   *
   * @throws {WSBrokerError} ERR_WSBROKER_TEST: that took longer than the timeout
   */
  async close(code?: number, reason?: string): Promise<TestClose> {
    this.socket.close(code, reason);
    return this.closed();
  }

  /**
   * Resolves when the connection has ended.
   *
   * @throws {WSBrokerError} ERR_WSBROKER_TEST: it did not end within the timeout
   */
  async closed(): Promise<TestClose> {
    await this.#until(() => this.#end !== undefined, 'the connection was not closed');
    return this.#closed;
  }

  /** Cuts the connection without a closing handshake. */
  terminate(): void {
    this.socket.terminate();
  }

  #changed(): void {
    for (const wake of [...this.#wake]) wake();
  }

  async #until(holds: () => boolean, otherwise: string): Promise<void> {
    if (holds()) return;
    let wake = (): void => undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        wake = () => {
          if (holds()) resolve();
        };
        this.#wake.add(wake);
        timer = setTimeout(() => {
          reject(testError(`${otherwise} within ${this.#timeout} ms; ${this.#state()}`));
        }, this.#timeout);
      });
    } finally {
      this.#wake.delete(wake);
      clearTimeout(timer);
    }
  }

  #state(): string {
    if (this.#end !== undefined) {
      const { code, reason } = this.#end;
      return `the connection was closed with ${code}${reason === '' ? '' : ` (${reason})`}`;
    }
    const count = this.#messages.length;
    return `the connection is open, and ${count === 1 ? '1 message waits' : `${count} messages wait`}`;
  }
}

export function testError(message: string, cause?: unknown): WSBrokerError {
  return new WSBrokerError(
    'ERR_WSBROKER_TEST',
    message,
    cause === undefined ? undefined : { cause },
  );
}
