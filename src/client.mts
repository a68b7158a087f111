/**
 * The client's end of `wsbroker/channels`: for browsers, Node 22 and later, and Bun. It needs no
 * other package, and can be loaded by a page as it is.
 *
 * @packageDocumentation
 */

import { keepCalls } from './client/calls.mjs';
import { backoffOf, check, checkOptions, MOST, NAME, urlOf, wrong } from './client/checks.mjs';
import { openConnection, randomId } from './client/connection.mjs';
import { ClientError } from './client/error.mjs';
import { type ControlHandlers, parse } from './client/frames.mjs';
import { keepListeners } from './client/listeners.mjs';
import { keepSubscriptions } from './client/subscriptions.mjs';
import type { Client, ClientOptions, ClientUrl, PublishData } from './client/types.mjs';

export { ClientError, type ClientErrorReason } from './client/error.mjs';
export type * from './client/types.mjs';
export type { Position, Since } from './types/history.cjs';

/** What a page has, and a worker or a server's runtime may not have. */
interface Page {
  addEventListener?(name: string, listener: () => void, options: { signal: AbortSignal }): void;
  readonly document?: { readonly hidden: boolean };
}

/**
 * Connects to a server whose worker is made by `serveChannels` of `wsbroker/channels`, and stays
 * connected: it reconnects by itself, continues each channel where it was, and says so when it
 * cannot. It connects at once, and keeps the process alive until {@link Client.close}.
 *
 * ```js
 * const client = connect('wss://example.org/socket', { token: async () => readToken() });
 * client.subscribe('chat:lobby', {
 *   getState: async ({ signal }) => show(await (await fetch('/lobby', { signal })).json()),
 *   onMessage: ({ data }) => add(data),
 * });
 * await client.publish('chat:lobby', 'hello');
 * ```
 *
 * @param url Where the server is: `ws:`, `wss:`, `http:` or `https:`, in a page also relative to it
 * @throws {TypeError} an argument is not what it should be
 * @throws {RangeError} a number is out of its bounds
 */
export function connect(url: ClientUrl, options?: ClientOptions): Client {
  const { token, backoff: waits } = checkOptions(options, { token: 'function', backoff: 'object' });
  const backoff = backoffOf(waits);
  const listeners = keepListeners();
  const { tell } = listeners;

  const connection = openConnection(
    urlOf(url),
    token,
    backoff,
    tell,
    () => {
      subscriptions.welcomed();
      calls.flush();
    },
    (data) => {
      const message = parse(data);
      if (!message) tell('error', new Error('not of wsbroker.v1: use sendMessage'));
      // What it says makes no sense to the client: that is told, too.
      else listeners.call(('type' in message ? control[message.type] : subscriptions.frame) as (message: object) => void, message);
    },
    (refused) => {
      subscriptions.down();
      calls.down(refused);
    },
  );
  const subscriptions = keepSubscriptions(connection, listeners, backoff);
  const calls = keepCalls(connection);
  const { answered } = calls;
  const control: ControlHandlers = {
    __proto__: null as never,
    ...subscriptions.control,
    published: answered,
    response: answered,
    failed: answered,
    message: ({ data }) => tell('message', data),
  };
  let requests = 0;

  const assertOpen = (): void => {
    if (connection.state === 'closed') throw new ClientError('closed', 'client closed');
  };

  const page = globalThis as Page;
  const ended = new AbortController();
  for (const name of ['online', 'visibilitychange']) {
    page.addEventListener?.(name, () => (name === 'online' || !page.document?.hidden) && connection.wake(), ended);
  }

  return {
    get state() {
      return connection.state;
    },

    subscribe(channel, given) {
      check('channel', channel, NAME);
      const { since, onMessage } = checkOptions(given, {
        onMessage: 'function',
        onLost: 'function',
        getState: 'function',
        onEnd: 'function',
        since: null,
      });
      check('onMessage', onMessage, 'function');
      if (since && since !== 'now' && since !== 'latest') check('since', since, 'object');
      assertOpen();
      return subscriptions.add(channel, given);
    },

    unsubscribe: subscriptions.remove,

    async publish(channel, data, given) {
      check('channel', channel, NAME);
      const { id = randomId(), timeout } = checkOptions(given, { id: /^[!-~]{1,64}$/, timeout: [1, MOST] });
      assertOpen();
      const payload = typeof data === 'string' ? { data } : { base64: base64(data) };
      return calls.make(id, JSON.stringify({ type: 'publish', id, channel, ...payload }), timeout);
    },

    async request(data, given) {
      const { timeout = 30_000 } = checkOptions(given, { timeout: [1, MOST] });
      assertOpen();
      return calls.make(++requests, JSON.stringify({ type: 'request', id: requests, data: data ?? null }), timeout);
    },

    on(name, listener) {
      check('listener', listener, 'function');
      return listeners.on(name, listener);
    },

    close() {
      if (connection.state === 'closed') return;
      ended.abort();
      subscriptions.close();
      connection.close();
      calls.close();
    },
  };
}

function base64(data: PublishData): string {
  if (!ArrayBuffer.isView(data) && !(data instanceof ArrayBuffer)) throw wrong('data', 'string or bytes', data);
  const { buffer = data, byteOffset } = data as Uint8Array;
  let text = '';
  for (const byte of new Uint8Array(buffer as ArrayBuffer, byteOffset, data.byteLength)) text += String.fromCharCode(byte);
  return btoa(text);
}
