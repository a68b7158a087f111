"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.OPTION_HINTS = exports.START_OVER = void 0;
exports.bindForm = bindForm;
exports.addressFailed = addressFailed;
exports.also = also;
exports.noWorkerFile = noWorkerFile;
const node_fs_1 = require("node:fs");
const node_path_1 = require("node:path");
const errors_cjs_1 = require("../errors.cjs");
// What to do about what went wrong: sentences for the ends of messages.
/** For whatever contradicts an earlier call. */
exports.START_OVER = 'to start over, for instance under "bun --hot", call "await shutdown()" first';
/** What other servers call an option of `start`. */
const BIND = `pass the address as "bind", such as bind: '127.0.0.1:8080'`;
const NO_SERVER = `wsbroker listens on an address of its own: pass that as "bind", such as bind: '127.0.0.1:8080'`;
exports.OPTION_HINTS = {
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
function bindForm(given) {
    const port = typeof given === 'number' && Number.isInteger(given) && given >= 0 && given < 2 ** 16
        ? given
        : 8080;
    return `a string such as '127.0.0.1:${port}', or '0.0.0.0:${port}' for all addresses`;
}
/** What the addon says about an address, and what to do. */
function addressFailed(error, bind, reusePort) {
    if (!(error instanceof errors_cjs_1.WSBrokerError))
        return error;
    if (error.code === 'ERR_WSBROKER_CONFLICT')
        return also(error, exports.START_OVER);
    if (error.syscallCode !== 'EADDRINUSE' || bind.startsWith('unix:'))
        return error;
    const others = reusePort
        ? 'every process that shares a port must set "reusePort", from its first "start" on'
        : 'to share the port among several processes (node:cluster, PM2), set "reusePort" in all of them';
    return also(error, `something else is listening there; ${others}`);
}
/** The same error with more to say. */
function also(error, advice) {
    error.message += `; ${advice}`;
    return error;
}
const EXTENSIONS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.jsx', '.tsx'];
/** @param path as it was given, without a file */
function noWorkerFile(path) {
    const file = (0, node_path_1.resolve)(path);
    const there = likely(file, path);
    const near = there.length === 0
        ? ''
        : `; did you mean ${there.map((one) => JSON.stringify(one)).join(' or ')}?`;
    const relative = (0, node_path_1.isAbsolute)(path)
        ? ''
        : `${near === '' ? ';' : ''} a relative path is relative to process.cwd(), which is ${process.cwd()}; new URL('./${(0, node_path_1.basename)(path)}', import.meta.url) is relative to the module that contains it`;
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_WORKER_NOT_FOUND', `start: "workerPath" names no module: there is no file ${file}${near}${relative}`);
}
/**
 * Files that may have been meant: of that name with another extension, in that folder, or beside
 * the program.
 */
function likely(file, path) {
    const beside = sameStem(file).concat(isFolder(file) ? sameStem((0, node_path_1.join)(file, 'index')) : []);
    const program = process.argv[1];
    if (beside.length > 0 || (0, node_path_1.isAbsolute)(path) || program === undefined)
        return beside;
    const elsewhere = (0, node_path_1.resolve)((0, node_path_1.dirname)(program), path);
    return isFile(elsewhere) ? [elsewhere] : sameStem(elsewhere);
}
function sameStem(file) {
    const { dir, name, base } = (0, node_path_1.parse)(file);
    const stems = new Set([base, EXTENSIONS.includes((0, node_path_1.extname)(base)) ? name : base]);
    try {
        return (0, node_fs_1.readdirSync)(dir)
            .filter((one) => EXTENSIONS.includes((0, node_path_1.extname)(one)) && stems.has((0, node_path_1.parse)(one).name))
            .map((one) => (0, node_path_1.join)(dir, one));
    }
    catch {
        return [];
    }
}
function isFile(file) {
    return (0, node_fs_1.statSync)(file, { throwIfNoEntry: false })?.isFile() === true;
}
function isFolder(file) {
    return (0, node_fs_1.statSync)(file, { throwIfNoEntry: false })?.isDirectory() === true;
}
