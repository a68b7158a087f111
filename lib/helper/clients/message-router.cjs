"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.MessageRouter = void 0;
const node_perf_hooks_1 = require("node:perf_hooks");
const measured_cjs_1 = require("../../worker/measured.cjs");
const callbacks_cjs_1 = require("../callbacks.cjs");
const log_cjs_1 = require("../log.cjs");
const protocol_cjs_1 = require("../protocol.cjs");
const sockets_cjs_1 = require("./sockets.cjs");
/** Decides what happens to a message of a client, as docs/design/helper.md says. */
class MessageRouter {
    #parts;
    #failures;
    #untilMeasured = (0, measured_cjs_1.untilNextMeasured)();
    constructor(parts) {
        this.#parts = parts;
        this.#failures = new log_cjs_1.RateLimitedErrors(parts.log);
    }
    /**
     * The text of a frame, or undefined if the client was closed because of a limit.
     */
    admit(client, frame) {
        const { clients, settings, log } = this.#parts;
        const internals = clients.internals(client);
        if (internals.cut)
            return undefined;
        if (!internals.finished) {
            const over = longerThan(frame, settings.maxAuthPayloadLength)
                ? protocol_cjs_1.CLOSE.tooBig
                : ++internals.frames > settings.maxUnauthenticatedMessages
                    ? protocol_cjs_1.CLOSE.tooMany
                    : undefined;
            if (over !== undefined) {
                internals.cut = true;
                log.debug(`client ${client.id} is closed before it is authenticated: ${over[1]}`);
                (0, sockets_cjs_1.closeSocket)(client.socket, over, log);
                return undefined;
            }
        }
        return textOf(frame);
    }
    route(client, raw) {
        const { clients, rooms, auth, log } = this.#parts;
        let message;
        try {
            message = JSON.parse(raw);
        }
        catch {
            // The parser's error is not logged: it quotes the message.
            return this.#parts.sendError(client, protocol_cjs_1.ERROR_TEXT.format);
        }
        if (message === null || !message.event) {
            return log.debug(`client ${client.id} sent a message without an event`);
        }
        switch (message.event) {
            case protocol_cjs_1.WebSocketEvents.HEARTBEAT:
                return;
            case protocol_cjs_1.WebSocketEvents.AUTHENTICATE:
                return auth.authenticate(client, message.data);
        }
        if (!clients.isFinished(client)) {
            return this.#parts.sendError(client, protocol_cjs_1.ERROR_TEXT.notAuthenticated);
        }
        switch (message.event) {
            case protocol_cjs_1.WebSocketEvents.JOIN:
                return rooms.joinAsked(client, message.data);
            case protocol_cjs_1.WebSocketEvents.LEAVE:
                return rooms.leaveAsked(client, message.data);
        }
        this.#callHandler(client, message);
    }
    #callHandler(client, message) {
        const { settings, log } = this.#parts;
        const { messageHandler } = settings;
        if (messageHandler === undefined) {
            return log.debug(`no messageHandler for ${(0, log_cjs_1.quoted)(message.event)} of client ${client.id}`);
        }
        const { id, userId } = client;
        const given = { clientId: id, userId, message };
        const begun = this.#beginning();
        let handled;
        try {
            handled = messageHandler(given);
        }
        catch (error) {
            this.#measure(begun);
            return this.#failures.add(`messageHandler failed for client ${id}`, error);
        }
        // Most handlers return nothing: only a promise has to be looked after.
        if (handled === undefined)
            return this.#measure(begun);
        (0, callbacks_cjs_1.callApplication)(() => handled, () => this.#measure(begun), (error) => {
            this.#measure(begun);
            this.#failures.add(`messageHandler failed for client ${id}`, error);
        });
    }
    /** When the handler begins; 0: it is not measured. */
    #beginning() {
        if (--this.#untilMeasured > 0)
            return 0;
        this.#untilMeasured = (0, measured_cjs_1.untilNextMeasured)();
        return node_perf_hooks_1.performance.now();
    }
    #measure(begun) {
        if (begun !== 0)
            this.#parts.messageHandled(node_perf_hooks_1.performance.now() - begun);
    }
}
exports.MessageRouter = MessageRouter;
/** Binary frames contain UTF-8 text. */
function textOf(frame) {
    if (typeof frame === 'string')
        return frame;
    return (bytesOf(frame) ?? Buffer.from(String(frame))).toString('utf8');
}
function longerThan(frame, limit) {
    if (typeof frame === 'string') {
        // A UTF-16 unit is one to three bytes of UTF-8, so the bytes rarely have to be counted.
        return frame.length > limit || (frame.length * 3 > limit && Buffer.byteLength(frame) > limit);
    }
    return (bytesOf(frame)?.length ?? 0) > limit;
}
function bytesOf(frame) {
    if (Buffer.isBuffer(frame))
        return frame;
    if (ArrayBuffer.isView(frame)) {
        return Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
    }
    if (frame instanceof ArrayBuffer ||
        (typeof SharedArrayBuffer !== 'undefined' && frame instanceof SharedArrayBuffer)) {
        return Buffer.from(frame);
    }
    return undefined;
}
