import { Blob } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import type { CrosswsPeer } from './peer.cjs';

/** What a `message` hook gets: the `Message` of crossws. */
export class CrosswsMessage {
  /** There is no event of the runtime. */
  readonly event = undefined;
  /** The text as a string, or the bytes as a `Buffer` that belongs to the hook. */
  readonly rawData: string | Buffer;
  readonly peer: CrosswsPeer;
  #id: string | undefined;
  #text: string | undefined;
  #json: { readonly value: unknown } | undefined;

  constructor(rawData: string | Buffer, peer: CrosswsPeer) {
    this.rawData = rawData;
    this.peer = peer;
  }

  get id(): string {
    return (this.#id ??= randomUUID());
  }

  uint8Array(): Uint8Array {
    return typeof this.rawData === 'string' ? Buffer.from(this.rawData) : this.rawData;
  }

  /** A copy, unless the message has an `ArrayBuffer` of its own. */
  arrayBuffer(): ArrayBuffer {
    const { buffer, byteOffset, byteLength } = this.uint8Array();
    return byteLength === buffer.byteLength
      ? (buffer as ArrayBuffer)
      : (buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer);
  }

  blob(): Blob {
    return new Blob([this.arrayBuffer()]);
  }

  text(): string {
    return (this.#text ??=
      typeof this.rawData === 'string' ? this.rawData : new TextDecoder().decode(this.rawData));
  }

  json(): unknown {
    return (this.#json ??= { value: JSON.parse(this.text()) as unknown }).value;
  }

  /** In the form that `peer.websocket.binaryType` asks for, or as it came. */
  get data(): unknown {
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

  toString(): string {
    return this.text();
  }

  [Symbol.toPrimitive](): string {
    return this.text();
  }

  [inspect.custom](): unknown {
    return { message: { id: this.id, peer: this.peer, text: this.text() } };
  }
}
