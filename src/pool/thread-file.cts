import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WSBrokerError } from '../errors.cjs';
import { LIB } from '../package-folders.cjs';

/**
 * The file that the threads of the pool run.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED: it is missing, because a bundle has only its
 * own files
 */
export function threadFile(): string {
  let entry: unknown;
  try {
    // Tools that trace files follow this.
    entry = require.resolve('./thread.cjs');
  } catch {
    entry = join(LIB, 'thread.cjs');
  }
  // Some bundlers put a number of their own there.
  if (typeof entry === 'string' && existsSync(entry)) return entry;
  throw new WSBrokerError(
    'ERR_WSBROKER_WORKER_FAILED',
    `start: the file that the threads of the pool run, thread.cjs, is missing: wsbroker is in a ` +
      'bundle. Leave it out (with esbuild: --external:wsbroker), or run the handlers on the ' +
      'calling thread (threads: 0)',
  );
}
