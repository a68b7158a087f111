/**
 * Why a call failed.
 *
 * - `forbidden`: the server's `authorize` does not allow it.
 * - `unavailable`: not now, and nothing was done. Try again later.
 * - `unknown`: it may or may not have been done: the connection was lost or the time was over
 *   before the answer. A publish may be repeated with the same `id`.
 * - `limit`: too much at a time. Nothing was done.
 * - `timeout`: the time was over before it could be sent. Nothing was done.
 * - `closed`: the client is closed. Nothing was done.
 * - `error`: the server's handler failed, or the call makes no sense.
 */
export type ClientErrorReason =
  | 'forbidden' | 'unavailable' | 'unknown' | 'limit' | 'timeout' | 'closed' | 'error';

/** A call of a client that failed. Switch on `reason`, never on `message`. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  /** What a program can act on. */
  readonly reason: ClientErrorReason;

  /** @internal */
  constructor(reason: ClientErrorReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
