import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, extname, isAbsolute, join, parse, resolve } from 'node:path';
import { WSBrokerError } from '../errors.cjs';

// What to do about what went wrong: sentences for the ends of messages.

/** For whatever contradicts an earlier call. */
export const START_OVER =
  'to start over, for instance under "bun --hot", call "await shutdown()" first';

/** What other servers call an option of `start`. */
const BIND = `pass the address as "bind", such as bind: '127.0.0.1:8080'`;
const NO_SERVER = `wsbroker listens on an address of its own: pass that as "bind", such as bind: '127.0.0.1:8080'`;
export const OPTION_HINTS: Readonly<Record<string, string>> = {
  port: BIND,
  host: BIND,
  hostname: BIND,
  address: BIND,
  listen: BIND,
  url: BIND,
  server: NO_SERVER,
  httpServer: NO_SERVER,
  noServer: NO_SERVER,
  http: NO_SERVER,
  https: NO_SERVER,
};

/** A form of `bind` that would do, with the port if that is what came. */
export function bindForm(given: unknown): string {
  const port =
    typeof given === 'number' && Number.isInteger(given) && given >= 0 && given < 2 ** 16
      ? given
      : 8080;
  return `a string such as '127.0.0.1:${port}', or '0.0.0.0:${port}' for all addresses`;
}

/** What the addon says about an address, and what to do. */
export function addressFailed(error: unknown, bind: string, reusePort: boolean): unknown {
  if (!(error instanceof WSBrokerError)) return error;
  if (error.code === 'ERR_WSBROKER_CONFLICT') return also(error, START_OVER);
  if (error.syscallCode !== 'EADDRINUSE' || bind.startsWith('unix:')) return error;
  const others = reusePort
    ? 'every process that shares a port must set "reusePort", from its first "start" on'
    : 'to share the port among several processes (node:cluster, PM2), set "reusePort" in all of them';
  return also(error, `something else is listening there; ${others}`);
}

/** The same error with more to say. */
export function also(error: WSBrokerError, advice: string): WSBrokerError {
  error.message += `; ${advice}`;
  return error;
}

const EXTENSIONS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.jsx', '.tsx'];

/** @param path as it was given, without a file */
export function noWorkerFile(path: string): WSBrokerError {
  const file = resolve(path);
  const there = likely(file, path);
  const near =
    there.length === 0
      ? ''
      : `; did you mean ${there.map((one) => JSON.stringify(one)).join(' or ')}?`;
  const relative = isAbsolute(path)
    ? ''
    : `${near === '' ? ';' : ''} a relative path is relative to process.cwd(), which is ${process.cwd()}; new URL('./${basename(path)}', import.meta.url) is relative to the module that contains it`;
  return new WSBrokerError(
    'ERR_WSBROKER_WORKER_NOT_FOUND',
    `start: "workerPath" names no module: there is no file ${file}${near}${relative}`,
  );
}

/**
 * Files that may have been meant: of that name with another extension, in that folder, or beside
 * the program.
 */
function likely(file: string, path: string): string[] {
  const beside = sameStem(file).concat(isFolder(file) ? sameStem(join(file, 'index')) : []);
  const program = process.argv[1];
  if (beside.length > 0 || isAbsolute(path) || program === undefined) return beside;
  const elsewhere = resolve(dirname(program), path);
  return isFile(elsewhere) ? [elsewhere] : sameStem(elsewhere);
}

function sameStem(file: string): string[] {
  const { dir, name, base } = parse(file);
  const stems = new Set([base, EXTENSIONS.includes(extname(base)) ? name : base]);
  try {
    return readdirSync(dir)
      .filter((one) => EXTENSIONS.includes(extname(one)) && stems.has(parse(one).name))
      .map((one) => join(dir, one));
  } catch {
    return [];
  }
}

function isFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}

function isFolder(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
}
