// The server's end of the encrypted lines (public/secure.mjs), one for each client.
//
// A line belongs to the client's entry in the helper, not to its id: the keys go when the entry
// goes, and nothing has to be cleaned up.

import { NotAuthentic, makeKeys, makeSalt, openLine } from './public/secure.mjs';

/** Messages of one client that may wait to be decrypted. */
const MOST_WAITING = 64;

export class Lines {
  #lines = new WeakMap();

  /**
   * For `handshakeFn`: makes the line, and returns what the page needs for its own end; null if the
   * page's key is not valid.
   */
  async shakeHands(client, pagePublicKey) {
    const keys = await makeKeys();
    const salt = makeSalt();
    try {
      const line = await openLine('server', { clientId: client.id, keys, peerPublicKey: pagePublicKey, salt });
      this.#lines.set(client, { line, waiting: 0, last: Promise.resolve() });
    } catch {
      return null;
    }
    return { serverPublicKey: keys.publicKey, salt };
  }

  /**
   * For `outboundTransformer`, which is called for one message of a client after the other. Without
   * a line it throws: then the message is dropped, not sent unencrypted.
   */
  async seal(client, message) {
    return { event: 'encrypted', data: await this.#lines.get(client).line.seal(message) };
  }

  /**
   * Decrypts a message. Those of a client come out in the order of the calls, which the threads
   * that decrypt would not keep.
   *
   * @throws {NotAuthentic} from here on nothing of this client can be trusted
   */
  open(client, sealed) {
    const entry = this.#lines.get(client);
    if (entry.waiting >= MOST_WAITING) throw new NotAuthentic('too many at once');
    entry.waiting += 1;
    // If one fails, all after it fail too.
    entry.last = entry.last.then(async () => {
      const { value, missed } = await entry.line.open(sealed);
      entry.waiting -= 1;
      // TCP loses nothing. An attacker between us does.
      if (missed > 0) throw new NotAuthentic('messages are missing');
      return value;
    });
    return entry.last;
  }
}
