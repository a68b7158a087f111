// What tests of the helper need apart from a world.
import { createRequire } from 'node:module';

export const lib = createRequire(import.meta.url)('wsbroker/server-helper');

/** Turns of the event loop: whatever is ready to run has run. */
export async function turns(count = 4) {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}

/** A promise with its ends in hand. */
export function deferred() {
  const ends = {};
  ends.promise = new Promise((resolve, reject) => Object.assign(ends, { resolve, reject }));
  return ends;
}

/** Records its calls, and does what it is told. */
export function spy(does = () => undefined) {
  const fn = (...args) => {
    fn.calls.push(args);
    return does(...args);
  };
  fn.calls = [];
  return fn;
}

/** Accepts everybody; `data.user` says who it is. */
export const anybody = ({ user, metadata }) => ({ ...(user !== undefined && { userId: user }), ...(metadata !== undefined && { metadata }) });
