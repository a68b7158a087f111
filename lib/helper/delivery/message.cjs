"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Message = void 0;
/** A message to one or many clients. It is serialized once, when its text is first needed. */
class Message {
    event;
    #data;
    #frame;
    constructor(event, data) {
        this.event = event;
        this.#data = data;
    }
    get data() {
        return this.#data;
    }
    /** @throws {TypeError} the data cannot be serialized */
    get frame() {
        return (this.#frame ??= JSON.stringify({ event: this.event, data: this.#data }));
    }
    /**
     * The bytes of its text. Data that cannot be serialized may still be transformed, and counts as a
     * small message.
     */
    get size() {
        try {
            return Buffer.byteLength(this.frame);
        }
        catch {
            return 1024;
        }
    }
    /** A message whose text another helper has made. */
    static from(frame) {
        const { event, data } = JSON.parse(frame);
        const message = new Message(event, data);
        message.#frame = frame;
        return message;
    }
}
exports.Message = Message;
