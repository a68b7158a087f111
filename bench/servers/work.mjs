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

/**
 * The loop, in WebAssembly: an engine compiles it once, and all callers run the same code. A loop
 * in JavaScript is compiled again as a part of the function that calls it, and there took up to 1.5
 * times as long as when its length was found.
 *
 *     (func (export "spin") (param $x i32) (param $rounds i32) (result i32)
 *       (loop $again
 *         x ^= x << 13, x ^= x >>> 17, x ^= x << 5
 *         (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
 *       (local.get $x))
 */
const SPIN = [
  [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // WebAssembly, version 1
  [0x01, 0x07, 0x01, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f], // (i32, i32) -> i32
  [0x03, 0x02, 0x01, 0x00], // one function, of that type
  [0x07, 0x08, 0x01, 0x04, 0x73, 0x70, 0x69, 0x6e, 0x00, 0x00], // exported as spin
  [0x0a, 0x2c, 0x01, 0x2a, 0x00, 0x03, 0x40], // its code: loop
  [0x20, 0x00, 0x20, 0x00, 0x41, 0x0d, 0x74, 0x73, 0x22, 0x00], // x ^= x << 13
  [0x20, 0x00, 0x41, 0x11, 0x76, 0x73, 0x22, 0x00], // x ^= x >>> 17
  [0x20, 0x00, 0x41, 0x05, 0x74, 0x73, 0x21, 0x00], // x ^= x << 5
  [0x20, 0x01, 0x41, 0x01, 0x6b, 0x22, 0x01, 0x0d, 0x00, 0x0b], // again, unless that was the last
  [0x20, 0x00, 0x0b], // x
];

/**
 * `rounds` rounds of the loop, from `x`.
 * @type {(x: number, rounds: number) => number}
 */
export const loop = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(SPIN.flat()))).exports.spin;

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
    state = loop(state, trial);
    fastest = Math.min(fastest, performance.now() - begun);
  }
  const rounds = Math.round((trial * micros) / (fastest * 1000));
  return () => {
    state = loop(state, rounds);
  };
}
