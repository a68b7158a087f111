import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { types } from 'node:util';
import { WSBrokerError } from '../errors.cjs';
import type { Native } from '../native.cjs';
import { LIB, ROOT } from '../package-folders.cjs';
import { registerCopy } from './copies.cjs';
import { platformTarget } from './target.cjs';
import { withErrorsOfThisContext } from './vm-context.cjs';

/** Node's permission model, if it is on. */
const { permission } = process as {
  permission?: { has(scope: string, reference?: string): boolean };
};

/** Loads the addon, once per thread. */
const { addon, file } = load();
export const native: Native = withErrorsOfThisContext(addon);
registerCopy(file);

// What is sent outside of a batch of events, for example in a timer or after an await, is flushed
// at the end of its turn. On Bun, Node-API cannot tell a SharedArrayBuffer from an ArrayBuffer.
const { nextTick } = process;
native.init(
  () => nextTick(native.settle),
  process.versions['bun'] === undefined ? undefined : types.isSharedArrayBuffer,
);

/** What is read of package.json; a bundled copy may have none. */
interface Manifest {
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Why loading failed. */
interface Failures {
  readonly tried: string[];
  readonly errors: unknown[];
  /** The version of this platform's package, if it differs from this package's. */
  otherVersion?: string;
}

/**
 * Tries, in this order: the file that WSBROKER_BINARY names; an addon that was built here; the
 * package for this platform.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_BINARY, with every path that was tried and what to do
 */
function load(): { addon: Native; file: string } {
  const target = platformTarget();
  const failures: Failures = { tried: [], errors: [] };
  const named = process.env['WSBROKER_BINARY'] || undefined;
  const found =
    named !== undefined
      ? fromFile(resolve(named), failures)
      : (fromFile(join(LIB, `wsbroker.${target}.node`), failures) ??
        fromFile(join(ROOT, `wsbroker.${target}.node`), failures) ??
        fromPackage(`wsbroker-${target}`, failures));
  if (found !== undefined) return found;
  const cause = failures.errors[0];
  const tried = failures.tried.map((line) => `  - ${line}\n`).join('');
  throw new WSBrokerError(
    'ERR_WSBROKER_BINARY',
    `no addon for ${target} could be loaded. Tried:\n${tried}${advice(target, named, failures)}`,
    cause === undefined ? undefined : { cause },
  );
}

function fromFile(path: string, failures: Failures): { addon: Native; file: string } | undefined {
  // A file that may not be read looks as if it did not exist.
  if (permission?.has('fs.read', path) === false) {
    failures.tried.push(`${path}: Node's permission model does not permit reading it`);
  } else if (existsSync(path)) return required(path, path, failures);
  else failures.tried.push(`${path}: no such file`);
  return undefined;
}

function fromPackage(
  name: string,
  failures: Failures,
): { addon: Native; file: string } | undefined {
  const [ours, its] = [
    manifest(join(ROOT, 'package.json')).version,
    manifest(installed(name)).version,
  ];
  if (ours === undefined || its === undefined || its === ours) {
    return required(name, `package ${name}`, failures);
  }
  failures.otherVersion = its;
  failures.tried.push(`package ${name}: its version is ${its}, that of wsbroker is ${ours}`);
  return undefined;
}

function required(
  id: string,
  what: string,
  failures: Failures,
): { addon: Native; file: string } | undefined {
  try {
    return { addon: require(id) as Native, file: require.resolve(id) };
  } catch (error) {
    const missing = codeOf(error) === 'MODULE_NOT_FOUND';
    if (!missing) failures.errors.push(error);
    failures.tried.push(`${what}: ${missing ? 'not installed' : firstLine(error)}`);
    return undefined;
  }
}

function installed(name: string): string | undefined {
  try {
    return require.resolve(`${name}/package.json`);
  } catch {
    return undefined;
  }
}

function manifest(path: string | undefined): Manifest {
  try {
    return path === undefined ? {} : (JSON.parse(readFileSync(path, 'utf8')) as Manifest);
  } catch {
    return {};
  }
}

// What to do about it.

function advice(
  target: string,
  named: string | undefined,
  { tried, errors, otherVersion }: Failures,
): string {
  const codes = errors.map(codeOf);
  if (
    permission !== undefined &&
    (codes.includes('ERR_DLOPEN_DISABLED') ||
      codes.includes('ERR_ACCESS_DENIED') ||
      tried.some((line) => line.includes('permission model')))
  ) {
    const folder = basename(dirname(ROOT)) === 'node_modules' ? dirname(ROOT) : ROOT;
    return (
      `Node's permission model forbids loading it. Run node with --allow-addons, ` +
      `--allow-fs-read=${join(folder, '*')} and, for worker threads, --allow-worker, in ` +
      'addition to what your own modules need'
    );
  }
  if (codes.includes('ERR_DLOPEN_DISABLED')) {
    return (
      'wsbroker needs its addon, but --no-addons forbids addons: run Node without that flag, ' +
      'which may also be set in NODE_OPTIONS'
    );
  }
  if (named !== undefined) {
    return (
      'The environment variable WSBROKER_BINARY names the only file that is tried: correct ' +
      'it, or unset it'
    );
  }
  const { version, optionalDependencies = {} } = manifest(join(ROOT, 'package.json'));
  const own = `wsbroker-${target}`;
  const bun = process.versions['bun'] !== undefined;
  if (otherVersion !== undefined) {
    return (
      'wsbroker and its package for this platform must have the same version. Run: ' +
      `${bun ? 'bun add' : 'npm install'} wsbroker@${version}\nIf that does not help, delete ` +
      'node_modules and the lock file, and install again'
    );
  }
  if (
    Object.hasOwn(optionalDependencies, own) &&
    errors.length === 0 &&
    !existsSync(join(ROOT, '.git'))
  ) {
    const other = Object.keys(optionalDependencies).find((name) => installed(name) !== undefined);
    const why =
      other === undefined
        ? `${own} is an optional dependency of wsbroker, and optional dependencies were not ` +
          'installed (--omit=optional, --no-optional, or a lock file that was made on another ' +
          'platform)'
        : `node_modules holds ${other} instead: it was installed on or for another platform`;
    return (
      `${why}. Run here: ${bun ? 'bun install' : 'npm install --include=optional'}\nIf that ` +
      'does not install it, delete node_modules and the lock file, and install again'
    );
  }
  return `To build it from source (needs Rust, https://rustup.rs), run:\n  ${buildCommand()}`;
}

/**
 * Works both in a clone and in node_modules, without an install script: npm and Bun skip those of
 * dependencies.
 */
function buildCommand(): string {
  const script = JSON.stringify(join(ROOT, 'scripts', 'build.mjs'));
  return existsSync(join(ROOT, '.git'))
    ? `npm --prefix ${JSON.stringify(ROOT)} run build`
    : `${process.versions['bun'] === undefined ? 'node' : 'bun'} ${script}`;
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null | undefined)?.code;
}

function firstLine(error: unknown): string {
  return (
    String((error as { message?: unknown } | undefined)?.message ?? error).split('\n', 1)[0] ?? ''
  );
}
