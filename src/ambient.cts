// Types of the runtime in our interface: those of `@types/node` or of the DOM where the program has them, and where it has none what is true of them in any case. So our
// declarations compile everywhere.

export type Buffer = typeof globalThis extends { Buffer: { isBuffer(value: unknown): value is infer B } } ? B : Uint8Array;

export type URL = typeof globalThis extends { URL: new (...args: never) => infer U } ? U : { readonly href: string };

/** What `setTimeout` returns. */
export type Timeout = typeof globalThis extends { setTimeout: (...args: never) => infer T } ? T : unknown;

/** A view of bytes, whichever: what runtimes take is less than the interface of that name. */
export type ArrayBufferView =
  | Uint8Array | Uint8ClampedArray | Uint16Array | Uint32Array | Int8Array | Int16Array | Int32Array | BigUint64Array | BigInt64Array | Float32Array | Float64Array | DataView;
