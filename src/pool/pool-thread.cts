import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
} from 'node:worker_threads';
import { now } from '../clock.cjs';
import { fromPortable, WSBrokerError } from '../errors.cjs';
import { native } from '../native/load.cjs';
import type { CheckedThreadOptions } from '../options/threads.cjs';
import { within } from '../promises.cjs';
import { errorText, warnOnce } from '../report.cjs';
import { loadTimeoutError } from '../worker/modules.cjs';
import type { FromWorker, ToWorker, WorkerStart } from './thread.cjs';
import { threadFile } from './thread-file.cjs';

/**
 * A worker that ran for this many milliseconds did not fail at its start: its replacement is
 * started at once.
 */
export const STABLE_AFTER = 10_000;
/**
 * How many milliseconds of the time for stopping are kept, at most, to terminate a thread that has
 * not ended by itself.
 */
const MAX_FOR_TERMINATION = 250;
/** For `handleStop` of a thread that is cut, in milliseconds. */
const CUT_TIMEOUT = 250;
/** How long a thread that is cut may take to end by itself, on a busy machine, in milliseconds. */
const CUT_GRACE = 1_000;
/**
 * How long a thread may take to end when it is terminated, in milliseconds. Then it is left behind,
 * and its connections move without what it has fetched. Long, since on a very busy machine a thread
 * that can be ended takes more than a second, too; what it had sent then comes behind the answers
 * of its successor.
 */
const TERMINATION_TIMEOUT = 5_000;

/** What a thread is in its pool. */
export interface PoolThreadPlace {
  readonly generation: number;
  readonly held: boolean;
  /** The channel on which it reports the files that it loads; `undefined`: it does not. */
  readonly imports: string | undefined;
}

/** One thread of the pool. */
export class PoolThread {
  readonly id: number;
  /** Rejects if the thread fails or ends before it is ready. */
  readonly ready: Promise<void>;
  /** Resolves with the reason when the thread has ended. */
  readonly ended: Promise<WSBrokerError>;
  /** It has loaded its module, and gets events unless it is {@link held}. */
  wasReady = false;
  /** It gets events only after {@link begin}. */
  held: boolean;
  /** Which of the pool's generations it belongs to. */
  readonly generation: number;
  /** Called when it has run for {@link STABLE_AFTER}. */
  onStable: (() => void) | undefined;
  /** Others take its place, so it is not replaced when it ends. */
  superseded = false;
  /** It has ended, though not by itself after it was asked to: events may have been in hand. */
  broken = false;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #startedAt = now();
  #error: unknown;
  #closed = 0;
  #pinned: Promise<number> = Promise.resolve(0);
  #stable: NodeJS.Timeout | undefined;
  #begun: (() => void) | undefined;
  #asked = false;
  #terminated = false;

  constructor(
    file: string,
    { workerData, options }: CheckedThreadOptions,
    startTimeout: number,
    { generation, held, imports }: PoolThreadPlace,
  ) {
    const { port1, port2 } = new MessageChannel();
    const wsbroker: WorkerStart = { file, port: port2, workerData, held, imports };
    const worker = new Worker(threadFile(), {
      ...options,
      workerData: { wsbroker },
      transferList: [port2],
    });
    this.held = held;
    this.generation = generation;
    this.#worker = worker;
    this.#port = port1;
    this.id = worker.threadId;
    worker.on('error', (error) => (this.#error ??= error));
    this.ended = new Promise((resolve) => {
      worker.on('exit', (code) => {
        for (let left = receiveMessageOnPort(port1); left; left = receiveMessageOnPort(port1)) {
          this.#receive(left.message as FromWorker);
        }
        port1.close();
        clearTimeout(this.#stable);
        this.broken =
          !this.#asked || this.#terminated || code !== 0 || this.#error !== undefined;
        resolve(
          this.#reason(
            'ERR_WSBROKER_WORKER_DIED',
            `worker ${this.id} (${file}) exited with code ${code}`,
          ),
        );
      });
    });
    this.ready = new Promise((resolve, reject) => {
      const fail = (): void => {
        this.#error = loadTimeoutError(file, startTimeout);
        reject(this.#error as WSBrokerError);
        void worker.terminate();
      };
      let late: NodeJS.Immediate | undefined;
      // After messages that have already arrived, in case this thread itself was busy.
      const loading =
        startTimeout === 0
          ? undefined
          : setTimeout(() => (late = setImmediate(fail)), startTimeout);
      loading?.unref?.();
      const loaded = (): void => {
        clearTimeout(loading);
        clearImmediate(late);
      };
      worker.on('exit', loaded);
      port1.on('message', (message: FromWorker) => {
        switch (message.type) {
          case 'loaded':
            return loaded();
          case 'ready':
            loaded();
            this.wasReady = true;
            this.#stable = setTimeout(() => this.onStable?.(), STABLE_AFTER);
            this.#stable.unref?.();
            return resolve();
          case 'failed':
            loaded();
            this.#error = fromPortable(message.error);
            reject(this.#reason('ERR_WSBROKER_WORKER_FAILED', `worker ${file} failed to load`));
            return void worker.terminate();
          case 'warning':
          case 'begun':
          case 'closed':
          case 'unfinished':
            return this.#receive(message);
        }
        message satisfies never;
      });
      worker.on('exit', (code) =>
        reject(
          this.#reason(
            'ERR_WSBROKER_WORKER_FAILED',
            `worker ${file} exited with code ${code} before it was ready`,
          ),
        ),
      );
    });
    this.ready.catch(() => undefined);
    worker.unref();
    port1.unref();
  }

  age(): number {
    return now() - this.#startedAt;
  }

  /**
   * How many connections were closed because others take its place: clients of its helpers, and
   * those that handlers keep to their thread. Resolves when it has ended.
   */
  async closed(): Promise<number> {
    const pinned = await this.#pinned;
    return this.#closed + pinned;
  }

  /** A thread that was held gets events from now on. Resolves when it does, or has ended. */
  async begin(): Promise<void> {
    this.held = false;
    const begun = new Promise<void>((resolve) => (this.#begun = resolve));
    this.#post({ type: 'begin' });
    await Promise.race([begun, this.ended]);
  }

  /** Others are ready to take its place: its connections move to them. */
  supersede(): void {
    this.superseded = true;
    if (!this.wasReady) return;
    native.supersedeWorker(this.id);
    this.#post({ type: 'supersede' });
  }

  /** Resolves when it has no connections any more and its handlers have settled. */
  emptied(): Promise<unknown> {
    this.#pinned = native.workerEmptied(this.id);
    return Promise.race([this.#pinned, this.ended]);
  }

  /**
   * Lets the worker run `handleStop` first, if it is ready. A thread that a system call blocks
   * cannot be ended and is left behind.
   *
   * @returns whether it has ended by itself, and not by an error
   */
  async stop(timeout: number): Promise<boolean> {
    const deadline = now() + timeout;
    const last = Math.min(MAX_FOR_TERMINATION, timeout / 4);
    if (this.wasReady) {
      this.#post({ type: 'stop', timeout: timeout - 2 * last });
      if (await within(timeout - last, this.ended)) return !this.broken;
    }
    this.#error ??= new Error(`it did not stop within ${Math.round(timeout)} ms`);
    this.#terminated = true;
    await within(deadline - now(), this.#worker.terminate());
    return false;
  }

  /**
   * Ends it whatever its handlers are at: what they have not begun goes to others. `handleStop`
   * runs if the thread still responds.
   */
  async cut(): Promise<void> {
    this.#error ??= new Error('its handlers had not settled in time');
    this.#post({ type: 'leave', timeout: CUT_TIMEOUT });
    if (await within(CUT_GRACE, this.ended)) return;
    await this.terminate();
  }

  /** Ends it at once. Its connections move to others even if it cannot be ended. */
  async terminate(error?: unknown): Promise<void> {
    this.#error ??= error;
    this.#terminated = true;
    void this.#worker.terminate();
    if (!(await within(TERMINATION_TIMEOUT, this.ended))) native.giveUpWorker(this.id);
  }

  #post(message: ToWorker): void {
    this.#asked ||= message.type === 'stop' || message.type === 'leave';
    this.#port.postMessage(message);
  }

  #receive(message: FromWorker): void {
    if (message.type === 'warning') warnOnce(message.text);
    else if (message.type === 'begun') this.#begun?.();
    else if (message.type === 'closed') this.#closed = message.clients;
    else if (message.type === 'unfinished') {
      this.#error ??= new Error('its handleStop had not settled in time');
    }
  }

  #reason(
    code: 'ERR_WSBROKER_WORKER_DIED' | 'ERR_WSBROKER_WORKER_FAILED',
    what: string,
  ): WSBrokerError {
    const error = this.#error;
    if (error === undefined) return new WSBrokerError(code, what);
    const message: unknown = (error as { message?: unknown } | null)?.message;
    return new WSBrokerError(
      code,
      `${what}: ${typeof message === 'string' ? message : errorText(error)}`,
      { cause: error },
    );
  }
}
