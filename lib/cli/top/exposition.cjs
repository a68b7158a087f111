"use strict";
// Reads the text format of Prometheus (version 0.0.4), as far as wsbroker writes it.
Object.defineProperty(exports, "__esModule", { value: true });
exports.parseExposition = parseExposition;
const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? +(\S+)(?: +-?\d+)?$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",? */g;
const ESCAPED = { n: '\n' };
/** Lines that are no series are passed over. */
function parseExposition(text) {
    const all = new Map();
    for (const line of text.split('\n')) {
        const match = line.startsWith('#') ? null : LINE.exec(line.trimEnd());
        if (match === null)
            continue;
        const [, name = '', inner = '', number = ''] = match;
        const labels = {};
        for (const [, label = '', value = ''] of inner.matchAll(LABEL)) {
            labels[label] = value.replace(/\\(.)/g, (_, character) => ESCAPED[character] ?? character);
        }
        const list = all.get(name) ?? [];
        list.push({ labels, value: parseNumber(number) });
        all.set(name, list);
    }
    return all;
}
function parseNumber(text) {
    if (text === '+Inf')
        return Infinity;
    if (text === '-Inf')
        return -Infinity;
    return Number(text);
}
