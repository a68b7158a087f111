// Arguments and options, checked before anything begins.
export const MOST = 2 ** 31 - 1;
/** Text that JSON can hold: no half of a surrogate pair. The server takes no other name. */
export const NAME = /^\P{Cs}+$/u;
export const wrong = (name, expected, got, Kind = TypeError) => new Kind(`${name}: expected ${expected}, got ${JSON.stringify(got) ?? got}`);
export function check(name, value, rule) {
    if (Array.isArray(rule)) {
        const isNumber = typeof value === 'number';
        if (!isNumber || !(value >= rule[0] && value <= rule[1]))
            throw wrong(name, rule.join(' to '), value, isNumber ? RangeError : TypeError);
    }
    else if (typeof rule === 'string' ? !value || typeof value !== rule : typeof value !== 'string' || !rule.test(value)) {
        throw wrong(name, rule, value);
    }
}
/** Checks what is given of these options, and that nothing else is. */
export function checkOptions(given, rules) {
    const options = given ?? {};
    check('options', options, 'object');
    for (const key of Object.keys(options)) {
        if (!(key in rules))
            throw wrong('option', Object.keys(rules).join(', '), key);
        if (options[key] !== undefined && rules[key])
            check(key, options[key], rules[key]);
    }
    return options;
}
export function backoffOf(given) {
    const { min = 500, max = Math.max(20_000, min), jitter = 1 } = checkOptions(given, { min: [1, MOST], max: [1, MOST], jitter: [0, 1] });
    check('max', max, [min, MOST]);
    return (failures) => Math.min(max, min * 2 ** failures) * (1 - jitter * Math.random());
}
export function urlOf(given) {
    try {
        const url = new URL(given, globalThis.location?.href);
        // http: becomes ws:, https: becomes wss:.
        url.protocol = url.protocol.replace('http', 'ws');
        url.hash = '';
        if (/^wss?:$/.test(url.protocol))
            return url.href;
    }
    catch {
        // It is told below.
    }
    throw wrong('url', 'a ws: or wss: URL', given);
}
