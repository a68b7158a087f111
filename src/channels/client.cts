import { createHash } from 'node:crypto';
import { native } from '../native/load.cjs';
import { Gate } from './gate.cjs';
import type { ServerMessage } from './messages.cjs';

/** Calls of `authorize` at a time. */
const MAX_ASKING = 8;
/** Bytes of a sender's name that stand in ids as they are: ids have 128 at most. */
const MAX_SENDER = 56;

/** A subscription that is being decided. */
export interface Subscribing {
  /** The client has unsubscribed meanwhile. */
  cancelled: boolean;
}

/** A connection that has said hello. */
export class ChannelsClient {
  readonly id: number;
  /** Made by the client at random, and known to nobody else. */
  readonly client: string;
  token: string | undefined;
  /** It has closed, or is being closed. */
  ended = false;
  /** Publishes and requests that are not answered yet. */
  inHand = 0;
  readonly gate = new Gate(MAX_ASKING);
  readonly subscribing = new Map<string, Subscribing>();
  /** How many of them have not come to an end, the cancelled included: those wait as well. */
  deciding = 0;
  /** The last publish on its way, by channel: they keep their order. */
  readonly publishing = new Map<string, Promise<void>>();

  constructor(id: number, client: string, token: string | undefined) {
    this.id = id;
    this.client = client;
    this.token = token;
  }

  send(message: ServerMessage): void {
    if (!this.ended) native.send(this.id, JSON.stringify(message));
  }

  close(code: number, reason: string): void {
    this.ended = true;
    native.close(this.id, code, reason);
  }

  /**
   * The id of a publish, so that no sender can suppress the message of another. A client's id has
   * no space, so the last one ends the sender.
   */
  publishId(sender: string | undefined, id: string): string {
    if (sender === undefined) return `client ${this.client} ${id}`;
    if (Buffer.byteLength(sender) <= MAX_SENDER) return `sender ${sender} ${id}`;
    return `hash ${createHash('sha256').update(sender).digest('base64url')} ${id}`;
  }
}
