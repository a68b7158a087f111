// Two people to try it with. Their passwords are made anew at each start and printed, so that no
// copy of this example ever runs with a password that is on the internet.

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const hash = promisify(scrypt);
const BYTES = 32;

/**
 * Makes accounts. `passwords` is for the one who starts the server; what is kept afterwards is only
 * their hashes.
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
     * An unknown name costs as much time as a wrong password, so the time does not tell which names
     * exist.
     */
    async check(name, password) {
      const account = accounts.get(name) ?? nobody;
      const given = await hash(password, account.salt, BYTES);
      return timingSafeEqual(given, account.hash) && account !== nobody;
    },
  };
}
