"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.NativeRunner = void 0;
const node_crypto_1 = require("node:crypto");
const node_timers_1 = require("node:timers");
const node_worker_threads_1 = require("node:worker_threads");
const async_scope_cjs_1 = require("../../async-scope.cjs");
const callbacks_cjs_1 = require("../callbacks.cjs");
const native_socket_cjs_1 = require("./native-socket.cjs");
// Runs a helper's handlers. The addon calls it with up to 32 events of sockets at a time, whose
// numbers are in the control block, and with operations that other helpers of the instance ask for.
// Nothing is waited for: an event has settled when its function has returned.
/** By `AudienceKind`. */
const AUDIENCES = ['room', 'user', 'broadcast'];
/** The sockets of one helper, and what the addon calls for them. */
class NativeRunner {
    native;
    helper;
    host;
    inputChanged;
    #sockets = new Map();
    /**
     * Sockets whose last message has left work to promises, and their events behind it. They wait
     * until these promises have gone on, as in the server of a runtime. So a client may send
     * `authenticate`, `join` and more at once, if the functions that decide do not wait for anything
     * outside.
     */
    #postponed = new Map();
    #scope = (0, async_scope_cjs_1.scopeHere)();
    #goesOn = false;
    #ids = new Float64Array(0);
    #kinds = new Int32Array(0);
    #slots = new Int32Array(0);
    #numbers = new Int32Array(0);
    #lengths = new Int32Array(0);
    #state = new Uint8Array(0);
    constructor(native, helper, host, 
    /** Called at each change of the input. */
    inputChanged) {
        this.native = native;
        this.helper = helper;
        this.host = host;
        this.inputChanged = inputChanged;
    }
    /** From now on the addon calls this. */
    attach() {
        const { native, helper } = this;
        const again = () => void (0, node_timers_1.setImmediate)(() => native.drainHelper(helper));
        const block = native.attachHelper(helper, (count, ...values) => this.#dispatch(count, values), again, (...operation) => this.#receive(...operation));
        const control = new Int32Array(block, 0, 16 /* ControlLayout.Words */);
        control[6 /* ControlWord.ThreadId */] = node_worker_threads_1.threadId;
        const slots = control[2 /* ControlWord.SlotCount */] ?? 0;
        this.#ids = new Float64Array(block, 64 /* ControlLayout.Ids */, 32 /* ControlLayout.MaxEvents */);
        this.#kinds = new Int32Array(block, 320 /* ControlLayout.Kinds */, 32 /* ControlLayout.MaxEvents */);
        this.#slots = new Int32Array(block, 448 /* ControlLayout.Slots */, 32 /* ControlLayout.MaxEvents */);
        this.#numbers = new Int32Array(block, 704 /* ControlLayout.Numbers */, 32 /* ControlLayout.MaxEvents */);
        this.#lengths = new Int32Array(block, 832 /* ControlLayout.Lengths */, 32 /* ControlLayout.MaxEvents */);
        this.#state = new Uint8Array(block, 1024 /* ControlLayout.Settled */ + 4 * slots, slots);
    }
    /** Closes all sockets, also those that the application has made the helper forget. */
    closeAll(code, reason) {
        for (const socket of this.#sockets.values()) {
            this.#guard('close', () => socket.close(code, reason));
        }
    }
    closed(socket, code, reason) {
        this.#guard('close', () => this.host.handler.close(socket, code, reason));
    }
    #dispatch(count, values) {
        if (count === 0)
            return this.#brokerGone();
        this.#scope.batch(this.#handOver, count, values);
    }
    #handOver = (count, values) => {
        for (let i = 0; i < count; i++) {
            const slot = this.#slots[i];
            this.#state[slot] = 1 /* EventState.Started */;
            this.#event(this.#kinds[i], this.#ids[i], values[i], this.#numbers[i], this.#lengths[i]);
            this.#state[slot] = 2 /* EventState.Settled */;
        }
    };
    #event(kind, id, value, number, length) {
        if (kind === 7 /* EventKind.Joined */) {
            const socket = new native_socket_cjs_1.NativeSocket(this, id, (0, node_crypto_1.randomUUID)(), value);
            this.#sockets.set(id, socket);
            return this.#guard('open', () => this.host.handler.open(socket));
        }
        const socket = this.#sockets.get(id);
        if (socket === undefined)
            return;
        const postponed = this.#postponed.get(id);
        if (postponed === undefined)
            this.#eventOf(socket, kind, value, number, length);
        else
            postponed.events.push(() => this.#eventOf(socket, kind, value, number, length));
    }
    #eventOf(socket, kind, value, number, length) {
        const { handler } = this.host;
        switch (kind) {
            case 2 /* EventKind.Text */:
                return this.#message(socket, value);
            case 3 /* EventKind.SharedBytes */:
                return this.#message(socket, Buffer.from(value, number, length));
            case 4 /* EventKind.Bytes */:
                return this.#message(socket, value);
            case 6 /* EventKind.Drain */:
                if (socket.readyState === 1)
                    this.#guard('drain', () => handler.drain(socket));
                return;
            case 5 /* EventKind.Close */:
                this.#sockets.delete(socket.id);
                if (socket.end())
                    this.closed(socket, number, value);
        }
    }
    /** Messages that were on their way when the socket was closed here are ignored. */
    #message(socket, message) {
        if (socket.readyState !== 1)
            return;
        const before = (0, callbacks_cjs_1.continuations)();
        this.#guard('message', () => this.host.handler.message(socket, message));
        if ((0, callbacks_cjs_1.continuations)() !== before)
            this.#postpone(socket.id);
    }
    /**
     * The next events of this socket wait until promises have gone on. `nextTick` alone would come
     * before them.
     */
    #postpone(id) {
        this.#postponed.set(id, { events: [], next: 0 });
        if (this.#goesOn)
            return;
        this.#goesOn = true;
        queueMicrotask(() => process.nextTick(() => this.#goOn()));
    }
    #goOn() {
        this.#goesOn = false;
        const all = [...this.#postponed];
        this.#postponed.clear();
        for (const [id, line] of all) {
            while (line.next < line.events.length && !this.#postponed.has(id)) {
                line.events[line.next++]?.();
            }
            // One of them has left work to promises again: the others go on waiting.
            if (line.next < line.events.length)
                this.#postponed.set(id, line);
        }
    }
    /** The broker has shut down. Close events have come before this, so no socket should be left. */
    #brokerGone() {
        this.native.keepHelperAlive(this.helper, false);
        for (const socket of this.#sockets.values())
            if (socket.end())
                this.closed(socket, 1006, '');
        this.#sockets.clear();
    }
    #receive(operation, a, b, exclude, kind, epoch) {
        const { host } = this;
        this.#guard('receive', () => {
            switch (operation) {
                case 0 /* Operation.Publish */:
                    return host.receive({
                        op: 'publish',
                        audience: { type: AUDIENCES[kind] ?? 'room', name: a },
                        frame: b,
                        exclude,
                        epoch,
                    });
                case 1 /* Operation.Send */:
                    return host.receive({ op: 'send', clientId: a, frame: b });
                case 2 /* Operation.Join */:
                    return host.receive({ op: 'join', clientId: a, room: b });
                case 3 /* Operation.Leave */:
                    return host.receive({ op: 'leave', clientId: a, room: b });
                case 4 /* Operation.InputState */:
                    return this.inputChanged(a === true ? 'ready' : 'lost');
                case 5 /* Operation.TakeInput */:
                    return host.takeInput();
                case 6 /* Operation.ClientsLeft */:
                    return host.clientsLeft();
                case 7 /* Operation.Dropped */:
                    return host.dropped();
            }
        });
    }
    /** If it throws, or enters an async context, the events of other sockets do not notice. */
    #guard(what, run) {
        try {
            this.#scope.call(run, undefined);
        }
        catch (error) {
            this.host.logger.error(`${what} failed`, error);
        }
    }
}
exports.NativeRunner = NativeRunner;
