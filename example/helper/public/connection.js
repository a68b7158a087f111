// One encrypted connection that reconnects by itself. It knows nothing about rooms: it reports its
// state and passes on what arrives.

import { NotAuthentic, makeKeys, openLine } from './secure.mjs';

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
/** Time limit from the first byte until the connection is encrypted. */
const PATIENCE = 10_000;

/**
 * Events:
 *
 *   state     { state: 'connecting' | 'open' | 'waiting', retryAt? }; open is encrypted
 *   message   { event, data } as they were before they were encrypted
 *   missed    how many messages the server dropped because we were too slow
 *   frame     { out, text }: what crossed, as anyone on the way sees it
 *   refused   the server does not know us (any more)
 */
export class Connection extends EventTarget {
  #prepare;
  #socket;
  #line;
  #state;
  #failures = 0;
  #retry;
  #patience;
  #heartbeat;
  #sending = Promise.resolve();

  /**
   * @param {() => Promise<{ url: string, ticket: string, heartbeat: number }>} prepare called
   * before each attempt: the server may have moved, and a ticket is valid for one attempt
   */
  constructor(prepare) {
    super();
    this.#prepare = prepare;
    addEventListener('online', () => this.retry());
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.retry();
    });
  }

  async connect() {
    clearTimeout(this.#retry);
    this.#tell('connecting');
    let prepared;
    let keys;
    try {
      prepared = await this.#prepare();
      keys = await makeKeys();
    } catch {
      return this.#wait();
    }
    const socket = new WebSocket(prepared.url);
    this.#socket = socket;
    this.#patience = setTimeout(() => this.#giveUp(socket), PATIENCE);
    // An abandoned socket may still have events; only the current one counts.
    const isCurrent = () => socket === this.#socket;
    socket.addEventListener('open', () => {
      if (isCurrent()) this.#write({ event: 'authenticate', data: { ticket: prepared.ticket, publicKey: keys.publicKey } });
    });
    let reading = Promise.resolve();
    socket.addEventListener('message', ({ data }) => {
      if (!isCurrent()) return;
      this.#emit('frame', { out: false, text: data });
      // In order: each waits for the one before it, and the first for the keys.
      reading = reading
        .then(() => isCurrent() && this.#read(JSON.parse(data), keys, prepared.heartbeat))
        .catch((error) => {
          console.error(`closing the connection: ${error.message}`);
          this.#giveUp(socket);
        });
    });
    socket.addEventListener('close', ({ code }) => {
      if (!isCurrent()) return;
      if (code === 4003) this.#stop('refused');
      else this.#wait();
    });
    return undefined;
  }

  /** Sends encrypted. False without an encrypted connection. */
  send(event, data) {
    if (this.#state !== 'open') return false;
    const [socket, line] = [this.#socket, this.#line];
    // The numbers must go out in the order in which they were given.
    this.#sending = this.#sending.then(async () => {
      const sealed = await line.seal({ event, data });
      if (socket === this.#socket) this.#write({ event: 'encrypted', data: sealed });
    });
    return true;
  }

  /**
   * Sends unencrypted, for the events that the helper itself understands. Keeps the order with
   * encrypted messages.
   */
  sendClear(event, data) {
    if (this.#state !== 'open') return;
    const socket = this.#socket;
    this.#sending = this.#sending.then(() => socket === this.#socket && this.#write({ event, data }));
  }

  /** Tries now instead of at the end of the wait. */
  retry() {
    if (this.#state === 'waiting') this.connect();
  }

  /** Closes, and does not reconnect. */
  close() {
    this.#socket?.close(1000);
    this.#stop();
  }

  async #read(message, keys, heartbeat) {
    if (this.#line === undefined) {
      // Nothing is secret yet. An error arrives before the server closes.
      if (message.event !== 'connected') return;
      const { id, serverPublicKey, salt } = message.data;
      const socket = this.#socket;
      const line = await openLine('page', { clientId: id, keys, peerPublicKey: serverPublicKey, salt });
      if (socket !== this.#socket) return;
      this.#line = line;
      this.#sending = Promise.resolve();
      this.#failures = 0;
      clearTimeout(this.#patience);
      this.#heartbeat = setInterval(() => this.sendClear('heartbeat'), heartbeat);
      this.#tell('open');
      return;
    }
    // From now on everything is encrypted, and anything else is not from the server.
    if (message.event !== 'encrypted') throw new NotAuthentic('a message in clear');
    const { value, missed } = await this.#line.open(message.data);
    if (missed > 0) this.#emit('missed', missed);
    this.#emit('message', value);
  }

  #write(message) {
    const text = JSON.stringify(message);
    this.#socket.send(text);
    this.#emit('frame', { out: true, text });
  }

  #giveUp(socket) {
    if (socket !== this.#socket) return;
    socket.close();
    this.#wait();
  }

  #end() {
    clearTimeout(this.#patience);
    clearTimeout(this.#retry);
    clearInterval(this.#heartbeat);
    this.#socket = undefined;
    // The keys end with the connection.
    this.#line = undefined;
  }

  #stop(event) {
    this.#end();
    this.#state = undefined;
    if (event) this.#emit(event);
  }

  /**
   * Longer after each failure, and a random part of that, so that a thousand pages do not all
   * reconnect at the moment when the server is back.
   */
  #wait() {
    this.#end();
    const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures);
    const delay = longest * (0.5 + Math.random() / 2);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.connect(), delay);
    this.#tell('waiting', Date.now() + delay);
  }

  #tell(state, retryAt) {
    this.#state = state;
    this.#emit('state', { state, retryAt });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
