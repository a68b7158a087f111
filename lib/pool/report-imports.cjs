"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.reportImports = reportImports;
const node_path_1 = require("node:path");
const nodeModule = require("node:module");
const node_url_1 = require("node:url");
const node_worker_threads_1 = require("node:worker_threads");
const package_folders_cjs_1 = require("../package-folders.cjs");
/**
 * @param channel the name of the channel for the reports
 * @returns to be called when the module has loaded, or has failed to
 */
function reportImports(channel) {
    const port = new node_worker_threads_1.BroadcastChannel(channel);
    port.unref();
    const report = (file) => {
        if (typeof file === 'string' && isOwnFile(file))
            port.postMessage(file);
    };
    const reportUrl = (url) => {
        if (url.startsWith('file:'))
            report((0, node_url_1.fileURLToPath)(url.replace(/[?#].*$/, '')));
    };
    if (process.versions['bun'] !== undefined)
        return () => Object.keys(require.cache).forEach(report);
    const hooks = nodeModule;
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
        hooks._resolveFilename = function (...args) {
            const file = resolve.apply(this, args);
            report(file);
            return file;
        };
    }
    hooks.register?.(`data:text/javascript,${encodeURIComponent(LOADER)}`, {
        parentURL: (0, node_url_1.pathToFileURL)(__filename).href,
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
function isOwnFile(file) {
    return !file.includes(`${node_path_1.sep}node_modules${node_path_1.sep}`) && !file.startsWith(package_folders_cjs_1.LIB) && file.includes(node_path_1.sep);
}
