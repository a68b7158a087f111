/**
 * The client's end of `wsbroker/channels`: for browsers, Node 22 and later, and Bun. It needs no
 * other package, and can be loaded by a page as it is.
 *
 * @packageDocumentation
 */
import type { Client, ClientOptions, ClientUrl } from './client/types.mjs';
export { ClientError, type ClientErrorReason } from './client/error.mjs';
export type * from './client/types.mjs';
export type { Position, Since } from './types/history.cjs';
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
export declare function connect(url: ClientUrl, options?: ClientOptions): Client;
