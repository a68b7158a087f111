"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.makeEnvelope = makeEnvelope;
exports.envelopeAround = envelopeAround;
exports.parseEnvelope = parseEnvelope;
/** @throws {TypeError} the data cannot be serialized */
function makeEnvelope(serverId, type, { target, event, data, exclude, }) {
    return JSON.stringify({ serverId, type, target, event, data, exclude });
}
/**
 * An envelope of a message whose text, `{"event":…,"data":…}`, exists already: its members are the
 * last two of the envelope, so nothing is serialized twice.
 */
function envelopeAround(frame, serverId, type, target) {
    const to = target === undefined ? '' : `"target":${JSON.stringify(target)},`;
    return `{"serverId":${JSON.stringify(serverId)},"type":"${type}",${to}${frame.slice(1)}`;
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
