"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.envelope = envelope;
exports.parseEnvelope = parseEnvelope;
/** @throws {TypeError} the data cannot be serialised */
function envelope(serverId, type, { target, event, data, exclude, }) {
    return JSON.stringify({ serverId, type, target, event, data, exclude });
}
/** Undefined if it is not an envelope. */
function parseEnvelope(text) {
    let value;
    try {
        value = JSON.parse(text);
    }
    catch {
        return undefined;
    }
    const { serverId, type, target, event, data, exclude } = (value ?? {});
    if (typeof serverId !== 'string' || typeof event !== 'string')
        return undefined;
    return { serverId, type, target, event, data, exclude };
}
