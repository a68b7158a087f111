import type { ClientCertificate, OpenRequest } from '../types/worker-interface.cjs';

// Types that the declarations in crates/wsbroker name, and that napi-rs does not know: values that
// the addon reads and makes by itself (js/convert.rs, worker/dispatch_call.rs).

export type { Data, SendOptions, SendResult } from '../types/messages.cjs';
export type {
  HistorySlice,
  Position,
  PublishOptions,
  PublishReceipt,
  Recovery,
} from '../types/history.cjs';
export type { Stats } from '../types/stats.cjs';

/**
 * The addon calls it with up to 32 events: how many there are, then a value for each. Their numbers
 * are in the control block, as shared-numbers.cts lays it out. No event: the broker has shut down.
 */
export type Dispatch = (count: number, ...values: unknown[]) => void;

/**
 * The addon calls it with an operation that another helper has asked for. Which of the other
 * arguments there are depends on the operation.
 */
export type Receive = (
  operation: number,
  a: string | boolean,
  b: string,
  exclude: string[],
  audienceKind: number,
  epoch: number,
) => void;

/** What `attachWorker` returns. */
export interface NativeAttached {
  workerId: number;
  /** The control block, which both sides write. */
  control: ArrayBuffer;
}

/** What goes with a 101. */
export interface NativeAccept {
  protocol?: string;
  headers?: [string, string][];
  token?: Uint8Array;
  channels?: (string | Uint8Array)[];
}

/** What goes with any other answer. */
export interface NativeReject {
  status: number;
  headers?: [string, string][];
  body?: string | Uint8Array;
}

/** The value of an open event: the request, whose certificate has no fingerprint yet. */
export type NativeOpen = Omit<OpenRequest, 'clientCertificate'> & {
  clientCertificate?: Omit<ClientCertificate, 'fingerprint256'>;
};
