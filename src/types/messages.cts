/**
 * What can be sent. A string is sent as a text message, bytes as a binary message. As the name of a
 * channel it is compared as bytes.
 */
export type Data = string | ArrayBuffer | Uint8Array;

/**
 * 1: queued. -1: queued, but the socket is over its limit ({@link StartOptions.maxBackpressure}).
 * 0: dropped, or the socket is gone.
 */
export type SendResult = 1 | 0 | -1;

/** Options of {@link sendToChannel}. {@link send} takes `compress` alone. */
export interface SendOptions {
  /** The id of a socket that does not get the message, or an array of ids. @default no socket */
  readonly exclude?: number | readonly number[] | undefined;
  /**
   * Whether the message is compressed for clients that support it. By default it is if it is at
   * least {@link PerMessageDeflate.threshold} bytes long and compression makes it shorter. Use
   * `false` for a message that contains both a secret and data that others choose. Without
   * {@link StartOptions.perMessageDeflate} nothing is compressed.
   */
  readonly compress?: boolean | undefined;
}
