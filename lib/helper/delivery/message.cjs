"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Message = void 0;
/** A message on its way to one or many clients. Its text is made once, when it is first needed. */
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
    /** @throws {TypeError} the data cannot be serialised */
    get frame() {
        return (this.#frame ??= JSON.stringify({ event: this.event, data: this.#data }));
    }
    /**
     * Bytes of the text. What cannot be text is the transformer's to make something of: counted as
     * one small message.
     */
    get size() {
        try {
            return Buffer.byteLength(this.frame);
        }
        catch {
            return 1024;
        }
    }
    /** From the text that another helper has made. */
    static from(frame) {
        const { event, data } = JSON.parse(frame);
        const message = new Message(event, data);
        message.#frame = frame;
        return message;
    }
}
exports.Message = Message;
