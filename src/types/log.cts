/** What {@link setLogger} passes to the application's function. */
export interface LogRecord {
  /** How bad it is. */
  readonly level: 'error' | 'warn' | 'info' | 'debug' | 'trace';
  /** The module of the addon that says so, such as `wsbroker_core::front::accept`. */
  readonly target: string;
  /** What has happened, in English; at most 1,024 bytes. */
  readonly message: string;
  /**
   * With what: ids of sockets, counts, error texts, paths without their query. A text has at most
   * 1,024 bytes. There are no header values, tokens, queries or payloads.
   */
  readonly fields: Readonly<Record<string, string | number | boolean>>;
  /** When, in milliseconds since 1970. */
  readonly time: number;
  /** How many records were dropped before this one, as 1,024 were waiting. Usually 0. */
  readonly dropped: number;
}

/** Options of {@link setLogger}. */
export interface LoggerOptions {
  /** The least important level that is passed on. @default 'info' */
  readonly level?: LogRecord['level'] | undefined;
}
