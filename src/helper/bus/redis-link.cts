import { WSBrokerError } from '../../errors.cjs';
import { isThenable } from '../../promises.cjs';
import { RateLimitedLine } from '../log.cjs';
import type { IRedisClientLike, IWebSocketLogger } from '../types.cjs';

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
  readonly timer: NodeJS.Timeout;
}

/**
 * One client of Redis, and whether it is there. Its handlers can be put on and never be taken off,
 * since a client need not be able to.
 */
export class RedisLink {
  readonly client: IRedisClientLike;
  readonly name: string;
  /** Ready, and not lost since. */
  up = false;
  #logger: IWebSocketLogger | undefined;
  #changed: (up: boolean) => void = () => undefined;
  #waiters = new Set<Waiter>();
  #watched = false;

  constructor(client: IRedisClientLike, name: string) {
    this.client = client;
    this.name = name;
  }

  /** Puts the handlers on. */
  watch(logger: IWebSocketLogger, changed: (up: boolean) => void): void {
    this.#logger = logger;
    this.#changed = changed;
    this.#listen();
  }

  /**
   * Connects a client that waits to be told; how it fails, its events say. That it is ready, its
   * status may be the only one to say.
   */
  start(): void {
    if (this.client.status !== 'wait') return;
    try {
      const given = this.client.connect();
      if (isThenable(given))
        Promise.resolve(given).then(
          () => this.#look(),
          () => undefined,
        );
    } catch {
      // As above.
    }
    this.#look();
  }

  /** Resolves with the first `ready`, rejects with the first `error` before it. */
  ready(limit: number): Promise<void> {
    if (this.client.status === 'ready') {
      this.#set(true);
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        resolve,
        reject,
        timer: setTimeout(() => {
          this.#waiters.delete(waiter);
          reject(
            new WSBrokerError(
              'ERR_WSBROKER_BUS_LOST',
              `Redis client did not become ready within ${limit}ms (status: ${this.client.status})`,
            ),
          );
        }, limit),
      };
      this.#waiters.add(waiter);
    });
  }

  /** Nobody waits any more. */
  giveUp(): void {
    for (const { timer } of this.#waiters) clearTimeout(timer);
    this.#waiters.clear();
  }

  /**
   * From now on its events mean nothing; that it has handlers keeps a late error from ending the
   * process.
   */
  close(): void {
    this.giveUp();
    this.#changed = () => undefined;
    this.#listen();
  }

  #listen(): void {
    if (this.#watched) return;
    this.#watched = true;
    const { client, name } = this;
    let last: unknown;
    // A client that connects again and again fails as often.
    const line = new RateLimitedLine((count) =>
      this.#logger?.error(`Redis ${name}: ${count} error(s), the last`, last),
    );
    client.on('error', (error) => {
      last = error;
      line.add();
      this.#settle((waiter) => waiter.reject(error));
    });
    client.on('ready', () => this.#ready());
    for (const event of ['close', 'end', 'reconnecting']) client.on(event, () => this.#set(false));
  }

  #look(): void {
    if (this.#waiters.size > 0 && this.client.status === 'ready') this.#ready();
  }

  #ready(): void {
    this.#set(true);
    this.#settle((waiter) => waiter.resolve());
  }

  #settle(how: (waiter: Waiter) => void): void {
    const waiters = [...this.#waiters];
    this.giveUp();
    waiters.forEach(how);
  }

  #set(up: boolean): void {
    if (this.up === up) return;
    this.up = up;
    this.#changed(up);
  }
}
