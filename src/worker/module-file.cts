import { readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, extname, isAbsolute, join, parse, resolve } from 'node:path';
import { WSBrokerError } from '../errors.cjs';

// Where the worker module is.

const EXTENSIONS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.jsx', '.tsx'];

/**
 * The worker module's file. An extension is added as `require` would.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_NOT_FOUND, with the path that was tried
 */
export function findModuleFile(path: string): string {
  const file = resolve(path);
  if (isFile(file)) return file;
  try {
    return createRequire(join(process.cwd(), 'x.js')).resolve(file);
  } catch {
    throw notFound(path);
  }
}

function notFound(path: string): WSBrokerError {
  const file = resolve(path);
  const found = similarFiles(file, path).map((one) => JSON.stringify(one));
  const similar = found.length === 0 ? '' : `; did you mean ${found.join(' or ')}?`;
  const message = `start: "workerPath" must name a module, but there is no file ${file}${similar}`;
  return new WSBrokerError(
    'ERR_WSBROKER_WORKER_NOT_FOUND',
    isAbsolute(path) ? message : `${message}${similar === '' ? ';' : ''} ${aboutRelative(path)}`,
  );
}

function aboutRelative(path: string): string {
  const url = `new URL('./${basename(path)}', import.meta.url)`;
  return (
    `a relative path starts from process.cwd(), which is ${process.cwd()}; ` +
    `${url} starts from the module that contains it`
  );
}

/** Files of that name with another extension, in that folder, or next to the program. */
function similarFiles(file: string, path: string): string[] {
  const index = isFolder(file) ? sameStem(join(file, 'index')) : [];
  const nearby = [...sameStem(file), ...index];
  const program = process.argv[1];
  if (nearby.length > 0 || isAbsolute(path) || program === undefined) return nearby;
  const nextToProgram = resolve(dirname(program), path);
  return isFile(nextToProgram) ? [nextToProgram] : sameStem(nextToProgram);
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
