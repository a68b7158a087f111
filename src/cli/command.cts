// What the program `wsbroker` and its commands agree on.

/** One command of the program: `wsbroker <name> …`. */
export interface Command {
  /** The arguments, as the help shows them: `URL [--interval SECONDS]`. */
  readonly usage: string;
  /** What it does, in one line. */
  readonly summary: string;
  /** The lines of its own help, below usage and summary. */
  readonly details: readonly string[];
  /**
   * @param args what follows the name
   * @returns the exit code, once it has ended
   * @throws {UsageError} the arguments are wrong
   */
  run(args: readonly string[]): Promise<number>;
}

/** The arguments are wrong. The message says which and what is right. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
