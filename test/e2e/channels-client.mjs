// A client that speaks `wsbroker.v1` by hand, so that tests see each message as it comes.
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { launch, packageFile } from './harness.mjs';

/** The file that `require('wsbroker/channels')` loads. */
export const channelsFile = path.join(path.dirname(packageFile), 'channels.cjs');
export const channelsUrl = pathToFileURL(channelsFile.replace(/\.cjs$/, '.mjs')).href;
export const PROTOCOL = 'wsbroker.v1';

/** A secret that is as good as any. */
export const secret = (n = 0) => n.toString(16).padStart(32, '0');

/** `options` is the source of the options of `serveChannels`; it sees `wsb`, `kit` and `channels`. */
export const serving = (options) => `(wsb, kit) => { const channels = require(${JSON.stringify(channelsFile)}); return channels.serveChannels(${options}); }`;

/** Allows everything, tells what it was asked, and answers requests with what they were. */
const STANDARD = `{
  authorize(id, channel, request) { kit.tell('authorize', { id, channel, ...request }); return true; },
  handleRequest: (id, data) => data,
  handleOpen(id, ip, headers) { kit.tell('open', { id, tag: headers['x-tag'] }); },
  handleTextMessage(text, id) { wsb.send(id, 'plain: ' + text); },
  handleClose(id, token, code, reason) { kit.tell('close', { id, code, reason }); },
  onError(error, context) { kit.tell('error', { error: kit.describe(error), ...context }); },
}`;

export const HISTORY = [{ channels: ['chat:*', 'é*'], size: 50 }, { channels: 'bare:*', framed: false }];

/** A server with the standard handlers and those that `more` has in their place. */
export async function serve(t, { more = '', options = {}, ...rest } = {}) {
  const worker = serving(more === '' ? STANDARD : `{ ...${STANDARD}, ${more} }`);
  const server = await launch(t, { worker, options: { history: HISTORY, ...options }, ...rest });
  server.standard = true; // it tells its opens
  return server;
}

export const publish = (server, channel, data, more) => server.main((wsb, kit, ...given) => wsb.publish(...given), channel, data, more ?? {});
export const position = (server, channel) => server.main((wsb, kit, name) => wsb.position(name), channel);
/** Calls a function of `wsbroker/channels` on the main thread. */
export const call = (server, name, ...args) => server.main((wsb, kit, file, fn, given) => require(file)[fn](...given), channelsFile, name, args);

/** One connection; `say` sends a message, `hear` is the next: parsed, or a frame as it came. */
export class Speaker {
  constructor(client) {
    this.client = client;
    this.id = client.id;
  }

  say(...messages) {
    for (const message of messages) this.client.send(typeof message === 'string' ? message : JSON.stringify(message));
    return this;
  }

  async hear() {
    const message = await this.client.next();
    return typeof message === 'string' && message.startsWith('{') ? JSON.parse(message) : message;
  }

  async hearAll(count) {
    const all = [];
    while (all.length < count) all.push(await this.hear());
    return all;
  }

  /** Everything that was said before has been dealt with, unless it waits for something. */
  async settled() {
    this.say({ type: 'request', id: 'settled', data: 'settled' });
    const before = [];
    for (;;) {
      const one = await this.hear();
      if (one.type === 'response' && one.id === 'settled') return before;
      before.push(one);
    }
  }

  subscribe(channel, since) {
    return this.say({ type: 'subscribe', channels: [{ channel, since }] });
  }
}

/** A connection that has not said hello. */
export const connect = async (server, more = {}) => new Speaker(await server.connect('', { protocols: [PROTOCOL], ...more }));

/** A connection that was welcomed. */
export async function greet(server, { token, client = secret(), ...more } = {}) {
  const speaker = await connect(server, more);
  const welcome = await speaker.say({ type: 'hello', client, token }).hear();
  if (welcome.type !== 'welcome') throw new Error(`no welcome: ${JSON.stringify(welcome)}`);
  return speaker;
}
