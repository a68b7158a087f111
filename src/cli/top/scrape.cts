import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import { performance } from 'node:perf_hooks';
import { type Exposition, parseExposition } from './exposition.cjs';

/** Longer than a server takes that is not hung. */
const TIMEOUT = 5000;
/** More than thousands of workers have. */
const MAX_BYTES = 32 << 20;

/** One reading of the numbers. */
export interface Scrape {
  readonly series: Exposition;
  /** When the response came, in milliseconds of a clock that does not go back. */
  readonly at: number;
}

/**
 * Reads the numbers once.
 *
 * @throws {Error} there is no answer, or it is another one
 */
export async function scrape(url: URL): Promise<Scrape> {
  const { status, body } = await read(url);
  if (status !== 200) {
    throw new Error(
      `${url.href} answered ${status}; the server needs answers: { '${url.pathname}': 'metrics' }`,
    );
  }
  const series = parseExposition(body);
  if (!series.has('wsbroker_connections')) {
    throw new Error(`${url.href} answered something else than the metrics of wsbroker`);
  }
  return { series, at: performance.now() };
}

function read(url: URL): Promise<{ status: number; body: string }> {
  const get = url.protocol === 'https:' ? getHttps : getHttp;
  return new Promise((resolve, reject) => {
    const headers = { accept: 'text/plain; version=0.0.4' };
    const request = get(url, { headers, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      let length = 0;
      response.on('data', (piece: Buffer) => {
        pieces.push(piece);
        length += piece.length;
        if (length > MAX_BYTES) request.destroy(new Error(`${url.href} sends too much`));
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString() }),
      );
    });
    const deadline = setTimeout(
      () => request.destroy(new Error(`${url.href} did not answer within ${TIMEOUT} ms`)),
      TIMEOUT,
    );
    request.on('error', (error) => reject(new Error(explained(error, url), { cause: error })));
    request.on('close', () => clearTimeout(deadline));
  });
}

function explained(error: NodeJS.ErrnoException, url: URL): string {
  if (error.code === 'ECONNREFUSED') return `nothing listens on ${url.host}`;
  return error.message === '' ? String(error.code) : error.message;
}
