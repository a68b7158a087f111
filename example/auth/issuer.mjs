// Makes the tokens. In your system the identity provider does this, not your code: it keeps the
// private key, and publishes the public one at an address. To verify tokens, that address is
// enough.

import { randomUUID, webcrypto } from 'node:crypto';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';

// jose uses Web Crypto, which Node 18 has but does not make global. From Node 20 on this line
// does nothing.
globalThis.crypto ??= webcrypto;

/**
 * Who the tokens are for. A token that the same issuer made for another service is not valid here.
 */
export const AUDIENCE = 'wsbroker-example';
export const ALGORITHM = 'ES256';

/**
 * A new key pair, so that tokens of an earlier start are worthless.
 *
 * @param {number} lifetime of a token, in seconds
 */
export async function makeIssuer(lifetime) {
  const { publicKey, privateKey } = await generateKeyPair(ALGORITHM);
  const kid = randomUUID();
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: ALGORITHM, use: 'sig' }] };

  return {
    jwks,
    /**
     * @returns {Promise<{ token: string, expires: number }>} `expires` in seconds since 1970, as in
     * the token
     */
    async issue(user, issuer) {
      const now = Math.floor(Date.now() / 1000);
      const expires = now + lifetime;
      const token = await new SignJWT()
        .setProtectedHeader({ alg: ALGORITHM, kid })
        .setSubject(user)
        .setIssuer(issuer)
        .setAudience(AUDIENCE)
        .setIssuedAt(now)
        .setExpirationTime(expires)
        .sign(privateKey);
      return { token, expires };
    },
  };
}
