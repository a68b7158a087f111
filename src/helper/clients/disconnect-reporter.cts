import { callApplication } from '../callbacks.cjs';
import type { HelperLifecycle } from '../helper-lifecycle.cjs';
import type { AnyRecord, Settings } from '../settings.cjs';
import type { Instance } from '../transport/transport.cjs';
import type { IWebSocketLogger } from '../types.cjs';

/** How many clients of an ended helper are reported before the event loop continues. */
const MAX_PER_TURN = 64;

/** What the reporter uses. */
export interface DisconnectReporterParts<A extends AnyRecord, M extends AnyRecord> {
  readonly settings: Settings<A, M>;
  readonly lifecycle: HelperLifecycle;
  readonly log: IWebSocketLogger;
  instance(): Instance | undefined;
}

/**
 * Calls `clientDisconnectedFn` for clients that have gone: those of this helper, and those of
 * another helper of the instance whose worker has ended.
 */
export class DisconnectReporter<A extends AnyRecord, M extends AnyRecord> {
  readonly #parts: DisconnectReporterParts<A, M>;
  #taking = false;

  constructor(parts: DisconnectReporterParts<A, M>) {
    this.#parts = parts;
  }

  report(clientId: string, userId: string | undefined): void {
    const { settings, log } = this.#parts;
    const { clientDisconnectedFn } = settings;
    if (clientDisconnectedFn === undefined) return;
    callApplication(
      () =>
        clientDisconnectedFn({ clientId, userId } as Parameters<typeof clientDisconnectedFn>[0]),
      () => undefined,
      (error) => log.error(`clientDisconnectedFn failed for client ${clientId}`, error),
    );
  }

  /**
   * Another helper of the instance has ended without reporting its clients. The remaining helpers
   * take them one by one, so that each client is reported once even if this helper ends, too.
   */
  takeLeft(): void {
    if (this.#taking) return;
    this.#taking = true;
    this.#take();
  }

  #take(): void {
    const { lifecycle, log } = this.#parts;
    for (let i = 0; i < MAX_PER_TURN; i++) {
      // A helper that is shutting down leaves them to the others.
      const left = lifecycle.ended ? undefined : this.#parts.instance()?.takeLeftClient();
      if (left === undefined) {
        this.#taking = false;
        return;
      }
      log.debug(`client ${left.clientId} was disconnected: its worker has ended`);
      this.report(left.clientId, left.userId);
    }
    setImmediate(() => this.#take());
  }
}
