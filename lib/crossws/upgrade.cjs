"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.fetchRequest = fetchRequest;
exports.upgrade = upgrade;
exports.offeredProtocols = offeredProtocols;
const errors_cjs_1 = require("../errors.cjs");
const fetch_response_cjs_1 = require("../fetch-response.cjs");
const headers_cjs_1 = require("../options/headers.cjs");
/** Under this symbol libraries attach hooks to a request. */
const HOOKS = Symbol.for('crossws.hooks');
/** Headers that the answer has anyway, or that say where its body ends. */
const OF_CONNECTION = new Set([...headers_cjs_1.RESERVED_HEADERS, 'keep-alive']);
/** The request as the Fetch API has it; `undefined` if its Host header makes no URL. */
function fetchRequest(open) {
    const { headers } = open;
    // Encryption may have ended at a proxy.
    const secure = open.secure || headers['x-forwarded-proto'] === 'https';
    const url = `${secure ? 'https' : 'http'}://${headers['host'] ?? 'localhost'}${open.url}`;
    let request;
    try {
        request = new Request(url, { headers });
    }
    catch {
        return undefined;
    }
    // Defined, not assigned: a runtime may have getters of these names. Libraries replace them.
    const shown = { enumerable: true, configurable: true, writable: true };
    return Object.defineProperties(request, {
        context: { value: {}, ...shown },
        ip: { value: open.ip, ...shown },
    });
}
/**
 * Asks the hooks.
 *
 * @throws what they throw, unless it is a Response or has one
 */
async function upgrade(options, request) {
    const namespace = options.getNamespace?.(request) ?? new URL(request.url).pathname;
    const resolve = resolver(options);
    let resolved;
    let routeHeaders;
    let answer;
    try {
        const [all, one] = await Promise.all([
            options.hooks?.upgrade?.(request),
            resolve?.(request),
        ]);
        ({ hooks: resolved, headers: routeHeaders } = one ?? {});
        answer = ((await resolved?.upgrade?.(request)) || all || undefined);
    }
    catch (error) {
        const thrown = Object(error).response ?? error;
        if (!(0, fetch_response_cjs_1.isResponse)(thrown))
            throw error;
        answer = thrown;
    }
    if ((0, fetch_response_cjs_1.isResponse)(answer))
        return { kind: 'refused', verdict: await refusal(answer) };
    if (answer?.handled) {
        throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_INVALID_VERDICT', 'crosswsWorker: an upgrade hook returned "handled", but wsbroker has the socket; such ' +
            'requests belong to the HTTP server, with the options "http" and "forwardUpgrades" of start');
    }
    const headers = merged(routeHeaders, answer?.headers);
    const protocol = answer?.protocol ||
        headers.get('sec-websocket-protocol') ||
        (await chosenProtocol(options, request));
    return {
        kind: 'accepted',
        context: Object.assign(request.context, answer?.context),
        namespace: answer?.namespace || namespace,
        protocol: protocol || undefined,
        headers: responseHeaders(headers),
        resolved,
    };
}
async function chosenProtocol({ handleProtocols }, request) {
    if (handleProtocols === undefined)
        return undefined;
    const offered = offeredProtocols(request);
    if (offered.length === 0)
        return undefined;
    return (await handleProtocols(new Set(offered), request)) || undefined;
}
/** The subprotocols that the client offers. */
function offeredProtocols(request) {
    const header = request.headers.get('sec-websocket-protocol') ?? '';
    return header
        .split(',')
        .map((one) => one.trim())
        .filter((one) => one !== '');
}
function resolver({ resolve, fetch, hooks }) {
    if (resolve !== undefined)
        return async (request) => ({ hooks: await resolve(request) });
    return fetch === undefined ? undefined : fetchRouter(fetch, hooks !== undefined);
}
/** Finds hooks as the server plugin of crossws does. */
function fetchRouter(fetch, hasHooks) {
    return async (request) => {
        const answer = (await fetch(request));
        const attached = request;
        const found = answer?.crossws ?? attached[HOOKS] ?? attached.context?.[HOOKS];
        if ((0, fetch_response_cjs_1.isResponse)(answer)) {
            // 426 is the answer to requests that are no upgrades, and comes with hooks.
            const isRefusal = !answer.ok && answer.status !== 101 && answer.status !== 426;
            if (isRefusal && answer.crossws === undefined)
                return { hooks: { upgrade: () => answer } };
            void answer.body?.cancel().catch(() => undefined);
        }
        if (found === undefined && !hasHooks) {
            return { hooks: { upgrade: () => new Response(null, { status: 404 }) } };
        }
        // Those of a Response belong to the answer that a plain request would get.
        return { hooks: found, headers: (0, fetch_response_cjs_1.isResponse)(answer) ? undefined : answer?.headers };
    };
}
/** Headers of the route and of its hook, which comes first. */
function merged(base, extra) {
    const all = new Headers(base);
    const own = new Headers(extra);
    for (const name of own.keys())
        all.delete(name);
    for (const [name, value] of own)
        all.append(name, value);
    return all;
}
async function refusal(response) {
    const body = new Uint8Array(await response.arrayBuffer());
    return { status: response.status, headers: responseHeaders(response.headers), body };
}
/** @throws {WSBrokerError} ERR_WSBROKER_INVALID_VERDICT: a header cannot be sent */
function responseHeaders(headers) {
    const pairs = [...headers].filter(([name]) => !OF_CONNECTION.has(name.toLowerCase()));
    return (0, headers_cjs_1.headerPairs)(pairs, (what) => new errors_cjs_1.WSBrokerError('ERR_WSBROKER_INVALID_VERDICT', `crosswsWorker: ${what}`));
}
