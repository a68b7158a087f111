"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.HANDLER_OF_EVENT = void 0;
exports.createDispatcher = createDispatcher;
const node_perf_hooks_1 = require("node:perf_hooks");
const node_worker_threads_1 = require("node:worker_threads");
const builtins_cjs_1 = require("../builtins.cjs");
const errors_cjs_1 = require("../errors.cjs");
const promises_cjs_1 = require("../promises.cjs");
const measured_cjs_1 = require("./measured.cjs");
const pending_handlers_cjs_1 = require("./pending-handlers.cjs");
const token_cache_cjs_1 = require("./token-cache.cjs");
const verdict_cjs_1 = require("./verdict.cjs");
// Calls the handlers of events. The addon calls `dispatch` with up to 32 events: one value of each
// as an argument, and everything numeric in the control block. So an event costs no property reads
// and, unless its handler returns a promise or its socket has a token or bytes, no allocation.
//
// An event is settled when its handler has returned and, if that returned a promise, the promise
// has settled. Until then it counts towards `maxInFlight`.
/**
 * The timer for `handlerTimeout` ticks this often within it. There is one timer for all handlers,
 * and no clock is read for an event.
 */
const TICKS = 8;
/** Objects that are kept for the next promises, so that a busy worker makes none. */
const MAX_SPARE = 256;
/** Bytes that V8 keeps within a typed array, without memory of their own. */
const SHORT_TOKEN = 64;
/** By `EventKind`. */
exports.HANDLER_OF_EVENT = [
    'handleOpen',
    'handleOpen',
    'handleTextMessage',
    'handleBinaryMessage',
    'handleBinaryMessage',
    'handleClose',
    'handleDrain',
    // An event of helpers.
    'handleOpen',
    'handleLost',
];
/** The SHA-256 of the certificate, written as Node does. */
function withFingerprint(certificate) {
    const digits = builtins_cjs_1.builtins.crypto.createHash('sha256').update(certificate.raw).digest('hex').toUpperCase();
    certificate.fingerprint256 = digits.replace(/..(?!$)/g, '$&:');
}
/**
 * @param onBrokerGone called when the broker is gone, which happens only in threads of the
 * application's own
 */
function createDispatcher(native, table, onBrokerGone) {
    const { scope } = table;
    const scoped = (handler) => handler && scope.bound(handler, table.self);
    const [handleOpen, handleTextMessage, handleBinaryMessage] = [
        scoped(table.handleOpen),
        scoped(table.handleTextMessage),
        scoped(table.handleBinaryMessage),
    ];
    const [handleClose, handleDrain] = [scoped(table.handleClose), scoped(table.handleDrain)];
    const handleLost = scoped(table.handleLost);
    const { close, continueChannel, handlerRan, openVerdict, settle } = native;
    const { copyToken, slotBytes, slotToken, tokenVersion } = native;
    const { setInterval, clearInterval, queueMicrotask } = globalThis;
    const { nextTick } = process;
    const clock = node_perf_hooks_1.performance.now.bind(node_perf_hooks_1.performance);
    let control = new Int32Array(16);
    let ids = new Float64Array(0);
    let kinds = control;
    let slots = control;
    let tokens = new Uint32Array(0);
    let numbers = control;
    let lengths = control;
    let settled = control;
    let state = new Uint8Array(0);
    const pendingHandlers = new pending_handlers_cjs_1.PendingHandlers();
    const spare = [];
    const tokenCache = new token_cache_cjs_1.TokenCache();
    const shortToken = new Uint8Array(SHORT_TOKEN);
    let pendingCount = 0;
    let stopped = false;
    let hurried = false;
    let whenIdle = [];
    let settleIsDue = false;
    let tick = 0;
    let ticker;
    let untilMeasured = (0, measured_cjs_1.untilNextMeasured)();
    function attach(block) {
        control = new Int32Array(block, 0, 16 /* ControlLayout.Words */);
        control[6 /* ControlWord.ThreadId */] = node_worker_threads_1.threadId;
        const capacity = control[2 /* ControlWord.SlotCount */] ?? 0;
        ids = new Float64Array(block, 64 /* ControlLayout.Ids */, 32 /* ControlLayout.MaxEvents */);
        kinds = new Int32Array(block, 320 /* ControlLayout.Kinds */, 32 /* ControlLayout.MaxEvents */);
        slots = new Int32Array(block, 448 /* ControlLayout.Slots */, 32 /* ControlLayout.MaxEvents */);
        tokens = new Uint32Array(block, 576 /* ControlLayout.TokenVersions */, 32 /* ControlLayout.MaxEvents */);
        numbers = new Int32Array(block, 704 /* ControlLayout.Numbers */, 32 /* ControlLayout.MaxEvents */);
        lengths = new Int32Array(block, 832 /* ControlLayout.Lengths */, 32 /* ControlLayout.MaxEvents */);
        settled = new Int32Array(block, 1024 /* ControlLayout.Settled */, capacity);
        state = new Uint8Array(block, 1024 /* ControlLayout.Settled */ + 4 * capacity, capacity);
    }
    function dispatch(count, ...data) {
        if (stopped)
            return;
        if (count === 0)
            return onBrokerGone();
        scope.batch(handleEvents, count, data);
    }
    function handleEvents(count, data) {
        const epoch = control[0 /* ControlWord.TokenEpoch */];
        const serial = control[4 /* ControlWord.Concurrent */] === 0 && !hurried;
        let shared;
        for (let i = 0; i < count; i++) {
            const id = ids[i];
            const slot = slots[i];
            let kind = kinds[i];
            let begun = 0;
            try {
                let value = data[i];
                if (kind === 3 /* EventKind.SharedBytes */) {
                    // A handler that transfers its bytes would take the bytes of the next events with them.
                    // `ArrayBuffer.prototype.transfer` ignores the mark on some runtimes.
                    if (value !== shared)
                        (0, node_worker_threads_1.markAsUntransferable)((shared = value));
                    const length = lengths[i];
                    value =
                        value.byteLength === 0 && length !== 0
                            ? slotBytes(slot)
                            : Buffer.from(value, numbers[i], length);
                    kind = 4 /* EventKind.Bytes */;
                }
                if (serial && pendingHandlers.size !== 0) {
                    const pending = pendingHandlers.find(id);
                    if (pending !== undefined) {
                        if (!settleIsDue)
                            settleAfterPromises();
                        const number = kind === 4 /* EventKind.Bytes */ ? value.length : numbers[i];
                        pending.push(new pending_handlers_cjs_1.WaitingEvent(kind, slot, value, number, tokens[i], epoch));
                        continue;
                    }
                }
                state[slot] = 1 /* EventState.Started */;
                if (kind === 1 /* EventKind.Open */) {
                    open(id, slot, value);
                    continue;
                }
                const token = tokenNow(id, slot, tokens[i], epoch);
                begun = beginning(kind);
                const result = invoke(kind, id, value, token, numbers[i]);
                if (result !== undefined && (0, promises_cjs_1.isThenable)(result) && !(0, promises_cjs_1.isFulfilled)(result)) {
                    const pending = takePending();
                    pending.begun = begun;
                    pend(pending, kind, id, slot, result, serial);
                    continue;
                }
            }
            catch (error) {
                report(error, kind, id);
            }
            if (begun !== 0)
                handlerRan(kind, clock() - begun);
            state[slot] = 2 /* EventState.Settled */;
        }
    }
    /** When the handler of this event begins; 0: it is not measured. */
    function beginning(kind) {
        if (kind === 2 /* EventKind.Text */ || kind === 4 /* EventKind.Bytes */) {
            if (--untilMeasured > 0)
                return 0;
            untilMeasured = (0, measured_cjs_1.untilNextMeasured)();
        }
        return clock();
    }
    /** Calls the handler of any event except an open event. */
    function invoke(kind, id, value, token, code) {
        switch (kind) {
            case 2 /* EventKind.Text */:
                return handleTextMessage === undefined ? undefined : handleTextMessage(value, id, token);
            case 4 /* EventKind.Bytes */:
                return handleBinaryMessage === undefined
                    ? undefined
                    : handleBinaryMessage(value, id, token);
            case 6 /* EventKind.Drain */:
                return handleDrain === undefined ? undefined : handleDrain(id, token);
            case 8 /* EventKind.Lost */:
                return lost(id, value);
            case 5 /* EventKind.Close */:
                tokenCache.delete(id);
                return handleClose === undefined ? undefined : handleClose(id, token, code, value);
            default:
                return undefined;
        }
    }
    /** The socket goes on in the channel once its handler has finished, and not if that fails. */
    function lost(id, { channel, position }) {
        const failed = (error) => {
            closeLost(id);
            throw error;
        };
        try {
            const result = handleLost === undefined ? undefined : handleLost(id, channel, position);
            if ((0, promises_cjs_1.isThenable)(result)) {
                return Promise.resolve(result).then(() => continueChannel(id, channel), failed);
            }
        }
        catch (error) {
            failed(error);
        }
        continueChannel(id, channel);
        return undefined;
    }
    function closeLost(id) {
        close(id, 4009, 'history lost');
    }
    /**
     * It is the first event of its socket, so nothing can be pending. It is settled when it has a
     * verdict.
     */
    function open(id, slot, request) {
        let decision = verdict_cjs_1.FORBIDDEN;
        const begun = clock();
        try {
            if (request.clientCertificate !== undefined)
                withFingerprint(request.clientCertificate);
            const verdict = handleOpen === undefined ? true : handleOpen(id, request.ip, request.headers, request);
            if ((0, promises_cjs_1.isThenable)(verdict)) {
                const pending = takePending();
                pending.offered = request.protocols;
                pending.begun = begun;
                pend(pending, 1 /* EventKind.Open */, id, slot, verdict, true);
                return;
            }
            decision = checkOrReport(verdict, request.protocols, id);
        }
        catch (error) {
            report(error, 1 /* EventKind.Open */, id);
        }
        handlerRan(1 /* EventKind.Open */, clock() - begun);
        sendVerdict(slot, decision, id);
        state[slot] = 2 /* EventState.Settled */;
    }
    function checkOrReport(verdict, offered, id) {
        if (verdict === undefined || verdict === true)
            return verdict_cjs_1.ACCEPTED;
        if (verdict === false)
            return verdict_cjs_1.FORBIDDEN;
        try {
            return (0, verdict_cjs_1.checkVerdict)(verdict, offered);
        }
        catch (error) {
            report(error, 1 /* EventKind.Open */, id);
            return verdict_cjs_1.INVALID;
        }
    }
    /**
     * The addon may reject an acceptance, for example because of a limit. Then the connection is
     * refused.
     */
    function sendVerdict(slot, decision, id) {
        if (stopped)
            return;
        try {
            if (decision.accepted) {
                decision.whenAccepted?.();
                openVerdict(slot, true, decision.detail);
            }
            else {
                openVerdict(slot, false, decision.detail);
            }
        }
        catch (error) {
            report(error, 1 /* EventKind.Open */, id);
            if (decision !== verdict_cjs_1.INVALID)
                sendVerdict(slot, verdict_cjs_1.INVALID, id);
        }
    }
    // Tokens. They are cached: a new Buffer would cost more than the rest of the event.
    function tokenOf(id, slot, version) {
        const cached = tokenCache.get(id);
        if (cached !== undefined &&
            cached.version === version &&
            cached.bytes.length === cached.length) {
            return cached.bytes;
        }
        const bytes = newToken(slot);
        if (bytes === undefined)
            return undefined;
        if (cached === undefined) {
            tokenCache.set(id, { version, bytes, length: bytes.length });
        }
        else {
            cached.version = version;
            cached.bytes = bytes;
            cached.length = bytes.length;
        }
        return bytes;
    }
    /** Made here, where engines have short bytes within the object; the addon cannot do that. */
    function newToken(slot) {
        const length = copyToken(slot, shortToken);
        if (length < 0)
            return undefined;
        if (length > shortToken.length)
            return slotToken(slot);
        const bytes = Buffer.allocUnsafeSlow(length);
        for (let i = 0; i < length; i++)
            bytes[i] = shortToken[i];
        return bytes;
    }
    /**
     * The version that came with an event is valid if no token of this worker's sockets has been set
     * since.
     */
    function tokenNow(id, slot, version, epoch) {
        if (control[0 /* ControlWord.TokenEpoch */] !== epoch)
            return currentToken(id, slot);
        return version === 0 ? undefined : tokenOf(id, slot, version);
    }
    function currentToken(id, slot) {
        const version = tokenVersion(id);
        // 0 may also mean that the socket is gone; the slot still has its token.
        return version === 0 ? newToken(slot) : tokenOf(id, slot, version);
    }
    // Promises.
    function pend(pending, kind, id, slot, promise, serial) {
        pending.id = id;
        pending.kind = kind;
        pending.slot = slot;
        pending.since = tick;
        // A native promise is used as it is. The `then` of any other thenable is called once, later.
        Promise.resolve(promise).then(pending.resolved, pending.rejected);
        if (!settleIsDue)
            settleAfterPromises();
        pendingCount++;
        if (serial && !pending.serial) {
            pending.serial = true;
            pendingHandlers.add(pending);
            if (ticker === undefined)
                startTicking();
        }
    }
    function done(pending, failed, value) {
        if (pending.expired)
            return doneLate(pending, failed, value);
        const { id, kind, slot, begun } = pending;
        pendingCount--;
        if (begun !== 0)
            handlerRan(kind, clock() - begun);
        if (kind === 1 /* EventKind.Open */) {
            if (failed)
                report(value, kind, id);
            sendVerdict(slot, failed ? verdict_cjs_1.FORBIDDEN : checkOrReport(value, pending.offered, id), id);
        }
        else if (failed) {
            report(value, kind, id);
        }
        settleOutside(slot);
        handleWaiting(pending);
    }
    /**
     * It has expired, and its next events went on. An acceptance comes too late for the connection,
     * but every acceptance is followed by a `handleClose`.
     */
    function doneLate(pending, failed, value) {
        const { id, kind } = pending;
        if (failed)
            return report(value, kind, id);
        if (kind !== 1 /* EventKind.Open */ ||
            handleClose === undefined ||
            !checkOrReport(value, pending.offered, id).accepted) {
            return;
        }
        try {
            const result = handleClose(id, undefined, 1006, '');
            if ((0, promises_cjs_1.isThenable)(result)) {
                Promise.resolve(result).then(undefined, (error) => report(error, 5 /* EventKind.Close */, id));
            }
        }
        catch (error) {
            report(error, 5 /* EventKind.Close */, id);
        }
    }
    /** Handles the events that wait, up to the next promise. */
    function handleWaiting(pending) {
        const { id } = pending;
        for (let event = pending.shift(); event !== undefined && !stopped; event = pending.shift()) {
            const { kind, slot } = event;
            state[slot] = 1 /* EventState.Started */;
            let begun = 0;
            try {
                begun = beginning(kind);
                const isWhole = kind !== 4 /* EventKind.Bytes */ || event.data.length === event.number;
                const result = invoke(kind, id, isWhole ? event.data : slotBytes(slot), tokenNow(id, slot, event.token, event.epoch), event.number);
                if (result !== undefined && (0, promises_cjs_1.isThenable)(result) && !(0, promises_cjs_1.isFulfilled)(result)) {
                    const next = hurried ? takePending() : pending;
                    next.begun = begun;
                    pend(next, kind, id, slot, result, !hurried);
                    if (!hurried)
                        return;
                    continue;
                }
            }
            catch (error) {
                report(error, kind, id);
            }
            if (begun !== 0)
                handlerRan(kind, clock() - begun);
            settleOutside(slot);
        }
        if (pending.serial)
            pendingHandlers.remove(pending);
        pending.serial = false;
        pending.clear();
        if (spare.length < MAX_SPARE)
            spare.push(pending);
        if (pendingCount === 0)
            for (const resolve of whenIdle.splice(0))
                resolve();
    }
    /** For events that settle outside of `dispatch`: the addon does not look for them by itself. */
    function settleOutside(slot) {
        if (stopped)
            return;
        state[slot] = 2 /* EventState.Settled */;
        const count = control[1 /* ControlWord.SettledCount */];
        settled[count] = slot;
        control[1 /* ControlWord.SettledCount */] = count + 1;
        if (!settleIsDue) {
            settleIsDue = true;
            nextTick(settleNow);
        }
    }
    // The addon collects settled events and flushes what was sent after all promises that are due
    // now, so that they are settled and flushed together.
    /** For calls by the addon, where `nextTick` would run before all promises. */
    function settleAfterPromises() {
        settleIsDue = true;
        queueMicrotask(scheduleSettle);
    }
    function scheduleSettle() {
        nextTick(settleNow);
    }
    function settleNow() {
        settleIsDue = false;
        settle();
    }
    function takePending() {
        return spare.pop() ?? new pending_handlers_cjs_1.PendingHandler(done);
    }
    // Handlers that take too long.
    function startTicking() {
        const timeout = handlerTimeout();
        if (timeout === 0)
            return;
        ticker = setInterval(onTick, Math.ceil(timeout / TICKS));
        ticker.unref?.();
    }
    function onTick() {
        tick++;
        if (pendingHandlers.size === 0 || stopped) {
            clearInterval(ticker);
            ticker = undefined;
            return;
        }
        // One tick more than the timeout has: the handler may have started just before a tick.
        const overdue = pendingHandlers.all().filter((pending) => tick - pending.since > TICKS);
        for (const pending of overdue)
            expire(pending);
    }
    function expire(pending) {
        const { id, kind, slot, begun } = pending;
        const name = exports.HANDLER_OF_EVENT[kind];
        const outcome = kind === 1 /* EventKind.Open */
            ? 'the connection was refused with 503'
            : kind === 8 /* EventKind.Lost */
                ? 'the connection was closed with 4009'
                : "the connection's next event is handled now";
        pending.expired = true;
        pendingCount--;
        if (begun !== 0)
            handlerRan(kind, clock() - begun);
        if (kind === 1 /* EventKind.Open */)
            sendVerdict(slot, verdict_cjs_1.TIMED_OUT, id);
        else if (kind === 8 /* EventKind.Lost */)
            closeLost(id);
        settleOutside(slot);
        const successor = replacePending(pending);
        report(new errors_cjs_1.WSBrokerError('ERR_WSBROKER_HANDLER_TIMEOUT', `${name} did not settle within ${handlerTimeout()} ms; ${outcome}`), kind, id);
        handleWaiting(successor);
    }
    /** Replaces it by another one, which gets the waiting events. */
    function replacePending(pending) {
        const successor = takePending();
        successor.id = pending.id;
        successor.serial = true;
        pending.moveTo(successor);
        pendingHandlers.remove(pending);
        pendingHandlers.add(successor);
        return successor;
    }
    function hurry() {
        hurried = true;
        for (const pending of pendingHandlers.all()) {
            // A connection that waits for its verdict is not open yet. Its client is refused when this
            // worker ends.
            if (pending.kind === 1 /* EventKind.Open */)
                continue;
            const successor = replacePending(pending);
            pending.serial = false;
            handleWaiting(successor);
        }
    }
    function handlerTimeout() {
        return Math.max(0, control[5 /* ControlWord.HandlerTimeout */] - 1);
    }
    function report(error, kind, id) {
        table.report(error, exports.HANDLER_OF_EVENT[kind], id);
    }
    return {
        dispatch,
        attach,
        hurry,
        idle: () => pendingCount === 0 ? Promise.resolve() : new Promise((resolve) => whenIdle.push(resolve)),
        stop() {
            stopped = true;
            clearInterval(ticker);
            pendingHandlers.clear();
            tokenCache.clear();
            for (const resolve of whenIdle.splice(0))
                resolve();
        },
    };
}
