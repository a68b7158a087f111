"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.CrosswsMessage = void 0;
const node_buffer_1 = require("node:buffer");
const node_crypto_1 = require("node:crypto");
const node_util_1 = require("node:util");
/** What a `message` hook gets: the `Message` of crossws. */
class CrosswsMessage {
    /** There is no event of the runtime. */
    event = undefined;
    /** The text as a string, or the bytes as a `Buffer` that belongs to the hook. */
    rawData;
    peer;
    #id;
    #text;
    #json;
    constructor(rawData, peer) {
        this.rawData = rawData;
        this.peer = peer;
    }
    get id() {
        return (this.#id ??= (0, node_crypto_1.randomUUID)());
    }
    uint8Array() {
        return typeof this.rawData === 'string' ? Buffer.from(this.rawData) : this.rawData;
    }
    /** A copy, unless the message has an `ArrayBuffer` of its own. */
    arrayBuffer() {
        const { buffer, byteOffset, byteLength } = this.uint8Array();
        return byteLength === buffer.byteLength
            ? buffer
            : buffer.slice(byteOffset, byteOffset + byteLength);
    }
    blob() {
        return new node_buffer_1.Blob([this.arrayBuffer()]);
    }
    text() {
        return (this.#text ??=
            typeof this.rawData === 'string' ? this.rawData : new TextDecoder().decode(this.rawData));
    }
    json() {
        return (this.#json ??= { value: JSON.parse(this.text()) }).value;
    }
    /** In the form that `peer.websocket.binaryType` asks for, or as it came. */
    get data() {
        switch (this.peer.websocket.binaryType) {
            case 'arraybuffer':
                return this.arrayBuffer();
            case 'blob':
                return this.blob();
            case 'nodebuffer':
                return Buffer.from(this.uint8Array());
            case 'uint8array':
                return this.uint8Array();
            case 'text':
                return this.text();
            default:
                return this.rawData;
        }
    }
    toString() {
        return this.text();
    }
    [Symbol.toPrimitive]() {
        return this.text();
    }
    [node_util_1.inspect.custom]() {
        return { message: { id: this.id, peer: this.peer, text: this.text() } };
    }
}
exports.CrosswsMessage = CrosswsMessage;
