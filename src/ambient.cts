// Types of the runtime in our interface: those of `@types/node` or of the DOM if the program has
// them, otherwise a minimum that is always true. So our declarations compile everywhere.

export type Buffer = typeof globalThis extends {
  Buffer: { isBuffer(value: unknown): value is infer B };
}
  ? B
  : Uint8Array;

export type URL = typeof globalThis extends { URL: new (...args: never) => infer U }
  ? U
  : { readonly href: string };

/** What `setTimeout` returns. */
export type Timeout = typeof globalThis extends { setTimeout: (...args: never) => infer T }
  ? T
  : unknown;

/** Any view of bytes. Runtimes accept less than the interface of this name. */
export type ArrayBufferView =
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float32Array
  | Float64Array
  | DataView;

export type AbortSignal = typeof globalThis extends { AbortSignal: { prototype: infer S } }
  ? S
  : { readonly aborted: boolean };

/** What `await using` needs, if the program's library knows it. */
export type AsyncDisposes = SymbolConstructor extends {
  readonly asyncDispose: infer K extends symbol;
}
  ? { [P in K]: () => Promise<void> }
  : object;
