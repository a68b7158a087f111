import { defaultLogger } from './log.cjs';
import type { IWebSocketLogger } from './types.cjs';

/** What the server helper and its emitter have in common. */
export abstract class HelperBase {
  identifier: string;
  /** The name of the class. */
  scope: string;
  logger: IWebSocketLogger;

  constructor(scope: string, identifier: string, logger: IWebSocketLogger | null | undefined) {
    this.scope = scope;
    this.identifier = identifier;
    this.logger = logger ?? defaultLogger(scope);
  }

  getIdentifier(): string {
    return this.identifier;
  }

  getLogger(): IWebSocketLogger {
    return this.logger;
  }

  abstract configure(): Promise<void>;
  abstract shutdown(): Promise<void>;
}
