import { WSBrokerError } from '../../errors.cjs';
import { isThenable } from '../../promises.cjs';
import { RateLimitedLine } from '../log.cjs';
import type { IRedisClientLike, IWebSocketLogger } from '../types.cjs';

interface ReadyWaiter {
  resolve(): void;
  reject(error: unknown): void;
  readonly timer: NodeJS.Timeout;
}

/**
 * A Redis client of the application, and whether it is connected. Listeners are added but never
 * removed: not every client can remove them.
 */
export class RedisLink {
  readonly client: IRedisClientLike;
  readonly name: string;
  /** Whether it has been ready, and not lost since. */
  up = false;
  #logger: IWebSocketLogger | undefined;
  #changed: (up: boolean) => void = () => undefined;
  #waiters = new Set<ReadyWaiter>();
  #watched = false;

  constructor(client: IRedisClientLike, name: string) {
    this.client = client;
    this.name = name;
  }

  /** Adds the listeners. */
  watch(logger: IWebSocketLogger, changed: (up: boolean) => void): void {
    this.#logger = logger;
    this.#changed = changed;
    this.#listen();
  }

  /**
   * Connects a client that has not started to. Failures come as events; that it is ready may show
   * only in its status.
   */
  start(): void {
    if (this.client.status !== 'wait') return;
    try {
      const given = this.client.connect();
      if (isThenable(given)) {
        Promise.resolve(given).then(
          () => this.#look(),
          () => undefined,
        );
      }
    } catch {
      // Its events report the failure.
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
      const waiter: ReadyWaiter = {
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

  /** Ends all waiting. */
  giveUp(): void {
    for (const { timer } of this.#waiters) clearTimeout(timer);
    this.#waiters.clear();
  }

  /**
   * Ignores its events from now on. The listeners stay, so that a late error does not end the
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
    // A client that keeps reconnecting keeps failing.
    const line = new RateLimitedLine((count) =>
      this.#logger?.error(`Redis ${name}: ${count} error(s); the last:`, last),
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

  #settle(how: (waiter: ReadyWaiter) => void): void {
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
