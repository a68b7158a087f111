/**
 * What `handleRequest` and `handlePublish` throw to tell the client why they failed. Of any other
 * error the client learns only that there was one.
 *
 * @example
 * ```js
 * throw new RequestError('there is no such room');
 * ```
 */
export class RequestError extends Error {
  override readonly name = 'RequestError';

  /** @param message for the client, which gets up to 1,000 characters of it */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
  }
}
