import type { Buffer } from '../ambient.cjs';
import type { Data, SendOptions } from './messages.cjs';

/**
 * A place in the history of a channel: behind the message with this offset. Keep it as it is, for
 * example as JSON, and give it back to {@link recover}.
 */
export interface Position {
  /** Offsets count from 1, without holes, in one epoch. 0: before the first message. */
  readonly offset: number;
  /** 16 characters. Another epoch says that what was before is unknown. */
  readonly epoch: string;
}

/** Where a {@link recover} begins: see there. */
export type Since = Position | 'latest' | 'now';

/** A history for some channels, in {@link StartOptions.history}. */
export interface HistoryOptions {
  /**
   * The names of the channels, 1 or more. One that ends in `*` is a prefix: `'chat:*'` is every
   * name that begins with `chat:`.
   */
  readonly channels: string | readonly string[];
  /** How many messages each of them keeps at most, 1 to 2^31-1. @default 500 */
  readonly size?: number | undefined;
  /** How long a message is kept at most, in milliseconds, 1 to 2^31-1. @default 300000 */
  readonly ttl?: number | undefined;
  /**
   * How many bytes each of them keeps at most, 1 to 2^31-1: messages with what manages them, their
   * compressed forms, and, up to a quarter, the ids of {@link PublishOptions.id}. The newest
   * message is kept however long it is. @default 1 MiB
   */
  readonly maxBytes?: number | undefined;
  /**
   * How many messages one {@link recover} replays at most, 1 to 2^31-1. If more are missing, it
   * does not recover. @default 1000
   */
  readonly maxReplay?: number | undefined;
  /**
   * Whether messages are sent with `<offset> <channel>` and a line feed in front. Without it
   * clients cannot tell where they are. @default true
   */
  readonly framed?: boolean | undefined;
}

/** Options of {@link publish}. */
export interface PublishOptions extends SendOptions {
  /**
   * Makes a repeated publish a duplicate, which is not delivered: 1 to 128 bytes, known to the
   * channel for 5 minutes, or less if there is no room for so many. Only for a channel with
   * history. An id that a client chooses must begin with something that only this client has, such
   * as its authenticated name: otherwise one user can suppress another's message. @default no id
   */
  readonly id?: Data | undefined;
}

/** What became of a {@link publish}. */
export interface PublishReceipt {
  /** The offset of the message. Absent if the channel has no history, as is `epoch`. */
  readonly offset?: number;
  /** The epoch in which the offset counts. */
  readonly epoch?: string;
  /** How many subscribers the channel has in this process, the excluded included. */
  readonly subscribers: number;
  /**
   * A message with this id was published before and has that offset; this one is delivered to
   * nobody. Absent otherwise.
   */
  readonly duplicate?: true;
}

/** Options of {@link history}. */
export interface HistoryQuery {
  /** Only messages behind this position. @default all that are kept */
  readonly since?: Position | undefined;
  /** How many messages at most, 1 to 100,000. @default 100 */
  readonly limit?: number | undefined;
  /** The newest first. @default false */
  readonly reverse?: boolean | undefined;
}

/** A message that a channel keeps. */
export interface HistoryMessage {
  /** Its place in the channel. */
  readonly offset: number;
  /** As it was published: a string for text, a `Buffer` for bytes. */
  readonly data: string | Buffer;
}

/** A part of a channel's history. */
export interface HistorySlice {
  /** Where the channel is now. */
  readonly position: Position;
  /**
   * Whether every message behind `since`, or without it every message of the epoch, is still kept.
   * If not, some are gone, and `messages` begins behind them.
   */
  readonly complete: boolean;
  /** The messages, the oldest first, unless `reverse` was given. */
  readonly messages: HistoryMessage[];
}

/** Options of {@link recover}. */
export interface RecoverOptions {
  /**
   * Whether the socket stays out of the channel if it does not recover. Otherwise it is subscribed
   * from now on. @default false
   */
  readonly orReject?: boolean | undefined;
}

/** What became of a {@link recover}. */
export interface Recovery {
  /** Whether the socket gets everything since the position that was given. */
  readonly recovered: boolean;
  /** Where the channel was then. What the socket gets beyond that is new. */
  readonly position: Position;
  /** How many messages up to that position the socket gets first. */
  readonly replayed: number;
}
