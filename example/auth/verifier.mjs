// Checks tokens, in the worker threads and in the login server. It has only the public key: an
// attacker who breaks into a worker cannot make tokens with it.

import { createRemoteJWKSet, jwtVerify } from 'jose';
import { ALGORITHM, AUDIENCE } from './issuer.mjs';

/** Why a token was refused, in words that its sender may see. */
export class BadToken extends Error {}

/**
 * The errors of jose that a bad token causes. All others, such as keys that cannot be fetched, are
 * not the token's fault.
 */
const BAD = /^ERR_(JWT_|JWS_|JWKS_NO_MATCHING_KEY|JOSE_ALG_NOT_ALLOWED|JOSE_NOT_SUPPORTED)/u;

/**
 * @param {string} issuer where the tokens come from; the keys are fetched there when first needed,
 * and then kept
 */
export function makeVerifier(issuer) {
  const keys = createRemoteJWKSet(new URL('/jwks.json', issuer));

  /** @returns {Promise<{ user: string, expires: number }>} `expires` in seconds since 1970 */
  return async function verify(token) {
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience: AUDIENCE,
        // The token itself says how it was signed. Trusting that is a classic vulnerability, so we
        // say what we accept.
        algorithms: [ALGORITHM],
        requiredClaims: ['sub', 'exp'],
      });
      return { user: payload.sub, expires: payload.exp };
    } catch (error) {
      if (!BAD.test(error.code)) throw error;
      throw new BadToken(error.code === 'ERR_JWT_EXPIRED' ? 'token expired' : 'token not valid', { cause: error });
    }
  };
}
