"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.native = void 0;
const node_fs_1 = require("node:fs");
const node_path_1 = require("node:path");
const node_util_1 = require("node:util");
const errors_cjs_1 = require("./errors.cjs");
const realm_cjs_1 = require("./realm.cjs");
const target_cjs_1 = require("./target.cjs");
const ROOT = (0, node_path_1.dirname)(__dirname);
/** Loads the addon, once per thread. */
exports.native = (0, realm_cjs_1.ofThisRealm)(load());
// What is sent outside of a batch of events, from a timer or behind an await for example, is flushed together with the rest of its turn. On Bun Node-API does not
// tell a SharedArrayBuffer from an ArrayBuffer.
const { nextTick } = process;
exports.native.init(() => nextTick(exports.native.settle), process.versions['bun'] === undefined ? undefined : node_util_1.types.isSharedArrayBuffer);
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
            return require(path);
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
    const found = named !== undefined && named !== ''
        ? attempt((0, node_path_1.resolve)(named), true)
        : (attempt((0, node_path_1.join)(__dirname, `wsbroker.${target}.node`), true)
            ?? attempt((0, node_path_1.join)(ROOT, `wsbroker.${target}.node`), true)
            ?? attempt(`wsbroker-${target}`, false));
    if (found !== undefined)
        return found;
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
