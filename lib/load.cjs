"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.native = void 0;
const node_fs_1 = require("node:fs");
const node_path_1 = require("node:path");
const copies_cjs_1 = require("./copies.cjs");
const errors_cjs_1 = require("./errors.cjs");
const target_cjs_1 = require("./target.cjs");
const ROOT = (0, node_path_1.dirname)(__dirname);
/** The file that was loaded. */
let found = '';
/** Loads the addon, once per thread. */
exports.native = load();
(0, copies_cjs_1.announce)(found);
// What is sent outside of a batch of events, from a timer or behind an await for example, is flushed together with the rest of its turn.
const { nextTick } = process;
exports.native.init(() => nextTick(exports.native.settle));
/**
 * In this order: what WSBROKER_BINARY names; what was built here; the package for this platform.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_BINARY naming every path that was tried, and how to build
 */
function load() {
    const target = (0, target_cjs_1.platformTarget)();
    const tried = [];
    let cause;
    const attempt = (path, isFile) => {
        if (isFile && !(0, node_fs_1.existsSync)(path)) {
            tried.push(`${path}: no such file`);
            return undefined;
        }
        try {
            const addon = require(path);
            found = require.resolve(path);
            return addon;
        }
        catch (error) {
            const missing = !isFile && error.code === 'MODULE_NOT_FOUND';
            if (!missing)
                cause ??= error;
            tried.push(`${isFile ? path : `package ${path}`}: ${missing ? 'not installed' : firstLine(error)}`);
            return undefined;
        }
    };
    const named = process.env['WSBROKER_BINARY'];
    const addon = named !== undefined && named !== ''
        ? attempt((0, node_path_1.resolve)(named), true)
        : (attempt((0, node_path_1.join)(__dirname, `wsbroker.${target}.node`), true)
            ?? attempt((0, node_path_1.join)(ROOT, `wsbroker.${target}.node`), true)
            ?? attempt(`wsbroker-${target}`, false));
    if (addon !== undefined)
        return addon;
    throw new errors_cjs_1.WSBrokerError('ERR_WSBROKER_BINARY', `no addon for ${target} could be loaded. Tried:\n${tried.map((line) => `  - ${line}`).join('\n')}\n`
        + `To build it from source (needs Rust, https://rustup.rs), run:\n  ${buildCommand()}`, cause === undefined ? undefined : { cause });
}
/** Works in a clone and in node_modules alike, and needs no install script: npm and Bun skip those of dependencies. */
function buildCommand() {
    const script = JSON.stringify((0, node_path_1.join)(ROOT, 'scripts', 'build.mjs'));
    return (0, node_fs_1.existsSync)((0, node_path_1.join)(ROOT, '.git')) ? `npm --prefix ${JSON.stringify(ROOT)} run build` : `${process.versions['bun'] === undefined ? 'node' : 'bun'} ${script}`;
}
function firstLine(error) {
    return String(error?.message ?? error).split('\n', 1)[0] ?? '';
}
