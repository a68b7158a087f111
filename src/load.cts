import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { types } from 'node:util';
import { WSBrokerError } from './errors.cjs';
import type { Native } from './native.cjs';
import { ofThisRealm } from './realm.cjs';
import { platformTarget } from './target.cjs';

const ROOT = dirname(__dirname);

/** Loads the addon, once per thread. */
export const native: Native = ofThisRealm(load());

// What is sent outside of a batch of events, from a timer or behind an await for example, is flushed together with the rest of its turn. On Bun Node-API does not
// tell a SharedArrayBuffer from an ArrayBuffer.
const { nextTick } = process;
native.init(() => nextTick(native.settle), process.versions['bun'] === undefined ? undefined : types.isSharedArrayBuffer);

/**
 * In this order: what WSBROKER_BINARY names; what was built here; the package for this platform.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_BINARY naming every path that was tried, and how to build
 */
function load(): Native {
  const target = platformTarget();
  const tried: string[] = [];
  let cause: unknown;
  const attempt = (path: string, isFile: boolean): Native | undefined => {
    if (isFile && !existsSync(path)) {
      tried.push(`${path}: no such file`);
      return undefined;
    }
    try {
      return require(path) as Native;
    } catch (error) {
      const missing = !isFile && (error as { code?: unknown }).code === 'MODULE_NOT_FOUND';
      if (!missing) cause ??= error;
      tried.push(`${isFile ? path : `package ${path}`}: ${missing ? 'not installed' : firstLine(error)}`);
      return undefined;
    }
  };

  const named = process.env['WSBROKER_BINARY'];
  const found =
    named !== undefined && named !== ''
      ? attempt(resolve(named), true)
      : (attempt(join(__dirname, `wsbroker.${target}.node`), true)
        ?? attempt(join(ROOT, `wsbroker.${target}.node`), true)
        ?? attempt(`wsbroker-${target}`, false));
  if (found !== undefined) return found;
  throw new WSBrokerError(
    'ERR_WSBROKER_BINARY',
    `no addon for ${target} could be loaded. Tried:\n${tried.map((line) => `  - ${line}`).join('\n')}\n`
      + `To build it from source (needs Rust, https://rustup.rs), run:\n  ${buildCommand()}`,
    cause === undefined ? undefined : { cause },
  );
}

/** Works in a clone and in node_modules alike, and needs no install script: npm and Bun skip those of dependencies. */
function buildCommand(): string {
  const script = JSON.stringify(join(ROOT, 'scripts', 'build.mjs'));
  return existsSync(join(ROOT, '.git')) ? `npm --prefix ${JSON.stringify(ROOT)} run build` : `${process.versions['bun'] === undefined ? 'node' : 'bun'} ${script}`;
}

function firstLine(error: unknown): string {
  return String((error as { message?: unknown } | undefined)?.message ?? error).split('\n', 1)[0] ?? '';
}
