import { sep } from 'node:path';
import nodeModule = require('node:module');
import { fileURLToPath, pathToFileURL } from 'node:url';
import { BroadcastChannel } from 'node:worker_threads';
import { LIB } from '../package-folders.cjs';

// Reports the files that a thread of the pool loads, for the option `worker.watch`. There is a way
// for each runtime:
//
// * Newer versions of Node tell of every module, in this thread (`registerHooks`).
// * Older ones tell of ES modules in a thread of their own (`register`), and CommonJS resolves each
//   file through one function.
// * Bun lists all modules in `require.cache`, so that is read when the module has loaded.
//
// Node before 18.19, and 20 before 20.6, has none for ES modules.

type Hooks = {
  registerHooks?: (hooks: {
    load: (url: string, context: unknown, next: (url: string, context: unknown) => unknown) => unknown;
  }) => void;
  register?: (specifier: string, options: { parentURL: string; data: unknown }) => void;
  _resolveFilename?: (...args: unknown[]) => unknown;
};

/**
 * @param channel the name of the channel for the reports
 * @returns to be called when the module has loaded, or has failed to
 */
export function reportImports(channel: string): () => void {
  const port = new BroadcastChannel(channel);
  port.unref();
  const report = (file: unknown): void => {
    if (typeof file === 'string' && isOwnFile(file)) port.postMessage(file);
  };
  const reportUrl = (url: string): void => {
    if (url.startsWith('file:')) report(fileURLToPath(url.replace(/[?#].*$/, '')));
  };
  if (process.versions['bun'] !== undefined) return () => Object.keys(require.cache).forEach(report);
  const hooks = nodeModule as Hooks;
  if (hooks.registerHooks !== undefined) {
    hooks.registerHooks({
      load(url, context, next) {
        reportUrl(url);
        return next(url, context);
      },
    });
    return () => undefined;
  }
  const resolve = hooks._resolveFilename;
  if (resolve !== undefined) {
    hooks._resolveFilename = function (...args): unknown {
      const file = resolve.apply(this, args);
      report(file);
      return file;
    };
  }
  hooks.register?.(`data:text/javascript,${encodeURIComponent(LOADER)}`, {
    parentURL: pathToFileURL(__filename).href,
    data: channel,
  });
  return () => undefined;
}

/** Runs in the thread of Node's loader. What it posts is checked by nobody, so it checks itself. */
const LOADER = `
import { BroadcastChannel } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
let port;
export function initialize(channel) {
  port = new BroadcastChannel(channel);
  port.unref();
}
export function load(url, context, next) {
  if (url.startsWith('file:') && !url.includes('/node_modules/')) {
    port.postMessage(fileURLToPath(url.replace(/[?#].*$/, '')));
  }
  return next(url, context);
}
`;

/** A file of the application, not of what it has installed. */
function isOwnFile(file: string): boolean {
  return !file.includes(`${sep}node_modules${sep}`) && !file.startsWith(LIB) && file.includes(sep);
}
