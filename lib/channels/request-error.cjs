"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.RequestError = void 0;
/**
 * What `handleRequest` and `handlePublish` throw to tell the client why they failed. Of any other
 * error the client learns only that there was one.
 *
 * @example
 * ```js
 * throw new RequestError('there is no such room');
 * ```
 */
class RequestError extends Error {
    name = 'RequestError';
    /** @param message for the client, which gets up to 1,000 characters of it */
    constructor(message, options) {
        super(message, options);
    }
}
exports.RequestError = RequestError;
