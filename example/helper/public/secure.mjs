// The encrypted line between a page and the server. Both ends run this file, so that it is
// described in one place.
//
//   page    an ephemeral ECDH key pair (P-256), its public half in `authenticate`
//   server  another one, its public half in `connected`, and a random salt of 32 bytes
//   both    two keys of AES-256-GCM, one for each direction, by HKDF-SHA-256 from the shared secret
//
// A message is { n, c }: its number in its direction, and the ciphertext with its tag, in
// base64url. The number is the nonce. It only goes up, and the key belongs to this connection and
// direction alone, so no nonce is used twice under a key.

// Browsers offer this on secure pages only: https, or an address of this machine. Node 18 has it
// under another name.
const crypto = globalThis.crypto ?? (await import('node:crypto')).webcrypto;

export const isPossible = () => crypto?.subtle !== undefined;

const CURVE = { name: 'ECDH', namedCurve: 'P-256' };
const VERSION = 'wsbroker example/helper 1';
/** Far below what AES-GCM allows for one key. A connection that gets there starts again. */
const LAST_NUMBER = 2 ** 32;

const text = new TextEncoder();

/**
 * What was received is not what was sent: it was changed, repeated, reordered, or meant for another
 * connection.
 */
export class NotAuthentic extends Error {
  name = 'NotAuthentic';
}

/**
 * A key pair for one connection. The private key cannot leave this runtime, and ends with the
 * connection.
 */
export async function makeKeys() {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(CURVE, false, ['deriveBits']);
  return { privateKey, publicKey: toBase64(await crypto.subtle.exportKey('raw', publicKey)) };
}

export const makeSalt = () => toBase64(crypto.getRandomValues(new Uint8Array(32)));

/**
 * The line of one connection.
 *
 * @param {'page' | 'server'} side which end this is
 * @param {{ clientId: string, keys: { privateKey: CryptoKey, publicKey: string }, peerPublicKey:
 * string, salt: string }} agreed
 * @throws if the other's public key is not a point on the curve, or not a key at all
 */
export async function openLine(side, { clientId, keys, peerPublicKey, salt }) {
  const peer = await crypto.subtle.importKey('raw', fromBase64(peerPublicKey), CURVE, false, []);
  const shared = await crypto.subtle.deriveBits({ name: 'ECDH', public: peer }, keys.privateKey, 256);
  const secret = await crypto.subtle.importKey('raw', shared, 'HKDF', false, ['deriveKey']);
  const [page, server] = side === 'page' ? [keys.publicKey, peerPublicKey] : [peerPublicKey, keys.publicKey];
  const keyFor = (direction, use) =>
    crypto.subtle.deriveKey(
      // The keys depend on whose line it is: with another id, or another public key on one end,
      // they do not match.
      { name: 'HKDF', hash: 'SHA-256', salt: fromBase64(salt), info: text.encode([VERSION, direction, clientId, page, server].join('\n')) },
      secret, { name: 'AES-GCM', length: 256 }, false, [use],
    );
  const [out, back] = side === 'page' ? ['to server', 'to page'] : ['to page', 'to server'];
  return new Line({ clientId, out, back, sealKey: await keyFor(out, 'encrypt'), openKey: await keyFor(back, 'decrypt') });
}

class Line {
  #parts;
  #sent = 0;
  #received = 0;

  constructor(parts) {
    this.#parts = parts;
  }

  /** @param {unknown} value anything that JSON can represent */
  async seal(value) {
    if (this.#sent >= LAST_NUMBER) throw new Error('this connection has sent as much as its keys allow: connect again');
    const n = (this.#sent += 1);
    const { clientId, out, sealKey } = this.#parts;
    return { n, c: toBase64(await crypto.subtle.encrypt(algorithm(n, out, clientId), sealKey, text.encode(JSON.stringify(value)))) };
  }

  /**
   * Call it for one message at a time, in the order of arrival.
   *
   * @returns {Promise<{ value: unknown, missed: number }>} `missed`: how many were sent
   * between the last one and this one but did not arrive
   * @throws {NotAuthentic}
   */
  async open(sealed) {
    const { n, c } = sealed ?? {};
    if (!Number.isSafeInteger(n) || n <= this.#received || n > LAST_NUMBER) throw new NotAuthentic('a number that is not its turn');
    const { clientId, back, openKey } = this.#parts;
    let plain;
    try {
      plain = await crypto.subtle.decrypt(algorithm(n, back, clientId), openKey, fromBase64(c));
    } catch {
      throw new NotAuthentic('not what was sent');
    }
    const missed = n - this.#received - 1;
    this.#received = n;
    return { value: JSON.parse(new TextDecoder().decode(plain)), missed };
  }
}

/**
 * The number as a nonce of 96 bits, most significant byte first. Direction and id are authenticated
 * again, although the key already depends on them.
 */
function algorithm(n, direction, clientId) {
  const iv = new Uint8Array(12);
  new DataView(iv.buffer).setBigUint64(4, BigInt(n));
  return { name: 'AES-GCM', iv, additionalData: text.encode(`${direction}\n${clientId}`), tagLength: 128 };
}

function toBase64(bytes) {
  let binary = '';
  for (const byte of new Uint8Array(bytes)) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/u, '');
}

/** @throws if it is not text in base64url */
function fromBase64(given) {
  if (typeof given !== 'string' || !/^[\w-]*$/u.test(given)) throw new TypeError('expected base64url');
  const binary = atob(given.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}
