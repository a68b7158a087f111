"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.NativeSocket = void 0;
/** A socket of the broker. All its events get the same object. */
class NativeSocket {
    data;
    remoteAddress;
    id;
    #owner;
    #readyState = 1 /* ReadyState.Open */;
    constructor(owner, id, clientId, remoteAddress) {
        this.#owner = owner;
        this.id = id;
        this.data = { clientId };
        this.remoteAddress = remoteAddress;
    }
    get readyState() {
        return this.#readyState;
    }
    send(data, compress) {
        if (this.#readyState !== 1 /* ReadyState.Open */)
            return 0;
        const { native, helper } = this.#owner;
        return native.helperSend(helper, this.id, typeof data === 'string' ? data : bytesOf(data), compress);
    }
    /**
     * The close event runs before this returns. Messages that have come but have not been handled are
     * discarded.
     */
    close(code, reason) {
        if (this.#readyState !== 1 /* ReadyState.Open */)
            return;
        this.#owner.native.helperClose(this.#owner.helper, this.id, code, reason);
        this.#readyState = 2 /* ReadyState.Closing */;
        this.#owner.closed(this, code ?? 1000, reason ?? '');
    }
    subscribe(topic) {
        if (this.#readyState === 1 /* ReadyState.Open */) {
            this.#owner.native.helperSubscribe(this.#owner.helper, this.id, String(topic));
        }
    }
    unsubscribe(topic) {
        if (this.#readyState === 1 /* ReadyState.Open */) {
            this.#owner.native.helperUnsubscribe(this.#owner.helper, this.id, String(topic));
        }
    }
    isSubscribed(topic) {
        return (this.#readyState === 1 /* ReadyState.Open */ &&
            this.#owner.native.helperIsSubscribed(this.#owner.helper, this.id, String(topic)));
    }
    cork(cb) {
        try {
            cb(this);
        }
        finally {
            this.#owner.native.flushSends();
        }
    }
    /** The connection has ended. Returns whether the close event has not run yet. */
    end() {
        const unheard = this.#readyState === 1 /* ReadyState.Open */;
        this.#readyState = 3 /* ReadyState.Closed */;
        return unheard;
    }
}
exports.NativeSocket = NativeSocket;
/** Converts bytes for the addon. */
function bytesOf(data) {
    if (data instanceof ArrayBuffer)
        return data;
    // Shared memory may change while it is read, so it is copied first.
    if (data instanceof SharedArrayBuffer)
        return Uint8Array.from(new Uint8Array(data));
    if (!ArrayBuffer.isView(data))
        return data;
    const view = data instanceof Uint8Array
        ? data
        : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return view.buffer instanceof ArrayBuffer
        ? view
        : Uint8Array.from(view);
}
