"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.createDispatcher = createDispatcher;
const node_crypto_1 = require("node:crypto");
const node_worker_threads_1 = require("node:worker_threads");
const errors_cjs_1 = require("../errors.cjs");
const pending_cjs_1 = require("./pending.cjs");
const promises_cjs_1 = require("../promises.cjs");
const verdict_cjs_1 = require("./verdict.cjs");
// The way from the addon to handlers. The addon calls `dispatch` with up to 32 events: one value
// each as an argument, everything numeric in the control block, so that an event costs no property
// reads and, unless its handler returns a promise or its socket has a token or bytes, no
// allocation.
//
// Every event has a slot, and `state[slot]` tells the addon how far it got: 0 not started, 1 in
// hand, 2 settled. If this thread dies, what is at 0 goes to another worker. An event is settled
// when its handler has returned and its promise, if any, has too; until then it counts into
// `maxInFlight`.
/**
 * A pending handler is looked at this often within `handlerTimeout`: one timer for all of them, and
 * no clock is read per event.
 */
const LOOKS = 8;
/** Lines kept for the next promise, so that a busy worker makes none. */
const SPARE_LINES = 256;
const NAMES = [
    'handleOpen',
    'handleOpen',
    'handleTextMessage',
    'handleBinaryMessage',
    'handleBinaryMessage',
    'handleClose',
    'handleDrain',
];
/** As Node shows it: the SHA-256 of the certificate in pairs of digits. */
function withFingerprint(certificate) {
    const digits = (0, node_crypto_1.createHash)('sha256').update(certificate.raw).digest('hex').toUpperCase();
    certificate.fingerprint256 = digits.replace(/..(?!$)/g, '$&:');
}
/**
 * @param goodbye called when the addon says that the broker is gone, which only happens in threads
 * of the user's own
 */
function createDispatcher(native, table, goodbye) {
    const { scope } = table;
    const scoped = (handler) => handler && scope.bound(handler, table.self);
    const [handleOpen, handleTextMessage, handleBinaryMessage] = [
        scoped(table.handleOpen),
        scoped(table.handleTextMessage),
        scoped(table.handleBinaryMessage),
    ];
    const [handleClose, handleDrain] = [scoped(table.handleClose), scoped(table.handleDrain)];
    const { openVerdict, settle, slotBytes, slotToken, tokenVersion } = native;
    const { setInterval, clearInterval, queueMicrotask } = globalThis;
    const { nextTick } = process;
    let control = new Int32Array(16);
    let ids = new Float64Array(0);
    let kinds = control;
    let slots = control;
    let tokens = new Uint32Array(0);
    let numbers = control;
    let lengths = control;
    let settled = control;
    let state = new Uint8Array(0);
    const lines = new pending_cjs_1.LineTable();
    const spare = [];
    const tokenCache = new Map();
    let inHand = 0;
    let stopped = false;
    let hurried = false;
    let whenIdle = [];
    let lookIsDue = false;
    let look = 0;
    let looking;
    function attach(block) {
        control = new Int32Array(block, 0, 16 /* ControlBlock.Words */);
        control[6 /* ControlWord.ThreadId */] = node_worker_threads_1.threadId;
        const capacity = control[2 /* ControlWord.SlotCount */] ?? 0;
        ids = new Float64Array(block, 64 /* ControlBlock.Ids */, 32 /* ControlBlock.MaxEvents */);
        kinds = new Int32Array(block, 320 /* ControlBlock.Kinds */, 32 /* ControlBlock.MaxEvents */);
        slots = new Int32Array(block, 448 /* ControlBlock.Slots */, 32 /* ControlBlock.MaxEvents */);
        tokens = new Uint32Array(block, 576 /* ControlBlock.TokenVersions */, 32 /* ControlBlock.MaxEvents */);
        numbers = new Int32Array(block, 704 /* ControlBlock.Numbers */, 32 /* ControlBlock.MaxEvents */);
        lengths = new Int32Array(block, 832 /* ControlBlock.Lengths */, 32 /* ControlBlock.MaxEvents */);
        settled = new Int32Array(block, 1024 /* ControlBlock.Settled */, capacity);
        state = new Uint8Array(block, 1024 /* ControlBlock.Settled */ + 4 * capacity, capacity);
    }
    function dispatch(count, ...data) {
        if (stopped)
            return;
        if (count === 0)
            return goodbye();
        scope.batch(handOver, count, data);
    }
    function handOver(count, data) {
        const epoch = control[0 /* ControlWord.TokenEpoch */];
        const serial = control[4 /* ControlWord.Concurrent */] === 0 && !hurried;
        let shared;
        for (let i = 0; i < count; i++) {
            const id = ids[i];
            const slot = slots[i];
            let kind = kinds[i];
            try {
                let value = data[i];
                if (kind === 3 /* EventKind.SharedBytes */) {
                    // A handler that transfers its own bytes would take those of the events behind it along.
                    // `ArrayBuffer.prototype.transfer` does not heed that everywhere.
                    if (value !== shared)
                        (0, node_worker_threads_1.markAsUntransferable)((shared = value));
                    const length = lengths[i];
                    value =
                        value.byteLength === 0 && length !== 0
                            ? slotBytes(slot)
                            : Buffer.from(value, numbers[i], length);
                    kind = 4 /* EventKind.Bytes */;
                }
                else if (kind === 4 /* EventKind.Bytes */) {
                    value = Buffer.from(value);
                }
                if (serial && lines.size !== 0) {
                    const line = lines.find(id);
                    if (line !== undefined) {
                        if (!lookIsDue)
                            lookBehindPromises();
                        const number = kind === 4 /* EventKind.Bytes */ ? value.length : numbers[i];
                        line.push(new pending_cjs_1.Waiting(kind, slot, value, number, tokens[i], epoch));
                        continue;
                    }
                }
                state[slot] = 1 /* EventState.Started */;
                if (kind === 1 /* EventKind.Open */) {
                    open(id, slot, value);
                    continue;
                }
                const token = tokenNow(id, slot, tokens[i], epoch);
                const result = invoke(kind, id, value, token, numbers[i]);
                if (result !== undefined && (0, promises_cjs_1.isThenable)(result) && !(0, promises_cjs_1.isFulfilled)(result)) {
                    pend(takeLine(), kind, id, slot, result, serial);
                    continue;
                }
            }
            catch (error) {
                report(error, kind, id);
            }
            state[slot] = 2 /* EventState.Settled */;
        }
    }
    /** Calls the handler of any event but an open. */
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
            case 5 /* EventKind.Close */:
                tokenCache.delete(id);
                return handleClose === undefined ? undefined : handleClose(id, token, code, value);
            default:
                return undefined;
        }
    }
    /**
     * The first event of its socket, so that nothing can be before it. It counts as settled from its
     * verdict on.
     */
    function open(id, slot, request) {
        let judgement = verdict_cjs_1.FORBIDDEN;
        try {
            if (request.clientCertificate !== undefined)
                withFingerprint(request.clientCertificate);
            const verdict = handleOpen === undefined ? true : handleOpen(id, request.ip, request.headers, request);
            if ((0, promises_cjs_1.isThenable)(verdict)) {
                const line = takeLine();
                line.offered = request.protocols;
                pend(line, 1 /* EventKind.Open */, id, slot, verdict, true);
                return;
            }
            judgement = judgeOrReport(verdict, request.protocols, id);
        }
        catch (error) {
            report(error, 1 /* EventKind.Open */, id);
        }
        tell(slot, judgement, id);
        state[slot] = 2 /* EventState.Settled */;
    }
    function judgeOrReport(verdict, offered, id) {
        if (verdict === undefined || verdict === true)
            return verdict_cjs_1.ACCEPTED;
        if (verdict === false)
            return verdict_cjs_1.FORBIDDEN;
        try {
            return (0, verdict_cjs_1.judge)(verdict, offered);
        }
        catch (error) {
            report(error, 1 /* EventKind.Open */, id);
            return verdict_cjs_1.BROKEN;
        }
    }
    /**
     * The addon may refuse an acceptance, because of a limit for example: then the connection is
     * refused.
     */
    function tell(slot, judgement, id) {
        if (stopped)
            return;
        try {
            if (judgement.accepted)
                openVerdict(slot, true, judgement.detail);
            else
                openVerdict(slot, false, judgement.detail);
        }
        catch (error) {
            report(error, 1 /* EventKind.Open */, id);
            if (judgement !== verdict_cjs_1.BROKEN)
                tell(slot, verdict_cjs_1.BROKEN, id);
        }
    }
    // Tokens. A Buffer made for every event would cost more than all the rest of it.
    function tokenOf(id, slot, version) {
        const cached = tokenCache.get(id);
        if (cached !== undefined && cached.version === version && cached.bytes.length === cached.length)
            return cached.bytes;
        const bytes = slotToken(slot);
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
    /**
     * The version that came with an event is good as long as no token of this worker's sockets was
     * set since.
     */
    function tokenNow(id, slot, version, epoch) {
        if (control[0 /* ControlWord.TokenEpoch */] !== epoch)
            return currentToken(id, slot);
        return version === 0 ? undefined : tokenOf(id, slot, version);
    }
    function currentToken(id, slot) {
        const version = tokenVersion(id);
        // 0 also says that the socket is gone; its slot still knows the token.
        return version === 0 ? slotToken(slot) : tokenOf(id, slot, version);
    }
    // Promises.
    function pend(line, kind, id, slot, promise, serial) {
        line.id = id;
        line.kind = kind;
        line.slot = slot;
        line.since = look;
        // A native promise is taken as it is; any other thenable is called once, later, and believed
        // once.
        Promise.resolve(promise).then(line.resolved, line.rejected);
        if (!lookIsDue)
            lookBehindPromises();
        inHand++;
        if (serial && !line.serial) {
            line.serial = true;
            lines.add(line);
            if (looking === undefined)
                startLooking();
        }
    }
    function done(line, failed, value) {
        if (line.expired)
            return doneLate(line, failed, value);
        const { id, kind, slot } = line;
        inHand--;
        if (kind === 1 /* EventKind.Open */) {
            if (failed)
                report(value, kind, id);
            tell(slot, failed ? verdict_cjs_1.FORBIDDEN : judgeOrReport(value, line.offered, id), id);
        }
        else if (failed) {
            report(value, kind, id);
        }
        settleLater(slot);
        goOn(line);
    }
    /**
     * Its events went on without it. An acceptance came too late for the connection, but it was one,
     * and an acceptance is followed by a `handleClose`.
     */
    function doneLate(line, failed, value) {
        const { id, kind } = line;
        if (failed)
            return report(value, kind, id);
        if (kind !== 1 /* EventKind.Open */ ||
            handleClose === undefined ||
            !judgeOrReport(value, line.offered, id).accepted)
            return;
        try {
            const result = handleClose(id, undefined, 1006, '');
            if ((0, promises_cjs_1.isThenable)(result))
                Promise.resolve(result).then(undefined, (error) => report(error, 5 /* EventKind.Close */, id));
        }
        catch (error) {
            report(error, 5 /* EventKind.Close */, id);
        }
    }
    /** Runs what waits in the line, up to the next promise. */
    function goOn(line) {
        const { id } = line;
        for (let event = line.shift(); event !== undefined && !stopped; event = line.shift()) {
            const { kind, slot } = event;
            state[slot] = 1 /* EventState.Started */;
            try {
                const isWhole = kind !== 4 /* EventKind.Bytes */ || event.data.length === event.number;
                const result = invoke(kind, id, isWhole ? event.data : slotBytes(slot), tokenNow(id, slot, event.token, event.epoch), event.number);
                if (result !== undefined && (0, promises_cjs_1.isThenable)(result) && !(0, promises_cjs_1.isFulfilled)(result)) {
                    if (!hurried)
                        return pend(line, kind, id, slot, result, true);
                    pend(takeLine(), kind, id, slot, result, false);
                    continue;
                }
            }
            catch (error) {
                report(error, kind, id);
            }
            settleLater(slot);
        }
        if (line.serial)
            lines.remove(line);
        line.serial = false;
        line.clear();
        if (spare.length < SPARE_LINES)
            spare.push(line);
        if (inHand === 0)
            for (const resolve of whenIdle.splice(0))
                resolve();
    }
    /** For an event that ends outside of `dispatch`, where the addon does not look by itself. */
    function settleLater(slot) {
        if (stopped)
            return;
        state[slot] = 2 /* EventState.Settled */;
        const count = control[1 /* ControlWord.SettledCount */];
        settled[count] = slot;
        control[1 /* ControlWord.SettledCount */] = count + 1;
        if (!lookIsDue) {
            lookIsDue = true;
            nextTick(lookNow);
        }
    }
    // The addon looks what has settled, and flushes what was sent, behind all promises that go on
    // now: so they are settled and flushed together.
    /** From a call of the addon's: a tick asked for here would come before all promises. */
    function lookBehindPromises() {
        lookIsDue = true;
        queueMicrotask(askForLook);
    }
    function askForLook() {
        nextTick(lookNow);
    }
    function lookNow() {
        lookIsDue = false;
        settle();
    }
    function takeLine() {
        return spare.pop() ?? new pending_cjs_1.Line(done);
    }
    // Handlers that take too long.
    function startLooking() {
        const timeout = handlerTimeout();
        if (timeout === 0)
            return;
        looking = setInterval(lookAtLines, Math.ceil(timeout / LOOKS));
        looking.unref?.();
    }
    function lookAtLines() {
        look++;
        if (lines.size === 0 || stopped) {
            clearInterval(looking);
            looking = undefined;
            return;
        }
        // One look more than the timeout has: a line may have begun just before the look it remembers
        // ended.
        const overdue = lines.all().filter((line) => look - line.since > LOOKS);
        for (const line of overdue)
            expire(line);
    }
    function expire(line) {
        const { id, kind, slot } = line;
        const name = NAMES[kind];
        const outcome = kind === 1 /* EventKind.Open */
            ? 'the connection was refused with 503'
            : "the connection's next event goes on";
        line.expired = true;
        inHand--;
        if (kind === 1 /* EventKind.Open */)
            tell(slot, verdict_cjs_1.LATE, id);
        settleLater(slot);
        const heir = succeed(line);
        report(new errors_cjs_1.WSBrokerError('ERR_WSBROKER_HANDLER_TIMEOUT', `${name} did not settle within ${handlerTimeout()} ms; ${outcome}`), kind, id);
        goOn(heir);
    }
    /** A line with what waits in this one, in its place. */
    function succeed(line) {
        const heir = takeLine();
        heir.id = line.id;
        heir.serial = true;
        line.moveTo(heir);
        lines.remove(line);
        lines.add(heir);
        return heir;
    }
    function hurry() {
        hurried = true;
        for (const line of lines.all()) {
            // A connection that waits for a verdict does not exist yet; its client is answered when this
            // worker ends.
            if (line.kind === 1 /* EventKind.Open */)
                continue;
            const heir = succeed(line);
            line.serial = false;
            goOn(heir);
        }
    }
    function handlerTimeout() {
        return Math.max(0, control[5 /* ControlWord.HandlerTimeout */] - 1);
    }
    function report(error, kind, id) {
        table.report(error, NAMES[kind], id);
    }
    return {
        dispatch,
        attach,
        hurry,
        idle: () => inHand === 0 ? Promise.resolve() : new Promise((resolve) => whenIdle.push(resolve)),
        stop() {
            stopped = true;
            clearInterval(looking);
            lines.clear();
            tokenCache.clear();
            for (const resolve of whenIdle.splice(0))
                resolve();
        },
    };
}
