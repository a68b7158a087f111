import { setCopyLifecycle } from '../native/copies.cjs';
import { currentRegistration } from '../worker/register.cjs';

// What servers begin and end with is loaded by the first call that needs it. A worker thread rarely
// makes one, and would keep all of it in memory.

/** The functions of `serving.cts`. */
export function serving(): typeof import('./serving.cjs') {
  return require('./serving.cjs') as typeof import('./serving.cjs');
}

// Until then this thread has no server, but it may be a worker. `lifecycle.cts` replaces this.
setCopyLifecycle({
  isActive: () => currentRegistration() !== undefined,
  shutdown: (code, timeout) => serving().shutdownHere(code, timeout),
});
