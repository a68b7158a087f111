import { randomUUID } from 'node:crypto';
import { processOptionsWith, toNativeProcessOptions } from '../../options/process.cjs';
import { native } from '../../native/load.cjs';
import { currentRegistration, thread, type ThreadHelper } from '../../worker/register.cjs';
import { readTls } from '../../options/tls.cjs';
import { CLOSE } from '../protocol.cjs';
import { NativeRunner } from './native-runner.cjs';
import { NativeInstance } from './native-instance.cjs';
import {
  CALL,
  checkNativeOptions,
  helperError,
  type CheckedNativeOptions,
} from './native-options.cjs';
import type { TWebSocketBusState } from '../types.cjs';
import type { TransportHost, TransportOptions } from './transport.cjs';

// Importing this loads native code.

/** At the end: for outboxes to be written, and for clients to answer the close frame. In ms. */
const FLUSH_TIMEOUT = 5_000;

/** A helper's registration with its instance, until it leaves. */
export class NativeRegistration {
  readonly instance: NativeInstance;
  readonly #request: CheckedNativeOptions;
  readonly #helper: number;
  readonly #runner: NativeRunner;
  readonly #path: string;
  readonly #ofThread: ThreadHelper;
  #stopped = false;

  /**
   * Checks the options and registers.
   *
   * @throws {WSBrokerError} ERR_WSBROKER_INVALID_ARGUMENT, ERR_WSBROKER_CONFLICT
   */
  constructor(options: TransportOptions, host: TransportHost) {
    this.#request = checkNativeOptions(options);
    this.#path = options.path;
    const { identifier, agreed, process } = this.#request;
    let helper: number | undefined;
    try {
      const joined = native.joinInstance({
        identifier,
        serverId: randomUUID(),
        agreed,
        process: toNativeProcessOptions(processOptionsWith(native, process, true)),
        beside: isBeside(),
        encrypts: options.encrypts,
      });
      helper = this.#helper = joined.helper;
      const instance = (this.instance = new NativeInstance(native, helper, host, joined.serverId));
      const inputChanged = (state: TWebSocketBusState): void => instance.inputChanged(state);
      this.#runner = new NativeRunner(native, helper, host, inputChanged);
      this.#runner.attach();
      instance.begin();
    } catch (error) {
      if (helper !== undefined) void native.leaveInstance(helper);
      throw helperError(error);
    }
    this.#ofThread = {
      stopAccepting: () => this.stopAccepting(),
      leave: () => host.superseded(),
    };
    thread.helpers.add(this.#ofThread);
  }

  /**
   * Opens the address, or the path on an address that is open, unless another helper of the
   * instance has done so.
   */
  async open(): Promise<void> {
    const { listener, process, tls } = this.#request;
    try {
      await native.openInstance(this.#helper, {
        ...listener,
        tls: tls === undefined ? undefined : await readTls(CALL, tls),
        process: toNativeProcessOptions(processOptionsWith(native, process, true)),
        beside: isBeside(),
      });
    } catch (error) {
      throw helperError(error);
    }
    if (this.#stopped) this.stopAccepting();
  }

  /** It gets no more connections. */
  stopAccepting(): void {
    this.#stopped = true;
    native.helperAccept(this.#helper, false);
  }

  /** Closes the connections that are open, and waits until what was sent has gone out. */
  async flush(): Promise<void> {
    this.#runner.closeAll(...CLOSE.shutdown);
    native.flushSends();
    await native.helperEmptied(this.#helper, FLUSH_TIMEOUT);
  }

  async leave(): Promise<void> {
    thread.helpers.delete(this.#ofThread);
    await native.leaveInstance(this.#helper);
  }

  address(): { address: string; port: number; url: string; endpoint: string } | undefined {
    const address = native.instanceAddress(this.#helper) ?? undefined;
    if (address === undefined) return undefined;
    const { url } = address;
    // A colon separates the path of a Unix socket from the path of the request.
    return { ...address, endpoint: `${url}${/^wss?\+unix:/.test(url) ? ':' : ''}${this.#path}` };
  }
}

/** Whether a server has loaded this thread's module. Port 0 then means the port of that server. */
function isBeside(): boolean {
  return thread.inPool || thread.loading || currentRegistration() !== undefined;
}
