// One WebSocket that reconnects by itself. It knows nothing about chats: it reports its state and
// passes on what arrives.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;

/**
 * Events: `state` with { state: 'connecting' | 'open' | 'waiting', retryAt? } and `message` with
 * the parsed JSON.
 */
export class Connection extends EventTarget {
  #findUrl;
  #socket;
  #failures = 0;
  #timer;
  #state;

  /**
   * @param {() => Promise<string>} findUrl called before each attempt, so the server may move
   */
  constructor(findUrl) {
    super();
    this.#findUrl = findUrl;
    // The browser knows better than a timer when trying makes sense again.
    addEventListener('online', () => this.retry());
    addEventListener('offline', () => this.restart());
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.retry();
    });
  }

  get isOpen() {
    return this.#state === 'open';
  }

  async connect() {
    clearTimeout(this.#timer);
    this.#tell('connecting');
    let url;
    try {
      url = await this.#findUrl();
    } catch {
      this.#wait();
      return;
    }
    const socket = new WebSocket(url);
    this.#socket = socket;
    // An abandoned socket may still have events; only the current one counts.
    const current = (listener) => (event) => socket === this.#socket && listener(event);
    socket.addEventListener('open', current(() => {
      this.#failures = 0;
      this.#tell('open');
    }));
    socket.addEventListener('message', current(({ data }) => {
      this.dispatchEvent(new CustomEvent('message', { detail: JSON.parse(data) }));
    }));
    socket.addEventListener('close', current(() => this.#wait()));
  }

  /**
   * True if the message was handed to an open socket. Only an answer of the server shows that it
   * arrived.
   */
  send(message) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Tries now instead of at the end of the wait. */
  retry() {
    if (this.#state === 'waiting') this.connect();
  }

  /**
   * Gives up a socket that no longer answers. The browser may take minutes to notice what we
   * already know.
   */
  restart() {
    if (!this.isOpen) return;
    this.#socket.close();
    this.#wait();
  }

  /**
   * Waits longer after each failure, to spare a server that is down, and for a random part of that
   * time, so that a thousand pages do not all reconnect at the same moment.
   */
  #wait() {
    this.#socket = undefined;
    const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures);
    const delay = longest * (0.5 + Math.random() / 2);
    this.#failures += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.connect(), delay);
    this.#tell('waiting', Date.now() + delay);
  }

  #tell(state, retryAt) {
    this.#state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: { state, retryAt } }));
  }
}
