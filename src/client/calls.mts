// Publishes and requests: what waits for its turn, and for its answer.

import type { Connection } from './connection.mjs';
import { ClientError, type ClientErrorReason } from './error.mjs';
import type { Control } from './frames.mjs';

/** On their way at a time: as many as the server takes from a connection. */
const SENT = 64;
const WAITING = 1_000;
/** Milliseconds. The server knows an id for 5 minutes: later, a message could come twice. */
const REPEATABLE = 240_000;

interface Call {
  /** The control message. */
  readonly text: string;
  readonly resolve: (value: never) => void;
  readonly reject: (error: ClientError) => void;
  readonly timer: ReturnType<typeof setTimeout> | 0 | undefined;
  /** On this connection. */
  sent: boolean;
  /** When it was sent for the first time, in milliseconds since 1970. */
  sentAt: number;
}

export interface Calls {
  /** @throws {ClientError} */
  make<T>(id: string | number, text: string, timeout?: number): Promise<T>;
  /** Sends what may be sent, soon. */
  flush(): void;
  answered(message: Control): void;
  /** `refused`: one of them may have been the reason for which the server closed the connection. */
  down(refused: boolean): void;
  close(): void;
}

export function keepCalls(connection: Connection): Calls {
  /**
   * By id, in the order in which they were made. Those with a string are publishes, which may be
   * sent again.
   */
  const all = new Map<string | number, Call>();

  const take = (id: string | number): Call | undefined => {
    const call = all.get(id);
    all.delete(id);
    clearTimeout(call?.timer as number);
    return call;
  };

  /** What was ever sent may have been done, unless the server says something else. */
  const fail = (id: string | number, message: string, unsent: ClientErrorReason = 'unknown', said?: ClientErrorReason): void => {
    const call = take(id);
    call?.reject(new ClientError(said ?? (call.sentAt ? 'unknown' : unsent), message));
  };

  const send = (): void => {
    let sent = 0;
    for (const [id, call] of all) {
      if (connection.state !== 'open' || sent >= SENT) return;
      if (!call.sent && call.sentAt && Date.now() - call.sentAt > REPEATABLE) {
        fail(id, 'too late to repeat');
        continue;
      }
      sent++;
      if (call.sent) continue;
      call.sent = true;
      call.sentAt ||= Date.now();
      connection.send(call.text);
    }
  };

  // Behind what was subscribed before.
  const flush = (): void => queueMicrotask(send);

  return {
    make(id, text, timeout) {
      if (all.has(id)) throw new ClientError('error', `${id} is in use`);
      if (all.size >= WAITING) throw new ClientError('limit', 'too many calls');
      return new Promise((resolve, reject) => {
        const timer = timeout && setTimeout(() => fail(id, `no answer in ${timeout} ms`, 'timeout'), timeout);
        all.set(id, { text, resolve, reject, timer, sent: false, sentAt: 0 });
        flush();
      });
    },

    flush,

    answered({ id, type, reason, message, data, position, duplicate }) {
      if (type === 'failed') fail(id, message ?? reason, reason, reason);
      else take(id)?.resolve((type === 'response' ? data : { position, duplicate }) as never);
      flush();
    },

    down(refused) {
      for (const [id, call] of all) {
        if (call.sent && (refused || typeof id === 'number')) fail(id, 'connection lost');
        call.sent = false;
      }
    },

    close() {
      for (const id of all.keys()) fail(id, 'client closed', 'closed');
    },
  };
}
