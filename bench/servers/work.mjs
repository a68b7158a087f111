/**
 * What the handlers of all peers are asked to be, from the environment:
 *
 * - `BENCH_HANDLER`: `sync` (default); `async`, an async function that replies before it first
 *   awaits; `await`, one that replies after it has awaited.
 * - `BENCH_WORK_MICROS`: processor time each handler call uses up, default 0.
 *
 * And the servers: `BENCH_CERT` and `BENCH_KEY`, PEM files, to speak TLS; `BENCH_DEFLATE`, to
 * compress what is long enough.
 */
export const kind = process.env.BENCH_HANDLER ?? 'sync';

/** The files of the certificate and its key; `undefined` = no TLS. */
export const tls = process.env.BENCH_CERT ? { cert: process.env.BENCH_CERT, key: process.env.BENCH_KEY } : undefined;

/** Whether permessage-deflate is to be agreed to. */
export const deflate = process.env.BENCH_DEFLATE === '1';

/** Kept and used again, so that no compiler finds the loop to be without effect. */
let state = 1;

/** Uses up `BENCH_WORK_MICROS` of processor time; `undefined` when that is 0. */
export const work = makeWork(Number(process.env.BENCH_WORK_MICROS ?? 0));

/**
 * Turns `handler(a, b)` into the kind of handler that was asked for.
 * @template A, B
 * @param {(a: A, b: B) => void} handler
 * @returns {(a: A, b: B) => void | Promise<void>}
 */
export function shape(handler) {
  if (work !== undefined) {
    return (a, b) => {
      work();
      handler(a, b);
    };
  }
  switch (kind) {
    case 'sync':
      return handler;
    case 'async':
      return async (a, b) => handler(a, b);
    case 'await':
      return async (a, b) => {
        await undefined;
        handler(a, b);
      };
    default:
      throw new Error(`BENCH_HANDLER must be sync, async or await, got ${kind}`);
  }
}

/**
 * A loop of fixed length, not a wait for the clock: a thread that was put aside in the middle must
 * still do all of its work. The length is found once, from the fastest of many trials, so that the
 * engine's compiler and other threads that calibrate at the same time matter little.
 */
function makeWork(micros) {
  if (micros === 0) {
    return undefined;
  }
  const trial = 100_000;
  let fastest = Infinity;
  for (let i = 0; i < 300; i += 1) {
    const begun = performance.now();
    spin(trial);
    fastest = Math.min(fastest, performance.now() - begun);
  }
  const rounds = Math.round((trial * micros) / (fastest * 1000));
  return () => spin(rounds);
}

function spin(rounds) {
  let x = state;
  for (let i = 0; i < rounds; i += 1) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
  }
  state = x;
}
