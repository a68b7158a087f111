"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.findModuleFile = findModuleFile;
const node_fs_1 = require("node:fs");
const node_module_1 = require("node:module");
const node_path_1 = require("node:path");
const errors_cjs_1 = require("../errors.cjs");
// Where the worker module is.
const EXTENSIONS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.jsx', '.tsx'];
/**
 * The worker module's file. An extension is added as `require` would.
 *
 * @throws {WSBrokerError} ERR_WSBROKER_WORKER_NOT_FOUND, with the path that was tried
 */
function findModuleFile(path) {
    const file = (0, node_path_1.resolve)(path);
    if (isFile(file))
        return file;
    try {
        return (0, node_module_1.createRequire)((0, node_path_1.join)(process.cwd(), 'x.js')).resolve(file);
    }
    catch {
        throw notFound(path);
    }
}
function notFound(path) {
    const file = (0, node_path_1.resolve)(path);
    const found = similarFiles(file, path).map((one) => JSON.stringify(one));
    const similar = found.length === 0 ? '' : `; did you mean ${found.join(' or ')}?`;
    const message = `start: "workerPath" must name a module, but there is no file ${file}${similar}`;
    return new errors_cjs_1.WSBrokerError('ERR_WSBROKER_WORKER_NOT_FOUND', (0, node_path_1.isAbsolute)(path) ? message : `${message}${similar === '' ? ';' : ''} ${aboutRelative(path)}`);
}
function aboutRelative(path) {
    const url = `new URL('./${(0, node_path_1.basename)(path)}', import.meta.url)`;
    return (`a relative path starts from process.cwd(), which is ${process.cwd()}; ` +
        `${url} starts from the module that contains it`);
}
/** Files of that name with another extension, in that folder, or next to the program. */
function similarFiles(file, path) {
    const index = isFolder(file) ? sameStem((0, node_path_1.join)(file, 'index')) : [];
    const nearby = [...sameStem(file), ...index];
    const program = process.argv[1];
    if (nearby.length > 0 || (0, node_path_1.isAbsolute)(path) || program === undefined)
        return nearby;
    const nextToProgram = (0, node_path_1.resolve)((0, node_path_1.dirname)(program), path);
    return isFile(nextToProgram) ? [nextToProgram] : sameStem(nextToProgram);
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
