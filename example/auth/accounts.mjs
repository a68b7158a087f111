// Two users to try it with. Each start makes new passwords and prints them, so that no copy of this
// example ever runs with a password that is on the internet.

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const hash = promisify(scrypt);
const BYTES = 32;

/**
 * Makes accounts. `passwords` is for the person who starts the server; only their hashes are kept.
 */
export async function makeAccounts(names) {
  const accounts = new Map();
  const passwords = new Map();
  for (const name of names) {
    const password = randomBytes(9).toString('base64url');
    const salt = randomBytes(16);
    accounts.set(name, { salt, hash: await hash(password, salt, BYTES) });
    passwords.set(name, password);
  }
  const nobody = { salt: randomBytes(16), hash: randomBytes(BYTES) };

  return {
    passwords,
    /**
     * An unknown name costs as much time as a wrong password, so the time does not reveal
     * which names exist.
     */
    async check(name, password) {
      const account = accounts.get(name) ?? nobody;
      const given = await hash(password, account.salt, BYTES);
      return timingSafeEqual(given, account.hash) && account !== nobody;
    },
  };
}
