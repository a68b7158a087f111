import type { Native } from '../../native.cjs';
import type { IWebSocket } from '../types.cjs';

/** The numbers of the WebSocket standard for browsers. */
export const enum ReadyState {
  Open = 1,
  Closing = 2,
  Closed = 3,
}

/**
 * What a socket needs of the object that made it: the addon, and what to call when the application
 * closes the socket.
 */
export interface SocketOwner {
  readonly native: Pick<
    Native,
    | 'helperSend'
    | 'helperClose'
    | 'helperSubscribe'
    | 'helperUnsubscribe'
    | 'helperIsSubscribed'
    | 'flushSends'
  >;
  readonly helper: number;
  /** Runs the close event of the socket. */
  closed(socket: NativeSocket, code: number, reason: string): void;
}

/** A socket of the broker. All its events get the same object. */
export class NativeSocket implements IWebSocket<{ readonly clientId: string }> {
  readonly data: { readonly clientId: string };
  readonly remoteAddress: string;
  readonly id: number;
  readonly #owner: SocketOwner;
  #readyState = ReadyState.Open;

  constructor(owner: SocketOwner, id: number, clientId: string, remoteAddress: string) {
    this.#owner = owner;
    this.id = id;
    this.data = { clientId };
    this.remoteAddress = remoteAddress;
  }

  get readyState(): number {
    return this.#readyState;
  }

  send(
    data: string | ArrayBufferView | ArrayBuffer | SharedArrayBuffer,
    compress?: boolean,
  ): number {
    if (this.#readyState !== ReadyState.Open) return 0;
    const { native, helper } = this.#owner;
    return native.helperSend(
      helper,
      this.id,
      typeof data === 'string' ? data : bytesOf(data),
      compress,
    );
  }

  /**
   * The close event runs before this returns. Messages that have come but have not been handled are
   * discarded.
   */
  close(code?: number, reason?: string): void {
    if (this.#readyState !== ReadyState.Open) return;
    this.#owner.native.helperClose(this.#owner.helper, this.id, code, reason);
    this.#readyState = ReadyState.Closing;
    this.#owner.closed(this, code ?? 1000, reason ?? '');
  }

  subscribe(topic: string): void {
    if (this.#readyState === ReadyState.Open) {
      this.#owner.native.helperSubscribe(this.#owner.helper, this.id, String(topic));
    }
  }

  unsubscribe(topic: string): void {
    if (this.#readyState === ReadyState.Open) {
      this.#owner.native.helperUnsubscribe(this.#owner.helper, this.id, String(topic));
    }
  }

  isSubscribed(topic: string): boolean {
    return (
      this.#readyState === ReadyState.Open &&
      this.#owner.native.helperIsSubscribed(this.#owner.helper, this.id, String(topic))
    );
  }

  cork(cb: (ws: IWebSocket<{ readonly clientId: string }>) => void): void {
    try {
      cb(this);
    } finally {
      this.#owner.native.flushSends();
    }
  }

  /** The connection has ended. Returns whether the close event has not run yet. */
  end(): boolean {
    const unheard = this.#readyState === ReadyState.Open;
    this.#readyState = ReadyState.Closed;
    return unheard;
  }
}

/** Converts bytes for the addon. */
function bytesOf(
  data: ArrayBufferView | ArrayBuffer | SharedArrayBuffer,
): ArrayBuffer | Uint8Array {
  if (data instanceof ArrayBuffer) return data;
  // Shared memory may change while it is read, so it is copied first.
  if (data instanceof SharedArrayBuffer) return Uint8Array.from(new Uint8Array(data));
  if (!ArrayBuffer.isView(data)) return data;
  const view =
    data instanceof Uint8Array
      ? data
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return view.buffer instanceof ArrayBuffer
    ? (view as Uint8Array<ArrayBuffer>)
    : Uint8Array.from(view);
}
