"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.makeEnvelope = makeEnvelope;
exports.parseEnvelope = parseEnvelope;
/** @throws {TypeError} the data cannot be serialized */
function makeEnvelope(serverId, type, { target, event, data, exclude, }) {
    return JSON.stringify({ serverId, type, target, event, data, exclude });
}
/** Undefined if the text is not an envelope. */
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
