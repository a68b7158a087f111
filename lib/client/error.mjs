/** A call of a client that failed. Switch on `reason`, never on `message`. */
export class ClientError extends Error {
    name = 'ClientError';
    /** What a program can act on. */
    reason;
    /** @internal */
    constructor(reason, message) {
        super(message);
        this.reason = reason;
    }
}
