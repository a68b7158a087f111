"use strict";
// What the program `wsbroker` and its commands agree on.
Object.defineProperty(exports, "__esModule", { value: true });
exports.UsageError = void 0;
/** The arguments are wrong. The message says which and what is right. */
class UsageError extends Error {
    name = 'UsageError';
}
exports.UsageError = UsageError;
