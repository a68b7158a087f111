// One WebSocket at a time: it says hello, notices when the other end is gone, and comes back.

import { type Backoff, check, NAME } from './checks.mjs';
import type { Listeners } from './listeners.mjs';
import type { ClientOptions, ClientState, ClientStateChange } from './types.mjs';

const PROTOCOL = 'wsbroker.v1';
/** Milliseconds. From the attempt to the welcome, the program's `token` included. */
const WELCOME = 20_000;
/** So long without a byte, and the server is asked for one. */
const SILENCE = 25_000;
const PONG = 10_000;
/** A connection that lasted this long was a good one. */
const GOOD = 10_000;
/** Seconds. */
const LONGEST_ASKED = 3600;
/** The server has closed the connection because of what it was sent. */
const REFUSED = [1007, 1008, 1009, 4400];

export interface Connection {
  readonly state: ClientState;
  /** Sends a control message. Only while the state is `open`. */
  send(text: string): void;
  /** The network is back, or the page is seen again: no reason to wait, and some to doubt. */
  wake(): void;
  close(): void;
}

/**
 * @param welcomed The server is ready: everything may be sent
 * @param received Whatever comes after the welcome
 * @param down Nothing can be sent now. `refused`: because of something that was sent
 */
export function openConnection(
  url: string,
  token: ClientOptions['token'],
  backoff: Backoff,
  tellListeners: Listeners['tell'],
  welcomed: () => void,
  received: (data: string | ArrayBuffer) => void,
  down: (refused: boolean) => void,
): Connection {
  /** Secret, and the same after a reconnect: ids of publishes belong to it. */
  const client = randomId();
  let state: ClientState = 'connecting';
  let socket: WebSocket | undefined;
  /** Grows with every attempt: what belongs to an older one no longer counts. */
  let attempts = 0;
  let failures = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** The server has said when to come back. */
  let asked: RegExpExecArray | null = null;
  let welcomedAt = 0;
  let heardAt = 0;
  let pingedAt = 0;

  const isOpen = (): boolean => state === 'open';
  const now = (): number => performance.now();
  const send = (text: string): void => socket?.send(text);

  const arm = (delay: number, then: () => void): void => {
    clearTimeout(timer);
    timer = setTimeout(then, delay);
  };

  const tell = (next: ClientState, more?: Omit<ClientStateChange, 'state'>): void => {
    state = next;
    tellListeners('state', { state, ...more });
  };

  const connect = async (): Promise<void> => {
    const attempt = ++attempts;
    arm(WELCOME, () => fail(1006, 'no welcome'));
    tell('connecting');
    try {
      const text = await token?.();
      if (token) check('token()', text, NAME);
      if (attempt !== attempts) return;
      const opened = (socket = new WebSocket(url, PROTOCOL));
      opened.binaryType = 'arraybuffer';
      opened.onopen = () => {
        if (opened.protocol === PROTOCOL) send(JSON.stringify({ type: 'hello', token: text, client }));
        else fail(1006, 'no ' + PROTOCOL);
      };
      opened.onmessage = ({ data }) => {
        heardAt = now();
        if (isOpen()) received(data);
        else if (data === '{"type":"welcome"}') {
          welcomedAt = heardAt;
          watch();
          tell('open');
          // A listener may have closed the client.
          if (isOpen()) welcomed();
        }
      };
      opened.onclose = ({ code, reason }) => fail(code, reason);
      // A close always follows. The WebSocket of `ws` throws where nobody listens.
      opened.onerror = () => {};
    } catch (error) {
      if (attempt !== attempts) return;
      tellListeners('error', error);
      fail(1006, String(error));
    }
  };

  /** One timer, however many messages come. */
  const watch = (): void => {
    const pinged = pingedAt > heardAt;
    const left = (pinged ? pingedAt + PONG : heardAt + SILENCE) - now();
    if (left > 0) arm(left, watch);
    else if (pinged) fail(1006, 'no pong');
    else ping();
  };

  const ping = (): void => {
    pingedAt = now();
    send('{"type":"ping"}');
    arm(PONG, watch);
  };

  /** Gives the socket up: nothing that it still tells counts. Its closing may take minutes. */
  const leave = (): void => {
    attempts++;
    clearTimeout(timer);
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    socket = undefined;
  };

  const fail = (code: number, reason: string): void => {
    const refused = REFUSED.includes(code);
    if (isOpen() && now() - welcomedAt >= GOOD) failures = 0;
    asked = /\bretry-after=(\d+)/.exec(reason);
    leave();
    state = 'waiting';
    down(refused);
    wait(asked ? Math.min(+asked[1]!, LONGEST_ASKED) * 1000 + backoff(0) : backoff(failures++), { code, reason });
  };

  const wait = (delay: number, how?: { code: number; reason: string }): void => {
    // A function of the program may have closed the client.
    if (state !== 'waiting') return;
    arm(delay, connect);
    tell('waiting', { retryAt: Date.now() + delay, ...how });
  };

  // The first attempt begins when the program has had the time to add its listeners.
  queueMicrotask(() => state === 'connecting' && connect());

  return {
    get state() {
      return state;
    },
    send,
    wake() {
      if (!asked) wait(backoff(0));
      if (isOpen() && pingedAt <= heardAt) ping();
    },
    close() {
      leave();
      tell('closed');
    },
  };
}

/** 32 hexadecimal digits that nobody can guess. */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
