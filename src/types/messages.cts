/**
 * What can be sent: a string travels as a text frame, bytes as a binary one. As the name of a
 * channel it is compared as bytes.
 */
export type Data = string | ArrayBuffer | Uint8Array;

/**
 * 1: queued. -1: queued, but the socket is over its limit ({@link StartOptions.maxBackpressure}).
 * 0: dropped, or the socket is gone.
 */
export type SendResult = 1 | 0 | -1;

/** What {@link sendToChannel} takes besides; {@link send} takes `compress` alone. */
export interface SendOptions {
  /** A socket, or several, that are left out. */
  readonly exclude?: number | readonly number[] | undefined;
  /**
   * Whether it is compressed for those who can take it. Default: if it is as long as {@link
   * PerMessageDeflate.threshold}, and becomes shorter. `false` for what holds a secret beside
   * something that others choose. Without {@link StartOptions.perMessageDeflate} nothing is
   * compressed.
   */
  readonly compress?: boolean | undefined;
}
