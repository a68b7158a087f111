"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.untilNextMeasured = untilNextMeasured;
/**
 * Of the calls of handlers for messages, one in so many is measured: to read the clock twice would
 * cost as much as half of an echo. Which one is left to chance, so that it is not always the call
 * for the same socket.
 */
const MEASURED = 64;
/** How many calls there are to the next one that is measured, that one included. */
function untilNextMeasured() {
    return 1 + Math.floor(Math.random() * (2 * MEASURED - 1));
}
