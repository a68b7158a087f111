import { Blob } from 'node:buffer';
import { inspect } from 'node:util';
import type { CrosswsPeer } from './peer.cjs';
/** What a `message` hook gets: the `Message` of crossws. */
export declare class CrosswsMessage {
    #private;
    /** There is no event of the runtime. */
    readonly event: undefined;
    /** The text as a string, or the bytes as a `Buffer` that belongs to the hook. */
    readonly rawData: string | Buffer;
    readonly peer: CrosswsPeer;
    constructor(rawData: string | Buffer, peer: CrosswsPeer);
    get id(): string;
    uint8Array(): Uint8Array;
    /** A copy, unless the message has an `ArrayBuffer` of its own. */
    arrayBuffer(): ArrayBuffer;
    blob(): Blob;
    text(): string;
    json(): unknown;
    /** In the form that `peer.websocket.binaryType` asks for, or as it came. */
    get data(): unknown;
    toString(): string;
    [Symbol.toPrimitive](): string;
    [inspect.custom](): unknown;
}
